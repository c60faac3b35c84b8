#define _POSIX_C_SOURCE 200809L

#include "api/client.h"

#include "unit/api/deaf.h"

#include <stdio.h>
#include <unistd.h>

/* ---- addresses where nobody answers ---- */

struct fixture {
    struct world world;
    covey_runtime *runtime;
    covey_identity *identity;
    int deaf; /* a socket that nobody reads */
    char deaf_address[32];
    char closed_address[32];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init(&f->world);
    f->runtime = f->world.runtime;
    f->identity = world_identity(&f->world, "robin", COVEY_ROLE_CLIENT);
    f->deaf = open_deaf(f->deaf_address, sizeof f->deaf_address);
    absent_address(f->closed_address, sizeof f->closed_address);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_fini(&f->world);
    covey_identity_free(f->identity);
    close(f->deaf);
    free(f);
    return 0;
}

static covey_client *client_of(const struct fixture *f, const char *address)
{
    struct covey_client_config config;
    covey_client *client;
    covey_client_config_init(&config);
    config.runtime = f->runtime;
    config.identity = f->identity;
    config.address = address;
    assert_int_equal(covey_client_new(&config, &client), 0);
    return client;
}

static const struct covey_call_options *within(covey_time timeout)
{
    static struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = timeout;
    return &options;
}

/* ---- outcomes that come on the loop's thread ---- */

struct outcomes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    covey_client *client;
    unsigned count;
    unsigned code_count[17];
    int again; /* what a call made from the handler returned */
    char text[256];
};

static void outcomes_init(struct outcomes *o)
{
    *o = (struct outcomes){.count = 0};
    pthread_mutex_init(&o->lock, NULL);
    assert_int_equal(cv_condition_init(&o->changed), 0);
}

static void outcomes_fini(struct outcomes *o)
{
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
}

static void note(const struct covey_reply *reply, void *user)
{
    struct outcomes *o = user;
    pthread_mutex_lock(&o->lock);
    o->count++;
    o->code_count[reply->code]++;
    snprintf(o->text, sizeof o->text, "%s", reply->message);
    pthread_cond_signal(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static unsigned wait_for(struct outcomes *o, unsigned count)
{
    covey_time deadline = cv_deadline_after(TEST_DEADLINE);
    bool in_time = true;
    pthread_mutex_lock(&o->lock);
    while (in_time && o->count < count)
        in_time = cv_condition_wait(&o->changed, &o->lock, deadline);
    unsigned seen = o->count;
    pthread_mutex_unlock(&o->lock);
    return seen;
}

/* ---- making one ---- */

static void configuration_is_checked(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",       "host",   "127.0.0.1",   "127.0.0.1:0", "0.0.0.0:1",
                                      "[::]:1", "host:0", "224.0.0.1:1", "a b:1"};
    struct covey_client_config config;
    covey_client *client = NULL;
    covey_client_config_init(&config);
    assert_int_equal(config.size, sizeof config);
    config.runtime = f->runtime;
    config.identity = f->identity;
    assert_int_equal(covey_client_new(&config, &client), COVEY_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config.address = bad[i];
        assert_int_equal(covey_client_new(&config, &client), COVEY_ERR_ADDRESS);
    }
    config.address = "127.0.0.1:1";
    config.identity = NULL;
    assert_int_equal(covey_client_new(&config, &client), COVEY_ERR_INVALID_ARGUMENT);
    config.identity = f->identity;
    config.runtime = NULL;
    assert_int_equal(covey_client_new(&config, &client), COVEY_ERR_INVALID_ARGUMENT);
    assert_null(client);
    assert_int_equal(covey_client_free(NULL), 0);
}

static void it_holds_the_runtime(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->closed_address);
    assert_int_equal(covey_runtime_free(f->runtime), COVEY_ERR_STATE);
    assert_int_equal(covey_client_free(client), 0);
}

/* ---- calls ---- */

