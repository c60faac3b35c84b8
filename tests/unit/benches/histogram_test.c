#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram, other;

static int clear(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    return 0;
}

static void nothing_has_no_percentile(void **state)
{
    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(&histogram, i);
    assert_int_equal(histogram_percentile(&histogram, 0), 1);
    assert_int_equal(histogram_percentile(&histogram, 0.01), 1);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 50);
    assert_int_equal(histogram_percentile(&histogram, 0.99), 99);
    assert_int_equal(histogram_percentile(&histogram, 1), 100);
}

/* A value alone comes back as the end of its bucket: never less, at most 1/64 more. */
static void a_bucket_is_one_part_in_64(void **state)
{
    (void)state;
    for (uint64_t power = 1; power < (uint64_t)1 << 41; power *= 2)
        for (int64_t delta = -1; delta <= 1; delta++) {
            uint64_t value = power + (uint64_t)delta;
            clear(NULL);
            histogram_add(&histogram, value);
            uint64_t got = histogram_percentile(&histogram, 0.5);
            assert_true(got >= value);
            assert_true(got - value <= value / 64);
        }
}

static void what_is_too_long_is_in_the_last_bucket(void **state)
{
    (void)state;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, (uint64_t)1 << 41);
    assert_int_equal(histogram.counts[HISTOGRAM_BUCKETS - 1], 2);
    assert_int_equal(histogram_percentile(&histogram, 1), ((uint64_t)1 << 41) - 1);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Against the exact percentile of values over six powers of ten. */
static void percentiles_are_near_the_exact_ones(void **state)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static const double fractions[] = {0.1, 0.5, 0.9, 0.99, 0.999};
    uint64_t random = 1987;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] = (random >> 33) >> (random >> 60);
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        uint64_t exact = values[(size_t)(fractions[i] * COUNT) - 1];
        uint64_t got = histogram_percentile(&histogram, fractions[i]);
        assert_true(got >= exact);
        assert_true(got - exact <= exact / 64);
    }
}

static void merging_adds_each_sample(void **state)
{
    (void)state;
    histogram_add(&histogram, 5);
    histogram_add(&other, 7);
    histogram_add(&other, 1000000);
    histogram_merge(&histogram, &other);
    assert_int_equal(histogram.total, 3);
    assert_int_equal(histogram_percentile(&histogram, 0.3), 5);
    assert_int_equal(histogram_percentile(&histogram, 0.6), 7);
    assert_true(histogram_percentile(&histogram, 1) >= 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_has_no_percentile, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(a_bucket_is_one_part_in_64, clear),
        cmocka_unit_test_setup(what_is_too_long_is_in_the_last_bucket, clear),
        cmocka_unit_test_setup(percentiles_are_near_the_exact_ones, clear),
        cmocka_unit_test_setup(merging_adds_each_sample, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
