#define _POSIX_C_SOURCE 200809L

/* Both sides send and receive in turn: with threads that wait, on the loop's thread, and where the
 * user makes the turns. */
#include "unit/api/calling.h"

#include <poll.h>

/* ---- the server's side, on the loop's thread ---- */

static void pong_on(covey_call *call, void *user)
{
    const void *message;
    size_t size;
    int error;
    (void)user;
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0)
        if (covey_call_send(call, message, size) != 0)
            break;
    if (error == COVEY_ERR_CLOSED)
        covey_call_finish(call, COVEY_STATUS_OK, "thank you");
    else if (error != COVEY_ERR_TIMEOUT)
        covey_call_finish(call, COVEY_STATUS_ABORTED, NULL);
}

static void pong(covey_call *call, void *user)
{
    covey_call_on_ready(call, pong_on, user);
    pong_on(call, user);
}

/* ---- with a thread that waits ---- */

static void expect_ping_pong(covey_stream *stream, unsigned count)
{
    const void *message;
    size_t size;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(covey_stream_send(stream, &i, sizeof i), 0);
        assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size), 0);
        assert_int_equal(size, sizeof i);
        assert_memory_equal(message, &i, sizeof i);
    }
    covey_stream_end(stream);
    expect_over(stream, COVEY_STATUS_OK, "thank you");
    covey_stream_free(stream);
}

static void blocking_against_the_loop(void **state)
{
    struct rig *r = *state;
    covey_stream *stream;
    serve_stream(r->server, "pong", pong, NULL);
    assert_int_equal(covey_client_open(r->client, "pong", NULL, &stream), 0);
    expect_ping_pong(stream, 500);
}

static void *pong_blocking(void *user)
{
    covey_call *call = user;
    const void *message;
    size_t size;
    int error;
    while ((error = covey_call_receive(call, TEST_DEADLINE, &message, &size)) == 0)
        if (covey_call_send(call, message, size) != 0)
            break;
    if (error == COVEY_ERR_CLOSED)
        covey_call_finish(call, COVEY_STATUS_OK, "thank you");
    else
        covey_call_finish(call, COVEY_STATUS_ABORTED, NULL);
    return NULL;
}

static void blocking_at_both_ends(void **state)
{
    struct rig *r = *state;
    covey_stream *stream;
    pthread_t thread;
    assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &stream), 0);
    assert_int_equal(pthread_create(&thread, NULL, pong_blocking, kept_take(&r->kept)), 0);
    expect_ping_pong(stream, 500);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- on the loop's thread at both ends ---- */

struct player {
    unsigned round, rounds;
    bool is_right;
    atomic_int code; /* -1: not over yet */
};

static void play_on(covey_stream *stream, void *user)
{
    struct player *p = user;
    const void *message;
    size_t size;
    int error;
    while ((error = covey_stream_receive(stream, 0, &message, &size)) == 0) {
        p->is_right = p->is_right && size == sizeof p->round &&
                      memcmp(message, &p->round, sizeof p->round) == 0;
        p->round++;
        if (p->round == p->rounds)
            covey_stream_end(stream);
        else
            p->is_right = covey_stream_send(stream, &p->round, sizeof p->round) == 0;
    }
    if (error != COVEY_ERR_CLOSED)
        return;
    int code = (int)covey_stream_status(stream, NULL);
    covey_stream_free(stream);
    atomic_store(&p->code, code);
}

static void player_begin(struct player *p, covey_client *client, unsigned rounds)
{
    covey_stream *stream;
    *p = (struct player){.rounds = rounds, .is_right = true};
    atomic_store(&p->code, -1);
    assert_int_equal(covey_client_open(client, "pong", NULL, &stream), 0);
    covey_stream_on_ready(stream, play_on, p);
    assert_int_equal(covey_stream_send(stream, &p->round, sizeof p->round), 0);
}

