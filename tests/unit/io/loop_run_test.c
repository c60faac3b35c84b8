#define _GNU_SOURCE
#include "io/loop.h"

#include "io/clock.h"
#include "unit/io/loop_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

/* ---- a loop that the test steps ---- */

static void init_step(struct loop_fixture *f)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.mode = CV_LOOP_STEP;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static bool is_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

/* Waits as the contract says, and steps. */
static void wait_and_step(struct loop_fixture *f)
{
    if (cv_loop_timeout(f->loop) > 0)
        assert_true(wait_readable(cv_loop_fd(f->loop)));
    cv_loop_step(f->loop);
}

struct note {
    struct cv_mail mail;
    struct cv_loop *loop;
    unsigned runs;
    bool in_turn;
};

static void take_note(struct cv_mail *mail, bool cancelled)
{
    struct note *n = (struct note *)(void *)mail;
    (void)cancelled;
    n->runs++;
    n->in_turn = cv_loop_in_turn(n->loop);
}

static void the_descriptor_tells_of_a_post(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    struct note n = {.mail = {.run = take_note}, .loop = f.loop};
    cv_loop_step(f.loop);
    assert_true(cv_loop_is_current(f.loop));
    assert_false(cv_loop_in_turn(f.loop));
    assert_true(cv_loop_timeout(f.loop) == COVEY_NEVER);
    assert_false(is_readable(cv_loop_fd(f.loop)));
    assert_int_equal(cv_loop_post(f.loop, &n.mail), 0);
    assert_int_equal(n.runs, 0);
    wait_and_step(&f);
    assert_int_equal(n.runs, 1);
    assert_true(n.in_turn);
    assert_false(is_readable(cv_loop_fd(f.loop)));
    fini(&f);
}

struct alarm {
    struct cv_loop_task task;
    struct cv_loop *loop;
    covey_time deadline;
    unsigned rings;
    sem_t rang;
};

static void alarm_turn(void *user, covey_time now)
{
    struct alarm *a = user;
    if (now < a->deadline)
        return;
    a->deadline = COVEY_NEVER;
    a->rings++;
    sem_post(&a->rang);
}

static covey_time alarm_deadline(void *user)
{
    const struct alarm *a = user;
    return a->deadline;
}

static void alarm_add(void *user)
{
    struct alarm *a = user;
    /* A called function has a time of its own, not that of the last turn. */
    assert_true(cv_loop_now(a->loop) + COVEY_SECOND > cv_clock_now());
    assert_true(cv_loop_in_turn(a->loop));
    sem_init(&a->rang, 0, 0);
    cv_loop_add(a->loop, &a->task);
}

static void alarm_remove(void *user)
{
    struct alarm *a = user;
    cv_loop_remove(a->loop, &a->task);
}

static void a_deadline_sets_timeout_and_descriptor(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm a = {.task = {.turn = alarm_turn, .deadline = alarm_deadline, .user = &a}};
    init_step(&f);
    a.loop = f.loop;
    a.deadline = cv_clock_now() + 20 * COVEY_MILLISECOND;
    call(&f, alarm_add, &a);
    assert_true(cv_loop_timeout(f.loop) == 0); /* the call left something to do */
    cv_loop_step(f.loop);
    covey_time timeout = cv_loop_timeout(f.loop);
    assert_true(timeout <= 20 * COVEY_MILLISECOND);
    while (a.rings == 0)
        wait_and_step(&f);
    assert_true(cv_loop_timeout(f.loop) == COVEY_NEVER);
    call(&f, alarm_remove, &a);
    fini(&f);
    assert_int_equal(a.rings, 1);
}

struct watched {
    struct cv_loop *loop;
    struct cv_loop_watch *watch;
    int fds[2];
    unsigned reads;
    unsigned looks;
};

static void read_byte(void *user)
{
    struct watched *w = user;
    char byte;
    w->reads += read(w->fds[0], &byte, 1) == 1;
}

static void watch(void *user)
{
    struct watched *w = user;
    assert_int_equal(cv_loop_watch(w->loop, w->fds[0], read_byte, w, &w->watch), 0);
}

