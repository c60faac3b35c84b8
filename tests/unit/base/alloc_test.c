#include "base/alloc.h"

#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void default_gives_and_takes_memory(void **state)
{
    (void)state;
    const struct cv_alloc *alloc = cv_alloc_default();
    unsigned char *memory = cv_allocate(alloc, 3);
    assert_non_null(memory);
    memcpy(memory, "abc", 3);
    memory = cv_reallocate(alloc, memory, 100, 10);
    assert_non_null(memory);
    assert_memory_equal(memory, "abc", 3);
    memset(memory, 0, 1000);
    cv_release(alloc, memory);
    cv_release(alloc, NULL);
}

static void size_0_gives_a_pointer(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    void *a = cv_allocate(&t.alloc, 0);
    void *b = cv_allocate_zeroed(&t.alloc, 0, 8);
    void *c = cv_allocate_zeroed(&t.alloc, 8, 0);
    void *d = cv_reallocate(&t.alloc, NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    d = cv_reallocate(&t.alloc, d, 0, 0);
    assert_non_null(d);
    assert_int_equal(t.outstanding, 4);
    cv_release(&t.alloc, a);
    cv_release(&t.alloc, b);
    cv_release(&t.alloc, c);
    cv_release(&t.alloc, d);
    test_alloc_assert_empty(&t);
}

static void *allocate_dirty(void *user, size_t size)
{
    void *memory = cv_allocate(user, size);
    if (memory != NULL)
        memset(memory, 0xa5, size);
    return memory;
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    struct cv_alloc dirty = {.allocate = allocate_dirty, .user = &t.alloc};
    static const unsigned char zero[21];
    void *memory = cv_allocate_zeroed(&dirty, 7, 3);
    assert_memory_equal(memory, zero, sizeof zero);
    cv_release(&t.alloc, memory);
    test_alloc_assert_empty(&t);
}

static void overflow_gives_null_and_asks_nobody(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    assert_null(cv_allocate_zeroed(&t.alloc, SIZE_MAX, 2));
    assert_null(cv_allocate_zeroed(&t.alloc, SIZE_MAX / 4 + 1, 4));
    assert_null(cv_reallocate(&t.alloc, NULL, 2, SIZE_MAX));
    assert_null(cv_copy_text(&t.alloc, "", SIZE_MAX));
    assert_int_equal(t.calls, 0);
}

static void failed_reallocation_keeps_the_old_memory(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    char *memory = cv_allocate(&t.alloc, 4);
    memcpy(memory, "old", 4);
    t.fail_at = t.calls + 1;
    assert_null(cv_reallocate(&t.alloc, memory, 100, 1));
    assert_null(cv_reallocate(&t.alloc, memory, SIZE_MAX, 2));
    assert_string_equal(memory, "old");
    cv_release(&t.alloc, memory);
    test_alloc_assert_empty(&t);
}

static void text_is_copied_and_ended(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    char *copy = cv_copy_text(&t.alloc, "covey and more", 5);
    char *empty = cv_copy_text(&t.alloc, NULL, 0);
    assert_string_equal(copy, "covey");
    assert_string_equal(empty, "");
    t.fail_at = t.calls + 1;
    assert_null(cv_copy_text(&t.alloc, "x", 1));
    cv_release(&t.alloc, copy);
    cv_release(&t.alloc, empty);
    test_alloc_assert_empty(&t);
}

static void test_allocator_fails_when_told(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    t.fail_at = 2;
    void *first = cv_allocate(&t.alloc, 1);
    assert_non_null(first);
    assert_null(cv_allocate_zeroed(&t.alloc, 1, 1));
    void *third = cv_allocate(&t.alloc, 1);
    assert_non_null(third);
    t.fail_at = 4;
    t.fail_all_after = true;
    assert_null(cv_allocate(&t.alloc, 1));
    assert_null(cv_allocate(&t.alloc, 1));
    assert_int_equal(t.calls, 5);
    assert_int_equal(t.outstanding, 2);
    cv_release(&t.alloc, first);
    cv_release(&t.alloc, third);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_gives_and_takes_memory),
        cmocka_unit_test(size_0_gives_a_pointer),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(overflow_gives_null_and_asks_nobody),
        cmocka_unit_test(failed_reallocation_keeps_the_old_memory),
        cmocka_unit_test(text_is_copied_and_ended),
        cmocka_unit_test(test_allocator_fails_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
