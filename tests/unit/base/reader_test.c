#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct cv_reader reader_of(const void *data, size_t size)
{
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(data, size));
    return r;
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(cv_read_u16(&r), 0x0102);
    assert_int_equal(cv_reader_left(&r), 13);
    assert_int_equal(cv_read_u32(&r), 0x03040506);
    assert_true(cv_read_u64(&r) == UINT64_C(0x0708090a0b0c0d0e));
    assert_false(cv_reader_done(&r));
    assert_int_equal(cv_read_u8(&r), 0xff);
    assert_true(cv_reader_done(&r));
    assert_true(cv_reader_ok(&r));
}

static void largest_numbers(void **state)
{
    (void)state;
    uint8_t bytes[15];
    memset(bytes, 0xff, sizeof bytes);
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(cv_read_u8(&r), UINT8_MAX);
    assert_int_equal(cv_read_u16(&r), UINT16_MAX);
    assert_int_equal(cv_read_u32(&r), UINT32_MAX);
    assert_true(cv_read_u64(&r) == UINT64_MAX);
    assert_true(cv_reader_done(&r));
}

/* One byte missing or all of them: the number is 0 and nothing is taken. */
static void truncated_numbers_fail(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    for (size_t size = 0; size < 8; size++) {
        struct cv_reader r8 = reader_of(bytes, size);
        struct cv_reader r4 = r8, r2 = r8, r1 = r8;
        assert_true(cv_read_u64(&r8) == 0 && !cv_reader_ok(&r8));
        assert_int_equal(cv_read_u32(&r4), size < 4 ? 0 : UINT32_MAX);
        assert_int_equal(cv_reader_ok(&r4), size >= 4);
        assert_int_equal(cv_read_u16(&r2), size < 2 ? 0 : UINT16_MAX);
        assert_int_equal(cv_reader_ok(&r2), size >= 2);
        assert_int_equal(cv_read_u8(&r1), size < 1 ? 0 : UINT8_MAX);
        assert_int_equal(cv_reader_ok(&r1), size >= 1);
        assert_int_equal(cv_reader_left(&r8), 0);
    }
}

static const struct varint_case {
    uint64_t value;
    size_t size;
    uint8_t bytes[8];
} varints[] = {
    {0, 1, {0x00}},
    {1, 1, {0x01}},
    {63, 1, {0x3f}},
    {64, 2, {0x40, 0x40}},
    {16383, 2, {0x7f, 0xff}},
    {16384, 4, {0x80, 0x00, 0x40, 0x00}},
    {1073741823, 4, {0xbf, 0xff, 0xff, 0xff}},
    {1073741824, 8, {0xc0, 0, 0, 0, 0x40, 0, 0, 0}},
    {(UINT64_C(1) << 62) - 1, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    /* The samples of RFC 9000, appendix A.1. */
    {UINT64_C(151288809941952652), 8, {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}},
    {494878333, 4, {0x9d, 0x7f, 0x3e, 0x7d}},
    {15293, 2, {0x7b, 0xbd}},
    {37, 1, {0x25}},
};

static void varints_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof varints / sizeof varints[0]; i++) {
        const struct varint_case *c = &varints[i];
        struct cv_reader r = reader_of(c->bytes, c->size);
        assert_true(cv_read_varint(&r) == c->value);
        assert_true(cv_reader_done(&r));
        for (size_t size = 0; size < c->size; size++) {
            r = reader_of(c->bytes, size);
            assert_true(cv_read_varint(&r) == 0);
            assert_false(cv_reader_ok(&r));
        }
    }
}

