#define _POSIX_C_SOURCE 200809L

/* What users count on, over real QUIC on loopback and through the public interface alone. */
#include "unit/api/calling.h"

/* ---- what travels ---- */

static void every_byte_value_survives(void **state)
{
    struct rig *r = *state;
    unsigned char bytes[256 * 3];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * (1 + i / 256 * 2));
    struct covey_reply reply = call_with(r->client, "echo", bytes, sizeof bytes, NULL);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(reply.size, sizeof bytes);
    assert_memory_equal(reply.data, bytes, sizeof bytes);
    covey_reply_clear(&reply);
    for (unsigned value = 0; value < 256; value++) {
        unsigned char one = (unsigned char)value;
        reply = call_with(r->client, "echo", &one, 1, NULL);
        assert_int_equal(reply.size, 1);
        assert_memory_equal(reply.data, &one, 1);
        covey_reply_clear(&reply);
    }
}

/* Sends back all that comes, and how many there were as the last message. */
static void mirror_on(covey_call *call, void *user)
{
    uint32_t *count = user;
    const void *message;
    size_t size;
    int error;
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0) {
        ++*count;
        if (covey_call_send(call, message, size) != 0)
            abort(); /* a test keeps few on the way */
    }
    if (error == COVEY_ERR_TIMEOUT)
        return;
    if (error == COVEY_ERR_CLOSED)
        covey_call_reply(call, count, sizeof *count);
    else
        covey_call_finish(call, COVEY_STATUS_CANCELLED, NULL);
    free(count);
}

static void mirror(covey_call *call, void *user)
{
    uint32_t *count = calloc(1, sizeof *count);
    (void)user;
    if (count == NULL)
        abort();
    covey_call_on_ready(call, mirror_on, count);
    mirror_on(call, count);
}

