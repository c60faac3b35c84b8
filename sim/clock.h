#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "event_heap.h"

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

struct sim_connection;

/* Something that will happen to a node. Those for a paused node wait in its queue. */
struct sim_event {
    covey_time time; /* when it is set */
    uint64_t order;  /* among those of one time; another one each time that it is set */
    uint64_t entry;  /* the order of its entry in the heaps; 0: it has none there */
    covey_time entry_time;
    struct sim_event *next;      /* in a paused node's queue, or in the pool */
    uint64_t connection;         /* its number */
    struct sim_connection *link; /* what had that number when the event was made; of messages */
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
    uint8_t is_set;
    uint8_t bytes[];
};

#define SIM_SIZE_CLASSES 4
#define SIM_HEAPS        3
/* So many events are known in their order before the first of them happens. */
#define SIM_AHEAD 24

struct sim_slab;

struct sim_clock {
    covey_time now;
    /* By how far ahead it is: what travels, what nodes wait for, connections that may be idle. */
    struct sim_event_heap heaps[SIM_HEAPS];
    /* A ring of entries that came before all in the heaps; what is set since may come before them. */
    struct sim_entry ready[SIM_AHEAD];
    size_t ready_first;
    size_t ready_count;
    uint64_t taken; /* entries that left the ring */
    uint64_t order; /* of the event that was set last */
    size_t event_count;
    size_t event_count_max;
    struct sim_event *free[SIM_SIZE_CLASSES];
    struct sim_slab *slabs;
};

/* At most `event_count_max` events of the pool at once. */
void sim_clock_init(struct sim_clock *c, size_t event_count_max);
void sim_clock_fini(struct sim_clock *c);

/* An event with room for `size` bytes, all else zero; NULL at the bound. */
struct sim_event *sim_clock_new(struct sim_clock *c, enum sim_event_kind kind, size_t size);
/* Sets or moves it; COVEY_NEVER clears it. Events of one time come in the order in which they were set,
 * but those that were far ahead then come last. */
void sim_clock_set(struct sim_clock *c, struct sim_event *e, covey_time time);
void sim_clock_clear(struct sim_event *e);
/* One of the pool, which is not set. */
void sim_clock_free(struct sim_clock *c, struct sim_event *e);
/* Takes out the next event up to `end` and moves the time there; NULL when there is none. */
struct sim_event *sim_clock_next(struct sim_clock *c, covey_time end);

/* What comes so many events after the next one, as far as is known now; NULL when there is nothing. It
 * may be void. */
const struct sim_entry *sim_clock_ahead(const struct sim_clock *c, size_t index);

/* How many entries came before the one that is 0 ahead: the number of one, whatever its place is. */
uint64_t sim_clock_taken(const struct sim_clock *c);

/* Takes out any event, whenever it is due; NULL when there is none. */
struct sim_event *sim_clock_take(struct sim_clock *c);

/* Zeroed; never NULL: a simulation without memory ends. */
void *sim_allocate(size_t count, size_t size);
void *sim_reallocate(void *memory, size_t count, size_t size);

#endif
