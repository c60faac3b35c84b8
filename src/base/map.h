#ifndef CV_BASE_MAP_H
#define CV_BASE_MAP_H

#include "base/alloc.h"
#include "base/siphash.h"
#include "base/slice.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A map from short byte strings to pointers. Peers choose many of our keys, so the hash is SipHash
 * with a key that they do not know (Aumasson and Bernstein 2012). Open addressing; a lookup never
 * allocates. Not thread-safe.
 *
 * Keys are borrowed: they live in the values and must not change or move while in the map.
 * Iteration has no defined order; where order matters, keep an array beside the map.
 */
struct cv_map_slot {
    uint64_t hash; /* 0: never used, 1: deleted */
    const uint8_t *key;
    void *value;
    uint32_t key_size;
};

struct cv_map {
    const struct cv_alloc *alloc;
    uint64_t secret[2];
    struct cv_map_slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;
    size_t used; /* count and the deleted ones */
    size_t count_max;
};

/* An empty map of at most `count_max` entries; allocates nothing. */
void cv_map_init(struct cv_map *m, const struct cv_alloc *alloc, const uint64_t secret[2],
                 size_t count_max);
/* Frees the table; the values are their owner's. */
void cv_map_fini(struct cv_map *m);

/* NULL when there is none. */
void *cv_map_get(const struct cv_map *m, struct cv_slice key);

/* For a lookup that comes soon: has the place fetched where the search for a key begins; and, when that is
 * there, the first `size` bytes of the value and of what its key is part of. They wait for nothing and
 * change nothing. `hash` is cv_map_hash() of the key, the same in all maps of one secret. */
void cv_map_prefetch(const struct cv_map *m, uint64_t hash);
void cv_map_prefetch_value(const struct cv_map *m, uint64_t hash, size_t size);
static inline uint64_t cv_map_hash(const struct cv_map *m, struct cv_slice key)
{
    return cv_siphash(m->secret, key);
}

/*
 * Adds an entry. Returns 0, or
 *   COVEY_ERR_EXISTS     the key is there already
 *   COVEY_ERR_LIMIT      count_max is reached
 *   COVEY_ERR_NO_MEMORY
 * and leaves the map unchanged on error. `value` is not NULL.
 */
COVEY_MUST_USE int cv_map_put(struct cv_map *m, struct cv_slice key, void *value);
/* Makes sure that `more` further puts cannot fail for want of memory. 0, LIMIT or NO_MEMORY. */
COVEY_MUST_USE int cv_map_reserve(struct cv_map *m, size_t more);
/* Removes an entry and returns its value; NULL when there is none. */
void *cv_map_remove(struct cv_map *m, struct cv_slice key);

/* Steps through the values: start with *cursor = 0; NULL at the end. The map must not change, but
 * for removing the entry just returned. */
void *cv_map_next(const struct cv_map *m, size_t *cursor);

#endif
