#include "unit/cluster/cluster_fixture.h"

#include "cluster/partition_detector.h"

static const struct cv_partition_config defaults = {
    .quorum_percent = 50, .grace = 30 * SEC, .settle = SEC};
static const struct cv_partition_config with_tie_break = {
    .quorum_percent = 50, .grace = 30 * SEC, .settle = SEC, .tie_break = true};

static struct cv_partition_detector expecting(const struct cv_partition_config *config,
                                              uint32_t expected)
{
    struct cv_partition_detector d;
    cv_partition_detector_init(&d, config);
    for (uint32_t i = 1; i < expected; i++)
        cv_partition_detector_joined(&d);
    return d;
}

/* Joined at 0 with all of `expected` alive. */
static struct cv_partition_detector whole(const struct cv_partition_config *config,
                                          uint32_t expected)
{
    struct cv_partition_detector d = expecting(config, expected);
    assert_true(cv_partition_detector_update(&d, 0, expected, false));
    return d;
}

static void assert_status(const struct cv_partition_detector *d, covey_time now,
                          enum cv_partition_state state, covey_time grace_remaining, bool minority)
{
    struct cv_partition_status status = cv_partition_detector_status(d, now);
    assert_int_equal(status.state, state);
    assert_int_equal(status.grace_remaining, grace_remaining);
    assert_int_equal(status.minority, minority);
    bool runs_down = state == CV_PARTITION_SUSPECT && !d->has_quorum;
    if (grace_remaining > 0 && runs_down)
        assert_int_equal(status.grace_ends,
                         grace_remaining < COVEY_NEVER - now ? now + grace_remaining : COVEY_NEVER);
    if (!runs_down)
        assert_int_equal(status.grace_ends, COVEY_NEVER);
    assert_false(status.read_only);
}

/* The state that so many alive of the expected lead to, when nothing was there before. */
static enum cv_partition_state first_state(const struct cv_partition_config *config,
                                           uint32_t expected, uint32_t alive, bool holds_lowest_id)
{
    struct cv_partition_detector d;
    cv_partition_detector_init(&d, config);
    cv_partition_detector_set_expected(&d, expected);
    assert_true(cv_partition_detector_update(&d, 0, alive, holds_lowest_id));
    return cv_partition_detector_status(&d, 0).state;
}

static void nothing_is_known_before_the_first_update(void **state)
{
    (void)state;
    struct cv_partition_detector d = expecting(&defaults, 3);
    assert_status(&d, 0, CV_PARTITION_UNKNOWN, 0, false);
    assert_false(cv_partition_detector_tick(&d, 100 * SEC));
    assert_int_equal(cv_partition_detector_deadline(&d), COVEY_NEVER);
    struct cv_partition_status status = cv_partition_detector_status(&d, 100 * SEC);
    assert_int_equal(status.alive, 0);
    assert_int_equal(status.expected, 3);
}

static void a_cluster_of_one_is_healthy(void **state)
{
    (void)state;
    struct cv_partition_detector d;
    cv_partition_detector_init(&d, &defaults);
    assert_true(cv_partition_detector_update(&d, 5 * SEC, 1, true));
    assert_status(&d, 5 * SEC, CV_PARTITION_HEALTHY, 0, false);
    assert_int_equal(cv_partition_detector_deadline(&d), COVEY_NEVER);
    assert_false(cv_partition_detector_update(&d, 6 * SEC, 1, true));
    d = whole(&defaults, 1);
    assert_false(cv_partition_detector_tick(&d, COVEY_NEVER));
}

static void a_node_that_begins_without_quorum_is_suspect(void **state)
{
    (void)state;
    struct cv_partition_detector d;
    cv_partition_detector_init(&d, &defaults);
    cv_partition_detector_set_expected(&d, 5);
    assert_true(cv_partition_detector_update(&d, 5 * SEC, 1, true));
    assert_status(&d, 5 * SEC, CV_PARTITION_SUSPECT, 30 * SEC, true);
    assert_int_equal(cv_partition_detector_deadline(&d), 35 * SEC);
}

