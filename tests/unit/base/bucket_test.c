#include "base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_burst_then_rate(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 3, 10, 100);
    for (int i = 0; i < 3; i++)
        assert_true(cv_bucket_take(&b, 1, 100));
    assert_false(cv_bucket_take(&b, 1, 100));
    assert_false(cv_bucket_take(&b, 1, 109));
    assert_true(cv_bucket_take(&b, 1, 110));
    assert_false(cv_bucket_take(&b, 1, 119));
    assert_true(cv_bucket_take(&b, 1, 120));
}

static void test_never_more_than_burst(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 3, 10, 0);
    assert_false(cv_bucket_take(&b, 4, 1000000));
    assert_true(cv_bucket_take(&b, 3, UINT64_MAX));
    assert_false(cv_bucket_take(&b, 1, UINT64_MAX));
}

static void test_all_or_nothing(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 3, 10, 0);
    assert_true(cv_bucket_take(&b, 2, 0));
    assert_false(cv_bucket_take(&b, 2, 0));
    assert_true(cv_bucket_take(&b, 1, 0));
    assert_true(cv_bucket_take(&b, 0, 0));
}

static void test_parts_of_an_interval_are_kept(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 2, 10, 0);
    assert_true(cv_bucket_take(&b, 2, 0));
    for (covey_time now = 1; now < 10; now++)
        assert_false(cv_bucket_take(&b, 1, now));
    assert_true(cv_bucket_take(&b, 1, 10));
}

static void test_time_that_goes_back(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 1, 10, 100);
    assert_true(cv_bucket_take(&b, 1, 100));
    assert_false(cv_bucket_take(&b, 1, 0));
    assert_true(cv_bucket_take(&b, 1, 110));
}

static void test_when_there_is_enough(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 3, 10, 100);
    assert_int_equal(cv_bucket_ready(&b, 3, 100), 100);
    assert_true(cv_bucket_take(&b, 2, 100));
    assert_int_equal(cv_bucket_ready(&b, 1, 104), 104);
    assert_int_equal(cv_bucket_ready(&b, 2, 104), 110);
    assert_int_equal(cv_bucket_ready(&b, 3, 104), 120);
    assert_false(cv_bucket_take(&b, 3, 119));
    assert_true(cv_bucket_take(&b, 3, 120));
}

/* More than a burst at once, taken or faded at the rate of what is earned. */
static void test_what_a_pause_earned_is_there_for_a_while(void **state)
{
    struct cv_bucket b;
    (void)state;
    cv_bucket_init(&b, 3, 10, 100);
    assert_true(cv_bucket_take(&b, 2, 100));
    cv_bucket_credit(&b, 49, 100);
    assert_int_equal(b.level, 3 + 4);
    cv_bucket_credit(&b, 49, 100); /* no more for the same */
    assert_true(cv_bucket_take(&b, 2, 100));
    assert_int_equal(b.level, 5);
    assert_true(cv_bucket_take(&b, 1, 115));
    assert_int_equal(b.level, 3);
    cv_bucket_credit(&b, 49, 120);
    assert_true(cv_bucket_take(&b, 0, 1000));
    assert_int_equal(b.level, 3);
    cv_bucket_init(&b, UINT32_MAX, 1, 0);
    cv_bucket_credit(&b, UINT64_MAX, 5);
    assert_int_equal(b.level, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_never_more_than_burst),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_parts_of_an_interval_are_kept),
        cmocka_unit_test(test_time_that_goes_back),
        cmocka_unit_test(test_when_there_is_enough),
        cmocka_unit_test(test_what_a_pause_earned_is_there_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
