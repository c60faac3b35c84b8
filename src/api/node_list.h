#ifndef CV_API_NODE_LIST_H
#define CV_API_NODE_LIST_H

#include "api/runtime.h"
#include "cluster/snapshot.h"

#include <covey/cluster.h>

/*
 * A list handed to the user: a selection of a snapshot's members, or members that another node told
 * of. It keeps what its nodes' texts live in.
 */
struct covey_node_list {
    covey_runtime *runtime;
    struct cv_snapshot *snapshot; /* of a selection: one reference; NULL for told ones */
    size_t count;
    size_t capacity;
    struct covey_node *told;         /* NULL for a selection */
    struct cv_cluster_node **bodies; /* told ones: one reference each */
    const struct covey_node *selected[];
};

/* An empty list for members that are told of; retains the runtime. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_node_list_new(covey_runtime *runtime, covey_node_list **out);
/* Appends one; takes the reference on success. 0 or COVEY_ERR_NO_MEMORY; grows by itself. */
COVEY_MUST_USE int cv_node_list_add_body(covey_node_list *list, struct cv_cluster_node *body,
                                         enum covey_node_state state, uint64_t incarnation);

/* An empty selection of up to `capacity` members of a snapshot, in one allocation; takes the
 * reference to it on success. `snapshot` may be NULL: then there is nothing to select. 0 or
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_node_list_select(covey_runtime *runtime, struct cv_snapshot *snapshot,
                                       size_t capacity, covey_node_list **out);
/* Appends a member of the snapshot. There must be room. */
void cv_node_list_add(covey_node_list *list, const struct covey_node *node);

#endif
