#ifndef CV_CLUSTER_SNAPSHOT_H
#define CV_CLUSTER_SNAPSHOT_H

#include "base/alloc.h"
#include "cluster/node_registry.h"

#include <covey/export.h>
#include <covey/node.h>

/*
 * Membership at one moment, immutable and counted: what other threads read while the core goes on.
 * Sorted by node id.
 */
struct cv_snapshot;

/* One reference, the caller's. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_snapshot_new(const struct cv_alloc *alloc,
                                   const struct cv_node_registry *registry,
                                   struct cv_snapshot **out);
struct cv_snapshot *cv_snapshot_retain(struct cv_snapshot *s); /* any thread */
void cv_snapshot_release(struct cv_snapshot *s);               /* any thread; NULL is allowed */

size_t cv_snapshot_count(const struct cv_snapshot *s);
/* The index-th member; borrowed from the snapshot. */
const struct covey_node *cv_snapshot_at(const struct cv_snapshot *s, size_t index);
/* The same as the record that is told to others; its body is borrowed too. */
struct cv_record cv_snapshot_record(const struct cv_snapshot *s, size_t index);

#endif
