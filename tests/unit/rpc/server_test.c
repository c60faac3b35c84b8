#include "rpc/server.h"

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

static void unary_is_one_write(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x0d\x02\x01m\x08hi", true);
    expect(&e, "call(m) message(hi) end ");
    assert_false(cv_rpc_call_is_client(call));
    assert_int_equal(send_text(&e, call, "ok", false), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "write 4 fin ");
    expect_written(&e, "\x08ok\x02", 4);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 1);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

/* An event answered on the spot, with the very bytes that it points to. */
static void echo_between_two_polls(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x0d\x02\x01m\x08hi", true);
    struct cv_rpc_output out;
    while (cv_rpc_conn_poll(e.rc, &out) && out.type != CV_RPC_EVENT_MESSAGE)
        continue;
    struct cv_rpc_input in = {
        .type = CV_RPC_SEND, .now = e.now, .call = call, .send = {.message = out.message}};
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), 0);
    assert_int_equal(read_message(&e, call, 2), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    /* No STOP: the client's end is there, though nobody looked at it. */
    expect(&e, "write 4 fin ");
    expect_written(&e, "\x08hi\x02", 4);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static int reply(struct cv_rpc_call *call, const char *text, struct cv_writer *room)
{
    struct cv_rpc_input in = {.type = CV_RPC_REPLY,
                              .now = e.now,
                              .call = call,
                              .reply = {.message = cv_slice_text(text), .room = room}};
    return cv_rpc_conn_step(e.rc, &in);
}

/* A message whose first bytes the transport takes from where they are. */
static void a_large_message_is_not_copied_where_it_is_the_first(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    struct cv_rpc_direct direct = {.size_max = 600};
    struct cv_rpc_call *call = serve(&e, &stream_1);
    struct cv_rpc_input in = {
        .type = CV_RPC_SEND,
        .now = e.now,
        .call = call,
        .send = {.message = cv_slice_of(bytes, sizeof bytes), .direct = &direct}};
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), 0);
    assert_int_equal(direct.head_size, 2);
    assert_int_equal(direct.body.size, 598);

    /* The next one waits behind the rest of it. */
    direct = (struct cv_rpc_direct){.size_max = 600};
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), 0);
    assert_int_equal(direct.head_size, 0);
    expect(&e, "write 1404 ");

    /* A transport that has no room takes nothing. */
    direct.size_max = 0;
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), 0);
    assert_int_equal(direct.head_size, 0);
    e.full = true;
    expect(&e, "full ");
    direct.size_max = 600;
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), 0);
    assert_int_equal(direct.head_size, 0);
    e.full = false;
    assert_int_equal(step(&e, call, CV_RPC_STREAM_WRITABLE), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    direct.size_max = 600;
    assert_int_equal(cv_rpc_conn_step(e.rc, &in), COVEY_ERR_STATE);
    assert_int_equal(direct.head_size, 0);
    expect(&e, "write 2005 fin stop 4 ");
}

/* The transport's own memory takes the answer, when all of it fits. */
static void a_small_reply_is_written_where_it_is_sent_from(void **state)
{
    (void)state;
    uint8_t memory[4];
    struct cv_writer room;
    cv_writer_init(&room, memory, sizeof memory);
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x0d\x02\x01m\x08hi", true);
    expect(&e, "call(m) message(hi) end ");
    assert_int_equal(reply(call, "ok", &room), 0);
    assert_int_equal(cv_writer_size(&room), 4);
    assert_memory_equal(memory, "\x08ok\x02", 4);
    assert_int_equal(stats_of(&e).messages_sent, 1);
    assert_int_equal(reply(call, "ok", &room), COVEY_ERR_STATE);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), COVEY_ERR_STATE);
    expect(&e, "");
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);

    /* The client is still sending: it is stopped, and its deadline has nothing to end any more. */
    cv_writer_init(&room, memory, sizeof memory);
    call = accept_stream(&e, &stream_2);
    DATA(&e, call, "\x19\x01\x01\x05\x02\x01m", false);
    expect(&e, "call(m) in 5 us consume 7 ");
    assert_int_equal(reply(call, "ok", &room), 0);
    expect(&e, "stop 4 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
}

