#include "base/map.h"

#include <assert.h>
#include <covey/error.h>

enum { HASH_UNUSED, HASH_DELETED, HASH_FIRST };

#define SLOT_COUNT_MIN 8

void cv_map_init(struct cv_map *m, const struct cv_alloc *alloc, const uint64_t secret[2],
                 size_t count_max)
{
    *m = (struct cv_map){.alloc = alloc, .secret = {secret[0], secret[1]}, .count_max = count_max};
}

void cv_map_fini(struct cv_map *m)
{
    cv_release(m->alloc, m->slots);
    *m = (struct cv_map){0};
}

/* As it stands in a slot. */
static uint64_t slot_hash(uint64_t hash)
{
    return hash < HASH_FIRST ? hash + HASH_FIRST : hash;
}

static uint64_t hash_key(const struct cv_map *m, struct cv_slice key)
{
    return slot_hash(cv_map_hash(m, key));
}

static struct cv_map_slot *find(const struct cv_map *m, uint64_t hash, struct cv_slice key)
{
    if (m->slot_count == 0)
        return NULL;
    size_t mask = m->slot_count - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct cv_map_slot *slot = &m->slots[i];
        if (slot->hash == HASH_UNUSED)
            return NULL;
        if (slot->hash == hash && cv_slice_equal(cv_slice_of(slot->key, slot->key_size), key))
            return slot;
    }
}

/* The first slot for a key that is not in the table. */
static struct cv_map_slot *find_free(struct cv_map_slot *slots, size_t slot_count, uint64_t hash)
{
    size_t mask = slot_count - 1;
    size_t i = (size_t)hash & mask;
    while (slots[i].hash >= HASH_FIRST)
        i = (i + 1) & mask;
    return &slots[i];
}

/* Some slots stay unused, so that probing is short and always ends. */
static size_t used_max(const struct cv_map *m)
{
    return m->slot_count - m->slot_count / 4;
}

/* Twice the room that the entries need: then a rebuild leaves a quarter of the table for deleted
 * ones, which pays for the next. 0 when it would not fit into memory. */
static size_t slot_count_for(const struct cv_map *m, size_t count)
{
    if (count > SIZE_MAX / sizeof(struct cv_map_slot) / 4)
        return 0;
    size_t slot_count = m->slot_count == 0 ? SLOT_COUNT_MIN : m->slot_count;
    while (slot_count / 2 < count)
        slot_count *= 2;
    return slot_count;
}

/* Makes a new table of the entries, without the deleted ones. */
static int rebuild(struct cv_map *m, size_t slot_count)
{
    struct cv_map_slot *slots = cv_allocate_zeroed(m->alloc, slot_count, sizeof *slots);
    if (slots == NULL)
        return COVEY_ERR_NO_MEMORY;
    for (size_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].hash >= HASH_FIRST)
            *find_free(slots, slot_count, m->slots[i].hash) = m->slots[i];
    }
    cv_release(m->alloc, m->slots);
    m->slots = slots;
    m->slot_count = slot_count;
    m->used = m->count;
    return 0;
}

int cv_map_reserve(struct cv_map *m, size_t more)
{
    assert(m->count <= m->used && m->used <= used_max(m));
    if (more > m->count_max - m->count)
        return COVEY_ERR_LIMIT;
    if (more <= used_max(m) - m->used)
        return 0;
    size_t slot_count = slot_count_for(m, m->count + more);
    return slot_count == 0 ? COVEY_ERR_NO_MEMORY : rebuild(m, slot_count);
}

void *cv_map_get(const struct cv_map *m, struct cv_slice key)
{
    const struct cv_map_slot *slot = find(m, hash_key(m, key), key);
    return slot == NULL ? NULL : slot->value;
}

void cv_map_prefetch(const struct cv_map *m, uint64_t hash)
{
    if (m->slot_count > 0)
        __builtin_prefetch(&m->slots[(size_t)slot_hash(hash) & (m->slot_count - 1)]);
}

/* Keys are not compared: they are what is not there yet. */
void cv_map_prefetch_value(const struct cv_map *m, uint64_t hash, size_t size)
{
    hash = slot_hash(hash);
    for (size_t n = 0; n < m->slot_count; n++) {
        const struct cv_map_slot *slot = &m->slots[((size_t)hash + n) & (m->slot_count - 1)];
        if (slot->hash == HASH_UNUSED)
            return;
        if (slot->hash != hash)
            continue;
        __builtin_prefetch(slot->key);
        for (size_t i = 0; i < size; i += 64)
            __builtin_prefetch((const char *)slot->value + i);
        return;
    }
}

int cv_map_put(struct cv_map *m, struct cv_slice key, void *value)
{
    assert(value != NULL && key.size <= UINT32_MAX);
    uint64_t hash = hash_key(m, key);
    if (find(m, hash, key) != NULL)
        return COVEY_ERR_EXISTS;
    int error = cv_map_reserve(m, 1);
    if (error != 0)
        return error;

    struct cv_map_slot *slot = find_free(m->slots, m->slot_count, hash);
    if (slot->hash == HASH_UNUSED)
        m->used++;
    m->count++;
    *slot = (struct cv_map_slot){
        .hash = hash, .key = key.data, .value = value, .key_size = (uint32_t)key.size};
    return 0;
}

void *cv_map_remove(struct cv_map *m, struct cv_slice key)
{
    struct cv_map_slot *slot = find(m, hash_key(m, key), key);
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    *slot = (struct cv_map_slot){.hash = HASH_DELETED};
    m->count--;
    return value;
}

void *cv_map_next(const struct cv_map *m, size_t *cursor)
{
    while (*cursor < m->slot_count) {
        const struct cv_map_slot *slot = &m->slots[(*cursor)++];
        if (slot->hash >= HASH_FIRST)
            return slot->value;
    }
    return NULL;
}
