#define _POSIX_C_SOURCE 200809L
#include "support/test_alloc.h"

#include "api/pick_counts.h"

#include <covey/error.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint32_t least(struct cv_pick_counts *c)
{
    uint32_t slot = UINT32_MAX;
    assert_true(cv_pick_counts_find_least(c, &slot));
    return slot;
}

static void counts_go_up_and_down(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_pick_counts c;
    test_alloc_init(&t);
    assert_int_equal(cv_pick_counts_init(&c, &t.alloc, 3, false), 0);
    assert_true(cv_pick_counts_is_free(&c, 2));
    cv_pick_counts_give(&c, 2); /* nothing is open */
    assert_true(cv_pick_counts_is_free(&c, 2));
    cv_pick_counts_add(&c, 2);
    cv_pick_counts_add(&c, 2);
    cv_pick_counts_set_away(&c, 2, false);
    assert_int_equal(cv_pick_counts_at(&c, 2), 2);
    assert_int_equal(cv_pick_counts_sum(&c), 2);
    cv_pick_counts_give(&c, 2);
    cv_pick_counts_set_away(&c, 2, true);
    assert_int_equal(cv_pick_counts_at(&c, 2), 1);
    assert_false(cv_pick_counts_is_free(&c, 2));
    cv_pick_counts_give(&c, 2);
    assert_true(cv_pick_counts_is_free(&c, 2));
    cv_pick_counts_fini(&c);
    cv_pick_counts_fini(&c);
    test_alloc_assert_empty(&t);
}

/* Slots at the edges of groups; those that are away are never the one. */
static void the_fewest_are_found_one_after_the_other(void **state)
{
    (void)state;
    static const uint32_t here[] = {0, 15, 16, 31, 32, 39};
    struct test_alloc t;
    struct cv_pick_counts c;
    uint32_t slot;
    test_alloc_init(&t);
    assert_int_equal(cv_pick_counts_init(&c, &t.alloc, 40, true), 0);
    assert_false(cv_pick_counts_find_least(&c, &slot));
    for (size_t i = 0; i < 6; i++)
        cv_pick_counts_set_away(&c, here[i], false);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(least(&c), here[i % 6]);
    for (size_t i = 0; i < 6; i++) {
        slot = least(&c);
        assert_int_equal(slot, here[i]);
        cv_pick_counts_add(&c, slot);
    }
    cv_pick_counts_add(&c, 0);
    cv_pick_counts_give(&c, 31);
    for (int i = 0; i < 3; i++)
        assert_int_equal(least(&c), 31);
    cv_pick_counts_set_away(&c, 31, true);
    assert_int_equal(least(&c), 32);
    cv_pick_counts_give(&c, 0);
    cv_pick_counts_give(&c, 0);
    for (int i = 0; i < 3; i++) /* once round, to the beginning of the group where it began */
        assert_int_equal(least(&c), 0);
    for (size_t i = 0; i < 6; i++)
        cv_pick_counts_set_away(&c, here[i], true);
    assert_false(cv_pick_counts_find_least(&c, &slot));
    cv_pick_counts_fini(&c);
    test_alloc_assert_empty(&t);
}

static void without_memory_nothing_is_there(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_pick_counts c;
    test_alloc_init(&t);
    for (size_t n = 1; n <= 2; n++) {
        t.fail_at = t.calls + n;
        assert_int_equal(cv_pick_counts_init(&c, &t.alloc, 3, true), COVEY_ERR_NO_MEMORY);
        test_alloc_assert_empty(&t);
    }
}

#define THREADS 8
#define SLOTS   20
#define ROUNDS  20000

static void *churn(void *user)
{
    struct cv_pick_counts *c = user;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t slot;
        if (!cv_pick_counts_find_least(c, &slot))
            slot = i % SLOTS;
        cv_pick_counts_add(c, slot);
        cv_pick_counts_add(c, i % SLOTS);
        cv_pick_counts_give(c, slot);
        cv_pick_counts_give(c, i % SLOTS);
    }
    return NULL;
}

/* Whatever threads did at the same time: afterwards the smallest counts are the right ones. */
static void nothing_is_lost_among_threads(void **state)
{
    (void)state;
    static struct cv_pick_counts c;
    struct test_alloc t;
    pthread_t threads[THREADS];
    test_alloc_init(&t);
    assert_int_equal(cv_pick_counts_init(&c, &t.alloc, SLOTS, true), 0);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cv_pick_counts_set_away(&c, slot, false);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &c), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(cv_pick_counts_sum(&c), 0);
    for (uint32_t i = 0; i < SLOTS; i++) { /* each is found once, then there is none without */
        const uint32_t slot = least(&c);
        assert_int_equal(cv_pick_counts_at(&c, slot), 0);
        cv_pick_counts_add(&c, slot);
    }
    assert_int_equal(cv_pick_counts_at(&c, least(&c)), 1);
    cv_pick_counts_fini(&c);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_go_up_and_down),
        cmocka_unit_test(the_fewest_are_found_one_after_the_other),
        cmocka_unit_test(without_memory_nothing_is_there),
        cmocka_unit_test(nothing_is_lost_among_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
