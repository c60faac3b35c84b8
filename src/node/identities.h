#ifndef CV_NODE_IDENTITIES_H
#define CV_NODE_IDENTITIES_H

#include "base/map.h"

#include <covey/export.h>
#include <covey/types.h>

/* How many connections each identity has, so that no one of them takes what there is for all. */
struct cv_identities {
    const struct cv_alloc *alloc;
    struct cv_map counts;
    unsigned connections_max; /* of one; 0: as many as it likes */
};

/* An identity with connections: one share for each of them. */
struct cv_identity_share;

void cv_identities_init(struct cv_identities *ids, const struct cv_alloc *alloc,
                        const uint64_t secret[2], unsigned connections_max);
/* All shares have been given back. */
void cv_identities_fini(struct cv_identities *ids);

/* One more connection of `id`. 0 and *out, which is given back when it ends; COVEY_ERR_LIMIT when it has
 * all that it may have; COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_identities_take(struct cv_identities *ids, const covey_node_id *id,
                                      struct cv_identity_share **out);
/* NULL is allowed. */
void cv_identities_give(struct cv_identities *ids, struct cv_identity_share *share);

#endif