static void the_quorum_is_exact(void **state)
{
    (void)state;
    assert_int_equal(first_state(&defaults, 100, 49, false), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&defaults, 100, 50, false), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&defaults, 100, 51, false), CV_PARTITION_HEALTHY);
    assert_int_equal(first_state(&defaults, 5, 2, false), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&defaults, 5, 3, false), CV_PARTITION_HEALTHY);
    assert_int_equal(first_state(&defaults, 3, 1, false), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&defaults, 3, 2, false), CV_PARTITION_HEALTHY);
    assert_int_equal(first_state(&defaults, UINT32_MAX, UINT32_MAX / 2, false),
                     CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&defaults, UINT32_MAX, UINT32_MAX / 2 + 1, false),
                     CV_PARTITION_HEALTHY);
    assert_int_equal(first_state(&defaults, 3, 7, false), CV_PARTITION_HEALTHY);

    const struct cv_partition_config two_thirds = {
        .quorum_percent = 67, .grace = SEC, .tie_break = true};
    assert_int_equal(first_state(&two_thirds, 100, 67, true), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&two_thirds, 100, 68, false), CV_PARTITION_HEALTHY);
    assert_int_equal(first_state(&two_thirds, 100, 50, true), CV_PARTITION_SUSPECT);
    const struct cv_partition_config least = {.quorum_percent = 1, .grace = SEC};
    assert_int_equal(first_state(&least, 100, 1, false), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&least, 99, 1, false), CV_PARTITION_HEALTHY);
    const struct cv_partition_config most = {.quorum_percent = 99, .grace = SEC};
    assert_int_equal(first_state(&most, 100, 99, true), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&most, 100, 100, false), CV_PARTITION_HEALTHY);
}

/* 50 and 50: with the tie-break just one of the two sides goes on, without it none. */
static void an_even_split_needs_the_tie_break(void **state)
{
    (void)state;
    for (int is_on = 0; is_on <= 1; is_on++) {
        for (int holds = 0; holds <= 1; holds++) {
            struct cv_partition_detector d = whole(is_on ? &with_tie_break : &defaults, 4);
            bool wins = is_on && holds;
            assert_int_equal(cv_partition_detector_update(&d, SEC, 2, holds), !wins);
            assert_int_equal(cv_partition_detector_tick(&d, 31 * SEC), !wins);
            assert_status(&d, 31 * SEC, wins ? CV_PARTITION_HEALTHY : CV_PARTITION_PARTITIONED, 0,
                          !wins);
        }
    }
    assert_int_equal(first_state(&with_tie_break, 5, 2, true), CV_PARTITION_SUSPECT);
    assert_int_equal(first_state(&with_tie_break, 1, 1, true), CV_PARTITION_HEALTHY);
}

/* The quorum that is told is the least number that is one. */
static void the_quorum_is_the_least_that_is_healthy(void **state)
{
    (void)state;
    for (uint32_t percent = 1; percent < 100; percent++) {
        struct cv_partition_config config = defaults;
        config.quorum_percent = percent;
        for (uint32_t expected = 1; expected <= 21; expected++) {
            struct cv_partition_detector d = expecting(&config, expected);
            uint32_t quorum = cv_partition_detector_status(&d, 0).quorum;
            assert_true(quorum >= 1 && quorum <= expected);
            assert_int_equal(first_state(&config, expected, quorum, false), CV_PARTITION_HEALTHY);
            if (quorum > 1)
                assert_int_equal(first_state(&config, expected, quorum - 1, false),
                                 CV_PARTITION_SUSPECT);
        }
    }
}