static void empty_messages_are_messages(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply = call_with(r->client, "echo", NULL, 0, NULL);
    covey_stream *stream;
    uint32_t three = 3, none = 0;
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_non_null(reply.data);
    assert_int_equal(reply.size, 0);
    covey_reply_clear(&reply);
    serve_stream(r->server, "mirror", mirror, NULL);
    /* in both directions at once */
    assert_int_equal(covey_client_open(r->client, "mirror", NULL, &stream), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(covey_stream_send(stream, NULL, 0), 0);
    covey_stream_end(stream);
    for (int i = 0; i < 3; i++)
        expect_message(stream, NULL, 0);
    expect_message(stream, &three, sizeof three);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    /* none at all from a client */
    assert_int_equal(covey_client_open(r->client, "mirror", NULL, &stream), 0);
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    assert_int_equal(reply.size, sizeof none);
    assert_memory_equal(reply.data, &none, sizeof none);
    covey_reply_clear(&reply);
    covey_stream_free(stream);
    /* an empty request, and several empty ones from the server */
    assert_int_equal(covey_client_stream(r->client, "keep", NULL, 0, NULL, &stream), 0);
    covey_call *call = kept_take(&r->kept);
    assert_int_equal(covey_call_send(call, NULL, 0), 0);
    assert_int_equal(covey_call_send(call, "", 0), 0);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    expect_message(stream, NULL, 0);
    expect_message(stream, NULL, 0);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
}

/* Sends the metadata of the call back, and some more. */
static void mirror_metadata(covey_call *call, const void *request, size_t size, void *user)
{
    size_t count;
    const struct covey_metadata *set = covey_call_metadata(call, &count);
    (void)user;
    if (covey_call_send_metadata(call, set, count) != 0)
        covey_call_finish(call, COVEY_STATUS_INTERNAL, "metadata");
    else
        covey_call_reply(call, request, size);
}

static void metadata_is_binary_safe_both_ways(void **state)
{
    struct rig *r = *state;
    unsigned char all[256];
    struct covey_metadata set[64];
    struct covey_call_options options = options_within(TEST_DEADLINE);
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    set[0] = (struct covey_metadata){"all", all, sizeof all};
    set[1] = (struct covey_metadata){"empty", NULL, 0};
    for (size_t i = 2; i < 64; i++)
        set[i] = (struct covey_metadata){i % 2 ? "again" : "other", &all[i], 1};
    serve(r->server, "metadata", mirror_metadata, NULL);
    options.metadata = set;
    options.metadata_count = 64;
    struct covey_reply reply = call_with(r->client, "metadata", "x", 1, &options);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s", reply.message);
    size_t count;
    const struct covey_metadata *got = covey_reply_metadata(&reply, &count);
    assert_int_equal(count, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_string_equal(got[i].key, set[i].key);
        assert_int_equal(got[i].size, set[i].size);
        if (set[i].size > 0)
            assert_memory_equal(got[i].value, set[i].value, set[i].size);
    }
    assert_ptr_equal(covey_metadata_find(got, count, "other"), &got[2]);
    covey_reply_clear(&reply);
    /* none is none, sent or not */
    expect_reply(call_with(r->client, "metadata", "x", 1, NULL), COVEY_STATUS_OK, "");
    reply = call_with(r->client, "echo", "x", 1, NULL);
    assert_null(covey_reply_metadata(&reply, &count));
    assert_int_equal(count, 0);
    covey_reply_clear(&reply);
}

static void as_much_metadata_as_there_may_be(void **state)
{
    struct rig *r = *state;
    static unsigned char value[8192];
    struct covey_metadata pair = {"k", value, sizeof value};
    struct covey_call_options options = options_within(TEST_DEADLINE);
    struct covey_reply reply;
    serve(r->server, "metadata", mirror_metadata, NULL);
    options.metadata = &pair;
    options.metadata_count = 1;
    while (covey_client_call(r->client, "metadata", "x", 1, &options, &reply) ==
           COVEY_ERR_TOO_LARGE)
        pair.size--;
    assert_true(pair.size > 8100);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s", reply.message);
    size_t count;
    const struct covey_metadata *got = covey_reply_metadata(&reply, &count);
    assert_int_equal(count, 1);
    assert_int_equal(got->size, pair.size);
    covey_reply_clear(&reply);
}

/* ---- outcomes ---- */

static void fail_every_second(covey_call *call, const void *request, size_t size, void *user)
{
    uint32_t number = 0;
    (void)user;
    memcpy(&number, request, size < sizeof number ? size : sizeof number);
    if (number % 2 == 0)
        covey_call_reply(call, request, size);
    else
        covey_call_finish(call, COVEY_STATUS_ABORTED, "an odd one");
}

struct numbered {
    struct tally *tally;
    uint32_t number;
    bool is_right;
};

static void check_number(const struct covey_reply *reply, void *user)
{
    struct numbered *n = user;
    if (n->number % 2 == 0)
        n->is_right = reply->code == COVEY_STATUS_OK && reply->size == sizeof n->number &&
                      memcmp(reply->data, &n->number, sizeof n->number) == 0;
    else
        n->is_right = reply->code == COVEY_STATUS_ABORTED && reply->data == NULL;
    tally_reply(reply, n->tally);
}

static void of_twenty_parallel_calls_exactly_ten_fail(void **state)
{
    struct rig *r = *state;
    struct tally t;
    struct numbered calls[20];
    tally_init(&t);
    serve(r->server, "odd", fail_every_second, NULL);
    for (uint32_t i = 0; i < 20; i++) {
        calls[i] = (struct numbered){.tally = &t, .number = i};
        assert_int_equal(covey_client_call_async(r->client, "odd", &calls[i].number,
                                                 sizeof calls[i].number, NULL, check_number,
                                                 &calls[i]),
                         0);
    }
    tally_wait(&t, 20);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 10);
    assert_int_equal(t.codes[COVEY_STATUS_ABORTED], 10);
    for (int i = 0; i < 20; i++)
        assert_true(calls[i].is_right);
    tally_fini(&t);
}

struct order {
    struct tally tally;
    int numbers[8];
};

struct in_order {
    struct order *order;
    int number;
};

static void note_order(const struct covey_reply *reply, void *user)
{
    struct in_order *i = user;
    i->order->numbers[i->order->tally.count] = i->number;
    tally_reply(reply, &i->order->tally);
}

static void calls_complete_in_the_order_of_their_answers(void **state)
{
    struct rig *r = *state;
    struct order order;
    struct in_order calls[8];
    covey_call *kept[8];
    tally_init(&order.tally);
    for (int i = 0; i < 8; i++) {
        calls[i] = (struct in_order){&order, i};
        assert_int_equal(
            covey_client_call_async(r->client, "keep", "x", 1, NULL, note_order, &calls[i]), 0);
        kept[i] = kept_take(&r->kept);
    }
    for (int i = 7; i >= 0; i--) {
        covey_call_reply(kept[i], "x", 1);
        tally_wait(&order.tally, (unsigned)(8 - i));
        assert_int_equal(order.numbers[7 - i], i);
    }
    tally_fini(&order.tally);
}

