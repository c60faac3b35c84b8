#define _POSIX_C_SOURCE 200809L

/* What the server and the client do when memory ends at each allocation in turn, for each kind of
 * call: an outcome, in time, and both work afterwards. */
#include "unit/api/calling.h"
#include "unit/api/scarce.h"

/* ---- methods of all kinds ---- */

static void large_echo(covey_call *call, const void *request, size_t size, void *user)
{
    const struct covey_metadata set[] = {{"one", "value", 5}};
    (void)user;
    if (covey_call_send_metadata(call, set, 1) == 0)
        covey_call_reply(call, request, size);
    else
        covey_call_finish_with(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "no memory", "details", 7);
}

static void say_twice(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    if (covey_call_send(call, request, size) == 0)
        covey_call_reply(call, request, size);
    else
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "no memory");
}

/* Sends back what comes, until there is no more. */
static void mirror_on(covey_call *call, void *user)
{
    const void *message;
    size_t size;
    int error, sent = 0;
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0 && sent == 0)
        sent = covey_call_send(call, message, size);
    (void)user;
    if (sent != 0)
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(sent));
    else if (error != COVEY_ERR_TIMEOUT)
        covey_call_finish(call,
                          error == COVEY_ERR_CLOSED ? COVEY_STATUS_OK : COVEY_STATUS_CANCELLED, "");
}

static void mirror(covey_call *call, void *user)
{
    covey_call_on_ready(call, mirror_on, user);
    mirror_on(call, user);
}

/* ---- one call of each kind ---- */

#define SIZE 3000
static char bytes[SIZE];

struct pair {
    struct scarce memory[2]; /* the server's, the client's */
    covey_runtime *runtimes[2];
    covey_server *server;
    covey_client *client;
    unsigned made;     /* calls that began, as their functions said */
    atomic_uint ended; /* as the client's interceptor saw */
};

static void see_end(const struct covey_call_summary *summary, void *user)
{
    (void)summary;
    atomic_fetch_add(&((struct pair *)user)->ended, 1);
}

static struct covey_call_options patient(void)
{
    struct covey_call_options options = options_within(TEST_DEADLINE);
    options.wait_for_ready = true; /* a connection in vain is tried again after a pause */
    return options;
}

/* True when all went well. A deadline would mean that something was forgotten. */
static bool judge(enum covey_status_code code)
{
    assert_int_not_equal(code, COVEY_STATUS_DEADLINE_EXCEEDED);
    return code == COVEY_STATUS_OK;
}

static bool unary(struct pair *p)
{
    struct covey_reply reply;
    const struct covey_metadata set[] = {{"two", bytes, 200}};
    struct covey_call_options options = patient();
    options.metadata = set;
    options.metadata_count = 1;
    int error = covey_client_call(p->client, "echo", bytes, SIZE, &options, &reply);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_null(reply.owner);
        return false;
    }
    p->made++;
    bool well = judge(reply.code);
    if (well) {
        size_t count;
        assert_int_equal(reply.size, SIZE);
        covey_reply_metadata(&reply, &count);
        assert_int_equal(count, 1);
    }
    covey_reply_clear(&reply);
    return well;
}

static bool server_stream(struct pair *p)
{
    covey_stream *stream;
    const void *message;
    size_t size;
    unsigned count = 0;
    struct covey_call_options options = patient();
    int error = covey_client_stream(p->client, "twice", bytes, SIZE, &options, &stream);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    p->made++;
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        count++;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    bool well = judge(covey_stream_status(stream, NULL));
    if (well)
        assert_int_equal(count, 2);
    covey_stream_free(stream);
    return well;
}

