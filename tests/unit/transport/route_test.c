#include "transport/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned loop_of_long(uint8_t first, uint8_t loop_byte, unsigned loop_count)
{
    uint8_t packet[40] = {0};
    packet[0] = first;
    packet[1] = 77; /* where a short header would have it */
    packet[6] = loop_byte;
    return cv_route_loop(cv_slice_of(packet, sizeof packet), loop_count);
}

static unsigned loop_of_short(uint8_t first, uint8_t loop_byte, unsigned loop_count)
{
    uint8_t packet[40] = {0};
    packet[0] = first;
    packet[1] = loop_byte;
    packet[6] = 77; /* where a long header would have it */
    return cv_route_loop(cv_slice_of(packet, sizeof packet), loop_count);
}

static void a_number_of_a_loop_is_that_loop(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= CV_ROUTE_LOOPS_MAX; count++)
        for (unsigned loop = 0; loop < count; loop++) {
            assert_int_equal(loop_of_long(0xc0, (uint8_t)loop, count), loop);
            assert_int_equal(loop_of_short(0x40, (uint8_t)loop, count), loop);
        }
}

static void any_other_byte_is_spread_over_the_loops_of_calls(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= CV_ROUTE_LOOPS_MAX; count++) {
        unsigned hits[CV_ROUTE_LOOPS_MAX] = {0};
        for (unsigned byte = 0; byte < 256; byte++) {
            unsigned loop = loop_of_long(0xff, (uint8_t)byte, count);
            assert_in_range(loop, 0, count - 1);
            assert_int_equal(loop_of_short(0x7f, (uint8_t)byte, count), loop);
            hits[loop]++;
        }
        assert_int_equal(hits[0], 1);
        for (unsigned loop = 1; loop < count; loop++)
            assert_in_range(hits[loop], 255 / (count - 1), 255 / (count - 1) + 1);
    }
}

static void the_first_bit_alone_tells_the_header(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 128; first++) {
        assert_int_equal(loop_of_short((uint8_t)first, 2, 4), 2);
        assert_int_equal(loop_of_long((uint8_t)(first | 0x80), 2, 4), 2);
    }
}

static void what_is_too_short_belongs_to_loop_0(void **state)
{
    (void)state;
    const uint8_t long_header[8] = {0xc0, 5, 5, 5, 5, 5, 5, 5};
    const uint8_t short_header[2] = {0x40, 5};
    for (size_t size = 0; size <= 6; size++)
        assert_int_equal(cv_route_loop(cv_slice_of(long_header, size), 9), 0);
    assert_int_equal(cv_route_loop(cv_slice_of(long_header, 7), 9), 5);
    for (size_t size = 0; size <= 1; size++)
        assert_int_equal(cv_route_loop(cv_slice_of(short_header, size), 9), 0);
    assert_int_equal(cv_route_loop(cv_slice_of(short_header, 2), 9), 5);
}

static void the_byte_itself(void **state)
{
    (void)state;
    const uint8_t long_header[8] = {0xc0, 1, 2, 3, 4, 5, 6, 7};
    const uint8_t short_header[8] = {0x40, 1, 2, 3, 4, 5, 6, 7};
    assert_int_equal(cv_route_byte(cv_slice_of(long_header, 8)), 6);
    assert_int_equal(cv_route_byte(cv_slice_of(long_header, 6)), 0);
    assert_int_equal(cv_route_byte(cv_slice_of(short_header, 2)), 1);
    assert_int_equal(cv_route_byte(cv_slice_of(short_header, 1)), 0);
    assert_int_equal(cv_route_byte(cv_slice_of(short_header, 0)), 0);
}

static void one_loop_has_everything(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        assert_int_equal(loop_of_short(0x40, (uint8_t)byte, 0), 0);
        assert_int_equal(loop_of_short(0x40, (uint8_t)byte, 1), 0);
        assert_int_equal(loop_of_long(0xc0, (uint8_t)byte, 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_of_a_loop_is_that_loop),
        cmocka_unit_test(any_other_byte_is_spread_over_the_loops_of_calls),
        cmocka_unit_test(the_first_bit_alone_tells_the_header),
        cmocka_unit_test(what_is_too_short_belongs_to_loop_0),
        cmocka_unit_test(the_byte_itself),
        cmocka_unit_test(one_loop_has_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
