#include "rpc/end.h"

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

static void client_cancels(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED reset 1 stop 1 ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "");
    assert_int_equal(stats_of(&e).calls_cancelled, 1);
}

/* Our FIN is out: nothing to reset. What comes late is dropped and its window given back. */
static void client_cancels_after_its_end(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 7 fin ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    DATA(&e, call, "\x08ok\x02", true);
    expect(&e, "status CANCELLED ");
}

static void client_deadline(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start_within(&e, &stream_1, 5 * MS);
    expect(&e, "write 8 ");
    expect_written(&e, "\x1d\x01\x02\x53\x88\x02\x01m", 8);
    assert_true(cv_rpc_conn_deadline(e.rc) == e.now + 5 * MS);
    time_passes(&e, 5 * MS - 1);
    expect(&e, "");
    time_passes(&e, 1);
    expect(&e, "status DEADLINE_EXCEEDED reset 2 stop 2 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(stats_of(&e).deadlines_exceeded, 1);
}

static void client_deadline_already_past(void **state)
{
    (void)state;
    (void)start_within(&e, &stream_1, 0);
    expect(&e, "status DEADLINE_EXCEEDED not started reset 2 stop 2 ");
}

static void answered_call_has_no_deadline(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start_within(&e, &stream_1, 5 * MS);
    assert_int_equal(step(&e, call, CV_RPC_END), 0);
    expect(&e, "write 8 fin ");
    DATA(&e, call, "\x02", true);
    expect(&e, "status OK by peer ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
}

static struct cv_rpc_call *serve_within_5_us(void)
{
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x19\x01\x01\x05\x02\x01m", false);
    expect(&e, "call(m) in 5 us consume 7 ");
    return call;
}

static void server_deadline_is_answered(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve_within_5_us();
    assert_int_equal(send_text(&e, call, "part", false), 0);
    expect(&e, "write 5 ");
    time_passes(&e, 5000);
    expect(&e, "cancelled write 26 fin stop 2 ");
    assert_int_equal(e.written[5 + 4], COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(send_text(&e, call, "late", false), COVEY_ERR_STATE);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), COVEY_ERR_STATE);
    expect(&e, "");
}

/* The client reads nothing: no status gets through. */
static void server_deadline_of_a_full_stream(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve_within_5_us();
    e.full = true;
    assert_int_equal(send_text(&e, call, "part", false), 0);
    expect(&e, "full ");
    time_passes(&e, 5000);
    expect(&e, "cancelled reset 2 stop 2 ");
}

/* An answer that is not fetched is kept until the deadline only. */
static void server_answer_not_fetched(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve_within_5_us();
    e.full = true;
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    expect(&e, "full stop 4 ");
    time_passes(&e, 5000);
    expect(&e, "reset 2 ");
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static void server_answer_taken_ends_the_deadline(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve_within_5_us();
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "write 1 fin stop 4 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
}

static void server_hears_of_a_cancel_once(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    stream_stopped(&e, call, CV_RPC_CODE_CANCELLED);
    expect(&e, "cancelled ");
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    expect(&e, "");
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(stats_of(&e).calls_cancelled, 1);

    call = serve(&e, &stream_1);
    stream_stopped(&e, call, CV_RPC_CODE_CANCELLED);
    expect(&e, "cancelled stop 1 ");
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    expect(&e, "");
}

static void cancel_after_finish_is_not_told(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    e.full = true;
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "full stop 4 ");
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    stream_stopped(&e, call, CV_RPC_CODE_CANCELLED);
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "");
    /* And not when the user finished before he could be told. */
    call = serve(&e, &stream_2);
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "reset 1 ");
}

static void server_cancels(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "write 26 fin stop 4 ");
    assert_int_equal(e.written[3 + 1], COVEY_STATUS_ABORTED);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), COVEY_ERR_STATE);
}

/* Silence is never an answer. */
static void release_without_an_end_cancels(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    expect(&e, "write 26 fin stop 4 ");
    call = start(&e, &stream_2);
    expect(&e, "write 4 ");
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    expect(&e, "reset 1 stop 1 ");
    DATA(&e, call, "\x02", true);
    expect(&e, "");
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 1);
}

static void closed_streams_end_calls(void **state)
{
    (void)state;
    struct cv_rpc_call *client = start(&e, &stream_1);
    expect(&e, "write 4 ");
    struct cv_rpc_call *server = serve(&e, &stream_2);
    assert_int_equal(step(&e, client, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(&e, server, CV_RPC_STREAM_CLOSED), 0);
    expect(&e, "status UNAVAILABLE cancelled ");
    assert_int_equal(stats_of(&e).calls_cancelled, 1); /* the server's */
    assert_int_equal(cv_rpc_conn_count(e.rc), 2);
    assert_int_equal(step(&e, client, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&e, server, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(client_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(client_cancels_after_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(client_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(client_deadline_already_past, setup, teardown),
        cmocka_unit_test_setup_teardown(answered_call_has_no_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(server_deadline_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(server_deadline_of_a_full_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(server_answer_not_fetched, setup, teardown),
        cmocka_unit_test_setup_teardown(server_answer_taken_ends_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(server_hears_of_a_cancel_once, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_after_finish_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(server_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(release_without_an_end_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_streams_end_calls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
