#include "base/rand.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* splitmix64 (Steele, Lea and Flood 2014), which xoshiro's authors advise for seeding: similar
 * seeds give unlike states, and no seed gives the all-zero state that xoshiro never leaves. */
static uint64_t splitmix(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void cv_rand_seed(struct cv_rand *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        r->state[i] = splitmix(&seed);
}

uint64_t cv_rand_u64(struct cv_rand *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t cv_rand_below(struct cv_rand *r, uint64_t bound)
{
    if (bound == 0)
        return 0;
    /* Without the first 2^64 mod bound numbers, each remainder is equally frequent. */
    uint64_t rejected = (UINT64_C(0) - bound) % bound;
    uint64_t number;
    do {
        number = cv_rand_u64(r);
    } while (number < rejected);
    return number % bound;
}

void cv_rand_bytes(struct cv_rand *r, void *memory, size_t size)
{
    uint8_t *bytes = memory;
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0)
            number = cv_rand_u64(r);
        /* By shifts and not by memcpy, so that every machine gives the same bytes. */
        bytes[i] = (uint8_t)(number >> 8 * (i % 8));
    }
}