static void only_partitioned_is_read_only(void **state)
{
    (void)state;
    struct cv_partition_config config = defaults;
    config.read_only_on_partition = true;
    struct cv_partition_detector d = whole(&config, 5);
    assert_true(cv_partition_detector_update(&d, SEC, 2, false));
    assert_false(cv_partition_detector_status(&d, SEC).read_only);
    assert_true(cv_partition_detector_tick(&d, 31 * SEC));
    assert_true(cv_partition_detector_status(&d, 31 * SEC).read_only);
}

static void grace_runs_out_to_the_nanosecond(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 5);
    assert_true(cv_partition_detector_update(&d, 100 * SEC, 2, false));
    assert_status(&d, 100 * SEC, CV_PARTITION_SUSPECT, 30 * SEC, true);
    assert_int_equal(cv_partition_detector_deadline(&d), 130 * SEC);
    /* Fewer still: the same lack. */
    assert_false(cv_partition_detector_update(&d, 110 * SEC, 1, false));
    assert_status(&d, 110 * SEC, CV_PARTITION_SUSPECT, 20 * SEC, true);
    assert_int_equal(cv_partition_detector_deadline(&d), 130 * SEC);
    assert_false(cv_partition_detector_tick(&d, 130 * SEC - 1));
    assert_status(&d, 130 * SEC - 1, CV_PARTITION_SUSPECT, 1, true);
    assert_status(&d, 130 * SEC, CV_PARTITION_SUSPECT, 0, true);
    assert_status(&d, 140 * SEC, CV_PARTITION_SUSPECT, 0, true);
    assert_true(cv_partition_detector_tick(&d, 130 * SEC));
    assert_status(&d, 130 * SEC, CV_PARTITION_PARTITIONED, 0, true);
    assert_false(cv_partition_detector_tick(&d, 131 * SEC));
    assert_int_equal(cv_partition_detector_deadline(&d), COVEY_NEVER);
    assert_false(cv_partition_detector_tick(&d, COVEY_NEVER));
}

static void quorum_must_settle_before_it_counts(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 5);
    assert_true(cv_partition_detector_update(&d, 100 * SEC, 2, false));
    assert_true(cv_partition_detector_tick(&d, 130 * SEC));
    assert_false(cv_partition_detector_update(&d, 150 * SEC, 3, false));
    assert_int_equal(cv_partition_detector_deadline(&d), 151 * SEC);
    /* Gone before it has settled: still partitioned, and nothing to wait for. */
    assert_false(cv_partition_detector_update(&d, 150 * SEC + 999 * MS, 2, false));
    assert_int_equal(cv_partition_detector_deadline(&d), COVEY_NEVER);
    assert_status(&d, 160 * SEC, CV_PARTITION_PARTITIONED, 0, true);
    assert_false(cv_partition_detector_update(&d, 170 * SEC, 4, false));
    assert_status(&d, 170 * SEC, CV_PARTITION_PARTITIONED, 0, false);
    assert_false(cv_partition_detector_tick(&d, 171 * SEC - 1));
    assert_true(cv_partition_detector_tick(&d, 171 * SEC));
    assert_status(&d, 171 * SEC, CV_PARTITION_HEALTHY, 0, false);
}

static void a_break_in_the_lack_starts_grace_again(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 5);
    assert_true(cv_partition_detector_update(&d, 100 * SEC, 2, false));
    assert_false(cv_partition_detector_update(&d, 129 * SEC, 3, false));
    assert_status(&d, 129 * SEC + 1, CV_PARTITION_SUSPECT, 30 * SEC, false);
    assert_int_equal(cv_partition_detector_deadline(&d), 130 * SEC);
    assert_false(cv_partition_detector_update(&d, 129 * SEC + 2, 2, false));
    assert_int_equal(cv_partition_detector_deadline(&d), 159 * SEC + 2);
    assert_false(cv_partition_detector_update(&d, 140 * SEC, 5, false));
    assert_true(cv_partition_detector_tick(&d, 141 * SEC));
    assert_status(&d, 141 * SEC, CV_PARTITION_HEALTHY, 0, false);
}

