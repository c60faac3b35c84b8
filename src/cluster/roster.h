#ifndef CV_CLUSTER_ROSTER_H
#define CV_CLUSTER_ROSTER_H

#include "cluster/digest.h"
#include "cluster/member_table.h"
#include "cluster/record.h"

#include <covey/export.h>

/*
 * Members known from before, prepared once for all the cores of one process that begin with them:
 * what a registry makes of each record by hashing it is made here, and copied from here by each. A
 * core that begins without one comes to the same, only slower.
 */
struct cv_roster {
    const struct cv_record *records; /* borrowed */
    size_t count;
    struct cv_member_table table; /* of places in the records */
    struct cv_digest digest;
};

/*
 * `records` are of different nodes, alive and with their bodies, and stay as they are while the roster
 * is there; `secret` is what all of its cores hash with. 0, COVEY_ERR_INVALID_ARGUMENT or
 * COVEY_ERR_NO_MEMORY; needs fini in all cases.
 */
COVEY_MUST_USE int cv_roster_init(struct cv_roster *r, const struct cv_alloc *alloc,
                                  const uint64_t secret[2], const struct cv_record *records,
                                  size_t count);
void cv_roster_fini(struct cv_roster *r);
/* Where a node is among the records; CV_MEMBER_TABLE_NONE when it is not. */
uint32_t cv_roster_find(const struct cv_roster *r, const covey_node_id *id);

#endif
