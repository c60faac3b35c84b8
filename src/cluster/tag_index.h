#ifndef CV_CLUSTER_TAG_INDEX_H
#define CV_CLUSTER_TAG_INDEX_H

#include "base/alloc.h"
#include "cluster/tag_term.h"

#include <covey/export.h>

/*
 * Who has which tag. An index belongs to an array of nodes sorted by id and holds two postings for
 * each tag of each Alive one, under its key and under its key and value, sorted by a hash with a
 * secret, because peers choose the texts:
 *
 *      hash      | role          | role=worker   | zone          | role=director |
 *      posting   | n0  n1  n4    | n0  n4        | n1            | n1            |
 *
 * Within a hash they are sorted by text, as two texts may share one, and within a text by node. So
 * what a query asks for is one run of postings, found by binary search, and the nodes in it come
 * out by id. 8 bytes a posting: at most 256 for each Alive node.
 *
 * Immutable once built, and then read from any thread without locking or allocating.
 */
struct cv_tag_posting {
    uint32_t hash;      /* of a cv_tag_term */
    uint32_t node : 28; /* in the array */
    uint32_t tag : 4;   /* in the node's tags */
};

struct cv_tag_index {
    const struct cv_alloc *alloc;
    uint64_t secret[2];
    const struct covey_node *nodes; /* borrowed */
    size_t node_count;
    struct cv_tag_posting *postings;
    size_t count;
};

/* An empty index of nodes sorted by id, less than 2^28, which outlive it. Allocates nothing. */
void cv_tag_index_init(struct cv_tag_index *x, const struct cv_alloc *alloc,
                       const uint64_t secret[2], const struct covey_node *nodes, size_t count);
/*
 * Fills it. With the index of an earlier moment, `previous` (or NULL), only the postings of nodes
 * that are new, changed or Alive again are hashed and sorted, the others copied. A node is unchanged
 * when its tags are the same array: whoever holds both arrays of nodes holds the tags of both.
 * 0, or COVEY_ERR_NO_MEMORY with the index still empty.
 */
COVEY_MUST_USE int cv_tag_index_build(struct cv_tag_index *x, const struct cv_tag_index *previous);
void cv_tag_index_fini(struct cv_tag_index *x);

/* A run of postings; empty when the two are equal. */
struct cv_tag_range {
    const struct cv_tag_posting *next;
    const struct cv_tag_posting *end;
};

/* The Alive nodes that have a tag, by id; value NULL: with any value. The key is not NULL. Texts that
 * no tag can have, such as too long ones, are found nowhere. */
struct cv_tag_range cv_tag_index_find(const struct cv_tag_index *x, const struct covey_tag *tag);

#endif
