#include "quic/reset_secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_key_has_one_secret_and_another_key_another(void **state)
{
    (void)state;
    uint8_t first[CV_RESET_SECRET_SIZE], again[CV_RESET_SECRET_SIZE], other[CV_RESET_SECRET_SIZE];
    cv_reset_secret("key", first);
    cv_reset_secret("key", again);
    cv_reset_secret("kez", other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_one_secret_and_another_key_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
