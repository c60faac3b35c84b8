#ifndef SIM_EVENT_HEAP_H
#define SIM_EVENT_HEAP_H

#include <covey/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What will happen, by when and then by order: a heap of entries four to a parent, each of which has
 * all that it is sorted by, so that a run of many thousand nodes goes through a few cache lines to
 * find its next event.
 */
struct sim_event;

struct sim_entry {
    covey_time time;
    uint64_t order;
    struct sim_event *event;
    uint32_t node; /* of the event */
};

struct sim_event_heap {
    struct sim_entry *entries;
    size_t count;
    size_t capacity;
};

void sim_event_heap_fini(struct sim_event_heap *h);
void sim_event_heap_push(struct sim_event_heap *h, const struct sim_entry *entry);
/* The first one; NULL when there is none. */
const struct sim_entry *sim_event_heap_first(const struct sim_event_heap *h);
/* Takes the first one out; there must be one. */
struct sim_entry sim_event_heap_pop(struct sim_event_heap *h);
bool sim_entry_is_before(const struct sim_entry *a, const struct sim_entry *b);

#endif
