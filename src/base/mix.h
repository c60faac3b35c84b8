#ifndef CV_BASE_MIX_H
#define CV_BASE_MIX_H

#include <stdint.h>

/*
 * A bijection of 64-bit numbers that spreads every bit: the finisher of SplitMix64 (Steele, Lea and
 * Flood 2014). For places and sums that all must agree on; no protection against who chooses the
 * input, for which there is base/siphash.h.
 */
static inline uint64_t cv_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

#endif
