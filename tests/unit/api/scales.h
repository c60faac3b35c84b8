#ifndef UNIT_API_SCALES_H
#define UNIT_API_SCALES_H

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

static inline void weigh(struct weighed *w, size_t more, size_t less)
{
    size_t now = atomic_fetch_add(&w->now, more - less) + more - less;
    size_t most = atomic_load(&w->most);
    while (now > most && !atomic_compare_exchange_weak(&w->most, &most, now))
        ;
}

static inline void *weighed_allocate(void *user, size_t size)
{
    union piece *p = malloc(sizeof *p + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    weigh(user, size, 0);
    return p + 1;
}

static inline void *weighed_reallocate(void *user, void *memory, size_t size)
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

static inline void weighed_release(void *user, void *memory)
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

static inline covey_runtime *weighed_runtime(struct weighed *w)
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

static inline struct scales *scales_new(const struct sizes *sizes)
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

static inline void scales_free(struct scales *s)
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

static inline unsigned char *bytes_of(size_t size)
{
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 12));
    return bytes;
}

/* ---- largest messages ---- */

static inline void expect_echo_of(struct scales *s, const unsigned char *bytes, size_t size)
{
    struct covey_call_options options =
        options_within(COVEY_NEVER); /* a sanitizer takes its time */
    struct covey_reply reply = call_with(s->client, "echo", bytes, size, &options);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    assert_int_equal(reply.size, size);
    assert_memory_equal(reply.data, bytes, size);
    covey_reply_clear(&reply);
}

#endif
