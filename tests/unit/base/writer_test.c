#include "base/writer.h"

#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_written(const struct cv_writer *w, const void *bytes, size_t size)
{
    struct cv_slice written = cv_writer_bytes(w);
    assert_true(cv_writer_ok(w));
    assert_int_equal(written.size, size);
    assert_int_equal(cv_writer_size(w), size);
    assert_memory_equal(written.data, bytes, size);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t memory[15];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_write_u8(&w, 1);
    cv_write_u16(&w, 0x0203);
    cv_write_u32(&w, 0x04050607);
    assert_int_equal(cv_writer_left(&w), 8);
    cv_write_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(cv_writer_left(&w), 0);
    assert_written(&w, expected, sizeof expected);
}

static const struct {
    uint64_t value;
    size_t size;
} varints[] = {
    {0, 1},     {63, 1},         {64, 2},         {16383, 2},
    {16384, 4}, {1073741823, 4}, {1073741824, 8}, {CV_VARINT_MAX, 8},
};

static void varints_are_short_and_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof varints / sizeof varints[0]; i++) {
        uint8_t memory[8];
        struct cv_writer w;
        assert_int_equal(cv_varint_size(varints[i].value), varints[i].size);
        cv_writer_init(&w, memory, varints[i].size);
        cv_write_varint(&w, varints[i].value);
        assert_true(cv_writer_ok(&w));
        assert_int_equal(cv_writer_left(&w), 0);
        struct cv_reader r;
        cv_reader_init(&r, cv_writer_bytes(&w));
        assert_true(cv_read_varint(&r) == varints[i].value);
        assert_true(cv_reader_done(&r));

        cv_writer_init(&w, memory, varints[i].size - 1);
        cv_write_varint(&w, varints[i].value);
        assert_false(cv_writer_ok(&w));
    }
}

/* The samples of RFC 9000, appendix A.1. */
static void varints_look_as_in_the_rfc(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c,
                                       0x9d, 0x7f, 0x3e, 0x7d, 0x7b, 0xbd, 0x25};
    uint8_t memory[15];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_write_varint(&w, UINT64_C(151288809941952652));
    cv_write_varint(&w, 494878333);
    cv_write_varint(&w, 15293);
    cv_write_varint(&w, 37);
    assert_written(&w, expected, sizeof expected);
}

static void too_large_varints_are_refused(void **state)
{
    (void)state;
    static const uint64_t values[] = {CV_VARINT_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < 2; i++) {
        uint8_t memory[16];
        struct cv_writer w;
        cv_writer_init(&w, memory, sizeof memory);
        cv_write_varint(&w, values[i]);
        assert_false(cv_writer_ok(&w));
        assert_int_equal(cv_writer_size(&w), 0);
    }
}

static void bytes_and_prefixed_bytes(void **state)
{
    (void)state;
    uint8_t memory[6];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_write_bytes(&w, cv_slice_text("ab"));
    cv_write_bytes(&w, (struct cv_slice){0});
    cv_write_prefixed(&w, cv_slice_text("cd"));
    cv_write_prefixed(&w, (struct cv_slice){0});
    assert_written(&w,
                   "ab\x02"
                   "cd\x00",
                   6);
}

static void long_prefix(void **state)
{
    (void)state;
    uint8_t memory[66], text[64] = {7};
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_write_prefixed(&w, cv_slice_of(text, sizeof text));
    assert_true(cv_writer_ok(&w));
    assert_int_equal(cv_writer_size(&w), 66);
    assert_memory_equal(memory, "\x40\x40\x07", 3);
}

static void prefixed_bytes_are_all_or_nothing(void **state)
{
    (void)state;
    for (size_t size = 0; size < 4; size++) {
        uint8_t memory[4] = {9, 9, 9, 9};
        static const uint8_t untouched[4] = {9, 9, 9, 9};
        struct cv_writer w;
        cv_writer_init(&w, memory, size);
        cv_write_prefixed(&w, cv_slice_text("abc"));
        assert_false(cv_writer_ok(&w));
        assert_int_equal(cv_writer_size(&w), 0);
        assert_memory_equal(memory, untouched, sizeof untouched);
    }
}

static void overflow_sticks_and_keeps_the_prefix(void **state)
{
    (void)state;
    uint8_t memory[4] = {0, 0, 9, 9};
    struct cv_writer w;
    cv_writer_init(&w, memory, 3);
    cv_write_u16(&w, 0x0102);
    cv_write_u16(&w, 0x0304);
    assert_false(cv_writer_ok(&w));
    cv_write_u8(&w, 5);
    cv_write_varint(&w, 5);
    cv_write_bytes(&w, cv_slice_text("x"));
    cv_write_prefixed(&w, (struct cv_slice){0});
    cv_write_u32(&w, 5);
    cv_write_u64(&w, 5);
    assert_false(cv_writer_ok(&w));
    assert_int_equal(cv_writer_size(&w), 2);
    assert_int_equal(cv_writer_left(&w), 0);
    assert_int_equal(cv_writer_bytes(&w).size, 0);
    assert_memory_equal(memory, "\x01\x02\x09\x09", 4);
}

static void rewind_clears_a_failure(void **state)
{
    (void)state;
    uint8_t memory[4];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_write_u16(&w, 0x0102);
    size_t mark = cv_writer_size(&w);
    cv_write_u8(&w, 3);
    cv_write_u32(&w, 4);
    assert_false(cv_writer_ok(&w));
    cv_writer_rewind(&w, mark);
    assert_written(&w, "\x01\x02", 2);
    assert_int_equal(cv_writer_left(&w), 2);
    cv_write_u16(&w, 0x0506);
    assert_written(&w, "\x01\x02\x05\x06", 4);
    cv_writer_rewind(&w, 4);
    assert_int_equal(cv_writer_size(&w), 4);
    cv_writer_rewind(&w, 0);
    assert_int_equal(cv_writer_size(&w), 0);
    assert_int_equal(cv_writer_left(&w), 4);
}

static void no_memory_holds_nothing(void **state)
{
    (void)state;
    struct cv_writer w;
    cv_writer_init(&w, NULL, 0);
    cv_write_bytes(&w, (struct cv_slice){0});
    assert_true(cv_writer_ok(&w));
    cv_write_u8(&w, 1);
    assert_false(cv_writer_ok(&w));
    cv_writer_rewind(&w, 0);
    assert_true(cv_writer_ok(&w));
    assert_int_equal(cv_writer_bytes(&w).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(varints_are_short_and_read_back),
        cmocka_unit_test(varints_look_as_in_the_rfc),
        cmocka_unit_test(too_large_varints_are_refused),
        cmocka_unit_test(bytes_and_prefixed_bytes),
        cmocka_unit_test(long_prefix),
        cmocka_unit_test(prefixed_bytes_are_all_or_nothing),
        cmocka_unit_test(overflow_sticks_and_keeps_the_prefix),
        cmocka_unit_test(rewind_clears_a_failure),
        cmocka_unit_test(no_memory_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
