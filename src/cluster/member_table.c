#include "cluster/member_table.h"

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
    cv_release(t->alloc, t->numbers);
}

/* Where the search for an id begins. */
static size_t home_of(const struct cv_member_table *t, const covey_node_id *id)
{
    return (size_t)cv_siphash(t->secret, cv_slice_of(id->bytes, sizeof(id->bytes))) &
           (t->capacity - 1);
}

static size_t next_of(const struct cv_member_table *t, size_t place)
{
    return (place + 1) & (t->capacity - 1);
}

static void put(struct cv_member_table *t, uint32_t number)
{
    size_t place = home_of(t, t->id_of(t->owner, number));
    while (t->numbers[place] != CV_MEMBER_TABLE_NONE)
        place = next_of(t, place);
    t->numbers[place] = number;
}

static int grow(struct cv_member_table *t, size_t capacity)
{
    struct cv_member_table old = *t;
    t->numbers = cv_allocate(t->alloc, capacity * sizeof(*t->numbers));
    if (t->numbers == NULL) {
        t->numbers = old.numbers;
        return COVEY_ERR_NO_MEMORY;
    }
    t->capacity = capacity;
    memset(t->numbers, 0xff, capacity * sizeof(*t->numbers));
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.numbers[i] != CV_MEMBER_TABLE_NONE)
            put(t, old.numbers[i]);
    }
    cv_release(t->alloc, old.numbers);
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

void cv_member_table_put(struct cv_member_table *t, uint32_t number)
{
    assert(t->count < t->capacity / 4 * 3);
    put(t, number);
    t->count++;
}

/* Where it is, or the free place where it would be. */
static size_t find(const struct cv_member_table *t, const covey_node_id *id)
{
    size_t place = home_of(t, id);
    while (t->numbers[place] != CV_MEMBER_TABLE_NONE &&
           covey_node_id_compare(t->id_of(t->owner, t->numbers[place]), id) != 0)
        place = next_of(t, place);
    return place;
}

uint32_t cv_member_table_get(const struct cv_member_table *t, const covey_node_id *id)
{
    return t->capacity == 0 ? CV_MEMBER_TABLE_NONE : t->numbers[find(t, id)];
}

void cv_member_table_remove(struct cv_member_table *t, const covey_node_id *id)
{
    size_t hole = find(t, id);
    assert(t->numbers[hole] != CV_MEMBER_TABLE_NONE);
    t->count--;
    /* One after the hole moves into it unless its home lies between the two. */
    for (size_t place = next_of(t, hole); t->numbers[place] != CV_MEMBER_TABLE_NONE;
         place = next_of(t, place)) {
        size_t home = home_of(t, t->id_of(t->owner, t->numbers[place]));
        size_t from_home = (place - home) & (t->capacity - 1);
        size_t from_hole = (place - hole) & (t->capacity - 1);
        if (from_home < from_hole)
            continue;
        t->numbers[hole] = t->numbers[place];
        hole = place;
    }
    t->numbers[hole] = CV_MEMBER_TABLE_NONE;
}
