#include "sim/figures.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void nothing_has_no_percentiles(void **state)
{
    (void)state;
    struct sim_times t = {0};
    const struct sim_percentiles p = sim_times_percentiles(&t);
    assert_int_equal(p.count, 0);
    assert_true(p.p50 == COVEY_NEVER && p.p99 == COVEY_NEVER && p.max == COVEY_NEVER);
    sim_times_fini(&t);
}

static void one_value_is_all_percentiles(void **state)
{
    (void)state;
    struct sim_times t = {0};
    sim_times_add(&t, 7);
    const struct sim_percentiles p = sim_times_percentiles(&t);
    assert_int_equal(p.count, 1);
    assert_true(p.p50 == 7 && p.p99 == 7 && p.max == 7);
    assert_int_equal(sim_times_percentile(&t, 0), 7);
    sim_times_fini(&t);
}

/* By the nearest rank, in whatever order they came. */
static void percentiles_are_collected_values(void **state)
{
    (void)state;
    struct sim_times t = {0};
    for (uint64_t i = 0; i < 200; i++)
        sim_times_add(&t, (i * 77) % 200 + 1); /* 1 to 200, shuffled */
    assert_int_equal(sim_times_percentile(&t, 0), 1);
    assert_int_equal(sim_times_percentile(&t, 1), 1);
    assert_int_equal(sim_times_percentile(&t, 500), 100);
    assert_int_equal(sim_times_percentile(&t, 501), 101);
    assert_int_equal(sim_times_percentile(&t, 990), 198);
    assert_int_equal(sim_times_percentile(&t, 1000), 200);
    sim_times_add(&t, 300); /* one more after they were looked at */
    assert_int_equal(sim_times_percentile(&t, 1000), 300);
    sim_times_fini(&t);
}

/* What never came to an end is the slowest, not left out. */
static void never_is_longer_than_all(void **state)
{
    (void)state;
    struct sim_times t = {0};
    sim_times_add(&t, COVEY_NEVER);
    for (uint64_t i = 1; i <= 3; i++)
        sim_times_add(&t, i);
    const struct sim_percentiles p = sim_times_percentiles(&t);
    assert_int_equal(p.p50, 2);
    assert_true(p.p99 == COVEY_NEVER && p.max == COVEY_NEVER);
    assert_int_equal(p.count, 4);
    sim_times_fini(&t);
}

static void rates_are_of_a_node_and_second(void **state)
{
    (void)state;
    struct sim_figures f = {.node_time = 20 * COVEY_SECOND};
    assert_true(sim_figures_rate(&f, 50) == 2.5);
    f.node_time = 0;
    assert_true(sim_figures_rate(&f, 50) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_no_percentiles),
        cmocka_unit_test(one_value_is_all_percentiles),
        cmocka_unit_test(percentiles_are_collected_values),
        cmocka_unit_test(never_is_longer_than_all),
        cmocka_unit_test(rates_are_of_a_node_and_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
