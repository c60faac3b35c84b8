#include "fixture.h"

#include "base/rand.h"
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

/* Set again and again while it waits, as a node's deadline is: it happens once, and when it was last set to;
 * among those of one time in the order in which they were set, those from far ahead last. */
static void an_event_happens_when_it_was_last_set_to(void **state)
{
    (void)state;
    struct sim_clock c;
    sim_clock_init(&c, 100);
    struct sim_event *e = at(&c, 30 * MS, 1);
    at(&c, 20 * S, 9);
    at(&c, 30 * MS, 2);
    sim_clock_set(&c, e, 50 * MS);
    sim_clock_set(&c, e, 10 * MS);
    sim_clock_set(&c, e, 30 * MS); /* the same time, but after 2 now */
    at(&c, 1 * MS, 0);
    assert_next(&c, 1 * MS, 0);
    assert_next(&c, 30 * MS, 2);
    assert_next(&c, 30 * MS, 1);
    c.now = 16 * S;
    at(&c, 20 * S, 8);
    assert_next(&c, 20 * S, 8);
    assert_next(&c, 20 * S, 9);
    assert_null(sim_clock_next(&c, COVEY_NEVER));
    sim_clock_fini(&c);
}

/* Like a list that is searched for the first each time: set, moved, cleared, some of them before what
 * is known to come next. */
static void random_events_come_in_order(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    static struct sim_event *events[COUNT];
    covey_time times[COUNT];
    uint64_t orders[COUNT], order = 0;
    struct cv_rand rand;
    struct sim_clock c;
    sim_clock_init(&c, COUNT);
    cv_rand_seed(&rand, 5);
    for (uint32_t i = 0; i < COUNT; i++) {
        events[i] = sim_clock_new(&c, SIM_MESSAGE, 0);
        events[i]->number = i;
        times[i] = COVEY_NEVER;
    }
    for (int n = 0; n < 30000; n++) {
        static const covey_time spans[] = {3, 10 * MS, S, 5 * S, 12 * S};
        size_t i = (size_t)cv_rand_below(&rand, COUNT);
        covey_time time = c.now + cv_rand_below(&rand, spans[cv_rand_below(&rand, 5)]) / MS * MS;
        if (cv_rand_below(&rand, 8) == 0) {
            sim_clock_clear(events[i]);
            times[i] = COVEY_NEVER;
        } else {
            sim_clock_set(&c, events[i], time);
            times[i] = time;
            orders[i] = ++order + (time > c.now + 5 * S ? UINT64_C(1) << 63 : 0);
        }
        if (cv_rand_below(&rand, 2) == 0)
            continue;
        size_t first = 0;
        for (size_t k = 1; k < COUNT; k++) {
            if (times[k] < times[first] ||
                (times[k] == times[first] && times[k] != COVEY_NEVER && orders[k] < orders[first]))
                first = k;
        }
        struct sim_event *e = sim_clock_next(&c, COVEY_NEVER);
        assert_int_equal(e == NULL, times[first] == COVEY_NEVER);
        if (e == NULL)
            continue;
        assert_int_equal(e->number, first);
        assert_true(c.now == times[first]);
        times[first] = COVEY_NEVER;
    }
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

/* What is known ahead keeps its number while those before it are taken, void ones among them. */
static void entries_ahead_are_numbered(void **state)
{
    (void)state;
    struct sim_clock c;
    sim_clock_init(&c, 10);
    struct sim_event *moved = NULL;
    for (uint32_t i = 0; i < 5; i++) {
        struct sim_event *e = at(&c, (i + 1) * MS, i);
        moved = i == 1 ? e : moved;
    }
    assert_next(&c, 1 * MS, 0);
    const uint64_t taken = sim_clock_taken(&c);
    const struct sim_entry *third = sim_clock_ahead(&c, 1);
    assert_non_null(third);
    assert_int_equal(third->event->number, 2);
    sim_clock_set(&c, moved, S); /* its entry is void, and is taken with the next */
    assert_next(&c, 3 * MS, 2);
    assert_int_equal(sim_clock_taken(&c), taken + 2);
    assert_int_equal(sim_clock_ahead(&c, 0)->event->number, 3);
    assert_next(&c, 4 * MS, 3);
    assert_int_equal(sim_clock_taken(&c), taken + 3);
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
        cmocka_unit_test(an_event_happens_when_it_was_last_set_to),
        cmocka_unit_test(random_events_come_in_order),
        cmocka_unit_test(what_is_set_to_the_past_comes_now),
        cmocka_unit_test(entries_ahead_are_numbered),
        cmocka_unit_test(there_are_so_many_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
