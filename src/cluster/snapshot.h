#ifndef CV_CLUSTER_SNAPSHOT_H
#define CV_CLUSTER_SNAPSHOT_H

#include "base/alloc.h"
#include "cluster/node_registry.h"
#include "cluster/tag_query.h"

#include <covey/export.h>
#include <covey/node.h>

/*
 * Membership at one moment, immutable and counted: what other threads read while the core goes on.
 * Sorted by node id, with an index of tags. Reading it neither locks nor allocates.
 *
 *     one allocation: [struct | nodes | records | numbers], and the index's
 */
struct cv_snapshot;

/*
 * One reference, the caller's. `previous` is an earlier one of the same registry, or NULL: what has
 * not changed since then is taken over from it. 0 or COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_snapshot_new(const struct cv_alloc *alloc,
                                   const struct cv_node_registry *registry,
                                   const struct cv_snapshot *previous, struct cv_snapshot **out);
struct cv_snapshot *cv_snapshot_retain(struct cv_snapshot *s); /* any thread */
void cv_snapshot_release(struct cv_snapshot *s);               /* any thread; NULL is allowed */
/* True when the caller's reference is the only one, and nobody can get one but from him. */
bool cv_snapshot_is_last(const struct cv_snapshot *s);

size_t cv_snapshot_count(const struct cv_snapshot *s);
/* The index-th member; borrowed from the snapshot. */
const struct covey_node *cv_snapshot_at(const struct cv_snapshot *s, size_t index);
/* The same as the record that is told to others; its body is borrowed too. */
struct cv_record cv_snapshot_record(const struct cv_snapshot *s, size_t index);

/* Begins a walk through the Alive members that have this tag, by id; value NULL: with any value. The
 * walk borrows the snapshot. Keys are not NULL. */
void cv_snapshot_with_tag(const struct cv_snapshot *s, const char *key, const char *value,
                          struct cv_tag_query *out);
/* The same for all of these tags; without tags, for all Alive members. */
void cv_snapshot_with_all_tags(const struct cv_snapshot *s, const struct covey_tag *tags,
                               size_t count, struct cv_tag_query *out);

#endif
