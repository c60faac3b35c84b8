#include "rpc/conn.h"

#include "fixture.h"

static struct end e;
static uint8_t large[5 << 20];

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

static void defaults(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    assert_int_equal(limits.message_send_max, 4194304);
    assert_int_equal(limits.message_receive_max, 4194304);
    assert_int_equal(limits.header_size_max, 9216);
    assert_int_equal(limits.calls_max, 1024);
    assert_int_equal(limits.receive_buffer_max, 262144);
    assert_int_equal(limits.receive_total_max, 8388608);
    assert_int_equal(limits.receive_lag_max, 4096);
    assert_int_equal(limits.send_memory_max, 8388608);
    assert_int_equal(limits.receive_memory_max, 33554432);
    assert_true(limits.header_timeout == 10 * COVEY_SECOND);
    assert_int_equal(limits.glitch_burst, 1000);
    assert_true(limits.glitch_interval == COVEY_SECOND / 33);
}

static void new_without_memory(void **state)
{
    (void)state;
    struct test_alloc memory;
    test_alloc_init(&memory);
    memory.fail_at = 1;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    struct cv_rpc_conn *rc = NULL;
    assert_int_equal(cv_rpc_conn_new(&memory.alloc, &limits, &rc), COVEY_ERR_NO_MEMORY);
    assert_null(rc);
    test_alloc_assert_empty(&memory);
    cv_rpc_conn_free(NULL);
}

static void free_takes_the_calls_along(void **state)
{
    (void)state;
    (void)start_within(&e, &stream_1, 5 * MS);
    expect(&e, "write 8 ");
    struct cv_rpc_call *call = serve(&e, &stream_2);
    assert_int_equal(send_bytes(&e, call, large, 10000, false), 0);
    assert_int_equal(data(&e, call, large, 0, true), 0);
}

static void message_sizes(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_bytes(&e, call, large, (4 << 20) + 1, false), COVEY_ERR_TOO_LARGE);
    expect(&e, "write 4 ");
    assert_int_equal(send_bytes(&e, call, large, 4 << 20, true), 0);
    struct cv_rpc_output out;
    size_t written = 0;
    bool fin = false;
    while (cv_rpc_conn_poll(e.rc, &out)) {
        assert_int_equal(out.type, CV_RPC_STREAM_WRITE);
        assert_true(out.write.bytes.size <= CV_RPC_WRITE_SIZE_MAX && !fin);
        written += out.write.bytes.size;
        fin = out.write.fin;
        cv_rpc_conn_written(e.rc, call, true);
    }
    assert_int_equal(written, (4 << 20) + 4);
    assert_true(fin);
    assert_int_equal(stats_of(&e).messages_sent, 1);
}

/* Fills up to the bound, to one byte beyond it, and drains to half. */
static void busy_and_writable(void **state)
{
    (void)state;
    e.full = true;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    size_t half = CV_RPC_SEND_WAITING_MAX / 2;
    assert_int_equal(send_bytes(&e, call, large, half - 4, false), 0);
    assert_int_equal(send_bytes(&e, call, large, half - 4, false), 0);
    assert_int_equal(cv_rpc_send_waiting(&call->send), CV_RPC_SEND_WAITING_MAX);
    assert_int_equal(send_text(&e, call, "", false), 0);
    assert_int_equal(send_text(&e, call, "", false), COVEY_ERR_BUSY);
    assert_int_equal(send_text(&e, call, "", false), COVEY_ERR_BUSY);
    expect(&e, "full ");
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "write 65536 write 65536 write 65536 write 65536 write 1 writable ");

    /* At one byte above half it is not told yet. */
    assert_int_equal(send_bytes(&e, call, large, CV_RPC_SEND_WAITING_MAX - 3, false), 0);
    assert_int_equal(send_text(&e, call, "", false), COVEY_ERR_BUSY);
    struct cv_rpc_output out;
    for (int i = 0; i < 2; i++) {
        assert_true(cv_rpc_conn_poll(e.rc, &out));
        assert_int_equal(out.type, CV_RPC_STREAM_WRITE);
        cv_rpc_conn_written(e.rc, call, true);
    }
    assert_int_equal(cv_rpc_send_waiting(&call->send), half + 1);
    e.full = true;
    expect(&e, "full ");
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "write 65536 write 65536 write 1 writable ");
}

