#include "unit/cluster/core_fixture.h"

static int joining(void **state)
{
    (void)state;
    core_start_joining(1);
    return 0;
}

static uint32_t resolve_number(void)
{
    const struct cv_output *output = core_find(CV_OUTPUT_RESOLVE, 0);
    assert_non_null(output);
    return output->resolve.resolve;
}

static uint32_t dial_number(uint32_t expected_address)
{
    const struct cv_output *output = core_find(CV_OUTPUT_DIAL, 0);
    struct cv_address address = address_of(expected_address);
    assert_non_null(output);
    assert_true(cv_address_equal(&output->dial.address, &address));
    assert_false(output->dial.has_expected);
    return output->dial.dial;
}

static void a_name_is_resolved_and_dialled(void **state)
{
    (void)state;
    struct cv_address addresses[] = {address_of(7)};
    assert_string_equal(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.name, "s1:4433");
    assert_int_equal(core_resolved(resolve_number(), 0, addresses, 1), COVEY_OK);
    uint32_t dial = dial_number(7);
    assert_int_equal(core_connected(7, dial), COVEY_OK);
    bool reliable = false;
    assert_non_null(core_sent(7, CV_MESSAGE_JOIN, &reliable));
    assert_true(reliable);
    assert_non_null(core_update(core_sent(7, CV_MESSAGE_JOIN, NULL), 0));
}

static void its_addresses_are_tried_in_turn(void **state)
{
    (void)state;
    struct cv_address addresses[] = {address_of(7), address_of(8)};
    core_resolved(resolve_number(), 0, addresses, 2);
    uint32_t dial = dial_number(7);
    core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    dial = dial_number(8);
    core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    assert_null(core_find(CV_OUTPUT_DIAL, 0));
    /* The next attempt asks for the name again. */
    core_tick();
    assert_non_null(core_find(CV_OUTPUT_RESOLVE, 0));
}

static void our_own_address_is_skipped(void **state)
{
    (void)state;
    struct cv_address addresses[] = {{.ip = {10, 1, 0, 0}, .port = 4433, .family = 4},
                                     address_of(8)};
    core_resolved(resolve_number(), 0, addresses, 2);
    dial_number(8);
}

static void a_seed_that_is_only_us_ends_joining(void **state)
{
    (void)state;
    struct cv_address own = {.ip = {10, 1, 0, 0}, .port = 4433, .family = 4};
    core_resolved(resolve_number(), 0, &own, 1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
}

/* Behind another address: the dial shows who it is, in one way or the other. */
static void a_dial_that_reaches_us_ends_joining(void **state)
{
    (void)state;
    struct cv_address address = address_of(7);
    core_resolved(resolve_number(), 0, &address, 1);
    uint32_t dial = dial_number(7);
    core_connected(0, dial);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    cv_membership_free(core.m);
    joining(NULL);
    core_resolved(resolve_number(), 0, &address, 1);
    core_dial_failed(dial_number(7), COVEY_ERR_WRONG_IDENTITY);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
}

static void old_answers_are_ignored(void **state)
{
    (void)state;
    struct cv_address address = address_of(7);
    uint32_t resolve = resolve_number();
    assert_int_equal(core_resolved(resolve + 1, 0, &address, 1), COVEY_OK);
    assert_int_equal(core.count, 0);
    core_resolved(resolve, COVEY_ERR_RESOLVE, NULL, 0);
    assert_int_equal(core.count, 0);
    core_resolved(resolve, 0, &address, 1);
    assert_int_equal(core.count, 0);
}

#define SEEDS_TEST(test) cmocka_unit_test_setup_teardown(test, joining, core_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEEDS_TEST(a_name_is_resolved_and_dialled),
        SEEDS_TEST(its_addresses_are_tried_in_turn),
        SEEDS_TEST(our_own_address_is_skipped),
        SEEDS_TEST(a_seed_that_is_only_us_ends_joining),
        SEEDS_TEST(a_dial_that_reaches_us_ends_joining),
        SEEDS_TEST(old_answers_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
