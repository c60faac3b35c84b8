#include "fixture.h"

/* A node whose messages are held: it runs, and hears and says nothing, until all goes through. */

#define HELD 3

static uint64_t suspicions_of(const struct sim *s, size_t node)
{
    struct cv_membership_stats stats;
    cv_membership_stats(sim_membership(s, node), &stats);
    return stats.suspicions;
}

static struct cv_membership_stats stats_of(const struct sim *s, size_t node)
{
    struct cv_membership_stats stats;
    cv_membership_stats(sim_membership(s, node), &stats);
    return stats;
}

/* Its timers go on: it probes, and suspects the silent. A paused one does nothing of it. */
static void its_timers_go_on(void **state)
{
    (void)state;
    for (int is_paused = 0; is_paused < 2; is_paused++) {
        struct sim *s = quiet_cluster(1, 8);
        const uint64_t probes = stats_of(s, HELD).probes_sent;
        (is_paused ? sim_pause : sim_hold)(s, HELD);
        assert_sim(s, sim_run_for(s, 3 * S));
        assert_sim(s, is_paused == (stats_of(s, HELD).probes_sent == probes));
        assert_sim(s, is_paused == (suspicions_of(s, HELD) == 0));
        sim_free(s);
    }
}

/* Nothing comes and nothing goes while it is held; then all of it does, in order. */
static void what_is_held_comes_later(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(2, 4);
    const struct cv_membership_stats held = stats_of(s, HELD);
    const uint64_t bytes = sim_bytes_sent(s, HELD);
    sim_hold(s, HELD);
    assert_int_equal(sim_command(s, HELD, CV_COMMAND_TAG_SET, "k", "of the held"), COVEY_OK);
    assert_int_equal(sim_command(s, 0, CV_COMMAND_TAG_SET, "k", "of another"), COVEY_OK);
    assert_sim(s, sim_run_for(s, S));
    assert_sim(s, stats_of(s, HELD).messages_received == held.messages_received);
    assert_sim(s, stats_of(s, HELD).messages_sent > held.messages_sent);
    assert_sim(s, sim_bytes_sent(s, HELD) == bytes);
    for (size_t o = 0; o < 4; o++) {
        assert_sim(s, o == HELD || sim_view(s, o, HELD)->body->tag_count == 0);
        assert_sim(s, (sim_view(s, o, 0)->body->tag_count == 0) == (o == HELD));
    }
    sim_release(s, HELD);
    assert_sim(s, sim_view(s, HELD, 0)->body->tag_count == 1);
    assert_sim(s, stats_of(s, HELD).messages_received > held.messages_received + 3);
    assert_sim(s, sim_bytes_sent(s, HELD) > bytes);
    assert_sim(s, sim_run_for(s, 10 * MS));
    for (size_t o = 0; o < 4; o++)
        assert_sim(s, sim_view(s, o, HELD)->body->tag_count == 1);
    sim_free(s);
}

/* The others call it failed, it calls the others failed; released, all is mended. */
static void after_a_long_time_all_is_mended(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(3, 8);
    sim_hold(s, HELD);
    assert_sim(s, sim_run_for(s, 40 * S));
    for (size_t o = 0; o < 8; o++) {
        if (o == HELD)
            continue;
        assert_sim(s, sim_sees(s, o, HELD, COVEY_NODE_FAILED));
        assert_sim(s, !sim_sees(s, HELD, o, COVEY_NODE_ALIVE));
    }
    sim_release(s, HELD);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 30 * S));
    /* It counts as not reachable, as a paused one does: nobody was wrong. */
    assert_sim(s, sim_totals(s).false_failed == 0);
    sim_free(s);
}

/* One that is held can crash, and be dialled, and what it held is forgotten. */
static void a_held_node_may_crash(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(4, 5);
    sim_hold(s, HELD);
    assert_sim(s, sim_run_for(s, 2 * S));
    sim_crash(s, HELD);
    sim_start(s, HELD);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 60 * S));
    sim_hold(s, HELD);
    assert_sim(s, sim_run_for(s, 200 * S));
    sim_release(s, HELD);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 60 * S));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_timers_go_on),
        cmocka_unit_test(what_is_held_comes_later),
        cmocka_unit_test(after_a_long_time_all_is_mended),
        cmocka_unit_test(a_held_node_may_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
