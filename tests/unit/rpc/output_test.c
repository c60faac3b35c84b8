#include "rpc/output.h"

#include "fixture.h"

static struct end e;

static int setup(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_buffer_max = 1000;
    end_init_limits(&e, &limits);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    end_fini(&e);
    return 0;
}

/* 936 bytes and their cost are the whole of the limit; one byte more is above it. */
static void a_streams_window_is_held_back_until_messages_are_read(void **state)
{
    (void)state;
    static uint8_t bytes[2 + 936];
    struct cv_rpc_call *call = serve(&e, &stream_1);
    memcpy(bytes, "\x4e\xa0", 2);
    assert_int_equal(data(&e, call, bytes, sizeof bytes, false), 0);
    expect(&e, "message[936] consume 938 ");
    DATA(&e, call, "\x00", false);
    expect(&e, "message() consume 0 of 1 ");
    DATA(&e, call, "\x08hi\x08", false);
    expect(&e, "consume 0 of 4 ");
    assert_int_equal(read_message(&e, call, 0), 0);
    expect(&e, "message(hi) ");
    assert_int_equal(read_message(&e, call, 936), 0);
    expect(&e, "consume 5 of 0 ");
    assert_int_equal(read_message(&e, call, 2), 0);
    expect(&e, "");
}

/* Else a peer could fill the user's memory with them, one byte each. */
static void empty_messages_count(void **state)
{
    (void)state;
    static uint8_t bytes[17];
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(data(&e, call, bytes, 15, false), 0);
    expect(&e, "message() message() message() message() message() message() message() message() "
               "message() message() message() message() message() message() message() consume 15 ");
    assert_int_equal(data(&e, call, bytes, 1, false), 0);
    expect(&e, "message() consume 0 of 1 ");
    assert_int_equal(read_message(&e, call, 0), 0);
    expect(&e, "consume 1 of 0 ");
}

/* However large: what arrives of one message is given back as it comes. */
static void a_partial_message_never_holds_the_window(void **state)
{
    (void)state;
    static uint8_t bytes[4 + 100000];
    struct cv_rpc_call *call = serve(&e, &stream_1);
    memcpy(bytes, "\x80\x06\x1a\x80", 4);
    for (size_t at = 0; at < sizeof bytes - 4; at += 10000) {
        assert_int_equal(data(&e, call, bytes + at, 10000, false), 0);
        expect(&e, "consume 10000 ");
    }
    assert_int_equal(data(&e, call, bytes, 4, true), 0);
    expect(&e, "message[100000] end ");
}

/* Other calls share the connection's window: one that is over must not keep any of it. */
static void the_end_gives_all_window_back(void **state)
{
    (void)state;
    static uint8_t bytes[2 + 1000];
    struct cv_rpc_call *call = serve(&e, &stream_1);
    memcpy(bytes, "\x4f\xa0", 2);
    assert_int_equal(data(&e, call, bytes, sizeof bytes, false), 0);
    expect(&e, "message[1000] consume 0 of 1002 ");
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "consume 1002 of 0 write 1 fin stop 4 ");
    DATA(&e, call, "late", false);
    expect(&e, "consume 4 ");
    assert_int_equal(read_message(&e, call, 1000), 0);
    expect(&e, "");
}

static void a_full_transport_is_asked_again_when_writable(void **state)
{
    (void)state;
    e.full = true;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "full ");
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "");
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "write 7 fin ");
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "");
}

static void calls_come_in_the_order_in_which_they_woke(void **state)
{
    (void)state;
    struct cv_rpc_call *a = serve(&e, &stream_1);
    struct cv_rpc_call *b = serve(&e, &stream_2);
    assert_int_equal(send_text(&e, b, "b", false), 0);
    assert_int_equal(send_text(&e, a, "a", false), 0);
    assert_int_equal(send_text(&e, b, "b", false), 0);
    struct cv_rpc_output out;
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_ptr_equal(out.stream, &stream_2);
    assert_ptr_equal(out.call, b);
    cv_rpc_conn_written(e.rc, b, true);
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_ptr_equal(out.stream, &stream_1);
    cv_rpc_conn_written(e.rc, a, true);
    assert_false(cv_rpc_conn_poll(e.rc, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_streams_window_is_held_back_until_messages_are_read,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(empty_messages_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_partial_message_never_holds_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_gives_all_window_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_transport_is_asked_again_when_writable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(calls_come_in_the_order_in_which_they_woke, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
