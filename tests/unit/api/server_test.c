/* Calls through the public API over loopback. */
#include "unit/api/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static void who(covey_call *call, const void *request, size_t size, void *user)
{
    char text[COVEY_NODE_ID_TEXT_SIZE];
    covey_node_id id = covey_call_peer_id(call);
    (void)request;
    (void)size;
    (void)user;
    covey_node_id_text(&id, text);
    assert_string_equal(covey_call_peer_name(call), "caller");
    covey_call_reply(call, text, strlen(text));
}

static void refuse(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    covey_call_finish(call, COVEY_STATUS_NOT_FOUND, "no such bird");
}

static void add(covey_server *server, const char *name, covey_handler handler, void *user,
                unsigned allow)
{
    struct covey_method method = {.name = name, .handler = handler, .user = user, .allow = allow};
    assert_int_equal(covey_server_add_method(server, &method), 0);
}

static void expect_status(covey_client *client, const char *method, const void *request,
                          size_t size, enum covey_status_code code, const char *message)
{
    struct covey_reply reply;
    assert_int_equal(covey_client_call(client, method, request, size, NULL, &reply), 0);
    assert_string_equal(covey_status_name(reply.code), covey_status_name(code));
    assert_string_equal(reply.message, message);
    covey_reply_clear(&reply);
}

static void unary_calls_answer(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    add(server, "echo", echo, NULL, 0);
    add(server, "who", who, NULL, 0);
    add(server, "refuse", refuse, NULL, 0);
    add(server, "members-only", echo, NULL, COVEY_ALLOW_MEMBER);
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_start(server), COVEY_ERR_STATE);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);

    /* every byte value, empty, and more than a packet */
    static unsigned char bytes[300 * 1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    const size_t sizes[] = {0, 1, 256, 1200, 65536, sizeof bytes};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct covey_reply reply;
        assert_int_equal(covey_client_call(client, "echo", bytes, sizes[i], NULL, &reply), 0);
        assert_int_equal(reply.code, COVEY_STATUS_OK);
        assert_int_equal(reply.size, sizes[i]);
        if (sizes[i] > 0)
            assert_memory_equal(reply.data, bytes, sizes[i]);
        covey_reply_clear(&reply);
    }
    struct covey_reply reply;
    assert_int_equal(covey_client_call(client, "who", "", 0, NULL, &reply), 0);
    assert_int_equal(reply.size, 32);
    covey_reply_clear(&reply);

    expect_status(client, "refuse", "", 0, COVEY_STATUS_NOT_FOUND, "no such bird");
    expect_status(client, "nothing", "", 0, COVEY_STATUS_UNIMPLEMENTED, "there is no such method");
    expect_status(client, "members-only", "", 0, COVEY_STATUS_PERMISSION_DENIED,
                  "the certificate's role does not allow this method");
    expect_status(client, "covey.admin.leave", "", 0, COVEY_STATUS_FAILED_PRECONDITION,
                  "this server is in no cluster");
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

static void what_cannot_be_served_is_refused(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    struct covey_method method = {.name = "a", .handler = echo};
    assert_int_equal(covey_server_add_method(server, &method), 0);
    assert_int_equal(covey_server_add_method(server, &method), COVEY_ERR_EXISTS);
    const char *const bad[] = {"", "covey.mine", "with space", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        method.name = bad[i];
        assert_int_equal(covey_server_add_method(server, &method), COVEY_ERR_INVALID_ARGUMENT);
    }
    method = (struct covey_method){.name = "b", .handler = echo, .allow = 8};
    assert_int_equal(covey_server_add_method(server, &method), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_server_start(server), 0);
    method = (struct covey_method){.name = "late", .handler = echo};
    assert_int_equal(covey_server_add_method(server, &method), 0);
    method = (struct covey_method){.name = "none"};
    assert_int_equal(covey_server_add_method(server, &method), COVEY_ERR_INVALID_ARGUMENT);

    struct covey_server_config config;
    covey_server *second;
    covey_identity *client = world_identity(&w, "c", COVEY_ROLE_CLIENT);
    covey_identity *member = world_identity(&w, "m", COVEY_ROLE_MEMBER);
    covey_server_config_init(&config);
    config.runtime = w.runtime;
    config.identity = client;
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_WRONG_ROLE);
    config.identity = member;
    config.listen = covey_server_address(server);
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_ADDRESS_IN_USE);
    config.listen = "localhost:0";
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_ADDRESS);
    config.listen = "192.0.2.1:0";
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_ADDRESS);
    config.listen = "127.0.0.1:0";
    config.advertise = "0.0.0.0:1";
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_ADDRESS);
    config.size = 3;
    assert_int_equal(covey_server_new(&config, &second), COVEY_ERR_INVALID_ARGUMENT);
    covey_identity_free(client);
    covey_identity_free(member);

    assert_int_equal(covey_runtime_free(w.runtime), COVEY_ERR_STATE);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* ---- answers from another thread ---- */

