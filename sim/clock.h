#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "base/heap.h"

#include <stdint.h>

/*
 * Virtual time: what will happen, in the order in which it will. Events come from a pool, in sizes
 * that fit what travels, so that a message costs no allocation; their number is bounded.
 */

enum sim_event_kind {
    SIM_WAKE,      /* a node's deadline; the event is part of the node */
    SIM_FREE,      /* a node is not busy any more; likewise */
    SIM_MESSAGE,   /* arrives, or is tried again */
    SIM_HANDSHAKE, /* a dial's flights are through, or are tried again */
    SIM_BREAK,     /* a side of a connection is lost */
    SIM_IDLE,      /* a connection may have been silent for too long */
    SIM_RESOLVED,
    SIM_CHECKED, /* a health check of a node's user answers */
    SIM_LIE,     /* a liar speaks */
    SIM_DEADLINE /* something must have come about by now */
};

/* Something that will happen to a node. Those for a paused node wait in its queue. */
struct sim_event {
    struct cv_timer timer;
    struct sim_event *next; /* in a paused node's queue, or in the pool */
    uint64_t connection;    /* its number */
    covey_time begun;
    uint32_t node;
    uint32_t life; /* of the node; it is void after a restart */
    uint32_t peer;
    uint32_t number; /* of a dial, a resolve or a kind of deadline */
    uint16_t size;
    uint8_t kind;       /* enum sim_event_kind */
    uint8_t size_class; /* in the pool */
    uint8_t tries;
    uint8_t is_reliable;
    uint8_t is_far; /* it is in the heap of those that are far away */
    uint8_t bytes[];
};

#define SIM_SIZE_CLASSES 4

struct sim_slab;

struct sim_clock {
    covey_time now;
    struct cv_heap heap; /* what comes soon */
    struct cv_heap far;  /* and what does not: connections that may be idle, deadlines */
    size_t event_count;
    size_t event_count_max;
    size_t own_count; /* events that are not the pool's */
    struct sim_event *free[SIM_SIZE_CLASSES];
    struct sim_slab *slabs;
};

/* At most `event_count_max` events of the pool at once, and `own_count` others. */
void sim_clock_init(struct sim_clock *c, size_t event_count_max, size_t own_count);
void sim_clock_fini(struct sim_clock *c);

/* An event with room for `size` bytes, all else zero; NULL at the bound. */
struct sim_event *sim_clock_new(struct sim_clock *c, enum sim_event_kind kind, size_t size);
void sim_clock_set(struct sim_clock *c, struct sim_event *e, covey_time time);
void sim_clock_clear(struct sim_clock *c, struct sim_event *e);
void sim_clock_free(struct sim_clock *c, struct sim_event *e);
/* Takes out the next event up to `end` and moves the time there; NULL when there is none. */
struct sim_event *sim_clock_next(struct sim_clock *c, covey_time end);

/* Takes out any event, whenever it is due; NULL when there is none. */
struct sim_event *sim_clock_take(struct sim_clock *c);

/* Zeroed; never NULL: a simulation without memory ends. */
void *sim_allocate(size_t count, size_t size);
void *sim_reallocate(void *memory, size_t count, size_t size);

#endif
