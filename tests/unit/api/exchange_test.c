#define _POSIX_C_SOURCE 200809L

/* The messages of one call between its user and the loop, without an RPC layer below: what waits, who
 * is told, and when it is freed. With one below it is tested through calls and streams. */
#include "api/exchange.h"

#include "unit/api/calling.h"

struct probe {
    struct cv_exchange x; /* first */
    atomic_uint begun, ended, cancelled, failed, ready, freed;
    char order[16]; /* of the loop's calls, a letter each */
    size_t length;
};

static struct probe *probe_of(struct cv_exchange *x)
{
    return (struct probe *)(void *)x;
}

static void note(struct cv_exchange *x, atomic_uint *count, char letter)
{
    struct probe *p = probe_of(x);
    if (p->length < sizeof p->order - 1)
        p->order[p->length++] = letter;
    atomic_fetch_add(count, 1);
}

static void on_begin(struct cv_exchange *x)
{
    note(x, &probe_of(x)->begun, 'b');
}

static void on_end(struct cv_exchange *x)
{
    note(x, &probe_of(x)->ended, 'e');
}

static void on_cancel(struct cv_exchange *x)
{
    note(x, &probe_of(x)->cancelled, 'c');
}

static void on_fail(struct cv_exchange *x, int error)
{
    (void)error;
    note(x, &probe_of(x)->failed, 'f');
}

static void on_ready(struct cv_exchange *x)
{
    note(x, &probe_of(x)->ready, 'r');
}

static void on_free(struct cv_exchange *x)
{
    struct probe *p = probe_of(x);
    cv_exchange_fini(x);
    atomic_store(&p->freed, 1);
}

static const struct cv_exchange_kind kind = {.begin = on_begin,
                                             .end = on_end,
                                             .cancel = on_cancel,
                                             .fail = on_fail,
                                             .ready = on_ready,
                                             .free = on_free};

struct fixture {
    struct world world;
    struct probe probe;
};

#define SIZE_MAX_HERE 1000

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init(&f->world);
    covey_runtime *runtime = f->world.runtime;
    cv_exchange_init(&f->probe.x, &kind, runtime, runtime->loop, SIZE_MAX_HERE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    AWAIT(atomic_load(&f->probe.freed) == 1);
    world_fini(&f->world);
    free(f);
    return 0;
}

/* ---- on the loop's thread ---- */

static void on_loop(struct fixture *f, void (*function)(void *user), void *user)
{
    assert_int_equal(cv_loop_call(f->world.runtime->loop, function, user), 0);
}

static void detach(void *user)
{
    cv_exchange_detach(user);
}

static void over(void *user)
{
    cv_exchange_over(user);
}

static void peer_ended(void *user)
{
    cv_exchange_peer_ended(user);
}

static void nothing(void *user)
{
    (void)user;
}

static void bring_one(void *user)
{
    assert_int_equal(cv_exchange_message(user, cv_slice_of("message", 7)), 0);
}

/* Gives up both references, so that it is freed. */
static void let_go(struct fixture *f)
{
    cv_exchange_leave(&f->probe.x);
    on_loop(f, detach, &f->probe.x);
}

/* ---- sending ---- */

static size_t fill(struct cv_exchange *x, size_t size)
{
    static const char bytes[SIZE_MAX_HERE];
    size_t count = 0;
    int error;
    while ((error = cv_exchange_send(x, cv_slice_of(bytes, size))) == 0)
        count++;
    assert_int_equal(error, COVEY_ERR_BUSY);
    return count;
}

static void what_waits_has_a_bound(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    assert_int_equal(fill(x, SIZE_MAX_HERE), (size_t)256 * 1024 / (SIZE_MAX_HERE + 64) + 1);
    assert_int_equal(cv_exchange_wait_room(x, 0), COVEY_ERR_TIMEOUT);
    assert_int_equal(cv_exchange_wait_room(x, COVEY_MILLISECOND), COVEY_ERR_TIMEOUT);
    assert_int_equal(atomic_load(&f->probe.ready), 0);
    on_loop(f, over, x); /* nobody will read: room is no question any more */
    assert_int_equal(atomic_load(&x->out_size), 0);
    assert_int_equal(cv_exchange_wait_room(x, COVEY_NEVER), COVEY_ERR_CLOSED);
    assert_int_equal(cv_exchange_send(x, cv_slice_of("x", 1)), COVEY_ERR_CLOSED);
    let_go(f);
}

static void empty_messages_count(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fill(&f->probe.x, 0), 256 * 1024 / 64 + 1);
    let_go(f);
}

static void what_cannot_be_sent(void **state)
{
    struct fixture *f = *state;
    static const char bytes[SIZE_MAX_HERE + 1];
    struct cv_exchange *x = &f->probe.x;
    assert_int_equal(cv_exchange_send(x, cv_slice_of(bytes, sizeof bytes)), COVEY_ERR_TOO_LARGE);
    assert_int_equal(cv_exchange_send(x, cv_slice_of(NULL, 1)), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(atomic_load(&x->out_size), 0);
    cv_exchange_end(x);
    assert_int_equal(cv_exchange_send(x, cv_slice_of(bytes, 1)), COVEY_ERR_STATE);
    let_go(f);
}

/* ---- receiving ---- */

static void messages_keep_their_order_and_the_end_is_last(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    struct cv_slice got;
    assert_int_equal(cv_exchange_receive(x, 0, &got), COVEY_ERR_TIMEOUT);
    on_loop(f, bring_one, x);
    assert_int_equal(atomic_load(&f->probe.ready), 1); /* it was asked for */
    on_loop(f, bring_one, x);
    assert_int_equal(atomic_load(&f->probe.ready), 1); /* this one was not */
    on_loop(f, peer_ended, x);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cv_exchange_receive(x, COVEY_NEVER, &got), 0);
        assert_true(cv_slice_equal(got, cv_slice_of("message", 7)));
    }
    assert_int_equal(cv_exchange_receive(x, COVEY_NEVER, &got), COVEY_ERR_CLOSED);
    assert_int_equal(cv_exchange_receive(x, 0, &got), COVEY_ERR_CLOSED);
    let_go(f);
}

