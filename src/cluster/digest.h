#ifndef CV_CLUSTER_DIGEST_H
#define CV_CLUSTER_DIGEST_H

#include "base/slice.h"
#include "cluster/node.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A summary of a set of records by which two nodes find out cheaply where they differ: a sum for
 * each of 256 buckets, by the first byte of the id, and a root hash over the buckets. A record
 * counts by its incarnation and by all that its owner says of itself, not by the state that others
 * give it: that comes and goes. Equal sets have equal digests, in whatever order they came about.
 *
 * The hash has no secret, since all must agree on it: a member could make up records whose sums
 * collide, and so hide its own changes from the comparison. Gossip does not use it.
 */
#define CV_DIGEST_BUCKETS      256
#define CV_DIGEST_ROOT_SIZE    32
#define CV_DIGEST_BUCKETS_SIZE (CV_DIGEST_BUCKETS * 8)

struct cv_digest {
    uint64_t buckets[CV_DIGEST_BUCKETS];
};

/* Which buckets: one bit for each, the lowest bit of the first byte first. */
struct cv_bucket_set {
    uint8_t bits[CV_DIGEST_BUCKETS / 8];
};

void cv_digest_add(struct cv_digest *d, const struct cv_cluster_node *body, uint64_t incarnation);
/* The opposite of an add with the same arguments. */
void cv_digest_remove(struct cv_digest *d, const struct cv_cluster_node *body,
                      uint64_t incarnation);

void cv_digest_root(const struct cv_digest *d, uint8_t root[CV_DIGEST_ROOT_SIZE]);
/* The buckets as they travel: big-endian, in order. */
void cv_digest_write(const struct cv_digest *d, uint8_t bytes[CV_DIGEST_BUCKETS_SIZE]);
/* The buckets that differ from those of another node, which has CV_DIGEST_BUCKETS_SIZE bytes. */
struct cv_bucket_set cv_digest_compare(const struct cv_digest *d, struct cv_slice others);

bool cv_bucket_set_has(const struct cv_bucket_set *set, const covey_node_id *id);
bool cv_bucket_set_is_empty(const struct cv_bucket_set *set);

#endif
