#ifndef CV_BASE_HEAP_H
#define CV_BASE_HEAP_H

#include "base/alloc.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * Timers: a binary heap of deadlines, intrusive, so that setting and clearing one that is in the
 * heap never allocates. Equal deadlines come out in the order in which they were set: the order of
 * everything that follows from a timer is defined.
 *
 * A timer is part of its owner; `index` 0 says that it is not set. Not thread-safe.
 */
struct cv_timer {
    covey_time deadline;
    uint64_t sequence;
    size_t index; /* 1-based place in the heap */
};

/* A place in the heap: what it is sorted by stands in it, so that sorting asks no owner. */
struct cv_heap_entry {
    covey_time deadline;
    uint64_t sequence;
    struct cv_timer *timer;
};

struct cv_heap {
    const struct cv_alloc *alloc;
    struct cv_heap_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t sequence;
};

void cv_heap_init(struct cv_heap *h, const struct cv_alloc *alloc);
void cv_heap_fini(struct cv_heap *h);

/* Room for `count` timers in all, so that the next sets cannot fail. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_heap_reserve(struct cv_heap *h, size_t count);
/* Sets or moves a timer. There must be room: cv_heap_reserve() counts one for each timer that can
 * be set at once. COVEY_NEVER clears it. */
void cv_heap_set(struct cv_heap *h, struct cv_timer *t, covey_time deadline);
/* Has it fire at `deadline` or before: one that is set to an earlier time stays. For deadlines that move
 * later all the time, where firing for nothing now and then costs less. */
static inline void cv_heap_set_latest(struct cv_heap *h, struct cv_timer *t, covey_time deadline)
{
    if (t->index == 0 || t->deadline > deadline)
        cv_heap_set(h, t, deadline);
}
void cv_heap_clear(struct cv_heap *h, struct cv_timer *t);
/* For a timer that waits elsewhere first: notes down its deadline and its place among equal ones, and
 * puts it in with these later. */
void cv_heap_note(struct cv_heap *h, struct cv_timer *t, covey_time deadline);
void cv_heap_put(struct cv_heap *h, struct cv_timer *t);
static inline bool cv_timer_is_set(const struct cv_timer *t)
{
    return t->index != 0;
}

/* The earliest deadline, COVEY_NEVER when no timer is set. */
covey_time cv_heap_deadline(const struct cv_heap *h);
/* Takes out the earliest timer whose deadline is at or before `now`; NULL when there is none. */
struct cv_timer *cv_heap_expire(struct cv_heap *h, covey_time now);

#endif
