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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_never_more_than_burst),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_parts_of_an_interval_are_kept),
        cmocka_unit_test(test_time_that_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
