#ifndef CV_API_SELECTOR_H
#define CV_API_SELECTOR_H

#include "api/denied.h"
#include "cluster/snapshot.h"

#include <covey/balancer.h>

#include <stdbool.h>

/* A selector with texts of its own, in one piece of memory. */
struct cv_selector {
    covey_node_id self;
    bool with_self;
    size_t all_count;
    size_t none_count;
    struct covey_tag all[COVEY_SELECTOR_TAGS_MAX];
    struct covey_tag none[COVEY_SELECTOR_TAGS_MAX];
    char texts[];
};

/* 0, COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_NO_MEMORY. Freed with cv_release(). */
COVEY_MUST_USE int cv_selector_new(const struct cv_alloc *alloc,
                                   const struct covey_selector *callers, const covey_node_id *self,
                                   struct cv_selector **out);

/* A walk through the members of a snapshot that are selected and not denied, by id; borrows all
 * three. */
struct cv_selection {
    const struct cv_selector *selector;
    const struct cv_denied *denied;
    struct cv_tag_query query;
};
void cv_selection_begin(struct cv_selection *s, const struct cv_selector *selector,
                        const struct cv_denied *denied, const struct cv_snapshot *snapshot);
/* NULL at the end. */
const struct covey_node *cv_selection_next(struct cv_selection *s);

#endif
