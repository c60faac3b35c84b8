#define _GNU_SOURCE
#include "io/loop.h"

#include "io/clock.h"
#include "unit/io/loop_fixture.h"

#include <covey/error.h>
#include <netinet/in.h>
#include <stdatomic.h>
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

/* ---- looks ---- */

#define LONG (20 * COVEY_MILLISECOND)

/* Something to be found by looking only: its descriptor is never readable. */
struct seeker {
    struct cv_loop *loop;
    struct cv_loop_watch *watch;
    int ends[2];
    _Atomic covey_time hidden_at; /* there is something since then; 0: there is nothing */
    unsigned looks;
    unsigned wanted; /* `looked` is told of that many looks in vain */
    unsigned found;
    covey_time found_at;
    bool in_turn;
    bool is_woken; /* readable() was called */
    sem_t looked;
    /* What the task sees of it. */
    struct cv_loop_task task;
    unsigned turns;
    unsigned found_seen;
    bool same_turn;
    sem_t done;
    covey_time busy;        /* so long is the next turn that has something */
    covey_time held_up;     /* what the last turn was told */
    unsigned long_held_ups; /* turns that were told of LONG or more */
    bool told_again;        /* one of them of the same as that before it */
    struct seeker *victim;  /* is unwatched in the next look */
    bool is_unwatched;
    bool is_late; /* a look after that */
};

static void seeker_readable(void *user)
{
    struct seeker *s = user;
    s->is_woken = true;
}

static void seeker_unwatch(struct seeker *s)
{
    s->is_unwatched = true;
    cv_loop_unwatch(s->watch);
}

static bool seeker_look(void *user)
{
    struct seeker *s = user;
    s->is_late = s->is_late || s->is_unwatched;
    s->in_turn = s->in_turn && cv_loop_in_turn(s->loop);
    if (s->victim != NULL)
        seeker_unwatch(s->victim);
    s->victim = NULL;
    if (++s->looks == s->wanted)
        sem_post(&s->looked);
    covey_time hidden_at = atomic_load(&s->hidden_at);
    /* A look with the time of an earlier turn never finds it. */
    if (hidden_at == 0 || cv_loop_now(s->loop) <= hidden_at)
        return false;
    atomic_store(&s->hidden_at, 0);
    s->found++;
    s->found_at = cv_loop_now(s->loop);
    return true;
}

static void seeker_turn(void *user, covey_time now)
{
    struct seeker *s = user;
    const covey_time held_up = cv_loop_held_up(s->loop);
    s->turns++;
    if (held_up >= LONG) {
        s->long_held_ups++;
        s->told_again = s->told_again || held_up == s->held_up;
    }
    s->held_up = held_up;
    if (s->found_seen == s->found)
        return;
    s->found_seen = s->found;
    for (const covey_time end = now + s->busy; cv_clock_now() < end;)
        ;
    s->busy = 0;
    s->same_turn = s->same_turn && now == s->found_at && now == cv_loop_now(s->loop);
    sem_post(&s->done);
}

static void seeker_start(void *user)
{
    struct seeker *s = user;
    s->task = (struct cv_loop_task){.turn = seeker_turn, .deadline = never, .user = s};
    cv_loop_add(s->loop, &s->task);
    assert_int_equal(cv_loop_watch(s->loop, s->ends[0], seeker_readable, s, &s->watch), 0);
    cv_loop_watch_look(s->watch, seeker_look);
}

static void seeker_stop(void *user)
{
    struct seeker *s = user;
    cv_loop_remove(s->loop, &s->task);
    if (!s->is_unwatched)
        cv_loop_unwatch(s->watch);
}

static void seeker_init(struct seeker *s, struct cv_loop *loop)
{
    *s = (struct seeker){.loop = loop, .in_turn = true, .same_turn = true};
    assert_int_equal(pipe(s->ends), 0);
    sem_init(&s->looked, 0, 0);
    sem_init(&s->done, 0, 0);
}

static void seeker_fini(struct seeker *s)
{
    (void)close(s->ends[0]);
    (void)close(s->ends[1]);
    assert_true(s->in_turn);
    assert_false(s->is_woken);
}

/* A loop whose thread never sleeps. */
static void init_polling(struct loop_fixture *f)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.busy_poll = 3600 * COVEY_SECOND;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static void what_a_look_finds_gets_a_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct seeker s;
    init_polling(&f);
    seeker_init(&s, f.loop);
    call(&f, seeker_start, &s);
    for (unsigned i = 1; i <= 100; i++) {
        atomic_store(&s.hidden_at, cv_clock_now());
        assert_true(wait_for(&s.done));
        assert_int_equal(s.found, i);
        assert_true(s.same_turn);
    }
    call(&f, seeker_stop, &s);
    seeker_fini(&s);
    fini(&f);
}

