#define _POSIX_C_SOURCE 200809L

/* Largest messages, and how much memory a reader costs that does not read. */
#include "unit/api/calling.h"

#define MIB ((size_t)1 << 20)

/* ---- a runtime that counts bytes ---- */

struct weighed {
    atomic_size_t now, most;
};

/* Each piece begins with its size. */
union piece {
    size_t size;
    max_align_t align;
};

static void weigh(struct weighed *w, size_t more, size_t less)
{
    size_t now = atomic_fetch_add(&w->now, more - less) + more - less;
    size_t most = atomic_load(&w->most);
    while (now > most && !atomic_compare_exchange_weak(&w->most, &most, now))
        ;
}

static void *weighed_allocate(void *user, size_t size)
{
    union piece *p = malloc(sizeof *p + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    weigh(user, size, 0);
    return p + 1;
}

static void *weighed_reallocate(void *user, void *memory, size_t size)
{
    if (memory == NULL)
        return weighed_allocate(user, size);
    union piece *p = (union piece *)memory - 1;
    size_t before = p->size;
    p = realloc(p, sizeof *p + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    weigh(user, size, before);
    return p + 1;
}

static void weighed_release(void *user, void *memory)
{
    if (memory == NULL)
        return;
    union piece *p = (union piece *)memory - 1;
    weigh(user, 0, p->size);
    free(p);
}

/* A server and a client, each on a runtime of its own, with these largest messages. */
struct scales {
    struct world world; /* for identities */
    struct weighed server_memory, client_memory;
    covey_runtime *server_runtime, *client_runtime;
    covey_server *server;
    covey_client *client;
    struct kept kept;
};

static covey_runtime *weighed_runtime(struct weighed *w)
{
    struct covey_runtime_config config;
    covey_runtime *runtime;
    covey_runtime_config_init(&config);
    config.allocate = weighed_allocate;
    config.reallocate = weighed_reallocate;
    config.release = weighed_release;
    config.memory_user = w;
    assert_int_equal(covey_runtime_new(&config, &runtime), 0);
    return runtime;
}

struct sizes {
    size_t request_send, request_receive, answer_send, answer_receive;
};

static struct scales *scales_new(const struct sizes *sizes)
{
    struct scales *s = calloc(1, sizeof *s);
    struct covey_server_config server;
    struct covey_client_config client;
    assert_non_null(s);
    world_init(&s->world);
    kept_init(&s->kept);
    s->server_runtime = weighed_runtime(&s->server_memory);
    s->client_runtime = weighed_runtime(&s->client_memory);
    covey_identity *owl = world_identity(&s->world, "owl", COVEY_ROLE_MEMBER);
    server_config_of(&s->world, owl, &server);
    server.runtime = s->server_runtime;
    server.message_receive_max = sizes->request_receive;
    server.message_send_max = sizes->answer_send;
    assert_int_equal(covey_server_new(&server, &s->server), 0);
    serve(s->server, "echo", echo, NULL);
    serve(s->server, "keep", keep, &s->kept);
    serve_stream(s->server, "keep_stream", keep_stream, &s->kept);
    assert_int_equal(covey_server_start(s->server), 0);
    client_config_of(&s->world, owl, covey_server_address(s->server), &client);
    client.runtime = s->client_runtime;
    client.message_send_max = sizes->request_send;
    client.message_receive_max = sizes->answer_receive;
    assert_int_equal(covey_client_new(&client, &s->client), 0);
    covey_identity_free(owl);
    return s;
}

static void scales_free(struct scales *s)
{
    assert_int_equal(covey_client_free(s->client), 0);
    assert_int_equal(covey_server_free(s->server), 0);
    assert_int_equal(covey_runtime_free(s->client_runtime), 0);
    assert_int_equal(covey_runtime_free(s->server_runtime), 0);
    assert_int_equal(atomic_load(&s->server_memory.now), 0);
    assert_int_equal(atomic_load(&s->client_memory.now), 0);
    kept_fini(&s->kept);
    world_fini(&s->world);
    free(s);
}

static unsigned char *bytes_of(size_t size)
{
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 12));
    return bytes;
}

/* ---- largest messages ---- */

static void expect_echo_of(struct scales *s, const unsigned char *bytes, size_t size)
{
    struct covey_reply reply = call_with(s->client, "echo", bytes, size, NULL);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    assert_int_equal(reply.size, size);
    assert_memory_equal(reply.data, bytes, size);
    covey_reply_clear(&reply);
}

