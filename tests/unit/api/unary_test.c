#define _POSIX_C_SOURCE 200809L

#include "unit/api/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#define MESSAGE_MAX ((size_t)4 * 1024 * 1024)

/* ---- methods ---- */

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static void say_no(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    assert_int_equal(covey_call_send(call, request, size), 0);
    covey_call_finish(call, COVEY_STATUS_NOT_FOUND, "no such bird");
}

static void say_nothing(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

static void say_it_twice(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    assert_int_equal(covey_call_send(call, request, size), 0);
    covey_call_reply(call, request, size);
}

/* A call that a handler left for later. */
struct kept {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    covey_call *call;
};

static void keep(covey_call *call, const void *request, size_t size, void *user)
{
    struct kept *kept = user;
    (void)request;
    (void)size;
    pthread_mutex_lock(&kept->lock);
    kept->call = call;
    pthread_cond_signal(&kept->changed);
    pthread_mutex_unlock(&kept->lock);
}

static covey_call *take_kept(struct kept *kept)
{
    pthread_mutex_lock(&kept->lock);
    while (kept->call == NULL)
        pthread_cond_wait(&kept->changed, &kept->lock);
    covey_call *call = kept->call;
    kept->call = NULL;
    pthread_mutex_unlock(&kept->lock);
    return call;
}

/* The handler's side hears of the end a moment later than the client's. */
static void wait_cancelled(covey_call *call)
{
    time_t end = time(NULL) + 30;
    while (!covey_call_is_cancelled(call)) {
        if (time(NULL) > end)
            fail_msg("%s", "the call was not cancelled");
        sched_yield();
    }
}

/* ---- a server with these and a client of it ---- */

struct fixture {
    struct world world;
    struct kept kept;
    covey_server *server;
    covey_client *client;
};

static void add(covey_server *server, const char *name, covey_handler handler, void *user)
{
    struct covey_method method = {.name = name, .handler = handler, .user = user};
    assert_int_equal(covey_server_add_method(server, &method), 0);
}

static covey_server *serve(struct fixture *f, const char *listen)
{
    struct covey_server_config config;
    covey_server *server;
    covey_identity *identity = world_identity(&f->world, "owl", COVEY_ROLE_MEMBER);
    covey_server_config_init(&config);
    config.runtime = f->world.runtime;
    config.identity = identity;
    config.listen = listen;
    assert_int_equal(covey_server_new(&config, &server), 0);
    covey_identity_free(identity);
    struct covey_method members_only = {
        .name = "members_only", .handler = echo, .allow = COVEY_ALLOW_MEMBER};
    add(server, "echo", echo, NULL);
    add(server, "no", say_no, NULL);
    add(server, "nothing", say_nothing, NULL);
    add(server, "twice", say_it_twice, NULL);
    add(server, "keep", keep, &f->kept);
    assert_int_equal(covey_server_add_method(server, &members_only), 0);
    assert_int_equal(covey_server_start(server), 0);
    return server;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    pthread_mutex_init(&f->kept.lock, NULL);
    pthread_cond_init(&f->kept.changed, NULL);
    world_init(&f->world);
    f->server = serve(f, own_listen());
    f->client = world_client(&f->world, covey_server_address(f->server), COVEY_ROLE_CLIENT);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(covey_client_free(f->client), 0);
    assert_int_equal(covey_server_free(f->server), 0);
    world_fini(&f->world);
    pthread_cond_destroy(&f->kept.changed);
    pthread_mutex_destroy(&f->kept.lock);
    free(f);
    return 0;
}

static struct covey_reply call_it(covey_client *client, const char *method, const void *request,
                                  size_t size)
{
    struct covey_reply reply;
    assert_int_equal(covey_client_call(client, method, request, size, NULL, &reply), 0);
    return reply;
}

static void assert_status(covey_client *client, const char *method, enum covey_status_code code,
                          const char *text)
{
    struct covey_reply reply = call_it(client, method, "tweet", 5);
    assert_int_equal(reply.code, code);
    if (strstr(reply.message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, reply.message);
    assert_null(reply.data);
    assert_int_equal(reply.size, 0);
    covey_reply_clear(&reply);
}

/* Waits for a connection if need be: one in vain is tried again after a pause only. */
static void assert_echo(covey_client *client)
{
    struct covey_reply reply;
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.wait_for_ready = true;
    assert_int_equal(covey_client_call(client, "echo", "tweet", 5, &options, &reply), 0);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    assert_int_equal(reply.size, 5);
    assert_memory_equal(reply.data, "tweet", 5);
    covey_reply_clear(&reply);
}

/* ---- tests ---- */

static void count_ok(const struct covey_reply *reply, void *user)
{
    atomic_uint *counts = user;
    atomic_fetch_add(&counts[reply->code == COVEY_STATUS_OK ? 0 : 1], 1);
}

static void an_answer_of_any_size(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 1200, 65535, 65536, 1000000, MESSAGE_MAX};
    unsigned char *request = malloc(MESSAGE_MAX);
    assert_non_null(request);
    for (size_t i = 0; i < MESSAGE_MAX; i++)
        request[i] = (unsigned char)(i * 31 + (i >> 8));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct covey_reply reply = call_it(f->client, "echo", request, sizes[i]);
        assert_int_equal(reply.code, COVEY_STATUS_OK);
        assert_string_equal(reply.message, "");
        assert_non_null(reply.data);
        assert_int_equal(reply.size, sizes[i]);
        assert_memory_equal(reply.data, request, sizes[i]);
        covey_reply_clear(&reply);
    }
    free(request);
}

