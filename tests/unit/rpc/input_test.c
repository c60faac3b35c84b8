#include "rpc/input.h"

#include "fixture.h"

/* Two connections that share, and are told of what comes whole by one event. */
static struct cv_rpc_shared shared;
static struct end e, other;

static struct cv_rpc_limits sharing(void)
{
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.shared = &shared;
    limits.tells_whole = true;
    return limits;
}

static int setup(void **state)
{
    (void)state;
    struct cv_rpc_limits limits = sharing();
    cv_rpc_shared_init(&shared);
    end_init_limits(&e, &limits);
    memset(&other, 0, sizeof other);
    other.now = e.now;
    return cv_rpc_conn_new(&e.memory.alloc, &limits, &other.rc);
}

static int teardown(void **state)
{
    (void)state;
    cv_rpc_conn_free(other.rc);
    cv_rpc_conn_free(e.rc);
    cv_rpc_shared_fini(&shared, &e.memory.alloc);
    assert_int_equal(shared.call_count, 0);
    test_alloc_assert_empty(&e.memory);
    return 0;
}

static void close_and_release(struct end *end, struct cv_rpc_call *call)
{
    assert_int_equal(step(end, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(step(end, call, CV_RPC_RELEASE), 0);
}

#define REQUEST "\x0d\x02\x01m\x08hi"

static void a_request_in_one_piece_is_one_event(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, REQUEST, true);
    expect(&e, "call(m) whole(hi) ");
    assert_int_equal(stats_of(&e).messages_received, 1);
    assert_int_equal(e.rc->held, 2 + CV_RPC_MESSAGE_COST);
    assert_int_equal(read_message(&e, call, 2), 0);
    assert_int_equal(e.rc->held, 0);
    assert_int_equal(send_text(&e, call, "ok", false), 0);
    assert_int_equal(finish(&e, call, COVEY_STATUS_OK, ""), 0);
    expect(&e, "write 4 fin ");
    close_and_release(&e, call);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
}

static void only_when_it_is_whole(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, REQUEST, false);
    expect(&e, "call(m) message(hi) consume 7 ");
    DATA(&e, call, "\x04x", true);
    expect(&e, "message(x) end ");
    close_and_release(&e, call);

    call = accept_stream(&e, &stream_1);
    DATA(&e, call, REQUEST "\x04x", true);
    expect(&e, "call(m) message(hi) message(x) end ");
    close_and_release(&e, call);

    call = accept_stream(&e, &stream_1);
    DATA(&e, call, REQUEST "\x08x", true);
    expect(&e, "call(m) message(hi) cancelled write 59 fin ");
    close_and_release(&e, call);
    expect(&e, "");
}

static void only_when_it_is_wanted(void **state)
{
    (void)state;
    e.rc->limits.tells_whole = false;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, REQUEST, true);
    expect(&e, "call(m) message(hi) end ");
    close_and_release(&e, call);
}

static void a_user_who_holds_too_much_is_not_given_more(void **state)
{
    (void)state;
    e.rc->limits.receive_total_max = 0;
    e.rc->limits.receive_lag_max = 0;
    struct cv_rpc_call *first = accept_stream(&e, &stream_1);
    struct cv_rpc_call *second = accept_stream(&e, &stream_2);
    DATA(&e, first, REQUEST, true);
    expect(&e, "call(m) whole(hi) ");
    DATA(&e, second, REQUEST, true);
    expect(&e, "call(m) ");
    assert_int_equal(shared.lent, 0);
    assert_int_equal(read_message(&e, first, 2), 0);
    expect(&e, "message(hi) end ");
    close_and_release(&e, first);
    close_and_release(&e, second);
}

static void an_answer_s_end_comes_with_its_message(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_END), 0);
    expect(&e, "write 4 fin ");
    DATA(&e, call, "\x04x\x08ok\x02", true);
    expect(&e, "message(x) last(ok) status OK by peer ");
    assert_int_equal(stats_of(&e).messages_received, 2);
    close_and_release(&e, call);
    assert_int_equal(e.rc->held, 0);
}

static void a_status_that_is_wrong_is_told_apart(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    assert_int_equal(step(&e, call, CV_RPC_END), 0);
    expect(&e, "write 4 fin ");
    DATA(&e, call, "\x08ok\x0e\x01\x01", true); /* a code of nothing */
    expect(&e, "message(ok) status INTERNAL ");
    close_and_release(&e, call);
}

/* ---- the tray ---- */

static void what_is_left_outlives_the_tray(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    DATA(&e, call, "\x0d\x02\x01m\x28one ", false);
    assert_int_equal(shared.lent, 1);
    expect(&e, "call(m) consume 9 ");
    assert_int_equal(shared.lent, 0);
    struct cv_rpc_call *noise = accept_stream(&other, &stream_1);
    DATA(&other, noise, "\x0d\x02\x01m\x28in place!!", false);
    expect(&other, "call(m) message(in place!!) consume 15 ");
    DATA(&e, call, "and tw", true);
    expect(&e, "message(one and tw) end ");
    close_and_release(&e, call);
    close_and_release(&other, noise);
}

