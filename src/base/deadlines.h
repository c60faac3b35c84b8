#ifndef CV_BASE_DEADLINES_H
#define CV_BASE_DEADLINES_H

#include "base/heap.h"

#include <sys/queue.h>

/*
 * Timers that are nearly always cleared long before they fire, such as the time limit of a call that
 * takes microseconds. Those more than CV_DEADLINES_FAR away wait in a list, in the order in which they
 * were set: setting and clearing them moves a few pointers. After that time the few that are left go
 * into a heap and fire when they should. Equal deadlines come out in the order in which they were set.
 *
 *   set, far away --> list -- CV_DEADLINES_FAR after it was set --> heap --> expire()
 *   set, close by ------------------------------------------------> heap
 *
 * Part of its owner, zeroed before the first use. Not thread-safe.
 */
#define CV_DEADLINES_FAR COVEY_SECOND

struct cv_deadline {
    struct cv_timer timer; /* first; its deadline counts in the list too */
    TAILQ_ENTRY(cv_deadline) entry;
    covey_time move_at; /* into the heap */
    bool is_far;
};

struct cv_deadlines {
    struct cv_heap near;
    TAILQ_HEAD(, cv_deadline) far;
};

void cv_deadlines_init(struct cv_deadlines *d, const struct cv_alloc *alloc);
void cv_deadlines_fini(struct cv_deadlines *d);

/* As cv_heap_reserve(). */
COVEY_MUST_USE static inline int cv_deadlines_reserve(struct cv_deadlines *d, size_t count)
{
    return cv_heap_reserve(&d->near, count);
}

static inline bool cv_deadline_is_set(const struct cv_deadline *t)
{
    return t->is_far || cv_timer_is_set(&t->timer);
}

static inline void cv_deadlines_clear(struct cv_deadlines *d, struct cv_deadline *t)
{
    if (t->is_far) {
        TAILQ_REMOVE(&d->far, t, entry);
        t->is_far = false;
    } else if (cv_timer_is_set(&t->timer)) {
        cv_heap_clear(&d->near, &t->timer);
    }
}

/* Sets or moves it; COVEY_NEVER clears it. `now` never goes back. There must be room, as for
 * cv_heap_set(). */
void cv_deadlines_set(struct cv_deadlines *d, struct cv_deadline *t, covey_time deadline,
                      covey_time now);
/* When expire() is due, perhaps for nothing; COVEY_NEVER when none is set. */
covey_time cv_deadlines_next(const struct cv_deadlines *d);
/* Takes out the earliest whose deadline is at or before `now`; NULL when there is none. */
struct cv_deadline *cv_deadlines_expire(struct cv_deadlines *d, covey_time now);

#endif
