#include <covey/status.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* gRPC's list, written here once more. */
static const char *const names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};
#define NAME_COUNT ((int)(sizeof names / sizeof names[0]))

static void names_are_grpcs(void **state)
{
    (void)state;
    for (int code = 0; code < NAME_COUNT; code++)
        assert_string_equal(covey_status_name((enum covey_status_code)code), names[code]);
    assert_int_equal(COVEY_STATUS_UNAUTHENTICATED, 16);
}

static void other_numbers_are_unknown(void **state)
{
    (void)state;
    static const int codes[] = {-1, NAME_COUNT, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_string_equal(covey_status_name((enum covey_status_code)codes[i]), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_grpcs),
        cmocka_unit_test(other_numbers_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
