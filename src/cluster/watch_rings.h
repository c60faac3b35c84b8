#ifndef CV_CLUSTER_WATCH_RINGS_H
#define CV_CLUSTER_WATCH_RINGS_H

#include "cluster/node_registry.h"

/*
 * Whom this node watches. On each of w rings every node has a pseudo-random place; a node watches
 * its predecessors, the nearest before its own place, on all rings, and on a ring whose predecessor
 * it watches already the next one before that. So everybody is watched by about w others, whatever
 * the size of the cluster, everybody finds the same rings without a word about it, and the watch
 * connections together are a random regular graph on which news travels fast (the idea is
 * Fireflies', Johansen et al. 2006). In a cluster of w + 1 or fewer everybody watches everybody.
 *
 * Pure; choosing costs time by the number of members, asking whether one is needed does not.
 */
#define CV_RINGS_MAX 8

struct cv_watch_rings {
    covey_node_id self;
    uint64_t own; /* our id as one number */
    size_t ring_count;
    size_t chosen_count; /* min(ring_count, live members - 1) */
    covey_node_id chosen[CV_RINGS_MAX];
    uint64_t distances[CV_RINGS_MAX]; /* of chosen[i] before us, on ring i */
};

/* Nobody is chosen yet. `ring_count` is at most CV_RINGS_MAX; with 0 nobody ever is. */
void cv_watch_rings_init(struct cv_watch_rings *r, const covey_node_id *self, size_t ring_count);
/* True when a choice is to be made anew: a node came, or went. */
bool cv_watch_rings_wants(const struct cv_watch_rings *r, const covey_node_id *came);
bool cv_watch_rings_misses(const struct cv_watch_rings *r, const covey_node_id *gone);
/* The other direction: of some nodes that all want to watch us, the index of the one that is least
 * likely to be right. On every ring the nearest after us stays; of the others the one goes that is
 * farthest on its best ring. `count` is at least 1 and at most CV_RING_SUITORS_MAX. */
#define CV_RING_SUITORS_MAX 32
size_t cv_watch_rings_unlikely(const struct cv_watch_rings *r, const covey_node_id *const *ids,
                               size_t count);
/* Chooses among the live members. */
void cv_watch_rings_choose(struct cv_watch_rings *r, const struct cv_node_registry *registry);

#endif
