#ifndef CV_CLUSTER_INCARNATION_H
#define CV_CLUSTER_INCARNATION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Incarnation numbers order what is said about one node (SWIM section 4.2). A node starts with the
 * wall clock in milliseconds and only the node itself raises its own. They are compared as serial
 * numbers, so that a wrap does no harm:
 *
 *     a is after b  <=>  0 < (a - b mod 2^64) < 2^63;  exactly 2^63 apart: the larger raw value
 *
 * This is antisymmetric everywhere and transitive inside any window of less than 2^63, but not over
 * the whole ring: never sort by it.
 */

/* How far hearsay may be ahead of what is known: 2^40 ms, 34 years. */
#define CV_INCARNATION_WINDOW (UINT64_C(1) << 40)
/* How far a node's own clock may be ahead of ours. */
#define CV_INCARNATION_CLOCK_SKEW_MS UINT64_C(86400000)

/* -1, 0 or 1: a is before, equal to or after b. */
int cv_incarnation_compare(uint64_t a, uint64_t b);

/* What a node accused at `accused` takes: the one after both. */
uint64_t cv_incarnation_refute(uint64_t own, uint64_t accused);

/*
 * True when hearsay at `told` may be believed by one that knows `known`, or is old news to him: it is not far
 * ahead. Nor is it a larger number that is before `known` only because numbers wrap, unless it is near: nobody
 * ever issued that, since the wall clock is where they begin.
 *
 *     0        known      known + 2^40          known + 2^63          2^64
 *     | old news | ahead: near | far ahead: not near | as far: not near |
 */
bool cv_incarnation_is_near(uint64_t known, uint64_t told);

/* The same for what came on the node's own connection: up to our wall clock and a day, too, however
 * old `known` is. */
bool cv_incarnation_is_owners(uint64_t known, uint64_t told, uint64_t wall_ms);

#endif
