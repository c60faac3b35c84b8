#include "svg_check.h"

#include "sim/chart.h"

#include <covey/error.h>
#include <math.h>

static struct document d;

static int write_chart(const struct sim_chart *c)
{
    document_open(&d);
    int error = sim_chart_write(c, d.file);
    document_close(&d);
    return error;
}

static const struct sim_chart_point line[] = {{10, 7.0}, {100, 10.0}, {1000, 14.5}, {10000, 18.6}};
static const struct sim_chart_point dots[] = {{10, 5.0}, {10000, 7.0}};

static struct sim_chart two_series(const struct sim_chart_series *series)
{
    return (struct sim_chart){.title = "Detection",
                              .x_label = "nodes",
                              .y_label = "s until failed everywhere",
                              .is_x_log = true,
                              .series = series,
                              .series_count = 2};
}

/* Four decades from pixel 70 to 696, 0 to 20 from 366 to 40. */
static void points_are_where_they_belong(void **state)
{
    (void)state;
    const struct sim_chart_series series[] = {
        {.label = "memberlist", .points = line, .count = 4},
        {.label = "covey & co", .points = dots, .count = 2, .is_dots = true}};
    const struct sim_chart c = two_series(series);
    assert_int_equal(write_chart(&c), COVEY_OK);
    assert_svg(d.text);
    assert_non_null(strstr(d.text, "points=\"70.0,251.9 278.7,203.0 487.3,129.7 696.0,62.8\""));
    assert_int_equal(count_of(d.text, "<polyline"), 1);
    assert_int_equal(count_of(d.text, "<circle"), 4 + 2 + 2); /* one each in the legend */
    assert_non_null(strstr(d.text, ">covey &amp; co</text>"));
    assert_non_null(strstr(d.text, ">nodes</text>"));
    assert_non_null(strstr(d.text, "rotate(-90"));
}

static void logarithmic_ticks_are_1_2_5(void **state)
{
    (void)state;
    const struct sim_chart_series series[] = {{.label = "a", .points = line, .count = 4},
                                              {.label = "b", .points = dots, .count = 2}};
    struct sim_chart c = two_series(series);
    assert_int_equal(write_chart(&c), COVEY_OK);
    static const char *const ticks[] = {">10</text>",  ">20</text>",   ">50</text>",
                                        ">100</text>", ">2000</text>", ">10000</text>"};
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++)
        assert_true(count_of(d.text, ticks[i]) >= 1);
    assert_int_equal(count_of(d.text, ">1</text>"), 0);
    assert_int_equal(count_of(d.text, ">20000</text>"), 0);
    c.is_y_log = true;
    assert_int_equal(write_chart(&c), COVEY_OK);
    assert_svg(d.text);
    assert_int_equal(count_of(d.text, ">5</text>"), 1);
}

static void linear_axes_end_at_round_numbers(void **state)
{
    (void)state;
    const struct sim_chart_point points[] = {{0, -0.3}, {7, 0.95}};
    const struct sim_chart_series series = {.label = "a", .points = points, .count = 2};
    const struct sim_chart c = {
        .title = "t", .x_label = "x", .y_label = "y", .series = &series, .series_count = 1};
    assert_int_equal(write_chart(&c), COVEY_OK);
    assert_svg(d.text);
    assert_int_equal(count_of(d.text, ">-0.4</text>"), 1);
    assert_int_equal(count_of(d.text, ">1</text>"), 2); /* on both */
    assert_int_equal(count_of(d.text, ">0</text>"), 2);
    assert_int_equal(count_of(d.text, ">7</text>"), 1);
}

static void one_point_is_a_chart(void **state)
{
    (void)state;
    const struct sim_chart_point points[] = {{5, 0}};
    const struct sim_chart_series series = {.label = "a", .points = points, .count = 1};
    struct sim_chart c = {
        .title = "t", .x_label = "x", .y_label = "y", .series = &series, .series_count = 1};
    for (int i = 0; i < 2; i++) {
        c.is_x_log = i == 1;
        assert_int_equal(write_chart(&c), COVEY_OK);
        assert_svg(d.text);
        assert_int_equal(count_of(d.text, "<circle"), 2);
        assert_int_equal(count_of(d.text, "<polyline"), 0);
    }
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    const struct sim_chart_point bad[] = {{NAN, 1}, {1, INFINITY}, {0, 1}, {1, 0}, {-1, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct sim_chart_series series = {.label = "a", .points = &bad[i], .count = 1};
        const struct sim_chart c = {.title = "t",
                                    .x_label = "x",
                                    .y_label = "y",
                                    .is_x_log = true,
                                    .is_y_log = true,
                                    .series = &series,
                                    .series_count = 1};
        assert_int_equal(write_chart(&c), COVEY_ERR_INVALID_ARGUMENT);
        assert_string_equal(d.text, "");
    }
    struct sim_chart_series none[SIM_CHART_SERIES_MAX + 1] = {{0}};
    struct sim_chart c = {.title = "t", .x_label = "x", .y_label = "y", .series = none};
    assert_int_equal(write_chart(&c), COVEY_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i <= SIM_CHART_SERIES_MAX; i++)
        none[i] = (struct sim_chart_series){.label = "a", .points = line, .count = 4};
    c.series_count = SIM_CHART_SERIES_MAX;
    assert_int_equal(write_chart(&c), COVEY_OK);
    assert_svg(d.text);
    c.series_count = SIM_CHART_SERIES_MAX + 1;
    assert_int_equal(write_chart(&c), COVEY_ERR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_where_they_belong),
        cmocka_unit_test(logarithmic_ticks_are_1_2_5),
        cmocka_unit_test(linear_axes_end_at_round_numbers),
        cmocka_unit_test(one_point_is_a_chart),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
