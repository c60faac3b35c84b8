#include "fixture.h"

/* C28: a pause shorter than the suspicion: it is suspected, refutes, and nobody calls it failed. The
 * paused node itself accuses nobody (FD4). */
static void refutation(void **state)
{
    (void)state;
    size_t suspected_runs = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_pause(s, 2);
        assert_sim(s, sim_run_for(s, 3000 * MS));
        bool was_suspected = sim_suspicion_total(s) > 0;
        suspected_runs += was_suspected;
        sim_resume(s, 2);
        assert_sim(s, sim_run_for(s, 3 * S));
        assert_sim(s, sim_all_alive(s));
        assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_FAILED), 0);
        struct cv_membership_stats stats;
        cv_membership_stats(sim_membership(s, 2), &stats);
        assert_sim(s, !was_suspected || stats.refutations >= 1);
        assert_int_equal(stats.suspicions, 0);
        sim_free(s);
    }
    assert_in_range(suspected_runs, 10, 20);
}

/* C28: a long pause makes it failed; it comes back by its own word, and marks nobody. */
static void a_long_pause_ends_in_recovery(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_pause(s, 2);
        assert_sim(s, sim_run_for(s, 60 * S));
        assert_sim(s, sim_sees(s, 0, 2, COVEY_NODE_FAILED));
        sim_resume(s, 2);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 22500 * MS));
        for (size_t o = 0; o < 5; o++)
            assert_int_equal(sim_event_count(s, 2, o, COVEY_EVENT_NODE_FAILED), 0);
        sim_free(s);
    }
}

/* C08: a pair whose link is cut is saved by the others. */
static void indirect_pings_save_a_pair_whose_link_is_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        struct cv_membership_stats stats;
        sim_cut_pair(s, 1, 4);
        assert_sim(s, sim_run_for(s, 300 * S));
        assert_int_equal(sim_suspicion_total(s), 0);
        cv_membership_stats(sim_membership(s, 1), &stats);
        assert_sim(s, stats.indirect_pings_sent > 0 && stats.probes_failed == 0);
        sim_free(s);
    }
}

static void a_link_cut_one_way_is_survived(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_cut(s, 1, 4);
        assert_sim(s, sim_run_for(s, 300 * S));
        assert_int_equal(sim_suspicion_total(s), 0);
        sim_free(s);
    }
}

/* A relay that reaches nobody says so. */
static void relays_send_nacks(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(3, 5);
    struct cv_membership_stats stats;
    uint64_t nacks = 0;
    sim_crash(s, 4);
    assert_sim(s, sim_run_for(s, 6 * S));
    for (size_t i = 0; i < 4; i++) {
        cv_membership_stats(sim_membership(s, i), &stats);
        nacks += stats.nacks_received;
    }
    assert_sim(s, nacks > 0);
    sim_free(s);
}

/* C02: three of five at once. */
static void three_of_five_die_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        for (size_t i = 2; i < 5; i++)
            sim_crash(s, i);
        assert_sim(s, sim_run_for(s, 35 * S));
        for (size_t i = 2; i < 5; i++) {
            assert_sim(s, sim_sees(s, 0, i, COVEY_NODE_FAILED));
            assert_sim(s, sim_sees(s, 1, i, COVEY_NODE_FAILED));
        }
        assert_sim(s, sim_sees(s, 0, 1, COVEY_NODE_ALIVE));
        sim_free(s);
    }
}

/* C01, M12: three and two apart, then whole again. */
static void a_partition_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_set_side(s, 3, 1);
        sim_set_side(s, 4, 1);
        assert_sim(s, sim_run_for(s, 100 * S));
        assert_sim(s, sim_sees(s, 0, 3, COVEY_NODE_FAILED));
        assert_sim(s, sim_sees(s, 4, 1, COVEY_NODE_FAILED));
        assert_sim(s, sim_sees(s, 3, 4, COVEY_NODE_ALIVE));
        sim_heal(s);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 22500 * MS));
        sim_free(s);
    }
}

/* M15: a wall clock that jumps changes nothing. */
static void a_jumping_wall_clock_changes_nothing(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(9, 5);
    const int64_t ten_years_ms = INT64_C(10) * 365 * 86400 * 1000;
    sim_set_clock(s, 1, ten_years_ms);
    sim_set_clock(s, 2, -ten_years_ms);
    assert_sim(s, sim_run_for(s, 60 * S));
    assert_int_equal(sim_suspicion_total(s), 0);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refutation),
        cmocka_unit_test(a_long_pause_ends_in_recovery),
        cmocka_unit_test(indirect_pings_save_a_pair_whose_link_is_cut),
        cmocka_unit_test(a_link_cut_one_way_is_survived),
        cmocka_unit_test(relays_send_nacks),
        cmocka_unit_test(three_of_five_die_at_once),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_jumping_wall_clock_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
