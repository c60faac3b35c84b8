#define _POSIX_C_SOURCE 200809L

/* What a handler may do with its call. */
#include "unit/api/calling.h"

/* A stream of the client's and its call at the server. */
struct both {
    covey_stream *stream;
    covey_call *call;
};

static struct both open_both(struct rig *r, const struct covey_call_options *options)
{
    struct both b;
    assert_int_equal(covey_client_open(r->client, "keep_stream", options, &b.stream), 0);
    b.call = kept_take(&r->kept);
    return b;
}

static void close_both(struct both *b)
{
    covey_call_finish(b->call, COVEY_STATUS_OK, NULL);
    expect_over(b->stream, COVEY_STATUS_OK, "");
    covey_stream_free(b->stream);
}

/* ---- about the call ---- */

static void it_says_who_calls_what(void **state)
{
    struct rig *r = *state;
    const struct covey_metadata set[] = {{"a", "1", 1}, {"a", "2", 1}};
    struct covey_call_options options = options_within(10 * COVEY_SECOND);
    options.metadata = set;
    options.metadata_count = 2;
    struct both b = open_both(r, &options);
    size_t count;
    assert_string_equal(covey_call_method(b.call), "keep_stream");
    assert_string_equal(covey_call_peer_name(b.call), "caller");
    assert_int_equal(covey_call_peer_role(b.call), COVEY_ROLE_CLIENT);
    covey_node_id zero = {{0}}, id = covey_call_peer_id(b.call);
    assert_int_not_equal(covey_node_id_compare(&id, &zero), 0);
    assert_false(covey_call_is_cancelled(b.call));
    covey_time left = covey_call_time_left(b.call);
    assert_true(left > 0 && left <= 10 * COVEY_SECOND);
    const struct covey_metadata *got = covey_call_metadata(b.call, &count);
    assert_int_equal(count, 2);
    assert_memory_equal(got[1].value, "2", 1);
    close_both(&b);
}

/* ---- receiving ---- */

static void messages_come_one_by_one_and_then_the_end(void **state)
{
    struct rig *r = *state;
    struct both b = open_both(r, NULL);
    const void *message;
    size_t size;
    assert_int_equal(covey_call_receive(b.call, 0, &message, &size), COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_call_receive(b.call, COVEY_MILLISECOND, &message, &size),
                     COVEY_ERR_TIMEOUT);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(covey_stream_send(b.stream, "0123456789", i), 0);
        assert_int_equal(covey_call_receive(b.call, TEST_DEADLINE, &message, &size), 0);
        assert_int_equal(size, i);
        assert_memory_equal(message, "0123456789", i);
    }
    covey_stream_end(b.stream);
    assert_int_equal(covey_call_receive(b.call, TEST_DEADLINE, &message, &size), COVEY_ERR_CLOSED);
    assert_int_equal(covey_call_send(b.call, "still", 5), 0); /* the answer goes on */
    expect_message(b.stream, "still", 5);
    close_both(&b);
}

struct receiver {
    covey_call *call;
    int error;
};

static void *receive_one(void *user)
{
    struct receiver *r = user;
    const void *message;
    size_t size;
    r->error = covey_call_receive(r->call, COVEY_NEVER, &message, &size);
    return NULL;
}

static void who_waits_is_woken(void **state)
{
    struct rig *r = *state;
    for (int how = 0; how < 3; how++) {
        struct both b = open_both(r, NULL);
        struct receiver receiver = {.call = b.call};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, receive_one, &receiver), 0);
        if (how == 0)
            assert_int_equal(covey_stream_send(b.stream, "x", 1), 0);
        else if (how == 1)
            covey_stream_end(b.stream);
        else
            covey_stream_cancel(b.stream);
        assert_int_equal(pthread_join(thread, NULL), 0);
        static const int expected[] = {0, COVEY_ERR_CLOSED, COVEY_ERR_CANCELLED};
        assert_int_equal(receiver.error, expected[how]);
        covey_call_finish(b.call, COVEY_STATUS_OK, NULL);
        covey_stream_free(b.stream);
    }
}

/* ---- cancelled ---- */

