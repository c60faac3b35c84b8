#define _POSIX_C_SOURCE 200809L

/* The one connection of a client: when it is made, how long nobody tries, who is believed. */
#include "api/client.h"

#include "unit/api/calling.h"
#include "unit/api/deaf.h"

#include <unistd.h>

/* Addresses without a server: one that says so at once, and one that never says anything. */
struct away {
    struct world world;
    covey_identity *identity;
    covey_client *client;
    int deaf;
    char deaf_address[32];
    char closed_address[32];
};

static int setup(void **state)
{
    struct away *a = calloc(1, sizeof *a);
    assert_non_null(a);
    world_init(&a->world);
    a->identity = world_identity(&a->world, "robin", COVEY_ROLE_CLIENT);
    a->deaf = open_deaf(a->deaf_address, sizeof a->deaf_address);
    absent_address(a->closed_address, sizeof a->closed_address);
    *state = a;
    return 0;
}

static int teardown(void **state)
{
    struct away *a = *state;
    assert_int_equal(covey_client_free(a->client), 0);
    covey_identity_free(a->identity);
    world_fini(&a->world);
    close(a->deaf);
    free(a);
    return 0;
}

static void connect_to(struct away *a, const char *address, covey_time first, covey_time max)
{
    struct covey_client_config config;
    client_config_of(&a->world, a->identity, address, &config);
    config.connect_backoff_first = first;
    config.connect_backoff_max = max;
    assert_int_equal(covey_client_new(&config, &a->client), 0);
}

#define HOUR (3600 * COVEY_SECOND)

static covey_server *serve_at(struct away *a, const char *address)
{
    covey_server *server = server_at(&a->world, address);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    return server;
}

/* ---- the pause after a connection in vain ---- */

static void inside_the_pause_calls_fail_at_once(void **state)
{
    struct away *a = *state;
    connect_to(a, a->closed_address, HOUR, HOUR);
    for (int i = 0; i < 20; i++)
        expect_call(a->client, "m", COVEY_STATUS_UNAVAILABLE, "cannot connect to 127.");
    assert_int_equal(client_stats_of(a->client).connections_failed, 1);
    assert_int_equal(client_stats_of(a->client).calls_started, 0);
    /* A server that is there by now does not help before the pause is over. */
    covey_server *server = serve_at(a, a->closed_address);
    expect_call(a->client, "echo", COVEY_STATUS_UNAVAILABLE, "cannot connect to 127.");
    assert_int_equal(covey_server_free(server), 0);
}

static void who_waits_for_a_connection_gets_it_after_the_pause(void **state)
{
    struct away *a = *state;
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct tally patient;
    tally_init(&patient);
    connect_to(a, a->closed_address, COVEY_MILLISECOND, 5 * COVEY_MILLISECOND);
    options.wait_for_ready = true;
    for (int i = 0; i < 10; i++)
        call_async(a->client, "echo", &options, &patient);
    AWAIT(client_stats_of(a->client).connections_failed >= 5);
    assert_int_equal(tally_count(&patient), 0);
    covey_server *server = serve_at(a, a->closed_address);
    tally_wait(&patient, 10);
    assert_int_equal(patient.codes[COVEY_STATUS_OK], 10);
    assert_int_equal(client_stats_of(a->client).connections_opened, 1);
    assert_int_equal(covey_server_free(server), 0);
    tally_fini(&patient);
}

/* It stays among those that wait while others are told. */
static void patience_is_each_calls_own(void **state)
{
    struct away *a = *state;
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct tally patient;
    tally_init(&patient);
    connect_to(a, a->closed_address, HOUR, HOUR);
    options.wait_for_ready = true;
    call_async(a->client, "m", &options, &patient);
    for (int i = 0; i < 3; i++)
        expect_call(a->client, "m", COVEY_STATUS_UNAVAILABLE, "cannot connect");
    assert_int_equal(tally_count(&patient), 0);
    assert_int_equal(covey_client_free(a->client), 0);
    a->client = NULL;
    assert_int_equal(patient.codes[COVEY_STATUS_CANCELLED], 1);
    assert_string_equal(patient.text, "the client was freed");
    tally_fini(&patient);
}

