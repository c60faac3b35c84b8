#include "fixture.h"

/* M9: without loss nobody is ever suspected. One virtual hour. */
static void no_loss_no_suspicion(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(1, 5);
    assert_sim(s, sim_run_for(s, 3600 * S));
    assert_int_equal(sim_suspicion_total(s), 0);
    assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_FAILED), 0);
    sim_free(s);
}

/* C03b: every fifth message is lost for ten virtual minutes. */
static void twenty_percent_loss_fails_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_set_loss(s, 200);
        assert_sim(s, sim_run_for(s, 600 * S));
        assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_FAILED), 0);
        sim_free(s);
    }
}

/* C17: slow and out of order. */
static void jitter_suspects_nobody(void **state)
{
    (void)state;
    struct sim_config config = sim_config_default(4, 5);
    config.delay_min = 1 * MS;
    config.delay_max = 100 * MS;
    struct sim *s = cluster_of(&config);
    assert_sim(s, sim_run_for(s, 600 * S));
    assert_int_equal(sim_suspicion_total(s), 0);
    sim_free(s);
}

static void fifty_nodes_are_quiet(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(5, 50);
    assert_sim(s, sim_run_for(s, 60 * S));
    assert_int_equal(sim_suspicion_total(s), 0);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_loss_no_suspicion),
        cmocka_unit_test(twenty_percent_loss_fails_nobody),
        cmocka_unit_test(jitter_suspects_nobody),
        cmocka_unit_test(fifty_nodes_are_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
