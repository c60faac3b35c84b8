#include "io/loop_internal.h"

#include <assert.h>
#include <covey/error.h>
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- what the handles tell ---- */

/* The mails come after this in the same turn, whoever posts them meanwhile. */
static void on_wake(uv_async_t *async)
{
    struct cv_loop *loop = async->data;
    atomic_store(&loop->lead.is_poked, false);
    cv_loop_turn_begin(loop);
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct cv_loop *loop = poll->data;
    uint64_t times;
    (void)status;
    (void)events;
    cv_loop_turn_begin(loop);
    /* Nothing to read: it was set anew since it fired, and fires again. */
    if (read(loop->timer_fd, &times, sizeof times) == (ssize_t)sizeof times)
        loop->armed = COVEY_NEVER;
}

static void on_check(uv_check_t *check)
{
    cv_loop_turn_end(check->data);
}

/* ---- opening ---- */

int cv_loop_error_of(int uv_error)
{
    return uv_error == UV_ENOMEM ? COVEY_ERR_NO_MEMORY : COVEY_ERR_SYSTEM;
}

static int failed(const struct cv_loop *loop, const char *what, int uv_error)
{
    char text[64];
    cv_log_line(loop->log, CV_LOG_ERROR, "event loop: %s: %s", what,
                uv_strerror_r(uv_error, text, sizeof text));
    return cv_loop_error_of(uv_error);
}

void cv_loop_handle_opened(struct cv_loop *loop)
{
    loop->open_handles++;
}

/* In the order of handles_of(): the first `open_handles` of them are there. */
static int init_handle(struct cv_loop *loop, size_t index)
{
    switch (index) {
    case 0:
        return uv_async_init(loop->uv, &loop->wake, on_wake);
    case 1:
        return uv_poll_init(loop->uv, &loop->timer, loop->timer_fd);
    case 2:
        return uv_check_init(loop->uv, &loop->check);
    default:
        return uv_idle_init(loop->uv, &loop->idle);
    }
}

#define OWN_HANDLES 4

static void handles_of(struct cv_loop *loop, uv_handle_t *handles[OWN_HANDLES])
{
    handles[0] = (uv_handle_t *)&loop->wake;
    handles[1] = (uv_handle_t *)&loop->timer;
    handles[2] = (uv_handle_t *)&loop->check;
    handles[3] = (uv_handle_t *)&loop->idle;
}

static int open_handles(struct cv_loop *loop)
{
    uv_handle_t *handles[OWN_HANDLES];
    handles_of(loop, handles);
    for (size_t i = 0; i < OWN_HANDLES; i++) {
        int error = init_handle(loop, i);
        if (error != 0)
            return failed(loop, "libuv's handles", error);
        handles[i]->data = loop;
        cv_loop_handle_opened(loop);
    }
    int error = uv_poll_start(&loop->timer, UV_READABLE, on_timer);
    if (error == 0)
        error = uv_check_start(&loop->check, on_check);
    return error == 0 ? 0 : failed(loop, "libuv's handles", error);
}

/* Before 1.51.0 uv_loop_init() left this one open when it could not open another. */
static void close_leaked_epoll(const struct cv_loop *loop)
{
    int fd = uv_backend_fd(&loop->own);
    if (uv_version() < 0x013300 && fd >= 0)
        (void)close(fd);
}

static int open_own(struct cv_loop *loop)
{
    int error = uv_loop_init(&loop->own);
    if (error != 0) {
        close_leaked_epoll(loop);
        return failed(loop, "libuv", error);
    }
    loop->uv = &loop->own;
    return 0;
}

int cv_loop_open(struct cv_loop *loop, struct uv_loop_s *users)
{
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0)
        return failed(loop, "timerfd", -errno);
    if (loop->mode == CV_LOOP_UV) {
        loop->uv = users;
        return open_handles(loop);
    }
    int error = open_own(loop);
    return error == 0 ? open_handles(loop) : error;
}

int cv_loop_fd(const struct cv_loop *loop)
{
    return uv_backend_fd(loop->uv);
}

/* ---- closing ---- */

static void release(struct cv_loop *loop)
{
    const struct cv_alloc alloc = loop->alloc;
    if (loop->uv == &loop->own) {
        int error = uv_loop_close(&loop->own);
        assert(error == 0);
        (void)error;
    }
    if (loop->timer_fd >= 0)
        (void)close(loop->timer_fd);
    cv_loop_lead_fini(&loop->lead);
    cv_release(&alloc, loop);
}

/* Close callbacks come in no useful order, so the last one counts. */
void cv_loop_handle_closed(struct cv_loop *loop)
{
    loop->open_handles--;
    if (loop->mode == CV_LOOP_UV && loop->is_freed && loop->open_handles == 0)
        release(loop);
}

static void on_closed(uv_handle_t *handle)
{
    cv_loop_handle_closed(handle->data);
}

void cv_loop_close_and_release(struct cv_loop *loop)
{
    uv_handle_t *handles[OWN_HANDLES];
    size_t count = loop->open_handles < OWN_HANDLES ? loop->open_handles : OWN_HANDLES;
    cv_mailbox_free(loop->mailbox);
    loop->is_freed = true;
    handles_of(loop, handles);
    for (size_t i = 0; i < count; i++)
        uv_close(handles[i], on_closed);
    if (loop->uv == &loop->own)
        (void)uv_run(&loop->own, UV_RUN_DEFAULT);
    if (loop->mode != CV_LOOP_UV || loop->open_handles == 0)
        release(loop);
}
