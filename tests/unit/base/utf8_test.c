#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static size_t prefix(const uint8_t *bytes, size_t size)
{
    return cv_utf8_prefix(cv_slice_of(bytes, size));
}

/* Every character there is, encoded by the plain rule of RFC 3629 section 3. */
static size_t encode(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)((0xf00 >> size) | c);
    return size;
}

static void every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        size_t size = encode(c, bytes);
        bool valid = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
        assert_int_equal(prefix(bytes, size), valid ? size : 0);
        assert_int_equal(prefix(bytes, size - 1), 0);
    }
}

/* Which pairs of bytes begin or are a character: all others stop at 0 or 1. */
static void every_pair(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 0x10000; i++) {
        uint8_t pair[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        size_t wanted = pair[0] < 0x80 ? (pair[1] < 0x80 ? 2 : 1) : 0;
        if (pair[0] >= 0xc2 && pair[0] <= 0xdf && pair[1] >= 0x80 && pair[1] <= 0xbf)
            wanted = 2;
        assert_int_equal(prefix(pair, 2), wanted);
    }
}

static void stops_at_the_first_fault(void **state)
{
    (void)state;
    assert_int_equal(prefix((const uint8_t *)"", 0), 0);
    assert_int_equal(cv_utf8_prefix((struct cv_slice){0}), 0);
    assert_int_equal(prefix((const uint8_t *)"ab\xc3\xa9\xe0\x80\x80z", 8), 4); /* overlong */
    assert_int_equal(prefix((const uint8_t *)"ab\xe2\x82", 4), 2);              /* cut off */
    assert_int_equal(prefix((const uint8_t *)"\xe2\x82\xac\x00z", 5), 5);
    assert_int_equal(prefix((const uint8_t *)"\xf1\x80\x80\x41", 4), 0);
}

static void well_formed_text_is_valid(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "plain",
        "\xc2\x80",         /* U+0080 */
        "\xdf\xbf",         /* U+07FF */
        "\xe0\xa0\x80",     /* U+0800 */
        "\xed\x9f\xbf",     /* U+D7FF, before the surrogates */
        "\xee\x80\x80",     /* U+E000, after them */
        "\xf0\x90\x80\x80", /* U+10000 */
        "\xf4\x8f\xbf\xbf", /* U+10FFFF */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(cv_utf8_is_valid(cv_slice_text(texts[i])));
}

static void anything_else_is_not(void **state)
{
    (void)state;
    const char *const texts[] = {
        "\x80",             /* a tail alone */
        "\xc1\xbf",         /* a longer form of U+007F */
        "\xe0\x9f\xbf",     /* of U+07FF */
        "\xf0\x8f\xbf\xbf", /* of U+FFFF */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* past the last */
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "a\xe2\x82", /* cut off */
        "\xc3(",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(cv_utf8_is_valid(cv_slice_text(texts[i])));
    assert_false(cv_utf8_is_valid(cv_slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character),          cmocka_unit_test(every_pair),
        cmocka_unit_test(stops_at_the_first_fault), cmocka_unit_test(well_formed_text_is_valid),
        cmocka_unit_test(anything_else_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