static void say_details(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_finish_with(call, COVEY_STATUS_FAILED_PRECONDITION, "see details", request, size);
}

static void a_status_has_details(void **state)
{
    struct rig *r = *state;
    static unsigned char bytes[20000];
    size_t size;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 13);
    serve(r->server, "details", say_details, NULL);
    const size_t sizes[] = {1, 256, 8000};
    for (size_t i = 0; i < 3; i++) {
        struct covey_reply reply = call_with(r->client, "details", bytes, sizes[i], NULL);
        const void *details = covey_reply_details(&reply, &size);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(details, bytes, size);
        expect_reply(reply, COVEY_STATUS_FAILED_PRECONDITION, "see details");
    }
    /* none, and more than travels: the code and the text come all the same */
    const size_t without[] = {0, 10000, sizeof bytes};
    for (size_t i = 0; i < 3; i++) {
        struct covey_reply reply = call_with(r->client, "details", bytes, without[i], NULL);
        assert_null(covey_reply_details(&reply, &size));
        assert_int_equal(size, 0);
        expect_reply(reply, COVEY_STATUS_FAILED_PRECONDITION, "see details");
    }
}

/* ---- slow handlers ---- */

static void a_slow_handler_times_out_and_the_connection_goes_on(void **state)
{
    struct rig *r = *state;
    struct covey_call_options options = options_within(300 * COVEY_MILLISECOND);
    expect_echo(r->client);
    expect_reply(call_with(r->client, "keep", "x", 1, &options), COVEY_STATUS_DEADLINE_EXCEEDED,
                 "deadline");
    covey_call *call = kept_take(&r->kept);
    AWAIT(covey_call_is_cancelled(call));
    AWAIT(covey_call_time_left(call) == 0); /* its clock began a little later */
    expect_echo(r->client);
    covey_call_reply(call, "too late", 8);
    expect_echo(r->client);
    assert_int_equal(client_stats_of(r->client).connections_opened, 1);
    AWAIT(stats_of(r->server).calls == 0);
}

struct late {
    covey_call *call;
    size_t size;
};

static void *answer_later(void *user)
{
    struct late *l = user;
    unsigned char *bytes = calloc(1, l->size);
    if (bytes == NULL)
        abort();
    covey_call_reply(l->call, bytes, l->size);
    free(bytes);
    return NULL;
}

static void calls_are_answered_from_any_thread(void **state)
{
    struct rig *r = *state;
    enum { CALLS = 16 };
    struct tally t;
    struct late late[CALLS];
    pthread_t threads[CALLS];
    tally_init(&t);
    for (int i = 0; i < CALLS; i++)
        call_async(r->client, "keep", NULL, &t);
    for (int i = 0; i < CALLS; i++) {
        late[i] = (struct late){kept_take(&r->kept), (size_t)i * 50000 + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, answer_later, &late[i]), 0);
    }
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    tally_wait(&t, CALLS);
    assert_int_equal(t.codes[COVEY_STATUS_OK], CALLS);
    tally_fini(&t);
}

/* ---- a server that goes ---- */

/* An end is what a server said; a cut is none. */
static void a_stream_that_is_cut_is_an_error_and_no_end(void **state)
{
    struct rig *r = *state;
    covey_stream *stream;
    struct covey_reply reply;
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(r->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&r->kept);
    covey_stream *sending;
    assert_int_equal(covey_client_open(r->client, "keep_stream", &options, &sending), 0);
    covey_call *receiving = kept_take(&r->kept);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(covey_call_send(call, "part", 4), 0);
        expect_message(stream, "part", 4);
        assert_int_equal(covey_stream_send(sending, "part", 4), 0);
    }
    assert_int_equal(covey_server_free(r->server), 0);
    r->server = NULL;
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    assert_int_equal(covey_stream_finish(sending, TEST_DEADLINE, &reply), 0);
    expect_reply(reply, COVEY_STATUS_UNAVAILABLE, "");
    covey_stream_free(stream);
    covey_stream_free(sending);
    /* Its handlers are told too: what comes to them is no end either. */
    const void *message;
    size_t size;
    int error;
    assert_int_equal(covey_call_send(call, "more", 4), COVEY_ERR_CANCELLED);
    while ((error = covey_call_receive(receiving, TEST_DEADLINE, &message, &size)) == 0)
        ;
    assert_int_equal(error, COVEY_ERR_CANCELLED);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    covey_call_finish(receiving, COVEY_STATUS_OK, NULL);
}

