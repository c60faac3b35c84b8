#define _POSIX_C_SOURCE 200809L

/* A server that stops in good order. */
#include "unit/api/calling.h"

struct draining {
    pthread_t thread;
    covey_server *server;
    covey_time timeout;
    int result;
};

static void *drain(void *user)
{
    struct draining *d = user;
    d->result = covey_server_drain(d->server, d->timeout);
    return NULL;
}

static void begin_drain(struct draining *d, covey_server *server, covey_time timeout)
{
    *d = (struct draining){.server = server, .timeout = timeout, .result = 1};
    assert_int_equal(pthread_create(&d->thread, NULL, drain, d), 0);
}

static int end_drain(struct draining *d)
{
    assert_int_equal(pthread_join(d->thread, NULL), 0);
    return d->result;
}

static struct rig *rig_of(void **state)
{
    return *state;
}

/* Calls until one is refused: the drain begins on another thread. */
static void expect_refused(struct rig *r)
{
    struct covey_reply reply;
    enum covey_status_code code = COVEY_STATUS_OK;
    while (code == COVEY_STATUS_OK) {
        reply = call_with(r->client, "echo", "x", 1, NULL);
        code = reply.code;
        covey_reply_clear(&reply);
    }
    assert_int_equal(code, COVEY_STATUS_UNAVAILABLE);
}

/* ---- nothing to wait for ---- */

static void an_idle_server_drains_at_once(void **state)
{
    struct rig *r = rig_of(state);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), 0);
    assert_int_equal(stats_of(r->server).connections, 0);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), COVEY_ERR_STATE);
}

static void one_that_is_not_started_does_not_drain(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    assert_int_equal(covey_server_drain(r->server, 0), COVEY_ERR_STATE);
    rig_start(r);
    expect_echo(r->client);
    rig_free(r);
}

static void idle_connections_are_closed(void **state)
{
    struct rig *r = rig_of(state);
    covey_client *other = world_client(&r->world, r->address, COVEY_ROLE_MEMBER);
    expect_echo(r->client);
    expect_echo(other);
    AWAIT(stats_of(r->server).connections == 2);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), 0);
    assert_int_equal(stats_of(r->server).connections, 0);
    assert_int_equal(covey_client_free(other), 0);
}

/* ---- calls that run ---- */

static void running_calls_finish_in_time(void **state)
{
    struct rig *r = rig_of(state);
    struct draining d;
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    covey_stream *stream, *both;
    tally_init(&t);
    call_async(r->client, "keep", &options, &t);
    covey_call *unary = kept_take(&r->kept);
    assert_int_equal(covey_client_stream(r->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *streaming = kept_take(&r->kept);
    assert_int_equal(covey_client_open(r->client, "keep_stream", &options, &both), 0);
    covey_call *bidi = kept_take(&r->kept);
    begin_drain(&d, r->server, COVEY_NEVER);
    /* New calls of the same client are refused, and it has nowhere else to go. */
    expect_refused(r);
    /* The others go on in both directions. */
    const void *message;
    size_t size;
    assert_int_equal(covey_call_send(streaming, "one", 3), 0);
    expect_message(stream, "one", 3);
    assert_int_equal(covey_stream_send(both, "ping", 4), 0);
    assert_int_equal(covey_call_receive(bidi, TEST_DEADLINE, &message, &size), 0);
    assert_int_equal(size, 4);
    assert_int_equal(covey_call_send(bidi, "pong", 4), 0);
    expect_message(both, "pong", 4);
    covey_call_finish(streaming, COVEY_STATUS_OK, NULL);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_call_reply(unary, "done", 4);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(stats_of(r->server).calls, 1);
    covey_stream_end(both);
    covey_call_finish(bidi, COVEY_STATUS_OK, NULL);
    expect_over(both, COVEY_STATUS_OK, "");
    assert_int_equal(end_drain(&d), 0);
    assert_int_equal(stats_of(r->server).connections, 0);
    assert_int_equal(stats_of(r->server).calls, 0);
    assert_true(stats_of(r->server).calls_rejected > 0);
    covey_stream_free(stream);
    covey_stream_free(both);
    tally_fini(&t);
}

static void what_is_left_when_the_time_is_over_is_cancelled(void **state)
{
    struct rig *r = rig_of(state);
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    tally_init(&t);
    call_async(r->client, "keep", &options, &t);
    covey_call *call = kept_take(&r->kept);
    assert_int_equal(covey_server_drain(r->server, 20 * COVEY_MILLISECOND), COVEY_ERR_TIMEOUT);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_UNAVAILABLE], 1);
    AWAIT(covey_call_is_cancelled(call));
    assert_int_equal(stats_of(r->server).connections, 0);
    assert_int_equal(stats_of(r->server).calls, 1); /* its user has not finished it */
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    AWAIT(stats_of(r->server).calls == 0);
    tally_fini(&t);
}