static void unwatch(void *user)
{
    struct watched *w = user;
    cv_loop_unwatch(w->watch);
}

static void a_watched_descriptor_shows_through(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct watched w = {0};
    init_step(&f);
    w.loop = f.loop;
    assert_int_equal(pipe(w.fds), 0);
    call(&f, watch, &w);
    while (cv_loop_timeout(f.loop) == 0)
        cv_loop_step(f.loop);
    assert_false(is_readable(cv_loop_fd(f.loop)));
    assert_int_equal(write(w.fds[1], "x", 1), 1);
    assert_true(is_readable(cv_loop_fd(f.loop)));
    cv_loop_step(f.loop);
    assert_int_equal(w.reads, 1);
    call(&f, unwatch, &w);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
    fini(&f);
}

/* ---- a user's libuv loop ---- */

static void init_uv(struct loop_fixture *f, uv_loop_t *uv)
{
    test_alloc_init(&f->memory);
    assert_int_equal(uv_loop_init(uv), 0);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.mode = CV_LOOP_UV;
    config.uv_loop = uv;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static void a_users_loop_makes_the_turns(void **state)
{
    (void)state;
    struct loop_fixture f;
    uv_loop_t uv;
    struct watched w = {0};
    init_uv(&f, &uv);
    struct note n = {.mail = {.run = take_note}, .loop = f.loop};
    struct alarm a = {.task = {.turn = alarm_turn, .deadline = alarm_deadline, .user = &a}};
    a.loop = w.loop = f.loop;
    a.deadline = cv_clock_now() + 5 * COVEY_MILLISECOND;
    assert_int_equal(pipe(w.fds), 0);
    assert_int_equal(write(w.fds[1], "x", 1), 1);
    call(&f, alarm_add, &a);
    call(&f, watch, &w);
    assert_int_equal(cv_loop_post(f.loop, &n.mail), 0);
    while (a.rings == 0 || n.runs == 0 || w.reads == 0)
        (void)uv_run(&uv, UV_RUN_ONCE);
    assert_true(n.in_turn);
    assert_false(cv_loop_in_turn(f.loop));
    call(&f, alarm_remove, &a);
    call(&f, unwatch, &w);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
    cv_loop_free(f.loop);
    /* The watch closed in the same round as the loop's own handles. */
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
    test_alloc_assert_empty(&f.memory);
}

/* A turn of nobody's costs the user's loop no turn of ours. */
static void another_handle_makes_no_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    uv_loop_t uv;
    uv_async_t other;
    init_uv(&f, &uv);
    (void)uv_run(&uv, UV_RUN_NOWAIT);
    covey_time before = cv_loop_now(f.loop);
    assert_int_equal(uv_async_init(&uv, &other, NULL), 0);
    assert_int_equal(uv_async_send(&other), 0);
    (void)uv_run(&uv, UV_RUN_ONCE);
    assert_true(cv_loop_now(f.loop) == before);
    uv_close((uv_handle_t *)&other, NULL);
    cv_loop_free(f.loop);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
    test_alloc_assert_empty(&f.memory);
}

/* A look that never finds anything. */
static bool look_in_vain(void *user)
{
    struct watched *w = user;
    w->looks++;
    return false;
}

static bool look_and_read(void *user)
{
    read_byte(user);
    return true;
}

/* A user's callback in which he waits. */
static void turn_three_times(uv_timer_t *timer)
{
    struct loop_fixture *f = timer->data;
    for (int i = 0; i < 3; i++)
        cv_loop_turn_by_hand(f->loop);
    uv_close((uv_handle_t *)timer, NULL);
}

