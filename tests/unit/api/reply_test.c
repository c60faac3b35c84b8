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
    cv_pool_init(&f->runtime.pool, &f->runtime.alloc);
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

static void assert_nothing_held(struct fixture *f)
{
    cv_pool_fini(&f->runtime.pool);
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

static void set_status(struct fixture *f, struct covey_reply *reply, enum covey_status_code code,
                       struct cv_slice text)
{
    const struct cv_rpc_status status = {.code = code, .message = text};
    cv_reply_set_status(reply, &f->runtime, &status);
}

static void status_is_a_copy_that_holds_the_runtime(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    char text[] = "not there";
    setup(&f);
    cv_reply_init(&reply);
    set_status(&f, &reply, COVEY_STATUS_NOT_FOUND, cv_slice_of(text, 3));
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
    set_status(&f, &reply, COVEY_STATUS_ABORTED, (struct cv_slice){NULL, 0});
    assert_int_equal(reply.code, COVEY_STATUS_ABORTED);
    assert_string_equal(reply.message, "");
    f.memory.fail_at = 1;
    set_status(&f, &reply, COVEY_STATUS_DATA_LOSS, cv_slice_text("text"));
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

static void data_is_taken_with_its_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    setup(&f);
    cv_reply_init(&reply);
    char *memory = cv_allocate(&f.runtime.pool.buffers, 5000);
    memset(memory, 'x', 5000);
    f.memory.fail_at = f.memory.calls + 1;
    struct cv_slice data = cv_slice_of(memory + 2, 4997);
    assert_int_equal(cv_reply_take_data(&reply, &f.runtime, data, memory), COVEY_ERR_NO_MEMORY);
    assert_empty(&reply);
    assert_int_equal(cv_reply_take_data(&reply, &f.runtime, data, memory), 0);
    assert_ptr_equal(reply.data, memory + 2);
    assert_int_equal(reply.size, 4997);
    assert_int_equal(memory[4999], 0);
    covey_reply_clear(&reply);
    assert_empty(&reply);
    assert_nothing_held(&f);
}

static void data_in_a_lent_room_has_no_owner(void **state)
{
    (void)state;
    struct covey_reply reply;
    uint8_t room[4] = "xxx";
    cv_reply_init(&reply);
    cv_reply_lend_data(&reply, room, cv_slice_text("abc"));
    assert_string_equal(reply.data, "abc");
    assert_int_equal(reply.size, 3);
    assert_null(reply.owner);
    covey_reply_clear(&reply);
    assert_empty(&reply);
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
    assert_int_equal(atomic_load(&f.runtime.users), 1);
    covey_reply_clear(&to);
    assert_nothing_held(&f);
}

static void an_answer_does_not_outlive_a_failure(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    setup(&f);
    cv_reply_init(&reply);
    assert_int_equal(cv_reply_set_data(&reply, &f.runtime, cv_slice_text("x")), 0);
    set_status(&f, &reply, COVEY_STATUS_OK, cv_slice_text("fine"));
    assert_string_equal(reply.data, "x");
    assert_string_equal(reply.message, "fine");
    set_status(&f, &reply, COVEY_STATUS_ABORTED, cv_slice_text("no"));
    assert_null(reply.data);
    assert_int_equal(reply.size, 0);
    assert_string_equal(reply.message, "no");
    covey_reply_clear(&reply);
    assert_nothing_held(&f);
}

static void details_and_metadata_are_copies(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_reply reply;
    char value[] = {0, 1, 2};
    const struct cv_rpc_metadata set[] = {
        {.key = cv_slice_text("a"), .value = cv_slice_of(value, 3)},
        {.key = cv_slice_text("b"), .value = {NULL, 0}},
    };
    const struct cv_rpc_status status = {.code = COVEY_STATUS_NOT_FOUND,
                                         .message = cv_slice_text("m"),
                                         .details = cv_slice_of("\0d", 2)};
    size_t size;
    setup(&f);
    cv_reply_init(&reply);
    assert_null(covey_reply_details(&reply, &size));
    assert_null(covey_reply_metadata(&reply, &size));
    assert_int_equal(size, 0);
    assert_int_equal(cv_reply_set_metadata(&reply, &f.runtime, set, 2), 0);
    cv_reply_set_status(&reply, &f.runtime, &status);
    value[0] = 9;
    const struct covey_metadata *copy = covey_reply_metadata(&reply, &size);
    assert_int_equal(size, 2);
    assert_string_equal(copy[0].key, "a");
    assert_memory_equal(copy[0].value, "\0\1\2", 3);
    assert_string_equal(copy[1].key, "b");
    assert_int_equal(copy[1].size, 0);
    assert_memory_equal(covey_reply_details(&reply, &size), "\0d", 2);
    assert_int_equal(size, 2);
    assert_string_equal(reply.message, "m");
    covey_reply_clear(&reply);
    assert_nothing_held(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_have_no_owner),
        cmocka_unit_test(status_is_a_copy_that_holds_the_runtime),
        cmocka_unit_test(status_without_text_or_memory_keeps_its_code),
        cmocka_unit_test(data_is_a_copy),
        cmocka_unit_test(data_is_taken_with_its_memory),
        cmocka_unit_test(data_in_a_lent_room_has_no_owner),
        cmocka_unit_test(empty_data_is_there),
        cmocka_unit_test(data_without_memory_changes_nothing),
        cmocka_unit_test(a_move_leaves_nothing_behind),
        cmocka_unit_test(an_answer_does_not_outlive_a_failure),
        cmocka_unit_test(details_and_metadata_are_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
