#include "unit/cluster/core_fixture.h"

static int add_check(const char *name, covey_time interval, covey_time timeout)
{
    const struct cv_health_check_config config = {
        .name = cv_slice_text(name), .interval = interval, .timeout = timeout, .user = &core};
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = CV_COMMAND_CHECK_ADD;
    input.command.check = &config;
    return core_step(&input);
}

static void answer(uint64_t run, enum covey_check_status status)
{
    struct cv_input input = {.type = CV_INPUT_CHECK_RESULT};
    input.check_result.run = run;
    input.check_result.status = status;
    input.check_result.message = cv_slice_text("so it is");
    core_step(&input);
}

/* Time passes until a check is to be run. */
static void run_until_due(void)
{
    do
        core_tick();
    while (core_count(CV_OUTPUT_RUN_CHECK) == 0);
}

static uint64_t run_of_step(void)
{
    const struct cv_output *output = core_find(CV_OUTPUT_RUN_CHECK, 0);
    assert_non_null(output);
    assert_ptr_equal(output->check.user, &core);
    return output->check.run;
}

/* Run at once and then each interval; a step down is told once, as an event about ourselves. */
static void a_check_that_gets_worse_is_told(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.sync_interval = 0; /* nothing else has a time of its own */
    config.reconnect_interval = 1000 * SEC;
    cv_membership_free(core.m);
    core_start(&config);
    assert_null(cv_membership_health(core.m));
    assert_int_equal(add_check("disk", 10 * SEC, 1 * SEC), COVEY_OK);
    core_tick();
    answer(run_of_step(), COVEY_CHECK_HEALTHY);
    assert_int_equal(core_count_events(COVEY_EVENT_HEALTH_CHECK_FAILED), 0);
    covey_time begun = core.now;
    run_until_due();
    assert_int_equal(core.now - begun, 10 * SEC);
    answer(run_of_step(), COVEY_CHECK_DEGRADED);
    assert_int_equal(core_count_events(COVEY_EVENT_HEALTH_CHECK_FAILED), 1);
    const struct cv_event *event = &core_find(CV_OUTPUT_EVENT, 0)->event;
    assert_string_equal(event->check, "disk");
    run_until_due();
    answer(run_of_step(), COVEY_CHECK_DEGRADED);
    assert_int_equal(core_count_events(COVEY_EVENT_HEALTH_CHECK_FAILED), 0);
    struct covey_health_status status = cv_health_checker_status(cv_membership_health(core.m));
    assert_int_equal(status.overall, COVEY_CHECK_DEGRADED);
}

/* FD7: one that hangs is unhealthy after its timeout and holds up no other. */
static void a_check_that_hangs_holds_up_no_other(void **state)
{
    (void)state;
    assert_int_equal(add_check("hangs", 10 * SEC, 2 * SEC), COVEY_OK);
    assert_int_equal(add_check("works", 1 * SEC, 1 * SEC), COVEY_OK);
    core_tick();
    assert_int_equal(core_count(CV_OUTPUT_RUN_CHECK), 2);
    answer(core_find(CV_OUTPUT_RUN_CHECK, 1)->check.run, COVEY_CHECK_HEALTHY);
    size_t told = 0, runs = 0;
    for (covey_time end = core.now + 5 * SEC; cv_membership_deadline(core.m) < end;) {
        core_tick();
        told += core_count_events(COVEY_EVENT_HEALTH_CHECK_FAILED);
        if (core_count(CV_OUTPUT_RUN_CHECK) > 0) {
            runs++;
            answer(run_of_step(), COVEY_CHECK_HEALTHY);
        }
    }
    assert_int_equal(told, 1);
    assert_int_equal(runs, 4);
}

static void bad_checks_are_refused(void **state)
{
    (void)state;
    assert_int_equal(core_command(CV_COMMAND_CHECK_REMOVE, "x", NULL), COVEY_ERR_NOT_FOUND);
    assert_int_equal(add_check("", SEC, SEC), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add_check("x", 0, SEC), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add_check("x", SEC, SEC), COVEY_OK);
    assert_int_equal(add_check("x", SEC, SEC), COVEY_ERR_EXISTS);
    assert_int_equal(core_command(CV_COMMAND_CHECK_REMOVE, "x", NULL), COVEY_OK);
    core_run(5 * SEC);
    assert_int_equal(core_count(CV_OUTPUT_RUN_CHECK), 0);
    answer(77, COVEY_CHECK_UNHEALTHY);
    assert_int_equal(core_count(CV_OUTPUT_EVENT), 0);
}

/* H1: while it says goodbye checks go on, and end after gossip. */
static void who_has_left_runs_no_checks(void **state)
{
    (void)state;
    core_add_member(1);
    assert_int_equal(add_check("disk", SEC, SEC), COVEY_OK);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    run_until_due();
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    answer(run_of_step(), COVEY_CHECK_UNHEALTHY);
    assert_int_equal(core_count_events(COVEY_EVENT_HEALTH_CHECK_FAILED), 1);
    assert_int_equal(add_check("more", SEC, SEC), COVEY_ERR_STATE);
    while (cv_membership_state(core.m) != CV_MEMBERSHIP_LEFT) {
        core_tick();
        if (core_count(CV_OUTPUT_RUN_CHECK) > 0)
            answer(run_of_step(), COVEY_CHECK_HEALTHY);
    }
    assert_int_equal(cv_membership_deadline(core.m), COVEY_NEVER);
}

/* The bound on checks is no lack of memory. */
static void there_are_32_checks_at_most(void **state)
{
    (void)state;
    for (int i = 0; i < COVEY_CHECKS_MAX; i++) {
        const char name[] = {(char)('a' + i / 8), (char)('a' + i % 8), '\0'};
        assert_int_equal(add_check(name, SEC, SEC), COVEY_OK);
    }
    assert_int_equal(add_check("more", SEC, SEC), COVEY_ERR_LIMIT);
}

static void without_memory_there_is_no_check(void **state)
{
    (void)state;
    core_run(SEC);
    for (size_t n = 1; n < 20; n++) {
        core.t.fail_at = core.t.calls + n;
        int error = add_check("disk", SEC, SEC);
        core.t.fail_at = 0;
        if (error == COVEY_OK)
            return;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
    }
    fail_msg("it never works");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_check_that_gets_worse_is_told), CORE_TEST(a_check_that_hangs_holds_up_no_other),
        CORE_TEST(bad_checks_are_refused),          CORE_TEST(who_has_left_runs_no_checks),
        CORE_TEST(there_are_32_checks_at_most),     CORE_TEST(without_memory_there_is_no_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
