#include "results.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <covey/error.h>
#include <math.h>
#include <string.h>

static const char *const columns[] = {"first_ms", "second", NULL};

static struct result result_of(const char *system, uint32_t nodes, uint64_t seed, double first)
{
    struct result r = {.nodes = nodes, .level = 3, .seed = seed, .values = {first, 0.25}};
    strcpy(r.system, system);
    return r;
}

static void assert_same(const struct result *a, const struct result *b)
{
    assert_string_equal(a->system, b->system);
    assert_int_equal(a->nodes, b->nodes);
    assert_int_equal(a->level, b->level);
    assert_true(a->seed == b->seed);
    assert_true(a->values[0] == b->values[0] && a->values[1] == b->values[1]);
}

static FILE *file_of(const char *text)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    rewind(file);
    return file;
}

static void results_are_sorted_by_their_cases(void **state)
{
    (void)state;
    struct results cases = {0};
    struct results r = {0};
    for (uint64_t seed = 1; seed <= 4; seed++)
        results_add_case(&cases, "covey", 5, 3, seed);
    const struct result found[] = {result_of("covey", 5, 9, 9), result_of("covey", 5, 3, 30),
                                   result_of("other", 5, 1, 8), result_of("covey", 5, 1, 10)};
    const double firsts[] = {10, 30, 9, 8};
    for (size_t i = 0; i < 4; i++)
        results_add(&r, &found[i]);
    results_sort(&r, &cases);
    assert_int_equal(r.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(r.items[i].values[0] == firsts[i]);
    results_fini(&r);
    results_fini(&cases);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const struct result written[] = {result_of("covey", 5, 1, 1.5),
                                     result_of("covey without local health", 10000, 2, INFINITY),
                                     result_of("x", UINT32_MAX, UINT64_MAX, 0)};
    struct results read = {0};
    FILE *file = tmpfile();
    assert_non_null(file);
    results_write_header(file, columns);
    for (size_t i = 0; i < 3; i++)
        results_write(file, &written[i], 2);
    rewind(file);
    assert_int_equal(results_read(&read, file, 2), COVEY_OK);
    assert_int_equal(read.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_same(&read.items[i], &written[i]);
        assert_ptr_equal(results_find(&read, &written[i]), &read.items[i]);
    }
    const struct result other = result_of("covey", 5, 2, 1.5);
    assert_null(results_find(&read, &other));
    results_fini(&read);
    fclose(file);
}

static void an_empty_file_has_no_results(void **state)
{
    (void)state;
    struct results read = {0};
    FILE *file = file_of("");
    assert_int_equal(results_read(&read, file, 2), COVEY_OK);
    assert_int_equal(read.count, 0);
    results_fini(&read);
    fclose(file);
}

static void other_lines_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "covey,5,0,1,2.5",     /* too few values */
        "covey,5,0,1,2.5,1,1", /* too many */
        "covey,5,0,1,2.5,",    /* an empty one */
        "covey,5,0,x,2.5,1",   /* no seed */
        "covey,5,0,1,2.5 1",   /* no comma */
        "",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[128];
        struct results read = {0};
        snprintf(text, sizeof(text), "header\ncovey,5,0,1,2,3\n%s\n", lines[i]);
        FILE *file = file_of(text);
        assert_int_equal(results_read(&read, file, 2), COVEY_ERR_MALFORMED);
        assert_int_equal(read.count, 1);
        results_fini(&read);
        fclose(file);
    }
}

static void a_summary_is_of_one_case(void **state)
{
    (void)state;
    struct results r = {0};
    const double values[] = {4, 1, 3, INFINITY};
    const struct result others[] = {result_of("memberlist", 5, 1, 100),
                                    result_of("covey", 6, 1, 100)};
    for (size_t i = 0; i < 2; i++)
        results_add(&r, &others[i]);
    assert_int_equal(results_summary(&r, "covey", 5, 3, 0).count, 0);
    assert_true(isnan(results_summary(&r, "covey", 5, 3, 0).median));
    static const struct {
        double median, max, sum;
    } expected[] = {{4, 4, 4}, {2.5, 4, 5}, {3, 4, 8}, {3.5, INFINITY, INFINITY}};
    for (size_t i = 0; i < 4; i++) {
        const struct result one = result_of("covey", 5, i + 1, values[i]);
        results_add(&r, &one);
        const struct summary s = results_summary(&r, "covey", 5, 3, 0);
        assert_int_equal(s.count, i + 1);
        assert_true(s.median == expected[i].median);
        assert_true(s.max == expected[i].max);
        assert_true(s.sum == expected[i].sum);
    }
    results_fini(&r);
}

/* Half of the runs that never end make the median endless, and no number. */
static void what_never_ends_counts_as_longest(void **state)
{
    (void)state;
    struct results r = {0};
    const double values[] = {1, INFINITY};
    for (size_t i = 0; i < 2; i++) {
        const struct result one = result_of("covey", 5, i + 1, values[i]);
        results_add(&r, &one);
    }
    assert_true(isinf(results_summary(&r, "covey", 5, 3, 0).median));
    results_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(results_are_sorted_by_their_cases),
        cmocka_unit_test(an_empty_file_has_no_results),
        cmocka_unit_test(other_lines_are_refused),
        cmocka_unit_test(a_summary_is_of_one_case),
        cmocka_unit_test(what_never_ends_counts_as_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
