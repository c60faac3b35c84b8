#include "quic/send_buffer.h"

#include "base/rand.h"
#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t source[200000];

static void fill_source(void)
{
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)(i * 31 + (i >> 8));
}

static void append(struct cv_send_buffer *b, size_t size)
{
    assert_int_equal(cv_send_buffer_append(b, cv_slice_of(source + b->end, size)), 0);
}

/* The pieces are the unsent bytes of the source, from the right place. */
static size_t offered(const struct cv_send_buffer *b)
{
    struct cv_slice pieces[2];
    size_t count = cv_send_buffer_next(b, pieces);
    size_t size = 0;
    assert_true(count <= 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(pieces[i].size > 0);
        assert_memory_equal(pieces[i].data, source + b->unsent + size, pieces[i].size);
        size += pieces[i].size;
    }
    return size;
}

static void test_small_message_allocates_nothing(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    assert_int_equal(offered(&b), 0);
    append(&b, CV_SEND_INLINE_SIZE);
    assert_int_equal(offered(&b), CV_SEND_INLINE_SIZE);
    cv_send_buffer_sent(&b, CV_SEND_INLINE_SIZE);
    assert_int_equal(offered(&b), 0);
    assert_int_equal(cv_send_buffer_size(&b), CV_SEND_INLINE_SIZE);
    cv_send_buffer_acked(&b, CV_SEND_INLINE_SIZE);
    assert_int_equal(cv_send_buffer_size(&b), 0);
    /* the same memory again */
    append(&b, 10);
    assert_int_equal(offered(&b), 10);
    assert_int_equal(a.calls, 0);
    cv_send_buffer_fini(&b);
    test_alloc_assert_empty(&a);
}

/* What is lent is filled in place, again and again as long as nothing is kept. */
static void test_lent_memory(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    for (size_t size = 1; size <= CV_SEND_INLINE_SIZE; size += 85) {
        uint8_t *lent = cv_send_buffer_lend(&b);
        assert_non_null(lent);
        memcpy(lent, source + b.end, size);
        cv_send_buffer_take(&b, size);
        assert_null(cv_send_buffer_lend(&b));
        assert_int_equal(offered(&b), size);
        append(&b, 300); /* the rest of it, and a chunk */
        assert_int_equal(offered(&b), size + 300);
        cv_send_buffer_sent(&b, size + 300);
        assert_null(cv_send_buffer_lend(&b));
        cv_send_buffer_acked(&b, b.end - 1);
        assert_null(cv_send_buffer_lend(&b));
        cv_send_buffer_acked(&b, b.end);
        assert_int_equal(cv_send_buffer_size(&b), 0);
    }
    cv_send_buffer_fini(&b);
    test_alloc_assert_empty(&a);
}

static void test_one_byte_more_allocates_once(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    append(&b, CV_SEND_INLINE_SIZE + 1);
    assert_int_equal(a.calls, 1);
    assert_int_equal(offered(&b), CV_SEND_INLINE_SIZE + 1);
    cv_send_buffer_fini(&b);
    test_alloc_assert_empty(&a);
}

static void test_parts_of_a_piece(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    append(&b, 200);
    append(&b, 100); /* 56 inline, 44 in a chunk */
    assert_int_equal(offered(&b), 300);
    cv_send_buffer_sent(&b, 255);
    assert_int_equal(offered(&b), 45);
    cv_send_buffer_sent(&b, 1);
    assert_int_equal(offered(&b), 44);
    cv_send_buffer_acked(&b, 255);
    assert_int_equal(cv_send_buffer_size(&b), 45);
    cv_send_buffer_acked(&b, 100); /* an old acknowledgement */
    assert_int_equal(cv_send_buffer_size(&b), 45);
    cv_send_buffer_sent(&b, 44);
    cv_send_buffer_acked(&b, 300);
    assert_int_equal(cv_send_buffer_size(&b), 0);
    test_alloc_assert_empty(&a);
    cv_send_buffer_fini(&b);
}