static void longer_varints_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint8_t bytes[8];
    } cases[] = {
        {2, {0x40, 0x00}},
        {2, {0x40, 0x25}}, /* 37 in two bytes: allowed by RFC 9000, not by us */
        {2, {0x40, 0x3f}},
        {4, {0x80, 0, 0, 0}},
        {4, {0x80, 0, 0x3f, 0xff}},
        {8, {0xc0, 0, 0, 0, 0, 0, 0, 0}},
        {8, {0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cv_reader r = reader_of(cases[i].bytes, cases[i].size);
        assert_true(cv_read_varint(&r) == 0);
        assert_false(cv_reader_ok(&r));
        assert_false(cv_reader_done(&r));
    }
}

static void bytes_are_borrowed(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    struct cv_slice empty = cv_read_bytes(&r, 0);
    assert_int_equal(empty.size, 0);
    struct cv_slice three = cv_read_bytes(&r, 3);
    assert_ptr_equal(three.data, bytes);
    assert_int_equal(three.size, 3);
    struct cv_slice rest = cv_read_rest(&r);
    assert_ptr_equal(rest.data, bytes + 3);
    assert_int_equal(rest.size, 2);
    assert_true(cv_reader_done(&r));
    assert_int_equal(cv_read_rest(&r).size, 0);
    assert_true(cv_reader_done(&r));
}

static void too_many_bytes_are_refused(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {6, UINT32_MAX, UINT64_C(1) << 32, SIZE_MAX, UINT64_MAX};
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct cv_reader r = reader_of(bytes, sizeof bytes);
        struct cv_slice none = cv_read_bytes(&r, sizes[i]);
        assert_null(none.data);
        assert_int_equal(none.size, 0);
        assert_false(cv_reader_ok(&r));
    }
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(cv_read_bytes(&r, 5).size, 5);
    assert_true(cv_reader_done(&r));
}

static void prefixed_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {3, 'a', 'b', 'c', 0};
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    assert_true(cv_slice_equal(cv_read_prefixed(&r, 3), cv_slice_text("abc")));
    assert_int_equal(cv_read_prefixed(&r, 0).size, 0);
    assert_true(cv_reader_done(&r));

    r = reader_of(bytes, sizeof bytes);
    assert_int_equal(cv_read_prefixed(&r, 2).size, 0);
    assert_false(cv_reader_ok(&r));
    for (size_t size = 0; size < 4; size++) {
        r = reader_of(bytes, size);
        struct cv_slice none = cv_read_prefixed(&r, 100);
        assert_null(none.data);
        assert_int_equal(none.size, 0);
        assert_false(cv_reader_ok(&r));
    }
}

static void failure_sticks(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct cv_reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(cv_read_u8(&r), 1);
    cv_reader_fail(&r);
    struct cv_reader before = r;
    assert_int_equal(cv_read_u8(&r), 0);
    assert_int_equal(cv_read_u16(&r), 0);
    assert_int_equal(cv_read_u32(&r), 0);
    assert_true(cv_read_u64(&r) == 0);
    assert_true(cv_read_varint(&r) == 0);
    assert_null(cv_read_bytes(&r, 0).data);
    assert_null(cv_read_bytes(&r, 1).data);
    assert_null(cv_read_prefixed(&r, 100).data);
    assert_null(cv_read_rest(&r).data);
    assert_ptr_equal(r.next, before.next);
    assert_ptr_equal(r.end, before.end);
    assert_int_equal(cv_reader_left(&r), 0);
    assert_false(cv_reader_ok(&r));
    assert_false(cv_reader_done(&r));
}

static void nothing_is_done_at_once(void **state)
{
    (void)state;
    struct cv_reader r = reader_of(NULL, 0);
    assert_true(cv_reader_done(&r));
    assert_int_equal(cv_reader_left(&r), 0);
    assert_int_equal(cv_read_bytes(&r, 0).size, 0);
    assert_int_equal(cv_read_rest(&r).size, 0);
    assert_true(cv_reader_done(&r));
    cv_reader_fail(&r);
    assert_false(cv_reader_done(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(largest_numbers),
        cmocka_unit_test(truncated_numbers_fail),
        cmocka_unit_test(varints_are_read),
        cmocka_unit_test(longer_varints_are_refused),
        cmocka_unit_test(bytes_are_borrowed),
        cmocka_unit_test(too_many_bytes_are_refused),
        cmocka_unit_test(prefixed_bytes),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(nothing_is_done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