static void a_status_comes_without_data(void **state)
{
    struct fixture *f = *state;
    assert_status(f->client, "no", COVEY_STATUS_NOT_FOUND, "no such bird");
    assert_status(f->client, "nothing", COVEY_STATUS_INTERNAL, "the answer has no message");
    assert_status(f->client, "twice", COVEY_STATUS_INTERNAL, "more than one message");
    assert_status(f->client, "unknown", COVEY_STATUS_UNIMPLEMENTED, "");
    assert_status(f->client, "members_only", COVEY_STATUS_PERMISSION_DENIED, "");
    assert_echo(f->client);
}

/* ---- with and without options, outside of the loop and on it ---- */

struct outcome {
    int error;
    enum covey_status_code code;
    char message[128];
    bool has_data;
    char data[1300];
    size_t size;
};

static void note_reply(struct outcome *o, const struct covey_reply *reply)
{
    o->code = reply->code;
    (void)snprintf(o->message, sizeof o->message, "%s", reply->message);
    o->has_data = reply->data != NULL;
    o->size = reply->size;
    assert_true(o->size <= sizeof o->data);
    if (o->size > 0)
        memcpy(o->data, reply->data, o->size);
}

static struct outcome outcome_of(covey_client *client, const char *method,
                                 const struct covey_call_options *options)
{
    struct outcome o = {.error = 0};
    struct covey_reply reply;
    o.error = covey_client_call(client, method, "tweet", 5, options, &reply);
    if (o.error == 0) {
        note_reply(&o, &reply);
        covey_reply_clear(&reply);
    }
    return o;
}

/* Begins a call from the callback of another: on the loop. */
struct nested {
    covey_client *client;
    const char *method;
    const struct covey_call_options *options;
    struct outcome outcome;
    atomic_bool is_done;
};

static void nested_ended(const struct covey_reply *reply, void *user)
{
    struct nested *n = user;
    note_reply(&n->outcome, reply);
    atomic_store(&n->is_done, true);
}

static void begin_nested(const struct covey_reply *reply, void *user)
{
    struct nested *n = user;
    (void)reply;
    n->outcome.error =
        covey_client_call_async(n->client, n->method, "tweet", 5, n->options, nested_ended, n);
    if (n->outcome.error != 0)
        atomic_store(&n->is_done, true);
}

static struct outcome nested_outcome_of(covey_client *client, const char *method,
                                        const struct covey_call_options *options)
{
    struct nested n = {.client = client, .method = method, .options = options};
    assert_int_equal(covey_client_call_async(client, "echo", "", 0, NULL, begin_nested, &n), 0);
    time_t end = time(NULL) + 30;
    while (!atomic_load(&n.is_done)) {
        if (time(NULL) > end)
            fail_msg("%s", "the call has no end");
        sched_yield();
    }
    return n.outcome;
}