static void twelve_megabytes_against_a_limit_are_an_error(void **state)
{
    (void)state;
    const struct sizes usual_server = {64 * MIB, 4 * MIB, 4 * MIB, 64 * MIB};
    struct scales *s = scales_new(&usual_server);
    unsigned char *bytes = bytes_of(12 * MIB);
    struct covey_call_options options = options_within(COVEY_NEVER); /* it must not need one */
    expect_echo_of(s, bytes, 4 * MIB);
    expect_reply(call_with(s->client, "echo", bytes, 12 * MIB, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_reply(call_with(s->client, "echo", bytes, 4 * MIB + 1, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_echo_of(s, bytes, 4 * MIB);
    assert_int_equal(client_stats_of(s->client).connections_opened, 1);
    scales_free(s);

    const struct sizes usual_client = {64 * MIB, 64 * MIB, 64 * MIB, 4 * MIB};
    s = scales_new(&usual_client);
    expect_reply(call_with(s->client, "echo", bytes, 12 * MIB, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_echo_of(s, bytes, 4 * MIB);
    scales_free(s);
    free(bytes);
}

static void small_limits(void **state)
{
    (void)state;
    const struct sizes sizes = {10, 20, 15, 100};
    struct scales *s = scales_new(&sizes);
    unsigned char *bytes = bytes_of(100);
    struct covey_reply reply;
    covey_stream *stream;
    expect_echo_of(s, bytes, 10);
    assert_int_equal(covey_client_call(s->client, "echo", bytes, 11, NULL, &reply),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_client_stream(s->client, "keep", bytes, 11, NULL, &stream),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_client_stream(s->client, "keep", bytes, 10, NULL, &stream), 0);
    covey_call *call = kept_take(&s->kept);
    assert_int_equal(covey_stream_send(stream, bytes, 11), COVEY_ERR_STATE);
    assert_int_equal(covey_call_send(call, bytes, 15), 0);
    assert_int_equal(covey_call_send(call, bytes, 16), COVEY_ERR_TOO_LARGE);
    expect_message(stream, bytes, 15);
    covey_call_reply(call, bytes, 16); /* what cannot be sent ends it */
    expect_over(stream, COVEY_STATUS_RESOURCE_EXHAUSTED, "too large");
    covey_stream_free(stream);
    assert_int_equal(covey_client_open(s->client, "keep_stream", NULL, &stream), 0);
    assert_int_equal(covey_stream_send(stream, bytes, 11), COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_stream_send(stream, bytes, 10), 0);
    call = kept_take(&s->kept);
    covey_stream_free(stream);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    scales_free(s);
    free(bytes);
}

static void sixty_four_megabytes_both_ways(void **state)
{
    (void)state;
    const struct sizes sizes = {64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB};
    struct scales *s = scales_new(&sizes);
    unsigned char *bytes = bytes_of(64 * MIB);
    expect_echo_of(s, bytes, 64 * MIB);
    struct covey_reply reply;
    assert_int_equal(covey_client_call(s->client, "echo", bytes, 64 * MIB + 1, NULL, &reply),
                     COVEY_ERR_TOO_LARGE);
    expect_echo_of(s, bytes, 64 * MIB);
    scales_free(s);
    free(bytes);
}

static void a_limit_is_from_one_byte_to_64_mib(void **state)
{
    (void)state;
    static struct world w;
    struct covey_server_config server;
    struct covey_client_config client;
    covey_server *made_server;
    covey_client *made_client;
    const size_t bad[] = {0, 64 * MIB + 1, SIZE_MAX};
    world_init(&w);
    covey_identity *owl = world_identity(&w, "owl", COVEY_ROLE_MEMBER);
    for (int i = 0; i < 3; i++) {
        server_config_of(&w, owl, &server);
        server.message_send_max = bad[i];
        assert_int_equal(covey_server_new(&server, &made_server), COVEY_ERR_INVALID_ARGUMENT);
        server_config_of(&w, owl, &server);
        server.message_receive_max = bad[i];
        assert_int_equal(covey_server_new(&server, &made_server), COVEY_ERR_INVALID_ARGUMENT);
        client_config_of(&w, owl, "127.0.0.1:1", &client);
        client.message_send_max = bad[i];
        assert_int_equal(covey_client_new(&client, &made_client), COVEY_ERR_INVALID_ARGUMENT);
        client_config_of(&w, owl, "127.0.0.1:1", &client);
        client.message_receive_max = bad[i];
        assert_int_equal(covey_client_new(&client, &made_client), COVEY_ERR_INVALID_ARGUMENT);
    }
    covey_identity_free(owl);
    world_fini(&w);
}

/* ---- slow readers ---- */

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

/* Both ends send to who does not read, messages of this size. */
static void expect_slow_readers_bounded(size_t size)
{
    const struct sizes sizes = {4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB};
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct scales *s = scales_new(&sizes);
    covey_stream *stream;
    assert_int_equal(covey_client_open(s->client, "keep_stream", &options, &stream), 0);
    covey_call *call = kept_take(&s->kept);
    size_t server_before = atomic_load(&s->server_memory.most);
    size_t client_before = atomic_load(&s->client_memory.most);
    size_t to_server = fill_stream(stream, size);
    size_t to_client = fill_call(call, size);
    expect_bounded(s, server_before, client_before);
    assert_true(to_server > 0 && to_client > 0);
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
    expect_slow_readers_bounded(100000);
}

static void slow_readers_of_small_messages(void **state)
{
    (void)state;
    expect_slow_readers_bounded(100);
}

static void slow_readers_of_empty_messages(void **state)
{
    (void)state;
    expect_slow_readers_bounded(0);
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
    for (int i = 0; i < 10; i++)
        expect_echo_of(s, bytes, MIB);
    free(bytes);
    for (int i = 0; i < 2; i++) {
        covey_stream_free(streams[i]);
        covey_call_finish(calls[i], COVEY_STATUS_OK, NULL);
    }
    scales_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_megabytes_against_a_limit_are_an_error),
        cmocka_unit_test(small_limits),
        cmocka_unit_test(sixty_four_megabytes_both_ways),
        cmocka_unit_test(a_limit_is_from_one_byte_to_64_mib),
        cmocka_unit_test(slow_readers_of_large_messages),
        cmocka_unit_test(slow_readers_of_small_messages),
        cmocka_unit_test(slow_readers_of_empty_messages),
        cmocka_unit_test(a_slow_reader_holds_nobody_else_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
