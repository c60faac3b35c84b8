#include "event_heap.h"

#include "clock.h"

#include <assert.h>
#include <stdlib.h>

#define CHILDREN     4
#define CAPACITY_MIN 256

void sim_event_heap_fini(struct sim_event_heap *h)
{
    free(h->entries);
}

bool sim_entry_is_before(const struct sim_entry *a, const struct sim_entry *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    return a->order < b->order;
}

void sim_event_heap_push(struct sim_event_heap *h, const struct sim_entry *entry)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity == 0 ? CAPACITY_MIN : h->capacity * 2;
        h->entries = sim_reallocate(h->entries, h->capacity, sizeof(*h->entries));
    }
    size_t place = h->count++;
    while (place > 0 && sim_entry_is_before(entry, &h->entries[(place - 1) / CHILDREN])) {
        h->entries[place] = h->entries[(place - 1) / CHILDREN];
        place = (place - 1) / CHILDREN;
    }
    h->entries[place] = *entry;
}

const struct sim_entry *sim_event_heap_first(const struct sim_event_heap *h)
{
    return h->count == 0 ? NULL : h->entries;
}

static size_t first_child(const struct sim_event_heap *h, size_t place)
{
    size_t first = place * CHILDREN + 1;
    size_t end = first + CHILDREN < h->count ? first + CHILDREN : h->count;
    size_t least = first;
    for (size_t i = first + 1; i < end; i++) {
        if (sim_entry_is_before(&h->entries[i], &h->entries[least]))
            least = i;
    }
    return least;
}

struct sim_entry sim_event_heap_pop(struct sim_event_heap *h)
{
    assert(h->count > 0);
    const struct sim_entry first = h->entries[0];
    h->count--;
    const struct sim_entry last = h->entries[h->count];
    size_t place = 0;
    while (place * CHILDREN + 1 < h->count) {
        size_t child = first_child(h, place);
        if (!sim_entry_is_before(&h->entries[child], &last))
            break;
        h->entries[place] = h->entries[child];
        place = child;
    }
    h->entries[place] = last;
    return first;
}