struct parked {
    _Atomic(covey_call *) call;
};

static void park(covey_call *call, const void *request, size_t size, void *user)
{
    struct parked *p = user;
    (void)request;
    (void)size;
    atomic_store(&p->call, call);
}

static covey_call *parked_call(struct parked *p)
{
    covey_call *call;
    while ((call = atomic_exchange(&p->call, NULL)) == NULL)
        sched_yield(); /* ctest ends what never comes */
    return call;
}

static void wait_cancelled(covey_call *call)
{
    while (!covey_call_is_cancelled(call))
        sched_yield();
    assert_int_equal(covey_call_wait_writable(call, TEST_DEADLINE), COVEY_ERR_CANCELLED);
    assert_int_equal(covey_call_send(call, "x", 1), COVEY_ERR_CANCELLED);
}

struct outcome {
    atomic_int code; /* -1: none yet */
    atomic_int count;
};

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct outcome *o = user;
    atomic_fetch_add(&o->count, 1);
    atomic_store(&o->code, (int)reply->code);
}

static int wait_outcome(struct outcome *o)
{
    while (atomic_load(&o->code) < 0)
        sched_yield();
    return atomic_load(&o->code);
}

static void call_async(covey_client *client, const char *method, covey_time timeout,
                       struct outcome *o)
{
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = timeout;
    atomic_store(&o->code, -1);
    atomic_store(&o->count, 0);
    assert_int_equal(covey_client_call_async(client, method, "", 0, &options, on_reply, o), 0);
}

static void a_call_may_be_answered_later(void **state)
{
    (void)state;
    static struct world w;
    struct parked parked = {NULL};
    struct outcome o;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    add(server, "park", park, &parked, 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);

    call_async(client, "park", COVEY_NEVER, &o);
    covey_call *call = parked_call(&parked);
    assert_false(covey_call_is_cancelled(call));
    assert_true(covey_call_time_left(call) == COVEY_NEVER);
    covey_call_reply(call, "x", 1);
    assert_int_equal(wait_outcome(&o), COVEY_STATUS_OK);

    /* the deadline passes: the owner sees the cancel and still has to finish */
    call_async(client, "park", 50 * COVEY_MILLISECOND, &o);
    call = parked_call(&parked);
    assert_int_equal(wait_outcome(&o), COVEY_STATUS_DEADLINE_EXCEEDED);
    wait_cancelled(call);
    /* The client's word of it may come before our own clock says so. */
    while (covey_call_time_left(call) > 0)
        sched_yield();
    covey_call_finish(call, COVEY_STATUS_OK, NULL);

    /* the client goes away */
    call_async(client, "park", COVEY_NEVER, &o);
    call = parked_call(&parked);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(atomic_load(&o.code), COVEY_STATUS_CANCELLED);
    assert_int_equal(atomic_load(&o.count), 1);
    wait_cancelled(call);
    covey_call_reply(call, "x", 1);

    /* the server goes away first */
    client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    call_async(client, "park", COVEY_NEVER, &o);
    call = parked_call(&parked);
    assert_int_equal(covey_server_free(server), 0);
    assert_int_equal(wait_outcome(&o), COVEY_STATUS_UNAVAILABLE);
    assert_true(covey_call_is_cancelled(call));
    assert_int_equal(covey_runtime_free(w.runtime), COVEY_ERR_STATE);
    covey_call_finish(call, COVEY_STATUS_OK, "too late");
    assert_int_equal(covey_client_free(client), 0);
    world_fini(&w);
}

