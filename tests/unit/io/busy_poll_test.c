#include "io/busy_poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX (160 * COVEY_MICROSECOND)

/* How long it polls from `now` on when nothing comes, in steps of a microsecond. */
static covey_time polled(struct cv_busy_poll *p, covey_time now)
{
    covey_time t = now;
    cv_busy_poll_idle(p, now);
    while (t - now < 2 * MAX && cv_busy_poll_wants(p, t))
        t += COVEY_MICROSECOND;
    return t - now;
}

static void pause_of(struct cv_busy_poll *p, covey_time length)
{
    cv_busy_poll_idle(p, COVEY_SECOND);
    cv_busy_poll_work(p, COVEY_SECOND + length);
}

static void zero_never_polls(void **state)
{
    (void)state;
    struct cv_busy_poll p;
    cv_busy_poll_init(&p, 0);
    assert_int_equal(polled(&p, COVEY_SECOND), 0);
    pause_of(&p, 0);
    assert_int_equal(polled(&p, COVEY_SECOND), 0);
}

static void it_begins_with_the_whole_window(void **state)
{
    (void)state;
    struct cv_busy_poll p;
    cv_busy_poll_init(&p, MAX);
    assert_int_equal(polled(&p, COVEY_SECOND), MAX);
}

static void long_pauses_end_it(void **state)
{
    (void)state;
    static const covey_time windows[] = {80, 40, 20, 10, 0, 0};
    struct cv_busy_poll p;
    cv_busy_poll_init(&p, MAX);
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        pause_of(&p, MAX + 1);
        assert_int_equal(polled(&p, COVEY_SECOND), windows[i] * COVEY_MICROSECOND);
    }
}

/* Although it sleeps: what counts is how soon work came. */
static void short_pauses_bring_it_back(void **state)
{
    (void)state;
    static const covey_time windows[] = {10, 20, 40, 80, 160, 160};
    struct cv_busy_poll p;
    cv_busy_poll_init(&p, MAX);
    for (int i = 0; i < 10; i++)
        pause_of(&p, COVEY_SECOND);
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        pause_of(&p, MAX);
        assert_int_equal(polled(&p, COVEY_SECOND), windows[i] * COVEY_MICROSECOND);
    }
}

/* The smallest and the largest settings stay within their bounds and come to 0 and back. */
static void every_maximum_has_both_ends(void **state)
{
    (void)state;
    static const covey_time maxima[] = {1, 2, 15, 16, 17, 1000 * COVEY_MILLISECOND, UINT64_MAX / 2};
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct cv_busy_poll p;
        cv_busy_poll_init(&p, maxima[i]);
        for (int n = 0; n < 10; n++) {
            pause_of(&p, maxima[i] + 1);
            assert_true(p.window < maxima[i]);
        }
        assert_int_equal(p.window, 0);
        for (int n = 0; n < 10; n++) {
            pause_of(&p, 0);
            assert_true(p.window > 0 && p.window <= maxima[i]);
        }
        assert_true(p.window == maxima[i]);
    }
}

static void a_time_before_the_pause_is_its_begin(void **state)
{
    (void)state;
    struct cv_busy_poll p;
    cv_busy_poll_init(&p, MAX);
    cv_busy_poll_idle(&p, COVEY_SECOND);
    assert_true(cv_busy_poll_wants(&p, 0));
    cv_busy_poll_work(&p, 0);
    assert_int_equal(p.window, MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_never_polls),
        cmocka_unit_test(it_begins_with_the_whole_window),
        cmocka_unit_test(long_pauses_end_it),
        cmocka_unit_test(short_pauses_bring_it_back),
        cmocka_unit_test(every_maximum_has_both_ends),
        cmocka_unit_test(a_time_before_the_pause_is_its_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