static void no_time_is_none(void **state)
{
    struct rig *r = rig_of(state);
    struct tally t;
    tally_init(&t);
    call_async(r->client, "keep", NULL, &t);
    covey_call *call = kept_take(&r->kept);
    assert_int_equal(covey_server_drain(r->server, 0), COVEY_ERR_TIMEOUT);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    tally_wait(&t, 1);
    tally_fini(&t);
}

/* A call that its user finished but whose client reads nothing holds the drain up until then. */
static void an_answer_on_its_way_is_waited_for(void **state)
{
    struct rig *r = rig_of(state);
    struct draining d;
    covey_stream *stream;
    static unsigned char message[100000];
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(r->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&r->kept);
    unsigned sent = 0;
    while (sent < 20) {
        int error = covey_call_send(call, message, sizeof message);
        if (error == COVEY_ERR_BUSY)
            break;
        assert_int_equal(error, 0);
        sent++;
    }
    covey_call_finish(call, COVEY_STATUS_OK, "all of it");
    begin_drain(&d, r->server, COVEY_NEVER);
    for (unsigned i = 0; i < sent; i++)
        expect_message(stream, message, sizeof message);
    expect_over(stream, COVEY_STATUS_OK, "all of it");
    assert_int_equal(end_drain(&d), 0);
    covey_stream_free(stream);
}

static void a_client_that_cancels_ends_the_drain(void **state)
{
    struct rig *r = rig_of(state);
    struct draining d;
    covey_stream *stream;
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(r->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&r->kept);
    begin_drain(&d, r->server, COVEY_NEVER);
    covey_stream_free(stream);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    assert_int_equal(end_drain(&d), 0);
}

static void a_second_drain_is_refused(void **state)
{
    struct rig *r = rig_of(state);
    struct draining d;
    struct tally t;
    tally_init(&t);
    call_async(r->client, "keep", NULL, &t);
    covey_call *call = kept_take(&r->kept);
    begin_drain(&d, r->server, COVEY_NEVER);
    expect_refused(r);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), COVEY_ERR_STATE);
    covey_call_reply(call, "", 0);
    assert_int_equal(end_drain(&d), 0);
    assert_int_equal(covey_server_drain(r->server, 0), COVEY_ERR_STATE);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    tally_fini(&t);
}

/* ---- who comes while it drains ---- */

static void a_new_client_is_refused_too(void **state)
{
    struct rig *r = rig_of(state);
    struct draining d;
    struct tally t;
    tally_init(&t);
    call_async(r->client, "keep", NULL, &t);
    covey_call *call = kept_take(&r->kept);
    begin_drain(&d, r->server, COVEY_NEVER);
    expect_refused(r);
    covey_client *late = world_client(&r->world, r->address, COVEY_ROLE_CLIENT);
    expect_call(late, "echo", COVEY_STATUS_UNAVAILABLE, "");
    assert_int_equal(covey_client_free(late), 0);
    covey_call_reply(call, "", 0);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(end_drain(&d), 0);
    assert_true(stats_of(r->server).calls_rejected > 0);
    assert_int_equal(stats_of(r->server).calls_refused, 0);
    tally_fini(&t);
}

/* A server that drained refuses as long as it is there. */
static void after_the_drain_all_is_refused(void **state)
{
    struct rig *r = rig_of(state);
    expect_echo(r->client);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), 0);
    for (int i = 0; i < 5; i++)
        expect_call(r->client, "echo", COVEY_STATUS_UNAVAILABLE, "");
    assert_int_equal(stats_of(r->server).calls_begun, 1);
}

