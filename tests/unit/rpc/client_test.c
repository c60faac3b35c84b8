#include "rpc/client.h"

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

/* Header and message in one go; the layer above has checked the names. */
static void a_call_may_start_with_its_message(void **state)
{
    (void)state;
    const struct cv_slice message = cv_slice_text("hi");
    const struct cv_rpc_start begin = {.method = cv_slice_text("m"),
                                       .deadline = COVEY_NEVER,
                                       .stream = &stream_1,
                                       .is_checked = true,
                                       .message = &message};
    struct cv_rpc_call *call;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    expect(&e, "write 7 fin ");
    expect_written(&e, "\x0d\x02\x01m\x08hi", 7);
    assert_int_equal(stats_of(&e).messages_sent, 1);
    assert_int_equal(send_text(&e, call, "more", false), COVEY_ERR_STATE);
}

/* The transport's own memory takes the request, when all of it fits. */
static void a_small_request_is_written_where_it_is_sent_from(void **state)
{
    (void)state;
    uint8_t memory[7];
    struct cv_writer room;
    struct cv_slice message = cv_slice_text("hi");
    struct cv_rpc_start begin = {.method = cv_slice_text("m"),
                                 .deadline = COVEY_NEVER,
                                 .stream = &stream_1,
                                 .message = &message,
                                 .room = &room};
    struct cv_rpc_call *call;
    cv_writer_init(&room, memory, 7);
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    assert_int_equal(cv_writer_size(&room), 7);
    assert_memory_equal(memory, "\x0d\x02\x01m\x08hi", 7);
    assert_int_equal(stats_of(&e).messages_sent, 1);
    assert_int_equal(send_text(&e, call, "more", false), COVEY_ERR_STATE);
    expect(&e, "");
    DATA(&e, call, "\x08ok\x02", true);
    expect(&e, "message(ok) status OK by peer ");
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);

    /* One that is cancelled was sent: the server hears of it, and a retry is not safe. */
    cv_writer_init(&room, memory, 7);
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED stop 1 ");
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static void a_request_that_does_not_fit_goes_the_usual_way(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct cv_writer room;
    struct cv_slice message = cv_slice_text("hi");
    struct cv_rpc_start begin = {.method = cv_slice_text("m"),
                                 .deadline = COVEY_NEVER,
                                 .stream = &stream_1,
                                 .message = &message,
                                 .room = &room};
    struct cv_rpc_call *call;
    cv_writer_init(&room, memory, 6);
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    assert_int_equal(cv_writer_size(&room), 0);
    expect(&e, "write 7 fin ");

    /* Nor does one that is late already: nobody hears of it. */
    cv_writer_init(&room, memory, sizeof memory);
    begin.deadline = e.now;
    begin.stream = &stream_2;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    assert_int_equal(cv_writer_size(&room), 0);
    expect(&e, "status DEADLINE_EXCEEDED not started reset 2 stop 2 ");

    /* Nor one without its message. */
    begin.deadline = COVEY_NEVER;
    begin.message = NULL;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), 0);
    assert_int_equal(cv_writer_size(&room), 0);
    expect(&e, "write 4 ");
}

static void a_start_with_a_message_that_is_too_large_is_none(void **state)
{
    (void)state;
    static uint8_t bytes[(4 << 20) + 1];
    const struct cv_slice message = cv_slice_of(bytes, sizeof bytes);
    const struct cv_rpc_start begin = {
        .method = cv_slice_text("m"), .deadline = COVEY_NEVER, .message = &message};
    struct cv_rpc_call *call;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &call), COVEY_ERR_TOO_LARGE);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    expect(&e, "");
}