/* The transport may close the stream for an answered call, and only for such a one. */
static void an_answered_call_is_carried(void **state)
{
    uint8_t memory[64];
    struct cv_writer room;
    (void)state;
    cv_writer_init(&room, memory, sizeof memory);
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x0d\x02\x01m\x08hi", false);
    expect(&e, "call(m) message(hi) consume 7 ");
    assert_int_equal(read_message(&e, call, 2), 0);
    assert_false(cv_rpc_call_is_carried(call));
    assert_int_equal(reply(call, "ok", &room), 0);
    assert_false(cv_rpc_call_is_carried(call)); /* its client may still send */
    DATA(&e, call, "", true);
    assert_true(cv_rpc_call_is_carried(call));
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static void a_reply_that_does_not_fit_goes_the_usual_way(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct cv_writer room;
    const struct cv_rpc_metadata entry = {cv_slice_text("k"), cv_slice_text("v")};
    struct cv_rpc_call *call = serve(&e, &stream_1);
    cv_writer_init(&room, memory, 3);
    assert_int_equal(reply(call, "ok", &room), 0);
    assert_int_equal(cv_writer_size(&room), 0);
    expect(&e, "write 4 fin stop 4 ");
    expect_written(&e, "\x08ok\x02", 4);

    /* Nor does one that metadata goes before. */
    call = serve(&e, &stream_2);
    cv_writer_init(&room, memory, sizeof memory);
    assert_int_equal(send_metadata(&e, call, &entry, 1), 0);
    assert_int_equal(reply(call, "ok", &room), 0);
    assert_int_equal(cv_writer_size(&room), 0);
    expect(&e, "write 10 fin stop 4 ");

    /* A client that is gone, and an answer that is too large. */
    call = serve(&e, &stream_2);
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    assert_int_equal(reply(call, "ok", &room), COVEY_ERR_STATE);
    expect(&e, "cancelled reset 1 ");
    struct cv_rpc_limits limits;
    struct end small;
    cv_rpc_limits_init(&limits);
    limits.message_send_max = 1;
    end_init_limits(&small, &limits);
    call = serve(&small, &stream_1);
    struct cv_rpc_input in = {.type = CV_RPC_REPLY,
                              .now = small.now,
                              .call = call,
                              .reply = {.message = cv_slice_text("ok"), .room = &room}};
    assert_int_equal(cv_rpc_conn_step(small.rc, &in), COVEY_ERR_TOO_LARGE);
    assert_int_equal(cv_writer_size(&room), 0);
    end_fini(&small);
}

static void header_with_everything(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x40\x49\x01\x01\x05\x02\x02me\x03\x05\x01kabc\x03\x02\x01k", false);
    expect(&e, "call(me) in 5 us key(k) value(abc) key(k) value() consume 20 ");
    assert_true(cv_rpc_call_deadline(call) == e.now + 5 * COVEY_MICROSECOND);
}

static void metadata_before_the_first_message(void **state)
{
    (void)state;
    const struct cv_rpc_metadata entries[] = {{cv_slice_text("k"), cv_slice_text("v")},
                                              {cv_slice_text("k"), {0}}};
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(send_metadata(&e, call, entries, 2), 0);
    expect(&e, "write 10 ");
    expect_written(&e, "\x25\x03\x03\x01kv\x03\x02\x01k", 10);
    assert_int_equal(send_metadata(&e, call, entries, 2), COVEY_ERR_STATE);
    assert_int_equal(send_text(&e, call, "hi", false), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(send_metadata(&e, call, entries, 2), COVEY_ERR_STATE);
    expect(&e, "write 4 fin stop 4 ");

    /* None is something to say, too; and with the status at the latest. */
    call = serve(&e, &stream_2);
    e.written_size = 0;
    assert_int_equal(send_metadata(&e, call, NULL, 0), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_NOT_FOUND, ""), 0);
    expect(&e, "write 5 fin stop 4 ");
    expect_written(&e, "\x01\x0e\x01\x01\x05", 5);
}

static void metadata_that_is_refused(void **state)
{
    (void)state;
    static char value[9300];
    struct cv_rpc_metadata entries[CV_RPC_METADATA_COUNT_MAX + 1];
    for (size_t i = 0; i < CV_RPC_METADATA_COUNT_MAX + 1; i++)
        entries[i] = (struct cv_rpc_metadata){cv_slice_text("k"), {0}};
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(send_metadata(&e, call, entries, CV_RPC_METADATA_COUNT_MAX + 1),
                     COVEY_ERR_TOO_LARGE);
    /* Tag, two bytes of size and "\1k" before the value. */
    entries[0].value = cv_slice_of(value, 9216 - 5 + 1);
    assert_int_equal(send_metadata(&e, call, entries, 1), COVEY_ERR_TOO_LARGE);
    entries[0] = (struct cv_rpc_metadata){cv_slice_text("No"), {0}};
    assert_int_equal(send_metadata(&e, call, entries, 1), COVEY_ERR_INVALID_ARGUMENT);
    entries[0] = (struct cv_rpc_metadata){cv_slice_text("k"), cv_slice_of(value, 9216 - 5)};
    e.memory.fail_at = e.memory.calls + 1;
    assert_int_equal(send_metadata(&e, call, entries, 1), COVEY_ERR_NO_MEMORY);
    expect(&e, "");
    assert_int_equal(send_metadata(&e, call, entries, 1), 0);
    expect(&e, "write 9220 ");

    call = serve(&e, &stream_2);
    assert_int_equal(send_text(&e, call, "hi", false), 0);
    entries[0].value = (struct cv_slice){0};
    assert_int_equal(send_metadata(&e, call, entries, 1), COVEY_ERR_STATE);
    expect(&e, "write 3 ");
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    assert_int_equal(send_metadata(&e, call, entries, 1), COVEY_ERR_STATE);
    expect(&e, "cancelled reset 1 ");
}

/* The memory for sending is full of another call's messages. */
static void metadata_waits_for_memory(void **state)
{
    (void)state;
    static char value[9000];
    struct cv_rpc_metadata entry = {cv_slice_text("k"), cv_slice_of(value, sizeof value)};
    struct cv_rpc_call *call = serve(&e, &stream_1);
    struct cv_rpc_memory *m = &e.rc->send_memory;
    m->used += m->used_max;
    assert_int_equal(send_metadata(&e, call, &entry, 1), COVEY_ERR_BUSY);
    expect(&e, "");
    m->used -= m->used_max;
    expect(&e, "writable ");
    assert_int_equal(send_metadata(&e, call, &entry, 1), 0);
    expect(&e, "write 9009 ");
}

/* Calls under way go on; no user hears of new ones, whatever of them is there. */
static void drain_refuses_new_streams(void **state)
{
    (void)state;
    struct cv_rpc_call *running = serve(&e, &stream_1);
    cv_rpc_conn_drain(e.rc);
    cv_rpc_conn_drain(e.rc);
    struct cv_rpc_call *call = accept_stream(&e, &stream_2);
    DATA(&e, call, "\x0d\x02\x01m\x08hi", true);
    expect(&e, "reset 5 ");
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    call = accept_stream(&e, &stream_2);
    expect(&e, "reset 5 stop 5 ");
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    stream_stopped(&e, call, CV_RPC_CODE_CANCELLED);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    expect(&e, "");
    assert_int_equal(cv_rpc_conn_count(e.rc), 1);
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);

    DATA(&e, running, "\x08yo", true);
    expect(&e, "message(yo) end ");
    assert_int_equal(finish(&e, running, COVEY_STATUS_OK, ""), 0);
    expect(&e, "write 1 fin ");
    /* The other way round there is no end to calls. */
    (void)start(&e, &stream_2);
    expect(&e, "write 4 ");
    assert_int_equal(stats_of(&e).calls_rejected, 2);
    assert_int_equal(stats_of(&e).calls_accepted, 1);
    assert_int_equal(stats_of(&e).calls_cancelled, 0);
}