/* Turns that a look begins are told how long the last one was, too, and only once. */
static void a_turn_by_a_look_is_told_of_a_long_one_once(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct seeker s;
    init_polling(&f);
    seeker_init(&s, f.loop);
    s.busy = LONG;
    call(&f, seeker_start, &s);
    for (unsigned i = 1; i <= 20; i++) {
        atomic_store(&s.hidden_at, cv_clock_now());
        assert_true(wait_for(&s.done));
    }
    call(&f, seeker_stop, &s);
    assert_true(s.long_held_ups > 0);
    assert_false(s.told_again);
    seeker_fini(&s);
    fini(&f);
}

static void a_look_in_vain_makes_no_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct seeker s;
    init_polling(&f);
    seeker_init(&s, f.loop);
    s.wanted = 10000;
    call(&f, seeker_start, &s);
    assert_true(wait_for(&s.looked));
    call(&f, seeker_stop, &s);
    assert_in_range(s.turns, 1, 100);
    seeker_fini(&s);
    fini(&f);
}

/* A loop that sleeps is told by the kernel, and does not look. */
static void who_does_not_poll_does_not_look(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct seeker s;
    int ends[2];
    init(&f, 16);
    assert_int_equal(pipe(ends), 0);
    struct reader r = {.loop = f.loop, .fd = ends[0]};
    sem_init(&r.done, 0, 0);
    seeker_init(&s, f.loop);
    call(&f, seeker_start, &s);
    call(&f, reader_start, &r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(ends[1], "x", 1), 1);
        assert_true(wait_for(&r.done));
    }
    call(&f, reader_stop, &r);
    call(&f, seeker_stop, &s);
    assert_int_equal(s.looks, 0);
    seeker_fini(&s);
    (void)close(ends[0]);
    (void)close(ends[1]);
    fini(&f);
}

enum { SEEKERS = 3 };

struct seekers {
    struct seeker all[SEEKERS];
    size_t actor;
    size_t victim;
};

static void seekers_start(void *user)
{
    struct seekers *s = user;
    for (size_t i = 0; i < SEEKERS; i++)
        seeker_start(&s->all[i]);
}

static void seekers_act(void *user)
{
    struct seekers *s = user;
    s->all[s->actor].victim = &s->all[s->victim];
}

static void seekers_stop(void *user)
{
    struct seekers *s = user;
    for (size_t i = 0; i < SEEKERS; i++)
        seeker_stop(&s->all[i]);
}

/* The others go on finding what there is. */
static void seekers_check(struct seekers *s)
{
    for (size_t i = 0; i < SEEKERS; i++) {
        if (i == s->victim)
            continue;
        atomic_store(&s->all[i].hidden_at, cv_clock_now());
        assert_true(wait_for(&s->all[i].done));
    }
}

/* Itself, one that had its look in this walk, one that would be next and one that comes later. */
static void a_look_may_end_any_watch(void **state)
{
    (void)state;
    for (size_t i = 0; i < SEEKERS * SEEKERS; i++) {
        struct loop_fixture f;
        struct seekers s = {.actor = i / SEEKERS, .victim = i % SEEKERS};
        init_polling(&f);
        for (size_t n = 0; n < SEEKERS; n++)
            seeker_init(&s.all[n], f.loop);
        call(&f, seekers_start, &s);
        call(&f, seekers_act, &s);
        seekers_check(&s);
        seekers_check(&s);
        call(&f, seekers_stop, &s);
        assert_true(s.all[s.victim].is_unwatched);
        assert_false(s.all[s.victim].is_late);
        for (size_t n = 0; n < SEEKERS; n++)
            seeker_fini(&s.all[n]);
        fini(&f);
    }
}

/* Polling is no reason to forget those that cannot look, whether or not others find something. */
static void a_polling_loop_tells_who_cannot_look(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct seeker s;
    int ends[2];
    init_polling(&f);
    assert_int_equal(pipe(ends), 0);
    struct reader r = {.loop = f.loop, .same_turn = true, .fd = ends[0]};
    sem_init(&r.done, 0, 0);
    call(&f, reader_start, &r);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(write(ends[1], "x", 1), 1);
        assert_true(wait_for(&r.done));
    }
    seeker_init(&s, f.loop);
    call(&f, seeker_start, &s);
    for (unsigned i = 4; i <= 6; i++) {
        atomic_store(&s.hidden_at, cv_clock_now());
        assert_int_equal(write(ends[1], "x", 1), 1);
        assert_true(wait_for(&r.done));
        assert_true(wait_for(&s.done));
        assert_int_equal(r.reads, i);
    }
    assert_true(r.same_turn);
    call(&f, seeker_stop, &s);
    call(&f, reader_stop, &r);
    seeker_fini(&s);
    (void)close(ends[0]);
    (void)close(ends[1]);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_pipe_is_read),
        cmocka_unit_test(a_watch_may_end_itself),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
        cmocka_unit_test(a_socket_error_does_not_end_a_watch),
        cmocka_unit_test(what_a_look_finds_gets_a_turn),
        cmocka_unit_test(a_turn_by_a_look_is_told_of_a_long_one_once),
        cmocka_unit_test(a_look_in_vain_makes_no_turn),
        cmocka_unit_test(who_does_not_poll_does_not_look),
        cmocka_unit_test(a_look_may_end_any_watch),
        cmocka_unit_test(a_polling_loop_tells_who_cannot_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