/* He that sent his last message needs to hear of no room any more. */
static void the_last_message_ends_the_wait(void **state)
{
    (void)state;
    e.full = true;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_bytes(&e, call, large, CV_RPC_SEND_WAITING_MAX, false), 0);
    assert_int_equal(send_text(&e, call, "", true), COVEY_ERR_BUSY);
    e.full = false;
    struct cv_rpc_output out;
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    cv_rpc_conn_written(e.rc, call, true);
    assert_int_equal(send_text(&e, call, "", true), 0);
    expect(&e, "write 65536 write 65536 write 65536 write 9 fin ");
}

static void a_call_that_ends_is_not_writable(void **state)
{
    (void)state;
    e.full = true;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(send_bytes(&e, call, large, CV_RPC_SEND_WAITING_MAX, false), 0);
    assert_int_equal(send_text(&e, call, "", false), COVEY_ERR_BUSY);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "full stop 4 ");
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    expect(&e, "write 65536 write 65536 write 65536 write 65536 write 5 fin ");
}

/* Peers that read nothing cannot make a connection hold more than its limit. */
static void send_memory_is_shared(void **state)
{
    (void)state;
    e.full = true;
    struct cv_rpc_call *a = serve(&e, &stream_1);
    struct cv_rpc_call *b = serve(&e, &stream_1);
    struct cv_rpc_call *c = serve(&e, &stream_2);
    assert_int_equal(send_bytes(&e, a, large, 4 << 20, false), 0);
    assert_int_equal(send_bytes(&e, b, large, 3 << 20, false), 0);
    assert_int_equal(send_bytes(&e, c, large, 2 << 20, false), COVEY_ERR_BUSY);
    assert_int_equal(send_bytes(&e, c, large, 2 << 20, false), COVEY_ERR_BUSY);
    assert_true(e.rc->send_memory.used <= e.rc->limits.send_memory_max);
    /* A small one still fits, and a status always. */
    assert_int_equal(send_text(&e, c, "small", false), 0);
    expect(&e, "full full full ");
    stream_reset(&e, b, CV_RPC_CODE_CANCELLED);
    expect(&e, "cancelled reset 1 ");
    stream_reset(&e, a, CV_RPC_CODE_CANCELLED);
    expect(&e, "cancelled reset 1 writable ");
    assert_int_equal(send_bytes(&e, c, large, 2 << 20, false), 0);
}

static void expect_whole(struct end *one, size_t size, bool is_left)
{
    uint8_t request[5 + 2 + 300] = "\x0d\x02\x01m";
    size_t body = size - 4 - 2;
    assert_true(size <= sizeof request && body * 4 >= 64);
    request[4] = (uint8_t)(0x40 | body * 4 >> 8);
    request[5] = (uint8_t)(body * 4);
    struct cv_rpc_call *call = accept_stream(one, &stream_1);
    assert_int_equal(data(one, call, request, size, true), 0);
    struct cv_rpc_output out;
    size_t credit = 0;
    while (cv_rpc_conn_poll(one->rc, &out))
        credit += out.type == CV_RPC_STREAM_CONSUME ? out.consume.connection : 0;
    assert_int_equal(credit, is_left ? 0 : size);
}

