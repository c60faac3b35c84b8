#ifndef COVEY_CLIENT_H
#define COVEY_CLIENT_H

#include <covey/call.h>
#include <covey/identity.h>
#include <covey/interceptor.h>
#include <covey/metadata.h>
#include <covey/runtime.h>
#include <covey/status.h>

COVEY_BEGIN

/*
 * Calls methods of one server over one QUIC connection, which all threads share. The connection is
 * made at the first call and again when it was lost, after a pause that doubles with each attempt in
 * vain. Whatever goes wrong on the way is a status, UNAVAILABLE mostly; an error code says that a
 * call could not even begin.
 */
typedef struct covey_client covey_client;

/*
 * When a unary call is made again. A call that the server provably did not begin is made again at
 * once, on another connection, whatever this says; one that it may have begun only when the call's
 * options say that it is idempotent, when it ended with UNAVAILABLE, and while the budget lasts.
 * The budget is gRPC's retry throttling (proposal A6): a bucket of tokens, of which a call that was
 * made again and a hedge take one each, and a success gives a tenth back; below half of it nothing is
 * made again.
 */
struct covey_retry_policy {
    unsigned attempts;        /* in all, hedges among them: 3; 1: never again. At most 5 */
    covey_time backoff_first; /* mean pause before the second: 50 ms, +-20 % */
    covey_time backoff_max;   /* it doubles up to this: 1 s */
    unsigned budget;          /* tokens: 10; 0: no limit. At most 1000 */
};

struct covey_client_config {
    size_t size;
    covey_runtime *runtime;         /* must outlive the client */
    const covey_identity *identity; /* any role; copied */
    const char *address;            /* "HOST:PORT"; copied. A name is looked up for IPv4; for IPv6
                                       give the address, "[2001:db8::1]:4433" */
    const covey_node_id *expected;  /* the only node to accept there; NULL: any member */
    size_t message_send_max;        /* largest message: 4 MiB, at most 64 MiB */
    size_t message_receive_max;     /* the same for answers; more ends the call with
                                       RESOURCE_EXHAUSTED */
    struct covey_retry_policy retry;
    covey_time connect_backoff_first; /* mean pause after the first connection in vain: 100 ms, then
                                         doubled, +-20 % */
    covey_time connect_backoff_max;   /* 10 s */
    covey_time
        connection_age_max; /* a connection is replaced before it is so old: 1 h; at least 10 s;
                                      COVEY_NEVER. It never outlives a certificate */
    const struct covey_client_interceptor *interceptors; /* copied; run in this order */
    size_t interceptor_count;                            /* at most 8 */
};
#define covey_client_config_init(config) covey_client_config_init_sized((config), sizeof *(config))
COVEY_API void covey_client_config_init_sized(struct covey_client_config *config, size_t size);

/* Does not connect yet. One that is made in a handler or callback lives on that one's loop. 0,
 * COVEY_ERR_ADDRESS, COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_CERTIFICATE_EXPIRED (our own),
 * COVEY_ERR_SYSTEM, COVEY_ERR_BUSY, COVEY_ERR_NO_MEMORY. */
COVEY_API COVEY_MUST_USE int covey_client_new(const struct covey_client_config *config,
                                              covey_client **out);
/* Calls under way end with CANCELLED before it returns; streams must still be freed. Calls made
 * from their handlers meanwhile get COVEY_ERR_CLOSED. COVEY_ERR_WRONG_THREAD inside a handler or
 * callback that runs on a loop. NULL is allowed. */
COVEY_API int covey_client_free(covey_client *client);

/*
 * Presents another certificate, and trusts other CAs, on connections made from now on; calls on those
 * that there are go on undisturbed. Any role of the same cluster's. 0, COVEY_ERR_INVALID_ARGUMENT,
 * COVEY_ERR_WRONG_THREAD (on another loop's thread than the client's), COVEY_ERR_WRONG_CLUSTER, COVEY_ERR_CERTIFICATE_EXPIRED, COVEY_ERR_SYSTEM, COVEY_ERR_NO_MEMORY: then
 * nothing changed.
 */
COVEY_API COVEY_MUST_USE int covey_client_reload(covey_client *client,
                                                 const covey_identity *identity);

struct covey_call_options {
    size_t size;
    covey_time timeout;                    /* from now; COVEY_NEVER: none. 30 s */
    const struct covey_metadata *metadata; /* copied */
    size_t metadata_count;
    /* The call inside whose handler this one is made: the deadline is then no later than its, and
     * its "traceparent" goes along unless `metadata` has one. */
    const covey_call *parent;
    bool
        wait_for_ready; /* until the deadline for a connection, instead of UNAVAILABLE when there is
                            none to be had */
    bool idempotent;    /* may run more than once: see struct covey_retry_policy. Unary calls only:
                        with others it is COVEY_ERR_INVALID_ARGUMENT */
    covey_time hedge_after; /* idempotent ones: makes the call a second time, and so on, each time
                               that no answer came for so long; the first answer counts. 0: no.
                               Without `idempotent`: COVEY_ERR_INVALID_ARGUMENT */
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
/* What the server sent beside the answer; valid as long as the reply. */
COVEY_API const struct covey_metadata *covey_reply_metadata(const struct covey_reply *reply,
                                                            size_t *count);
/* The details of a status; NULL and 0 when there are none. */
COVEY_API const void *covey_reply_details(const struct covey_reply *reply, size_t *size);
/* Frees what a reply holds and makes it empty. */
COVEY_API void covey_reply_clear(struct covey_reply *reply);

/*
 * Calls a unary method and waits. `options` may be NULL. Returns 0 with *reply filled (whatever its
 * code; clear it), or *reply is empty and
 *   COVEY_ERR_INVALID_ARGUMENT  the method's name, metadata, options
 *   COVEY_ERR_TOO_LARGE         above message_send_max, or the metadata
 *   COVEY_ERR_WRONG_THREAD      on a loop's thread
 *   COVEY_ERR_BUSY              too many calls are on their way to the loop
 *   COVEY_ERR_CLOSED            the client is being freed
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_client_call(covey_client *client, const char *method,
                                               const void *request, size_t size,
                                               const struct covey_call_options *options,
                                               struct covey_reply *reply);

/* Runs on the loop's thread, exactly once, never inside the function that made the call; `reply` is
 * valid until it returns. It must not block. */
typedef void (*covey_reply_handler)(const struct covey_reply *reply, void *user);

/* The same without waiting; on an error `done` is not called. Any thread. */
COVEY_API COVEY_MUST_USE int covey_client_call_async(covey_client *client, const char *method,
                                                     const void *request, size_t size,
                                                     const struct covey_call_options *options,
                                                     covey_reply_handler done, void *user);

struct covey_client_stats {
    size_t size;                 /* of this struct as the caller knows it */
    uint64_t connections_opened; /* that became usable */
    uint64_t connections_failed; /* that did not */
    uint64_t calls_started;
    uint64_t calls_repeated;    /* after a failure */
    uint64_t calls_hedged;      /* second and later attempts while the first went on */
    uint64_t repeats_throttled; /* that the budget forbade */
};
/* Any thread. */
COVEY_API void covey_client_stats(const covey_client *client, struct covey_client_stats *stats);

COVEY_END

#endif