/* With all that a turn has, and inside of libuv's round; which goes on as before. */
static void turns_may_be_made_without_libuv(void **state)
{
    (void)state;
    struct loop_fixture f;
    uv_loop_t uv;
    struct watched w = {0};
    init_uv(&f, &uv);
    struct note n = {.mail = {.run = take_note}, .loop = f.loop};
    struct alarm a = {.task = {.turn = alarm_turn, .deadline = alarm_deadline, .user = &a}};
    uv_timer_t timer = {.data = &f};
    a.loop = w.loop = f.loop;
    a.deadline = 1; /* long ago */
    assert_int_equal(pipe(w.fds), 0);
    call(&f, alarm_add, &a);
    call(&f, watch, &w);
    cv_loop_watch_look(w.watch, look_and_read);
    assert_int_equal(write(w.fds[1], "xyz", 3), 3);
    assert_int_equal(cv_loop_post(f.loop, &n.mail), 0);
    cv_loop_turn_by_hand(f.loop);
    assert_int_equal(w.reads, 1);
    assert_int_equal(a.rings, 1);
    assert_true(n.in_turn);
    assert_false(cv_loop_in_turn(f.loop));
    assert_int_equal(uv_timer_init(&uv, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, turn_three_times, 0, 0), 0);
    cv_loop_watch_look(w.watch, look_in_vain);
    (void)uv_run(&uv, UV_RUN_NOWAIT);
    assert_int_equal(w.looks, 3);
    while (w.reads < 3)
        (void)uv_run(&uv, UV_RUN_ONCE);
    call(&f, alarm_remove, &a);
    call(&f, unwatch, &w);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
    cv_loop_free(f.loop);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
    test_alloc_assert_empty(&f.memory);
}

/* ---- a thread that polls ---- */

struct signal_mail {
    struct cv_mail mail;
    sem_t done;
};

static void post_semaphore(struct cv_mail *mail, bool cancelled)
{
    struct signal_mail *s = (struct signal_mail *)(void *)mail;
    (void)cancelled;
    sem_post(&s->done);
}

/* Its thread sleeps at once, or else never. */
static void init_thread(struct loop_fixture *f, bool polls)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.busy_poll = polls ? 3600 * COVEY_SECOND : 0;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static void a_polling_thread_sees_posts_and_the_end(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct signal_mail s = {.mail = {.run = post_semaphore}};
    init_thread(&f, true);
    sem_init(&s.done, 0, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cv_loop_post(f.loop, &s.mail), 0);
        assert_true(wait_for(&s.done));
    }
    fini(&f);
}

static void watch_and_look(void *user)
{
    struct watched *w = user;
    watch(w);
    cv_loop_watch_look(w->watch, look_in_vain);
}

static void alarm_set_soon(void *user)
{
    struct alarm *a = user;
    a->deadline = cv_clock_now() + COVEY_MILLISECOND;
}

static void a_thread_that_looks_serves_posts_and_deadlines(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct signal_mail s = {.mail = {.run = post_semaphore}};
    struct watched w = {0};
    struct alarm a = {.task = {.turn = alarm_turn, .deadline = alarm_deadline, .user = &a},
                      .deadline = COVEY_NEVER};
    init_thread(&f, true);
    a.loop = w.loop = f.loop;
    sem_init(&s.done, 0, 0);
    assert_int_equal(pipe(w.fds), 0);
    call(&f, watch_and_look, &w);
    call(&f, alarm_add, &a);
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(cv_loop_post(f.loop, &s.mail), 0);
        assert_true(wait_for(&s.done));
        call(&f, alarm_set_soon, &a);
        assert_true(wait_for(&a.rang));
        assert_int_equal(a.rings, i);
    }
    call(&f, alarm_remove, &a);
    call(&f, unwatch, &w);
    assert_true(w.looks > 0);
    assert_int_equal(w.reads, 0);
    (void)close(w.fds[0]);
    (void)close(w.fds[1]);
    fini(&f);
}

/* ---- turn after turn ---- */

/* Asks for another turn in each one. Writes a byte, which the watch is to read, and counts the turns
 * until that was done. */
struct eager {
    struct watched watched;
    struct cv_loop_task task;
    unsigned written;
    unsigned waited; /* turns for the byte that is on its way */
    unsigned waited_max;
    sem_t done; /* after EAGER_BYTES */
};

enum { EAGER_BYTES = 100 };

