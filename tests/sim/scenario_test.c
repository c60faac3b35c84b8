#include "svg_check.h"

#include "sim/plot.h"
#include "sim/scenario.h"

#include <covey/error.h>

#define S COVEY_SECOND

static struct document d;

static struct sim_figures run(const struct sim_scenario *scenario)
{
    struct sim_figures f;
    assert_int_equal(sim_scenario_run(scenario, &f), COVEY_OK);
    if (f.violations != 0)
        fail_msg("%s", f.violation);
    assert_true(f.invariant_checks > 0 && f.violation[0] == '\0' && f.wall_time == 0);
    assert_true(f.nodes == scenario->nodes && f.seed == scenario->seed);
    assert_true(f.virtual_time == scenario->duration);
    return f;
}

static void without_faults_only_tags_are_measured(void **state)
{
    (void)state;
    const struct sim_scenario s = {.nodes = 5, .seed = 3, .duration = 20 * S};
    const struct sim_figures f = run(&s);
    /* At 2.5, 7.5 and 12.5 s: one later has no time. */
    assert_int_equal(f.update_all.count, 3);
    assert_true(f.update_all.max > 0 && f.update_all.max < 2 * S);
    assert_int_equal(f.killed + f.heals + f.false_failed, 0);
    assert_int_equal(f.all_failed.count, 0);
    assert_true(f.all_failed.p50 == COVEY_NEVER && f.healed == COVEY_NEVER);
    assert_true(f.node_time == 5 * 20 * S);
    /* Each probes another in a second, and is answered. */
    assert_true(sim_figures_rate(&f, f.messages) > 1.9);
    assert_true(f.bytes > f.messages);
}

static void the_killed_are_found(void **state)
{
    (void)state;
    const struct sim_scenario s = {.nodes = 10, .seed = 1, .duration = 60 * S, .kill = 3};
    const struct sim_figures f = run(&s);
    assert_int_equal(f.killed, 3);
    assert_int_equal(f.all_failed.count, 3);
    assert_true(f.first_suspect.p50 > 0 && f.first_suspect.p50 < f.first_failed.p50);
    assert_true(f.first_failed.p50 <= f.all_failed.p50);
    assert_true(f.all_failed.max < 20 * S);
    assert_int_equal(f.false_failed, 0);
    /* Killed after 10, 20 and 30 s. */
    assert_true(f.node_time == (7 * 60 + 10 + 20 + 30) * S);
}

/* A run that ends too early says never, not nothing. */
static void who_is_not_found_in_time_counts_as_never(void **state)
{
    (void)state;
    const struct sim_scenario s = {.nodes = 5, .seed = 1, .duration = 3 * S, .kill = 1};
    const struct sim_figures f = run(&s);
    assert_int_equal(f.all_failed.count, 1);
    assert_true(f.all_failed.p50 == COVEY_NEVER && f.all_failed.max == COVEY_NEVER);
}

static void a_partition_is_whole_again(void **state)
{
    (void)state;
    const struct sim_scenario s = {
        .nodes = 8, .seed = 2, .duration = 90 * S, .side_a = 5, .side_b = 3};
    const struct sim_figures f = run(&s);
    assert_int_equal(f.heals, 1);
    assert_true(f.healed > 0 && f.healed < 25 * S);
    /* 2.5, 7.5, then none from the cut at 15 s to the heal at 60 s; up to 82.5. */
    assert_int_equal(f.update_all.count, 2 + 5);
    assert_true(f.update_all.max != COVEY_NEVER);
}

/* Shorter than a suspicion: nobody fails. */
static void those_who_pause_come_back(void **state)
{
    (void)state;
    const struct sim_scenario s = {
        .nodes = 8, .seed = 2, .duration = 60 * S, .pause = 3, .pause_time = 2 * S};
    const struct sim_figures f = run(&s);
    assert_int_equal(f.killed, 0);
    assert_int_equal(f.false_failed, 0);
    assert_true(f.node_time == 8 * 60 * S);
}