/* The call is there, and its message is asked for when there is room. */
static void a_message_that_finds_no_room_at_the_start_comes_later(void **state)
{
    (void)state;
    static uint8_t bytes[4 << 20];
    const struct cv_slice message = cv_slice_of(bytes, sizeof bytes);
    struct cv_rpc_start begin = {.method = cv_slice_text("m"),
                                 .deadline = COVEY_NEVER,
                                 .stream = &stream_1,
                                 .message = &message};
    struct cv_rpc_call *first, *second;
    e.full = true;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &first), 0);
    begin.stream = &stream_2;
    assert_int_equal(cv_rpc_conn_start(e.rc, &begin, e.now, &second), 0);
    expect(&e, "full full ");
    assert_int_equal(step(&e, first, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED not started reset 1 stop 1 writable ");
    assert_int_equal(send_bytes(&e, second, bytes, sizeof bytes, true), 0);
}

static void unary_is_one_write(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 7 fin ");
    expect_written(&e, "\x0d\x02\x01m\x08hi", 7);
    DATA(&e, call, "\x08ok\x02", true);
    expect(&e, "message(ok) status OK by peer ");
    assert_int_equal(read_message(&e, call, 2), 0);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 1);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    expect(&e, "");
}

/* All of it may come before anybody looks: the outcome is the same. */
static void answer_and_close_in_one_turn(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 7 fin ");
    DATA(&e, call, "\x08ok\x02", true);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    expect(&e, "message(ok) status OK by peer ");
    assert_null(cv_rpc_call_stream(call));
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static void start_checks_its_arguments(void **state)
{
    (void)state;
    struct cv_rpc_call *call = NULL;
    struct cv_rpc_start bad = {.method = cv_slice_text(""), .deadline = COVEY_NEVER};
    assert_int_equal(cv_rpc_conn_start(e.rc, &bad, e.now, &call), COVEY_ERR_INVALID_ARGUMENT);
    static char value[9300];
    struct cv_rpc_metadata metadata = {cv_slice_text("k"), cv_slice_of(value, sizeof value)};
    bad = (struct cv_rpc_start){.method = cv_slice_text("m"),
                                .deadline = COVEY_NEVER,
                                .metadata = &metadata,
                                .metadata_count = 1};
    assert_int_equal(cv_rpc_conn_start(e.rc, &bad, e.now, &call), COVEY_ERR_TOO_LARGE);
    assert_null(call);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    expect(&e, "");
}

static void accessors(void **state)
{
    (void)state;
    int user;
    struct cv_rpc_call *call = start_within(&e, &stream_1, 5 * MS);
    assert_true(cv_rpc_call_is_client(call));
    assert_ptr_equal(cv_rpc_call_stream(call), &stream_1);
    assert_true(cv_rpc_call_deadline(call) == e.now + 5 * MS);
    assert_null(cv_rpc_call_user(call));
    cv_rpc_call_set_user(call, &user);
    assert_ptr_equal(cv_rpc_call_user(call), &user);
}

/* The header tells the time that is left when the stream is there, not when the call began. */
static void bind_shortens_the_timeout(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start_within(&e, NULL, 100 * MS);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "");
    time_passes(&e, 99980 * COVEY_MICROSECOND);
    cv_rpc_call_bind(call, &stream_1, e.now);
    expect(&e, "write 10 fin ");
    expect_written(&e, "\x19\x01\x01\x14\x02\x01m\x08hi", 10);
}

static void bind_after_the_end_resets(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start_within(&e, NULL, 10 * MS);
    time_passes(&e, 10 * MS);
    expect(&e, "status DEADLINE_EXCEEDED not started ");
    cv_rpc_call_bind(call, &stream_1, e.now);
    expect(&e, "reset 2 stop 2 ");
}

static void unbound_call_is_freed_by_release(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, NULL);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    expect(&e, "");
}

