#include <covey/version.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void text_and_numbers_agree(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", COVEY_VERSION_MAJOR, COVEY_VERSION_MINOR,
             COVEY_VERSION_PATCH);
    assert_string_equal(covey_version(), text);
    assert_string_equal(COVEY_VERSION, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_numbers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
