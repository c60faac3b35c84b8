/* Keys that are refused while a server runs: for calls, for gossip, and where its own balancers choose. */
#include "api/cluster_client.h"
#include "unit/api/calling.h"
#include "unit/api/members.h"

static covey_server *start_server(struct world *w)
{
    covey_server *server = world_server(w, "owl");
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    return server;
}

static covey_client *client_of(struct world *w, const char *address, covey_identity *identity)
{
    struct covey_client_config config;
    covey_client *client;
    client_config_of(w, identity, address, &config);
    assert_int_equal(covey_client_new(&config, &client), 0);
    return client;
}

/* The one is thrown out and not let in again until the list is empty; the other notices nothing. */
static void a_caller_is_denied_and_let_in_again(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    covey_server *server = start_server(&w);
    const char *address = covey_server_address(server);
    covey_identity *crow = world_identity(&w, "crow", COVEY_ROLE_CLIENT);
    covey_identity *wren = world_identity(&w, "wren", COVEY_ROLE_ADMIN);
    const covey_node_id denied = covey_identity_id(crow);
    covey_client *bad = client_of(&w, address, crow);
    covey_client *good = client_of(&w, address, wren);
    expect_call(bad, "echo", COVEY_STATUS_OK, "");
    expect_call(good, "echo", COVEY_STATUS_OK, "");
    assert_int_equal(covey_server_deny(server, &denied, 1), 0);
    assert_int_equal(stats_of(server).connections_denied, 1);
    expect_call(bad, "echo", COVEY_STATUS_UNAVAILABLE, "refused");
    assert_true(stats_of(server).refused_denied >= 1);
    expect_call(good, "echo", COVEY_STATUS_OK, "");
    assert_int_equal(client_stats_of(good).connections_opened, 1);

    assert_int_equal(covey_server_deny(server, NULL, 0), 0);
    expect_echo(bad);
    covey_client_free(bad);
    covey_client_free(good);
    covey_identity_free(crow);
    covey_identity_free(wren);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

static void a_call_that_runs_ends_with_its_caller(void **state)
{
    (void)state;
    static struct world w;
    static struct kept kept;
    struct tally tally;
    world_init(&w);
    kept_init(&kept);
    tally_init(&tally);
    covey_server *server = start_server(&w);
    serve(server, "keep", keep, &kept);
    covey_identity *crow = world_identity(&w, "crow", COVEY_ROLE_CLIENT);
    const covey_node_id denied = covey_identity_id(crow);
    covey_client *client = client_of(&w, covey_server_address(server), crow);
    call_async(client, "keep", NULL, &tally);
    covey_call *call = kept_take(&kept);
    assert_int_equal(covey_server_deny(server, &denied, 1), 0);
    tally_wait(&tally, 1);
    assert_int_equal(tally.codes[COVEY_STATUS_UNAVAILABLE], 1);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_reply(call, "", 0);
    covey_client_free(client);
    covey_identity_free(crow);
    assert_int_equal(covey_server_free(server), 0);
    kept_fini(&kept);
    tally_fini(&tally);
    world_fini(&w);
}

/* Denied everywhere, it is no member for long, and cannot become one again. */
static void a_member_is_denied(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b, c;
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    start(&w, &c, "c", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "c");
    wait_event(&b, COVEY_EVENT_NODE_JOINED, "c");
    const covey_node_id denied = covey_cluster_self(c.cluster);
    assert_int_equal(covey_server_deny(a.server, &denied, 1), 0);
    assert_int_equal(covey_server_deny(b.server, &denied, 1), 0);
    assert_true(stats_of(a.server).connections_denied >= 1);
    wait_event(&a, COVEY_EVENT_NODE_FAILED, "c");
    wait_event(&b, COVEY_EVENT_NODE_FAILED, "c");
    AWAIT(stats_of(a.server).refused_denied >= 1);
    assert_int_equal(state_of(a.cluster, "b"), COVEY_NODE_ALIVE);
    assert_int_equal(state_of(b.cluster, "a"), COVEY_NODE_ALIVE);
    stop(&c);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

static void from_the_start_nobody_denied_joins(void **state)
{
    (void)state;
    static struct world w;
    struct member seed;
    struct covey_server_config config;
    world_init(&w);
    covey_identity *owl = world_identity(&w, "owl", COVEY_ROLE_MEMBER);
    covey_identity *crow = world_identity(&w, "crow", COVEY_ROLE_MEMBER);
    const covey_node_id denied = covey_identity_id(crow);
    covey_server_config_init(&config);
    config.runtime = w.runtime;
    config.identity = owl;
    config.denied = &denied;
    config.denied_count = 1;
    assert_int_equal(covey_server_new(&config, &seed.server), 0);
    assert_int_equal(covey_server_start(seed.server), 0);
    struct covey_cluster_config of_cluster = local_config();
    join(&seed, &of_cluster, NULL);

    covey_server *stray;
    const char *seeds = covey_server_address(seed.server);
    covey_server_config_init(&config);
    config.runtime = w.runtime;
    config.identity = crow;
    assert_int_equal(covey_server_new(&config, &stray), 0);
    assert_int_equal(covey_server_start(stray), 0);
    of_cluster.join_attempts = 1;
    assert_int_equal(covey_server_enable_cluster(stray, &of_cluster, &seeds, 1), 0);
    assert_int_equal(covey_cluster_wait_joined(covey_server_cluster(stray), TEST_DEADLINE),
                     COVEY_ERR_REFUSED);
    assert_true(stats_of(seed.server).refused_denied >= 1);
    assert_int_equal(state_of(seed.cluster, "crow"), 99);
    assert_int_equal(covey_server_free(stray), 0);
    covey_identity_free(owl);
    covey_identity_free(crow);
    stop(&seed);
    world_fini(&w);
}

/* ---- those who choose ---- */

static covey_cluster_client *cluster_client_of(struct world *w, covey_cluster *cluster)
{
    struct covey_cluster_client_config config;
    covey_cluster_client *client;
    covey_cluster_client_config_init(&config);
    covey_identity *identity = world_identity(w, "caller", COVEY_ROLE_CLIENT);
    config.identity = identity;
    assert_int_equal(covey_cluster_client_new(cluster, &config, &client), 0);
    covey_identity_free(identity);
    return client;
}

static void assert_never_chosen(covey_balancer *balancer, const covey_node_id *id)
{
    struct covey_pick pick;
    for (unsigned i = 0; i < 100; i++) {
        const int error = i % 2 == 0 ? covey_balancer_pick(balancer, NULL, &pick)
                                     : covey_balancer_pick_for(balancer, &i, sizeof i, NULL, &pick);
        assert_int_equal(error, 0);
        assert_true(covey_node_id_compare(&pick.id, id) != 0);
        covey_balancer_done(balancer, &pick);
    }
}

static covey_stream *open_to(covey_cluster_client *client, const struct covey_target *target,
                             const covey_node_id *id)
{
    for (;;) {
        covey_stream *stream;
        covey_node_id node;
        assert_int_equal(
            covey_cluster_client_open(client, target, "keep_stream", NULL, &stream, &node), 0);
        if (covey_node_id_compare(&node, id) == 0)
            return stream;
        covey_stream_free(stream);
    }
}

static void note_node(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    covey_node_id *last = user;
    assert_int_equal(reply->code, COVEY_STATUS_OK);
    *last = *node;
}

struct all_called {
    covey_node_id last;
    atomic_size_t count; /* plus one */
};

static void note_end(size_t count, void *user)
{
    struct all_called *all = user;
    atomic_store(&all->count, count + 1);
}

static void note_each(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    note_node(node, reply, &((struct all_called *)user)->last);
}

/* Only one of three denies the third, which stays a member: his balancers and clients leave it out at once, and a
 * pick of before is no way round that. */
static void who_is_denied_is_neither_chosen_nor_called(void **state)
{
    (void)state;
    static struct world w;
    static struct kept kept;
    struct member a, b, c;
    covey_balancer *balancer;
    struct covey_target target;
    world_init(&w);
    kept_init(&kept);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    start(&w, &c, "c", covey_server_address(a.server));
    serve(b.server, "echo", echo, NULL);
    serve(c.server, "echo", echo, NULL);
    serve_stream(b.server, "keep_stream", keep_stream, &kept);
    serve_stream(c.server, "keep_stream", keep_stream, &kept);
    assert_int_equal(covey_balancer_new(a.cluster, NULL, &balancer), 0);
    AWAIT(covey_balancer_count(balancer) == 2);
    covey_cluster_client *client = cluster_client_of(&w, a.cluster);
    covey_target_init(&target);
    target.balancer = balancer;
    const covey_node_id denied = covey_cluster_self(c.cluster);
    covey_stream *stream = open_to(client, &target, &denied);
    struct covey_pick pick;
    do {
        assert_int_equal(covey_balancer_pick(balancer, NULL, &pick), 0);
        covey_balancer_done(balancer, &pick);
    } while (covey_node_id_compare(&pick.id, &denied) != 0);

    assert_int_equal(covey_server_deny(a.server, &denied, 1), 0);
    assert_int_equal(covey_balancer_count(balancer), 1);
    assert_never_chosen(balancer, &denied);
    struct cv_callee *peer;
    assert_int_equal(cv_callee_get(client->pool, &pick, false, &peer), COVEY_ERR_DENIED);
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    covey_stream_free(stream);
    for (unsigned i = 0; i < 4; i++) {
        struct covey_reply reply;
        covey_node_id node;
        assert_int_equal(
            covey_cluster_client_call(client, &target, "echo", "x", 1, NULL, &reply, &node), 0);
        expect_reply(reply, COVEY_STATUS_OK, "");
        assert_int_equal(covey_node_id_compare(&node, &denied) == 0, false);
    }
    struct all_called all = {.last = denied};
    const struct covey_all_handler handler = {.each = note_each, .end = note_end, .user = &all};
    assert_int_equal(
        covey_cluster_client_call_all(client, balancer, "echo", "x", 1, NULL, 4, &handler), 0);
    AWAIT(atomic_load(&all.count) != 0);
    assert_int_equal(atomic_load(&all.count), 2);
    assert_true(covey_node_id_compare(&all.last, &denied) != 0);

    assert_int_equal(covey_server_deny(a.server, NULL, 0), 0);
    AWAIT(covey_balancer_count(balancer) == 2); /* at once if it is no suspect yet */
    covey_cluster_client_free(client);
    covey_balancer_free(balancer);
    stop(&c);
    stop(&b);
    stop(&a);
    while (kept.first < kept_wait(&kept, 0))
        covey_call_finish(kept_take(&kept), COVEY_STATUS_OK, NULL);
    kept_fini(&kept);
    world_fini(&w);
}

/* A list from before the cluster was there holds for its balancers, too. */
static void a_list_from_the_start_holds_for_balancers(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b, c;
    struct covey_server_config config;
    covey_balancer *balancer;
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &c, "c", covey_server_address(a.server));
    const covey_node_id denied = covey_cluster_self(c.cluster);
    covey_identity *wren = world_identity(&w, "b", COVEY_ROLE_MEMBER);
    server_config_of(&w, wren, &config);
    config.denied = &denied;
    config.denied_count = 1;
    assert_int_equal(covey_server_new(&config, &b.server), 0);
    covey_identity_free(wren);
    assert_int_equal(covey_server_start(b.server), 0);
    const struct covey_cluster_config of_cluster = local_config();
    join(&b, &of_cluster, covey_server_address(a.server));
    assert_int_equal(covey_balancer_new(b.cluster, NULL, &balancer), 0);
    AWAIT(covey_balancer_count(balancer) == 1 && state_of(b.cluster, "c") != 99);
    assert_never_chosen(balancer, &denied);
    covey_balancer_free(balancer);
    stop(&c);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

static void what_makes_no_sense_changes_nothing(void **state)
{
    (void)state;
    static struct world w;
    static covey_node_id many[COVEY_DENIED_MAX + 1];
    struct covey_server_config config;
    covey_server *server;
    world_init(&w);
    covey_identity *owl = world_identity(&w, "owl", COVEY_ROLE_MEMBER);
    covey_server_config_init(&config);
    config.runtime = w.runtime;
    config.identity = owl;
    config.denied_count = 1;
    assert_int_equal(covey_server_new(&config, &server), COVEY_ERR_INVALID_ARGUMENT);
    config.denied = many;
    config.denied_count = COVEY_DENIED_MAX + 1;
    assert_int_equal(covey_server_new(&config, &server), COVEY_ERR_LIMIT);
    config.denied_count = COVEY_DENIED_MAX;
    assert_int_equal(covey_server_new(&config, &server), 0);
    assert_int_equal(covey_server_deny(server, NULL, 1), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_server_deny(server, many, COVEY_DENIED_MAX + 1), COVEY_ERR_LIMIT);
    atomic_store(&w.is_poor, true);
    assert_int_equal(covey_server_deny(server, many, 2), COVEY_ERR_NO_MEMORY);
    atomic_store(&w.is_poor, false);
    assert_int_equal(covey_server_deny(server, many, 2), 0);
    covey_identity_free(owl);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_is_denied_and_let_in_again),
        cmocka_unit_test(a_call_that_runs_ends_with_its_caller),
        cmocka_unit_test(a_member_is_denied),
        cmocka_unit_test(from_the_start_nobody_denied_joins),
        cmocka_unit_test(who_is_denied_is_neither_chosen_nor_called),
        cmocka_unit_test(a_list_from_the_start_holds_for_balancers),
        cmocka_unit_test(what_makes_no_sense_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