/* What came whole and small is given back with its stream; not so much of it that it is felt. */
static void small_calls_leave_their_credit_to_the_close(void **state)
{
    (void)state;
    const size_t fit = CV_RPC_LEFT_TO_CLOSE_TOTAL / CV_RPC_LEFT_TO_CLOSE;
    struct end one;
    end_init(&one);
    expect_whole(&one, CV_RPC_LEFT_TO_CLOSE + 1, false);
    for (size_t i = 0; i < fit; i++)
        expect_whole(&one, CV_RPC_LEFT_TO_CLOSE, true);
    expect_whole(&one, CV_RPC_LEFT_TO_CLOSE, false);
    /* The stream of one of them closes: room for another one. */
    struct cv_rpc_call *call = LIST_NEXT(LIST_FIRST(&one.rc->all), link);
    assert_int_equal(step(&one, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(one.rc->left_to_close, CV_RPC_LEFT_TO_CLOSE_TOTAL - CV_RPC_LEFT_TO_CLOSE);
    expect_whole(&one, CV_RPC_LEFT_TO_CLOSE, true);
    end_fini(&one);
}

/* What its user holds is bounded, however small the messages are; what is no message passes. */
static void a_user_that_does_not_read_gets_no_more(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_buffer_max = 2 * CV_RPC_MESSAGE_COST;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *call = serve(&one, &stream_1);
    DATA(&one, call, "\x00\x00\x00\x00", false);
    expect(&one, "message() message() message() consume 0 of 4 ");
    assert_int_equal(read_message(&one, call, 0), 0);
    expect(&one, "message() ");
    assert_int_equal(read_message(&one, call, 0), 0);
    expect(&one, "consume 4 of 0 ");
    DATA(&one, call, "", true);
    expect(&one, "end ");
    assert_int_equal(one.rc->held, 2 * CV_RPC_MESSAGE_COST);

    /* A client's stream may even be closed by then. */
    call = start(&one, &stream_2);
    expect(&one, "write 4 ");
    DATA(&one, call,
         "\x04"
         "a\x04"
         "b\x04"
         "c\x02",
         true);
    assert_int_equal(step(&one, call, CV_RPC_STREAM_CLOSED), 0);
    expect(&one, "message(a) message(b) ");
    assert_int_equal(read_message(&one, call, 1), 0);
    expect(&one, "message(c) status OK by peer ");
    assert_int_equal(step(&one, call, CV_RPC_RELEASE), 0);
    assert_int_equal(one.rc->held, 2 * CV_RPC_MESSAGE_COST);
    end_fini(&one);
}

/* The users of all calls together hold too much: the calls wait in order. */
static void what_users_hold_is_shared(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_total_max = 100;
    limits.receive_lag_max = 0;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *a = serve(&one, &stream_1);
    struct cv_rpc_call *b = serve(&one, &stream_2);
    struct cv_rpc_call *c = serve(&one, &stream_1);
    struct cv_rpc_call *d = serve(&one, &stream_1);
    DATA(&one, a, "\xa0\x00", false); /* half of a head holds up nobody */
    DATA(&one, b,
         "\x04"
         "1\x04"
         "2\x04"
         "3",
         false);
    expect(&one, "consume 2 message(1) message(2) ");
    DATA(&one, c,
         "\x04"
         "4",
         false);
    DATA(&one, d,
         "\x04"
         "5",
         false);
    expect(&one, "");
    assert_int_equal(read_message(&one, b, 1), 0);
    expect(&one, "message(3) ");
    assert_int_equal(read_message(&one, b, 1), 0);
    expect(&one, "consume 6 message(4) ");
    DATA(&one, c, "", true);
    expect(&one, "end ");
    /* The user's hands are full, his ears are open. */
    stream_reset(&one, d, CV_RPC_CODE_CANCELLED);
    expect(&one, "cancelled consume 2 reset 1 ");
    assert_int_equal(step(&one, b, CV_RPC_RELEASE), 0);
    assert_int_equal(one.rc->held, 1 + CV_RPC_MESSAGE_COST);
    expect(&one, "write 26 fin stop 4 ");
    end_fini(&one);
}

/* Each call may be told of late: those that were read do not stop the one that was not. */
static void reading_may_be_told_of_late(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_total_max = 0;
    limits.receive_lag_max = CV_RPC_MESSAGE_COST;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *a = serve(&one, &stream_1);
    struct cv_rpc_call *b = serve(&one, &stream_2);
    struct cv_rpc_call *c = serve(&one, &stream_1);
    DATA(&one, a, "\x00", false);
    DATA(&one, b, "\x00", false);
    DATA(&one, c, "\x00\x00\x00", false);
    expect(&one, "message() consume 1 message() consume 1 message() message() ");
    /* With a call its share goes. */
    assert_int_equal(step(&one, a, CV_RPC_RELEASE), 0);
    expect(&one, "write 26 fin stop 4 message() ");
    assert_int_equal(step(&one, a, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(read_message(&one, c, 0), 0);
    expect(&one, "");
    assert_int_equal(read_message(&one, b, 0), 0);
    expect(&one, "consume 3 ");
    end_fini(&one);
}

static void a_call_that_waits_for_room_may_go(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_total_max = 0;
    limits.receive_lag_max = 0;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *a = serve(&one, &stream_1);
    struct cv_rpc_call *b = serve(&one, &stream_2);
    DATA(&one, a, "\x00", false);
    DATA(&one, b, "\x00", false);
    expect(&one, "message() ");
    assert_ptr_equal(TAILQ_FIRST(&one.rc->withheld), a);
    stream_reset(&one, b, CV_RPC_CODE_CANCELLED);
    expect(&one, "cancelled consume 1 reset 1 ");
    assert_int_equal(step(&one, b, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&one, b, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(&one, a, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&one, a, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(one.rc), 0);
    assert_true(TAILQ_EMPTY(&one.rc->withheld));
    expect(&one, "");
    end_fini(&one);
}

/* A peer that begins many large messages and completes none. */
static void receive_memory_is_shared(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.receive_memory_max = 8u << 20;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *calls[4];
    for (size_t i = 0; i < 4; i++) {
        calls[i] = serve(&one, &stream_1);
        DATA(&one, calls[i], "\x81\x00\x00\x00", false);
        expect(&one, "consume 4 ");
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(data(&one, calls[i], large, 4190000, false), 0);
        expect(&one, "consume 4190000 ");
    }
    assert_int_equal(data(&one, calls[2], large, 100000, false), 0);
    expect(&one, "cancelled consume 100000 write 20 fin stop 1 ");
    assert_int_equal(one.written[4], COVEY_STATUS_RESOURCE_EXHAUSTED);
    assert_true(one.rc->receive_memory.used <= limits.receive_memory_max);
    assert_int_equal(stats_of(&one).memory_refused, 1);
    assert_int_equal(data(&one, calls[0], large, (4 << 20) - 4190000, false), 0);
    expect(&one, "message[4194304] consume 0 of 4304 ");
    assert_int_equal(read_message(&one, calls[0], 4 << 20), 0);
    expect(&one, "consume 4304 of 0 ");
    assert_int_equal(data(&one, calls[3], large, 100000, false), 0);
    expect(&one, "consume 100000 ");
    end_fini(&one);
}

/* A limit below one message would let none through. */
static void one_message_always_fits(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.send_memory_max = 0;
    limits.receive_memory_max = 0;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *call = serve(&one, &stream_1);
    one.full = true;
    assert_int_equal(send_bytes(&one, call, large, CV_RPC_SEND_WAITING_MAX - 4, false), 0);
    assert_int_equal(send_bytes(&one, call, large, 4 << 20, false), 0);
    DATA(&one, call, "\x81\x00\x00\x00", false);
    assert_int_equal(data(&one, call, large, 4 << 20, false), 0);
    expect(&one, "message[4194304] consume 0 of 4194308 full ");
    end_fini(&one);
}

static void lost_ends_every_call_once(void **state)
{
    (void)state;
    struct cv_rpc_call *running = start_within(&e, &stream_1, 5 * MS);
    struct cv_rpc_call *unbound = start(&e, NULL);
    struct cv_rpc_call *answered = start(&e, &stream_2);
    expect(&e, "write 8 write 4 ");
    struct cv_rpc_call *server = serve(&e, &stream_1);
    struct cv_rpc_call *finished = serve(&e, &stream_1);
    assert_int_equal(finish(&e, finished, COVEY_STATUS_OK, ""), 0);
    (void)accept_stream(&e, &stream_1); /* without a header */
    DATA(&e, answered, "\x08ok\x02", false);
    cv_rpc_conn_lost(e.rc, "gone");
    cv_rpc_conn_lost(e.rc, "gone");
    assert_int_equal(cv_rpc_conn_count(e.rc), 5);
    assert_null(cv_rpc_conn_unbound(e.rc));
    expect(&e, "message(ok) status OK by peer cancelled status UNAVAILABLE not started status "
               "UNAVAILABLE ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);

    struct cv_rpc_start again = {.method = cv_slice_text("m"), .deadline = COVEY_NEVER};
    struct cv_rpc_call *call = NULL;
    assert_int_equal(cv_rpc_conn_start(e.rc, &again, e.now, &call), COVEY_ERR_CLOSED);
    assert_int_equal(send_text(&e, running, "late", false), COVEY_ERR_STATE);
    struct cv_rpc_call *all[] = {running, unbound, answered, server, finished};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(step(&e, all[i], CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    expect(&e, "");
}

/* The reason that the transport knows reaches the user; a stream lost alone has its own. */
static void lost_says_why(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    (void)start(&e, NULL);
    struct cv_rpc_output out;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_true(cv_slice_equal(out.end.status.message, cv_slice_text("the stream is lost")));
    cv_rpc_conn_lost(e.rc, "timed out");
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_int_equal(out.type, CV_RPC_EVENT_STATUS);
    assert_int_equal(out.end.status.code, COVEY_STATUS_UNAVAILABLE);
    assert_true(cv_slice_equal(out.end.status.message, cv_slice_text("timed out")));
}

static void statistics(void **state)
{
    (void)state;
    struct cv_rpc_call *client = start_within(&e, &stream_1, 5 * MS);
    assert_int_equal(send_text(&e, client, "a", false), 0);
    DATA(&e, client, "\x00\x00", false);
    struct cv_rpc_call *server = accept_stream(&e, &stream_2);
    DATA(&e, server, "\x0d\x02\x01m\x00", true);
    expect(&e, "message() message() consume 2 write 10 call(m) message() end ");
    assert_int_equal(send_text(&e, server, "b", false), 0);
    assert_int_equal(step(&e, server, CV_RPC_CANCEL), 0);
    time_passes(&e, 5 * MS);
    struct cv_rpc_stats s = stats_of(&e);
    struct cv_rpc_stats wanted = {.calls_started = 1,
                                  .calls_accepted = 1,
                                  .calls_cancelled = 1,
                                  .deadlines_exceeded = 1,
                                  .messages_sent = 2,
                                  .messages_received = 3};
    assert_memory_equal(&s, &wanted, sizeof s);
}

static void deadlines_fire_in_order(void **state)
{
    (void)state;
    struct cv_rpc_call *late = start_within(&e, &stream_1, 3 * MS);
    struct cv_rpc_call *early = start_within(&e, &stream_2, 2 * MS);
    expect(&e, "write 8 write 8 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == cv_rpc_call_deadline(early));
    time_passes(&e, 3 * MS);
    struct cv_rpc_output out;
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_ptr_equal(out.call, early);
    expect(&e, "reset 2 stop 2 status DEADLINE_EXCEEDED reset 2 stop 2 ");
    (void)late;
}

/* ---- Without memory, at each place where some is asked for ---- */

static void try_everything(struct end *one)
{
    static char value[600];
    struct cv_rpc_metadata metadata = {cv_slice_text("k"), cv_slice_of(value, sizeof value)};
    struct cv_rpc_start begin = {.method = cv_slice_text("m"),
                                 .deadline = one->now + MS,
                                 .metadata = &metadata,
                                 .metadata_count = 1,
                                 .stream = &stream_1};
    struct cv_rpc_call *client = NULL, *server = NULL;
    struct cv_rpc_output out;
    int error = cv_rpc_conn_start(one->rc, &begin, one->now, &client);
    assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY);
    assert_true((error == 0) == (client != NULL));
    if (client != NULL) {
        (void)send_bytes(one, client, large, 3000, true);
        (void)data(one, client, "\x4b\xb8", 2, false); /* a reserved frame of 750 bytes */
        (void)data(one, client, large, 600, false);
    }
    struct cv_rpc_input in = {.type = CV_RPC_STREAM_ACCEPTED,
                              .now = one->now,
                              .accepted = {.stream = &stream_2, .call = &server}};
    error = cv_rpc_conn_step(one->rc, &in);
    assert_true((error == 0) == (server != NULL));
    if (server != NULL) {
        (void)data(one, server, "\x0d\x02\x01m\x4b\xb8", 6, false);
        (void)data(one, server, large, 700, false);
    }
    one->call = NULL;
    while (cv_rpc_conn_poll(one->rc, &out))
        end_log_output(one, &out);
    if (one->call != NULL) {
        (void)send_bytes(one, one->call, large, 2000, false);
        assert_int_equal(
            finish_details(one, one->call, COVEY_STATUS_ABORTED, "text", cv_slice_of(large, 1000)),
            0);
    }
    while (cv_rpc_conn_poll(one->rc, &out))
        end_log_output(one, &out);
    cv_rpc_conn_lost(one->rc, "gone");
    while (cv_rpc_conn_poll(one->rc, &out))
        end_log_output(one, &out);
}

static void no_memory_anywhere(void **state)
{
    (void)state;
    size_t total = SIZE_MAX;
    for (size_t n = 1; n <= total; n++) {
        for (int all_after = 0; all_after < 2; all_after++) {
            struct end one;
            end_init(&one);
            one.memory.fail_at = one.memory.calls + n;
            one.memory.fail_all_after = all_after == 1;
            try_everything(&one);
            if (one.memory.calls < one.memory.fail_at)
                total = n;
            end_fini(&one);
        }
    }
    assert_true(total > 6);
}

static void data_without_memory_ends_the_call(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    e.memory.fail_at = e.memory.calls + 1;
    assert_int_equal(data(&e, call, large, 300, false), COVEY_ERR_NO_MEMORY);
    expect(&e, "cancelled consume 300 write 20 fin stop 1 ");
    call = start(&e, &stream_2);
    expect(&e, "write 4 ");
    e.memory.fail_at = e.memory.calls + 1;
    assert_int_equal(data(&e, call, large, 300, true), COVEY_ERR_NO_MEMORY);
    expect(&e, "status RESOURCE_EXHAUSTED consume 300 reset 1 ");
}

static void send_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    e.memory.fail_at = e.memory.calls + 1;
    assert_int_equal(send_bytes(&e, call, large, 300, true), COVEY_ERR_NO_MEMORY);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 7 fin ");
    assert_int_equal(stats_of(&e).messages_sent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(new_without_memory),
        cmocka_unit_test_setup_teardown(free_takes_the_calls_along, setup, teardown),
        cmocka_unit_test_setup_teardown(message_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(busy_and_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_message_ends_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_that_ends_is_not_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(send_memory_is_shared, setup, teardown),
        cmocka_unit_test(small_calls_leave_their_credit_to_the_close),
        cmocka_unit_test(a_user_that_does_not_read_gets_no_more),
        cmocka_unit_test(what_users_hold_is_shared),
        cmocka_unit_test(reading_may_be_told_of_late),
        cmocka_unit_test(a_call_that_waits_for_room_may_go),
        cmocka_unit_test(receive_memory_is_shared),
        cmocka_unit_test(one_message_always_fits),
        cmocka_unit_test_setup_teardown(lost_ends_every_call_once, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(statistics, setup, teardown),
        cmocka_unit_test_setup_teardown(deadlines_fire_in_order, setup, teardown),
        cmocka_unit_test(no_memory_anywhere),
        cmocka_unit_test_setup_teardown(data_without_memory_ends_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(send_without_memory_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