/* Five messages, each of which comes back. False: it was not even begun. */
static bool bidi(struct pair *p)
{
    covey_stream *stream;
    const void *message;
    size_t size;
    unsigned sent = 0, count = 0;
    struct covey_call_options options = patient();
    int error = covey_client_open(p->client, "mirror", &options, &stream);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    p->made++;
    for (int i = 0; i < 5; i++) {
        error = covey_stream_send(stream, bytes, SIZE);
        sent += error == 0;
        assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY || error == COVEY_ERR_CLOSED);
    }
    covey_stream_end(stream);
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        count++;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    bool well = judge(covey_stream_status(stream, NULL));
    if (well)
        assert_int_equal(count, sent); /* what was taken came, or the call says that it did not */
    covey_stream_free(stream);
    return well && sent == 5;
}

static bool finished(struct pair *p)
{
    covey_stream *stream;
    struct covey_reply reply;
    struct covey_call_options options = patient();
    int error = covey_client_open(p->client, "mirror", &options, &stream);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    p->made++;
    error = covey_stream_send(stream, bytes, SIZE);
    assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY || error == COVEY_ERR_CLOSED);
    int result = covey_stream_finish(stream, TEST_DEADLINE, &reply);
    assert_true(result == 0 || result == COVEY_ERR_NO_MEMORY);
    bool well = false;
    if (result == 0) {
        well = error == 0 && judge(reply.code);
        covey_reply_clear(&reply);
    }
    covey_stream_free(stream);
    return well;
}

struct async {
    struct tally tally;
    unsigned messages;
};

static void count_message(const void *message, size_t size, void *user)
{
    (void)message;
    (void)size;
    ((struct async *)user)->messages++;
}

static void note_end(const struct covey_reply *reply, void *user)
{
    tally_reply(reply, &((struct async *)user)->tally);
}

static bool with_functions(struct pair *p)
{
    struct async a = {.messages = 0};
    const struct covey_stream_handler handler = {count_message, note_end, &a};
    struct covey_call_options options = patient();
    tally_init(&a.tally);
    int error = covey_client_stream_async(p->client, "twice", bytes, SIZE, &options, &handler);
    p->made += error == 0;
    if (error == 0)
        tally_wait(&a.tally, 1);
    else
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
    bool well = a.tally.codes[COVEY_STATUS_OK] == 1;
    if (well)
        assert_int_equal(a.messages, 2);
    assert_int_equal(a.tally.codes[COVEY_STATUS_DEADLINE_EXCEEDED], 0);
    tally_fini(&a.tally);
    return well;
}

/* Several at once, so that there is not room for the timers of all from the start. */
static bool crowd(struct pair *p)
{
    struct tally t;
    unsigned made = 0;
    struct covey_call_options options = patient();
    tally_init(&t);
    for (int i = 0; i < 8; i++) {
        int error =
            covey_client_call_async(p->client, "echo", bytes, SIZE, &options, tally_reply, &t);
        assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY);
        made += error == 0;
    }
    tally_wait(&t, made);
    p->made += made;
    assert_int_equal(t.codes[COVEY_STATUS_DEADLINE_EXCEEDED], 0);
    bool well = t.codes[COVEY_STATUS_OK] == 8;
    tally_fini(&t);
    return well;
}

static bool methods(struct pair *p)
{
    struct covey_reply reply;
    struct covey_call_options options = patient();
    int error = covey_client_call(p->client, "covey.methods", NULL, 0, &options, &reply);
    if (error != 0) {
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        return false;
    }
    p->made++;
    bool well = judge(reply.code);
    covey_reply_clear(&reply);
    return well;
}

/* ---- each allocation in turn ---- */

static struct world world; /* for the identity */
static covey_identity *owl;

