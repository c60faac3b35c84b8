#include "fixture.h"

#include "clock.h"

/* Events come out in the order of their times, near and far ones alike, and are bounded. */

static struct sim_event *at(struct sim_clock *c, covey_time time, uint32_t number)
{
    struct sim_event *e = sim_clock_new(c, SIM_MESSAGE, 0);
    assert_non_null(e);
    e->number = number;
    sim_clock_set(c, e, time);
    return e;
}

static void assert_next(struct sim_clock *c, covey_time time, uint32_t number)
{
    struct sim_event *e = sim_clock_next(c, COVEY_NEVER - 1);
    assert_non_null(e);
    assert_int_equal(e->number, number);
    assert_int_equal(c->now, time);
    sim_clock_free(c, e);
}

static void events_come_in_order(void **state)
{
    (void)state;
    struct sim_clock c;
    sim_clock_init(&c, 10);
    at(&c, 100 * S, 4);
    at(&c, 2 * S, 2);
    at(&c, 2 * S, 3);
    at(&c, 1 * S, 1);
    for (uint32_t i = 1; i <= 3; i++)
        assert_next(&c, i == 1 ? 1 * S : 2 * S, i);
    assert_null(sim_clock_next(&c, 99 * S));
    assert_next(&c, 100 * S, 4);
    assert_null(sim_clock_next(&c, COVEY_NEVER));
    assert_int_equal(c.event_count, 0);
    sim_clock_fini(&c);
}

/* From far to near and back. */
static void an_event_may_be_moved_and_cleared(void **state)
{
    (void)state;
    struct sim_clock c;
    sim_clock_init(&c, 10);
    struct sim_event *e = at(&c, 100 * S, 1);
    at(&c, 3 * S, 2);
    sim_clock_set(&c, e, 1 * S);
    assert_next(&c, 1 * S, 1);
    e = at(&c, 2 * S, 3);
    sim_clock_set(&c, e, 50 * S);
    assert_next(&c, 3 * S, 2);
    sim_clock_clear(e);
    assert_null(sim_clock_next(&c, COVEY_NEVER));
    sim_clock_free(&c, e);
    sim_clock_fini(&c);
}

static void what_is_set_to_the_past_comes_now(void **state)
{
    (void)state;
    struct sim_clock c;
    sim_clock_init(&c, 10);
    at(&c, 2 * S, 1);
    assert_next(&c, 2 * S, 1);
    at(&c, 1 * S, 2);
    assert_next(&c, 2 * S, 2);
    sim_clock_fini(&c);
}

static void there_are_so_many_at_most(void **state)
{
    (void)state;
    struct sim_clock c;
    struct sim_event *last = NULL;
    sim_clock_init(&c, 300);
    for (uint32_t i = 0; i < 300; i++)
        last = at(&c, i, i);
    assert_null(sim_clock_new(&c, SIM_MESSAGE, 0));
    sim_clock_clear(last);
    sim_clock_free(&c, last);
    assert_non_null(at(&c, 0, 0));
    sim_clock_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order),
        cmocka_unit_test(an_event_may_be_moved_and_cleared),
        cmocka_unit_test(what_is_set_to_the_past_comes_now),
        cmocka_unit_test(there_are_so_many_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