/* What is told wins over a deadline that was missed; each call makes one change at most. */
static void updates_that_come_late_make_one_change(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 5);
    assert_true(cv_partition_detector_update(&d, 100 * SEC, 2, false));
    assert_false(cv_partition_detector_update(&d, 200 * SEC, 5, false));
    assert_status(&d, 200 * SEC, CV_PARTITION_SUSPECT, 30 * SEC, false);
    assert_false(cv_partition_detector_update(&d, 300 * SEC, 2, false));
    assert_status(&d, 300 * SEC, CV_PARTITION_SUSPECT, 30 * SEC, true);
    assert_true(cv_partition_detector_update(&d, 330 * SEC, 2, false));
    assert_status(&d, 330 * SEC, CV_PARTITION_PARTITIONED, 0, true);
    assert_false(cv_partition_detector_update(&d, 400 * SEC, 3, false));
    assert_true(cv_partition_detector_update(&d, 500 * SEC, 4, false));
    assert_status(&d, 500 * SEC, CV_PARTITION_HEALTHY, 0, false);
}

static void without_a_time_to_settle_quorum_counts_at_once(void **state)
{
    (void)state;
    struct cv_partition_config config = defaults;
    config.settle = 0;
    struct cv_partition_detector d = whole(&config, 3);
    assert_true(cv_partition_detector_update(&d, SEC, 1, false));
    assert_true(cv_partition_detector_update(&d, 2 * SEC, 2, false));
    assert_status(&d, 2 * SEC, CV_PARTITION_HEALTHY, 0, false);
}

static void the_expected_size_is_learnt(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 5);
    /* Two fail: nothing is learnt from that. Two leave: three are expected. */
    assert_false(cv_partition_detector_update(&d, SEC, 3, false));
    assert_int_equal(cv_partition_detector_status(&d, SEC).expected, 5);
    cv_partition_detector_left(&d);
    cv_partition_detector_left(&d);
    assert_false(cv_partition_detector_update(&d, 2 * SEC, 2, false));
    struct cv_partition_status status = cv_partition_detector_status(&d, 2 * SEC);
    assert_int_equal(status.expected, 3);
    assert_int_equal(status.alive, 2);
    for (int i = 0; i < 5; i++)
        cv_partition_detector_left(&d);
    assert_int_equal(cv_partition_detector_status(&d, 2 * SEC).expected, 1);
    cv_partition_detector_joined(&d);
    assert_int_equal(cv_partition_detector_status(&d, 2 * SEC).expected, 2);
}

static void a_join_is_judged_with_the_next_update(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 1);
    cv_partition_detector_joined(&d);
    assert_false(cv_partition_detector_tick(&d, SEC));
    assert_status(&d, SEC, CV_PARTITION_HEALTHY, 0, true);
    assert_false(cv_partition_detector_update(&d, 2 * SEC, 2, false));
    assert_status(&d, 2 * SEC, CV_PARTITION_HEALTHY, 0, false);
}

static void a_size_set_by_hand_stays(void **state)
{
    (void)state;
    struct cv_partition_detector d = whole(&defaults, 3);
    cv_partition_detector_set_expected(&d, 7);
    assert_true(cv_partition_detector_update(&d, SEC, 3, false));
    cv_partition_detector_joined(&d);
    cv_partition_detector_joined(&d);
    cv_partition_detector_left(&d);
    assert_int_equal(cv_partition_detector_status(&d, SEC).expected, 7);
    /* What was learnt meanwhile counts when it is taken away. */
    cv_partition_detector_set_expected(&d, 0);
    assert_int_equal(cv_partition_detector_status(&d, SEC).expected, 4);
    assert_false(cv_partition_detector_update(&d, 2 * SEC, 3, false));
    assert_true(cv_partition_detector_tick(&d, 3 * SEC));
    assert_status(&d, 3 * SEC, CV_PARTITION_HEALTHY, 0, false);
    cv_partition_detector_set_expected(&d, 2);
    assert_int_equal(cv_partition_detector_status(&d, 3 * SEC).expected, 2);
}

