#include "payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE  20000
#define STAMP UINT64_C(0x0102030405060708)

static unsigned char body[SIZE];

static void a_filled_body_is_right_in_any_pieces(void **state)
{
    static const size_t pieces[] = {1, 7, 255, 256, 1443, 4096, 5000, SIZE};
    (void)state;
    payload_fill(body, SIZE);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        for (size_t at = 0; at < SIZE; at += pieces[i]) {
            size_t size = SIZE - at < pieces[i] ? SIZE - at : pieces[i];
            assert_true(payload_is(body + at, size, at, NULL));
        }
    assert_true(payload_is(body, 0, 0, NULL));
    assert_true(payload_is(NULL, 0, SIZE, NULL));
}

static void one_wrong_byte_is_seen(void **state)
{
    static const size_t places[] = {0, 7, 8, 4095, 4096, SIZE - 1};
    const uint64_t stamp = STAMP;
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        payload_fill(body, SIZE);
        payload_stamp(body, SIZE, stamp);
        assert_true(payload_is(body, SIZE, 0, &stamp));
        body[places[i]] ^= 1;
        assert_false(payload_is(body, SIZE, 0, &stamp));
    }
}

static void moved_bytes_are_seen(void **state)
{
    (void)state;
    payload_fill(body, SIZE);
    assert_false(payload_is(body + 1, 100, 0, NULL));
    assert_false(payload_is(body, 100, 128, NULL));
}

static void another_calls_number_is_seen(void **state)
{
    const uint64_t stamp = STAMP, other = STAMP + 1;
    (void)state;
    payload_fill(body, 64);
    payload_stamp(body, 64, stamp);
    assert_true(payload_is(body, 64, 0, &stamp));
    assert_false(payload_is(body, 64, 0, &other));
    assert_false(payload_is(body, 64, 0, NULL));
    assert_true(payload_is(body + 3, 61, 3, &stamp));
    assert_false(payload_is(body + 3, 61, 2, &stamp));
}

static void a_short_body_has_as_much_of_the_number_as_fits(void **state)
{
    const uint64_t stamp = STAMP;
    (void)state;
    memset(body, 0xee, 16);
    payload_stamp(body, 3, stamp);
    assert_int_equal(body[3], 0xee);
    assert_true(payload_is(body, 3, 0, &stamp));
    payload_stamp(body, 0, stamp);
    assert_true(payload_is(body, 0, 0, &stamp));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filled_body_is_right_in_any_pieces),
        cmocka_unit_test(one_wrong_byte_is_seen),
        cmocka_unit_test(moved_bytes_are_seen),
        cmocka_unit_test(another_calls_number_is_seen),
        cmocka_unit_test(a_short_body_has_as_much_of_the_number_as_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
