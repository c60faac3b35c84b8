/*
 * Who makes the turns of a loop with a thread of its own.
 *
 * A thread that waits for an answer would wake the loop's thread, which wakes it again: two
 * wake-ups, of which it needs neither when it makes the turns itself. So the lead goes round:
 *
 *                 take()                         an answer that a caller waits for came,
 *     caller  <------------.                     and nothing else is open
 *        |                  nobody  <------------------------- the loop's thread
 *        |   give()         |    |                                     ^
 *        |------------------'    '--- PARK_TIME is over, -------------|
 *        |                            or a post from elsewhere         |
 *        '---- give() with something open, or posted ------------------'
 *
 * The lead lies with nobody only between two calls of callers that come in quick succession. What
 * arrives or falls due then, for nobody waits for it, is seen at most PARK_TIME (a millisecond)
 * later, which is what an acknowledgement may take anyway; a post is seen at once. The loop's
 * thread looks every PARK_TIME whether the callers still come, instead of being woken at each
 * give().
 *
 * Parking in vain costs the thread two wake-ups, so it is tried less and less often as long as it
 * is not of use. What belongs to the leader (libuv, tasks, `open`) is handed on under the lock.
 */
#include "io/loop_internal.h"

#include "io/clock.h"

#include <assert.h>
#include <covey/error.h>
#include <errno.h>
#include <time.h>

#define PARK_TIME_DEFAULT COVEY_MILLISECOND
#define SKIP_MAX          255

void cv_loop_open_work(struct cv_loop *loop)
{
    loop->open_work++;
}

void cv_loop_close_work(struct cv_loop *loop)
{
    assert(loop->open_work > 0);
    loop->open_work--;
    loop->lead.is_last_closed = loop->open_work == 0;
}

/* ---- the lead, with the lock held ---- */

static void set_leader(struct cv_loop *loop, const void *thread_mark)
{
    atomic_store_explicit(&loop->owner, thread_mark, memory_order_release);
    loop->lead.changed_at = cv_clock_now();
}

static bool has_leader(const struct cv_loop *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) != NULL;
}

static void want_thread(struct cv_loop *loop)
{
    loop->lead.is_thread_wanted = true;
    pthread_cond_signal(&loop->lead.thread_wakes);
}

void cv_loop_lead_wake(struct cv_loop *loop)
{
    pthread_mutex_lock(&loop->lead.lock);
    if (has_leader(loop)) {
        atomic_store(&loop->lead.is_poked, true);
        (void)uv_async_send(&loop->wake);
    } else {
        want_thread(loop);
    }
    pthread_mutex_unlock(&loop->lead.lock);
}

/* ---- a caller ---- */

static bool take(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    pthread_mutex_lock(&lead->lock);
    bool is_free = lead->is_parked && !has_leader(loop) && !lead->is_thread_wanted;
    if (is_free) {
        set_leader(loop, cv_loop_thread_mark());
        lead->takes++;
    }
    pthread_mutex_unlock(&lead->lock);
    return is_free;
}

void cv_loop_wait_begin(struct cv_loop_waiter *w, struct cv_loop *loop)
{
    *w = (struct cv_loop_waiter){.loop = loop};
    assert(!cv_loop_is_current(loop));
    (void)sem_init(&w->answered, 0, 0);
    if (loop->mode != CV_LOOP_THREAD)
        return;
    w->leads = !has_leader(loop) && take(loop);
    if (w->leads) /* ended inside libuv a thread would take the loop along */
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &loop->lead.cancel_state);
    else
        atomic_store_explicit(&loop->lead.is_missed, true, memory_order_relaxed);
}

static void give(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    int cancel_state = lead->cancel_state;
    lead->is_answered = false;
    pthread_mutex_lock(&lead->lock);
    set_leader(loop, NULL);
    if (loop->open_work > 0 || loop->again || atomic_load(&lead->is_poked) || lead->is_asleep)
        want_thread(loop);
    pthread_mutex_unlock(&lead->lock);
    (void)pthread_setcancelstate(cancel_state, NULL);
}

void cv_loop_wait_cancel(struct cv_loop_waiter *w)
{
    if (w->leads)
        give(w->loop);
    (void)sem_destroy(&w->answered);
}

void cv_loop_wait(struct cv_loop_waiter *w)
{
    while (w->leads && !w->is_answered) {
        cv_loop_poll_or_sleep(w->loop);
        cv_loop_wake_answered(w->loop);
    }
    if (w->leads)
        give(w->loop);
    else
        while (sem_wait(&w->answered) != 0)
            assert(errno == EINTR);
    (void)sem_destroy(&w->answered);
}