/* Before anybody looked, in two pieces: the second cannot lie behind the first. */
static void pieces_of_one_call_come_together(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    struct cv_rpc_call *noise = accept_stream(&other, &stream_1);
    DATA(&e, call, "\x0d\x02", false);
    DATA(&other, noise, REQUEST, true);
    DATA(&e, call, "\x01m\x08hi", true);
    expect(&other, "call(m) whole(hi) ");
    expect(&e, "call(m) whole(hi) ");
    assert_int_equal(shared.lent, 0);
    close_and_release(&e, call);
    close_and_release(&other, noise);
}

static void what_does_not_fit_on_it_waits_elsewhere(void **state)
{
    (void)state;
    enum { COUNT = 2 * sizeof shared.tray / 1000 };
    static struct cv_rpc_call *calls[COUNT];
    uint8_t request[1000];
    memcpy(request, "\x0d\x02\x01m\x4f\x88", 6); /* a message of 994 bytes */
    for (size_t i = 0; i < COUNT; i++) {
        memset(request + 6, (int)i, sizeof request - 6);
        calls[i] = accept_stream(&e, &stream_1);
        assert_int_equal(data(&e, calls[i], request, sizeof request, true), 0);
    }
    assert_int_equal(shared.lent, sizeof shared.tray / sizeof request);
    struct cv_rpc_output out;
    size_t seen = 0;
    while (cv_rpc_conn_poll(e.rc, &out)) {
        if (out.type != CV_RPC_EVENT_CALL)
            continue;
        assert_true(out.call == calls[seen] && out.begin.is_whole);
        assert_int_equal(out.begin.message.size, 994);
        assert_int_equal(out.begin.message.data[0], (uint8_t)seen);
        assert_int_equal(out.begin.message.data[993], (uint8_t)seen);
        seen++;
    }
    assert_int_equal(seen, COUNT);
    assert_int_equal(shared.lent, 0);
    for (size_t i = 0; i < COUNT; i++)
        close_and_release(&e, calls[i]);
}

static void a_call_that_goes_leaves_the_tray(void **state)
{
    (void)state;
    struct cv_rpc_call *call = start(&e, &stream_1);
    DATA(&e, call, "\x08o", false);
    assert_int_equal(shared.lent, 1);
    assert_int_equal(step(&e, call, CV_RPC_RELEASE), 0);
    assert_int_equal(step(&e, call, CV_RPC_STREAM_CLOSED), 0);
    assert_int_equal(cv_rpc_conn_count(e.rc), 0);
    assert_int_equal(shared.lent, 0);
}

/* More than fits into the call itself, and no memory for it. */
static void without_memory_for_what_is_left_the_call_ends(void **state)
{
    (void)state;
    struct cv_rpc_call *call = accept_stream(&e, &stream_1);
    uint8_t piece[604] = "\x0d\x02\x01m\x50\x00"; /* of a message of 1 KiB */
    assert_int_equal(data(&e, call, piece, sizeof piece, false), 0);
    e.memory.fail_at = e.memory.calls + 1;
    e.memory.fail_all_after = true;
    expect(&e, "call(m) consume 604 cancelled write 20 fin stop 1 ");
    e.memory.fail_at = 0;
    assert_int_equal(shared.lent, 0);
    close_and_release(&e, call);
}

/* ---- objects of calls ---- */

static void objects_are_shared_and_bounded(void **state)
{
    (void)state;
    enum { COUNT = CV_RPC_SHARED_COUNT_MAX + 10 };
    static struct cv_rpc_call *calls[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = start(&e, &stream_1);
    for (size_t i = 0; i < COUNT; i++)
        close_and_release(&e, calls[i]);
    assert_int_equal(shared.call_count, CV_RPC_SHARED_COUNT_MAX);
    size_t asked = e.memory.calls;
    calls[0] = start(&other, &stream_1);
    assert_int_equal(shared.call_count, CV_RPC_SHARED_COUNT_MAX - 1);
    close_and_release(&other, calls[0]);
    assert_int_equal(shared.call_count, CV_RPC_SHARED_COUNT_MAX);
    assert_true(e.memory.calls - asked <= 1); /* the room for its timer */
    expect(&e, "");
    expect(&other, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_in_one_piece_is_one_event, setup, teardown),
        cmocka_unit_test_setup_teardown(only_when_it_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(only_when_it_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_user_who_holds_too_much_is_not_given_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_s_end_comes_with_its_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status_that_is_wrong_is_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_left_outlives_the_tray, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_of_one_call_come_together, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_on_it_waits_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_that_goes_leaves_the_tray, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_for_what_is_left_the_call_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(objects_are_shared_and_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
