#include "bound.h"
#include "process.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS 64

void bound_loop_note(struct bound *b, uint64_t deadline)
{
    if (deadline < b->deadline)
        b->deadline = deadline;
}

/* Moved only when the deadline comes earlier: a wake-up too early costs less than a system call
 * each turn. */
static void arm(struct bound *b)
{
    if (b->deadline >= b->armed)
        return;
    uint64_t at = b->deadline == 0 ? 1 : b->deadline;
    struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
    b->armed = b->deadline;
    timerfd_settime(b->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* A linear search, but only when a deadline has come. */
static void run_timers(struct bound *b, uint64_t now)
{
    if (now < b->deadline)
        return;
    b->deadline = UINT64_MAX;
    for (unsigned i = 0; i < b->conn_count; i++) {
        struct bound_conn *c = b->conns[i];
        if (ngtcp2_conn_get_expiry(c->native) <= now) {
            int error = ngtcp2_conn_handle_expiry(c->native, now);
            if (error != 0)
                die("rpc-bound: timer: %s", ngtcp2_strerror(error));
            bound_conn_mark(c);
        }
        bound_loop_note(b, ngtcp2_conn_get_expiry(c->native));
    }
}

static void take_load(struct bound *b)
{
    if (b->load == NULL && (b->load = atomic_load(&b->given)) != NULL && b->options->rate == 0)
        for (unsigned i = 0; i < b->load->lane_count; i++)
            load_start(&b->load->lanes[i], now_ns());
    if (b->load != NULL && b->options->rate != 0)
        bound_loop_note(b, load_run(b->load, now_ns()));
}

static void write_dirty(struct bound *b)
{
    struct bound_dirty dirty = STAILQ_HEAD_INITIALIZER(dirty);
    struct bound_conn *c;
    STAILQ_CONCAT(&dirty, &b->dirty);
    if (STAILQ_EMPTY(&dirty))
        return;
    uint64_t now = now_ns();
    while ((c = STAILQ_FIRST(&dirty)) != NULL) {
        STAILQ_REMOVE_HEAD(&dirty, dirty_link);
        c->is_dirty = false;
        bound_conn_write(c, now);
    }
    bound_sender_flush(&b->sender);
}

static bool read_all_sockets(struct bound *b)
{
    bool any = false;
    for (unsigned i = 0; i < b->socket_count; i++)
        any |= bound_socket_read(b, &b->sockets[i]);
    return any;
}

/* Looks again and again for datagrams. True: something is to be done, and no need to sleep. */
static bool spin(struct bound *b)
{
    uint64_t now = now_ns();
    uint64_t until = now + (uint64_t)b->options->busy_poll_us * 1000;
    while (now < until) {
        if (read_all_sockets(b) || now >= b->deadline || atomic_load(&b->is_stopped))
            return true;
        if (b->load == NULL && atomic_load(&b->given) != NULL)
            return true;
        now = now_ns();
    }
    return false;
}

static void drain(int fd)
{
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
}

static void wait_for_events(struct bound *b)
{
    struct epoll_event events[EVENTS];
    arm(b);
    int count = epoll_wait(b->epoll, events, EVENTS, STAILQ_EMPTY(&b->dirty) ? -1 : 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &b->timer) {
            drain(b->timer);
            b->armed = UINT64_MAX;
        } else if (events[i].data.ptr == &b->wake) {
            drain(b->wake);
        } else {
            bound_socket_read(b, events[i].data.ptr);
        }
    }
}

static void *run(void *user)
{
    struct bound *b = user;
    while (!atomic_load(&b->is_stopped)) {
        if (b->options->busy_poll_us == 0 || !spin(b))
            wait_for_events(b);
        run_timers(b, now_ns());
        take_load(b);
        write_dirty(b);
    }
    return NULL;
}

static void watch(struct bound *b, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (fd < 0 || epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("rpc-bound: epoll: %s", strerror(errno));
}

void bound_loop_start(struct bound *b)
{
    b->epoll = epoll_create1(0);
    b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    b->wake = eventfd(0, EFD_NONBLOCK);
    b->armed = UINT64_MAX;
    watch(b, b->timer, &b->timer);
    watch(b, b->wake, &b->wake);
    for (unsigned i = 0; i < b->socket_count; i++)
        watch(b, b->sockets[i].fd, &b->sockets[i]);
    eventfd_write(b->wake, 1); /* what is dirty already */
    if (pthread_create(&b->thread, NULL, run, b) != 0)
        die("rpc-bound: no thread");
}

void bound_loop_give(struct bound *b, struct load *load)
{
    atomic_store(&b->given, load);
    eventfd_write(b->wake, 1);
}

void bound_loop_stop(struct bound *b)
{
    atomic_store(&b->is_stopped, true);
    eventfd_write(b->wake, 1);
    pthread_join(b->thread, NULL);
    close(b->epoll);
    close(b->timer);
    close(b->wake);
}
