#include "load.h"

#include "payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/*
 * The load without an engine: its calls are kept in a list and ended by the test at any time it
 * likes. Times are nanoseconds of the test's own.
 */
#define LANES_MAX 8

static struct load load;
static struct options options;
static struct lane *calls[LANES_MAX]; /* under way, in the order of their beginning */
static unsigned call_count;
static unsigned begun;
static bool refuses;

static bool begin(struct lane *lane, const unsigned char *request, size_t size)
{
    assert_int_equal(size, options.size);
    assert_true(payload_is(request, size, 0, &lane->stamp));
    if (refuses)
        return false;
    begun++;
    calls[call_count++] = lane;
    return true;
}

static void end_first(bool right, uint64_t now)
{
    struct lane *lane = calls[0];
    memmove(calls, calls + 1, --call_count * sizeof(calls[0]));
    load_end(lane, right, now);
}

static void init(unsigned inflight, unsigned rate)
{
    options = (struct options){.connections = 1, .inflight = inflight, .size = 16, .rate = rate};
    call_count = begun = 0;
    refuses = false;
    load_init(&load, &options, begin);
}

static void start_all(uint64_t now)
{
    load_open(&load, now);
    for (unsigned i = 0; i < load.lane_count; i++)
        load_start(&load.lanes[i], now);
}

static void a_closed_loop_begins_a_call_when_one_ends(void **state)
{
    (void)state;
    init(2, 0);
    start_all(0);
    assert_int_equal(begun, 2);
    end_first(true, 100);
    assert_int_equal(begun, 3);
    assert_int_equal(call_count, 2);
    load_set_phase(&load, LOAD_STOPPED);
    end_first(true, 200);
    assert_false(load_wait(&load, 0));
    end_first(true, 200);
    assert_int_equal(begun, 3);
    assert_true(load_wait(&load, 0));
    load_fini(&load);
}

static void only_calls_that_end_in_the_counted_time_count(void **state)
{
    (void)state;
    init(1, 0);
    start_all(0);
    end_first(true, 50);
    load_set_phase(&load, LOAD_COUNTING);
    end_first(true, 90);  /* 40 */
    end_first(true, 190); /* 100 */
    load_set_phase(&load, LOAD_STOPPED);
    end_first(true, 300);
    const struct issuer *total = load_total(&load);
    assert_int_equal(total->calls, 2);
    assert_int_equal(total->errors, 0);
    assert_int_equal(histogram_percentile(&total->latency, 0.5), 40);
    assert_int_equal(histogram_percentile(&total->latency, 1), 100);
    load_fini(&load);
}

static void a_closed_lane_ends_at_an_error_in_any_phase(void **state)
{
    (void)state;
    init(2, 0);
    start_all(0);
    end_first(false, 10);
    assert_int_equal(call_count, 1);
    load_set_phase(&load, LOAD_COUNTING);
    refuses = true;
    end_first(true, 20);
    assert_true(load_wait(&load, 0));
    assert_int_equal(load_total(&load)->errors, 2);
    load_fini(&load);
}

static void each_call_has_its_own_number(void **state)
{
    (void)state;
    init(3, 0);
    start_all(0);
    assert_true(calls[0]->stamp != calls[1]->stamp);
    assert_true(calls[1]->stamp != calls[2]->stamp);
    uint64_t before = calls[0]->stamp;
    struct lane *lane = calls[0];
    end_first(true, 1);
    assert_true(lane->stamp != before);
    load_set_phase(&load, LOAD_STOPPED);
    while (call_count > 0)
        end_first(true, 2);
    load_fini(&load);
}

