#include "svg_check.h"

#include "sim/plot.h"

#include <covey/error.h>

#define S COVEY_SECOND

#define ALIVE   "fill=\"#3c9d6e\""
#define SUSPECT "fill=\"#e0a100\""
#define FAILED  "fill=\"#d5443a\""
#define LEFT    "fill=\"#7d7fc4\""

static struct document d;

/* Each colour is once in the legend. */
static size_t rects_of(const char *fill)
{
    size_t count = count_of(d.text, fill);
    assert_true(count >= 1);
    return count - 1;
}

static void write_and_free(struct sim_plot *p)
{
    document_open(&d);
    assert_int_equal(sim_plot_write(p, d.file), COVEY_OK);
    document_close(&d);
    sim_plot_free(p);
    assert_svg(d.text);
}

static void without_samples_all_are_alive(void **state)
{
    (void)state;
    write_and_free(sim_plot_new(5, 60 * S, "quiet"));
    assert_int_equal(rects_of(ALIVE), 5);
    assert_int_equal(rects_of(SUSPECT) + rects_of(FAILED) + rects_of(LEFT), 0);
    assert_int_equal(count_of(d.text, "<title>quiet</title>"), 1);
    assert_int_equal(count_of(d.text, ">60 s</text>"), 1);
}

/* The row of node 1 of two, 18 high with a gap of 1.5, from 0 to 10 s on 430 columns of 2. */
static void a_share_is_as_high_as_it_is_large(void **state)
{
    (void)state;
    struct sim_plot *p = sim_plot_new(2, 10 * S, "shares");
    sim_plot_sample(p, 0, 1, &(struct sim_plot_share){.observers = 4});
    sim_plot_sample(p, 5 * S, 1, &(struct sim_plot_share){.observers = 4, .suspect = 2});
    sim_plot_sample(p, 8 * S, 1, &(struct sim_plot_share){.observers = 4, .failed = 4});
    write_and_free(p);
    assert_int_equal(rects_of(SUSPECT), 1);
    assert_int_equal(rects_of(FAILED), 1);
    /* From column 215 to 344, the lower half: 8.25 of 16.5. */
    assert_non_null(
        strstr(d.text, "<rect x=\"510.0\" y=\"82.2\" width=\"258.0\" height=\"8.2\" " SUSPECT));
    assert_non_null(
        strstr(d.text, "<rect x=\"768.0\" y=\"74.0\" width=\"172.0\" height=\"16.5\" " FAILED));
}

/* Shorter than a column, and one of a thousand: still to be seen. */
static void nothing_is_too_short_or_too_small(void **state)
{
    (void)state;
    struct sim_plot *p = sim_plot_new(1, 1000 * S, "short");
    sim_plot_sample(p, 500 * S, 0, &(struct sim_plot_share){.observers = 1000, .suspect = 1});
    sim_plot_sample(p, 500 * S + 1, 0, &(struct sim_plot_share){.observers = 1000});
    write_and_free(p);
    assert_int_equal(rects_of(SUSPECT), 1);
    assert_non_null(strstr(d.text, "width=\"2.0\" height=\"2.1\" " SUSPECT));
}

static void samples_behind_the_end_are_the_end(void **state)
{
    (void)state;
    struct sim_plot *p = sim_plot_new(1, 10 * S, "late");
    sim_plot_sample(p, 10 * S, 0, &(struct sim_plot_share){.observers = 1, .left = 1});
    sim_plot_sample(p, 12 * S, 0, &(struct sim_plot_share){.observers = 1, .left = 1});
    sim_plot_add_mark(p, 12 * S, SIM_PLOT_CRASH, 0);
    write_and_free(p);
    assert_int_equal(rects_of(LEFT), 1);
}

/* 61 nodes in 60 rows, 10,000 too; half of a row of two is half as high. */
static void many_nodes_share_rows(void **state)
{
    (void)state;
    const size_t counts[] = {60, 61, 120, 10000};
    for (size_t i = 0; i < 4; i++) {
        struct sim_plot *p = sim_plot_new(counts[i], 60 * S, "many");
        for (size_t node = 0; node < counts[i]; node += 2)
            sim_plot_sample(p, 30 * S, node, &(struct sim_plot_share){.observers = 1, .failed = 1});
        write_and_free(p);
        assert_int_equal(rects_of(ALIVE), 60);
        assert_int_equal(rects_of(FAILED), counts[i] < 120 ? (counts[i] + 1) / 2 : 60);
        if (counts[i] == 120)
            assert_int_equal(count_of(d.text, "width=\"430.0\" height=\"3.8\" " FAILED), 60);
    }
    assert_int_equal(count_of(d.text, ">nodes</text>"), 1);
    assert_int_equal(count_of(d.text, ">0-166</text>"), 1);
}

static void marks_are_drawn(void **state)
{
    (void)state;
    struct sim_plot *p = sim_plot_new(3, 10 * S, "marks");
    sim_plot_add_mark(p, 1 * S, SIM_PLOT_PAUSE, 2);
    sim_plot_add_mark(p, 2 * S, SIM_PLOT_CUT, 0);
    sim_plot_add_mark(p, 3 * S, SIM_PLOT_RESUME, 2);
    sim_plot_add_mark(p, 4 * S, SIM_PLOT_HEAL, 0);
    sim_plot_add_mark(p, 5 * S, SIM_PLOT_PAUSE, 1); /* to the end */
    sim_plot_add_mark(p, 6 * S, SIM_PLOT_CRASH, 0);
    write_and_free(p);
    assert_int_equal(count_of(d.text, ">cut</text>"), 1);
    assert_int_equal(count_of(d.text, ">heal</text>"), 1);
    assert_non_null(strstr(d.text, "<line x1=\"166.0\" y1=\"100.2\" x2=\"338.0\" y2=\"100.2\" "
                                   "stroke=\"#2f7fd0\""));
    assert_non_null(strstr(d.text, "<line x1=\"510.0\" y1=\"82.2\" x2=\"940.0\" y2=\"82.2\" "
                                   "stroke=\"#2f7fd0\""));
    assert_non_null(strstr(d.text, "<line x1=\"592.5\" y1=\"60.8\" x2=\"599.5\" y2=\"67.8\""));
}

static void titles_cannot_break_the_document(void **state)
{
    (void)state;
    char longer[400];
    write_and_free(sim_plot_new(1, S, "a < b & c > d \"e\" \x01\xff"));
    assert_int_equal(count_of(d.text, "a &lt; b &amp; c &gt; d \"e\" ??"), 2);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    write_and_free(sim_plot_new(1, S, longer));
    longer[127] = '\0';
    assert_int_equal(count_of(d.text, longer), 2);
    longer[127] = 'x';
    longer[128] = '\0';
    assert_int_equal(count_of(d.text, longer), 0);
}

static void a_full_disk_is_reported(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    struct sim_plot *p = sim_plot_new(1, S, "full");
    if (full == NULL)
        skip();
    assert_int_equal(sim_plot_write(p, full), COVEY_ERR_SYSTEM);
    fclose(full);
    sim_plot_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_samples_all_are_alive),
        cmocka_unit_test(a_share_is_as_high_as_it_is_large),
        cmocka_unit_test(nothing_is_too_short_or_too_small),
        cmocka_unit_test(samples_behind_the_end_are_the_end),
        cmocka_unit_test(many_nodes_share_rows),
        cmocka_unit_test(marks_are_drawn),
        cmocka_unit_test(titles_cannot_break_the_document),
        cmocka_unit_test(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