static void the_deadline_ends_the_wait(void **state)
{
    struct away *a = *state;
    struct covey_call_options options = options_within(30 * COVEY_MILLISECOND);
    connect_to(a, a->closed_address, HOUR, HOUR);
    options.wait_for_ready = true;
    expect_reply(call_with(a->client, "m", "", 0, &options), COVEY_STATUS_DEADLINE_EXCEEDED,
                 "cannot connect to 127.");
    /* and of a stream, with what it has to send */
    covey_stream *stream;
    assert_int_equal(covey_client_open(a->client, "m", &options, &stream), 0);
    assert_int_equal(covey_stream_send(stream, "x", 1), 0);
    covey_stream_end(stream);
    expect_over(stream, COVEY_STATUS_DEADLINE_EXCEEDED, "cannot connect to 127.");
    assert_int_equal(covey_stream_send(stream, "x", 1), COVEY_ERR_STATE);
    covey_stream_free(stream);
}

static void many_deadlines_end_in_their_order(void **state)
{
    struct away *a = *state;
    struct tally t;
    tally_init(&t);
    connect_to(a, a->deaf_address, HOUR, HOUR);
    for (unsigned i = 0; i < 1000; i++) {
        struct covey_call_options options = options_within((i * 7919 % 100) * COVEY_MILLISECOND);
        call_async(a->client, "m", &options, &t);
    }
    tally_wait(&t, 1000);
    assert_int_equal(t.codes[COVEY_STATUS_DEADLINE_EXCEEDED], 1000);
    tally_fini(&t);
}

/* The pause grows, so that a server that is away is not asked for ever more. */
static void the_pause_doubles(void **state)
{
    struct away *a = *state;
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct tally t;
    tally_init(&t);
    connect_to(a, a->closed_address, COVEY_MILLISECOND, HOUR);
    options.wait_for_ready = true;
    covey_time begin = cv_deadline_after(0);
    call_async(a->client, "m", &options, &t);
    AWAIT(client_stats_of(a->client).connections_failed >= 9);
    covey_time passed = cv_deadline_after(0) - begin;
    /* 1 + 2 + 4 + ... + 128 ms, less 20 % */
    assert_true(passed >= 255 * COVEY_MILLISECOND * 8 / 10);
    assert_int_equal(covey_client_free(a->client), 0);
    a->client = NULL;
    tally_fini(&t);
}

/* ---- who is believed ---- */

static void only_the_expected_node_is_accepted(void **state)
{
    struct away *a = *state;
    struct covey_client_config config;
    covey_identity *owl = world_identity(&a->world, "owl", COVEY_ROLE_MEMBER);
    struct covey_server_config server_config;
    covey_server *server;
    server_config_of(&a->world, owl, &server_config);
    assert_int_equal(covey_server_new(&server_config, &server), 0);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    covey_node_id right = covey_identity_id(owl), wrong = right;
    wrong.bytes[15] ^= 1;
    client_config_of(&a->world, a->identity, covey_server_address(server), &config);
    config.expected = &wrong;
    assert_int_equal(covey_client_new(&config, &a->client), 0);
    expect_call(a->client, "echo", COVEY_STATUS_UNAVAILABLE,
                "the peer is not the node that was expected");
    assert_int_equal(covey_client_free(a->client), 0);
    config.expected = &right;
    assert_int_equal(covey_client_new(&config, &a->client), 0);
    expect_echo(a->client);
    assert_int_equal(covey_server_free(server), 0);
    covey_identity_free(owl);
}

static void a_successor_at_the_address_is_another_node(void **state)
{
    struct away *a = *state;
    struct covey_client_config config;
    struct covey_server_config server_config;
    covey_server *server;
    char address[64];
    covey_identity *owl = world_identity(&a->world, "owl", COVEY_ROLE_MEMBER);
    covey_node_id id = covey_identity_id(owl);
    server_config_of(&a->world, owl, &server_config);
    assert_int_equal(covey_server_new(&server_config, &server), 0);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    snprintf(address, sizeof address, "%s", covey_server_address(server));
    client_config_of(&a->world, a->identity, address, &config);
    config.expected = &id;
    config.connect_backoff_first = config.connect_backoff_max = COVEY_MILLISECOND;
    assert_int_equal(covey_client_new(&config, &a->client), 0);
    expect_echo(a->client);
    assert_int_equal(covey_server_free(server), 0);
    server = serve_at(a, address); /* with another key */
    expect_call(a->client, "echo", COVEY_STATUS_UNAVAILABLE,
                "the peer is not the node that was expected");
    assert_int_equal(covey_server_free(server), 0);
    server_config.listen = address;
    assert_int_equal(covey_server_new(&server_config, &server), 0);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    expect_echo(a->client);
    assert_int_equal(covey_server_free(server), 0);
    covey_identity_free(owl);
}