/* In the order in which they began, and none that is over. */
static void unbound_calls_are_listed(void **state)
{
    (void)state;
    assert_null(cv_rpc_conn_unbound(e.rc));
    struct cv_rpc_call *a = start(&e, NULL);
    struct cv_rpc_call *b = start(&e, NULL);
    struct cv_rpc_call *c = start_within(&e, NULL, 5 * MS);
    struct cv_rpc_call *d = start(&e, NULL);
    (void)start(&e, &stream_1);
    assert_ptr_equal(cv_rpc_conn_unbound(e.rc), a);
    cv_rpc_call_bind(a, &stream_2, e.now);
    assert_ptr_equal(cv_rpc_conn_unbound(e.rc), b);
    assert_int_equal(step(&e, b, CV_RPC_CANCEL), 0);
    assert_ptr_equal(cv_rpc_conn_unbound(e.rc), c);
    time_passes(&e, 5 * MS);
    assert_ptr_equal(cv_rpc_conn_unbound(e.rc), d);
    assert_int_equal(step(&e, d, CV_RPC_RELEASE), 0);
    assert_null(cv_rpc_conn_unbound(e.rc));
}

static void end_without_a_message(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_END), 0);
    expect(&e, "write 4 fin ");
    assert_int_equal(step(&e, call, CV_RPC_END), COVEY_ERR_STATE);
    assert_int_equal(send_text(&e, call, "late", false), COVEY_ERR_STATE);
    call = start(&e, &stream_2);
    expect(&e, "write 4 ");
    assert_int_equal(step(&e, call, CV_RPC_END), 0);
    expect(&e, "write 0 fin ");
}

static void status_with_text_and_details(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    DATA(&e, call, "\x32\x01\x01\x05\x02\x03why\x03\x02xy", true);
    expect(&e, "status NOT_FOUND by peer text(why) details(xy) reset 4 ");
    DATA(&e, start(&e, &stream_2), "\x0e\x01\x01\x20", true);
    expect(&e, "status UNKNOWN by peer reset 4 ");
}

/* The server needs no more of what we still send, and we need no more than its status. */
static void early_status_ends_both_halves(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    assert_int_equal(send_text(&e, call, "more", false), 0);
    DATA(&e, call, "\x02", false);
    expect(&e, "status OK by peer consume 1 reset 4 stop 4 ");
    assert_int_equal(send_text(&e, call, "late", false), COVEY_ERR_STATE);
}

static void stopped_waits_for_the_status(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    assert_int_equal(send_text(&e, call, "more", false), 0);
    stream_stopped(&e, call, CV_RPC_CODE_DONE);
    expect(&e, "");
    assert_int_equal(send_text(&e, call, "late", false), COVEY_ERR_STATE);
    DATA(&e, call, "\x02", true);
    expect(&e, "status OK by peer ");
}

static void broken_answers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool fin;
        const char *trace;
    } cases[] = {
        {"", 0, true, "status INTERNAL reset 3 "},
        {"\x08hi", 3, true, "message(hi) status INTERNAL reset 3 "},
        {"\x08h", 2, true, "status INTERNAL reset 3 "},
        {"\x0e\x01", 2, true, "status INTERNAL reset 3 "},
        {"\x40\x00", 2, false, "status INTERNAL consume 2 reset 3 stop 3 "},
        {"\x0e\x01\x01\x00", 4, false, "status INTERNAL consume 4 reset 3 stop 3 "},
        {"\x08hi\x01", 4, false,
         "message(hi) status INTERNAL consume 4 reset 3 stop 3 close violation "},
        {"\x01\x01", 2, false,
         "metadata status INTERNAL consume 2 reset 3 stop 3 close violation "},
        {"\x0d\x02\x01m", 4, false, "status INTERNAL consume 4 reset 3 stop 3 "},
        {"\x02\x00", 2, true, "status OK by peer reset 4 close violation "},
        {"\xc1\x00\x00\x00", 4, false, "consume 4 "},
        {"\xc0\x00\x00\x01\x00\x00\x00\x00", 8, false,
         "status RESOURCE_EXHAUSTED consume 8 reset 1 stop 1 "},
        {"\x03\x03\x02", 3, true, "status OK by peer reset 4 "},
        {"\x01", 1, true, "metadata status INTERNAL reset 3 "},
        {"\x80\x00\x90\x05", 4, false, "status RESOURCE_EXHAUSTED consume 4 reset 1 stop 1 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct end one;
        end_init(&one);
        struct cv_rpc_call *call = start(&one, &stream_1);
        expect(&one, "write 4 ");
        assert_int_equal(data(&one, call, cases[i].bytes, cases[i].size, cases[i].fin), 0);
        expect(&one, cases[i].trace);
        /* Counted, unless it was for a size or nothing was wrong. */
        assert_int_equal(stats_of(&one).protocol_errors, i < 10 || i == 13 ? 1 : 0);
        assert_int_equal(stats_of(&one).frames_too_large, i == 11 || i == 14 ? 1 : 0);
        end_fini(&one);
    }
}

