#ifndef BENCHES_LOAD_H
#define BENCHES_LOAD_H

#include "histogram.h"
#include "options.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The calls of a client: when each begins, what it carries, how long it took.
 *
 * A lane is one call after another. In a closed loop a lane's next call begins when one ended. In
 * an open loop the k-th call is due at begin + k / rate and takes any free lane; when there is none
 * it waits, and its latency counts from when it was due: a slow server is not asked less often, and
 * what its clients would have waited is in the figures.
 *
 *     load_open()       a lane is begun by its engine:   load_start(lane), or load_run() for all
 *       each call:      the engine's `call`, later load_end(lane, right)
 *     load_count(true)  the calls that end from now on are counted
 *     load_stop()       no call begins any more
 *     load_wait()       until the last has ended; then load_total()
 */

enum load_phase { LOAD_WARMING, LOAD_COUNTING, LOAD_STOPPED };

struct lane;
struct load;

/* Begins one call of a lane; the bytes are the load's and are taken before it returns. False: it
 * could not begin. */
typedef bool (*load_call)(struct lane *lane, const unsigned char *request, size_t size);

/* What one thread sends from and counts in. Only that thread uses it; in an open loop of calls that
 * do not block, whoever holds the load's lock. */
struct issuer {
    unsigned char *request;
    uint64_t calls;
    uint64_t errors;
    struct histogram latency;
};

struct lane {
    struct load *load;
    struct issuer *issuer;
    void *target; /* the engine's connection */
    struct lane *next_free;
    uint64_t begun; /* or was due */
    uint64_t stamp; /* of its request: see payload.h */
};

struct load {
    const struct options *options;
    load_call call;
    struct lane *lanes;
    struct issuer *issuers; /* one a connection; one a lane when calls block */
    unsigned lane_count;
    unsigned issuer_count;
    _Atomic int phase;
    atomic_uint_fast64_t stamps;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned running; /* lanes that have not ended */
    struct lane *free;
    uint64_t opened;                /* when the open loop's first call is due */
    atomic_uint_fast64_t due_count; /* calls of the open loop that were taken so far */
};

/* Lane i belongs to connection i % connections; set their `target`. */
void load_init(struct load *load, const struct options *o, load_call call);
void load_fini(struct load *load);

/* From here on calls are due, the first of an open loop at once. */
void load_open(struct load *load, uint64_t now);
void load_set_phase(struct load *load, enum load_phase phase);
/* False: lanes still run after `seconds`. */
bool load_wait(struct load *load, unsigned seconds);
/* Adds up all issuers into the first; after load_wait(). */
const struct issuer *load_total(struct load *load);

/* ---- closed loop: on the issuer's thread ---- */
void load_start(struct lane *lane, uint64_t now);

/* ---- open loop ---- */
/* Begins what is due. Returns when it wants to be called again: when the next is due, `now` + 1 ms
 * while no lane is free; UINT64_MAX when the load has stopped. */
uint64_t load_run(struct load *load, uint64_t now);

/* ---- both ---- */
/* A lane's call ended; `right`: with the wanted reply. May begin the next. */
void load_end(struct lane *lane, bool right, uint64_t now);

/* ---- for calls that block, on the lane's thread ---- */
/* Waits until the lane's next call is due and stamps its request. False: no more. */
bool load_next(struct lane *lane);
/* Its end; load_next() comes next. False: the lane is to end. */
bool load_add(struct lane *lane, bool right);
/* The lane ends. */
void load_retire(struct lane *lane);

#endif
