#define _POSIX_C_SOURCE 200809L

/* Readers that do not read cost a bounded amount of memory, and nobody else. */
#include "unit/api/scales.h"

/* What one end has of two streams that nobody reads: its own queue and its streams' buffers, a MiB
 * and more, and what the other end sent ahead, 256 KiB; all in blocks that are too large by half. */
#define READER_COST_MAX (8 * MIB)

static void expect_bounded(struct scales *s, size_t server_before, size_t client_before)
{
    size_t server = atomic_load(&s->server_memory.most) - server_before;
    size_t client = atomic_load(&s->client_memory.most) - client_before;
    if (server > READER_COST_MAX || client > READER_COST_MAX)
        fail_msg("%zu KiB at the server, %zu KiB at the client", server / 1024, client / 1024);
}

/* Sends to `stream` until nothing is taken for a while; how much was. */
static size_t fill_stream(covey_stream *stream, size_t size)
{
    unsigned char *bytes = bytes_of(size + 1);
    size_t sent = 0;
    int error = 0;
    while (error == 0 && sent < 200 * MIB) {
        while ((error = covey_stream_send(stream, bytes, size)) == 0)
            sent += size + 1;
        if (error == COVEY_ERR_BUSY)
            error = covey_stream_wait_writable(stream, COVEY_SECOND / 2);
    }
    assert_int_equal(error, COVEY_ERR_TIMEOUT);
    free(bytes);
    return sent;
}

static size_t fill_call(covey_call *call, size_t size)
{
    unsigned char *bytes = bytes_of(size + 1);
    size_t sent = 0;
    int error = 0;
    while (error == 0 && sent < 200 * MIB) {
        while ((error = covey_call_send(call, bytes, size)) == 0)
            sent += size + 1;
        if (error == COVEY_ERR_BUSY)
            error = covey_call_wait_writable(call, COVEY_SECOND / 2);
    }
    assert_int_equal(error, COVEY_ERR_TIMEOUT);
    free(bytes);
    return sent;
}

/* Both ends send to who does not read, messages of this size; or the server alone. */
static void expect_slow_readers_bounded(size_t size, bool both)
{
    const struct sizes sizes = {4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB};
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct scales *s = scales_new(&sizes);
    covey_stream *stream;
    assert_int_equal(covey_client_open(s->client, "keep_stream", &options, &stream), 0);
    covey_call *call = kept_take(&s->kept);
    size_t server_before = atomic_load(&s->server_memory.most);
    size_t client_before = atomic_load(&s->client_memory.most);
    size_t to_server = both ? fill_stream(stream, size) : 0;
    size_t to_client = fill_call(call, size);
    expect_bounded(s, server_before, client_before);
    assert_true(to_client > 0 && (to_server > 0 || !both));
    /* Nothing is lost: all of it is there for who reads now. */
    const void *message;
    size_t got, count = 0;
    while (count * (size + 1) < to_client) {
        assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &got), 0);
        assert_int_equal(got, size);
        count++;
    }
    covey_stream_end(stream);
    count = 0;
    int error;
    while ((error = covey_call_receive(call, TEST_DEADLINE, &message, &got)) == 0)
        count++;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    assert_int_equal(count * (size + 1), to_server);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    scales_free(s);
}

static void slow_readers_of_large_messages(void **state)
{
    (void)state;
    expect_slow_readers_bounded(100000, true);
}

static void slow_readers_of_small_messages(void **state)
{
    (void)state;
    expect_slow_readers_bounded(100, true);
}

static void slow_readers_of_empty_messages(void **state)
{
    (void)state;
    /* A window is half a million of them: one way has to do. */
    expect_slow_readers_bounded(0, false);
}

/* Other calls of the same connection go on beside a reader that does not read. */
static void a_slow_reader_holds_nobody_else_up(void **state)
{
    (void)state;
    const struct sizes sizes = {4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB};
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct scales *s = scales_new(&sizes);
    covey_stream *streams[2];
    covey_call *calls[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(covey_client_open(s->client, "keep_stream", &options, &streams[i]), 0);
        calls[i] = kept_take(&s->kept);
        fill_stream(streams[i], 10000);
        fill_call(calls[i], 10000);
    }
    unsigned char *bytes = bytes_of(MIB);
    for (int i = 0; i < 3; i++)
        expect_echo_of(s, bytes, MIB);
    free(bytes);
    for (int i = 0; i < 2; i++) {
        covey_stream_free(streams[i]);
        covey_call_finish(calls[i], COVEY_STATUS_OK, NULL);
    }
    scales_free(s);
}

/* Each of many calls has nearly read what the RPC layer lets it read before it is told. */
static void calls_that_were_read_hold_nobody_up(void **state)
{
    (void)state;
    enum { CALLS = 160, MESSAGES = 15, SIZE = 4096 };
    const struct sizes sizes = {4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB};
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct scales *s = scales_new(&sizes);
    static covey_stream *streams[CALLS];
    static covey_call *calls[CALLS];
    unsigned char *bytes = bytes_of(SIZE);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(covey_client_open(s->client, "keep_stream", &options, &streams[i]), 0);
        calls[i] = kept_take(&s->kept);
        for (int k = 0; k < MESSAGES; k++) {
            const void *message;
            size_t size;
            assert_int_equal(covey_call_send(calls[i], bytes, SIZE), 0);
            assert_int_equal(covey_stream_receive(streams[i], 60 * COVEY_SECOND, &message, &size),
                             0);
            assert_int_equal(size, SIZE);
        }
    }
    expect_echo_of(s, bytes, SIZE);
    free(bytes);
    for (int i = 0; i < CALLS; i++) {
        covey_stream_free(streams[i]);
        covey_call_finish(calls[i], COVEY_STATUS_OK, NULL);
    }
    scales_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_readers_of_large_messages),
        cmocka_unit_test(slow_readers_of_small_messages),
        cmocka_unit_test(slow_readers_of_empty_messages),
        cmocka_unit_test(a_slow_reader_holds_nobody_else_up),
        cmocka_unit_test(calls_that_were_read_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
