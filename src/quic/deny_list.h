#ifndef CV_QUIC_DENY_LIST_H
#define CV_QUIC_DENY_LIST_H

#include "base/alloc.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/* More than there may be members: 256 KiB. */
#define CV_DENIED_MAX ((size_t)16384)

/* Ids that are refused whatever certificate they show: keys that were stolen, or whose holder is not
 * to come back. Empty as {0}. One thread at a time. */
struct cv_deny_list {
    covey_node_id *ids; /* in order */
    size_t count;
};

/* Takes the place of all that was there; the ids are copied, in any order, repeated ones too. 0, or
 * with the list unchanged COVEY_ERR_LIMIT (more than CV_DENIED_MAX), COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_deny_list_set(struct cv_deny_list *list, const struct cv_alloc *alloc,
                                    const covey_node_id *ids, size_t count);
void cv_deny_list_fini(struct cv_deny_list *list, const struct cv_alloc *alloc);

bool cv_deny_list_has(const struct cv_deny_list *list, const covey_node_id *id);

#endif