void cv_loop_wait_end(struct cv_loop_waiter *w)
{
    assert(cv_loop_in_turn(w->loop) && !w->is_answered);
    w->is_answered = true;
    if (w->leads) {
        w->loop->lead.is_answered = true;
        return;
    }
    w->next = w->loop->answered;
    w->loop->answered = w;
}

bool cv_loop_is_answered(const struct cv_loop *loop)
{
    return loop->lead.is_answered && loop->open_work == 0;
}

void cv_loop_wake_answered(struct cv_loop *loop)
{
    while (loop->answered != NULL) {
        struct cv_loop_waiter *w = loop->answered;
        loop->answered = w->next; /* it is gone once it knows */
        (void)sem_post(&w->answered);
    }
}

/* ---- the loop's thread ---- */

static void sleep_until(struct cv_loop_lead *lead, covey_time until)
{
    const struct timespec when = {.tv_sec = (time_t)(until / COVEY_SECOND),
                                  .tv_nsec = (long)(until % COVEY_SECOND)};
    (void)pthread_cond_timedwait(&lead->thread_wakes, &lead->lock, &when);
}

/* A caller leads: looks after him again soon, or, when his call takes long, lets him wake us. */
static void wait_for_caller(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    covey_time now = cv_clock_now();
    if (now < lead->changed_at + lead->park_time) {
        sleep_until(lead, now + lead->park_time);
        return;
    }
    lead->is_asleep = true;
    pthread_cond_wait(&lead->thread_wakes, &lead->lock);
    lead->is_asleep = false;
}

/* Nobody leads: until the next caller should have come. */
static covey_time park_end(const struct cv_loop *loop)
{
    covey_time end = loop->lead.changed_at + loop->lead.park_time;
    return end < loop->armed ? end : loop->armed;
}

static void wait_parked(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    for (;;) {
        if (has_leader(loop))
            wait_for_caller(loop);
        else if (lead->is_thread_wanted || cv_clock_now() >= park_end(loop))
            return;
        else
            sleep_until(lead, park_end(loop));
    }
}

/* A single call would have been as well off with us. */
static void note_use(struct cv_loop_lead *lead, unsigned takes)
{
    unsigned more = lead->skip * 2 + 1;
    lead->skip = takes >= 2 ? 0 : more < SKIP_MAX ? more : SKIP_MAX;
    lead->skipped = 0;
}

static void park(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    unsigned takes = lead->takes;
    lead->is_parked = true;
    set_leader(loop, NULL);
    cv_loop_wake_answered(loop); /* the next call of one of these may find the lead free */
    wait_parked(loop);
    set_leader(loop, cv_loop_thread_mark());
    lead->is_parked = false;
    lead->is_thread_wanted = false;
    loop->again = true; /* for what was posted */
    note_use(lead, lead->takes - takes);
}

void cv_loop_lead_begin(struct cv_loop *loop)
{
    pthread_mutex_lock(&loop->lead.lock);
    set_leader(loop, cv_loop_thread_mark());
    loop->lead.is_thread_wanted = false;
    pthread_mutex_unlock(&loop->lead.lock);
    loop->again = true;
}

/* Callers come, the last open work was theirs, and it was not tried in vain just now. */
static bool is_worth_parking(struct cv_loop *loop)
{
    struct cv_loop_lead *lead = &loop->lead;
    bool is_last_closed = lead->is_last_closed;
    lead->is_last_closed = false;
    return is_last_closed && loop->open_work == 0 && !loop->again && !atomic_load(&loop->ending) &&
           atomic_exchange_explicit(&lead->is_missed, false, memory_order_relaxed) &&
           lead->skipped++ >= lead->skip;
}

void cv_loop_lead_offer(struct cv_loop *loop)
{
    if (is_worth_parking(loop)) {
        pthread_mutex_lock(&loop->lead.lock);
        if (!atomic_load(&loop->lead.is_poked))
            park(loop);
        pthread_mutex_unlock(&loop->lead.lock);
    }
    cv_loop_wake_answered(loop);
}

/* ---- making one ---- */

int cv_loop_lead_init(struct cv_loop_lead *lead, covey_time park_time)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return COVEY_ERR_SYSTEM;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int error = pthread_cond_init(&lead->thread_wakes, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error != 0)
        return COVEY_ERR_SYSTEM;
    pthread_mutex_init(&lead->lock, NULL);
    lead->park_time = park_time == 0 ? PARK_TIME_DEFAULT : park_time;
    return 0;
}

void cv_loop_lead_fini(struct cv_loop_lead *lead)
{
    pthread_mutex_destroy(&lead->lock);
    pthread_cond_destroy(&lead->thread_wakes);
}