/* ---- streams ---- */

#define STREAM_COUNT 3000
#define STREAM_SIZE  1000

static void *send_numbers(void *user)
{
    covey_call *call = user;
    unsigned char message[STREAM_SIZE];
    unsigned busy = 0;
    for (uint32_t i = 0; i < STREAM_COUNT; i++) {
        memset(message, (int)(i & 0xff), sizeof message);
        memcpy(message, &i, sizeof i);
        int error;
        while ((error = covey_call_send(call, message, sizeof message)) == COVEY_ERR_BUSY) {
            busy++;
            error = covey_call_wait_writable(call, TEST_DEADLINE);
            if (error != 0)
                break;
        }
        if (error != 0) {
            covey_call_finish(call, COVEY_STATUS_ABORTED, covey_strerror(error));
            return NULL;
        }
    }
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    return (void *)(uintptr_t)busy;
}

static void a_stream_keeps_order_and_bounds(void **state)
{
    (void)state;
    static struct world w;
    struct parked parked = {NULL};
    pthread_t sender;
    covey_stream *stream;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    add(server, "numbers", park, &parked, 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_client_stream(client, "numbers", "", 0, NULL, &stream), 0);
    covey_call *call = parked_call(&parked);
    assert_int_equal(pthread_create(&sender, NULL, send_numbers, call), 0);
    for (uint32_t i = 0; i < STREAM_COUNT; i++) {
        const void *message;
        size_t size;
        uint32_t number;
        assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size), 0);
        assert_int_equal(size, STREAM_SIZE);
        memcpy(&number, message, sizeof number);
        assert_int_equal(number, i);
    }
    const void *message;
    size_t size;
    const char *text;
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size),
                     COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, &text), COVEY_STATUS_OK);
    pthread_join(sender, NULL);
    covey_stream_free(stream);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* Nobody reads: the sender is stopped long before everything is sent. */
