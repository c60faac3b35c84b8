#include <covey/error.h>
#include <ctype.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    int number;
    const char *name, *text;
} errors[] = {
#define X(name, number, text) {COVEY_ERR_##name, "COVEY_ERR_" #name, text},
    COVEY_ERRORS(X)
#undef X
};
#define ERROR_COUNT (sizeof errors / sizeof errors[0])

static void every_error_has_its_name_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        assert_string_equal(covey_strerror(errors[i].number), errors[i].text);
        assert_string_equal(covey_error_name(errors[i].number), errors[i].name);
    }
}

/* A program that was built with an older covey means these by these numbers. */
static void numbers_do_not_change(void **state)
{
    (void)state;
    assert_int_equal(COVEY_ERR_NO_MEMORY, -1);
    assert_int_equal(COVEY_ERR_TIMEOUT, -6);
    assert_string_equal(covey_error_name(-16), "COVEY_ERR_LAGGED");
    assert_string_equal(covey_error_name(-35), "COVEY_ERR_POOL_EXHAUSTED");
}

static void errors_are_negative_and_distinct(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        assert_true(errors[i].number < 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(errors[i].number, errors[j].number);
            assert_string_not_equal(errors[i].text, errors[j].text);
        }
    }
}

static void texts_are_phrases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        const char *text = errors[i].text;
        assert_true(strlen(text) > 0);
        assert_true(islower((unsigned char)text[0]));
        assert_int_not_equal(text[strlen(text) - 1], '.');
    }
}

static void other_numbers_are_said_to_be_unknown(void **state)
{
    (void)state;
    static const int numbers[] = {1, -(int)ERROR_COUNT - 1, 1000, -1000, INT_MAX, INT_MIN};
    assert_string_equal(covey_strerror(COVEY_OK), "no error");
    assert_string_equal(covey_error_name(COVEY_OK), "COVEY_OK");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_string_equal(covey_strerror(numbers[i]), "unknown error");
        assert_string_equal(covey_error_name(numbers[i]), "COVEY_ERR_?");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_name_and_text),
        cmocka_unit_test(numbers_do_not_change),
        cmocka_unit_test(errors_are_negative_and_distinct),
        cmocka_unit_test(texts_are_phrases),
        cmocka_unit_test(other_numbers_are_said_to_be_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
