#include "base/ring.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void init(struct test_alloc *t, struct cv_ring *r, size_t count_max)
{
    test_alloc_init(t);
    cv_ring_init(r, &t->alloc, sizeof(int), count_max);
}

static void fini(const struct test_alloc *t, struct cv_ring *r)
{
    cv_ring_fini(r);
    test_alloc_assert_empty(t);
}

static bool push(struct cv_ring *r, int value)
{
    int *element = cv_ring_push(r);
    if (element == NULL)
        return false;
    assert_int_equal(*element, 0);
    *element = value;
    return true;
}

/* The ring holds the numbers from `first` up to, but without, `end`. */
static void assert_holds(const struct cv_ring *r, int first, int end)
{
    size_t count = (size_t)(end - first);
    assert_int_equal(r->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(*(int *)cv_ring_at(r, i), first + (int)i);
    assert_null(cv_ring_at(r, count));
    assert_null(cv_ring_at(r, SIZE_MAX));
    assert_ptr_equal(cv_ring_front(r), cv_ring_at(r, 0));
}

static void empty_ring_has_no_front(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_ring r;
    init(&t, &r, 4);
    assert_holds(&r, 0, 0);
    assert_int_equal(t.calls, 0);
    fini(&t, &r);
}

static void first_in_first_out_up_to_the_bound(void **state)
{
    (void)state;
    static const int bounds[] = {0, 1, 2, 7, 8, 9, 16, 17, 100};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct test_alloc t;
        struct cv_ring r;
        init(&t, &r, (size_t)bounds[i]);
        for (int n = 0; n < bounds[i]; n++) {
            assert_true(push(&r, n));
            assert_holds(&r, 0, n + 1);
        }
        assert_false(push(&r, 1000));
        assert_holds(&r, 0, bounds[i]);
        assert_true(r.capacity <= (size_t)bounds[i]);
        for (int n = 0; n < bounds[i]; n++) {
            assert_holds(&r, n, bounds[i]);
            cv_ring_pop(&r);
        }
        assert_holds(&r, 0, 0);
        fini(&t, &r);
    }
}

static void wraps_without_new_memory(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_ring r;
    init(&t, &r, 5);
    for (int n = 0; n < 4; n++)
        assert_true(push(&r, n));
    size_t calls = t.calls;
    for (int n = 4; n < 1000; n++) {
        assert_true(push(&r, n));
        assert_holds(&r, n - 4, n + 1);
        cv_ring_pop(&r);
    }
    assert_int_equal(t.calls, calls);
    fini(&t, &r);
}

/* The order survives growth from every position of the first element. */
static void grows_in_order_when_wrapped(void **state)
{
    (void)state;
    for (int shift = 0; shift < 8; shift++) {
        struct test_alloc t;
        struct cv_ring r;
        init(&t, &r, 100);
        for (int n = 0; n < 8; n++)
            assert_true(push(&r, n));
        for (int n = 0; n < shift; n++) {
            cv_ring_pop(&r);
            assert_true(push(&r, 8 + n));
        }
        assert_int_equal(r.capacity, 8);
        for (int n = 8 + shift; n < 100; n++)
            assert_true(push(&r, n));
        assert_holds(&r, shift, 100);
        fini(&t, &r);
    }
}

static void reserved_pushes_need_no_memory(void **state)
{
    (void)state;
    for (int before = 0; before < 20; before++) {
        for (int more = 0; more < 40; more++) {
            struct test_alloc t;
            struct cv_ring r;
            init(&t, &r, 60);
            for (int n = 0; n < before; n++)
                assert_true(push(&r, n));
            assert_int_equal(cv_ring_reserve(&r, (size_t)more), 0);
            t.fail_at = t.calls + 1;
            for (int n = 0; n < more; n++)
                assert_true(push(&r, before + n));
            assert_holds(&r, 0, before + more);
            fini(&t, &r);
        }
    }
}

static void reserve_knows_its_limits(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_ring r;
    init(&t, &r, 10);
    assert_true(push(&r, 0));
    assert_int_equal(cv_ring_reserve(&r, 10), COVEY_ERR_LIMIT);
    assert_int_equal(cv_ring_reserve(&r, SIZE_MAX), COVEY_ERR_LIMIT);
    assert_int_equal(cv_ring_reserve(&r, 9), 0);
    assert_holds(&r, 0, 1);
    fini(&t, &r);

    init(&t, &r, SIZE_MAX);
    assert_int_equal(cv_ring_reserve(&r, SIZE_MAX), COVEY_ERR_NO_MEMORY);
    assert_int_equal(t.calls, 0);
    fini(&t, &r);
}

static void lack_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_ring r;
    size_t failures = 0;
    init(&t, &r, 100);
    for (int n = 0; n < 100; n++) {
        t.fail_at = t.calls + 1;
        if (!push(&r, n)) {
            failures++;
            assert_holds(&r, 0, n);
            assert_int_equal(cv_ring_reserve(&r, 0), 0);
            t.fail_at = t.calls + 1;
            assert_int_equal(cv_ring_reserve(&r, 1), COVEY_ERR_NO_MEMORY);
            t.fail_at = 0;
            assert_true(push(&r, n));
        }
    }
    assert_int_equal(failures, 5); /* 8, 16, 32, 64, 100 */
    assert_holds(&r, 0, 100);
    fini(&t, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_ring_has_no_front),
        cmocka_unit_test(first_in_first_out_up_to_the_bound),
        cmocka_unit_test(wraps_without_new_memory),
        cmocka_unit_test(grows_in_order_when_wrapped),
        cmocka_unit_test(reserved_pushes_need_no_memory),
        cmocka_unit_test(reserve_knows_its_limits),
        cmocka_unit_test(lack_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
