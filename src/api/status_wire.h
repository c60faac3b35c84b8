#ifndef CV_API_STATUS_WIRE_H
#define CV_API_STATUS_WIRE_H

#include "base/slice.h"
#include "base/writer.h"

#include <covey/export.h>
#include <covey/server.h>

/*
 * The answers of the built-in methods that tell how a member is: fields in the form of
 * cluster/gossip/field.h. Whoever reads skips those that it does not know, and those that are not there are 0,
 * so that older and newer ones understand each other.
 *
 *   covey.cluster.partition  1 state u8, 2 alive u32, 3 expected u32, 4 quorum u32, 5 minority u8,
 *                            6 read only u8, 7 grace remaining u64 (ns)
 *   covey.cluster.health     1 overall u8, 2 a check, repeated:
 *                              1 name, 2 status u8, 3 age of the status u64 (ns), 4 last duration u64 (ns),
 *                              5 consecutive failures u32, 6 hangs u8, 7 message
 *   covey.cluster.stats      each counter by its number in covey/cluster.h, u64
 *   covey.server.stats       the same of covey/server.h
 */
#define CV_STATUS_SIZE_MAX 16384 /* of any of them */

void cv_partition_write(struct cv_writer *w, const struct covey_partition_status *status);
/* All of them: 0, or COVEY_ERR_MALFORMED with *out unchanged. */
COVEY_MUST_USE int cv_partition_read(struct cv_slice answer, struct covey_partition_status *out);

/* A check's `since` is a time of this machine's on both sides: `now` is. */
void cv_health_write(struct cv_writer *w, const struct covey_health_status *status,
                     const struct covey_check_health *checks, covey_time now);
/* `checks` has room for COVEY_CHECKS_MAX; more of them are malformed. */
COVEY_MUST_USE int cv_health_read(struct cv_slice answer, covey_time now,
                                  struct covey_health_status *out,
                                  struct covey_check_health *checks);

void cv_stats_write(struct cv_writer *w, const struct covey_cluster_stats *stats);
COVEY_MUST_USE int cv_stats_read(struct cv_slice answer, struct covey_cluster_stats *out);

void cv_server_stats_write(struct cv_writer *w, const struct covey_server_stats *stats);
COVEY_MUST_USE int cv_server_stats_read(struct cv_slice answer, struct covey_server_stats *out);

#endif
