#define _POSIX_C_SOURCE 200809L

#include "unit/api/fixture.h"

#include <pthread.h>

/* ---- a method that sends from a thread of its own ---- */

struct order {
    uint32_t count; /* messages; each begins with its number */
    uint32_t size;
    uint32_t code; /* the status at the end */
};

struct sender {
    pthread_t thread;
    bool is_joined;
    covey_call *call;
    struct order order;
    atomic_uint sent;
    atomic_uint full; /* how often send said BUSY */
    int error;        /* that ended it early */
};

static int send_one(struct sender *s, uint32_t number, unsigned char *bytes)
{
    int error;
    memcpy(bytes, &number, sizeof number);
    while ((error = covey_call_send(s->call, bytes, s->order.size)) == COVEY_ERR_BUSY) {
        atomic_fetch_add(&s->full, 1);
        error = covey_call_wait_writable(s->call, COVEY_NEVER);
        if (error != 0)
            break;
    }
    return error;
}

static void *send_all(void *user)
{
    struct sender *s = user;
    unsigned char *bytes = calloc(1, s->order.size + sizeof(uint32_t));
    for (uint32_t i = 0; bytes != NULL && i < s->order.count && s->error == 0; i++) {
        s->error = send_one(s, i, bytes);
        if (s->error == 0)
            atomic_fetch_add(&s->sent, 1);
    }
    free(bytes);
    covey_call_finish(s->call, (enum covey_status_code)s->order.code, "that was all");
    return NULL;
}

static void begin_sending(covey_call *call, const void *request, size_t size, void *user)
{
    struct sender *s = user;
    s->call = call;
    if (size == sizeof s->order)
        memcpy(&s->order, request, size);
    if (pthread_create(&s->thread, NULL, send_all, s) != 0)
        abort();
}

/* ---- a server with it and a client ---- */

struct fixture {
    struct world world;
    struct sender sender;
    covey_server *server;
    covey_client *client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init(&f->world);
    struct covey_method method = {.name = "count", .handler = begin_sending, .user = &f->sender};
    f->server = world_server(&f->world, "owl");
    assert_int_equal(covey_server_add_method(f->server, &method), 0);
    assert_int_equal(covey_server_start(f->server), 0);
    f->client = world_client(&f->world, covey_server_address(f->server), COVEY_ROLE_CLIENT);
    *state = f;
    return 0;
}

static void join_sender(struct fixture *f)
{
    if (!f->sender.is_joined)
        assert_int_equal(pthread_join(f->sender.thread, NULL), 0);
    f->sender.is_joined = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    join_sender(f);
    assert_int_equal(covey_client_free(f->client), 0);
    assert_int_equal(covey_server_free(f->server), 0);
    world_fini(&f->world);
    free(f);
    return 0;
}

static const struct covey_call_options *for_ever(void)
{
    static struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    return &options;
}

static covey_stream *begin(const struct fixture *f, const struct order *order)
{
    covey_stream *stream;
    assert_int_equal(
        covey_client_stream(f->client, "count", order, sizeof *order, for_ever(), &stream), 0);
    return stream;
}

static void assert_message(const void *message, size_t size, const struct order *order,
                           uint32_t number)
{
    uint32_t read;
    assert_int_equal(size, order->size);
    memcpy(&read, message, sizeof read);
    assert_int_equal(read, number);
}

/* Reads `count` messages, the first of which has the number `first`. */
static void read_some(covey_stream *stream, const struct order *order, uint32_t first,
                      uint32_t count)
{
    const void *message;
    size_t size;
    for (uint32_t i = first; i < first + count; i++) {
        assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size), 0);
        assert_message(message, size, order, i);
    }
}

static void assert_over(covey_stream *stream, enum covey_status_code code, const char *text)
{
    const void *message;
    const char *said;
    size_t size;
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size),
                     COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, &said), code);
    assert_string_equal(said, text);
}

/* ---- tests ---- */

static void messages_come_in_order_then_the_status(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = 5000, .size = 100, .code = COVEY_STATUS_OK};
    covey_stream *stream = begin(f, &order);
    read_some(stream, &order, 0, order.count);
    assert_over(stream, COVEY_STATUS_OK, "that was all");
    covey_stream_free(stream);
}

static void no_message_and_a_status(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = 0, .size = 4, .code = COVEY_STATUS_DATA_LOSS};
    covey_stream *stream = begin(f, &order);
    assert_over(stream, COVEY_STATUS_DATA_LOSS, "that was all");
    covey_stream_free(stream);
}

/* What waits between a server that sends and a client that does not read is bounded, and all of it
 * comes in the end. */