static void test_bytes_do_not_move(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    struct cv_slice first[2];
    struct cv_slice again[2];
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    append(&b, 50);
    (void)cv_send_buffer_next(&b, first);
    for (int i = 0; i < 100; i++)
        append(&b, 700);
    (void)cv_send_buffer_next(&b, again);
    assert_ptr_equal(first[0].data, again[0].data);
    assert_int_equal(again[0].size, CV_SEND_INLINE_SIZE);
    cv_send_buffer_fini(&b);
    test_alloc_assert_empty(&a);
}

static void test_acknowledged_memory_comes_back(void **state)
{
    struct test_alloc a;
    struct cv_send_buffer b;
    (void)state;
    test_alloc_init(&a);
    cv_send_buffer_init(&b, &a.alloc);
    append(&b, 100000);
    size_t all = a.outstanding;
    assert_true(all > 2);
    size_t sent = 0;
    while (offered(&b) > 0) {
        sent += offered(&b);
        cv_send_buffer_sent(&b, offered(&b));
    }
    assert_int_equal(sent, 100000);
    cv_send_buffer_acked(&b, 50000);
    assert_true(a.outstanding < all && a.outstanding > 0);
    cv_send_buffer_acked(&b, 100000);
    test_alloc_assert_empty(&a);
    cv_send_buffer_fini(&b);
}

static void test_append_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct test_alloc a;
        struct cv_send_buffer b;
        test_alloc_init(&a);
        cv_send_buffer_init(&b, &a.alloc);
        append(&b, 100);
        a.fail_at = nth;
        int error = cv_send_buffer_append(&b, cv_slice_of(source + 100, 100000));
        size_t calls = a.calls;
        a.fail_at = 0;
        assert_int_equal(offered(&b) == 100, error != 0);
        if (error != 0) {
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            assert_int_equal(cv_send_buffer_size(&b), 100);
            assert_int_equal(a.outstanding, 0);
        }
        append(&b, 1000);
        assert_true(offered(&b) > 100);
        cv_send_buffer_fini(&b);
        test_alloc_assert_empty(&a);
        if (error == 0) {
            assert_true(calls > 3);
            break;
        }
    }
}

/* Any order of writing, sending and acknowledging keeps the bytes and their order. */
static void test_random_schedule(void **state)
{
    struct cv_rand r;
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct test_alloc a;
        struct cv_send_buffer b;
        cv_rand_seed(&r, seed);
        test_alloc_init(&a);
        cv_send_buffer_init(&b, &a.alloc);
        while (b.begin < sizeof(source)) {
            size_t size;
            switch (cv_rand_below(&r, 3)) {
            case 0:
                size = (size_t)cv_rand_below(&r, cv_rand_below(&r, 2) ? 300 : 40000);
                append(&b, size < sizeof(source) - b.end ? size : sizeof(source) - b.end);
                break;
            case 1:
                size = offered(&b);
                cv_send_buffer_sent(&b, (size_t)cv_rand_below(&r, size + 1));
                break;
            default:
                cv_send_buffer_acked(&b, b.begin + cv_rand_below(&r, b.unsent - b.begin + 1));
            }
            assert_true(b.begin <= b.unsent && b.unsent <= b.end);
            if (offered(&b) == 0)
                assert_int_equal(cv_send_buffer_unsent(&b), 0);
        }
        test_alloc_assert_empty(&a);
        cv_send_buffer_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_message_allocates_nothing),
        cmocka_unit_test(test_lent_memory),
        cmocka_unit_test(test_one_byte_more_allocates_once),
        cmocka_unit_test(test_parts_of_a_piece),
        cmocka_unit_test(test_bytes_do_not_move),
        cmocka_unit_test(test_acknowledged_memory_comes_back),
        cmocka_unit_test(test_append_without_memory_changes_nothing),
        cmocka_unit_test(test_random_schedule),
    };
    fill_source();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
