#include "rpc/timeout.h"

#include "base/writer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CENTURY_US (UINT64_C(36525) * 86400 * 1000000)

static void what_remains_is_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(cv_rpc_timeout_left(1000, 1000), 0);
    assert_int_equal(cv_rpc_timeout_left(999, 1000), 0);
    assert_int_equal(cv_rpc_timeout_left(0, UINT64_MAX), 0);
    assert_int_equal(cv_rpc_timeout_left(1001, 1000), 1);
    assert_int_equal(cv_rpc_timeout_left(2000, 1000), 1);
    assert_int_equal(cv_rpc_timeout_left(2001, 1000), 2);
}

static void a_century_is_the_most(void **state)
{
    (void)state;
    covey_time century = CENTURY_US * COVEY_MICROSECOND;
    assert_true(cv_rpc_timeout_left(century, 0) == CENTURY_US);
    assert_true(cv_rpc_timeout_left(century - 1000, 0) == CENTURY_US - 1);
    assert_true(cv_rpc_timeout_left(COVEY_NEVER, 0) == CENTURY_US);
    assert_true(cv_rpc_timeout_left(COVEY_NEVER, 0) <= CV_VARINT_MAX);
    assert_true(cv_rpc_timeout_deadline(CENTURY_US, 5) == century + 5);
    assert_true(cv_rpc_timeout_deadline(CENTURY_US + 1, 5) == century + 5);
    assert_true(cv_rpc_timeout_deadline(CV_VARINT_MAX, 5) == century + 5);
    assert_true(cv_rpc_timeout_deadline(UINT64_MAX, 5) == century + 5);
}

static void deadlines_do_not_wrap_around(void **state)
{
    (void)state;
    assert_true(cv_rpc_timeout_deadline(0, 7) == 7);
    assert_true(cv_rpc_timeout_deadline(3, 7) == 3007);
    assert_true(cv_rpc_timeout_deadline(1, COVEY_NEVER - 1002) == COVEY_NEVER - 2);
    assert_true(cv_rpc_timeout_deadline(1, COVEY_NEVER - 1001) == COVEY_NEVER - 1);
    assert_true(cv_rpc_timeout_deadline(1, COVEY_NEVER - 1000) == COVEY_NEVER - 1);
    assert_true(cv_rpc_timeout_deadline(CENTURY_US, COVEY_NEVER - 1) == COVEY_NEVER - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_remains_is_rounded_up),
        cmocka_unit_test(a_century_is_the_most),
        cmocka_unit_test(deadlines_do_not_wrap_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