static void a_call_without_options_is_one_with_the_defaults(void **state)
{
    const struct fixture *f = *state;
    char longest[256], too_long[257];
    memset(longest, 'm', sizeof longest);
    memset(too_long, 'm', sizeof too_long);
    longest[255] = too_long[256] = 0;
    const char *const methods[] = {"echo",    "no",    "nothing", "twice", "members_only",
                                   "unknown", longest, "",        "a b",   "echo\x80",
                                   "\x80",    "echo ", too_long,  "/",     "Az09._-/"};
    struct covey_call_options options;
    covey_call_options_init(&options);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct outcome outcomes[] = {outcome_of(f->client, methods[i], &options),
                                           outcome_of(f->client, methods[i], NULL),
                                           nested_outcome_of(f->client, methods[i], &options),
                                           nested_outcome_of(f->client, methods[i], NULL)};
        for (size_t o = 1; o < 4; o++) {
            assert_int_equal(outcomes[o].error, outcomes[0].error);
            assert_int_equal(outcomes[o].code, outcomes[0].code);
            assert_string_equal(outcomes[o].message, outcomes[0].message);
            assert_int_equal(outcomes[o].has_data, outcomes[0].has_data);
            assert_int_equal(outcomes[o].size, outcomes[0].size);
            assert_memory_equal(outcomes[o].data, outcomes[0].data, outcomes[0].size);
        }
        bool is_name = i < 7 || i > 12;
        assert_int_equal(outcomes[0].error, is_name ? 0 : COVEY_ERR_INVALID_ARGUMENT);
    }
    struct covey_reply reply;
    assert_int_equal(covey_client_call(f->client, NULL, "tweet", 5, NULL, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
}

/* A call without options still has the default deadline. */
static void the_default_deadline_travels(void **state)
{
    struct fixture *f = *state;
    atomic_uint counts[2] = {0, 0};
    assert_int_equal(covey_client_call_async(f->client, "keep", "tweet", 5, NULL, count_ok, counts),
                     0);
    covey_call *call = take_kept(&f->kept);
    assert_in_range(covey_call_time_left(call), COVEY_SECOND, 30 * COVEY_SECOND);
    assert_string_equal(covey_call_method(call), "keep");
    covey_call_reply(call, "", 0);
    while (atomic_load(&counts[0]) + atomic_load(&counts[1]) == 0)
        assert_echo(f->client);
    assert_int_equal(atomic_load(&counts[0]), 1);
}

static void a_reply_outlives_client_and_server(void **state)
{
    struct fixture *f = *state;
    struct covey_reply data = call_it(f->client, "echo", "tweet", 5);
    struct covey_reply text = call_it(f->client, "no", "tweet", 5);
    assert_int_equal(covey_client_free(f->client), 0);
    f->client = NULL;
    assert_memory_equal(data.data, "tweet", 5);
    assert_string_equal(text.message, "no such bird");
    covey_reply_clear(&data);
    covey_reply_clear(&text);
}

static void a_server_that_came_back_is_found(void **state)
{
    struct fixture *f = *state;
    char address[64];
    snprintf(address, sizeof address, "%s", covey_server_address(f->server));
    assert_echo(f->client);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(covey_server_free(f->server), 0);
        assert_status(f->client, "echo", COVEY_STATUS_UNAVAILABLE, "");
        f->server = serve(f, address);
        assert_echo(f->client);
    }
}

static void a_lost_connection_ends_the_calls(void **state)
{
    struct fixture *f = *state;
    struct covey_call_options options;
    covey_stream *stream;
    const void *message;
    size_t size;
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    assert_int_equal(covey_client_stream(f->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = take_kept(&f->kept);
    assert_int_equal(covey_server_free(f->server), 0);
    f->server = NULL;
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size),
                     COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, NULL), COVEY_STATUS_UNAVAILABLE);
    assert_true(covey_call_is_cancelled(call));
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    covey_stream_free(stream);
}

