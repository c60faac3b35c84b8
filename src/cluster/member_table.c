#include "cluster/member_table.h"

#include "base/prefetch.h"
#include "base/siphash.h"

#include <assert.h>
#include <covey/error.h>
#include <string.h>

void cv_member_table_init(struct cv_member_table *t, const struct cv_alloc *alloc,
                          const uint64_t secret[2], cv_member_id_of *id_of, const void *owner)
{
    *t = (struct cv_member_table){
        .alloc = alloc, .secret = {secret[0], secret[1]}, .id_of = id_of, .owner = owner};
}

void cv_member_table_fini(struct cv_member_table *t)
{
    cv_release(t->alloc, t->entries);
}

uint64_t cv_member_table_hash(const struct cv_member_table *t, const covey_node_id *id)
{
    return cv_siphash(t->secret, cv_slice_of(id->bytes, sizeof(id->bytes)));
}

/* Where the search for it begins. */
static size_t home_of(const struct cv_member_table *t, uint64_t hash)
{
    return (size_t)hash & (t->capacity - 1);
}

static uint32_t entry_of(uint64_t hash, uint32_t number)
{
    return (uint32_t)(hash >> 55) << 23 | number;
}

static uint32_t number_of(uint32_t entry)
{
    return entry & ((1u << 23) - 1);
}

static const covey_node_id *id_of(const struct cv_member_table *t, size_t place)
{
    return t->id_of(t->owner, number_of(t->entries[place]));
}

static size_t next_of(const struct cv_member_table *t, size_t place)
{
    return (place + 1) & (t->capacity - 1);
}

static void put(struct cv_member_table *t, uint32_t number)
{
    uint64_t hash = cv_member_table_hash(t, t->id_of(t->owner, number));
    size_t place = home_of(t, hash);
    while (t->entries[place] != CV_MEMBER_TABLE_NONE)
        place = next_of(t, place);
    t->entries[place] = entry_of(hash, number);
}

static int grow(struct cv_member_table *t, size_t capacity)
{
    struct cv_member_table old = *t;
    t->entries = cv_allocate(t->alloc, capacity * sizeof(*t->entries));
    if (t->entries == NULL) {
        t->entries = old.entries;
        return COVEY_ERR_NO_MEMORY;
    }
    t->capacity = capacity;
    memset(t->entries, 0xff, capacity * sizeof(*t->entries));
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i] != CV_MEMBER_TABLE_NONE)
            put(t, number_of(old.entries[i]));
    }
    cv_release(t->alloc, old.entries);
    return COVEY_OK;
}

int cv_member_table_reserve(struct cv_member_table *t, size_t more)
{
    size_t wanted = t->count + more;
    size_t capacity = t->capacity < 16 ? 16 : t->capacity;
    while (capacity / 4 * 3 < wanted)
        capacity *= 2;
    return capacity == t->capacity ? COVEY_OK : grow(t, capacity);
}

int cv_member_table_copy(struct cv_member_table *t, const struct cv_member_table *from)
{
    assert(t->count == 0 && memcmp(t->secret, from->secret, sizeof(t->secret)) == 0);
    uint32_t *entries = cv_allocate(t->alloc, from->capacity * sizeof(*entries));
    if (entries == NULL)
        return COVEY_ERR_NO_MEMORY;
    memcpy(entries, from->entries, from->capacity * sizeof(*entries));
    cv_release(t->alloc, t->entries);
    t->entries = entries;
    t->capacity = from->capacity;
    t->count = from->count;
    return COVEY_OK;
}

void cv_member_table_put(struct cv_member_table *t, uint32_t number)
{
    assert(t->count < t->capacity / 4 * 3 && number <= CV_MEMBER_NUMBER_MAX);
    put(t, number);
    t->count++;
}

/* True when the entry is none, or may be that of an id with this hash. */
static bool ends_search(uint32_t entry, uint64_t hash)
{
    return entry == CV_MEMBER_TABLE_NONE || entry == entry_of(hash, number_of(entry));
}

/* Where it is, or the free place where it would be. */
static size_t find(const struct cv_member_table *t, uint64_t hash, const covey_node_id *id)
{
    size_t place = home_of(t, hash);
    while (!ends_search(t->entries[place], hash) ||
           (t->entries[place] != CV_MEMBER_TABLE_NONE && !cv_node_id_equal(id_of(t, place), id)))
        place = next_of(t, place);
    return place;
}

uint32_t cv_member_table_get_hashed(const struct cv_member_table *t, uint64_t hash,
                                    const covey_node_id *id)
{
    if (t->capacity == 0)
        return CV_MEMBER_TABLE_NONE;
    uint32_t entry = t->entries[find(t, hash, id)];
    return entry == CV_MEMBER_TABLE_NONE ? entry : number_of(entry);
}

uint32_t cv_member_table_get(const struct cv_member_table *t, const covey_node_id *id)
{
    return cv_member_table_get_hashed(t, cv_member_table_hash(t, id), id);
}

void cv_member_table_prefetch(const struct cv_member_table *t, uint64_t hash)
{
    if (t->capacity > 0)
        cv_prefetch(&t->entries[home_of(t, hash)], sizeof(*t->entries));
}

uint32_t cv_member_table_guess(const struct cv_member_table *t, uint64_t hash)
{
    if (t->capacity == 0)
        return CV_MEMBER_TABLE_NONE;
    size_t place = home_of(t, hash);
    while (!ends_search(t->entries[place], hash))
        place = next_of(t, place);
    return t->entries[place] == CV_MEMBER_TABLE_NONE ? CV_MEMBER_TABLE_NONE
                                                     : number_of(t->entries[place]);
}

void cv_member_table_remove(struct cv_member_table *t, const covey_node_id *id)
{
    size_t hole = find(t, cv_member_table_hash(t, id), id);
    assert(t->entries[hole] != CV_MEMBER_TABLE_NONE);
    t->count--;
    /* One after the hole moves into it unless its home lies between the two. */
    for (size_t place = next_of(t, hole); t->entries[place] != CV_MEMBER_TABLE_NONE;
         place = next_of(t, place)) {
        size_t home = home_of(t, cv_member_table_hash(t, id_of(t, place)));
        size_t from_home = (place - home) & (t->capacity - 1);
        size_t from_hole = (place - hole) & (t->capacity - 1);
        if (from_home < from_hole)
            continue;
        t->entries[hole] = t->entries[place];
        hole = place;
    }
    t->entries[hole] = CV_MEMBER_TABLE_NONE;
}
