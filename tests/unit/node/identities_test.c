#include "node/identities.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t secret[2] = {1, 2};
static const covey_node_id dove = {.bytes = {1}};
static const covey_node_id quail = {.bytes = {2}};

static void each_identity_has_its_own_limit(void **state)
{
    (void)state;
    struct test_alloc alloc;
    struct cv_identities ids;
    struct cv_identity_share *shares[4];
    test_alloc_init(&alloc);
    cv_identities_init(&ids, &alloc.alloc, secret, 2);
    assert_int_equal(cv_identities_take(&ids, &dove, &shares[0]), 0);
    assert_int_equal(cv_identities_take(&ids, &dove, &shares[1]), 0);
    assert_int_equal(cv_identities_take(&ids, &dove, &shares[2]), COVEY_ERR_LIMIT);
    assert_int_equal(cv_identities_take(&ids, &quail, &shares[2]), 0);
    cv_identities_give(&ids, shares[0]);
    assert_int_equal(cv_identities_take(&ids, &dove, &shares[3]), 0);
    for (int i = 1; i < 4; i++)
        cv_identities_give(&ids, shares[i]);
    cv_identities_give(&ids, NULL);
    cv_identities_fini(&ids);
    test_alloc_assert_empty(&alloc);
}

static void none_is_no_limit(void **state)
{
    (void)state;
    struct test_alloc alloc;
    struct cv_identities ids;
    struct cv_identity_share *share;
    test_alloc_init(&alloc);
    cv_identities_init(&ids, &alloc.alloc, secret, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(cv_identities_take(&ids, &dove, &share), 0);
    for (int i = 0; i < 100; i++)
        cv_identities_give(&ids, share);
    cv_identities_fini(&ids);
    test_alloc_assert_empty(&alloc);
}

/* Each allocation fails in turn, and leaves nothing behind. */
static void without_memory(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
        struct test_alloc alloc;
        struct cv_identities ids;
        struct cv_identity_share *share;
        test_alloc_init(&alloc);
        cv_identities_init(&ids, &alloc.alloc, secret, 1);
        alloc.fail_at = fail_at;
        assert_int_equal(cv_identities_take(&ids, &dove, &share), COVEY_ERR_NO_MEMORY);
        assert_int_equal(cv_identities_take(&ids, &dove, &share), 0);
        cv_identities_give(&ids, share);
        cv_identities_fini(&ids);
        test_alloc_assert_empty(&alloc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_identity_has_its_own_limit),
        cmocka_unit_test(none_is_no_limit),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
