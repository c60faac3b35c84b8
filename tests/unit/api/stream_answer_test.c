#define _POSIX_C_SOURCE 200809L

/* A stream's messages as one answer, or handed to functions. */
#include "unit/api/calling.h"

/* ---- a method that answers with as many messages as it gets, or another number ---- */

static void answer_with(covey_call *call, void *user)
{
    const unsigned count = *(const unsigned *)user;
    const struct covey_metadata set[] = {{"sort", "\0\xff", 2}};
    assert_int_equal(covey_call_send_metadata(call, set, 1), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(covey_call_send(call, "answer", 6), 0);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

static void fail_with_details(covey_call *call, void *user)
{
    const struct covey_metadata set[] = {{"sort", "\0\xff", 2}};
    (void)user;
    assert_int_equal(covey_call_send_metadata(call, set, 1), 0);
    assert_int_equal(covey_call_send(call, "half", 4), 0);
    covey_call_finish_with(call, COVEY_STATUS_DATA_LOSS, "half of it", "\1\0\2", 3);
}

/* Adds up numbers until there are no more. */
struct sum {
    uint64_t sum;
    uint32_t count;
};

static void sum_on(covey_call *call, void *user)
{
    struct sum *sum = user;
    const void *message;
    size_t size;
    int error;
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0) {
        uint32_t number = 0;
        memcpy(&number, message, size < sizeof number ? size : sizeof number);
        sum->sum += number;
        sum->count++;
    }
    if (error == COVEY_ERR_TIMEOUT)
        return;
    if (error == COVEY_ERR_CLOSED)
        covey_call_reply(call, sum, sizeof *sum);
    else
        covey_call_finish(call, COVEY_STATUS_ABORTED, NULL);
    free(sum);
}

static void sum_up(covey_call *call, void *user)
{
    struct sum *sum = calloc(1, sizeof *sum);
    (void)user;
    if (sum == NULL)
        abort();
    covey_call_on_ready(call, sum_on, sum);
    sum_on(call, sum);
}

static unsigned none = 0, one = 1, two = 2, many = 1000;

static int setup(void **state)
{
    struct rig *r = rig_new();
    serve_stream(r->server, "none", answer_with, &none);
    serve_stream(r->server, "one", answer_with, &one);
    serve_stream(r->server, "two", answer_with, &two);
    serve_stream(r->server, "many", answer_with, &many);
    serve_stream(r->server, "details", fail_with_details, NULL);
    serve_stream(r->server, "sum", sum_up, NULL);
    rig_start(r);
    *state = r;
    return 0;
}

static covey_stream *open_it(struct rig *r, const char *method)
{
    covey_stream *stream;
    assert_int_equal(covey_client_open(r->client, method, NULL, &stream), 0);
    return stream;
}

static struct covey_reply finish_it(struct rig *r, const char *method)
{
    struct covey_reply reply;
    covey_stream *stream = open_it(r, method);
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    covey_stream_free(stream);
    return reply;
}

static void expect_metadata(const struct covey_reply *reply)
{
    size_t count;
    const struct covey_metadata *set = covey_reply_metadata(reply, &count);
    assert_int_equal(count, 1);
    assert_string_equal(set[0].key, "sort");
    assert_int_equal(set[0].size, 2);
    assert_memory_equal(set[0].value, "\0\xff", 2);
}

/* ---- one answer ---- */

static void one_message_is_the_answer(void **state)
{
    struct covey_reply reply = finish_it(*state, "one");
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(reply.size, 6);
    assert_memory_equal(reply.data, "answer", 6);
    expect_metadata(&reply);
    covey_reply_clear(&reply);
}

static void none_and_two_are_no_answer(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply = finish_it(r, "none");
    assert_null(reply.data);
    expect_metadata(&reply);
    expect_reply(reply, COVEY_STATUS_INTERNAL, "the answer has no message");
    reply = finish_it(r, "two");
    assert_null(reply.data);
    expect_reply(reply, COVEY_STATUS_INTERNAL, "the answer has more than one message");
    reply = finish_it(r, "many");
    expect_reply(reply, COVEY_STATUS_INTERNAL, "the answer has more than one message");
}

static void an_error_comes_with_its_details_and_no_data(void **state)
{
    struct covey_reply reply = finish_it(*state, "details");
    size_t size;
    const void *details = covey_reply_details(&reply, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(details, "\1\0\2", 3);
    assert_null(reply.data);
    assert_int_equal(reply.size, 0);
    expect_metadata(&reply);
    expect_reply(reply, COVEY_STATUS_DATA_LOSS, "half of it");
}

static void expect_sum(struct rig *r, uint32_t count)
{
    struct covey_reply reply;
    struct sum sum;
    uint64_t expected = 0;
    covey_stream *stream = open_it(r, "sum");
    for (uint32_t i = 0; i < count; i++) {
        int error;
        while ((error = covey_stream_send(stream, &i, sizeof i)) == COVEY_ERR_BUSY)
            assert_int_equal(covey_stream_wait_writable(stream, TEST_DEADLINE), 0);
        assert_int_equal(error, 0);
        expected += i;
    }
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    covey_stream_free(stream);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(reply.size, sizeof sum);
    memcpy(&sum, reply.data, sizeof sum);
    assert_int_equal(sum.count, count);
    assert_true(sum.sum == expected);
    covey_reply_clear(&reply);
}

static void any_number_of_messages_one_answer(void **state)
{
    struct rig *r = *state;
    expect_sum(r, 0);
    expect_sum(r, 1);
    expect_sum(r, 100000);
}

static void no_answer_in_time(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply;
    covey_stream *stream = open_it(r, "keep_stream");
    assert_int_equal(covey_stream_finish(stream, 0, &reply), COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_stream_finish(stream, COVEY_MILLISECOND, &reply), COVEY_ERR_TIMEOUT);
    assert_null(reply.owner);
    assert_null(reply.data);
    assert_int_equal(covey_stream_send(stream, "x", 1), COVEY_ERR_STATE); /* it is ended */
    covey_call_reply(kept_take(&r->kept), "late", 4);
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    assert_int_equal(reply.size, 4);
    covey_reply_clear(&reply);
    covey_stream_free(stream);
}

/* The answer came, its end did not: nothing is lost meanwhile. */
static void half_an_answer_in_time(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply;
    covey_stream *stream = open_it(r, "keep_stream");
    covey_call *call = kept_take(&r->kept);
    assert_int_equal(covey_call_send(call, "answer", 6), 0);
    for (int i = 0; i < 20; i++) {
        expect_echo(r->client);
        assert_int_equal(covey_stream_finish(stream, COVEY_MILLISECOND, &reply), COVEY_ERR_TIMEOUT);
        assert_null(reply.data);
    }
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(reply.size, 6);
    covey_stream_free(stream);
    covey_reply_clear(&reply);

    stream = open_it(r, "keep_stream"); /* and nobody asks again */
    call = kept_take(&r->kept);
    assert_int_equal(covey_call_send(call, "answer", 6), 0);
    assert_int_equal(covey_stream_finish(stream, 10 * COVEY_MILLISECOND, &reply),
                     COVEY_ERR_TIMEOUT);
    covey_stream_free(stream);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

static void a_reply_outlives_its_stream_and_client(void **state)
{
    struct rig *r = *state;
    struct covey_reply good = finish_it(r, "one"), bad = finish_it(r, "details");
    size_t size;
    assert_int_equal(covey_client_free(r->client), 0);
    r->client = NULL;
    assert_memory_equal(good.data, "answer", 6);
    expect_metadata(&good);
    assert_string_equal(bad.message, "half of it");
    assert_memory_equal(covey_reply_details(&bad, &size), "\1\0\2", 3);
    covey_reply_clear(&good);
    covey_reply_clear(&bad);
}

static void a_cancelled_stream_has_its_own_answer(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply;
    covey_stream *stream = open_it(r, "keep_stream");
    covey_call *call = kept_take(&r->kept);
    covey_stream_cancel(stream);
    assert_int_equal(covey_stream_finish(stream, TEST_DEADLINE, &reply), 0);
    expect_reply(reply, COVEY_STATUS_CANCELLED, "cancelled");
    covey_stream_free(stream);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

/* ---- functions ---- */

struct handed {
    struct tally tally; /* of ends */
    unsigned messages;
    size_t metadata_count;
    size_t details_size;
    covey_client *client;
    int again;
};

static void handed_message(const void *message, size_t size, void *user)
{
    struct handed *h = user;
    (void)message;
    h->messages += size > 0;
    assert_int_equal(h->tally.count, 0);
}

static void handed_end(const struct covey_reply *reply, void *user)
{
    struct handed *h = user;
    covey_reply_metadata(reply, &h->metadata_count);
    covey_reply_details(reply, &h->details_size);
    tally_reply(reply, &h->tally);
}

static void hand(struct rig *r, const char *method, struct handed *h)
{
    const struct covey_stream_handler handler = {handed_message, handed_end, h};
    *h = (struct handed){.client = r->client};
    tally_init(&h->tally);
    assert_int_equal(covey_client_stream_async(r->client, method, "x", 1, NULL, &handler), 0);
    tally_wait(&h->tally, 1);
    tally_fini(&h->tally);
}

static void functions_get_all_and_one_end(void **state)
{
    struct rig *r = *state;
    struct handed h;
    hand(r, "none", &h);
    assert_int_equal(h.messages, 0);
    assert_int_equal(h.tally.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(h.metadata_count, 1);
    hand(r, "many", &h);
    assert_int_equal(h.messages, many);
    assert_int_equal(h.tally.codes[COVEY_STATUS_OK], 1);
    hand(r, "details", &h);
    assert_int_equal(h.messages, 1);
    assert_int_equal(h.tally.codes[COVEY_STATUS_DATA_LOSS], 1);
    assert_string_equal(h.tally.text, "half of it");
    assert_int_equal(h.metadata_count, 1);
    assert_int_equal(h.details_size, 3);
    hand(r, "nothing", &h);
    assert_int_equal(h.tally.codes[COVEY_STATUS_UNIMPLEMENTED], 1);
}

/* From the end of one the next begins, on the loop's thread. */
static void begin_another(const struct covey_reply *reply, void *user)
{
    struct handed *h = user;
    const struct covey_stream_handler handler = {handed_message, begin_another, h};
    if (h->again-- > 0)
        assert_int_equal(covey_client_stream_async(h->client, "one", "x", 1, NULL, &handler), 0);
    else
        tally_reply(reply, &h->tally);
}

static void functions_may_begin_another(void **state)
{
    struct rig *r = *state;
    struct handed h = {.client = r->client, .again = 200};
    const struct covey_stream_handler handler = {handed_message, begin_another, &h};
    tally_init(&h.tally);
    assert_int_equal(covey_client_stream_async(r->client, "one", "x", 1, NULL, &handler), 0);
    tally_wait(&h.tally, 1);
    assert_int_equal(h.messages, 201);
    tally_fini(&h.tally);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_message_is_the_answer),
        TEST(none_and_two_are_no_answer),
        TEST(an_error_comes_with_its_details_and_no_data),
        TEST(any_number_of_messages_one_answer),
        TEST(no_answer_in_time),
        TEST(half_an_answer_in_time),
        TEST(a_reply_outlives_its_stream_and_client),
        TEST(a_cancelled_stream_has_its_own_answer),
        TEST(functions_get_all_and_one_end),
        TEST(functions_may_begin_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
