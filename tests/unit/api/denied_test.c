/* Lists of denied ids that several hold. */
#include "api/denied.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static covey_node_id id_of(uint8_t number)
{
    covey_node_id id = {{0}};
    id.bytes[0] = number;
    return id;
}

static void it_lives_as_long_as_somebody_holds_it(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_denied *denied;
    const covey_node_id ids[] = {id_of(7), id_of(3), id_of(7)};
    const covey_node_id other = id_of(4);
    test_alloc_init(&t);
    assert_int_equal(cv_denied_new(&t.alloc, ids, 3, &denied), 0);
    assert_ptr_equal(cv_denied_retain(denied), denied);
    cv_denied_release(denied);
    assert_true(cv_denied_has(denied, &ids[0]));
    assert_true(cv_denied_has(denied, &ids[1]));
    assert_false(cv_denied_has(denied, &other));
    cv_denied_release(denied);
    test_alloc_assert_empty(&t);
}

static void without_memory_or_too_long_there_is_none(void **state)
{
    (void)state;
    static covey_node_id many[CV_DENIED_MAX + 1];
    struct test_alloc t;
    struct cv_denied *denied = NULL;
    for (size_t n = 1; n <= 2; n++) {
        test_alloc_init(&t);
        t.fail_at = n;
        assert_int_equal(cv_denied_new(&t.alloc, many, 2, &denied), COVEY_ERR_NO_MEMORY);
        test_alloc_assert_empty(&t);
    }
    test_alloc_init(&t);
    assert_int_equal(cv_denied_new(&t.alloc, many, CV_DENIED_MAX + 1, &denied), COVEY_ERR_LIMIT);
    test_alloc_assert_empty(&t);
    assert_null(denied);
}

static void nobody_denies_nobody(void **state)
{
    (void)state;
    const covey_node_id id = id_of(1);
    assert_null(cv_denied_retain(NULL));
    cv_denied_release(NULL);
    assert_false(cv_denied_has(NULL, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_lives_as_long_as_somebody_holds_it),
        cmocka_unit_test(without_memory_or_too_long_there_is_none),
        cmocka_unit_test(nobody_denies_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