/* A new pair: memory that was kept from calls before would hide most of what a call takes. */
static void pair_init(struct pair *p, size_t fail_count)
{
    struct covey_server_config server;
    struct covey_client_config client;
    const struct covey_client_interceptor interceptor = {.end = see_end, .user = p};
    memset(p, 0, sizeof *p);
    for (int i = 0; i < 2; i++) {
        atomic_store(&p->memory[i].fail_count, fail_count);
        p->runtimes[i] = scarce_runtime(&p->memory[i]);
    }
    server_config_of(&world, owl, &server);
    server.runtime = p->runtimes[0];
    assert_int_equal(covey_server_new(&server, &p->server), 0);
    serve(p->server, "echo", large_echo, NULL);
    serve(p->server, "twice", say_twice, NULL);
    serve_stream(p->server, "mirror", mirror, NULL);
    assert_int_equal(covey_server_start(p->server), 0);
    client_config_of(&world, owl, covey_server_address(p->server), &client);
    client.runtime = p->runtimes[1];
    client.connect_backoff_first = client.connect_backoff_max = COVEY_MILLISECOND;
    client.interceptors = &interceptor;
    client.interceptor_count = 1;
    assert_int_equal(covey_client_new(&client, &p->client), 0);
}

static void pair_fini(struct pair *p)
{
    AWAIT(stats_of(p->server).calls == 0); /* none is left behind */
    assert_int_equal(covey_client_free(p->client), 0);
    assert_int_equal(atomic_load(&p->ended), p->made);
    assert_int_equal(covey_server_free(p->server), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(covey_runtime_free(p->runtimes[i]), 0);
        assert_int_equal(atomic_load(&p->memory[i].blocks), 0);
    }
}

/* The same client and server work when there is memory. */
static void expect_well(struct pair *p, bool (*call)(struct pair *p))
{
    atomic_store(&p->memory[0].fail_at, 0);
    atomic_store(&p->memory[1].fail_at, 0);
    for (int i = 0; i < 2; i++)
        if (call(p))
            return; /* the first may tell of a connection that was lost for want of memory */
    fail_msg("%s", "with memory it does not work either");
}

struct plan {
    bool (*call)(struct pair *p);
    int side;          /* whose memory fails */
    size_t fail_count; /* so many allocations */
    bool is_connected; /* before the call */
};

/* False when the call took fewer than n. */
static bool nth_fails(const struct plan *plan, size_t n)
{
    struct pair p;
    pair_init(&p, plan->fail_count);
    struct scarce *memory = &p.memory[plan->side];
    if (plan->is_connected)
        expect_reply(call_with(p.client, "echo", "", 0, NULL), COVEY_STATUS_OK, "");
    p.made += plan->is_connected;
    atomic_store(&memory->calls, 0);
    atomic_store(&memory->fail_at, n);
    (void)plan->call(&p);
    bool failed = atomic_load(&memory->calls) >= n;
    expect_well(&p, plan->call);
    pair_fini(&p);
    return failed;
}

static void each_fails(struct plan plan)
{
    size_t n = 1;
    while (nth_fails(&plan, n) && n < 1000)
        n++;
    assert_in_range(n, 3, 999);
}

static void each_kind(int side)
{
    bool (*const kinds[])(struct pair *) = {unary,    server_stream,  bidi,
                                            finished, with_functions, crowd};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        each_fails((struct plan){kinds[i], side, 1 + i % 2 * 4, true}); /* one, or five in a row */
}

static void the_server_lacks_memory_for_a_call(void **state)
{
    (void)state;
    each_kind(0);
    each_fails((struct plan){methods, 0, 1, true});
}

static void the_client_lacks_memory_for_a_call(void **state)
{
    (void)state;
    each_kind(1);
}

static void the_server_lacks_memory_for_a_connection(void **state)
{
    (void)state;
    each_fails((struct plan){unary, 0, 1, false});
}

static void the_client_lacks_memory_for_a_connection(void **state)
{
    (void)state;
    each_fails((struct plan){bidi, 1, 1, false});
    each_fails((struct plan){unary, 1, 1, false});
}

static int setup(void **state)
{
    (void)state;
    world_init(&world);
    owl = world_identity(&world, "owl", COVEY_ROLE_MEMBER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    covey_identity_free(owl);
    world_fini(&world);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_server_lacks_memory_for_a_call),
        TEST(the_client_lacks_memory_for_a_call),
        TEST(the_server_lacks_memory_for_a_connection),
        TEST(the_client_lacks_memory_for_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
