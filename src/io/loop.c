#include "io/loop.h"

#include "io/clock.h"
#include "io/thread.h"

#include <assert.h>
#include <covey/error.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

/*
 * How a turn maps onto one round of libuv:
 *
 *   idle     active only after again(): it lets the poll not wait
 *   poll     watches call readable(); the timerfd and the wake-up only end the wait
 *   check    mails, the tasks' turns, the timer, the end
 *
 * So whatever woke the loop, its tasks run once, after everything that there was to read.
 */
struct cv_loop {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    pthread_t thread;
    struct cv_mailbox *mailbox;
    atomic_bool ending;

    uv_loop_t uv;
    uv_async_t wake;
    uv_poll_t timer;
    uv_check_t check;
    uv_idle_t idle;

    int timer_fd;
    covey_time armed; /* when the timer fires; COVEY_NEVER: it does not */
    covey_time now;
    bool in_turn;
    bool again;
    struct cv_loop_task *tasks;
    struct cv_loop_task *next_task; /* of the walk that is under way */
    size_t watch_count;
};

struct cv_loop_watch {
    uv_poll_t poll;
    struct cv_loop *loop;
    void (*readable)(void *user);
    void *user;
};

/* The loop whose thread this is. */
static _Thread_local const struct cv_loop *current;

static void turn_begin(struct cv_loop *loop)
{
    if (loop->in_turn)
        return;
    loop->in_turn = true;
    loop->now = cv_clock_now();
}

static void on_wake(uv_async_t *async)
{
    turn_begin(async->data);
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct cv_loop *loop = poll->data;
    uint64_t times;
    (void)status;
    (void)events;
    turn_begin(loop);
    /* Nothing to read: it was set anew since it fired, and fires again. */
    if (read(loop->timer_fd, &times, sizeof times) == (ssize_t)sizeof times)
        loop->armed = COVEY_NEVER;
}

