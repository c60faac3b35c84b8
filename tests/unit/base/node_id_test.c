#include <covey/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void text_is_lower_case_hexadecimal(void **state)
{
    (void)state;
    static const covey_node_id id = {{0x00, 0x01, 0x0f, 0x10, 0x7f, 0x80, 0xab, 0xcd, 0xef, 0xff,
                                      0x12, 0x34, 0x56, 0x78, 0x9a, 0xf0}};
    char text[COVEY_NODE_ID_TEXT_SIZE + 1];
    memset(text, '#', sizeof text);
    assert_ptr_equal(covey_node_id_text(&id, text), text);
    assert_string_equal(text, "00010f107f80abcdefff123456789af0");
    assert_int_equal(text[COVEY_NODE_ID_TEXT_SIZE], '#');
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

/* Ascending; 0x80 tells unsigned bytes from signed ones. */
static const covey_node_id ascending[] = {
    {{0}},
    {{[15] = 1}},
    {{[15] = 0x80}},
    {{[7] = 1, [15] = 0}},
    {{1}},
    {{1, [15] = 0xff}},
    {{0x7f}},
    {{0x80}},
    {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff}},
};

static void order_is_that_of_the_bytes(void **state)
{
    (void)state;
    int count = (int)(sizeof ascending / sizeof ascending[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            covey_node_id copy = ascending[j];
            assert_int_equal(sign(covey_node_id_compare(&ascending[i], &copy)), sign(i - j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_lower_case_hexadecimal),
        cmocka_unit_test(order_is_that_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
