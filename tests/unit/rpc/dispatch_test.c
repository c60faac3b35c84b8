#include "rpc/dispatch.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <covey/error.h>

static const uint64_t secret[2] = {1, 2};
static struct test_alloc memory;
static struct cv_rpc_dispatch d;

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&memory);
    cv_rpc_dispatch_init(&d, &memory.alloc, secret, 100);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_rpc_dispatch_fini(&d);
    test_alloc_assert_empty(&memory);
    return 0;
}

static int add(const char *name, void *user)
{
    struct cv_rpc_method method = {
        .name = cv_slice_text(name), .user = user, .roles = 5, .read_only = true};
    return cv_rpc_dispatch_add(&d, &method);
}

static const struct cv_rpc_method *find(const char *name)
{
    return cv_rpc_dispatch_find(&d, cv_slice_text(name));
}

static void what_was_added_is_found(void **state)
{
    (void)state;
    int user_a, user_b;
    char name[] = "a/b";
    assert_null(find("a/b"));
    assert_int_equal(add(name, &user_a), 0);
    assert_int_equal(add("a/c", &user_b), 0);
    memset(name, 'x', 3); /* the name was copied */
    const struct cv_rpc_method *method = find("a/b");
    assert_non_null(method);
    assert_ptr_equal(method->user, &user_a);
    assert_int_equal(method->roles, 5);
    assert_true(method->read_only);
    assert_false(method->blocking);
    assert_true(cv_slice_equal(method->name, cv_slice_text("a/b")));
    assert_ptr_equal(find("a/c")->user, &user_b);
    assert_null(find("a/"));
    assert_null(find("a/bb"));
    assert_null(find(""));
    assert_int_equal(cv_rpc_dispatch_count(&d), 2);
}

static void duplicates_are_refused(void **state)
{
    (void)state;
    int user_a, user_b;
    assert_int_equal(add("a", &user_a), 0);
    assert_int_equal(add("a", &user_b), COVEY_ERR_EXISTS);
    assert_ptr_equal(find("a")->user, &user_a);
    assert_int_equal(cv_rpc_dispatch_count(&d), 1);
}

static void names_are_checked(void **state)
{
    (void)state;
    char name[257];
    memset(name, 'n', 256);
    name[256] = '\0';
    assert_int_equal(add(name, NULL), COVEY_ERR_INVALID_ARGUMENT);
    name[255] = '\0';
    assert_int_equal(add(name, NULL), 0);
    assert_non_null(find(name));
    assert_int_equal(add("", NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add("a b", NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add("\xc3\xa9", NULL), COVEY_ERR_INVALID_ARGUMENT);
}

static void the_bound_is_reached(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(add(name, NULL), 0);
    }
    assert_int_equal(add("m100", NULL), COVEY_ERR_LIMIT);
    assert_int_equal(add("m99", NULL), COVEY_ERR_EXISTS);
    assert_int_equal(cv_rpc_dispatch_count(&d), 100);
    assert_non_null(find("m0"));
    assert_null(find("m100"));
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        memory.fail_at = memory.calls + n;
        assert_int_equal(add("a", NULL), COVEY_ERR_NO_MEMORY);
        assert_null(find("a"));
        assert_int_equal(cv_rpc_dispatch_count(&d), 0);
    }
    assert_int_equal(add("a", NULL), 0);
    assert_non_null(find("a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_added_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_bound_is_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_added, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
