#include "fixture.h"

/* What the simulator says became of crashes, tags and partitions, against what its nodes show. */

static size_t count_seeing(struct sim *s, size_t subject, enum covey_node_state state)
{
    size_t count = 0;
    for (size_t o = 0; o < 8; o++)
        count += o != subject && sim_sees(s, o, subject, state);
    return count;
}

/* The first millisecond in which `count` others see it so. */
static covey_time wait_for(struct sim *s, size_t subject, enum covey_node_state state, size_t count)
{
    for (int i = 0; i < 30000 && count_seeing(s, subject, state) < count; i++)
        assert_sim(s, sim_run_for(s, MS));
    assert_true(count_seeing(s, subject, state) >= count);
    return sim_now(s);
}

static void assert_in_the_ms_before(covey_time time, covey_time seen)
{
    assert_true(time != COVEY_NEVER && time <= seen && time + MS > seen);
}

static void deaths_are_dated_by_the_first_and_the_last(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = quiet_cluster(seed, 8);
        assert_true(sim_death(s, 3).at == COVEY_NEVER);
        covey_time at = sim_now(s);
        sim_crash(s, 3);
        covey_time suspect = wait_for(s, 3, COVEY_NODE_SUSPECT, 1);
        covey_time first = wait_for(s, 3, COVEY_NODE_FAILED, 1);
        assert_true(sim_death(s, 3).all_failed == COVEY_NEVER ||
                    count_seeing(s, 3, COVEY_NODE_FAILED) == 7);
        covey_time all = wait_for(s, 3, COVEY_NODE_FAILED, 7);
        const struct sim_death death = sim_death(s, 3);
        assert_true(death.at == at);
        assert_in_the_ms_before(death.first_suspect, suspect);
        assert_in_the_ms_before(death.first_failed, first);
        assert_in_the_ms_before(death.all_failed, all);
        assert_int_equal(sim_totals(s).failures, 7);
        assert_int_equal(sim_totals(s).false_failed, 0);
        sim_free(s);
    }
}

/* The last one that had not heard of it dies too: then all who run know. */
static void who_is_dead_need_not_know(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(6, 8);
    sim_pause(s, 5);
    sim_crash(s, 3);
    assert_sim(s, sim_run_for(s, 20 * S));
    assert_int_equal(count_seeing(s, 3, COVEY_NODE_FAILED), 6);
    assert_true(sim_death(s, 3).all_failed == COVEY_NEVER);
    sim_crash(s, 5);
    assert_true(sim_death(s, 3).all_failed == sim_now(s));
    /* That one was failed already, while it was paused and could not be reached. */
    assert_true(sim_death(s, 5).all_failed == sim_now(s));
    assert_int_equal(sim_totals(s).false_failed, 0);
    sim_free(s);
}

static void tags_are_everywhere_when_the_last_one_tells_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = quiet_cluster(seed, 8);
        size_t told = 0;
        covey_time at = sim_now(s);
        assert_int_equal(sim_command(s, 2, CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
        for (int i = 0; i < 5000 && told < 7; i++) {
            assert_true(sim_tag_spread(s, 2).all == COVEY_NEVER);
            assert_sim(s, sim_run_for(s, MS));
            told = sim_event_total(s, COVEY_EVENT_NODE_TAGS_UPDATED);
        }
        assert_int_equal(told, 7);
        assert_true(sim_tag_spread(s, 2).at == at);
        assert_in_the_ms_before(sim_tag_spread(s, 2).all, sim_now(s));
        sim_free(s);
    }
}

static void a_partition_is_over_when_all_see_all(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(7, 8);
    assert_true(sim_totals(s).healed_at == COVEY_NEVER);
    for (size_t i = 0; i < 3; i++)
        sim_set_side(s, i, 1);
    assert_sim(s, sim_run_for(s, 60 * S));
    sim_heal(s);
    assert_true(sim_totals(s).healed_at == sim_now(s));
    for (int i = 0; i < 30000 && !sim_all_alive(s); i++) {
        assert_true(sim_totals(s).whole_at == COVEY_NEVER);
        assert_sim(s, sim_run_for(s, MS));
    }
    assert_in_the_ms_before(sim_totals(s).whole_at, sim_now(s));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deaths_are_dated_by_the_first_and_the_last),
        cmocka_unit_test(who_is_dead_need_not_know),
        cmocka_unit_test(tags_are_everywhere_when_the_last_one_tells_it),
        cmocka_unit_test(a_partition_is_over_when_all_see_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
