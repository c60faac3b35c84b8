#ifndef UNIT_API_CALLING_H
#define UNIT_API_CALLING_H

#include "api/runtime.h"
#include "unit/api/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

/*
 * What tests of calls need on top of a world: outcomes that come on other threads, calls that
 * handlers leave for the test, and waiting for a condition with a deadline.
 */

/* ---- waiting ---- */

/* Until `is_so`; the test fails with the words when it takes too long. */
#define AWAIT(is_so)                                                                               \
    do {                                                                                           \
        covey_time await_deadline = cv_deadline_after(TEST_DEADLINE);                              \
        while (!(is_so)) {                                                                         \
            if (cv_time_left(await_deadline) == 0)                                                 \
                fail_msg("waited in vain for: %s", #is_so);                                        \
            sched_yield();                                                                         \
        }                                                                                          \
    } while (0)

/* ---- outcomes ---- */

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    unsigned codes[17];
    size_t size; /* of the last answer */
    char text[512];
};

static inline void tally_init(struct tally *t)
{
    *t = (struct tally){.count = 0};
    pthread_mutex_init(&t->lock, NULL);
    assert_int_equal(cv_condition_init(&t->changed), 0);
}

static inline void tally_fini(struct tally *t)
{
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

/* A covey_reply_handler, and the `end` of a stream with functions. */
static inline void tally_reply(const struct covey_reply *reply, void *user)
{
    struct tally *t = user;
    pthread_mutex_lock(&t->lock);
    t->count++;
    t->codes[reply->code]++;
    t->size = reply->size;
    snprintf(t->text, sizeof t->text, "%s", reply->message);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static inline unsigned tally_count(struct tally *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned count = t->count;
    pthread_mutex_unlock(&t->lock);
    return count;
}

static inline void tally_wait(struct tally *t, unsigned count)
{
    covey_time deadline = cv_deadline_after(3 * TEST_DEADLINE);
    bool in_time = true;
    pthread_mutex_lock(&t->lock);
    while (in_time && t->count < count)
        in_time = cv_condition_wait(&t->changed, &t->lock, deadline);
    unsigned seen = t->count;
    pthread_mutex_unlock(&t->lock);
    if (seen < count)
        fail_msg("%u of %u outcomes came", seen, count);
}

/* ---- calls that a handler leaves for the test ---- */

#define KEPT_MAX 16384

struct kept {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned first, count; /* first: taken so far; count: came so far */
    covey_call *calls[KEPT_MAX];
};

static inline void kept_init(struct kept *k)
{
    k->first = k->count = 0;
    pthread_mutex_init(&k->lock, NULL);
    assert_int_equal(cv_condition_init(&k->changed), 0);
}

static inline void kept_fini(struct kept *k)
{
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
}

/* A covey_call_handler. */
static inline void keep_stream(covey_call *call, void *user)
{
    struct kept *k = user;
    pthread_mutex_lock(&k->lock);
    if (k->count == KEPT_MAX)
        abort();
    k->calls[k->count++] = call;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* A covey_handler. */
static inline void keep(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    keep_stream(call, user);
}

static inline unsigned kept_wait(struct kept *k, unsigned count)
{
    covey_time deadline = cv_deadline_after(3 * TEST_DEADLINE);
    bool in_time = true;
    pthread_mutex_lock(&k->lock);
    while (in_time && k->count < count)
        in_time = cv_condition_wait(&k->changed, &k->lock, deadline);
    unsigned seen = k->count;
    pthread_mutex_unlock(&k->lock);
    return seen;
}

/* The next one, in the order in which they came. */
static inline covey_call *kept_take(struct kept *k)
{
    if (kept_wait(k, k->first + 1) < k->first + 1)
        fail_msg("%s", "no call came");
    return k->calls[k->first++];
}

/* ---- handlers ---- */

static inline void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static inline void serve(covey_server *server, const char *name, covey_handler handler, void *user)
{
    struct covey_method method = {.name = name, .handler = handler, .user = user};
    assert_int_equal(covey_server_add_method(server, &method), 0);
}

static inline void serve_stream(covey_server *server, const char *name, covey_call_handler handler,
                                void *user)
{
    struct covey_method method = {.name = name, .stream_handler = handler, .user = user};
    assert_int_equal(covey_server_add_method(server, &method), 0);
}

/* ---- servers and clients with other settings than the usual ---- */

static inline void server_config_of(struct world *w, covey_identity *identity,
                                    struct covey_server_config *config)
{
    covey_server_config_init(config);
    config->runtime = w->runtime;
    config->identity = identity;
    config->listen = own_listen();
}

static inline void client_config_of(struct world *w, covey_identity *identity, const char *address,
                                    struct covey_client_config *config)
{
    covey_client_config_init(config);
    config->runtime = w->runtime;
    config->identity = identity;
    config->address = address;
}

/* A server on an address that may have been another's before. Not started. */
static inline covey_server *server_at(struct world *w, const char *address)
{
    struct covey_server_config config;
    covey_server *server;
    covey_identity *identity = world_identity(w, "owl", COVEY_ROLE_MEMBER);
    server_config_of(w, identity, &config);
    config.listen = address;
    assert_int_equal(covey_server_new(&config, &server), 0);
    covey_identity_free(identity);
    return server;
}

static inline struct covey_call_options options_within(covey_time timeout)
{
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = timeout;
    return options;
}

/* ---- calls ---- */

static inline struct covey_reply call_with(covey_client *client, const char *method,
                                           const void *request, size_t size,
                                           const struct covey_call_options *options)
{
    struct covey_reply reply;
    int error = covey_client_call(client, method, request, size, options, &reply);
    if (error != 0)
        fail_msg("calling %s: %s", method, covey_strerror(error));
    return reply;
}

/* Takes the reply, which must be this. `text` must be in its message. */
static inline void expect_reply(struct covey_reply reply, enum covey_status_code code,
                                const char *text)
{
    if (reply.code != code || strstr(reply.message, text) == NULL)
        fail_msg("%s \"%s\" instead of %s \"%s\"", covey_status_name(reply.code), reply.message,
                 covey_status_name(code), text);
    covey_reply_clear(&reply);
}

static inline void expect_call(covey_client *client, const char *method,
                               enum covey_status_code code, const char *text)
{
    expect_reply(call_with(client, method, "tweet", 5, NULL), code, text);
}

/* An echo, for which it waits until there is a connection. */
static inline void expect_echo(covey_client *client)
{
    struct covey_call_options options = options_within(TEST_DEADLINE);
    options.wait_for_ready = true;
    struct covey_reply reply = call_with(client, "echo", "tweet", 5, &options);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    assert_int_equal(reply.size, 5);
    assert_memory_equal(reply.data, "tweet", 5);
    covey_reply_clear(&reply);
}

static inline void call_async(covey_client *client, const char *method,
                              const struct covey_call_options *options, struct tally *t)
{
    assert_int_equal(covey_client_call_async(client, method, "tweet", 5, options, tally_reply, t),
                     0);
}

/* Until the stream is over, which must be so; what comes before is dropped. */
static inline void expect_over(covey_stream *stream, enum covey_status_code code, const char *text)
{
    const void *message;
    const char *said;
    size_t size;
    int error;
    while ((error = covey_stream_receive(stream, TEST_DEADLINE, &message, &size)) == 0)
        ;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    enum covey_status_code is = covey_stream_status(stream, &said);
    if (is != code || strstr(said, text) == NULL)
        fail_msg("%s \"%s\" instead of %s \"%s\"", covey_status_name(is), said,
                 covey_status_name(code), text);
}

static inline void expect_message(covey_stream *stream, const void *bytes, size_t size)
{
    const void *message;
    size_t is;
    int error = covey_stream_receive(stream, TEST_DEADLINE, &message, &is);
    if (error != 0)
        fail_msg("instead of a message: %s (%s)", covey_strerror(error),
                 covey_status_name(covey_stream_status(stream, NULL)));
    assert_int_equal(is, size);
    if (size > 0)
        assert_memory_equal(message, bytes, size);
}

static inline struct covey_server_stats stats_of(covey_server *server)
{
    struct covey_server_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_server_stats(server, &stats), 0);
    return stats;
}

static inline struct covey_client_stats client_stats_of(covey_client *client)
{
    struct covey_client_stats stats = {.size = sizeof stats};
    covey_client_stats(client, &stats);
    return stats;
}

/* ---- a server and a client of it ---- */

struct rig {
    struct world world;
    struct kept kept; /* of "keep" and "keep_stream"; the server has "echo" too */
    covey_server *server;
    covey_client *client;
    char address[64];
};

static inline void rig_serve(struct rig *r, covey_server *server)
{
    serve(server, "echo", echo, NULL);
    serve(server, "keep", keep, &r->kept);
    serve_stream(server, "keep_stream", keep_stream, &r->kept);
}

/* The server is not started: the test adds to it first. */
static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    kept_init(&r->kept);
    world_init(&r->world);
    r->server = world_server(&r->world, "owl");
    rig_serve(r, r->server);
    snprintf(r->address, sizeof r->address, "%s", covey_server_address(r->server));
    return r;
}

static inline void rig_start(struct rig *r)
{
    assert_int_equal(covey_server_start(r->server), 0);
    r->client = world_client(&r->world, r->address, COVEY_ROLE_CLIENT);
}

static inline void rig_free(struct rig *r)
{
    assert_int_equal(covey_client_free(r->client), 0);
    assert_int_equal(covey_server_free(r->server), 0);
    world_fini(&r->world);
    kept_fini(&r->kept);
    free(r);
}

/* For cmocka_unit_test_setup_teardown(), with a started server. */
static inline int rig_setup(void **state)
{
    struct rig *r = rig_new();
    rig_start(r);
    *state = r;
    return 0;
}

static inline int rig_teardown(void **state)
{
    rig_free(*state);
    return 0;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