static void metadata_comes_first(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    DATA(&e, call, "\x25\x03\x03\x01kv\x03\x02\x01k\x08hi\x02", true);
    expect(&e, "metadata key(k) value(v) key(k) value() message(hi) status OK by peer reset 4 ");
    /* With the status alone, and behind a reserved frame. */
    call = start(&e, &stream_2);
    expect(&e, "write 4 ");
    DATA(&e, call, "\x03\x25\x03\x03\x01kv", false);
    expect(&e, "consume 7 ");
    DATA(&e, call, "\x03\x02\x01k", false);
    expect(&e, "metadata key(k) value(v) key(k) value() consume 4 ");
    DATA(&e, call, "\x0e\x01\x01\x05", true);
    expect(&e, "status NOT_FOUND by peer reset 4 ");
    assert_int_equal(stats_of(&e).protocol_errors, 0);
}

/* The server's user did not hear of it: it may be made again elsewhere. */
static void refused_by_a_server_that_drains(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(send_text(&e, call, "hi", true), 0);
    expect(&e, "write 7 fin ");
    assert_false(cv_rpc_conn_peer_drains(e.rc));
    stream_stopped(&e, call, CV_RPC_CODE_REFUSED);
    stream_reset(&e, call, CV_RPC_CODE_REFUSED);
    struct cv_rpc_output out;
    assert_true(cv_rpc_conn_poll(e.rc, &out));
    assert_int_equal(out.type, CV_RPC_EVENT_STATUS);
    assert_int_equal(out.end.status.code, COVEY_STATUS_UNAVAILABLE);
    assert_true(
        cv_slice_equal(out.end.status.message, cv_slice_text("the server takes no more calls")));
    assert_true(out.end.not_started && !out.end.by_peer);
    assert_true(cv_rpc_conn_peer_drains(e.rc));
    expect(&e, "");
}

/* A refusal after any byte of an answer proves nothing, and neither does any other reset. */
static void only_a_refusal_alone_is_believed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint64_t code;
        const char *trace;
    } cases[] = {
        {"\x08hi", 3, CV_RPC_CODE_REFUSED, "message(hi) status UNAVAILABLE consume 3 reset 1 "},
        {"\x01", 1, CV_RPC_CODE_REFUSED, "metadata status UNAVAILABLE consume 1 reset 1 "},
        {"\x08h", 2, CV_RPC_CODE_REFUSED, "status UNAVAILABLE consume 2 reset 1 "},
        {"", 0, CV_RPC_CODE_CANCELLED, "status CANCELLED reset 1 "},
        {"", 0, CV_RPC_CODE_DONE, "status UNAVAILABLE reset 1 "},
        {"\x0e\x01\x01\x0e", 4, CV_RPC_CODE_REFUSED,
         "status UNAVAILABLE by peer consume 4 reset 4 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct end one;
        end_init(&one);
        struct cv_rpc_call *call = start(&one, &stream_1);
        expect(&one, "write 4 ");
        assert_int_equal(data(&one, call, cases[i].bytes, cases[i].size, false), 0);
        stream_reset(&one, call, cases[i].code);
        expect(&one, cases[i].trace);
        assert_false(cv_rpc_conn_peer_drains(one.rc));
        end_fini(&one);
    }
}

/* The server closes and says that it began no call: not believed of one whose answer is there, taken
 * or not. */
