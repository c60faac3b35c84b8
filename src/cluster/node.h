#ifndef CV_CLUSTER_NODE_H
#define CV_CLUSTER_NODE_H

#include "base/address.h"
#include "base/alloc.h"
#include "base/node_id.h"
#include "base/slice.h"

#include <covey/export.h>
#include <covey/node.h>

#include <stdatomic.h>

/*
 * What a node says of itself: name, address and tags, immutable and counted. Registry, snapshots,
 * events and queued gossip share one body, from any thread; a change makes a new one.
 *
 *     one allocation: [struct | tag table | texts, NUL-terminated]
 */
struct cv_cluster_node {
    const struct cv_alloc *alloc;
    atomic_uint references;
    covey_node_id id;
    uint64_t incarnation; /* with `version`: orders the owner's own statements */
    uint32_t version;     /* counts the changes within one incarnation */
    struct cv_address address;
    const char *name;         /* may be "" */
    const char *address_text; /* "HOST:PORT" */
    size_t tag_count;
    const struct covey_tag *tags; /* sorted by key, keys differ */
    uint64_t hash;                /* of all that it says, the same on every machine */
};

struct cv_cluster_node_config {
    covey_node_id id;
    uint64_t incarnation;
    uint32_t version;
    struct cv_address address;
    struct cv_slice name;
    const struct covey_tag *tags; /* sorted by key, within the limits of covey/node.h */
    size_t tag_count;
    /* All texts of the tags, key, value, key, ..., each with its NUL, when they lie so, one after the
     * other: then they need not be measured. Empty otherwise. */
    struct cv_slice tag_texts;
};

/* One reference, the caller's; everything is copied. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_cluster_node_new(const struct cv_alloc *alloc,
                                       const struct cv_cluster_node_config *config,
                                       struct cv_cluster_node **out);
struct cv_cluster_node *cv_cluster_node_retain(struct cv_cluster_node *n);
/* NULL is allowed. */
void cv_cluster_node_release(struct cv_cluster_node *n);

/* True when they say the same. */
bool cv_cluster_node_equal(const struct cv_cluster_node *a, const struct cv_cluster_node *b);
/* True when there is more than one reference. */
bool cv_cluster_node_is_shared(const struct cv_cluster_node *n);

/* The public view; borrowed from the body. */
struct covey_node cv_cluster_node_view(const struct cv_cluster_node *n, enum covey_node_state state,
                                       uint64_t incarnation);

#endif
