#ifndef COVEY_CLIENT_H
#define COVEY_CLIENT_H

#include <covey/identity.h>
#include <covey/runtime.h>
#include <covey/status.h>

COVEY_BEGIN

/*
 * Calls methods of one server over one QUIC connection, which all threads share. The connection is
 * made at the first call and again when it was lost. Whatever goes wrong on the way is a status,
 * UNAVAILABLE mostly; an error code says that a call could not even begin.
 */
typedef struct covey_client covey_client;

struct covey_client_config {
    size_t size;
    covey_runtime *runtime;         /* must outlive the client */
    const covey_identity *identity; /* any role; copied */
    const char *address;            /* "HOST:PORT"; copied. A name is looked up for IPv4; for IPv6
                                       give the address, "[2001:db8::1]:4433" */
    const covey_node_id *expected;  /* the only node to accept there; NULL: any member */
};
#define covey_client_config_init(config) covey_client_config_init_sized((config), sizeof *(config))
COVEY_API void covey_client_config_init_sized(struct covey_client_config *config, size_t size);

/* Does not connect yet. 0, COVEY_ERR_ADDRESS, COVEY_ERR_INVALID_ARGUMENT,
 * COVEY_ERR_CERTIFICATE_EXPIRED (our own), COVEY_ERR_SYSTEM, COVEY_ERR_BUSY, COVEY_ERR_NO_MEMORY.
 */
COVEY_API COVEY_MUST_USE int covey_client_new(const struct covey_client_config *config,
                                              covey_client **out);
/* Calls under way end with CANCELLED before it returns; streams must still be freed. Calls made
 * from their handlers meanwhile get COVEY_ERR_CLOSED. COVEY_ERR_WRONG_THREAD on the runtime's
 * thread. NULL is allowed. */
COVEY_API int covey_client_free(covey_client *client);

struct covey_call_options {
    size_t size;
    covey_time timeout; /* from now; COVEY_NEVER: none. 30 s */
};
#define covey_call_options_init(options) covey_call_options_init_sized((options), sizeof *(options))
COVEY_API void covey_call_options_init_sized(struct covey_call_options *options, size_t size);

/* The outcome of a call. */
struct covey_reply {
    enum covey_status_code code;
    const char *message; /* text of a code other than OK; "" if none */
    const void *data;    /* the answer of a unary call; NULL when there is none */
    size_t size;
    void *owner; /* the library's */
};
/* Frees what a reply holds and makes it empty. */
COVEY_API void covey_reply_clear(struct covey_reply *reply);

/*
 * Calls a unary method and waits. `options` may be NULL. Returns 0 with *reply filled (whatever its
 * code; clear it), or COVEY_ERR_INVALID_ARGUMENT (method name), COVEY_ERR_TOO_LARGE,
 * COVEY_ERR_WRONG_THREAD, COVEY_ERR_BUSY, COVEY_ERR_NO_MEMORY: *reply is empty then.
 */
COVEY_API COVEY_MUST_USE int covey_client_call(covey_client *client, const char *method,
                                               const void *request, size_t size,
                                               const struct covey_call_options *options,
                                               struct covey_reply *reply);

/* Runs on the runtime's thread, exactly once; `reply` is valid until it returns. It must not block.
 */
typedef void (*covey_reply_handler)(const struct covey_reply *reply, void *user);

/* The same without waiting; on an error `done` is not called. Any thread. */
COVEY_API COVEY_MUST_USE int covey_client_call_async(covey_client *client, const char *method,
                                                     const void *request, size_t size,
                                                     const struct covey_call_options *options,
                                                     covey_reply_handler done, void *user);

/* The client's side of a server-streaming call, read by one thread. */
typedef struct covey_stream covey_stream;

COVEY_API COVEY_MUST_USE int covey_client_stream(covey_client *client, const char *method,
                                                 const void *request, size_t size,
                                                 const struct covey_call_options *options,
                                                 covey_stream **out);

/*
 * Waits up to `timeout` for the next message, valid until the next receive. 0, or
 *   COVEY_ERR_CLOSED        the call is over: covey_stream_status() says how
 *   COVEY_ERR_TIMEOUT
 *   COVEY_ERR_WRONG_THREAD
 */
COVEY_API COVEY_MUST_USE int covey_stream_receive(covey_stream *stream, covey_time timeout,
                                                  const void **message, size_t *size);
/* Code and message of a call that is over; valid as long as the stream. Before that code is
 * UNKNOWN. */
COVEY_API enum covey_status_code covey_stream_status(const covey_stream *stream,
                                                     const char **message);
/* Ends the call if it is not over; the server sees it cancelled. Any thread. */
COVEY_API void covey_stream_cancel(covey_stream *stream);
/* Cancels if need be and frees. NULL is allowed. */
COVEY_API void covey_stream_free(covey_stream *stream);

/* The asynchronous form: both run on the runtime's thread and must not block. */
struct covey_stream_handler {
    void (*message)(const void *message, size_t size, void *user);
    void (*end)(const struct covey_reply *reply, void *user); /* exactly once, the last */
    void *user;
};
COVEY_API COVEY_MUST_USE int covey_client_stream_async(covey_client *client, const char *method,
                                                       const void *request, size_t size,
                                                       const struct covey_call_options *options,
                                                       const struct covey_stream_handler *handler);

COVEY_END

#endif
