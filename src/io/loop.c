#include "io/loop_internal.h"

#include "io/clock.h"

#include <assert.h>
#include <covey/error.h>
#include <sys/timerfd.h>

/* ---- a turn ---- */

void cv_loop_turn_begin(struct cv_loop *loop)
{
    if (loop->begun)
        return;
    loop->begun = true;
    loop->began = loop->now = cv_clock_now();
    cv_loop_note_delay(loop);
}

void cv_loop_note_delay(struct cv_loop *loop)
{
    atomic_store_explicit(&loop->late_from, loop->now, memory_order_relaxed);
    const covey_time late = loop->began > loop->due_at ? loop->began - loop->due_at : 0;
    loop->held_up = late > loop->took ? late : loop->took;
}

static void run_tasks(struct cv_loop *loop)
{
    for (struct cv_loop_task *task = loop->tasks; task != NULL; task = loop->next_task) {
        loop->next_task = task->next;
        task->turn(task->user, loop->now);
    }
}

static covey_time earliest_deadline(const struct cv_loop *loop)
{
    covey_time earliest = COVEY_NEVER;
    for (const struct cv_loop_task *task = loop->tasks; task != NULL; task = task->next) {
        covey_time deadline = task->deadline(task->user);
        if (deadline < earliest)
            earliest = deadline;
    }
    return earliest;
}

/* A deadline that moved later is left to the timer, which then fires for nothing: setting it anew
 * in each turn costs more than an empty turn now and then. */
static void set_timer(struct cv_loop *loop)
{
    covey_time deadline = earliest_deadline(loop);
    if (deadline <= loop->now) {
        loop->again = true;
        return;
    }
    if (deadline >= loop->armed)
        return;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(deadline / COVEY_SECOND),
                                           .tv_nsec = (long)(deadline % COVEY_SECOND)}};
    int error = timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    assert(error == 0);
    (void)error;
    loop->armed = deadline;
}

static void on_idle(uv_idle_t *idle)
{
    struct cv_loop *loop = idle->data;
    loop->again = false;
    cv_loop_turn_begin(loop);
}

/* A loop of our own is told whether to wait; a user's only knows by a handle that is idle. */
static void set_idle(struct cv_loop *loop)
{
    if (loop->again)
        (void)uv_idle_start(&loop->idle, on_idle);
    else
        (void)uv_idle_stop(&loop->idle);
}

void cv_loop_again(struct cv_loop *loop)
{
    loop->again = true;
    if (loop->mode == CV_LOOP_UV)
        set_idle(loop);
}

void cv_loop_turn_end(struct cv_loop *loop)
{
    if (!loop->begun)
        return;
    loop->inside = true;
    (void)cv_mailbox_run(loop->mailbox);
    run_tasks(loop);
    set_timer(loop);
    loop->inside = false;
    loop->begun = false;
    loop->ended_at = cv_clock_now();
    loop->took = loop->ended_at - loop->began;
    if (loop->took >= loop->turn_long) /* only the next turn sees that */
        loop->again = true;
    /* Whoever makes turns by hand leaves the timer as it is: one that is due says no more than that. */
    loop->due_at = loop->again || loop->armed <= loop->ended_at ? loop->ended_at : loop->armed;
    atomic_store_explicit(&loop->late_from, loop->due_at, memory_order_relaxed);
    if (loop->mode == CV_LOOP_UV)
        set_idle(loop);
    if (loop->mode != CV_LOOP_THREAD)
        cv_loop_wake_answered(loop);
}

void cv_loop_cancel_mails(struct cv_loop *loop)
{
    loop->inside = true;
    cv_mailbox_close(loop->mailbox);
    loop->inside = false;
    cv_loop_wake_answered(loop);
}

covey_time cv_loop_now(const struct cv_loop *loop)
{
    return loop->now;
}

bool cv_loop_renew(struct cv_loop *loop)
{
    const covey_time clock = cv_clock_now();
    if (clock - loop->now >= CV_LOOP_TURN_LONG)
        loop->now = clock;
    return loop->now != loop->began;
}

covey_time cv_loop_idle_time(const struct cv_loop *loop)
{
    return loop->began - loop->ended_at;
}

covey_time cv_loop_held_up(const struct cv_loop *loop)
{
    return loop->held_up;
}

covey_time cv_loop_late_from(const struct cv_loop *loop)
{
    return atomic_load_explicit(&loop->late_from, memory_order_relaxed);
}

covey_time cv_loop_timeout(const struct cv_loop *loop)
{
    if (loop->again)
        return 0;
    if (loop->armed == COVEY_NEVER)
        return COVEY_NEVER;
    covey_time now = cv_clock_now();
    return loop->armed <= now ? 0 : loop->armed - now;
}

/* ---- tasks ---- */

void cv_loop_add(struct cv_loop *loop, struct cv_loop_task *task)
{
    struct cv_loop_task **end = &loop->tasks;
    while (*end != NULL)
        end = &(*end)->next;
    task->next = NULL;
    *end = task;
}

void cv_loop_remove(struct cv_loop *loop, struct cv_loop_task *task)
{
    struct cv_loop_task **link = &loop->tasks;
    while (*link != task) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = task->next;
    if (loop->next_task == task)
        loop->next_task = task->next;
}

/* ---- making one ---- */

int cv_loop_new(const struct cv_loop_config *config, struct cv_loop **out)
{
    struct cv_loop *loop = cv_allocate_zeroed(config->alloc, 1, sizeof *loop);
    if (loop == NULL)
        return COVEY_ERR_NO_MEMORY;
    loop->alloc = *config->alloc;
    loop->log = config->log;
    loop->mode = config->mode;
    loop->armed = COVEY_NEVER;
    loop->due_at = COVEY_NEVER;
    loop->turn_long = config->turn_long == 0 ? COVEY_NEVER : config->turn_long;
    atomic_init(&loop->late_from, COVEY_NEVER);
    loop->again = loop->mode == CV_LOOP_STEP; /* libuv watches nothing before its first round */
    cv_busy_poll_init(&loop->busy_poll, config->busy_poll);
    atomic_store(&loop->owner, cv_loop_thread_mark());
    int error = cv_loop_lead_init(&loop->lead, config->park_time);
    if (error != 0)
        goto fail_lead;
    error = cv_mailbox_new(&loop->alloc, config->mails_max, cv_loop_wake, loop, &loop->mailbox);
    if (error != 0)
        goto fail_mailbox;
    error = cv_loop_open(loop, config->uv_loop);
    if (error == 0 && loop->mode == CV_LOOP_THREAD)
        error = cv_loop_thread_start(loop, config->thread_name);
    if (error != 0) {
        cv_loop_close_and_release(loop);
        return error;
    }
    *out = loop;
    return 0;

fail_mailbox:
    cv_loop_lead_fini(&loop->lead);
fail_lead:
    cv_release(config->alloc, loop);
    return error;
}

void cv_loop_free(struct cv_loop *loop)
{
    if (loop->mode == CV_LOOP_THREAD) {
        assert(!cv_loop_is_current(loop));
        cv_loop_thread_stop(loop);
    } else {
        assert(cv_loop_is_current(loop) && !loop->inside);
        cv_loop_cancel_mails(loop);
    }
    assert(loop->tasks == NULL);
    assert(LIST_EMPTY(&loop->watches));
    cv_loop_close_and_release(loop);
}