static void a_reader_that_stops_holds_the_server_back(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = 1500, .size = 16384, .code = COVEY_STATUS_ABORTED};
    covey_stream *stream = begin(f, &order);
    read_some(stream, &order, 0, 1);
    /* The server is stuck when its count stays the same for as long as the client asks it twenty
     * things, each of which it would use to send more. */
    unsigned before = 0, quiet = 0;
    while (quiet < 20) {
        struct covey_reply reply;
        assert_int_equal(covey_client_call(f->client, "other", NULL, 0, NULL, &reply), 0);
        assert_int_equal(reply.code, COVEY_STATUS_UNIMPLEMENTED);
        covey_reply_clear(&reply);
        unsigned sent = atomic_load(&f->sender.sent);
        quiet = sent == before && atomic_load(&f->sender.full) > 0 ? quiet + 1 : 0;
        before = sent;
    }
    assert_in_range(before, 16, 256); /* 256 KiB to 4 MiB of 24 */
    read_some(stream, &order, 1, order.count - 1);
    assert_over(stream, COVEY_STATUS_ABORTED, "that was all");
    assert_int_equal(atomic_load(&f->sender.sent), order.count);
    covey_stream_free(stream);
}

/* Empty messages count too: else they would fill the reader's memory. */
static void small_messages_hold_the_server_back(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = 200000, .size = 4, .code = COVEY_STATUS_OK};
    covey_stream *stream = begin(f, &order);
    read_some(stream, &order, 0, 1);
    while (atomic_load(&f->sender.full) == 0)
        assert_true(atomic_load(&f->sender.sent) < order.count);
    read_some(stream, &order, 1, order.count - 1);
    assert_over(stream, COVEY_STATUS_OK, "that was all");
    covey_stream_free(stream);
}

static void a_cancel_reaches_the_server(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = UINT32_MAX, .size = 1000, .code = COVEY_STATUS_OK};
    covey_stream *stream = begin(f, &order);
    const void *message;
    size_t size;
    int error;
    read_some(stream, &order, 0, 10);
    covey_stream_cancel(stream);
    uint32_t next = 10;
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        assert_message(message, size, &order, next++);
    assert_int_equal(error, COVEY_ERR_CLOSED);
    assert_over(stream, COVEY_STATUS_CANCELLED, "cancelled");
    covey_stream_free(stream);
    join_sender(f);
    assert_int_equal(f->sender.error, COVEY_ERR_CANCELLED);
}

static void a_stream_is_freed_while_messages_come(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = UINT32_MAX, .size = 1000, .code = COVEY_STATUS_OK};
    covey_stream *stream = begin(f, &order);
    read_some(stream, &order, 0, 100);
    covey_stream_free(stream); /* the thread that sends ends: teardown waits for it */
}

static void what_came_is_read_after_the_client_is_gone(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = UINT32_MAX, .size = 1000, .code = COVEY_STATUS_OK};
    covey_stream *stream = begin(f, &order);
    const void *message;
    size_t size;
    int error;
    read_some(stream, &order, 0, 10);
    assert_int_equal(covey_client_free(f->client), 0);
    f->client = NULL;
    uint32_t next = 10;
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        assert_message(message, size, &order, next++);
    assert_int_equal(error, COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, NULL), COVEY_STATUS_CANCELLED);
    covey_stream_free(stream);
}

/* ---- with functions ---- */

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct order *order;
    uint32_t count;
    unsigned ends;
    enum covey_status_code code;
};

static void see_message(const void *message, size_t size, void *user)
{
    struct seen *seen = user;
    pthread_mutex_lock(&seen->lock);
    assert_int_equal(seen->ends, 0);
    assert_message(message, size, seen->order, seen->count);
    seen->count++;
    pthread_mutex_unlock(&seen->lock);
}

static void see_end(const struct covey_reply *reply, void *user)
{
    struct seen *seen = user;
    pthread_mutex_lock(&seen->lock);
    seen->ends++;
    seen->code = reply->code;
    pthread_cond_signal(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
}

static void functions_see_each_message_and_one_end(void **state)
{
    struct fixture *f = *state;
    const struct order order = {.count = 1000, .size = 5000, .code = COVEY_STATUS_OUT_OF_RANGE};
    struct seen seen = {.order = &order};
    pthread_mutex_init(&seen.lock, NULL);
    pthread_cond_init(&seen.changed, NULL);
    struct covey_stream_handler handler = {.message = see_message, .end = see_end, .user = &seen};
    assert_int_equal(
        covey_client_stream_async(f->client, "count", &order, sizeof order, for_ever(), &handler),
        0);
    pthread_mutex_lock(&seen.lock);
    while (seen.ends == 0)
        pthread_cond_wait(&seen.changed, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
    assert_int_equal(seen.count, order.count);
    assert_int_equal(seen.code, COVEY_STATUS_OUT_OF_RANGE);
    assert_int_equal(covey_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(seen.ends, 1);
    pthread_cond_destroy(&seen.changed);
    pthread_mutex_destroy(&seen.lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_in_order_then_the_status),
        TEST(no_message_and_a_status),
        TEST(a_reader_that_stops_holds_the_server_back),
        TEST(small_messages_hold_the_server_back),
        TEST(a_cancel_reaches_the_server),
        TEST(a_stream_is_freed_while_messages_come),
        TEST(what_came_is_read_after_the_client_is_gone),
        TEST(functions_see_each_message_and_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
