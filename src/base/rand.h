#ifndef CV_BASE_RAND_H
#define CV_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/*
 * A seeded generator for schedules, jitter and shuffles: xoshiro256** (Blackman and Vigna 2018).
 * The same seed gives the same numbers everywhere. Not for keys, tokens or connection ids: those
 * come from the operating system (io/entropy.h).
 */
struct cv_rand {
    uint64_t state[4];
};

void cv_rand_seed(struct cv_rand *r, uint64_t seed);
uint64_t cv_rand_u64(struct cv_rand *r);
/* Uniform in [0, bound), without bias; 0 when bound is 0. */
uint64_t cv_rand_below(struct cv_rand *r, uint64_t bound);
void cv_rand_bytes(struct cv_rand *r, void *memory, size_t size);

#endif