/* ---- through two servers ---- */

struct relay {
    covey_client *client; /* of the next one */
    covey_call *call;
    covey_time left;
};

static void pass_back(const struct covey_reply *reply, void *user)
{
    struct relay *relay = user;
    if (reply->code == COVEY_STATUS_OK)
        covey_call_reply(relay->call, reply->data, reply->size);
    else
        covey_call_finish(relay->call, reply->code, reply->message);
}

static void pass_on(covey_call *call, const void *request, size_t size, void *user)
{
    struct relay *relay = user;
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.parent = call;
    relay->call = call;
    relay->left = covey_call_time_left(call);
    if (covey_client_call_async(relay->client, "last", request, size, &options, pass_back, relay))
        covey_call_finish(call, COVEY_STATUS_INTERNAL, "the next call");
}

struct last {
    covey_time left;
    char trace[64];
    struct kept kept;
    bool keeps;
};

static void be_last(covey_call *call, const void *request, size_t size, void *user)
{
    struct last *last = user;
    size_t count;
    const struct covey_metadata *set = covey_call_metadata(call, &count);
    const struct covey_metadata *trace = covey_metadata_find(set, count, "traceparent");
    last->left = covey_call_time_left(call);
    snprintf(last->trace, sizeof last->trace, "%.*s", trace == NULL ? 0 : (int)trace->size,
             trace == NULL ? "" : (const char *)trace->value);
    if (last->keeps)
        keep(call, request, size, &last->kept);
    else
        covey_call_reply(call, request, size);
}

static void deadlines_and_traces_go_through_two_hops(void **state)
{
    struct rig *r = *state;
    static struct last last;
    struct relay relay = {.call = NULL};
    const struct covey_metadata trace = {"traceparent", "00-0af7651916cd43dd8448eb211c80319c", 35};
    struct covey_call_options options = options_within(10 * COVEY_SECOND);
    kept_init(&last.kept);
    last.keeps = false;
    covey_server *second = server_at(&r->world, own_listen());
    serve(second, "last", be_last, &last);
    assert_int_equal(covey_server_start(second), 0);
    relay.client = world_client(&r->world, covey_server_address(second), COVEY_ROLE_MEMBER);
    serve(r->server, "first", pass_on, &relay);
    options.metadata = &trace;
    options.metadata_count = 1;
    expect_reply(call_with(r->client, "first", "x", 1, &options), COVEY_STATUS_OK, "");
    assert_true(relay.left > 0 && relay.left <= 10 * COVEY_SECOND);
    assert_true(last.left > 0 && last.left <= 10 * COVEY_SECOND);
    assert_string_equal(last.trace, "00-0af7651916cd43dd8448eb211c80319c");
    /* The first caller's deadline ends all of them. */
    last.keeps = true;
    options = options_within(300 * COVEY_MILLISECOND);
    expect_reply(call_with(r->client, "first", "x", 1, &options), COVEY_STATUS_DEADLINE_EXCEEDED,
                 "");
    covey_call *call = kept_take(&last.kept);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    assert_int_equal(covey_client_free(relay.client), 0);
    assert_int_equal(covey_server_free(second), 0);
    kept_fini(&last.kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(every_byte_value_survives),
        RIG_TEST(empty_messages_are_messages),
        RIG_TEST(metadata_is_binary_safe_both_ways),
        RIG_TEST(as_much_metadata_as_there_may_be),
        RIG_TEST(of_twenty_parallel_calls_exactly_ten_fail),
        RIG_TEST(calls_complete_in_the_order_of_their_answers),
        RIG_TEST(a_status_has_details),
        RIG_TEST(a_slow_handler_times_out_and_the_connection_goes_on),
        RIG_TEST(calls_are_answered_from_any_thread),
        RIG_TEST(a_stream_that_is_cut_is_an_error_and_no_end),
        RIG_TEST(deadlines_and_traces_go_through_two_hops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
