#include "clock.h"

#include "cluster/gossip/message.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>
#include <string.h>

/* Ahead of so much time there is little that ever comes about, and it would be in the way of the
 * rest: each event that is taken out moves others through the whole depth of the heap. */
#define FAR_AHEAD (5 * COVEY_SECOND)

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

static void reserve(struct sim_clock *c)
{
    size_t count = c->event_count + c->own_count;
    if (cv_heap_reserve(&c->heap, count) != COVEY_OK || cv_heap_reserve(&c->far, count) != COVEY_OK)
        abort();
}

void sim_clock_init(struct sim_clock *c, size_t event_count_max, size_t own_count)
{
    *c = (struct sim_clock){.event_count_max = event_count_max, .own_count = own_count};
    cv_heap_init(&c->heap, cv_alloc_default());
    cv_heap_init(&c->far, cv_alloc_default());
    reserve(c);
}

void sim_clock_fini(struct sim_clock *c)
{
    cv_heap_fini(&c->heap);
    cv_heap_fini(&c->far);
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
    reserve(c);
    return e;
}

static struct cv_heap *heap_of(struct sim_clock *c, const struct sim_event *e)
{
    return e->is_far ? &c->far : &c->heap;
}

void sim_clock_set(struct sim_clock *c, struct sim_event *e, covey_time time)
{
    bool is_far = time > c->now + FAR_AHEAD;
    if (is_far != e->is_far)
        sim_clock_clear(c, e);
    e->is_far = is_far;
    cv_heap_set(heap_of(c, e), &e->timer, time < c->now ? c->now : time);
}

void sim_clock_clear(struct sim_clock *c, struct sim_event *e)
{
    cv_heap_clear(heap_of(c, e), &e->timer);
}

void sim_clock_free(struct sim_clock *c, struct sim_event *e)
{
    assert(c->event_count > 0 && !cv_timer_is_set(&e->timer));
    c->event_count--;
    e->next = c->free[e->size_class];
    c->free[e->size_class] = e;
}

struct sim_event *sim_clock_next(struct sim_clock *c, covey_time end)
{
    covey_time near = cv_heap_deadline(&c->heap);
    covey_time far = cv_heap_deadline(&c->far);
    covey_time due = far < near ? far : near;
    if (due > end || due == COVEY_NEVER)
        return NULL;
    assert(due >= c->now);
    c->now = due;
    return (struct sim_event *)cv_heap_expire(far < near ? &c->far : &c->heap, due);
}

struct sim_event *sim_clock_take(struct sim_clock *c)
{
    struct cv_timer *t = cv_heap_expire(&c->heap, COVEY_NEVER);
    return (struct sim_event *)(t != NULL ? t : cv_heap_expire(&c->far, COVEY_NEVER));
}