static void finish_before_the_client_ends(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(finish(&e, call, COVEY_STATUS_NOT_FOUND, "why"), 0);
    expect(&e, "write 9 fin stop 4 ");
    expect_written(&e, "\x22\x01\x01\x05\x02\x03why", 9);
}

static void finish_once(void **state)
{
    (void)state;
    struct cv_rpc_call *call = serve(&e, &stream_1);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), COVEY_ERR_STATE);
    assert_int_equal(send_text(&e, call, "late", false), COVEY_ERR_STATE);
    expect(&e, "write 1 fin stop 4 ");
}

static void details_that_are_too_large(void **state)
{
    (void)state;
    static char details[10000];
    struct cv_rpc_call *call = serve(&e, &stream_1);
    /* 3 for the code, tag and two bytes of size before the details. */
    size_t most = 9216 - 3 - 3;
    assert_int_equal(
        finish_details(&e, call, COVEY_STATUS_ABORTED, "", cv_slice_of(details, most + 1)),
        COVEY_ERR_TOO_LARGE);
    assert_int_equal(
        finish_details(&e, call, COVEY_STATUS_ABORTED, "", cv_slice_of(details, SIZE_MAX)),
        COVEY_ERR_TOO_LARGE);
    expect(&e, "");
    assert_int_equal(finish_details(&e, call, COVEY_STATUS_ABORTED, "", cv_slice_of(details, most)),
                     0);
    expect(&e, "write 9220 fin stop 4 ");
}

