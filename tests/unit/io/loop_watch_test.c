#define _GNU_SOURCE
#include "io/loop.h"

#include "unit/io/loop_fixture.h"

#include <covey/error.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads a pipe and a task that looks at what was read in the same turn. */
struct reader {
    struct cv_loop *loop;
    struct cv_loop_watch *watch;
    int fd;
    bool once;
    int error;
    unsigned reads;
    unsigned reads_seen_by_turn;
    covey_time read_at;
    bool same_turn;
    struct cv_loop_task task;
    sem_t done;
};

static void read_byte(void *user)
{
    struct reader *r = user;
    char byte;
    if (read(r->fd, &byte, 1) == 1)
        r->reads++;
    r->read_at = cv_loop_now(r->loop);
    if (!r->once)
        return;
    cv_loop_unwatch(r->watch);
    r->watch = NULL;
}

static void reader_turn(void *user, covey_time now)
{
    struct reader *r = user;
    if (r->reads_seen_by_turn == r->reads)
        return;
    r->reads_seen_by_turn = r->reads;
    r->same_turn = r->same_turn && now == r->read_at;
    sem_post(&r->done);
}

static void reader_start(void *user)
{
    struct reader *r = user;
    r->task = (struct cv_loop_task){.turn = reader_turn, .deadline = never, .user = r};
    cv_loop_add(r->loop, &r->task);
    r->error = cv_loop_watch(r->loop, r->fd, read_byte, r, &r->watch);
}

static void reader_stop(void *user)
{
    struct reader *r = user;
    cv_loop_remove(r->loop, &r->task);
    if (r->watch != NULL)
        cv_loop_unwatch(r->watch);
}

static void a_watched_pipe_is_read(void **state)
{
    (void)state;
    struct loop_fixture f;
    int ends[2];
    init(&f, 16);
    assert_int_equal(pipe(ends), 0);
    struct reader r = {.loop = f.loop, .same_turn = true, .fd = ends[0]};
    sem_init(&r.done, 0, 0);
    call(&f, reader_start, &r);
    assert_int_equal(r.error, 0);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(write(ends[1], "x", 1), 1);
        assert_true(wait_for(&r.done));
        assert_int_equal(r.reads, i);
        assert_true(r.same_turn);
    }
    call(&f, reader_stop, &r);
    (void)close(ends[0]);
    (void)close(ends[1]);
    fini(&f);
}

static void a_watch_may_end_itself(void **state)
{
    (void)state;
    struct loop_fixture f;
    int ends[2];
    init(&f, 16);
    assert_int_equal(pipe(ends), 0);
    struct reader r = {.loop = f.loop, .same_turn = true, .fd = ends[0], .once = true};
    sem_init(&r.done, 0, 0);
    call(&f, reader_start, &r);
    assert_int_equal(write(ends[1], "xy", 2), 2);
    assert_true(wait_for(&r.done));
    call(&f, reader_stop, &r);
    assert_int_equal(r.reads, 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    fini(&f);
}

static void set_flag(void *user)
{
    bool *flag = user;
    *flag = true;
}

struct attempt {
    struct cv_loop *loop;
    int fd;
    int error;
    struct cv_loop_watch *watch;
};

static void try_watch(void *user)
{
    struct attempt *a = user;
    a->error = cv_loop_watch(a->loop, a->fd, set_flag, NULL, &a->watch);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 16);
    struct attempt a = {.loop = f.loop, .fd = -1};
    call(&f, try_watch, &a);
    assert_int_equal(a.error, COVEY_ERR_SYSTEM);
    f.memory.fail_at = f.memory.calls + 1;
    call(&f, try_watch, &a);
    assert_int_equal(a.error, COVEY_ERR_NO_MEMORY);
    assert_null(a.watch);
    fini(&f);
}

/* An ICMP error makes a socket readable in a way that ends libuv's watching. */
struct udp {
    struct cv_loop *loop;
    struct cv_loop_watch *watch;
    int fd;
    int error;
    sem_t failed;
    sem_t received;
};

static void read_udp(void *user)
{
    struct udp *u = user;
    char byte;
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(u->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
        sem_post(&u->failed);
    if (recv(u->fd, &byte, 1, MSG_DONTWAIT) == 1)
        sem_post(&u->received);
}

static void udp_start(void *user)
{
    struct udp *u = user;
    u->error = cv_loop_watch(u->loop, u->fd, read_udp, u, &u->watch);
}

static void udp_stop(void *user)
{
    struct udp *u = user;
    cv_loop_unwatch(u->watch);
}

static int udp_socket(struct sockaddr_in *name)
{
    int on = 1;
    socklen_t size = sizeof *name;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)name, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)name, &size), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    return fd;
}

static void a_socket_error_does_not_end_a_watch(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct sockaddr_in ours;
    struct sockaddr_in dead;
    init(&f, 16);
    struct udp u = {.loop = f.loop, .fd = udp_socket(&ours)};
    sem_init(&u.failed, 0, 0);
    sem_init(&u.received, 0, 0);
    (void)close(udp_socket(&dead));
    call(&f, udp_start, &u);
    assert_int_equal(u.error, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sendto(u.fd, "x", 1, 0, (struct sockaddr *)&dead, sizeof dead), 1);
        assert_true(wait_for(&u.failed));
        assert_int_equal(sendto(u.fd, "x", 1, 0, (struct sockaddr *)&ours, sizeof ours), 1);
        assert_true(wait_for(&u.received));
    }
    call(&f, udp_stop, &u);
    (void)close(u.fd);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_pipe_is_read),
        cmocka_unit_test(a_watch_may_end_itself),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
        cmocka_unit_test(a_socket_error_does_not_end_a_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
