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

/* ---- in one look, and frame by frame ---- */

/* Two ends with the same limits: one looks at what came whole in one look, if it lies on its tray; the other has
 * no tray. */
struct both {
    struct cv_rpc_shared shared;
    struct end plain, general;
};

static void both_init(struct both *b, struct cv_rpc_limits limits)
{
    memset(&b->shared, 0, sizeof b->shared);
    limits.tells_whole = true;
    limits.shared = NULL;
    end_init_limits(&b->general, &limits);
    limits.shared = &b->shared;
    end_init_limits(&b->plain, &limits);
}

static void both_fini(struct both *b)
{
    cv_rpc_conn_free(b->plain.rc);
    cv_rpc_shared_fini(&b->shared, &b->plain.memory.alloc);
    test_alloc_assert_empty(&b->plain.memory);
    end_fini(&b->general);
}

static void collect(struct end *from)
{
    struct cv_rpc_output out;
    while (cv_rpc_conn_poll(from->rc, &out))
        end_log_output(from, &out);
    from->trace[from->trace_size] = 0;
    from->trace_size = 0;
}

static void assert_same(struct both *b)
{
    struct end *p = &b->plain, *g = &b->general;
    collect(p);
    collect(g);
    assert_string_equal(p->trace, g->trace);
    assert_int_equal(p->written_size, g->written_size);
    assert_memory_equal(p->written, g->written, p->written_size);
    p->written_size = g->written_size = 0;
    struct cv_rpc_stats a = stats_of(p), c = stats_of(g);
    assert_memory_equal(&a, &c, sizeof a);
    assert_int_equal(p->rc->held, g->rc->held);
    assert_int_equal(p->rc->executing, g->rc->executing);
    assert_int_equal(p->rc->left_to_close, g->rc->left_to_close);
    assert_int_equal(p->rc->count, g->rc->count);
    assert_int_equal(cv_rpc_conn_deadline(p->rc), cv_rpc_conn_deadline(g->rc));
    assert_int_equal(b->shared.lent, 0);
}

/* One more call on each, which stay open: limits are reached and deadlines add up. */
static void feed_both(struct both *b, const void *bytes, size_t size, bool is_client)
{
    struct end *ends[] = {&b->plain, &b->general};
    struct cv_rpc_call *calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = is_client ? start(ends[i], &stream_1) : accept_stream(ends[i], &stream_1);
        if (is_client)
            assert_int_equal(send_text(ends[i], calls[i], "x", true), 0);
    }
    assert_same(b);
    for (int i = 0; i < 2; i++)
        assert_int_equal(data(ends[i], calls[i], bytes, size, true), 0);
    assert_same(b);
    if (!is_client)
        return;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(step(ends[i], calls[i], CV_RPC_RELEASE), 0);
        assert_int_equal(step(ends[i], calls[i], CV_RPC_STREAM_CLOSED), 0);
    }
    assert_same(b);
}

/* What begins as a usual stream, with each byte made each other one, and cut off everywhere. */
static void feed_mutations(const struct cv_rpc_limits *limits, const char *usual, size_t size,
                           bool is_client)
{
    static struct both b;
    char bytes[64];
    assert_true(size < sizeof bytes);
    both_init(&b, *limits);
    for (size_t cut = 0; cut <= size; cut++)
        feed_both(&b, usual, cut, is_client);
    for (size_t at = 0; at < size; at++) {
        memcpy(bytes, usual, size);
        for (unsigned value = 0; value < 256; value++) {
            bytes[at] = (char)value;
            feed_both(&b, bytes, size, is_client);
        }
    }
    both_fini(&b);
}

static const char usual_request[] = "\x31\x01\x04\x80\x1e\x84\x80\x02\x04"
                                    "echo\x08hi";
static const char short_request[] = "\x0d\x02\x01m\x08hi";
static const char usual_answer[] = "\x08hi\x02";

static void one_look_sees_what_frames_show(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.calls_max = UINT32_MAX;
    limits.glitch_burst = UINT32_MAX;
    feed_mutations(&limits, usual_request, sizeof usual_request - 1, false);
    feed_mutations(&limits, short_request, sizeof short_request - 1, false);
    feed_mutations(&limits, usual_answer, sizeof usual_answer - 1, true);
}

static void one_look_keeps_the_limits(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.glitch_burst = 10;
    limits.calls_max = 3;
    feed_mutations(&limits, usual_request, sizeof usual_request - 1, false);
    limits.calls_max = 1024;
    limits.receive_total_max = 150;
    limits.receive_lag_max = 0;
    feed_mutations(&limits, short_request, sizeof short_request - 1, false);
    cv_rpc_limits_init(&limits);
    limits.message_receive_max = 1;
    feed_mutations(&limits, usual_request, sizeof usual_request - 1, false);
    feed_mutations(&limits, usual_answer, sizeof usual_answer - 1, true);
    cv_rpc_limits_init(&limits);
    limits.header_size_max = 10;
    feed_mutations(&limits, usual_request, sizeof usual_request - 1, false);
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
        cmocka_unit_test(one_look_sees_what_frames_show),
        cmocka_unit_test(one_look_keeps_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