static void an_open_loop_begins_calls_by_the_clock(void **state)
{
    (void)state;
    init(4, 1000); /* one each 1,000,000 ns */
    load_open(&load, 5000000);
    assert_int_equal(load_run(&load, 5000000), 6000000);
    assert_int_equal(begun, 1);
    assert_int_equal(load_run(&load, 5999999), 6000000);
    assert_int_equal(begun, 1);
    assert_int_equal(load_run(&load, 7000000), 8000000);
    assert_int_equal(begun, 3);
    end_first(true, 7100000);
    assert_int_equal(begun, 3);
    load_set_phase(&load, LOAD_STOPPED);
    assert_true(load_run(&load, 9000000) == UINT64_MAX);
    assert_int_equal(begun, 3);
    end_first(true, 9000000);
    assert_false(load_wait(&load, 0));
    end_first(true, 9000000);
    assert_true(load_wait(&load, 0));
    load_fini(&load);
}

/* Nothing is left out when the server stands still: latency counts from when a call was due. */
static void an_open_loop_does_not_hide_a_pause(void **state)
{
    (void)state;
    init(1, 1000);
    load_set_phase(&load, LOAD_COUNTING);
    load_open(&load, 0);
    assert_int_equal(load_run(&load, 0), 1000000);
    assert_int_equal(load_run(&load, 3000000), 4000000); /* no lane is free: look again later */
    assert_int_equal(begun, 1);
    end_first(true, 3500000); /* due at 0 */
    assert_int_equal(begun, 2);
    end_first(true, 3500001); /* due at 1,000,000 */
    end_first(true, 3500002); /* due at 2,000,000 */
    end_first(true, 3500003); /* due at 3,000,000 */
    assert_int_equal(begun, 4);
    assert_int_equal(call_count, 0);
    const struct issuer *total = load_total(&load);
    assert_int_equal(total->calls, 4);
    assert_true(histogram_percentile(&total->latency, 0.25) >= 500003);
    assert_true(histogram_percentile(&total->latency, 0.5) >= 1500002);
    assert_true(histogram_percentile(&total->latency, 0.75) >= 2500001);
    assert_true(histogram_percentile(&total->latency, 1) >= 3500000);
    load_fini(&load);
}

static void an_open_loop_goes_on_after_an_error(void **state)
{
    (void)state;
    init(1, 1000);
    load_set_phase(&load, LOAD_COUNTING);
    load_open(&load, 0);
    (void)load_run(&load, 0);
    end_first(false, 10);
    refuses = true;
    assert_int_equal(load_run(&load, 1000000), 2000000);
    refuses = false;
    assert_int_equal(load_run(&load, 2000000), 3000000);
    assert_int_equal(call_count, 1);
    assert_int_equal(load_total(&load)->errors, 2);
    load_fini(&load);
}

static void a_blocking_lane_counts_for_itself(void **state)
{
    (void)state;
    options = (struct options){.connections = 1, .inflight = 2, .size = 16, .blocking = true};
    load_init(&load, &options, begin);
    load_set_phase(&load, LOAD_COUNTING);
    assert_int_equal(load.issuer_count, 2);
    assert_true(load_next(&load.lanes[0]));
    assert_true(load_next(&load.lanes[1]));
    assert_true(load_add(&load.lanes[0], true));
    assert_false(load_add(&load.lanes[1], false));
    load_set_phase(&load, LOAD_STOPPED);
    assert_false(load_next(&load.lanes[0]));
    load_retire(&load.lanes[0]);
    load_retire(&load.lanes[1]);
    assert_true(load_wait(&load, 0));
    const struct issuer *total = load_total(&load);
    assert_int_equal(total->calls, 2);
    assert_int_equal(total->errors, 1);
    load_fini(&load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_loop_begins_a_call_when_one_ends),
        cmocka_unit_test(only_calls_that_end_in_the_counted_time_count),
        cmocka_unit_test(a_closed_lane_ends_at_an_error_in_any_phase),
        cmocka_unit_test(each_call_has_its_own_number),
        cmocka_unit_test(an_open_loop_begins_calls_by_the_clock),
        cmocka_unit_test(an_open_loop_does_not_hide_a_pause),
        cmocka_unit_test(an_open_loop_goes_on_after_an_error),
        cmocka_unit_test(a_blocking_lane_counts_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