static void what_came_is_there_after_the_end(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    struct cv_slice got;
    on_loop(f, bring_one, x);
    on_loop(f, over, x);
    assert_int_equal(cv_exchange_receive(x, COVEY_NEVER, &got), 0);
    assert_int_equal(cv_exchange_receive(x, COVEY_NEVER, &got), COVEY_ERR_CLOSED);
    let_go(f);
}

static void what_comes_for_nobody_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    struct cv_slice got;
    on_loop(f, bring_one, x);
    assert_int_equal(cv_exchange_receive(x, 0, &got), 0);
    on_loop(f, bring_one, x);
    cv_exchange_leave(x);
    on_loop(f, bring_one, x);
    on_loop(f, over, x);
    assert_int_equal(atomic_load(&f->probe.ready), 0); /* nobody is told */
    on_loop(f, detach, x);
}

/* ---- the loop's part ---- */

static void the_end_of_all_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    on_loop(f, over, x);
    on_loop(f, over, x);
    assert_int_equal(atomic_load(&f->probe.ready), 1);
    cv_exchange_end(x);
    cv_exchange_end(x);
    cv_exchange_post(x);
    on_loop(f, nothing, NULL); /* after the mails */
    assert_int_equal(atomic_load(&f->probe.ended), 1);
    let_go(f);
}

/* All of it is posted before the loop looks: a begin comes before what it begins. */
static void everything_at_once(void *user)
{
    struct cv_exchange *x = user;
    x->begin_wanted = true; /* as cv_exchange_begin() from another thread */
    cv_exchange_cancel(x);
    cv_exchange_end(x);
}

static void a_begin_comes_first(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    on_loop(f, everything_at_once, x);
    AWAIT(atomic_load(&f->probe.cancelled) == 1);
    on_loop(f, over, x);
    on_loop(f, nothing, NULL);
    assert_int_equal(f->probe.order[0], 'b');
    assert_int_equal(f->probe.order[1], 'c');
    assert_int_equal(f->probe.order[2], 'e');
    let_go(f);
}

static void begin_here(void *user)
{
    struct cv_exchange *x = user;
    cv_exchange_begin(x);
    assert_int_equal(atomic_load(&probe_of(x)->begun), 1); /* at once: it is the loop's thread */
}

static void it_begins_at_once_or_soon(void **state)
{
    struct fixture *f = *state;
    on_loop(f, begin_here, &f->probe.x);
    cv_exchange_begin(&f->probe.x);
    AWAIT(atomic_load(&f->probe.begun) == 2);
    let_go(f);
}

/* Its end does not wait for messages that nobody takes any more. */
static void an_end_with_messages_waiting(void **state)
{
    struct fixture *f = *state;
    struct cv_exchange *x = &f->probe.x;
    fill(x, 100);
    cv_exchange_end(x);
    on_loop(f, nothing, NULL);
    assert_int_equal(atomic_load(&f->probe.ended), 0);
    cv_exchange_leave(x);
    on_loop(f, over, x);
    assert_int_equal(atomic_load(&f->probe.ended), 1);
    assert_int_equal(atomic_load(&f->probe.failed), 0);
    on_loop(f, detach, x);
}

/* ---- threads ---- */

struct wrong {
    struct cv_exchange *x;
    int receive, room, room_now, poll;
};

static void block(void *user)
{
    struct wrong *w = user;
    struct cv_slice got;
    w->receive = cv_exchange_receive(w->x, 1, &got);
    w->room = cv_exchange_wait_room(w->x, 1);
    w->room_now = cv_exchange_wait_room(w->x, 0);
    w->poll = cv_exchange_receive(w->x, 0, &got);
}

static void a_loop_does_not_wait(void **state)
{
    struct fixture *f = *state;
    struct wrong w = {.x = &f->probe.x};
    on_loop(f, block, &w);
    assert_int_equal(w.receive, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(w.room, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(w.room_now, 0);
    assert_int_equal(w.poll, COVEY_ERR_TIMEOUT);
    let_go(f);
}

static void *wait_for_message(void *user)
{
    struct cv_slice got;
    int error = cv_exchange_receive(user, COVEY_NEVER, &got);
    return error == 0 && got.size == 7 ? user : NULL;
}

static void who_waits_is_woken(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_message, &f->probe.x), 0);
    on_loop(f, bring_one, &f->probe.x);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    let_go(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_has_a_bound),
        TEST(empty_messages_count),
        TEST(what_cannot_be_sent),
        TEST(messages_keep_their_order_and_the_end_is_last),
        TEST(what_came_is_there_after_the_end),
        TEST(what_comes_for_nobody_is_dropped),
        TEST(the_end_of_all_is_told_once),
        TEST(a_begin_comes_first),
        TEST(it_begins_at_once_or_soon),
        TEST(an_end_with_messages_waiting),
        TEST(a_loop_does_not_wait),
        TEST(who_waits_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
