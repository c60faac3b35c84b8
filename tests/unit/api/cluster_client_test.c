#define _POSIX_C_SOURCE 200809L
/* Whom a cluster client calls, and what it refuses at once. */
#include "unit/api/cluster_client.h"

static void calls_go_round(void **state)
{
    (void)state;
    struct team *f = team_new(3);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    unsigned counts[WORKERS] = {0};
    for (int i = 0; i < 12; i++)
        counts[call_name(f, &target)]++;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(counts[i], 4);
    publish_state(f, 1, COVEY_NODE_SUSPECT);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal(call_name(f, &target), 1);
    assert_int_equal(counters(f).connections, 3); /* a suspect's calls may go on */
    publish_state(f, 1, COVEY_NODE_FAILED);
    assert_int_equal(counters(f).connections, 2);
    assert_int_equal(counters(f).connections_dropped, 1);
    assert_int_equal(counters(f).calls_started, 16);
    team_free(f);
}

static void a_key_sticks(void **state)
{
    (void)state;
    struct team *f = team_new(3);
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.key = "session 7";
    target.key_size = 9;
    const size_t first = call_name(f, &target);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_name(f, &target), first);
    publish_state(f, first, COVEY_NODE_LEFT);
    const size_t second = call_name(f, &target);
    assert_int_not_equal(second, first);
    publish_state(f, first, COVEY_NODE_ALIVE);
    assert_int_equal(call_name(f, &target), first);
    team_free(f);
}

static void without_a_member_it_ends_after_the_tries(void **state)
{
    (void)state;
    struct team *f = team_new(0);
    struct covey_reply reply;
    covey_node_id node = {{1}};
    const covey_node_id none = {{0}};
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.tries = 3;
    target.interval = 5 * COVEY_MILLISECOND;
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, "name", "x", 1, NULL, &reply, &node), 0);
    expect_reply(reply, COVEY_STATUS_UNAVAILABLE, "no member matches, looked for 3 times");
    assert_memory_equal(&node, &none, sizeof node);
    assert_int_equal(counters(f).calls_without_target, 1);
    /* not beyond the deadline */
    target.interval = 100 * COVEY_SECOND;
    const struct covey_call_options options = options_within(COVEY_SECOND);
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, "name", "x", 1, &options, &reply, NULL), 0);
    expect_reply(reply, COVEY_STATUS_UNAVAILABLE, "no member matches, looked for 1 time");
    team_free(f);
}

static void one_that_comes_meanwhile_is_found(void **state)
{
    (void)state;
    struct team *f = team_new(0);
    struct tally t;
    tally_init(&t);
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.tries = 1000;
    target.interval = 10 * COVEY_MILLISECOND;
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "name", "x", 1, NULL, tally_node, &t),
        0);
    struct covey_balancer_stats stats = {.size = sizeof stats};
    do
        covey_balancer_stats(f->balancer, &stats);
    while (stats.picks_in_vain == 0);
    f->workers[0].is_absent = false;
    start_worker(f, 0);
    publish(f);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    tally_fini(&t);
    team_free(f);
}