static void a_slow_reader_stops_the_sender(void **state)
{
    (void)state;
    static struct world w;
    struct parked parked = {NULL};
    covey_stream *stream;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    add(server, "numbers", park, &parked, 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    assert_int_equal(covey_client_stream(client, "numbers", "", 0, &options, &stream), 0);
    covey_call *call = parked_call(&parked);
    static unsigned char message[16 * 1024];
    size_t sent = 0;
    /* until nothing more is taken for a while: everything on the way has a bound */
    for (;;) {
        int error = covey_call_send(call, message, sizeof message);
        if (error == COVEY_ERR_BUSY)
            error = covey_call_wait_writable(call, COVEY_SECOND / 2);
        else if (error == 0)
            sent += sizeof message;
        if (error == COVEY_ERR_TIMEOUT)
            break;
        assert_int_equal(error, 0);
        assert_true(sent < 64u * 1024 * 1024);
    }
    covey_stream_free(stream); /* cancels */
    wait_cancelled(call);
    covey_call_finish(call, COVEY_STATUS_CANCELLED, NULL);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* ---- calls whose owner was done before the client was ---- */

/* Fills all that is on the way of a call that nobody reads; what waits is in its own queue then. */
static void fill(covey_call *call)
{
    static unsigned char message[16 * 1024];
    for (;;) {
        int error = covey_call_send(call, message, sizeof message);
        if (error == COVEY_ERR_BUSY && covey_call_wait_writable(call, COVEY_SECOND / 4) != 0)
            return;
        assert_true(error == 0 || error == COVEY_ERR_BUSY);
    }
}

static void a_finished_call_ends_with_its_client_or_server(void **state)
{
    (void)state;
    for (int server_first = 0; server_first <= 1; server_first++) {
        static struct world w;
        struct parked parked = {NULL};
        covey_stream *stream;
        struct covey_call_options options;
        world_init(&w);
        covey_server *server = world_server(&w, "server");
        add(server, "numbers", park, &parked, 0);
        assert_int_equal(covey_server_start(server), 0);
        covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
        covey_call_options_init(&options);
        options.timeout = COVEY_NEVER;
        assert_int_equal(covey_client_stream(client, "numbers", "", 0, &options, &stream), 0);
        covey_call *call = parked_call(&parked);
        fill(call);
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
        if (server_first)
            assert_int_equal(covey_server_free(server), 0);
        covey_stream_free(stream);
        assert_int_equal(covey_client_free(client), 0);
        if (!server_first)
            assert_int_equal(covey_server_free(server), 0);
        world_fini(&w); /* nothing is left of the call */
    }
}

/* Sends from the runtime's thread until it is told that nobody listens; counts how often. */
struct pump {
    atomic_int told_cancelled;
    atomic_int begun;
    bool finishes;
};

static void pump_on(covey_call *call, void *user)
{
    static const unsigned char message[16 * 1024];
    struct pump *p = user;
    int error;
    atomic_store(&p->begun, 1);
    while ((error = covey_call_send(call, message, sizeof message)) == 0)
        ;
    if (error == COVEY_ERR_BUSY && !p->finishes)
        return;
    if (error == COVEY_ERR_CANCELLED)
        atomic_fetch_add(&p->told_cancelled, 1);
    covey_call_finish(call, COVEY_STATUS_ABORTED, NULL);
}

static void pump_begin(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    covey_call_on_ready(call, pump_on, user);
    pump_on(call, user);
}

/* `ready` is called once for the cancel, and not at all after the call was finished. */
static void ready_is_told_of_the_cancel_once(void **state)
{
    (void)state;
    for (int finishes = 0; finishes <= 1; finishes++) {
        static struct world w;
        struct pump pump = {.finishes = finishes != 0};
        covey_stream *stream;
        world_init(&w);
        covey_server *server = world_server(&w, "server");
        add(server, "pump", pump_begin, &pump, 0);
        assert_int_equal(covey_server_start(server), 0);
        covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
        assert_int_equal(covey_client_stream(client, "pump", "", 0, NULL, &stream), 0);
        while (atomic_load(&pump.begun) == 0)
            sched_yield();
        covey_stream_free(stream);
        assert_int_equal(covey_client_free(client), 0);
        assert_int_equal(covey_server_free(server), 0);
        assert_int_equal(atomic_load(&pump.told_cancelled), finishes ? 0 : 1);
        world_fini(&w);
    }
}

static void a_dead_server_is_unavailable_and_comes_back(void **state)
{
    (void)state;
    static struct world w;
    struct covey_reply reply;
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    char address[64];
    snprintf(address, sizeof address, "%s", covey_server_address(server));
    add(server, "echo", echo, NULL, 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, address, COVEY_ROLE_MEMBER);
    expect_status(client, "echo", "", 0, COVEY_STATUS_OK, "");
    assert_int_equal(covey_server_free(server), 0);
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = TEST_DEADLINE;
    assert_int_equal(covey_client_call(client, "echo", "", 0, &options, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_UNAVAILABLE);
    covey_reply_clear(&reply);

    struct covey_server_config config;
    covey_identity *identity = world_identity(&w, "server", COVEY_ROLE_MEMBER);
    covey_server_config_init(&config);
    config.runtime = w.runtime;
    config.identity = identity;
    config.listen = address;
    assert_int_equal(covey_server_new(&config, &server), 0);
    covey_identity_free(identity);
    add(server, "echo", echo, NULL, 0);
    assert_int_equal(covey_server_start(server), 0);
    options.wait_for_ready = true; /* past the pause after the attempt in vain */
    assert_int_equal(covey_client_call(client, "echo", "", 0, &options, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    covey_reply_clear(&reply);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_calls_answer),
        cmocka_unit_test(what_cannot_be_served_is_refused),
        cmocka_unit_test(a_call_may_be_answered_later),
        cmocka_unit_test(a_stream_keeps_order_and_bounds),
        cmocka_unit_test(a_slow_reader_stops_the_sender),
        cmocka_unit_test(a_finished_call_ends_with_its_client_or_server),
        cmocka_unit_test(ready_is_told_of_the_cancel_once),
        cmocka_unit_test(a_dead_server_is_unavailable_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
