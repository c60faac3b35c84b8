#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void text_has_no_nul(void **state)
{
    (void)state;
    assert_int_equal(cv_slice_text("abc").size, 3);
    assert_int_equal(cv_slice_text("").size, 0);
}

static void order_is_by_bytes_and_prefix_first(void **state)
{
    (void)state;
    const struct cv_slice ascending[] = {
        {0},
        cv_slice_of("\0", 1),
        cv_slice_text("a"),
        cv_slice_text("aa"),
        cv_slice_text("ab"),
        cv_slice_text("b"),
        cv_slice_text("\x80"),
    };
    int count = (int)(sizeof ascending / sizeof ascending[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            assert_int_equal(sign(cv_slice_compare(ascending[i], ascending[j])), sign(i - j));
            assert_int_equal(cv_slice_equal(ascending[i], ascending[j]), i == j);
        }
    }
}

static void equal_is_by_content(void **state)
{
    (void)state;
    const char a[] = "same", b[] = "same";
    assert_true(cv_slice_equal(cv_slice_text(a), cv_slice_text(b)));
    assert_true(cv_slice_equal((struct cv_slice){0}, cv_slice_of(a, 0)));
    assert_int_equal(cv_slice_compare((struct cv_slice){0}, cv_slice_of(a, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_no_nul),
        cmocka_unit_test(order_is_by_bytes_and_prefix_first),
        cmocka_unit_test(equal_is_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