static void the_deadline_passes_at_both_ends(void **state)
{
    struct fixture *f = *state;
    struct covey_call_options options;
    struct covey_reply reply;
    assert_echo(f->client);
    covey_call_options_init(&options);
    options.timeout = 50 * COVEY_MILLISECOND;
    assert_int_equal(covey_client_call(f->client, "keep", "x", 1, &options, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_null(strstr(reply.message, "connect"));
    covey_reply_clear(&reply);
    covey_call *call = take_kept(&f->kept);
    wait_cancelled(call);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    assert_echo(f->client);
}

static void note_code(const struct covey_reply *reply, void *user)
{
    *(enum covey_status_code *)user = reply->code;
}

static void freeing_the_client_reaches_the_handler(void **state)
{
    struct fixture *f = *state;
    enum covey_status_code code = COVEY_STATUS_OK;
    assert_int_equal(covey_client_call_async(f->client, "keep", "x", 1, NULL, note_code, &code), 0);
    covey_call *call = take_kept(&f->kept);
    assert_false(covey_call_is_cancelled(call));
    assert_int_equal(covey_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(code, COVEY_STATUS_CANCELLED);
    wait_cancelled(call);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

static covey_client *client_as(const struct fixture *f, const covey_identity *identity,
                               const covey_node_id *expected)
{
    struct covey_client_config config;
    covey_client *client;
    covey_client_config_init(&config);
    config.runtime = f->world.runtime;
    config.identity = identity;
    config.address = covey_server_address(f->server);
    config.expected = expected;
    assert_int_equal(covey_client_new(&config, &client), 0);
    return client;
}

static void only_the_right_server_is_believed(void **state)
{
    struct fixture *f = *state;
    struct world other;
    covey_node_id nobody = {{1, 2, 3}};
    world_init(&other);
    covey_identity *mine = world_identity(&f->world, "robin", COVEY_ROLE_CLIENT);
    covey_identity *strange = world_identity(&other, "robin", COVEY_ROLE_CLIENT);
    covey_client *picky = client_as(f, mine, &nobody);
    covey_client *stranger = client_as(f, strange, NULL);
    assert_status(picky, "echo", COVEY_STATUS_UNAVAILABLE,
                  "the peer is not the node that was expected");
    assert_status(stranger, "echo", COVEY_STATUS_UNAVAILABLE, "the certificate is not acceptable");
    assert_int_equal(covey_client_free(picky), 0);
    assert_int_equal(covey_client_free(stranger), 0);
    covey_identity_free(mine);
    covey_identity_free(strange);
    world_fini(&other);
}

#define THREADS 4
#define CALLS   200

struct caller {
    covey_client *client;
    unsigned number;
    unsigned right;
};

static void *call_often(void *user)
{
    struct caller *caller = user;
    for (unsigned i = 0; i < CALLS; i++) {
        char request[32];
        struct covey_reply reply;
        int size = snprintf(request, sizeof request, "%u.%u", caller->number, i);
        if (covey_client_call(caller->client, "echo", request, (size_t)size, NULL, &reply) != 0)
            continue;
        caller->right += reply.code == COVEY_STATUS_OK && reply.size == (size_t)size &&
                         memcmp(reply.data, request, reply.size) == 0;
        covey_reply_clear(&reply);
    }
    return NULL;
}

static void threads_share_a_client(void **state)
{
    struct fixture *f = *state;
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.client = f->client, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].right, CALLS);
    }
}

/* Calls that all begin before the first one's answer. */
static void assert_all_answered(covey_client *client, unsigned count, size_t size)
{
    atomic_uint counts[2] = {0, 0};
    char *request = calloc(1, size);
    struct covey_call_options options;
    assert_non_null(request);
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(
            covey_client_call_async(client, "echo", request, size, &options, count_ok, counts), 0);
    free(request);
    while (atomic_load(&counts[0]) + atomic_load(&counts[1]) < count)
        assert_echo(client);
    assert_int_equal(atomic_load(&counts[0]), count);
}

static void calls_wait_for_streams(void **state)
{
    const struct fixture *f = *state;
    assert_all_answered(f->client, 3000, 100);
}

/* A connection keeps up to 8 MiB that are to be sent. */
static void calls_wait_for_memory(void **state)
{
    const struct fixture *f = *state;
    assert_all_answered(f->client, 3, (size_t)3 * 1024 * 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_of_any_size),
        TEST(a_status_comes_without_data),
        TEST(a_call_without_options_is_one_with_the_defaults),
        TEST(the_default_deadline_travels),
        TEST(a_reply_outlives_client_and_server),
        TEST(a_server_that_came_back_is_found),
        TEST(a_lost_connection_ends_the_calls),
        TEST(the_deadline_passes_at_both_ends),
        TEST(freeing_the_client_reaches_the_handler),
        TEST(only_the_right_server_is_believed),
        TEST(threads_share_a_client),
        TEST(calls_wait_for_streams),
        TEST(calls_wait_for_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