/* ---- a server that goes and comes back ---- */

static void each_time_it_is_back_it_is_found(void **state)
{
    struct away *a = *state;
    char address[64];
    covey_server *server = serve_at(a, own_listen());
    snprintf(address, sizeof address, "%s", covey_server_address(server));
    connect_to(a, address, COVEY_MILLISECOND, 10 * COVEY_MILLISECOND);
    for (unsigned i = 1; i <= 5; i++) {
        expect_echo(a->client);
        assert_int_equal(client_stats_of(a->client).connections_opened, i);
        assert_int_equal(covey_server_free(server), 0);
        expect_call(a->client, "echo", COVEY_STATUS_UNAVAILABLE, "");
        server = serve_at(a, address);
    }
    expect_echo(a->client);
    assert_int_equal(covey_server_free(server), 0);
}

/* A handler of a reply that tells of a lost connection calls again: on a new one. */
struct again {
    struct tally tally;
    covey_client *client;
    int error;
};

static void call_again(const struct covey_reply *reply, void *user)
{
    struct again *again = user;
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.wait_for_ready = true;
    options.idempotent = true; /* another loop of the server may take it just before it closes */
    again->error = covey_client_call_async(again->client, "echo", "x", 1, &options, tally_reply,
                                           &again->tally);
    tally_reply(reply, &again->tally);
}

static void a_call_made_when_the_connection_is_lost_gets_a_new_one(void **state)
{
    struct away *a = *state;
    static struct kept kept;
    struct again again;
    char address[64];
    struct covey_call_options options = options_within(COVEY_NEVER);
    kept_init(&kept);
    tally_init(&again.tally);
    covey_server *server = serve_at(a, own_listen()); /* one of its loops may answer to the end */
    serve(server, "keep", keep, &kept);
    snprintf(address, sizeof address, "%s", covey_server_address(server));
    connect_to(a, address, COVEY_MILLISECOND, 10 * COVEY_MILLISECOND);
    again.client = a->client;
    assert_int_equal(
        covey_client_call_async(a->client, "keep", "x", 1, &options, call_again, &again), 0);
    covey_call *call = kept_take(&kept);
    assert_int_equal(covey_server_free(server), 0);
    covey_call_reply(call, "", 0);
    server = serve_at(a, address);
    tally_wait(&again.tally, 2);
    assert_int_equal(again.error, 0);
    assert_int_equal(again.tally.codes[COVEY_STATUS_UNAVAILABLE], 1);
    assert_int_equal(again.tally.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(covey_server_free(server), 0);
    tally_fini(&again.tally);
    kept_fini(&kept);
}

/* ---- room for timers ---- */

struct looking {
    const covey_client *client;
    size_t wanted;
};

static void look(void *user)
{
    struct looking *l = user;
    l->wanted = l->client->shared->timers_wanted;
}

/* What calls reserve they give back, however they end. */
static void no_room_for_timers_is_lost(void **state)
{
    struct away *a = *state;
    struct covey_call_options options = options_within(5 * COVEY_MILLISECOND);
    struct looking l;
    covey_stream *stream;
    connect_to(a, a->deaf_address, HOUR, HOUR);
    l.client = a->client;
    for (int i = 0; i < 5; i++) {
        expect_reply(call_with(a->client, "m", "", 0, &options), COVEY_STATUS_DEADLINE_EXCEEDED,
                     "");
        assert_int_equal(covey_client_open(a->client, "m", &options, &stream), 0);
        expect_over(stream, COVEY_STATUS_DEADLINE_EXCEEDED, "");
        covey_stream_free(stream);
        assert_int_equal(covey_client_open(a->client, "m", NULL, &stream), 0);
        covey_stream_free(stream);
    }
    assert_int_equal(cv_loop_call(a->client->loop, look, &l), 0);
    assert_int_equal(l.wanted, 1); /* the pause's own */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inside_the_pause_calls_fail_at_once),
        TEST(who_waits_for_a_connection_gets_it_after_the_pause),
        TEST(patience_is_each_calls_own),
        TEST(the_deadline_ends_the_wait),
        TEST(many_deadlines_end_in_their_order),
        TEST(the_pause_doubles),
        TEST(only_the_expected_node_is_accepted),
        TEST(a_successor_at_the_address_is_another_node),
        TEST(each_time_it_is_back_it_is_found),
        TEST(a_call_made_when_the_connection_is_lost_gets_a_new_one),
        TEST(no_room_for_timers_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
