#ifndef CV_CLUSTER_TAGS_H
#define CV_CLUSTER_TAGS_H

#include "cluster/node.h"

#include <covey/export.h>
#include <stdbool.h>

/*
 * The tags that a node says of itself, sorted by key, within the limits of covey/node.h. A list of
 * borrowed texts: a change makes a new list from an old one and its owner copies it into a new
 * body.
 */
struct cv_tags {
    size_t count;
    struct covey_tag items[COVEY_TAGS_MAX];
};

/*
 * All functions give 0 or leave *out as it is and return
 *   COVEY_ERR_TOO_LARGE         too many, too long, or too much together
 *   COVEY_ERR_INVALID_ARGUMENT  an empty key, a key twice, or a text that is not UTF-8
 *   COVEY_ERR_NOT_FOUND         (remove) no such key
 */

/* From tags in any order. */
COVEY_MUST_USE int cv_tags_collect(const struct covey_tag *tags, size_t count, struct cv_tags *out);
/* The tags of `node` with one more or another value. */
COVEY_MUST_USE int cv_tags_set(const struct cv_cluster_node *node, const char *key,
                               const char *value, struct cv_tags *out);
COVEY_MUST_USE int cv_tags_remove(const struct cv_cluster_node *node, const char *key,
                                  struct cv_tags *out);

bool cv_tags_equal(const struct cv_cluster_node *a, const struct cv_cluster_node *b);

/* 0 when one tag alone is within the limits, as above. */
COVEY_MUST_USE int cv_tag_check(struct cv_slice key, struct cv_slice value);

#endif
