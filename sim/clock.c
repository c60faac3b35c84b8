#include "clock.h"

#include "cluster/gossip/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * An event that is set again while it waits, as a node's deadline is after each step, mostly moves
 * later or not at all. So its entry stays where it is, and when that comes up it goes to where it
 * belongs by then. One that moves earlier gets another entry; the old one is nobody's any more.
 */

/* What is ahead of less than these has a heap of its own: what travels should not have to be sorted
 * in among the many that are far away. */
static const covey_time ahead_of_heap[SIM_HEAPS - 1] = {8 * COVEY_MILLISECOND, 5 * COVEY_SECOND};
#define FAR_AHEAD (5 * COVEY_SECOND)
#define FAR_ORDER (UINT64_C(1) << 63)

/* How many events a slab of the pool has. */
#define SLAB_EVENTS 256

static const size_t bytes_of_class[SIM_SIZE_CLASSES] = {64, 256, 1200, CV_MAX_MESSAGE_SIZE};

struct sim_slab {
    struct sim_slab *next;
};

void *sim_allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        abort();
    return memory;
}

void *sim_reallocate(void *memory, size_t count, size_t size)
{
    assert(size == 0 || count <= SIZE_MAX / size);
    void *moved = realloc(memory, count * size);
    if (moved == NULL)
        abort();
    return moved;
}

void sim_clock_init(struct sim_clock *c, size_t event_count_max)
{
    *c = (struct sim_clock){.event_count_max = event_count_max};
}

void sim_clock_fini(struct sim_clock *c)
{
    for (size_t i = 0; i < SIM_HEAPS; i++)
        sim_event_heap_fini(&c->heaps[i]);
    while (c->slabs != NULL) {
        struct sim_slab *next = c->slabs->next;
        free(c->slabs);
        c->slabs = next;
    }
}

static size_t class_of(size_t size)
{
    size_t class = 0;
    while (bytes_of_class[class] < size)
        class ++;
    assert(class < SIM_SIZE_CLASSES);
    return class;
}

static size_t event_size(size_t class)
{
    return sizeof(struct sim_event) + bytes_of_class[class];
}

static void add_slab(struct sim_clock *c, size_t class)
{
    /* Events are aligned as the slab's head is: all sizes are multiples of eight. */
    struct sim_slab *slab = malloc(sizeof(*slab) + SLAB_EVENTS * event_size(class));
    if (slab == NULL)
        abort();
    slab->next = c->slabs;
    c->slabs = slab;
    uint8_t *memory = (uint8_t *)(slab + 1);
    for (size_t i = 0; i < SLAB_EVENTS; i++) {
        struct sim_event *e = (struct sim_event *)(void *)(memory + i * event_size(class));
        e->next = c->free[class];
        c->free[class] = e;
    }
}

struct sim_event *sim_clock_new(struct sim_clock *c, enum sim_event_kind kind, size_t size)
{
    size_t class = class_of(size);
    if (c->event_count >= c->event_count_max)
        return NULL;
    if (c->free[class] == NULL)
        add_slab(c, class);
    struct sim_event *e = c->free[class];
    c->free[class] = e->next;
    *e = (struct sim_event){
        .size = (uint16_t)size, .kind = (uint8_t)kind, .size_class = (uint8_t) class};
    c->event_count++;
    return e;
}

static void add_entry(struct sim_clock *c, struct sim_event *e)
{
    size_t heap = 0;
    while (heap < SIM_HEAPS - 1 && e->time > c->now + ahead_of_heap[heap])
        heap++;
    sim_event_heap_push(&c->heaps[heap], &(struct sim_entry){e->time, e->order, e, e->node});
    e->entry = e->order;
    e->entry_time = e->time;
}

