#include "base/deadlines.h"

#include "base/rand.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT 50
#define STEPS 20000
#define SEED  UINT64_C(1966)

struct rig {
    struct test_alloc alloc;
    struct cv_deadlines deadlines;
};

static int setup(void **state)
{
    static struct rig r;
    test_alloc_init(&r.alloc);
    cv_deadlines_init(&r.deadlines, &r.alloc.alloc);
    assert_int_equal(cv_deadlines_reserve(&r.deadlines, COUNT), 0);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    cv_deadlines_fini(&r->deadlines);
    test_alloc_assert_empty(&r->alloc);
    return 0;
}

static void none_is_never_due(void **state)
{
    struct rig *r = *state;
    struct cv_deadline t = {0};
    assert_true(cv_deadlines_next(&r->deadlines) == COVEY_NEVER);
    assert_null(cv_deadlines_expire(&r->deadlines, COVEY_NEVER));
    cv_deadlines_clear(&r->deadlines, &t);
    cv_deadlines_set(&r->deadlines, &t, COVEY_NEVER, 0);
    assert_false(cv_deadline_is_set(&t));
}

static void one_close_by_is_due_at_its_deadline(void **state)
{
    struct rig *r = *state;
    struct cv_deadline t = {0};
    cv_deadlines_set(&r->deadlines, &t, 1000 + CV_DEADLINES_FAR, 1000);
    assert_true(cv_deadline_is_set(&t));
    assert_int_equal(cv_deadlines_next(&r->deadlines), 1000 + CV_DEADLINES_FAR);
    assert_null(cv_deadlines_expire(&r->deadlines, 999 + CV_DEADLINES_FAR));
    assert_ptr_equal(cv_deadlines_expire(&r->deadlines, 1000 + CV_DEADLINES_FAR), &t);
    assert_false(cv_deadline_is_set(&t));
}

static void one_far_away_is_looked_at_once_in_between(void **state)
{
    struct rig *r = *state;
    struct cv_deadline t = {0};
    cv_deadlines_set(&r->deadlines, &t, 30 * COVEY_SECOND, 0);
    assert_true(cv_deadline_is_set(&t));
    assert_int_equal(cv_deadlines_next(&r->deadlines), CV_DEADLINES_FAR);
    assert_null(cv_deadlines_expire(&r->deadlines, CV_DEADLINES_FAR));
    assert_true(cv_deadline_is_set(&t));
    assert_int_equal(cv_deadlines_next(&r->deadlines), 30 * COVEY_SECOND);
    assert_ptr_equal(cv_deadlines_expire(&r->deadlines, 30 * COVEY_SECOND), &t);
    assert_true(cv_deadlines_next(&r->deadlines) == COVEY_NEVER);
}

static void one_is_cleared_and_moved_wherever_it_waits(void **state)
{
    struct rig *r = *state;
    struct cv_deadline t = {0};
    cv_deadlines_set(&r->deadlines, &t, 30 * COVEY_SECOND, 0);
    cv_deadlines_set(&r->deadlines, &t, 5, 0);
    assert_int_equal(cv_deadlines_next(&r->deadlines), 5);
    cv_deadlines_set(&r->deadlines, &t, 40 * COVEY_SECOND, 0);
    assert_int_equal(cv_deadlines_next(&r->deadlines), CV_DEADLINES_FAR);
    cv_deadlines_clear(&r->deadlines, &t);
    assert_false(cv_deadline_is_set(&t));
    assert_true(cv_deadlines_next(&r->deadlines) == COVEY_NEVER);
}

/* A late look at the clock changes no order: who was set first comes first. */
static void equal_deadlines_come_in_the_order_of_setting(void **state)
{
    struct rig *r = *state;
    struct cv_deadline far = {0}, near = {0};
    covey_time deadline = 5 * COVEY_SECOND;
    cv_deadlines_set(&r->deadlines, &far, deadline, 0);
    cv_deadlines_set(&r->deadlines, &near, deadline, deadline - 1);
    assert_ptr_equal(cv_deadlines_expire(&r->deadlines, deadline), &far);
    assert_ptr_equal(cv_deadlines_expire(&r->deadlines, deadline), &near);
}

struct pair {
    struct cv_deadline tested;
    struct cv_timer plain;
};

static void expire_both(struct rig *r, struct cv_heap *plain, covey_time now)
{
    struct cv_timer *t;
    while ((t = cv_heap_expire(plain, now)) != NULL) {
        const struct pair *expected =
            (struct pair *)(void *)((char *)t - offsetof(struct pair, plain));
        assert_ptr_equal(cv_deadlines_expire(&r->deadlines, now), &expected->tested);
    }
    assert_null(cv_deadlines_expire(&r->deadlines, now));
}

/* Nothing may depend on where a timer waits: the same order as from a heap alone, and no deadline
 * after the announced one. */
static void they_fire_as_from_a_heap(void **state)
{
    struct rig *r = *state;
    struct cv_heap plain;
    struct cv_rand random;
    static struct pair pairs[COUNT];
    covey_time now = 0;
    cv_heap_init(&plain, &r->alloc.alloc);
    assert_int_equal(cv_heap_reserve(&plain, COUNT), 0);
    cv_rand_seed(&random, SEED);
    for (int i = 0; i < STEPS; i++) {
        struct pair *p = &pairs[cv_rand_below(&random, COUNT)];
        now += cv_rand_below(&random, COVEY_SECOND / 4);
        if (cv_rand_below(&random, 4) == 0) {
            cv_deadlines_clear(&r->deadlines, &p->tested);
            cv_heap_clear(&plain, &p->plain);
        } else {
            /* Coarse, so that many are equal. */
            covey_time deadline =
                now / COVEY_SECOND * COVEY_SECOND + cv_rand_below(&random, 5) * COVEY_SECOND;
            cv_deadlines_set(&r->deadlines, &p->tested, deadline, now);
            cv_heap_set(&plain, &p->plain, deadline);
        }
        assert_int_equal(cv_deadline_is_set(&p->tested), cv_timer_is_set(&p->plain));
        assert_true(cv_deadlines_next(&r->deadlines) <= cv_heap_deadline(&plain));
        if (cv_rand_below(&random, 3) == 0)
            expire_both(r, &plain, now);
    }
    expire_both(r, &plain, COVEY_NEVER - 1);
    cv_heap_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(none_is_never_due, setup, teardown),
        cmocka_unit_test_setup_teardown(one_close_by_is_due_at_its_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(one_far_away_is_looked_at_once_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(one_is_cleared_and_moved_wherever_it_waits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(equal_deadlines_come_in_the_order_of_setting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(they_fire_as_from_a_heap, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