static void a_call_is_checked_at_once(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->deaf_address);
    struct outcomes o;
    struct covey_reply reply;
    struct covey_call_options options = {.size = 1};
    char name[257];
    static const char *const bad[] = {"", " ", "a b", "caf\xc3\xa9", "a\n", "a?b"};
    outcomes_init(&o);
    memset(name, 'a', sizeof name);
    name[256] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(covey_client_call(client, bad[i], NULL, 0, NULL, &reply),
                         COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(client, name, NULL, 0, NULL, note, &o),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(client, NULL, NULL, 0, NULL, note, &o),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(client, "m", NULL, 1, NULL, note, &o),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(client, "m", NULL, 0, NULL, NULL, &o),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(client, "m", NULL, 0, &options, note, &o),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call(NULL, "m", NULL, 0, NULL, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
    name[255] = '\0';
    assert_int_equal(covey_client_call(client, name, NULL, 0, within(0), &reply), 0);
    covey_reply_clear(&reply);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(o.count, 0);
    outcomes_fini(&o);
}

static void the_largest_request(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->deaf_address);
    size_t max = (size_t)4 * 1024 * 1024;
    char *request = calloc(1, max + 1);
    struct covey_reply reply = {.size = 7};
    assert_non_null(request);
    assert_int_equal(covey_client_call(client, "m", request, max + 1, NULL, &reply),
                     COVEY_ERR_TOO_LARGE);
    assert_null(reply.owner);
    assert_int_equal(reply.size, 0);
    assert_int_equal(
        covey_client_call(client, "m", request, max, within(10 * COVEY_MILLISECOND), &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    covey_reply_clear(&reply);
    free(request);
    assert_int_equal(covey_client_free(client), 0);
}

static void assert_unavailable(const char *address, enum covey_status_code code, const char *text)
{
    char beginning[64];
    snprintf(beginning, sizeof beginning, "cannot connect to %s: ", address);
    if (code != COVEY_STATUS_UNAVAILABLE || strncmp(text, beginning, strlen(beginning)) != 0)
        fail_msg("%s: %s", covey_status_name(code), text);
}

static void nobody_there_is_unavailable(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->closed_address);
    struct outcomes o;
    outcomes_init(&o);
    for (int i = 0; i < 3; i++) { /* each time with a new connection */
        struct covey_reply reply;
        assert_int_equal(covey_client_call(client, "m", "x", 1, within(TEST_DEADLINE), &reply), 0);
        assert_unavailable(f->closed_address, reply.code, reply.message);
        assert_null(reply.data);
        covey_reply_clear(&reply);
        assert_null(reply.owner);
    }
    assert_int_equal(covey_client_call_async(client, "m", "x", 1, within(TEST_DEADLINE), note, &o),
                     0);
    assert_int_equal(wait_for(&o, 1), 1);
    assert_unavailable(f->closed_address, COVEY_STATUS_UNAVAILABLE, o.text);
    assert_int_equal(o.code_count[COVEY_STATUS_UNAVAILABLE], 1);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(o.count, 1);
    outcomes_fini(&o);
}

static void a_name_is_looked_up(void **state)
{
    struct fixture *f = *state;
    char address[32];
    struct covey_reply reply;
    snprintf(address, sizeof address, "localhost%s", strchr(f->closed_address, ':'));
    covey_client *client = client_of(f, address);
    assert_int_equal(covey_client_call(client, "m", NULL, 0, within(TEST_DEADLINE), &reply), 0);
    assert_unavailable(address, reply.code, reply.message);
    covey_reply_clear(&reply);
    assert_int_equal(covey_client_free(client), 0);
}

static void the_deadline_ends_it(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->deaf_address);
    struct covey_reply reply;
    struct outcomes o;
    outcomes_init(&o);
    assert_int_equal(covey_client_call(client, "m", NULL, 0, within(0), &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    covey_reply_clear(&reply);
    assert_int_equal(
        covey_client_call(client, "m", NULL, 0, within(20 * COVEY_MILLISECOND), &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_non_null(strstr(reply.message, f->deaf_address));
    covey_reply_clear(&reply);
    for (covey_time timeout = 0; timeout < 50 * COVEY_MILLISECOND; timeout += COVEY_MILLISECOND)
        assert_int_equal(covey_client_call_async(client, "m", NULL, 0, within(timeout), note, &o),
                         0);
    assert_int_equal(wait_for(&o, 50), 50);
    assert_int_equal(o.code_count[COVEY_STATUS_DEADLINE_EXCEEDED], 50);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(o.count, 50);
    outcomes_fini(&o);
}

/* ---- the end of the client ---- */

static void note_and_try_again(const struct covey_reply *reply, void *user)
{
    struct outcomes *o = user;
    o->again = covey_client_call_async(o->client, "m", NULL, 0, NULL, note, o);
    note(reply, user);
}

static void freeing_cancels_each_call_once(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->deaf_address);
    struct outcomes o;
    outcomes_init(&o);
    o.client = client;
    for (int i = 0; i < 100; i++)
        assert_int_equal(covey_client_call_async(client, "m", "x", 1, within(COVEY_NEVER),
                                                 note_and_try_again, &o),
                         0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(o.count, 100);
    assert_int_equal(o.code_count[COVEY_STATUS_CANCELLED], 100);
    assert_int_equal(o.again, COVEY_ERR_CLOSED);
    outcomes_fini(&o);
}

struct blocked {
    covey_client *client;
    struct outcomes outcomes;
};

static void *call_and_wait(void *user)
{
    struct blocked *b = user;
    struct covey_reply reply;
    int error = covey_client_call(b->client, "m", NULL, 0, within(COVEY_NEVER), &reply);
    assert_int_equal(error, 0);
    note(&reply, &b->outcomes);
    covey_reply_clear(&reply);
    return NULL;
}

static size_t calls_of(covey_client *client)
{
    size_t count = 0;
    const struct cv_client_request *request;
    TAILQ_FOREACH (request, &client->waiting, entry)
        count++;
    TAILQ_FOREACH (request, &client->running, entry)
        count++;
    return count;
}

struct counting {
    covey_client *client;
    size_t count;
};

static void count_calls(void *user)
{
    struct counting *c = user;
    c->count = calls_of(c->client);
}

static void freeing_wakes_a_thread_that_waits(void **state)
{
    struct fixture *f = *state;
    struct blocked b = {.client = client_of(f, f->deaf_address)};
    pthread_t thread;
    struct counting counting = {.client = b.client};
    outcomes_init(&b.outcomes);
    assert_int_equal(pthread_create(&thread, NULL, call_and_wait, &b), 0);
    while (counting.count == 0)
        assert_int_equal(cv_loop_call(b.client->loop, count_calls, &counting), 0);
    assert_int_equal(covey_client_free(b.client), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(b.outcomes.code_count[COVEY_STATUS_CANCELLED], 1);
    outcomes_fini(&b.outcomes);
}

/* ---- threads ---- */

struct wrong_thread {
    struct outcomes outcomes;
    covey_client *client;
    covey_runtime *runtime;
    covey_stream *stream;
    int call, client_free, runtime_free, receive;
};

static void block_on_the_loop(const struct covey_reply *reply, void *user)
{
    struct wrong_thread *w = user;
    struct covey_reply own;
    const void *message;
    size_t size;
    w->call = covey_client_call(w->client, "m", NULL, 0, NULL, &own);
    w->client_free = covey_client_free(w->client);
    w->runtime_free = covey_runtime_free(w->runtime);
    w->receive = covey_stream_receive(w->stream, 1, &message, &size);
    note(reply, &w->outcomes);
}

static void blocking_on_the_loop_is_refused(void **state)
{
    struct fixture *f = *state;
    struct wrong_thread w = {.runtime = f->runtime, .client = client_of(f, f->deaf_address)};
    outcomes_init(&w.outcomes);
    assert_int_equal(covey_client_stream(w.client, "m", NULL, 0, within(COVEY_NEVER), &w.stream),
                     0);
    assert_int_equal(
        covey_client_call_async(w.client, "m", NULL, 0, within(0), block_on_the_loop, &w), 0);
    assert_int_equal(wait_for(&w.outcomes, 1), 1);
    assert_int_equal(w.call, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(w.client_free, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(w.runtime_free, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(w.receive, COVEY_ERR_WRONG_THREAD);
    covey_stream_free(w.stream);
    assert_int_equal(covey_client_free(w.client), 0);
    outcomes_fini(&w.outcomes);
}

/* ---- streams ---- */

static void assert_over(covey_stream *stream, enum covey_status_code code)
{
    const void *message;
    const char *text = NULL;
    size_t size;
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size),
                     COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_receive(stream, 0, &message, &size), COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, &text), code);
    assert_int_equal(covey_stream_status(stream, NULL), code);
    assert_non_null(text);
    assert_true(text[0] != '\0');
}

static void a_stream_from_nobody(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->closed_address);
    covey_stream *stream;
    const char *text;
    assert_int_equal(covey_client_stream(client, "m", NULL, 0, within(TEST_DEADLINE), &stream), 0);
    assert_over(stream, COVEY_STATUS_UNAVAILABLE);
    enum covey_status_code code = covey_stream_status(stream, &text);
    assert_unavailable(f->closed_address, code, text);
    covey_stream_cancel(stream); /* too late: nothing happens */
    assert_over(stream, COVEY_STATUS_UNAVAILABLE);
    covey_stream_free(stream);
    assert_int_equal(covey_client_stream(client, " ", NULL, 0, NULL, &stream),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_free(client), 0);
}

static void a_stream_is_cancelled(void **state)
{
    struct fixture *f = *state;
    covey_client *client = client_of(f, f->deaf_address);
    covey_stream *stream;
    const void *message;
    const char *text;
    size_t size;
    assert_int_equal(covey_client_stream(client, "m", NULL, 0, within(COVEY_NEVER), &stream), 0);
    assert_int_equal(covey_stream_receive(stream, 0, &message, &size), COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_stream_receive(stream, COVEY_MILLISECOND, &message, &size),
                     COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_stream_status(stream, &text), COVEY_STATUS_UNKNOWN);
    assert_string_equal(text, "");
    covey_stream_cancel(stream);
    covey_stream_cancel(stream);
    assert_over(stream, COVEY_STATUS_CANCELLED);
    covey_stream_free(stream);
    covey_stream_free(NULL);
    assert_int_equal(covey_client_free(client), 0);
}

static void streams_are_freed_at_any_time(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        covey_client *client = client_of(f, f->deaf_address);
        covey_stream *early, *late, *cancelled;
        assert_int_equal(covey_client_stream(client, "m", NULL, 0, NULL, &early), 0);
        assert_int_equal(covey_client_stream(client, "m", NULL, 0, NULL, &late), 0);
        assert_int_equal(covey_client_stream(client, "m", NULL, 0, NULL, &cancelled), 0);
        covey_stream_cancel(cancelled);
        covey_stream_free(cancelled);
        covey_stream_free(early);
        assert_int_equal(covey_client_free(client), 0);
        assert_int_equal(covey_runtime_free(f->runtime), COVEY_ERR_STATE);
        assert_over(late, COVEY_STATUS_CANCELLED);
        covey_stream_cancel(late);
        covey_stream_free(late);
    }
}

static void no_message(const void *message, size_t size, void *user)
{
    (void)message;
    (void)size;
    (void)user;
    fail();
}

static void a_stream_with_functions_ends_once(void **state)
{
    struct fixture *f = *state;
    covey_client *nobody = client_of(f, f->closed_address);
    covey_client *deaf = client_of(f, f->deaf_address);
    struct outcomes o;
    outcomes_init(&o);
    struct covey_stream_handler handler = {.message = no_message, .end = note, .user = &o};
    struct covey_stream_handler half = {.message = no_message};
    assert_int_equal(covey_client_stream_async(deaf, "m", NULL, 0, NULL, &half),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_stream_async(deaf, "m", NULL, 0, NULL, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(
        covey_client_stream_async(nobody, "m", NULL, 0, within(TEST_DEADLINE), &handler), 0);
    assert_int_equal(wait_for(&o, 1), 1);
    assert_int_equal(o.code_count[COVEY_STATUS_UNAVAILABLE], 1);
    assert_int_equal(covey_client_stream_async(deaf, "m", NULL, 0, within(COVEY_NEVER), &handler),
                     0);
    assert_int_equal(covey_client_free(deaf), 0);
    assert_int_equal(covey_client_free(nobody), 0);
    assert_int_equal(o.count, 2);
    assert_int_equal(o.code_count[COVEY_STATUS_CANCELLED], 1);
    outcomes_fini(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration_is_checked),
        TEST(it_holds_the_runtime),
        TEST(a_call_is_checked_at_once),
        TEST(the_largest_request),
        TEST(nobody_there_is_unavailable),
        TEST(a_name_is_looked_up),
        TEST(the_deadline_ends_it),
        TEST(freeing_cancels_each_call_once),
        TEST(freeing_wakes_a_thread_that_waits),
        TEST(blocking_on_the_loop_is_refused),
        TEST(a_stream_from_nobody),
        TEST(a_stream_is_cancelled),
        TEST(streams_are_freed_at_any_time),
        TEST(a_stream_with_functions_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