void sim_clock_set(struct sim_clock *c, struct sim_event *e, covey_time time)
{
    bool is_far = time > c->now + FAR_AHEAD;
    if (time == COVEY_NEVER) {
        sim_clock_clear(e);
        return;
    }
    c->order++;
    e->time = time < c->now ? c->now : time;
    e->order = is_far ? FAR_ORDER | c->order : c->order;
    e->is_set = true;
    if (e->entry == 0 || e->time < e->entry_time ||
        (e->time == e->entry_time && e->order < e->entry))
        add_entry(c, e);
}

void sim_clock_clear(struct sim_event *e)
{
    e->is_set = false;
}

void sim_clock_free(struct sim_clock *c, struct sim_event *e)
{
    assert(c->event_count > 0 && !e->is_set);
    c->event_count--;
    e->next = c->free[e->size_class];
    c->free[e->size_class] = e;
}

/* The heap whose first entry is the first of all; NULL when all are empty. */
static struct sim_event_heap *first_heap(struct sim_clock *c)
{
    struct sim_event_heap *first = NULL;
    for (size_t i = 0; i < SIM_HEAPS; i++) {
        if (c->heaps[i].count > 0 &&
            (first == NULL || sim_entry_is_before(c->heaps[i].entries, first->entries)))
            first = &c->heaps[i];
    }
    return first;
}

static struct sim_entry *ready_at(struct sim_clock *c, size_t index)
{
    return &c->ready[(c->ready_first + index) % SIM_AHEAD];
}

const struct sim_entry *sim_clock_ahead(const struct sim_clock *c, size_t index)
{
    return index < c->ready_count ? &c->ready[(c->ready_first + index) % SIM_AHEAD] : NULL;
}

uint64_t sim_clock_taken(const struct sim_clock *c)
{
    return c->taken;
}

static void look_ahead(struct sim_clock *c)
{
    struct sim_event_heap *heap;
    while (c->ready_count < SIM_AHEAD && (heap = first_heap(c)) != NULL) {
        if (c->ready_count > 0 &&
            sim_entry_is_before(heap->entries, ready_at(c, c->ready_count - 1)))
            return;
        *ready_at(c, c->ready_count) = sim_event_heap_pop(heap);
        c->ready_count++;
    }
}

/* Takes out the first entry of all up to `end`; false when there is none. */
static bool take_first(struct sim_clock *c, covey_time end, struct sim_entry *out)
{
    look_ahead(c);
    struct sim_event_heap *heap = first_heap(c);
    bool is_ready =
        c->ready_count > 0 && (heap == NULL || sim_entry_is_before(ready_at(c, 0), heap->entries));
    if ((!is_ready && heap == NULL) || (is_ready ? ready_at(c, 0) : heap->entries)->time > end)
        return false;
    if (!is_ready) {
        *out = sim_event_heap_pop(heap);
        return true;
    }
    *out = *ready_at(c, 0);
    c->ready_first = (c->ready_first + 1) % SIM_AHEAD;
    c->ready_count--;
    c->taken++;
    return true;
}

/* True when the event of an entry that was taken out is due by it; it is not set any more then. */
static bool is_due(struct sim_clock *c, const struct sim_entry *entry)
{
    struct sim_event *e = entry->event;
    if (e->entry != entry->order)
        return false; /* it has another, or is not what it was */
    e->entry = 0;
    if (!e->is_set)
        return false;
    if (e->order != entry->order) {
        add_entry(c, e);
        return false;
    }
    e->is_set = false;
    return true;
}

struct sim_event *sim_clock_next(struct sim_clock *c, covey_time end)
{
    struct sim_entry entry;
    while (take_first(c, end, &entry)) {
        if (!is_due(c, &entry))
            continue;
        assert(entry.time >= c->now);
        c->now = entry.time;
        return entry.event;
    }
    return NULL;
}

struct sim_event *sim_clock_take(struct sim_clock *c)
{
    struct sim_entry entry;
    while (take_first(c, COVEY_NEVER, &entry)) {
        if (is_due(c, &entry))
            return entry.event;
    }
    return NULL;
}
