#include "transport/dial_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX 9

static void quick_dials_open_it(void **state)
{
    struct cv_dial_window w;
    (void)state;
    cv_dial_window_init(&w, MAX);
    assert_int_equal(w.size, CV_DIAL_WINDOW_FIRST);
    for (size_t size = CV_DIAL_WINDOW_FIRST + 1; size <= MAX; size++) {
        cv_dial_window_connected(&w, CV_DIAL_QUICK - 1);
        assert_int_equal(w.size, size);
    }
    cv_dial_window_connected(&w, 0);
    assert_int_equal(w.size, MAX);
    /* neither quick nor slow */
    cv_dial_window_connected(&w, CV_DIAL_QUICK);
    cv_dial_window_connected(&w, CV_DIAL_SLOW - 1);
    assert_int_equal(w.size, MAX);
}

static void slow_dials_close_it(void **state)
{
    struct cv_dial_window w;
    (void)state;
    cv_dial_window_init(&w, MAX);
    w.size = MAX;
    cv_dial_window_connected(&w, CV_DIAL_SLOW);
    assert_int_equal(w.size, MAX / 2);
    cv_dial_window_failed(&w, CV_DIAL_SLOW - 1); /* refused */
    assert_int_equal(w.size, MAX / 2);
    cv_dial_window_failed(&w, CV_DIAL_SLOW);
    assert_int_equal(w.size, MAX / 4);
    cv_dial_window_failed(&w, UINT64_MAX);
    assert_int_equal(w.size, CV_DIAL_WINDOW_MIN);
}

static void the_smallest(void **state)
{
    struct cv_dial_window w;
    (void)state;
    cv_dial_window_init(&w, CV_DIAL_WINDOW_MIN);
    cv_dial_window_connected(&w, 0);
    assert_int_equal(w.size, CV_DIAL_WINDOW_MIN);
    cv_dial_window_connected(&w, CV_DIAL_SLOW);
    assert_int_equal(w.size, CV_DIAL_WINDOW_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_dials_open_it),
        cmocka_unit_test(slow_dials_close_it),
        cmocka_unit_test(the_smallest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