/* What must not be there is refused on the stream; what no honest client sends closes too. */
static void broken_requests(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool fin;
        const char *trace;
        const char *code;
    } cases[] = {
        {"", 0, true, "write %d fin ", "\x03"},
        {"\x0d\x02", 2, true, "write %d fin ", "\x03"},
        {"\x01", 1, false, "consume 1 write %d fin stop 3 ", "\x03"},
        {"\x0d\x02\x01 ", 4, false, "consume 4 write %d fin stop 3 ", "\x03"},
        {"\x40\x01", 2, false, "consume 2 write %d fin stop 3 ", "\x03"},
        {"\x00", 1, false, "consume 1 write %d fin stop 3 close violation ", "\x03"},
        {"\x02", 1, false, "consume 1 write %d fin stop 3 close violation ", "\x03"},
        {"\x0d\x02\x01m\x0d\x02\x01m", 8, false,
         "call(m) cancelled consume 8 write %d fin stop 3 close violation ", "\x03"},
        {"\x0d\x02\x01m\x02", 5, true, "call(m) cancelled write %d fin close violation ", "\x03"},
        {"\x0d\x02\x01m\x08h", 6, true, "call(m) cancelled write %d fin ", "\x03"},
        {"\x0d\x02\x01m\x81\x00\x00\x04", 8, false,
         "call(m) cancelled consume 8 write %d fin stop 1 ", "\x08"},
        {"\x80\x00\x90\x05", 4, false, "consume 4 write %d fin stop 1 ", "\x08"},
        {"\x19\x01\x01\x00\x02\x01m", 7, true, "write %d fin ", "\x04"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct end one;
        end_init(&one);
        struct cv_rpc_call *call = accept_stream(&one, &stream_1);
        assert_int_equal(data(&one, call, cases[i].bytes, cases[i].size, cases[i].fin), 0);
        struct cv_rpc_output out;
        while (cv_rpc_conn_poll(one.rc, &out))
            end_log_output(&one, &out);
        char trace[128];
        snprintf(trace, sizeof trace, cases[i].trace, (int)one.written_size);
        expect(&one, trace);
        size_t code_at = one.written[0] < 0x40 ? 3 : 4;
        assert_int_equal(one.written[code_at], cases[i].code[0]);
        assert_int_equal(stats_of(&one).protocol_errors, i < 10 ? 1 : 0);
        assert_int_equal(stats_of(&one).frames_too_large, i == 10 || i == 11 ? 1 : 0);
        end_fini(&one);
    }
}

