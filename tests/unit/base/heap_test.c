#include "base/heap.h"

#include "base/rand.h"
#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TIMER_COUNT 100
#define SEED        UINT64_C(1987)

static void init(struct test_alloc *t, struct cv_heap *h, size_t count)
{
    test_alloc_init(t);
    cv_heap_init(h, &t->alloc);
    assert_int_equal(cv_heap_reserve(h, count), 0);
}

static void fini(const struct test_alloc *t, struct cv_heap *h)
{
    cv_heap_fini(h);
    test_alloc_assert_empty(t);
}

static void empty_heap_never_expires(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer timer = {0};
    init(&t, &h, 0);
    assert_int_equal(t.calls, 0);
    assert_true(cv_heap_deadline(&h) == COVEY_NEVER);
    assert_null(cv_heap_expire(&h, COVEY_NEVER));
    assert_false(cv_timer_is_set(&timer));
    cv_heap_clear(&h, &timer);
    cv_heap_set(&h, &timer, COVEY_NEVER);
    assert_false(cv_timer_is_set(&timer));
    fini(&t, &h);
}

static void timers_expire_at_their_deadline(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer zero = {0}, ten = {0}, last = {0};
    init(&t, &h, 3);
    cv_heap_set(&h, &last, COVEY_NEVER - 1);
    cv_heap_set(&h, &ten, 10);
    cv_heap_set(&h, &zero, 0);
    assert_true(cv_heap_deadline(&h) == 0);
    assert_ptr_equal(cv_heap_expire(&h, 0), &zero);
    assert_false(cv_timer_is_set(&zero));
    assert_true(cv_heap_deadline(&h) == 10);
    assert_null(cv_heap_expire(&h, 9));
    assert_true(cv_timer_is_set(&ten));
    assert_ptr_equal(cv_heap_expire(&h, 10), &ten);
    assert_null(cv_heap_expire(&h, COVEY_NEVER - 2));
    assert_ptr_equal(cv_heap_expire(&h, COVEY_NEVER), &last);
    assert_true(cv_heap_deadline(&h) == COVEY_NEVER);
    fini(&t, &h);
}

static void equal_deadlines_keep_the_order_of_setting(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer timers[TIMER_COUNT] = {0};
    init(&t, &h, TIMER_COUNT);
    for (size_t i = 0; i < TIMER_COUNT; i++)
        cv_heap_set(&h, &timers[i], 5);
    /* Set again, it is the last. */
    cv_heap_set(&h, &timers[3], 5);
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        if (i != 3)
            assert_ptr_equal(cv_heap_expire(&h, 5), &timers[i]);
    }
    assert_ptr_equal(cv_heap_expire(&h, 5), &timers[3]);
    fini(&t, &h);
}

static void setting_again_moves(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer a = {0}, b = {0};
    init(&t, &h, 2);
    cv_heap_set(&h, &a, 1);
    cv_heap_set(&h, &b, 2);
    cv_heap_set(&h, &a, 3);
    assert_true(cv_heap_deadline(&h) == 2);
    cv_heap_set(&h, &a, 0);
    assert_true(cv_heap_deadline(&h) == 0);
    cv_heap_set(&h, &a, COVEY_NEVER);
    assert_false(cv_timer_is_set(&a));
    assert_true(cv_heap_deadline(&h) == 2);
    cv_heap_clear(&h, &b);
    cv_heap_clear(&h, &b);
    assert_int_equal(h.count, 0);
    fini(&t, &h);
}

static void reserve_keeps_what_is_set(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer timers[TIMER_COUNT] = {0};
    init(&t, &h, 0);
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        t.fail_at = t.calls + 1;
        int error = cv_heap_reserve(&h, i + 1);
        if (error != 0) {
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            assert_int_equal(h.count, i);
            t.fail_at = 0;
            assert_int_equal(cv_heap_reserve(&h, i + 1), 0);
        }
        cv_heap_set(&h, &timers[i], TIMER_COUNT - i);
    }
    assert_in_range(t.calls, 2, 10);
    assert_int_equal(cv_heap_reserve(&h, SIZE_MAX), COVEY_ERR_NO_MEMORY);
    for (size_t i = TIMER_COUNT; i-- > 0;)
        assert_ptr_equal(cv_heap_expire(&h, TIMER_COUNT), &timers[i]);
    fini(&t, &h);
}

