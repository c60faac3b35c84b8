#include "quic/deny_list.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static covey_node_id id_of(unsigned number)
{
    return (covey_node_id){.bytes = {(uint8_t)(number >> 8), (uint8_t)number, 7}};
}

/* Whatever the order, however often one is named: just these. */
static void it_has_what_it_was_given_and_nothing_else(void **state)
{
    (void)state;
    struct test_alloc alloc;
    struct cv_deny_list list = {0};
    static const unsigned numbers[] = {500, 2, 4, 2, 300, 4, 4};
    covey_node_id ids[7];
    test_alloc_init(&alloc);
    for (size_t i = 0; i < 7; i++)
        ids[i] = id_of(numbers[i]);
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, ids, 7), 0);
    for (unsigned n = 0; n < 600; n++) {
        covey_node_id id = id_of(n);
        bool is_in = n == 2 || n == 4 || n == 300 || n == 500;
        assert_int_equal(cv_deny_list_has(&list, &id), is_in);
    }
    /* another takes its place; none at all, too */
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, &ids[1], 1), 0);
    assert_true(cv_deny_list_has(&list, &ids[1]));
    assert_false(cv_deny_list_has(&list, &ids[0]));
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, NULL, 0), 0);
    assert_false(cv_deny_list_has(&list, &ids[1]));
    cv_deny_list_fini(&list, &alloc.alloc);
    test_alloc_assert_empty(&alloc);
}

static void at_its_bound_and_without_memory_it_stays_as_it_is(void **state)
{
    (void)state;
    struct test_alloc alloc;
    struct cv_deny_list list = {0};
    covey_node_id *many = calloc(CV_DENIED_MAX + 1, sizeof *many);
    covey_node_id one = id_of(1);
    assert_non_null(many);
    for (unsigned i = 0; i <= CV_DENIED_MAX; i++)
        many[i] = id_of(i + 2);
    test_alloc_init(&alloc);
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, &one, 1), 0);
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, many, CV_DENIED_MAX + 1),
                     COVEY_ERR_LIMIT);
    assert_true(cv_deny_list_has(&list, &one));
    alloc.fail_at = alloc.calls + 1;
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, many, 2), COVEY_ERR_NO_MEMORY);
    assert_true(cv_deny_list_has(&list, &one));
    assert_false(cv_deny_list_has(&list, &many[0]));
    assert_int_equal(cv_deny_list_set(&list, &alloc.alloc, many, CV_DENIED_MAX), 0);
    assert_true(cv_deny_list_has(&list, &many[CV_DENIED_MAX - 1]));
    assert_false(cv_deny_list_has(&list, &many[CV_DENIED_MAX]));
    assert_false(cv_deny_list_has(&list, &one));
    cv_deny_list_fini(&list, &alloc.alloc);
    test_alloc_assert_empty(&alloc);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_it_was_given_and_nothing_else),
        cmocka_unit_test(at_its_bound_and_without_memory_it_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