static void a_violation_closes_once(void **state)
{
    (void)state;
    DATA(&e, accept_stream(&e, &stream_1), "\x02", true);
    DATA(&e, accept_stream(&e, &stream_2), "\x02", true);
    expect(&e, "write 35 fin write 35 fin close violation ");
    DATA(&e, accept_stream(&e, &stream_1), "\x02", true);
    expect(&e, "write 35 fin ");
    assert_int_equal(stats_of(&e).protocol_errors, 3);
}

static void header_must_come_in_time(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
    DATA(&e, call, "\x0d", false);
    expect(&e, "consume 1 ");
    covey_time limit = e.now + 10 * COVEY_SECOND;
    assert_true(cv_rpc_conn_deadline(e.rc) <= limit);
    time_passes(&e, 9 * COVEY_SECOND);
    DATA(&e, call, "\x02", false);
    expect(&e, "consume 1 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == limit);
    time_passes(&e, COVEY_SECOND);
    expect(&e, "write 21 fin stop 2 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);

    call = accept_stream(&e, &stream_2);
    expect(&e, "");
    DATA(&e, call, "\x0d\x02\x01m", false);
    expect(&e, "call(m) consume 4 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == COVEY_NEVER);
}

static void header_timeout_is_replaced_by_the_deadline(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    expect(&e, "");
    time_passes(&e, 3 * MS);
    DATA(&e, call, "\x19\x01\x01\x05\x02\x01m", false);
    expect(&e, "call(m) in 5 us consume 7 ");
    assert_true(cv_rpc_conn_deadline(e.rc) == e.now + 5 * COVEY_MICROSECOND);
}

static void largest_timeout_is_a_century(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x35\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01m", false);
    expect(&e, "call(m) in 3155760000000000 us consume 14 ");
}

static void cancelled_calls_count_until_release(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.calls_max = 2;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *a = serve(&one, &stream_1);
    struct cv_rpc_call *b = serve(&one, &stream_2);
    for (int i = 0; i < 3; i++) {
        stream_reset(&one, i == 0 ? a : b, CV_RPC_CODE_CANCELLED);
        expect(&one, i == 0 ? "cancelled reset 1 " : i == 1 ? "cancelled reset 1 " : "");
    }
    assert_int_equal(step(&one, a, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(&one, b, CV_RPC_STREAM_CLOSED), 0);
    struct cv_rpc_call *c = accept_stream(&one, &stream_1);
    DATA(&one, c, "\x0d\x02\x01m", false);
    expect(&one, "consume 4 write 21 fin stop 4 ");
    assert_int_equal(one.written[4], COVEY_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(step(&one, c, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(one.rc), 2);
    assert_int_equal(stats_of(&one).calls_refused, 1);

    assert_int_equal(finish(&one, a, COVEY_STATUS_OK, ""), 0);
    assert_int_equal(step(&one, a, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(one.rc), 1);
    (void)serve(&one, &stream_1);
    end_fini(&one);
}

static void open_and_reset(struct end *one)
{
    struct cv_rpc_call *call = accept_stream(one, &stream_1);
    DATA(one, call, "\x0d\x02\x01m\x08hi", false);
    stream_reset(one, call, CV_RPC_CODE_CANCELLED);
    stream_stopped(one, call, CV_RPC_CODE_CANCELLED);
    assert_int_equal(step(one, call, CV_RPC_STREAM_CLOSED), 0);
}

/* Opened and reset before anybody looked: the user hears nothing, nothing stays. */
static void rapid_resets_leave_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        open_and_reset(&e);
        assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    }
    expect(&e, "close flood ");
    assert_int_equal(stats_of(&e).calls_cancelled, 3000);
    assert_int_equal(stats_of(&e).glitches, 3000);
    assert_true(e.memory.calls < 10);
}

/* 1000 at once, then 33 each second. */
static void rapid_resets_have_a_budget(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        open_and_reset(&e);
    expect(&e, "");
    time_passes(&e, COVEY_SECOND);
    for (int i = 0; i < 33; i++)
        open_and_reset(&e);
    expect(&e, "");
    open_and_reset(&e);
    expect(&e, "close flood ");
    open_and_reset(&e);
    expect(&e, "");
}

/* The time-outs of a client whose server is stuck are no attack; each call counts once. */
static void late_cancels_are_free(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.glitch_burst = 1;
    struct end one;
    end_init_limits(&one, &limits);
    struct cv_rpc_call *call = serve(&one, &stream_1);
    time_passes(&one, COVEY_SECOND);
    stream_reset(&one, call, CV_RPC_CODE_DEADLINE);
    expect(&one, "cancelled reset 1 ");
    assert_int_equal(stats_of(&one).glitches, 0);

    call = serve(&one, &stream_2);
    time_passes(&one, COVEY_SECOND - 1);
    stream_reset(&one, call, CV_RPC_CODE_CANCELLED);
    stream_stopped(&one, call, CV_RPC_CODE_CANCELLED);
    expect(&one, "cancelled ");
    assert_int_equal(stats_of(&one).glitches, 1);

    /* An answered call that the client then resets is no cancel. */
    call = serve(&one, &stream_1);
    assert_int_equal(finish(&one, call, COVEY_STATUS_OK, ""), 0);
    stream_reset(&one, call, CV_RPC_CODE_DONE);
    expect(&one, "write 1 fin ");
    assert_int_equal(stats_of(&one).glitches, 1);
    end_fini(&one);
}

static void broken_requests_are_glitches(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        DATA(&e, accept_stream(&e, &stream_1), "\x0d\x02\x01 ", true);
        DATA(&e, accept_stream(&e, &stream_2), "\x40\x01", false);
        struct cv_rpc_output out;
        while (cv_rpc_conn_poll(e.rc, &out))
            if (out.type == CV_RPC_STREAM_WRITE)
                cv_rpc_conn_written(e.rc, out.call, true);
    }
    assert_int_equal(stats_of(&e).glitches, 1000);
    DATA(&e, accept_stream(&e, &stream_2), "\x0d", true);
    expect(&e, "write 59 fin close flood ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unary_is_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(echo_between_two_polls, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_message_is_not_copied_where_it_is_the_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_small_reply_is_written_where_it_is_sent_from, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answered_call_is_carried, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_that_does_not_fit_goes_the_usual_way, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(header_with_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_before_the_first_message, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_that_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_waits_for_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_refuses_new_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_before_the_client_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_once, setup, teardown),
        cmocka_unit_test_setup_teardown(details_that_are_too_large, setup, teardown),
        cmocka_unit_test(broken_requests),
        cmocka_unit_test_setup_teardown(a_violation_closes_once, setup, teardown),
        cmocka_unit_test_setup_teardown(header_must_come_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(header_timeout_is_replaced_by_the_deadline, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(largest_timeout_is_a_century, setup, teardown),
        cmocka_unit_test(cancelled_calls_count_until_release),
        cmocka_unit_test_setup_teardown(rapid_resets_leave_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(rapid_resets_have_a_budget, setup, teardown),
        cmocka_unit_test(late_cancels_are_free),
        cmocka_unit_test_setup_teardown(broken_requests_are_glitches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