static void expect_won(const struct player *p)
{
    assert_int_equal(atomic_load(&p->code), COVEY_STATUS_OK);
    assert_int_equal(p->round, p->rounds);
    assert_true(p->is_right);
}

static void on_the_loop_at_both_ends(void **state)
{
    struct rig *r = *state;
    static struct player players[20];
    serve_stream(r->server, "pong", pong, NULL);
    for (int i = 0; i < 20; i++)
        player_begin(&players[i], r->client, 100);
    for (int i = 0; i < 20; i++) {
        AWAIT(atomic_load(&players[i].code) >= 0);
        expect_won(&players[i]);
    }
}

/* ---- the user makes the turns ---- */

struct stepped {
    struct world world; /* for identities */
    covey_runtime *runtime;
    covey_server *server;
    covey_client *client;
};

static int stepped_setup(void **state)
{
    struct stepped *s = calloc(1, sizeof *s);
    struct covey_runtime_config config;
    struct covey_server_config server;
    struct covey_client_config client;
    assert_non_null(s);
    world_init(&s->world);
    covey_runtime_config_init(&config);
    config.mode = COVEY_RUN_STEP;
    assert_int_equal(covey_runtime_new(&config, &s->runtime), 0);
    covey_identity *owl = world_identity(&s->world, "owl", COVEY_ROLE_MEMBER);
    server_config_of(&s->world, owl, &server);
    server.runtime = s->runtime;
    assert_int_equal(covey_server_new(&server, &s->server), 0);
    serve(s->server, "echo", echo, NULL);
    serve_stream(s->server, "pong", pong, NULL);
    assert_int_equal(covey_server_start(s->server), 0);
    client_config_of(&s->world, owl, covey_server_address(s->server), &client);
    client.runtime = s->runtime;
    assert_int_equal(covey_client_new(&client, &s->client), 0);
    covey_identity_free(owl);
    *state = s;
    return 0;
}

static int stepped_teardown(void **state)
{
    struct stepped *s = *state;
    assert_int_equal(covey_client_free(s->client), 0);
    assert_int_equal(covey_server_free(s->server), 0);
    assert_int_equal(covey_runtime_free(s->runtime), 0);
    world_fini(&s->world);
    free(s);
    return 0;
}

/* As the header says it. */
static void turn(struct stepped *s)
{
    struct pollfd fd = {.fd = covey_runtime_fd(s->runtime), .events = POLLIN};
    covey_time timeout = covey_runtime_timeout(s->runtime);
    covey_time ms = timeout == COVEY_NEVER ? 1000 : timeout / COVEY_MILLISECOND + 1;
    (void)poll(&fd, 1, timeout == 0 ? 0 : ms < 1000 ? (int)ms : 1000);
    assert_int_equal(covey_runtime_step(s->runtime), 0);
}

