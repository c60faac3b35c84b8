#ifndef CV_CLUSTER_TAG_QUERY_H
#define CV_CLUSTER_TAG_QUERY_H

#include "cluster/tag_index.h"

/* A node has at most 16 keys, and 16 keys with values. */
#define CV_TAG_RANGES_MAX (2 * COVEY_TAGS_MAX)

/* A walk through the Alive nodes that have certain tags; in the caller's memory, borrows the index.
 */
struct cv_tag_query {
    const struct cv_tag_index *index;
    size_t next_node;                              /* without ranges */
    size_t range_count;                            /* 0: every Alive node */
    struct cv_tag_range ranges[CV_TAG_RANGES_MAX]; /* the shortest first */
};

/*
 * Begins a walk through the Alive nodes that have all of these tags; one whose value is NULL is had
 * with any value. Without tags: every Alive node. Keys are not NULL; texts that no tag can have,
 * such as too long ones, are had by nobody.
 */
void cv_tag_query_init(struct cv_tag_query *q, const struct cv_tag_index *x,
                       const struct covey_tag *tags, size_t count);
/* No more than so many are to come: for one tag exactly so many. */
size_t cv_tag_query_count_max(const struct cv_tag_query *q);
/* The next node by id, NULL at the end. */
static inline const struct covey_node *cv_tag_query_next(struct cv_tag_query *q);

/* That for any query. */
const struct covey_node *cv_tag_query_next_of_any(struct cv_tag_query *q);

/* With one tag, as most are, the walk is a loop over an array. */
static inline const struct covey_node *cv_tag_query_next(struct cv_tag_query *q)
{
    if (q->range_count != 1)
        return cv_tag_query_next_of_any(q);
    struct cv_tag_range *r = &q->ranges[0];
    return r->next == r->end ? NULL : &q->index->nodes[(r->next++)->node];
}

#endif
