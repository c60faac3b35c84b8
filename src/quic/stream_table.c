#include "quic/stream_table.h"

#include <assert.h>
#include <covey/error.h>

#define BITS_MIN 5
#define GOLDEN   UINT64_C(0x9e37000000000000)

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

static struct cv_stream_entry **slot_of(const struct cv_stream_table *t, int64_t id)
{
    /* Both sides' ids count up in steps of four: the number of the stream in the low bits. Those of eight
     * streams that follow each other share a line of the cache, which is what has to be waited for. */
    uint64_t key = (uint64_t)id >> 2 | (uint64_t)id << 62;
    uint64_t line = (key >> 3) * t->multiplier >> (67 - t->bits);
    return &t->slots[line << 3 | (key & 7)];
}

static void put(struct cv_stream_table *t, struct cv_stream_entry *entry)
{
    struct cv_stream_entry **slot = slot_of(t, entry->id);
    entry->next = *slot;
    *slot = entry;
}

int cv_stream_table_reserve(struct cv_stream_table *t)
{
    /* At most half full: most chains are of one. */
    if ((t->count + 1) * 2 <= slot_count(t))
        return COVEY_OK;
    struct cv_stream_table grown = *t;
    grown.bits = t->slots == NULL ? BITS_MIN : t->bits + 1;
    grown.slots = cv_allocate_zeroed(t->alloc, (size_t)1 << grown.bits, sizeof(*grown.slots));
    if (grown.slots == NULL)
        return COVEY_ERR_NO_MEMORY;
    for (size_t i = 0; i < slot_count(t); i++) {
        struct cv_stream_entry *next;
        for (struct cv_stream_entry *entry = t->slots[i]; entry != NULL; entry = next) {
            next = entry->next;
            put(&grown, entry);
        }
    }
    cv_release(t->alloc, t->slots);
    *t = grown;
    return COVEY_OK;
}

void cv_stream_table_put(struct cv_stream_table *t, struct cv_stream_entry *entry)
{
    assert((t->count + 1) * 2 <= slot_count(t));
    put(t, entry);
    t->count++;
}

struct cv_stream_entry *cv_stream_table_get(const struct cv_stream_table *t, int64_t id)
{
    if (t->slots == NULL)
        return NULL;
    struct cv_stream_entry *entry = *slot_of(t, id);
    while (entry != NULL && entry->id != id)
        entry = entry->next;
    return entry;
}

void cv_stream_table_remove(struct cv_stream_table *t, const struct cv_stream_entry *entry)
{
    struct cv_stream_entry **link = slot_of(t, entry->id);
    while (*link != entry) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = entry->next;
    t->count--;
}
