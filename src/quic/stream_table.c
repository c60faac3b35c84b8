#include "quic/stream_table.h"

#include <assert.h>
#include <covey/error.h>

#define BITS_MIN         5
#define GOLDEN           UINT64_C(0x9e37000000000000)
#define SLOTS_PER_STREAM 4

void cv_stream_table_init(struct cv_stream_table *t, const struct cv_alloc *alloc, uint64_t random)
{
    /* Begins like the golden ratio, which spreads numbers that follow each other, and goes on as
     * nobody knows. */
    *t = (struct cv_stream_table){.alloc = alloc, .multiplier = GOLDEN | random >> 16 | 1};
}

void cv_stream_table_fini(struct cv_stream_table *t)
{
    cv_release(t->alloc, t->slots);
    *t = (struct cv_stream_table){0};
}

static size_t slot_count(const struct cv_stream_table *t)
{
    return t->slots == NULL ? 0 : (size_t)1 << t->bits;
}

static size_t home(const struct cv_stream_table *t, int64_t id)
{
    /* Both sides' ids count up in steps of four: the number of the stream in the low bits. Those of four
     * streams that follow each other share a line of the cache, which is what has to be waited for. */
    uint64_t key = (uint64_t)id >> 2 | (uint64_t)id << 62;
    uint64_t line = (key >> 2) * t->multiplier >> (66 - t->bits);
    return (size_t)(line << 2 | (key & 3));
}

/* The slot of `id`, or the free one where it would go. */
static size_t find(const struct cv_stream_table *t, int64_t id)
{
    size_t mask = slot_count(t) - 1;
    size_t i = home(t, id);
    while (t->slots[i].stream != NULL && t->slots[i].id != id)
        i = (i + 1) & mask;
    return i;
}

int cv_stream_table_reserve(struct cv_stream_table *t)
{
    /* At most a quarter full: probing stays short, and so does closing the holes. */
    if ((t->count + 1) * SLOTS_PER_STREAM <= slot_count(t))
        return COVEY_OK;
    struct cv_stream_table grown = *t;
    grown.bits = t->slots == NULL ? BITS_MIN : t->bits + 1;
    grown.slots = cv_allocate_zeroed(t->alloc, (size_t)1 << grown.bits, sizeof(*grown.slots));
    if (grown.slots == NULL)
        return COVEY_ERR_NO_MEMORY;
    for (size_t i = 0; i < slot_count(t); i++) {
        if (t->slots[i].stream != NULL)
            grown.slots[find(&grown, t->slots[i].id)] = t->slots[i];
    }
    cv_release(t->alloc, t->slots);
    *t = grown;
    return COVEY_OK;
}

void cv_stream_table_put(struct cv_stream_table *t, int64_t id, void *stream)
{
    assert((t->count + 1) * SLOTS_PER_STREAM <= slot_count(t));
    assert(stream != NULL);
    size_t i = find(t, id);
    assert(t->slots[i].stream == NULL);
    t->slots[i] = (struct cv_stream_slot){.id = id, .stream = stream};
    t->count++;
}

void *cv_stream_table_get(const struct cv_stream_table *t, int64_t id)
{
    return t->slots == NULL ? NULL : t->slots[find(t, id)].stream;
}

void cv_stream_table_remove(struct cv_stream_table *t, int64_t id)
{
    if (t->slots == NULL)
        return;
    size_t mask = slot_count(t) - 1;
    size_t hole = find(t, id);
    if (t->slots[hole].stream == NULL)
        return;
    t->slots[hole].stream = NULL;
    t->count--;
    /* Moves back whatever could only be found past the hole. */
    for (size_t i = (hole + 1) & mask; t->slots[i].stream != NULL; i = (i + 1) & mask) {
        size_t distance = (i - home(t, t->slots[i].id)) & mask;
        if (distance >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            t->slots[i].stream = NULL;
            hole = i;
        }
    }
}
