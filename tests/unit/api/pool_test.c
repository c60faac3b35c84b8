#include "api/pool.h"

#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct test_alloc t;
static struct cv_pool pool;

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&t);
    cv_pool_init(&pool, &t.alloc);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_pool_fini(&pool);
    test_alloc_assert_empty(&t);
    return 0;
}

static size_t kept(void)
{
    size_t count = 0;
    for (int i = 0; i < CV_POOL_CLASSES; i++)
        count += pool.classes[i].count;
    return count;
}

static void a_small_piece_is_kept_for_the_next(void **state)
{
    (void)state;
    for (size_t size = CV_POOL_BLOCK_SIZE_MIN; size <= CV_POOL_BLOCK_SIZE; size *= 2) {
        size_t calls = t.calls, before = kept();
        void *first = cv_pool_take(&pool, size / 2 + 1);
        assert_non_null(first);
        cv_pool_give(&pool, first, size / 2 + 1);
        assert_int_equal(kept(), before + 1);
        assert_int_equal(t.calls, calls + 1);
        /* it has room for the largest of its kind */
        void *again = cv_pool_take(&pool, size);
        assert_ptr_equal(again, first);
        memset(again, 0xff, size);
        assert_int_equal(kept(), before);
        assert_int_equal(t.calls, calls + 1);
        cv_pool_give(&pool, again, size);
        /* and is not wasted on what needs less than half */
        if (size == CV_POOL_BLOCK_SIZE_MIN)
            continue;
        void *other = cv_pool_take(&pool, size / 2);
        assert_ptr_not_equal(other, first);
        cv_pool_give(&pool, other, size / 2);
    }
}

static void an_empty_piece_is_one(void **state)
{
    (void)state;
    void *piece = cv_pool_take(&pool, 0);
    assert_non_null(piece);
    cv_pool_give(&pool, piece, 0);
    assert_int_equal(kept(), 1);
}

/* Another thread is at the kept pieces: the allocator serves, and gets back. */
static void nobody_waits_for_another(void **state)
{
    (void)state;
    cv_pool_give(&pool, cv_pool_take(&pool, 10), 10);
    size_t calls = t.calls;
    assert_false(atomic_flag_test_and_set(&pool.is_taken));
    void *piece = cv_pool_take(&pool, 10);
    assert_non_null(piece);
    assert_int_equal(t.calls, calls + 1);
    cv_pool_give(&pool, piece, 10);
    assert_int_equal(t.outstanding, 1);
    assert_int_equal(kept(), 1);
    atomic_flag_clear(&pool.is_taken);
    cv_pool_give(&pool, cv_pool_take(&pool, 10), 10);
    assert_int_equal(t.calls, calls + 1);
}

static void nothing_may_be_given(void **state)
{
    (void)state;
    cv_pool_give(&pool, NULL, 0);
    cv_pool_give(&pool, NULL, CV_POOL_BLOCK_SIZE + 1);
    assert_int_equal(kept(), 0);
}

static void what_is_kept_has_a_bound(void **state)
{
    (void)state;
    static void *pieces[CV_POOL_BLOCKS_MAX + 2];
    for (size_t i = 0; i < CV_POOL_BLOCKS_MAX + 2; i++)
        assert_non_null(pieces[i] = cv_pool_take(&pool, 10));
    for (size_t i = 0; i < CV_POOL_BLOCKS_MAX + 2; i++)
        cv_pool_give(&pool, pieces[i], 10);
    assert_int_equal(kept(), CV_POOL_BLOCKS_MAX);
    assert_int_equal(t.outstanding, CV_POOL_BLOCKS_MAX);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    t.fail_at = 1;
    assert_null(cv_pool_take(&pool, 1));
    t.fail_at = t.calls + 1;
    assert_null(cv_pool_take(&pool, CV_POOL_BLOCK_SIZE + 1));
    assert_int_equal(kept(), 0);
}

static void large_ones_are_kept_too(void **state)
{
    (void)state;
    void *first = cv_pool_take(&pool, 100000);
    assert_non_null(first);
    memset(first, 1, 100000);
    cv_pool_give(&pool, first, 100000);
    assert_int_equal(kept(), 0); /* not among the small ones */
    size_t calls = t.calls;
    void *again = cv_allocate(&pool.buffers, 100000);
    assert_ptr_equal(again, first);
    again = cv_reallocate(&pool.buffers, again, 1, 90000);
    assert_non_null(again);
    assert_int_equal(t.calls, calls + 1);
    cv_release(&pool.buffers, again);
    cv_release(&pool.buffers, NULL);
}

static void a_share_keeps_what_it_is_given(void **state)
{
    (void)state;
    struct cv_pool_share share;
    cv_pool_share_init(&share, &pool);
    for (size_t size = 1; size <= CV_POOL_BLOCK_SIZE + 1; size += CV_POOL_BLOCK_SIZE / 2) {
        void *first = cv_pool_share_take(&share, size);
        assert_non_null(first);
        memset(first, 0xff, size);
        cv_pool_share_give(&share, first, size);
        bool is_small = size <= CV_POOL_BLOCK_SIZE;
        size_t calls = t.calls;
        void *again = cv_pool_share_take(&share, size);
        if (is_small) {
            assert_ptr_equal(again, first);
            assert_int_equal(t.calls, calls);
            assert_int_equal(kept(), 0); /* by the pool itself */
        }
        cv_pool_share_give(&share, again, size);
    }
    cv_pool_share_give(&share, NULL, 1);
    cv_pool_share_fini(&share);
}

static void a_share_has_a_bound(void **state)
{
    (void)state;
    static void *pieces[CV_POOL_BLOCKS_MAX + 3];
    const size_t count = sizeof pieces / sizeof *pieces;
    struct cv_pool_share share;
    cv_pool_share_init(&share, &pool);
    for (size_t i = 0; i < count; i++) {
        pieces[i] = cv_pool_share_take(&share, 200);
        assert_non_null(pieces[i]);
    }
    for (size_t i = 0; i < count; i++)
        cv_pool_share_give(&share, pieces[i], 200);
    assert_int_equal(share.classes[1].count, CV_POOL_BLOCKS_MAX);
    assert_int_equal(kept(), 3); /* the rest is the pool's */
    /* what the share does not have it gets from there */
    for (size_t i = 0; i < count; i++)
        assert_non_null(cv_pool_share_take(&share, 200));
    assert_int_equal(kept(), 0);
    for (size_t i = 0; i < count; i++)
        cv_pool_share_give(&share, pieces[i], 200);
    cv_pool_share_fini(&share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_share_keeps_what_it_is_given, setup, teardown),
        cmocka_unit_test_setup_teardown(a_share_has_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_piece_is_kept_for_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_piece_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_waits_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_may_be_given, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_has_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(large_ones_are_kept_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
