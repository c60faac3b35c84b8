#include "base/recycler.h"

#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static void init(struct test_alloc *t, struct cv_recycler *r, size_t kept_max)
{
    test_alloc_init(t);
    cv_recycler_init(r, &t->alloc, kept_max);
}

static void fini(const struct test_alloc *t, struct cv_recycler *r)
{
    cv_recycler_fini(r);
    assert_int_equal(r->kept, 0);
    test_alloc_assert_empty(t);
}

/* A block of `size` bytes that can be written to its end. */
static void *take(struct cv_recycler *r, size_t size)
{
    void *memory = cv_allocate(&r->alloc, size);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 16, 0);
    memset(memory, 0x5a, size);
    return memory;
}

static void a_released_block_is_the_next_one(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, MIB);
    void *first = take(&r, 100000);
    cv_release(&r.alloc, first);
    assert_true(r.kept >= 100000);
    assert_ptr_equal(take(&r, 99000), first);
    assert_int_equal(r.kept, 0);
    assert_int_equal(t.calls, 1);
    cv_release(&r.alloc, first);
    fini(&t, &r);
}

/* Each size, at both ends of its class: the room is there, and at most a quarter more is taken. */
static void every_size_has_its_room(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, 64 * MIB);
    for (size_t base = 1024; base < 8 * MIB; base *= 2)
        for (size_t step = 1; step <= 4; step++)
            for (size_t more = 0; more < 2; more++) {
                size_t size = base + step * (base / 4) + more;
                size_t kept = r.kept;
                void *memory = take(&r, size);
                cv_release(&r.alloc, memory);
                if (r.kept > kept)
                    assert_in_range(r.kept - kept, size, size + size / 4);
            }
    fini(&t, &r);
}

static void small_and_huge_ones_pass_through(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, 64 * MIB);
    cv_release(&r.alloc, take(&r, 1));
    cv_release(&r.alloc, take(&r, 1024));
    cv_release(&r.alloc, take(&r, 8 * MIB + 1));
    cv_release(&r.alloc, NULL);
    assert_int_equal(r.kept, 0);
    test_alloc_assert_empty(&t);
    cv_release(&r.alloc, take(&r, 1025));
    cv_release(&r.alloc, take(&r, 8 * MIB));
    assert_int_equal(r.kept, 1280 + 8 * MIB);
    assert_int_equal(t.outstanding, 2);
    assert_null(cv_allocate(&r.alloc, SIZE_MAX));
    fini(&t, &r);
}

/* Ten blocks of each of two sizes, with room for fifteen of the smaller: never more than that is
 * kept, and both sizes are. */
static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    void *blocks[20];
    init(&t, &r, 15 * 16384);
    for (size_t i = 0; i < 20; i++)
        blocks[i] = take(&r, i < 10 ? 16384 : 20480);
    for (size_t i = 0; i < 20; i++) {
        cv_release(&r.alloc, blocks[i]);
        assert_true(r.kept <= r.kept_max);
    }
    assert_true(r.kept > r.kept_max - 20480);
    size_t calls = t.calls;
    void *small = take(&r, 16384);
    void *large = take(&r, 20480);
    assert_int_equal(t.calls, calls);
    cv_release(&r.alloc, small);
    cv_release(&r.alloc, large);
    fini(&t, &r);
}

static void nothing_is_kept_when_nothing_may_be(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, 0);
    cv_release(&r.alloc, take(&r, 5000));
    test_alloc_assert_empty(&t);
    fini(&t, &r);
}

static void reallocating_keeps_the_bytes(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, MIB);
    uint8_t *memory = cv_reallocate(&r.alloc, NULL, 10, 1);
    assert_non_null(memory);
    memcpy(memory, "turtledove", 10);
    memory = cv_reallocate(&r.alloc, memory, 5000, 1);
    assert_memory_equal(memory, "turtledove", 10);
    memory = cv_reallocate(&r.alloc, memory, 4, 1);
    assert_memory_equal(memory, "turt", 4);
    cv_release(&r.alloc, memory);
    fini(&t, &r);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_recycler r;
    init(&t, &r, MIB);
    uint8_t *memory = take(&r, 2000);
    t.fail_at = t.calls + 1;
    t.fail_all_after = true;
    assert_null(cv_allocate(&r.alloc, 2000));
    assert_null(cv_reallocate(&r.alloc, memory, 9000, 1));
    assert_int_equal(memory[1999], 0x5a);
    cv_release(&r.alloc, memory);
    assert_ptr_equal(take(&r, 2000), memory);
    cv_release(&r.alloc, memory);
    fini(&t, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_released_block_is_the_next_one),
        cmocka_unit_test(every_size_has_its_room),
        cmocka_unit_test(small_and_huge_ones_pass_through),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(nothing_is_kept_when_nothing_may_be),
        cmocka_unit_test(reallocating_keeps_the_bytes),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