static void eager_turn(void *user, covey_time now)
{
    struct eager *e = user;
    (void)now;
    cv_loop_again(e->watched.loop);
    if (e->watched.reads < e->written) {
        if (++e->waited > e->waited_max)
            e->waited_max = e->waited;
        return;
    }
    e->waited = 0;
    if (e->written < EAGER_BYTES)
        e->written += write(e->watched.fds[1], "x", 1) == 1;
    else
        sem_post(&e->done);
}

static void eager_start(void *user)
{
    struct eager *e = user;
    e->task = (struct cv_loop_task){.turn = eager_turn, .deadline = never, .user = e};
    watch(&e->watched);
    cv_loop_add(e->watched.loop, &e->task);
}

static void eager_stop(void *user)
{
    struct eager *e = user;
    cv_loop_remove(e->watched.loop, &e->task);
    unwatch(&e->watched);
}

/* Turns that were asked for are made without libuv, but never two in a row: what there is to read is
 * read in every second turn at least. */
static void turns_that_are_asked_for_starve_nobody(void **state)
{
    (void)state;
    for (int polls = 0; polls < 2; polls++) {
        struct loop_fixture f;
        init_thread(&f, polls != 0);
        struct eager e = {.watched = {.loop = f.loop}};
        sem_init(&e.done, 0, 0);
        assert_int_equal(pipe(e.watched.fds), 0);
        call(&f, eager_start, &e);
        assert_true(wait_for(&e.done));
        call(&f, eager_stop, &e);
        assert_int_equal(e.watched.reads, EAGER_BYTES);
        assert_int_equal(e.waited_max, 1);
        (void)close(e.watched.fds[0]);
        (void)close(e.watched.fds[1]);
        fini(&f);
    }
}

/* ---- the time without work ---- */

struct idler {
    struct cv_loop_task task;
    struct cv_loop *loop;
    covey_time began;   /* the last turn, by the loop */
    covey_time idle;    /* before it */
    covey_time working; /* at some time in it */
};

static void idler_turn(void *user, covey_time now)
{
    struct idler *i = user;
    i->began = now;
    i->idle = cv_loop_idle_time(i->loop);
    i->working = cv_clock_now();
}

static void idler_add(void *user)
{
    struct idler *i = user;
    cv_loop_add(i->loop, &i->task);
}

static void idler_remove(void *user)
{
    struct idler *i = user;
    cv_loop_remove(i->loop, &i->task);
}

/* From the end of the last turn to the beginning of this one, whoever looked in between. */
static void idle_is_the_time_between_turns(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct idler i = {.task = {.turn = idler_turn, .deadline = never, .user = &i}};
    struct note n = {.mail = {.run = take_note}};
    init_step(&f);
    i.loop = n.loop = f.loop;
    call(&f, idler_add, &i);
    cv_loop_step(f.loop);
    for (int step = 0; step < 100; step++) {
        const struct idler last = i;
        covey_time ended = cv_clock_now();
        cv_loop_step(f.loop); /* nothing there: no turn */
        assert_int_equal(cv_loop_post(f.loop, &n.mail), 0);
        wait_and_step(&f);
        assert_int_equal(n.runs, step + 1);
        assert_true(i.idle >= i.began - ended);
        assert_true(i.idle <= i.began - last.working);
    }
    call(&f, idler_remove, &i);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_descriptor_tells_of_a_post),
        cmocka_unit_test(a_deadline_sets_timeout_and_descriptor),
        cmocka_unit_test(a_watched_descriptor_shows_through),
        cmocka_unit_test(a_users_loop_makes_the_turns),
        cmocka_unit_test(another_handle_makes_no_turn),
        cmocka_unit_test(turns_may_be_made_without_libuv),
        cmocka_unit_test(a_polling_thread_sees_posts_and_the_end),
        cmocka_unit_test(a_thread_that_looks_serves_posts_and_deadlines),
        cmocka_unit_test(turns_that_are_asked_for_starve_nobody),
        cmocka_unit_test(idle_is_the_time_between_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
