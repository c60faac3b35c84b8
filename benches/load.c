#include "load.h"

#include "payload.h"
#include "process.h"

#include <stdlib.h>

/* ---- made and ended ---- */

static void *make(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        die("no memory");
    return memory;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void load_init(struct load *load, const struct options *o, load_call call)
{
    *load = (struct load){.options = o, .call = call, .lane_count = o->connections * o->inflight};
    load->issuer_count = o->blocking ? load->lane_count : o->connections;
    load->running = load->lane_count;
    load->lanes = make(load->lane_count, sizeof *load->lanes);
    load->issuers = make(load->issuer_count, sizeof *load->issuers);
    pthread_mutex_init(&load->lock, NULL);
    init_condition(&load->changed);
    for (unsigned i = 0; i < load->issuer_count; i++) {
        load->issuers[i].request = make(o->size + 1, 1);
        payload_fill(load->issuers[i].request, o->size);
    }
    for (unsigned i = 0; i < load->lane_count; i++)
        load->lanes[i] =
            (struct lane){.load = load, .issuer = &load->issuers[i % load->issuer_count]};
}

void load_fini(struct load *load)
{
    for (unsigned i = 0; i < load->issuer_count; i++)
        free(load->issuers[i].request);
    pthread_mutex_destroy(&load->lock);
    pthread_cond_destroy(&load->changed);
    free(load->issuers);
    free(load->lanes);
}

void load_open(struct load *load, uint64_t now)
{
    pthread_mutex_lock(&load->lock);
    load->opened = now;
    if (load->options->rate != 0 && !load->options->blocking)
        for (unsigned i = load->lane_count; i > 0; i--) {
            load->lanes[i - 1].next_free = load->free;
            load->free = &load->lanes[i - 1];
        }
    pthread_mutex_unlock(&load->lock);
}

void load_set_phase(struct load *load, enum load_phase phase)
{
    atomic_store(&load->phase, phase);
}

bool load_wait(struct load *load, unsigned seconds)
{
    uint64_t until = now_ns() + (uint64_t)seconds * 1000000000u;
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
                         .tv_nsec = (long)(until % 1000000000u)};
    int error = 0;
    pthread_mutex_lock(&load->lock);
    while (load->running > 0 && error == 0)
        error = pthread_cond_timedwait(&load->changed, &load->lock, &t);
    bool is_over = load->running == 0;
    pthread_mutex_unlock(&load->lock);
    return is_over;
}

const struct issuer *load_total(struct load *load)
{
    struct issuer *total = &load->issuers[0];
    for (unsigned i = 1; i < load->issuer_count; i++) {
        total->calls += load->issuers[i].calls;
        total->errors += load->issuers[i].errors;
        histogram_merge(&total->latency, &load->issuers[i].latency);
    }
    return total;
}

/* ---- one call ---- */

static bool is_stopped(struct load *load)
{
    return atomic_load_explicit(&load->phase, memory_order_relaxed) == LOAD_STOPPED;
}

static void stamp(struct lane *lane)
{
    lane->stamp = atomic_fetch_add_explicit(&lane->load->stamps, 1, memory_order_relaxed);
    payload_stamp(lane->issuer->request, lane->load->options->size, lane->stamp);
}

/* Errors count in each phase: a lane that ended while warming up is missing later. */
static void count(struct lane *lane, bool right, uint64_t now)
{
    struct issuer *issuer = lane->issuer;
    issuer->errors += !right;
    if (atomic_load_explicit(&lane->load->phase, memory_order_relaxed) != LOAD_COUNTING)
        return;
    issuer->calls++;
    /* One that began when it was late still was due at a time that is not in the future. */
    histogram_add(&issuer->latency, now > lane->begun ? now - lane->begun : 0);
}

static void retire_locked(struct load *load)
{
    if (--load->running == 0)
        pthread_cond_broadcast(&load->changed);
}

void load_retire(struct lane *lane)
{
    struct load *load = lane->load;
    pthread_mutex_lock(&load->lock);
    retire_locked(load);
    pthread_mutex_unlock(&load->lock);
}

static bool begin(struct lane *lane, uint64_t time)
{
    lane->begun = time;
    stamp(lane);
    return lane->load->call(lane, lane->issuer->request, lane->load->options->size);
}

/* ---- closed loop ---- */

void load_start(struct lane *lane, uint64_t now)
{
    if (!begin(lane, now)) {
        count(lane, false, now);
        load_retire(lane);
    }
}

/* A lane ends at its first error: a server that is gone must not be asked in a tight loop. */
static void end_closed(struct lane *lane, bool right, uint64_t now)
{
    count(lane, right, now);
    if (right && !is_stopped(lane->load))
        load_start(lane, now);
    else
        load_retire(lane);
}

/* ---- open loop ---- */

static uint64_t due_time(const struct load *load, uint64_t index)
{
    return load->opened + index * 1000000000u / load->options->rate;
}

static void put_free(struct load *load, struct lane *lane)
{
    lane->next_free = load->free;
    load->free = lane;
}

/* Begins what is due while there is a free lane. */
static void run_locked(struct load *load, uint64_t now)
{
    while (load->free != NULL && due_time(load, load->due_count) <= now) {
        struct lane *lane = load->free;
        load->free = lane->next_free;
        if (!begin(lane, due_time(load, load->due_count++))) {
            count(lane, false, now);
            put_free(load, lane);
            break;
        }
    }
}

uint64_t load_run(struct load *load, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    pthread_mutex_lock(&load->lock);
    if (is_stopped(load)) {
        for (; load->free != NULL; load->free = load->free->next_free)
            retire_locked(load);
    } else {
        run_locked(load, now);
        next = due_time(load, load->due_count);
        if (next <= now)
            next = now + 1000000;
    }
    pthread_mutex_unlock(&load->lock);
    return next;
}

static void end_open(struct lane *lane, bool right, uint64_t now)
{
    struct load *load = lane->load;
    pthread_mutex_lock(&load->lock);
    count(lane, right, now);
    if (is_stopped(load)) {
        retire_locked(load);
    } else {
        put_free(load, lane);
        run_locked(load, now);
    }
    pthread_mutex_unlock(&load->lock);
}

void load_end(struct lane *lane, bool right, uint64_t now)
{
    if (lane->load->options->rate == 0)
        end_closed(lane, right, now);
    else
        end_open(lane, right, now);
}

/* ---- calls that block ---- */

bool load_next(struct lane *lane)
{
    struct load *load = lane->load;
    if (load->options->rate == 0) {
        lane->begun = now_ns();
    } else {
        lane->begun = due_time(load, atomic_fetch_add(&load->due_count, 1));
        if (lane->begun > now_ns())
            sleep_until_ns(lane->begun);
    }
    stamp(lane);
    return !is_stopped(load);
}

bool load_add(struct lane *lane, bool right)
{
    count(lane, right, now_ns());
    return right || lane->load->options->rate != 0;
}
