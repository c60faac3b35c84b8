#include "rpc/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct cv_backoff backoff = {.first = 100, .max = 1000};

static void assert_pauses(unsigned failures, covey_time mean)
{
    struct cv_rand random;
    covey_time least = COVEY_NEVER, most = 0;
    cv_rand_seed(&random, 7);
    for (int i = 0; i < 20000; i++) {
        covey_time pause = cv_backoff_pause(&backoff, failures, &random);
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
    }
    /* Both ends are reached, and never passed. */
    assert_int_equal(least, mean - mean / 5);
    assert_int_equal(most, mean + mean / 5);
}

static void it_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    assert_pauses(1, 100);
    assert_pauses(2, 200);
    assert_pauses(3, 400);
    assert_pauses(4, 800);
    assert_pauses(5, 1000);
    assert_pauses(6, 1000);
}

static void many_failures_do_not_wrap_around(void **state)
{
    (void)state;
    struct cv_rand random;
    const struct cv_backoff large = {.first = COVEY_NEVER / 8, .max = COVEY_NEVER / 4};
    cv_rand_seed(&random, 1);
    assert_in_range(cv_backoff_pause(&large, 4000000000u, &random), COVEY_NEVER / 20 * 4,
                    COVEY_NEVER / 20 * 6);
    assert_in_range(cv_backoff_pause(&backoff, 4000000000u, &random), 800, 1200);
}

static void one_nanosecond_is_a_pause(void **state)
{
    (void)state;
    struct cv_rand random;
    const struct cv_backoff tiny = {.first = 1, .max = 1};
    cv_rand_seed(&random, 1);
    assert_int_equal(cv_backoff_pause(&tiny, 3, &random), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_doubles_up_to_the_maximum),
        cmocka_unit_test(many_failures_do_not_wrap_around),
        cmocka_unit_test(one_nanosecond_is_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