/* It runs, so a tag that it does not show is not everywhere: those that were set after 20 s. */
static void who_sleeps_to_the_end_never_sees_a_tag(void **state)
{
    (void)state;
    const struct sim_scenario s = {
        .nodes = 8, .seed = 2, .duration = 60 * S, .pause = 1, .pause_time = 3600 * S};
    const struct sim_figures f = run(&s);
    assert_int_equal(f.update_all.count, 11);
    assert_true(f.update_all.max == COVEY_NEVER);
}

static void all_at_once_and_again(void **state)
{
    (void)state;
    struct sim_scenario s = {.nodes = 12,
                             .seed = 9,
                             .duration = 60 * S,
                             .loss_permille = 50,
                             .kill = 2,
                             .side_a = 8,
                             .side_b = 4,
                             .pause = 2,
                             .pause_time = 3 * S};
    const struct sim_figures first = run(&s);
    const struct sim_figures again = run(&s);
    assert_true(again.hash == first.hash && again.bytes == first.bytes);
    assert_true(again.all_failed.max == first.all_failed.max && again.healed == first.healed);
    assert_true(again.false_failed == first.false_failed && again.node_time == first.node_time);
    s.seed = 10;
    const struct sim_figures other = run(&s);
    assert_true(other.hash != first.hash);
}

/* The picture changes nothing, and shows what was done. */
static void a_plot_shows_the_faults(void **state)
{
    (void)state;
    struct sim_scenario s = {.nodes = 6,
                             .seed = 4,
                             .duration = 60 * S,
                             .kill = 1,
                             .side_a = 4,
                             .side_b = 2,
                             .pause = 1,
                             .pause_time = S};
    const struct sim_figures plain = run(&s);
    s.plot = sim_plot_new(s.nodes, s.duration, "faults");
    const struct sim_figures plotted = run(&s);
    assert_true(plain.hash == plotted.hash);
    document_open(&d);
    assert_int_equal(sim_plot_write(s.plot, d.file), COVEY_OK);
    document_close(&d);
    sim_plot_free(s.plot);
    assert_svg(d.text);
    assert_int_equal(count_of(d.text, ">cut</text>"), 1);
    assert_int_equal(count_of(d.text, ">heal</text>"), 1);
    assert_int_equal(count_of(d.text, "#000000\" stroke-width=\"1.5\""),
                     2 * 2); /* with the legend */
    /* The one that was killed is failed at all to the end: the whole height of its row. */
    const char *row = strstr(d.text, "height=\"16.5\" fill=\"#d5443a\"");
    assert_non_null(row);
}

static void what_cannot_be_run_is_refused(void **state)
{
    (void)state;
    const struct sim_scenario good = {.nodes = 4,
                                      .duration = S,
                                      .kill = 1,
                                      .side_a = 3,
                                      .side_b = 1,
                                      .pause = 1,
                                      .pause_time = COVEY_MILLISECOND};
    assert_null(sim_scenario_problem(&good));
    struct sim_scenario bad[13];
    size_t count = 0;
    for (size_t i = 0; i < 13; i++)
        bad[i] = good;
    bad[count++].nodes = 1;
    bad[count++].nodes = 10001;
    bad[count++].duration = S - 1;
    bad[count++].duration = SIM_SCENARIO_DURATION_MAX + 1;
    bad[count++].loss_permille = 1000;
    bad[count++].kill = 2;
    bad[count++].kill = UINT32_MAX;
    bad[count++].pause = 2;
    bad[count++].side_a = 0;
    bad[count++].side_b = 0;
    bad[count++].side_b = 2;
    bad[count++].pause_time = 0;
    bad[count++].pause_time = 3600 * S + 1;
    for (size_t i = 0; i < count; i++) {
        struct sim_figures f;
        assert_non_null(sim_scenario_problem(&bad[i]));
        assert_int_equal(sim_scenario_run(&bad[i], &f), COVEY_ERR_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_only_tags_are_measured),
        cmocka_unit_test(the_killed_are_found),
        cmocka_unit_test(who_is_not_found_in_time_counts_as_never),
        cmocka_unit_test(a_partition_is_whole_again),
        cmocka_unit_test(those_who_pause_come_back),
        cmocka_unit_test(who_sleeps_to_the_end_never_sees_a_tag),
        cmocka_unit_test(all_at_once_and_again),
        cmocka_unit_test(a_plot_shows_the_faults),
        cmocka_unit_test(what_cannot_be_run_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
