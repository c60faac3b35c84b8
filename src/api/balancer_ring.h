#ifndef CV_API_BALANCER_RING_H
#define CV_API_BALANCER_RING_H

#include "base/alloc.h"

#include <covey/node.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Which node has a key: consistent hashing with several probes (Appleton and O'Reilly 2015). Each
 * node has some points on a ring of 2^64, from its id alone; a key has some probes, from its hash
 * alone. The probe that has the shortest way to the next point decides:
 *
 *     0 ----A---B--------A------C---------B----C--- 2^64
 *              ^  probe 1: 7 to A   ^ probe 2: 9 to B     ^ probe 3: 2 to A, round the end
 *
 * So the answer is one of who the nodes are and of nothing else, not of who came first. One that
 * goes takes a point away: only keys that were its own had their shortest way there. One that comes
 * takes keys from others to itself, and moves none between them. Of 500 nodes the one with the most
 * keys has a fifth more than the mean.
 *
 * The points stand in order, with an index by their first bits, so that a probe costs a few steps;
 * a search in halves where somebody has put very many points into one place, which who makes ids
 * can.
 *
 * One writer, any number of readers without a lock, who must find out by themselves whether the
 * ring was written meanwhile (balancer_table.h): what they get then is a slot like any other.
 */
#define CV_RING_POINTS 8 /* of each node */
#define CV_RING_PROBES 8 /* of each key */

struct cv_balancer_ring {
    const struct cv_alloc *alloc;
    uint32_t size_max;
    atomic_uint_least32_t size;
    atomic_uint_least32_t shift; /* a point's first bits: point >> shift */
    atomic_uint_fast64_t *points;
    atomic_uint_least32_t *slots; /* whose they are */
    atomic_uint_least32_t *index; /* by first bits: the first point that has them or higher ones */
    uint32_t fresh; /* the writer's: points at the end of the memory, of nodes that come */
};

/* 0 or COVEY_ERR_NO_MEMORY. `alloc` outlives it. */
COVEY_MUST_USE int cv_balancer_ring_init(struct cv_balancer_ring *ring,
                                         const struct cv_alloc *alloc, uint32_t nodes_max);
/* Twice is once. */
void cv_balancer_ring_fini(struct cv_balancer_ring *ring);

/*
 * The writer makes a ring of another: begins it, enters each node that comes, and merges those with
 * the nodes of `old` that stay, `nodes` in all. `owners` are ids by slot; they decide between equal
 * points. Costs a few steps for each point of both, and sorting those of the nodes that come.
 */
void cv_balancer_ring_begin(struct cv_balancer_ring *ring);
/* Up to nodes_max with those that stay. */
void cv_balancer_ring_enter(struct cv_balancer_ring *ring, const covey_node_id *id, uint32_t slot);
void cv_balancer_ring_merge(struct cv_balancer_ring *ring, const struct cv_balancer_ring *old,
                            uint32_t nodes, const covey_node_id *owners,
                            bool (*stays)(const void *user, uint32_t slot), const void *user);

/* Any thread: the slot of the node that has this key when the one of slot `avoid` is not there, who
 * is named only when there is no other; UINT32_MAX: all are. False: nobody is there. */
bool cv_balancer_ring_find(const struct cv_balancer_ring *ring, uint64_t hash, uint32_t avoid,
                           uint32_t *slot);

#endif