/* At the address of the one that was chosen there is another: it is not called. */
static void a_wrong_certificate_is_refused(void **state)
{
    (void)state;
    struct team *f = team_new(2);
    covey_node_id node;
    open_client(f, NULL);
    snprintf(f->workers[0].address, sizeof f->workers[0].address, "%s", f->workers[1].address);
    publish(f);
    for (int i = 0; i < 4; i++) { /* the other one is tried, and says its own name */
        const struct covey_target target = target_of(f);
        assert_int_equal(call_name(f, &target), 1);
    }
    assert_true(counters(f).calls_moved > 0);
    publish_state(f, 1, COVEY_NODE_FAILED);
    const unsigned before = atomic_load(&f->workers[1].calls);
    struct covey_reply reply = call(f, "name", true, &node);
    assert_int_equal(reply.code, COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(number_of(f, &node), 0);
    covey_reply_clear(&reply);
    assert_int_equal(atomic_load(&f->workers[1].calls), before);
    team_free(f);
}

/* Of three that say that they are workers one serves nothing of it: that costs the calls that it is chosen for,
 * and says nothing of the others, who are called as often as before. */
static void one_that_lies_is_believed_about_itself(void **state)
{
    (void)state;
    struct team *f = team_new(3);
    unsigned refused = 0;
    unsigned counts[WORKERS] = {0};
    covey_server *liar = world_server(&f->world, "w2");
    assert_int_equal(covey_server_free(f->workers[2].server), 0);
    f->workers[2].server = liar;
    assert_int_equal(covey_server_start(liar), 0);
    snprintf(f->workers[2].address, sizeof f->workers[2].address, "%s", covey_server_address(liar));
    f->workers[2].id = cv_tls_identity(cv_cluster_host(liar)->tls)->id;
    publish(f);
    open_client(f, NULL);
    for (int i = 0; i < 9; i++) {
        covey_node_id node;
        struct covey_reply reply = call(f, "name", true, &node);
        const size_t number = number_of(f, &node);
        assert_true(number < WORKERS);
        counts[number]++;
        refused += reply.code == COVEY_STATUS_UNIMPLEMENTED && number == 2;
        assert_true(reply.code == COVEY_STATUS_OK || number == 2);
        covey_reply_clear(&reply);
    }
    assert_int_equal(refused, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(counts[i], 3);
    team_free(f);
}

static void few_calls(struct covey_cluster_client_config *config)
{
    config->calls_max = 3;
}

static void calls_are_bounded_and_end_with_their_client(void **state)
{
    (void)state;
    struct team *f = team_new(1);
    struct tally t;
    tally_init(&t);
    open_client(f, few_calls);
    struct covey_target target = target_of(f);
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL, tally_node, &t),
        0);
    covey_call *kept = kept_take(&f->workers[0].kept);
    publish_state(f, 0, COVEY_NODE_SUSPECT);
    target.tries = 1000;
    for (int i = 0; i < 2; i++) /* these pause */
        assert_int_equal(covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL,
                                                         tally_node, &t),
                         0);
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL, tally_node, &t),
        COVEY_ERR_BUSY);
    AWAIT(counters(f).calls_started == 3);
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 3);
    covey_call_reply(kept, "", 0);
    tally_fini(&t);
    team_free(f);
}

static void what_is_wrong_is_said_at_once(void **state)
{
    (void)state;
    struct team *f = team_new(1);
    struct covey_reply reply;
    struct covey_call_options options;
    struct covey_cluster_client_config config;
    covey_cluster_client *client;
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    covey_call_options_init(&options);
    options.idempotent = true;
    options.hedge_after = 1;
#define IS_INVALID(target, method, options)                                                        \
    assert_int_equal(                                                                              \
        covey_cluster_client_call(f->client, (target), (method), "x", 1, (options), &reply, NULL), \
        COVEY_ERR_INVALID_ARGUMENT)
    IS_INVALID(NULL, "name", NULL);
    IS_INVALID(&target, "no method", NULL);
    IS_INVALID(&target, NULL, NULL);
    IS_INVALID(&target, "name", &options);
    target.tries = 0;
    IS_INVALID(&target, "name", NULL);
    target.tries = 1;
    target.key = "k";
    target.key_size = COVEY_TARGET_KEY_MAX + 1;
    IS_INVALID(&target, "name", NULL);
    covey_cluster_client_config_init(&config);
    assert_int_equal(covey_cluster_client_new(&f->cluster, &config, &client),
                     COVEY_ERR_INVALID_ARGUMENT); /* no identity */
    covey_identity *identity = world_identity(&f->world, "caller", COVEY_ROLE_CLIENT);
    identity->who.not_after_ms = cv_clock_wall_ms();
    config.identity = identity;
    assert_int_equal(covey_cluster_client_new(&f->cluster, &config, &client),
                     COVEY_ERR_CERTIFICATE_EXPIRED);
    covey_identity_free(identity);
    assert_int_equal(covey_cluster_client_free(NULL), 0);
    assert_int_equal(counters(f).calls_open, 0);
    team_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_round),
        cmocka_unit_test(a_key_sticks),
        cmocka_unit_test(without_a_member_it_ends_after_the_tries),
        cmocka_unit_test(one_that_comes_meanwhile_is_found),
        cmocka_unit_test(a_wrong_certificate_is_refused),
        cmocka_unit_test(one_that_lies_is_believed_about_itself),
        cmocka_unit_test(calls_are_bounded_and_end_with_their_client),
        cmocka_unit_test(what_is_wrong_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
