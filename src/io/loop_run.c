#include "io/loop_internal.h"

#include "io/clock.h"
#include "io/thread.h"

#include <assert.h>

const void *cv_loop_thread_mark(void)
{
    static _Thread_local char mark;
    return &mark;
}

bool cv_loop_is_current(const struct cv_loop *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_acquire) == cv_loop_thread_mark();
}

bool cv_loop_in_turn(const struct cv_loop *loop)
{
    return cv_loop_is_current(loop) && loop->inside;
}

/* One round of libuv in a loop of our own. */
static void turn(struct cv_loop *loop, bool wait)
{
    bool again = loop->again;
    loop->again = false;
    if (again)
        cv_loop_turn_begin(loop);
    (void)uv_run(loop->uv, again || !wait ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

void cv_loop_step(struct cv_loop *loop)
{
    assert(loop->mode == CV_LOOP_STEP && !loop->inside);
    atomic_store(&loop->owner, cv_loop_thread_mark());
    turn(loop, false);
}

void cv_loop_turn_by_hand(struct cv_loop *loop)
{
    assert(loop->mode == CV_LOOP_UV && cv_loop_is_current(loop) && !loop->inside);
    loop->again = false;
    loop->begun =
        true; /* maybe it was: then this turn is the one that libuv's round would have ended with */
    loop->began = loop->now = cv_clock_now();
    cv_loop_note_delay(loop);
    loop->inside = true;
    (void)cv_loop_look(loop);
    loop->inside = false;
    cv_loop_turn_end(loop);
}

/* What was asked for by again() needs nothing of libuv's; but two of these in a row would not let it
 * look at the descriptors. */
static bool turn_directly(struct cv_loop *loop)
{
    if (!loop->again || loop->is_direct)
        return false;
    loop->again = false;
    cv_loop_turn_begin(loop);
    cv_loop_turn_end(loop);
    return true;
}

/* Of what libuv tells while the loop polls, a look finds the datagrams. The rest, closed handles and
 * a socket's errors among it, is found soon enough when it is asked now and then. */
#define LOOKS_MAX 64

static bool is_for_libuv(struct cv_loop *loop)
{
    return loop->again || loop->now >= loop->armed || atomic_load(&loop->lead.is_poked) ||
           ++loop->looks >= LOOKS_MAX;
}

/* Without a system call but those of the watches. */
static void look(struct cv_loop *loop)
{
    const covey_time late_from = atomic_load_explicit(&loop->late_from, memory_order_relaxed);
    atomic_store_explicit(&loop->late_from, loop->now, memory_order_relaxed);
    loop->inside = true;
    loop->begun = cv_loop_look(loop);
    loop->inside = false;
    if (loop->begun)
        cv_loop_note_delay(loop);
    else
        atomic_store_explicit(&loop->late_from, late_from, memory_order_relaxed);
    cv_loop_turn_end(loop);
}

static void poll_busily(struct cv_loop *loop)
{
    struct cv_busy_poll *p = &loop->busy_poll;
    covey_time ended_at = loop->ended_at;
    loop->began = loop->now = cv_clock_now();
    bool wants = cv_busy_poll_wants(p, loop->now);
    if (wants && !is_for_libuv(loop)) {
        look(loop);
    } else {
        loop->looks = 0;
        turn(loop, !wants);
    }
    if (loop->ended_at == ended_at)
        return;
    cv_busy_poll_work(p, loop->now);
    cv_busy_poll_idle(p, loop->ended_at);
}

void cv_loop_poll_or_sleep(struct cv_loop *loop)
{
    loop->is_direct = turn_directly(loop);
    if (loop->is_direct)
        cv_busy_poll_idle(&loop->busy_poll, loop->ended_at);
    else if (loop->busy_poll.max == 0)
        turn(loop, true);
    else
        poll_busily(loop);
}

/* ---- the loop's own thread ---- */

static void *run(void *user)
{
    struct cv_loop *loop = user;
    cv_loop_lead_begin(loop);
    while (!atomic_load(&loop->ending)) {
        cv_loop_poll_or_sleep(loop);
        cv_loop_lead_offer(loop);
    }
    cv_loop_cancel_mails(loop);
    return NULL;
}

int cv_loop_thread_start(struct cv_loop *loop, const char *name)
{
    atomic_store(&loop->owner, NULL);
    return cv_thread_start(name, run, loop, &loop->thread);
}

void cv_loop_thread_stop(struct cv_loop *loop)
{
    atomic_store(&loop->ending, true);
    cv_loop_lead_wake(loop);
    pthread_join(loop->thread, NULL);
}
