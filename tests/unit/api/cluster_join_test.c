/* How joining ends: never, when it is to go on for ever, and else with the reason. */
#include "unit/api/calling.h"
#include "unit/api/members.h"

/* In the background until a seed is there; the first attempts are some hundred milliseconds apart. */
static void who_never_gives_up_joins_when_the_seed_comes(void **state)
{
    (void)state;
    static struct world w;
    char address[64];
    struct member late, seed;
    world_init(&w);
    absent_address(address, sizeof address);
    const char *seeds = address;
    struct covey_cluster_config config = local_config();
    config.join_attempts = 0;
    config.join_timeout = 1; /* of no meaning then */
    late.server = world_server(&w, "late");
    assert_int_equal(covey_server_start(late.server), 0);
    assert_int_equal(covey_server_enable_cluster(late.server, &config, &seeds, 1), 0);
    late.cluster = covey_server_cluster(late.server);
    assert_int_equal(covey_cluster_wait_joined(late.cluster, 10 * COVEY_MILLISECOND),
                     COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_cluster_rejoin(late.cluster), COVEY_ERR_STATE); /* it is at it */
    seed.server = server_at(&w, address);
    assert_int_equal(covey_server_start(seed.server), 0);
    config = local_config();
    join(&seed, &config, NULL);
    assert_int_equal(covey_cluster_wait_joined(late.cluster, TEST_DEADLINE), 0);
    assert_int_equal(state_of(late.cluster, "owl"), COVEY_NODE_ALIVE);
    assert_int_equal(covey_server_free(late.server), 0);
    stop(&seed);
    world_fini(&w);
}

/* A seed whose certificate comes from somebody else. */
static void another_clusters_seed_is_told_apart(void **state)
{
    (void)state;
    static struct world w, foreign;
    struct member seed;
    world_init(&w);
    world_init(&foreign);
    start(&foreign, &seed, "seed", NULL);
    const char *seeds = covey_server_address(seed.server);
    struct covey_cluster_config config = local_config();
    config.join_attempts = 1;
    covey_server *server = world_server(&w, "stray");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, &seeds, 1), 0);
    int error = covey_cluster_wait_joined(covey_server_cluster(server), TEST_DEADLINE);
    if (error != COVEY_ERR_CERTIFICATE && error != COVEY_ERR_REFUSED)
        fail_msg("joining ends with %s", covey_error_name(error));
    assert_int_equal(state_of(seed.cluster, "stray"), 99);
    assert_int_equal(covey_server_free(server), 0);
    stop(&seed);
    world_fini(&foreign);
    world_fini(&w);
}

/* Many that fail at once, beside one that serves. */
static void fifty_may_fail_at_once(void **state)
{
    (void)state;
    static struct world w;
    static covey_server *servers[50];
    char address[64];
    world_init(&w);
    absent_address(address, sizeof address);
    const char *seeds = address;
    struct covey_cluster_config config = local_config();
    config.join_attempts = 2;
    for (int i = 0; i < 50; i++) {
        servers[i] = world_server(&w, "n");
        assert_int_equal(covey_server_start(servers[i]), 0);
        assert_int_equal(covey_server_enable_cluster(servers[i], &config, &seeds, 1), 0);
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            covey_cluster_wait_joined(covey_server_cluster(servers[i]), 3 * TEST_DEADLINE),
            COVEY_ERR_NO_SEEDS_REACHABLE);
    for (int i = 0; i < 50; i++)
        assert_int_equal(covey_server_free(servers[i]), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_never_gives_up_joins_when_the_seed_comes),
        cmocka_unit_test(another_clusters_seed_is_told_apart),
        cmocka_unit_test(fifty_may_fail_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