static void room_of_a_cleared_timer_is_free_again(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer timers[2] = {0};
    init(&t, &h, 1);
    size_t calls = t.calls;
    for (covey_time now = 0; now < 1000; now++) {
        cv_heap_set(&h, &timers[now % 2], now);
        assert_ptr_equal(cv_heap_expire(&h, now), &timers[now % 2]);
    }
    assert_int_equal(t.calls, calls);
    fini(&t, &h);
}

/* What the heap should do, by looking at every timer. */
struct model {
    covey_time deadline[TIMER_COUNT];
    uint64_t order[TIMER_COUNT];
    uint64_t next_order;
};

static void model_init(struct model *m)
{
    *m = (struct model){0};
    for (size_t i = 0; i < TIMER_COUNT; i++)
        m->deadline[i] = COVEY_NEVER;
}

static void model_set(struct model *m, size_t i, covey_time deadline)
{
    m->deadline[i] = deadline;
    m->order[i] = m->next_order++;
}

static size_t model_first(const struct model *m)
{
    size_t first = 0;
    for (size_t i = 1; i < TIMER_COUNT; i++) {
        bool earlier = m->deadline[i] < m->deadline[first];
        bool tie = m->deadline[i] == m->deadline[first] && m->order[i] < m->order[first];
        if (earlier || tie)
            first = i;
    }
    return first;
}

static void assert_heap_matches(const struct cv_heap *h, const struct cv_timer *timers,
                                const struct model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        bool is_set = m->deadline[i] != COVEY_NEVER;
        assert_int_equal(cv_timer_is_set(&timers[i]), is_set);
        if (is_set) {
            count++;
            assert_true(timers[i].deadline == m->deadline[i]);
            assert_ptr_equal(h->entries[timers[i].index - 1].timer, &timers[i]);
        }
    }
    assert_int_equal(h->count, count);
    assert_true(cv_heap_deadline(h) == m->deadline[model_first(m)]);
}

static void assert_expires_like(struct cv_heap *h, const struct cv_timer *timers, struct model *m,
                                covey_time now)
{
    size_t first = model_first(m);
    if (m->deadline[first] <= now) {
        assert_ptr_equal(cv_heap_expire(h, now), &timers[first]);
        m->deadline[first] = COVEY_NEVER;
    } else {
        assert_null(cv_heap_expire(h, now));
    }
}

static void random_operations_match_a_model(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_heap h;
    struct cv_timer timers[TIMER_COUNT] = {0};
    struct model m;
    struct cv_rand r;
    init(&t, &h, TIMER_COUNT);
    model_init(&m);
    cv_rand_seed(&r, SEED);
    print_message("seed %llu\n", (unsigned long long)SEED);
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)cv_rand_below(&r, TIMER_COUNT);
        uint64_t operation = cv_rand_below(&r, 10);
        covey_time time = cv_rand_below(&r, 60);
        if (operation < 5) {
            cv_heap_set(&h, &timers[i], time);
            model_set(&m, i, time);
        } else if (operation < 7) {
            cv_heap_clear(&h, &timers[i]);
            m.deadline[i] = COVEY_NEVER;
        } else {
            assert_expires_like(&h, timers, &m, time);
        }
        assert_heap_matches(&h, timers, &m);
    }
    while (h.count > 0)
        assert_expires_like(&h, timers, &m, 60);
    fini(&t, &h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_heap_never_expires),
        cmocka_unit_test(timers_expire_at_their_deadline),
        cmocka_unit_test(equal_deadlines_keep_the_order_of_setting),
        cmocka_unit_test(setting_again_moves),
        cmocka_unit_test(reserve_keeps_what_is_set),
        cmocka_unit_test(room_of_a_cleared_timer_is_free_again),
        cmocka_unit_test(random_operations_match_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