/* What was refused goes to the successor: on the same address, as soon as that is there. */
static void refused_calls_are_made_at_the_successor(void **state)
{
    struct rig *r = rig_of(state);
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    tally_init(&t);
    expect_echo(r->client);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), 0);
    assert_int_equal(covey_server_free(r->server), 0);
    options.wait_for_ready = true;
    for (int i = 0; i < 50; i++)
        call_async(r->client, "echo", &options, &t);
    r->server = server_at(&r->world, r->address);
    rig_serve(r, r->server);
    assert_int_equal(covey_server_start(r->server), 0);
    tally_wait(&t, 50);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 50);
    tally_fini(&t);
}

/* Calls that come in all the time, while the server goes: each runs once, or not at all. */
struct stream_of_calls {
    covey_client *client;
    atomic_uint answered, refused, other;
    atomic_bool stops;
};

static void *call_on_and_on(void *user)
{
    struct stream_of_calls *s = user;
    while (!atomic_load(&s->stops)) {
        struct covey_reply reply;
        if (covey_client_call(s->client, "count", "", 0, NULL, &reply) != 0)
            break;
        atomic_fetch_add(reply.code == COVEY_STATUS_OK            ? &s->answered
                         : reply.code == COVEY_STATUS_UNAVAILABLE ? &s->refused
                                                                  : &s->other,
                         1);
        covey_reply_clear(&reply);
    }
    return NULL;
}

static void count_calls(covey_call *call, const void *request, size_t size, void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
    covey_call_reply(call, request, size);
}

static void no_call_is_lost_or_run_twice(void **state)
{
    struct rig *r = rig_of(state);
    enum { THREADS = 4 };
    struct stream_of_calls calls = {.client = r->client};
    pthread_t threads[THREADS];
    atomic_uint ran = 0;
    serve(r->server, "count", count_calls, &ran);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_on_and_on, &calls), 0);
    AWAIT(atomic_load(&calls.answered) >= 100);
    assert_int_equal(covey_server_drain(r->server, COVEY_NEVER), 0);
    AWAIT(atomic_load(&calls.refused) >= 4);
    atomic_store(&calls.stops, true);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&ran), atomic_load(&calls.answered));
    assert_int_equal(atomic_load(&calls.other), 0);
}

/* ---- with statistics ---- */

static void statistics_have_a_size(void **state)
{
    struct rig *r = rig_of(state);
    struct {
        struct covey_server_stats known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof newer}, .unknown = 7};
    struct covey_server_stats older = {.size = offsetof(struct covey_server_stats, calls),
                                       .calls_begun = 7};
    expect_echo(r->client);
    assert_int_equal(covey_server_stats(r->server, &newer.known), 0);
    assert_int_equal(newer.known.calls_begun, 1);
    assert_int_equal(newer.known.size, sizeof newer);
    assert_int_equal(newer.unknown, 0);
    assert_int_equal(covey_server_stats(r->server, &older), 0);
    assert_int_equal(older.connections, 1);
    assert_int_equal(older.calls_begun, 7);
    older.size = 0;
    assert_int_equal(covey_server_stats(r->server, &older), COVEY_ERR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_idle_server_drains_at_once),
        cmocka_unit_test(one_that_is_not_started_does_not_drain),
        RIG_TEST(idle_connections_are_closed),
        RIG_TEST(running_calls_finish_in_time),
        RIG_TEST(what_is_left_when_the_time_is_over_is_cancelled),
        RIG_TEST(no_time_is_none),
        RIG_TEST(an_answer_on_its_way_is_waited_for),
        RIG_TEST(a_client_that_cancels_ends_the_drain),
        RIG_TEST(a_second_drain_is_refused),
        RIG_TEST(a_new_client_is_refused_too),
        RIG_TEST(after_the_drain_all_is_refused),
        RIG_TEST(refused_calls_are_made_at_the_successor),
        RIG_TEST(no_call_is_lost_or_run_twice),
        RIG_TEST(statistics_have_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
