#include "rpc/call.h"

#include "fixture.h"

static struct end e;

static int setup(void **state)
{
    (void)state;
    end_init(&e);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    end_fini(&e);
    return 0;
}

static void close_and_release(struct cv_rpc_call *call)
{
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
}

static void objects_are_used_again(void **state)
{
    (void)state;
    size_t calls = 0;
    for (int i = 0; i < 1000; i++) {
        struct cv_rpc_call *call = start_within(&e, &stream_1, 5 * MS);
        assert_int_equal(send_text(&e, call, "hi", true), 0);
        expect(&e, "write 11 fin ");
        DATA(&e, call, "\x08ok\x02", true);
        expect(&e, "message(ok) status OK by peer ");
        close_and_release(call);
        if (i == 0)
            calls = e.memory.calls;
    }
    assert_int_equal(e.memory.calls, calls);
}

static void the_pool_is_bounded(void **state)
{
    (void)state;
    enum { COUNT = CV_RPC_POOL_COUNT_MAX + 10 };
    static struct cv_rpc_call *calls[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = start(&e, &stream_1);
    assert_int_equal(cv_rpc_conn_count(e.rc), COUNT);
    size_t outstanding = e.memory.outstanding;
    for (size_t i = 0; i < COUNT; i++) {
        close_and_release(calls[i]);
        size_t in_use = cv_rpc_conn_count(e.rc);
        assert_true(e.rc->pool_count <= CV_RPC_POOL_COUNT_MAX || e.rc->pool_count <= in_use);
    }
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    assert_int_equal(e.rc->pool_count, CV_RPC_POOL_COUNT_MAX);
    assert_int_equal(e.memory.outstanding, outstanding - 10);
    expect(&e, "");
}

static void a_used_object_starts_afresh(void **state)
{
    (void)state;
    int user;
    struct cv_rpc_call *call = start_within(&e, &stream_1, 5 * MS);
    cv_rpc_call_set_user(call, &user);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 11 fin ");
    DATA(&e, call, "\x08ok\x08h", false);
    expect(&e, "message(ok) consume 5 ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    close_and_release(call);

    struct cv_rpc_call *again = serve(&e, &stream_2);
    assert_ptr_equal(again, call);
    assert_null(cv_rpc_call_user(again));
    assert_false(cv_rpc_call_is_client(again));
    assert_ptr_equal(cv_rpc_call_stream(again), &stream_2);
    assert_true(cv_rpc_call_deadline(again) == COVEY_NEVER);
    DATA(&e, again, "\x08ok", true);
    expect(&e, "message(ok) end ");
}

/* Whichever comes last frees it. */
static void close_and_release_in_both_orders(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct cv_rpc_call *call = start(&e, &stream_1);
        assert_int_equal(step(&e, call, order == 0 ? CV_RPC_STREAM_CLOSED : CV_RPC_RELEASE), 0);
        assert_int_equal(cv_rpc_conn_count(e.rc), 1);
        assert_int_equal(step(&e, call, order == 0 ? CV_RPC_RELEASE : CV_RPC_STREAM_CLOSED), 0);
        assert_int_equal(cv_rpc_conn_count(e.rc), 0);
        expect(&e, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_are_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pool_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_used_object_starts_afresh, setup, teardown),
        cmocka_unit_test_setup_teardown(close_and_release_in_both_orders, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