static void nothing_works_when_nobody_waits(void **state)
{
    struct rig *r = *state;
    struct both b = open_both(r, NULL);
    const struct covey_metadata set[] = {{"a", "1", 1}};
    const void *message;
    size_t size;
    assert_int_equal(covey_stream_send(b.stream, "x", 1), 0);
    covey_stream_free(b.stream);
    AWAIT(covey_call_is_cancelled(b.call));
    assert_int_equal(covey_call_send(b.call, "x", 1), COVEY_ERR_CANCELLED);
    assert_int_equal(covey_call_send_metadata(b.call, set, 1), COVEY_ERR_CANCELLED);
    assert_int_equal(covey_call_receive(b.call, COVEY_NEVER, &message, &size), COVEY_ERR_CANCELLED);
    assert_int_equal(covey_call_wait_writable(b.call, COVEY_NEVER), COVEY_ERR_CANCELLED);
    assert_string_equal(covey_call_peer_name(b.call), "caller"); /* all that is known stays */
    covey_call_reply(b.call, "x", 1);
    AWAIT(stats_of(r->server).calls == 0);
}

/* ---- ready, on the loop's thread ---- */

struct watch {
    atomic_uint ready;
    atomic_uint cancelled;
    atomic_uint received;
};

static void watch_on(covey_call *call, void *user)
{
    struct watch *w = user;
    const void *message;
    size_t size;
    int error;
    atomic_fetch_add(&w->ready, 1);
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0)
        atomic_fetch_add(&w->received, 1);
    if (error == COVEY_ERR_CANCELLED)
        atomic_fetch_add(&w->cancelled, 1);
    if (error != COVEY_ERR_TIMEOUT)
        covey_call_reply(call, "", 0);
}

static void watch_begin(covey_call *call, void *user)
{
    covey_call_on_ready(call, watch_on, user);
    watch_on(call, user);
}

static void ready_tells_of_messages_the_end_and_the_cancel(void **state)
{
    struct rig *r = *state;
    struct watch w = {.ready = 0};
    covey_stream *stream;
    serve_stream(r->server, "watch", watch_begin, &w);
    assert_int_equal(covey_client_open(r->client, "watch", NULL, &stream), 0);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(covey_stream_send(stream, "x", 1), 0);
        AWAIT(atomic_load(&w.received) == i);
    }
    covey_stream_end(stream);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    assert_int_equal(atomic_load(&w.cancelled), 0);
    unsigned told = atomic_load(&w.ready);
    assert_true(told >= 6 && told <= 8);
    expect_echo(r->client);
    assert_int_equal(atomic_load(&w.ready), told); /* not when it is finished */

    assert_int_equal(covey_client_open(r->client, "watch", NULL, &stream), 0);
    AWAIT(atomic_load(&w.ready) == told + 1);
    covey_stream_free(stream);
    AWAIT(atomic_load(&w.cancelled) == 1);
    AWAIT(stats_of(r->server).calls == 0);
    assert_int_equal(atomic_load(&w.ready), told + 2);
}

/* ---- answers ---- */

static void a_unary_answer_may_have_metadata_and_come_in_pieces(covey_call *call,
                                                                const void *request, size_t size,
                                                                void *user)
{
    const struct covey_metadata set[] = {{"pieces", "none", 4}};
    (void)user;
    if (covey_call_send_metadata(call, set, 1) != 0 || covey_call_send(call, request, size) != 0)
        covey_call_finish(call, COVEY_STATUS_INTERNAL, "send");
    else
        covey_call_finish(call, COVEY_STATUS_OK, "this text travels too");
}

static void a_reply_is_a_message_and_a_status(void **state)
{
    struct rig *r = *state;
    serve(r->server, "pieces", a_unary_answer_may_have_metadata_and_come_in_pieces, NULL);
    struct covey_reply reply = call_with(r->client, "pieces", "x", 1, NULL);
    size_t count;
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_string_equal(reply.message, "this text travels too");
    assert_int_equal(reply.size, 1);
    assert_string_equal(covey_reply_metadata(&reply, &count)->key, "pieces");
    covey_reply_clear(&reply);
}

/* Sent on another thread the metadata comes before the messages all the same. */
static void metadata_keeps_its_place(void **state)
{
    struct rig *r = *state;
    const struct covey_metadata set[] = {{"first", "1", 1}};
    struct both b = open_both(r, NULL);
    size_t count;
    assert_int_equal(covey_call_send_metadata(b.call, set, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(covey_call_send(b.call, "x", 1), 0);
    expect_message(b.stream, "x", 1);
    const struct covey_metadata *got = covey_stream_metadata(b.stream, &count);
    assert_int_equal(count, 1);
    assert_string_equal(got->key, "first");
    close_both(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(it_says_who_calls_what),
        RIG_TEST(messages_come_one_by_one_and_then_the_end),
        RIG_TEST(who_waits_is_woken),
        RIG_TEST(nothing_works_when_nobody_waits),
        RIG_TEST(ready_tells_of_messages_the_end_and_the_cancel),
        RIG_TEST(a_reply_is_a_message_and_a_status),
        RIG_TEST(metadata_keeps_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