#define TURN_UNTIL(s, is_so)                                                                       \
    do {                                                                                           \
        covey_time turn_deadline = cv_deadline_after(TEST_DEADLINE);                               \
        while (!(is_so)) {                                                                         \
            if (cv_time_left(turn_deadline) == 0)                                                  \
                fail_msg("turned in vain for: %s", #is_so);                                        \
            turn(s);                                                                               \
        }                                                                                          \
    } while (0)

static void a_user_that_steps_plays_too(void **state)
{
    struct stepped *s = *state;
    static struct player players[5];
    for (int i = 0; i < 5; i++)
        player_begin(&players[i], s->client, 100);
    for (int i = 0; i < 5; i++) {
        TURN_UNTIL(s, atomic_load(&players[i].code) >= 0);
        expect_won(&players[i]);
    }
}

static void count_message(const void *message, size_t size, void *user)
{
    (void)message;
    (void)size;
    ++*(unsigned *)user;
}

struct handed {
    unsigned messages; /* first: what the function counts */
    struct tally tally;
};

static void note_end(const struct covey_reply *reply, void *user)
{
    tally_reply(reply, &((struct handed *)user)->tally);
}

static void all_kinds_of_calls_in_steps(void **state)
{
    struct stepped *s = *state;
    struct tally t;
    struct handed handed = {.messages = 0};
    const struct covey_stream_handler handler = {count_message, note_end, &handed};
    struct covey_reply reply;
    covey_stream *stream;
    const void *message;
    size_t size;
    tally_init(&t);
    tally_init(&handed.tally);
    /* waiting is not allowed here: nobody else would make the turns */
    assert_int_equal(covey_client_call(s->client, "echo", "", 0, NULL, &reply),
                     COVEY_ERR_WRONG_THREAD);
    for (int i = 0; i < 50; i++)
        call_async(s->client, "echo", NULL, &t);
    assert_int_equal(covey_client_stream_async(s->client, "echo", "x", 1, NULL, &handler), 0);
    assert_int_equal(covey_client_open(s->client, "pong", NULL, &stream), 0);
    assert_int_equal(covey_stream_finish(stream, 1, &reply), COVEY_ERR_WRONG_THREAD);
    for (int i = 0; i < 10; i++)
        assert_int_equal(covey_stream_send(stream, "x", 1), 0);
    covey_stream_end(stream);
    unsigned count = 0;
    int error = 0;
    while (error != COVEY_ERR_CLOSED) {
        while ((error = covey_stream_receive(stream, 0, &message, &size)) == 0)
            count++;
        if (error == COVEY_ERR_TIMEOUT)
            turn(s);
    }
    assert_int_equal(count, 10);
    assert_int_equal(covey_stream_status(stream, NULL), COVEY_STATUS_OK);
    covey_stream_free(stream);
    TURN_UNTIL(s, tally_count(&t) == 50);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 50);
    TURN_UNTIL(s, tally_count(&handed.tally) == 1);
    assert_int_equal(handed.messages, 1);
    tally_fini(&t);
    tally_fini(&handed.tally);
}

/* Calls that are open when the user stops stepping end when he frees. */
static void what_is_open_ends_without_steps(void **state)
{
    struct stepped *s = *state;
    struct tally t;
    covey_stream *stream;
    tally_init(&t);
    for (int i = 0; i < 10; i++)
        call_async(s->client, "echo", NULL, &t);
    assert_int_equal(covey_client_open(s->client, "pong", NULL, &stream), 0);
    assert_int_equal(covey_client_free(s->client), 0);
    s->client = NULL;
    assert_int_equal(t.count, 10);
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 10);
    assert_int_equal(covey_stream_status(stream, NULL), COVEY_STATUS_CANCELLED);
    covey_stream_free(stream);
    tally_fini(&t);
}

/* Another thread waits as ever, as long as somebody steps. */
struct other {
    struct stepped *s;
    atomic_int left;
    atomic_int failed;
};

static void *call_from_outside(void *user)
{
    struct other *o = user;
    while (atomic_load(&o->left) > 0) {
        struct covey_reply reply;
        if (covey_client_call(o->s->client, "echo", "x", 1, NULL, &reply) != 0 ||
            reply.code != COVEY_STATUS_OK)
            atomic_fetch_add(&o->failed, 1);
        covey_reply_clear(&reply);
        atomic_fetch_sub(&o->left, 1);
    }
    return NULL;
}

static void other_threads_wait_for_whom_steps(void **state)
{
    struct stepped *s = *state;
    struct other o = {.s = s, .left = 200};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_from_outside, &o), 0);
    TURN_UNTIL(s, atomic_load(&o.left) == 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&o.failed), 0);
}

#define STEP_TEST(name) cmocka_unit_test_setup_teardown(name, stepped_setup, stepped_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(blocking_against_the_loop),          RIG_TEST(blocking_at_both_ends),
        RIG_TEST(on_the_loop_at_both_ends),           STEP_TEST(a_user_that_steps_plays_too),
        STEP_TEST(all_kinds_of_calls_in_steps),       STEP_TEST(what_is_open_ends_without_steps),
        STEP_TEST(other_threads_wait_for_whom_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
