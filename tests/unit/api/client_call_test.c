#define _POSIX_C_SOURCE 200809L

/* What a client does when memory ends, at each allocation in turn. */
#include "unit/api/fixture.h"
#include "unit/api/scarce.h"

#include <pthread.h>
#include <stdio.h>

static void twice(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    if (covey_call_send(call, request, size) == 0)
        covey_call_reply(call, request, size);
    else
        covey_call_finish(call, COVEY_STATUS_INTERNAL, "send");
}

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

struct fixture {
    struct world world; /* the server's, which has memory */
    covey_server *server;
    covey_identity *identity;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct covey_method methods[] = {{.name = "echo", .handler = echo},
                                     {.name = "twice", .handler = twice}};
    assert_non_null(f);
    world_init(&f->world);
    f->server = world_server(&f->world, "owl");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(covey_server_add_method(f->server, &methods[i]), 0);
    assert_int_equal(covey_server_start(f->server), 0);
    f->identity = world_identity(&f->world, "robin", COVEY_ROLE_CLIENT);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    covey_identity_free(f->identity);
    assert_int_equal(covey_server_free(f->server), 0);
    world_fini(&f->world);
    free(f);
    return 0;
}

static const struct covey_call_options *within(covey_time timeout)
{
    static struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = timeout;
    /* A connection in vain for want of memory is tried again after a pause. */
    options.wait_for_ready = true;
    return &options;
}

/* A call answers rightly or says why not, and does not wait for its deadline to say it. True when
 * all went well. */
static bool try_call(covey_client *client)
{
    char request[2000] = "tweet";
    struct covey_reply reply;
    int error =
        covey_client_call(client, "echo", request, sizeof request, within(TEST_DEADLINE), &reply);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    bool well = reply.code == COVEY_STATUS_OK;
    assert_int_not_equal(reply.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    if (well) {
        assert_int_equal(reply.size, sizeof request);
        assert_memory_equal(reply.data, request, sizeof request);
    }
    covey_reply_clear(&reply);
    return well;
}

static bool try_stream(covey_client *client)
{
    covey_stream *stream;
    const void *message;
    size_t size;
    unsigned count = 0;
    int error = covey_client_stream(client, "twice", "tweet", 5, within(TEST_DEADLINE), &stream);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        count++;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    bool well = covey_stream_status(stream, NULL) == COVEY_STATUS_OK;
    assert_int_not_equal(covey_stream_status(stream, NULL), COVEY_STATUS_DEADLINE_EXCEEDED);
    if (well)
        assert_int_equal(count, 2);
    covey_stream_free(stream);
    return well;
}

/* A client, a call and a stream, with the n-th allocation after the runtime's own failing. */
static bool try_all(const struct fixture *f, size_t n)
{
    struct scarce scarce = {.fail_count = 1};
    covey_runtime *runtime = scarce_runtime(&scarce, 0);
    struct covey_client_config config;
    covey_client *client = NULL;
    covey_client_config_init(&config);
    config.runtime = runtime;
    config.identity = f->identity;
    config.address = covey_server_address(f->server);
    atomic_store(&scarce.calls, 0);
    atomic_store(&scarce.fail_at, n);
    int error = covey_client_new(&config, &client);
    if (error != 0)
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
    else {
        (void)try_call(client);
        (void)try_stream(client);
    }
    bool failed = atomic_load(&scarce.calls) >= n;
    /* Memory is there again: the same client works. */
    atomic_store(&scarce.fail_at, 0);
    if (client != NULL) {
        assert_true(try_call(client));
        assert_true(try_stream(client));
    }
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_runtime_free(runtime), 0);
    assert_int_equal(atomic_load(&scarce.blocks), 0);
    return failed;
}

static void each_allocation_may_fail(void **state)
{
    const struct fixture *f = *state;
    size_t n = 1;
    while (try_all(f, n))
        n++;
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
