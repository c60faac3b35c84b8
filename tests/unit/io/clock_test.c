#include "io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void never_goes_back_and_moves_on(void **state)
{
    (void)state;
    covey_time first = cv_clock_now();
    covey_time last = first;
    while (last < first + COVEY_MILLISECOND) {
        covey_time now = cv_clock_now();
        assert_true(now >= last);
        last = now;
    }
}

static void wall_clock_is_in_milliseconds(void **state)
{
    (void)state;
    uint64_t before = (uint64_t)time(NULL);
    uint64_t wall = cv_clock_wall_ms();
    uint64_t after = (uint64_t)time(NULL);
    /* time() may read a coarser clock that is a tick behind. */
    assert_in_range(wall, before * 1000, (after + 2) * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_goes_back_and_moves_on),
        cmocka_unit_test(wall_clock_is_in_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
