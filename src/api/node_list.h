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
    struct cv_snapshot *snapshot;    /* one reference; NULL for told ones */
    struct cv_cluster_node **bodies; /* told ones: one reference each; NULL otherwise */
    struct covey_node *nodes;
    size_t count;
    size_t capacity;
};

/* An empty list with room for `capacity` nodes, which retains the runtime. Its snapshot is the
 * caller's to set, with a reference. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_node_list_new(covey_runtime *runtime, size_t capacity, covey_node_list **out);
/* Appends a member of list->snapshot. There must be room. */
void cv_node_list_add(covey_node_list *list, const struct covey_node *node);
/* Appends a member that was told of; takes the reference on success. 0 or COVEY_ERR_NO_MEMORY;
 * grows by itself. */
COVEY_MUST_USE int cv_node_list_add_body(covey_node_list *list, struct cv_cluster_node *body,
                                         enum covey_node_state state, uint64_t incarnation);

#endif