static void none_begun_is_not_believed_of_an_answered_call(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *trace;
    } cases[] = {
        {"", "status UNAVAILABLE not started "},
        {"\x08hi", "message(hi) status UNAVAILABLE "},
        {"\x08h", "status UNAVAILABLE "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct end one;
        end_init(&one);
        struct cv_rpc_call *call = start(&one, &stream_1);
        expect(&one, "write 4 ");
        if (cases[i].bytes[0] != '\0')
            assert_int_equal(data(&one, call, cases[i].bytes, strlen(cases[i].bytes), false), 0);
        cv_rpc_conn_none_begun(one.rc);
        cv_rpc_conn_lost(one.rc, "closed");
        expect(&one, cases[i].trace);
        end_fini(&one);
    }
}

/* Nothing of it left, whatever ended it. */
static void not_started_when_nothing_was_written(void **state)
{
    (void)state;
    (void)start_within(&e, NULL, 0);
    expect(&e, "status DEADLINE_EXCEEDED not started ");
    cv_rpc_call_give_up(start(&e, NULL), COVEY_STATUS_RESOURCE_EXHAUSTED, "no stream");
    expect(&e, "status RESOURCE_EXHAUSTED not started ");
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED not started reset 1 stop 1 ");
    call = start(&e, &stream_2);
    e.full = true;
    expect(&e, "full ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED not started reset 1 stop 1 ");
    call = start(&e, &stream_1);
    e.full = false;
    expect(&e, "write 4 ");
    assert_int_equal(step(&e, call, CV_RPC_CANCEL), 0);
    expect(&e, "status CANCELLED reset 1 stop 1 ");
    (void)start(&e, NULL);
    (void)start(&e, &stream_2);
    cv_rpc_conn_lost(e.rc, "gone");
    expect(&e, "status UNAVAILABLE not started status UNAVAILABLE not started ");
}

static void resets_by_the_server(void **state)
{
    (void)state;
    static const char *const wanted[] = {"UNAVAILABLE", "CANCELLED",   "DEADLINE_EXCEEDED",
                                         "INTERNAL",    "UNAVAILABLE", "UNAVAILABLE",
                                         "UNAVAILABLE"};
    for (uint64_t code = 0; code < 7; code++) {
        struct cv_rpc_call *call = start(&e, &stream_1);
        expect(&e, "write 4 ");
        DATA(&e, call, "\x08hi\x08x", false);
        stream_reset(&e, call, code);
        char trace[128];
        snprintf(trace, sizeof trace, "message(hi) status %s consume 5 reset 1 ", wanted[code]);
        expect(&e, trace);
    }
}

static void a_status_before_the_reset_counts(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    expect(&e, "write 4 ");
    DATA(&e, call, "\x08hi\x02", false);
    stream_reset(&e, call, CV_RPC_CODE_CANCELLED);
    expect(&e, "message(hi) status OK by peer consume 4 reset 4 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_may_start_with_its_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_request_is_written_where_it_is_sent_from, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_request_that_does_not_fit_goes_the_usual_way, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_start_with_a_message_that_is_too_large_is_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_message_that_finds_no_room_at_the_start_comes_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(unary_is_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_and_close_in_one_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(start_checks_its_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(accessors, setup, teardown),
        cmocka_unit_test_setup_teardown(bind_shortens_the_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(bind_after_the_end_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(unbound_call_is_freed_by_release, setup, teardown),
        cmocka_unit_test_setup_teardown(unbound_calls_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(end_without_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(status_with_text_and_details, setup, teardown),
        cmocka_unit_test_setup_teardown(early_status_ends_both_halves, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_waits_for_the_status, setup, teardown),
        cmocka_unit_test(broken_answers),
        cmocka_unit_test_setup_teardown(metadata_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_by_a_server_that_drains, setup, teardown),
        cmocka_unit_test(only_a_refusal_alone_is_believed),
        cmocka_unit_test_setup_teardown(none_begun_is_not_believed_of_an_answered_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(not_started_when_nothing_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(resets_by_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status_before_the_reset_counts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