static void the_largest_sizes_do_not_overflow(void **state)
{
    (void)state;
    struct cv_partition_detector d;
    cv_partition_detector_init(&d, &defaults);
    cv_partition_detector_set_expected(&d, UINT32_MAX);
    assert_true(cv_partition_detector_update(&d, 0, UINT32_MAX / 2 + 1, false));
    assert_status(&d, 0, CV_PARTITION_HEALTHY, 0, false);
    assert_true(cv_partition_detector_update(&d, 0, UINT32_MAX / 2, false));
    assert_status(&d, 0, CV_PARTITION_SUSPECT, 30 * SEC, true);
}

static void a_high_quorum_may_be_missed_by_a_majority(void **state)
{
    (void)state;
    const struct cv_partition_config config = {.quorum_percent = 67, .grace = SEC};
    struct cv_partition_detector d = whole(&config, 5);
    assert_true(cv_partition_detector_update(&d, SEC, 3, false));
    assert_true(cv_partition_detector_tick(&d, 2 * SEC));
    assert_status(&d, 2 * SEC, CV_PARTITION_PARTITIONED, 0, false);
}

static void grace_without_end_never_ends(void **state)
{
    (void)state;
    struct cv_partition_config config = defaults;
    config.grace = COVEY_NEVER;
    struct cv_partition_detector d = whole(&config, 3);
    assert_true(cv_partition_detector_update(&d, SEC, 1, false));
    assert_int_equal(cv_partition_detector_deadline(&d), COVEY_NEVER);
    assert_false(cv_partition_detector_tick(&d, COVEY_NEVER));
    assert_status(&d, 2 * SEC, CV_PARTITION_SUSPECT, COVEY_NEVER - SEC, true);
}

/* Every size up to 12 cut in two in every way: one side at most goes on. */
static void a_cut_never_leaves_two_majorities(void **state)
{
    (void)state;
    for (uint32_t expected = 2; expected <= 12; expected++) {
        for (uint32_t left = 1; left < expected; left++) {
            for (int is_on = 0; is_on <= 1; is_on++) {
                const struct cv_partition_config *config = is_on ? &with_tie_break : &defaults;
                int healthy =
                    (first_state(config, expected, left, true) == CV_PARTITION_HEALTHY) +
                    (first_state(config, expected, expected - left, false) == CV_PARTITION_HEALTHY);
                assert_int_equal(healthy, is_on || 2 * left != expected);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_the_first_update),
        cmocka_unit_test(a_cluster_of_one_is_healthy),
        cmocka_unit_test(a_node_that_begins_without_quorum_is_suspect),
        cmocka_unit_test(the_quorum_is_exact),
        cmocka_unit_test(an_even_split_needs_the_tie_break),
        cmocka_unit_test(the_quorum_is_the_least_that_is_healthy),
        cmocka_unit_test(only_partitioned_is_read_only),
        cmocka_unit_test(grace_runs_out_to_the_nanosecond),
        cmocka_unit_test(quorum_must_settle_before_it_counts),
        cmocka_unit_test(a_break_in_the_lack_starts_grace_again),
        cmocka_unit_test(updates_that_come_late_make_one_change),
        cmocka_unit_test(without_a_time_to_settle_quorum_counts_at_once),
        cmocka_unit_test(the_expected_size_is_learnt),
        cmocka_unit_test(a_join_is_judged_with_the_next_update),
        cmocka_unit_test(a_size_set_by_hand_stays),
        cmocka_unit_test(the_largest_sizes_do_not_overflow),
        cmocka_unit_test(a_high_quorum_may_be_missed_by_a_majority),
        cmocka_unit_test(grace_without_end_never_ends),
        cmocka_unit_test(a_cut_never_leaves_two_majorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