static void on_idle(uv_idle_t *idle)
{
    turn_begin(idle->data);
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

static void set_idle(struct cv_loop *loop)
{
    if (loop->again)
        (void)uv_idle_start(&loop->idle, on_idle);
    else
        (void)uv_idle_stop(&loop->idle);
    loop->again = false;
}

static void on_check(uv_check_t *check)
{
    struct cv_loop *loop = check->data;
    turn_begin(loop);
    (void)cv_mailbox_run(loop->mailbox);
    run_tasks(loop);
    set_timer(loop);
    set_idle(loop);
    if (atomic_load(&loop->ending)) {
        cv_mailbox_close(loop->mailbox);
        uv_stop(&loop->uv);
    }
    loop->in_turn = false;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Works for a half-made loop too: libuv knows which handles there are. */
static void close_handles(struct cv_loop *loop)
{
    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void *run(void *user)
{
    struct cv_loop *loop = user;
    current = loop;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    assert(loop->tasks == NULL);
    assert(loop->watch_count == 0);
    close_handles(loop);
    return NULL;
}

static void wake(void *user)
{
    struct cv_loop *loop = user;
    (void)uv_async_send(&loop->wake);
}

static int error_of(int uv_error)
{
    return uv_error == UV_ENOMEM ? COVEY_ERR_NO_MEMORY : COVEY_ERR_SYSTEM;
}

static int failed(const struct cv_loop *loop, const char *what, int uv_error)
{
    char text[64];
    cv_log_line(loop->log, CV_LOG_ERROR, "event loop: %s: %s", what,
                uv_strerror_r(uv_error, text, sizeof text));
    return error_of(uv_error);
}

static int init_handles(struct cv_loop *loop)
{
    int error = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (error == 0)
        error = uv_poll_init(&loop->uv, &loop->timer, loop->timer_fd);
    if (error == 0)
        error = uv_poll_start(&loop->timer, UV_READABLE, on_timer);
    if (error == 0)
        error = uv_check_init(&loop->uv, &loop->check);
    if (error == 0)
        error = uv_check_start(&loop->check, on_check);
    if (error == 0)
        error = uv_idle_init(&loop->uv, &loop->idle);
    loop->wake.data = loop;
    loop->timer.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    return error;
}

static int open_timer(struct cv_loop *loop)
{
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return loop->timer_fd < 0 ? failed(loop, "timerfd", -errno) : 0;
}

static void close_timer(struct cv_loop *loop)
{
    (void)close(loop->timer_fd);
}

static void close_uv(struct cv_loop *loop)
{
    int error = uv_loop_close(&loop->uv);
    assert(error == 0);
    (void)error;
}

/* Before 1.51.0 uv_loop_init() left this one open when it could not open another. */
static void close_leaked_epoll(const struct cv_loop *loop)
{
    int fd = uv_backend_fd(&loop->uv);
    if (uv_version() < 0x013300 && fd >= 0)
        (void)close(fd);
}

static int open_uv(struct cv_loop *loop)
{
    int error = uv_loop_init(&loop->uv);
    if (error != 0) {
        close_leaked_epoll(loop);
        return failed(loop, "libuv", error);
    }
    error = init_handles(loop);
    if (error == 0)
        return 0;
    close_handles(loop);
    close_uv(loop);
    return failed(loop, "libuv's handles", error);
}

int cv_loop_new(const struct cv_loop_config *config, struct cv_loop **out)
{
    struct cv_loop *loop = cv_allocate_zeroed(config->alloc, 1, sizeof *loop);
    if (loop == NULL)
        return COVEY_ERR_NO_MEMORY;
    loop->alloc = config->alloc;
    loop->log = config->log;
    loop->armed = COVEY_NEVER;
    int error = cv_mailbox_new(config->alloc, config->mails_max, wake, loop, &loop->mailbox);
    if (error != 0)
        goto fail_mailbox;
    error = open_timer(loop);
    if (error != 0)
        goto fail_timer;
    error = open_uv(loop);
    if (error != 0)
        goto fail_uv;
    error = cv_thread_start(config->thread_name, run, loop, &loop->thread);
    if (error != 0)
        goto fail_thread;
    *out = loop;
    return 0;

fail_thread:
    close_handles(loop);
    close_uv(loop);
fail_uv:
    close_timer(loop);
fail_timer:
    cv_mailbox_free(loop->mailbox);
fail_mailbox:
    cv_release(config->alloc, loop);
    return error;
}

void cv_loop_free(struct cv_loop *loop)
{
    assert(!cv_loop_is_current(loop));
    atomic_store(&loop->ending, true);
    wake(loop);
    pthread_join(loop->thread, NULL);
    close_uv(loop);
    close_timer(loop);
    cv_mailbox_free(loop->mailbox);
    cv_release(loop->alloc, loop);
}

int cv_loop_post(struct cv_loop *loop, struct cv_mail *mail)
{
    return cv_mailbox_post(loop->mailbox, mail);
}

void cv_loop_post_sure(struct cv_loop *loop, struct cv_mail *mail)
{
    cv_mailbox_post_sure(loop->mailbox, mail);
}

struct call {
    struct cv_mail mail;
    void (*function)(void *user);
    void *user;
    bool cancelled;
    sem_t done;
};

static void run_call(struct cv_mail *mail, bool cancelled)
{
    struct call *call = (struct call *)mail;
    call->cancelled = cancelled;
    if (!cancelled)
        call->function(call->user);
    sem_post(&call->done);
}

int cv_loop_call(struct cv_loop *loop, void (*function)(void *user), void *user)
{
    if (cv_loop_is_current(loop)) {
        function(user);
        return 0;
    }
    struct call call = {.mail = {.run = run_call}, .function = function, .user = user};
    sem_init(&call.done, 0, 0);
    int error = cv_loop_post(loop, &call.mail);
    if (error == 0) {
        while (sem_wait(&call.done) != 0)
            assert(errno == EINTR);
        error = call.cancelled ? COVEY_ERR_CLOSED : 0;
    }
    sem_destroy(&call.done);
    return error;
}

bool cv_loop_is_current(const struct cv_loop *loop)
{
    return current == loop;
}

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

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct cv_loop_watch *watch = poll->data;
    (void)events;
    turn_begin(watch->loop);
    watch->readable(watch->user);
    /* libuv stops watching a socket with a pending error (an ICMP message is one). The reader has
     * fetched it by now. */
    if (status != 0 && !uv_is_closing((uv_handle_t *)poll))
        (void)uv_poll_start(poll, UV_READABLE, on_readable);
}

int cv_loop_watch(struct cv_loop *loop, int fd, void (*readable)(void *user), void *user,
                  struct cv_loop_watch **out)
{
    struct cv_loop_watch *watch = cv_allocate_zeroed(loop->alloc, 1, sizeof *watch);
    if (watch == NULL)
        return COVEY_ERR_NO_MEMORY;
    *watch = (struct cv_loop_watch){.loop = loop, .readable = readable, .user = user};
    int error = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (error != 0) {
        cv_release(loop->alloc, watch);
        return error_of(error);
    }
    watch->poll.data = watch;
    (void)uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    loop->watch_count++;
    *out = watch;
    return 0;
}

static void release_watch(uv_handle_t *handle)
{
    struct cv_loop_watch *watch = handle->data;
    cv_release(watch->loop->alloc, watch);
}

void cv_loop_unwatch(struct cv_loop_watch *watch)
{
    watch->loop->watch_count--;
    uv_close((uv_handle_t *)&watch->poll, release_watch);
}

void cv_loop_again(struct cv_loop *loop)
{
    loop->again = true;
}

covey_time cv_loop_now(const struct cv_loop *loop)
{
    return loop->now;
}
