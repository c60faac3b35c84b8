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

void cv_loop_poll_or_sleep(struct cv_loop *loop)
{
    struct cv_busy_poll *p = &loop->busy_poll;
    if (p->max == 0 || loop->again) {
        turn(loop, true);
        cv_busy_poll_idle(p, p->max == 0 ? 0 : cv_clock_now());
        return;
    }
    loop->has_worked = false;
    turn(loop, !cv_busy_poll_wants(p, cv_clock_now()));
    if (!loop->has_worked)
        return;
    cv_busy_poll_work(p, loop->now);
    cv_busy_poll_idle(p, cv_clock_now());
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
