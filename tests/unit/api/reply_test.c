#include "api/reply.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct test_alloc memory;
    struct covey_runtime runtime;
};

static struct fixture *setup(struct fixture *f)
{
    test_alloc_init(&f->memory);
    f->runtime = (struct covey_runtime){.alloc = f->memory.alloc};
    return f;
}

static void assert_empty(const struct covey_reply *reply)
{
    assert_int_equal(reply->code, COVEY_STATUS_OK);
    assert_string_equal(reply->message, "");
    assert_null(reply->data);
    assert_int_equal(reply->size, 0);
    assert_null(reply->owner);
}

static void assert_nothing_held(const struct fixture *f)
{
    test_alloc_assert_empty(&f->memory);
    assert_int_equal(atomic_load(&f->runtime.users), 0);
}

static void constants_have_no_owner(void **state)
{
    (void)state;
    struct covey_reply reply;
    cv_reply_set_constant(&reply, COVEY_STATUS_INTERNAL, "text");
    assert_int_equal(reply.code, COVEY_STATUS_INTERNAL);
    assert_string_equal(reply.message, "text");
    assert_null(reply.owner);
    covey_reply_clear(&reply);
    assert_empty(&reply);
    covey_reply_clear(&reply);
    assert_empty(&reply);
}

static void status_is_a_copy_that_holds_the_runtime(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    char text[] = "not there";
    setup(&f);
    cv_reply_init(&reply);
    cv_reply_set_status(&reply, &f.runtime, COVEY_STATUS_NOT_FOUND, cv_slice_of(text, 3));
    text[0] = 'X';
    assert_int_equal(reply.code, COVEY_STATUS_NOT_FOUND);
    assert_string_equal(reply.message, "not");
    assert_null(reply.data);
    assert_int_equal(atomic_load(&f.runtime.users), 1);
    covey_reply_clear(&reply);
    assert_empty(&reply);
    assert_nothing_held(&f);
}

static void status_without_text_or_memory_keeps_its_code(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    setup(&f);
    cv_reply_init(&reply);
    cv_reply_set_status(&reply, &f.runtime, COVEY_STATUS_ABORTED, (struct cv_slice){NULL, 0});
    assert_int_equal(reply.code, COVEY_STATUS_ABORTED);
    assert_string_equal(reply.message, "");
    f.memory.fail_at = 1;
    cv_reply_set_status(&reply, &f.runtime, COVEY_STATUS_DATA_LOSS, cv_slice_text("text"));
    assert_int_equal(reply.code, COVEY_STATUS_DATA_LOSS);
    assert_string_equal(reply.message, "");
    assert_nothing_held(&f);
}

static void data_is_a_copy(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    char bytes[] = {1, 0, 2};
    setup(&f);
    cv_reply_init(&reply);
    assert_int_equal(cv_reply_set_data(&reply, &f.runtime, cv_slice_of(bytes, 3)), 0);
    bytes[0] = 9;
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(reply.size, 3);
    assert_memory_equal(reply.data, "\1\0\2", 3);
    covey_reply_clear(&reply);
    assert_nothing_held(&f);
}

static void empty_data_is_there(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    setup(&f);
    cv_reply_init(&reply);
    assert_int_equal(cv_reply_set_data(&reply, &f.runtime, (struct cv_slice){NULL, 0}), 0);
    assert_non_null(reply.data);
    assert_int_equal(reply.size, 0);
    covey_reply_clear(&reply);
    assert_nothing_held(&f);
}

static void data_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    setup(&f)->memory.fail_at = 1;
    cv_reply_init(&reply);
    assert_int_equal(cv_reply_set_data(&reply, &f.runtime, cv_slice_text("x")),
                     COVEY_ERR_NO_MEMORY);
    assert_empty(&reply);
    assert_nothing_held(&f);
}

static void a_move_leaves_nothing_behind(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply from, to;
    setup(&f);
    cv_reply_init(&from);
    assert_int_equal(cv_reply_set_data(&from, &f.runtime, cv_slice_text("x")), 0);
    cv_reply_move(&to, &from);
    assert_empty(&from);
    assert_int_equal(to.size, 1);
    covey_reply_clear(&from);
    assert_int_equal(f.memory.outstanding, 1);
    covey_reply_clear(&to);
    assert_nothing_held(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_have_no_owner),
        cmocka_unit_test(status_is_a_copy_that_holds_the_runtime),
        cmocka_unit_test(status_without_text_or_memory_keeps_its_code),
        cmocka_unit_test(data_is_a_copy),
        cmocka_unit_test(empty_data_is_there),
        cmocka_unit_test(data_without_memory_changes_nothing),
        cmocka_unit_test(a_move_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
