#ifndef COVEY_CLUSTER_CLIENT_H
#define COVEY_CLUSTER_CLIENT_H

#include <covey/balancer.h>
#include <covey/stream.h>

COVEY_BEGIN

/*
 * Calls methods of members that a balancer chooses, on a pool of connections, one for each member; and
 * of another member when the first refuses or dies, where that is allowed. A member must prove with its
 * certificate to be the one that was chosen. When this node comes to think of a member as failed, or
 * hears that it left or is at another address, or denies it (covey_server_deny()), its calls under
 * way end with UNAVAILABLE at once. One that is denied is not called.
 *
 * It keeps the certificate that it was made with, and connections do not outlive that: for a new one make
 * another client. Everything happens on one loop of the runtime. All functions but free may be called from any thread.
 */
typedef struct covey_cluster_client covey_cluster_client;

struct covey_cluster_client_config {
    size_t size;
    const covey_identity *identity; /* any role; copied */
    unsigned connections_max; /* 64; at most 4096. For one more, an idle one is closed, the one that
                                       was used longest ago; when none is idle the call ends with
                                       RESOURCE_EXHAUSTED */
    covey_time idle_max;      /* one without calls for so long is closed: 60 s; COVEY_NEVER */
    unsigned calls_max;       /* unary calls at once: 65,536; more: COVEY_ERR_BUSY */
    size_t message_send_max;  /* as covey_client_config */
    size_t message_receive_max;
    /*
     * Which calls are made again, on another member. One that a member provably did not begin (no
     * connection, refused) is, at once, whatever the options say, up to five times. One that it may have
     * begun only with `idempotent`, when it ended with UNAVAILABLE, after a pause, up to `attempts` in
     * all, and while the budget of this client lasts.
     */
    struct covey_retry_policy retry;
};
#define covey_cluster_client_config_init(config)                                                   \
    covey_cluster_client_config_init_sized((config), sizeof *(config))
COVEY_API void covey_cluster_client_config_init_sized(struct covey_cluster_client_config *config,
                                                      size_t size);

/* Connects to nobody yet. May outlive the cluster. 0, or the errors of covey_client_new();
 * COVEY_ERR_LIMIT: the cluster has 64. */
COVEY_API COVEY_MUST_USE int
covey_cluster_client_new(covey_cluster *cluster, const struct covey_cluster_client_config *config,
                         covey_cluster_client **out);
/* As covey_client_free(): calls under way end with CANCELLED; streams must still be freed. */
COVEY_API int covey_cluster_client_free(covey_cluster_client *client);

/* Whom to call. */
struct covey_target {
    size_t size;
    covey_balancer *balancer; /* of the same runtime */
    const void *key; /* NULL: as the balancer's policy says; else covey_balancer_pick_for() */
    size_t key_size; /* at most COVEY_TARGET_KEY_MAX */
    /* How often it is looked for a member when none matches, within the deadline: 1, at most 1000; then
     * the call ends with UNAVAILABLE. */
    unsigned tries;
    covey_time interval; /* between tries: 500 ms */
};
#define COVEY_TARGET_KEY_MAX      1024
#define covey_target_init(target) covey_target_init_sized((target), sizeof *(target))
COVEY_API void covey_target_init_sized(struct covey_target *target, size_t size);

/*
 * As covey_client_call(), with the same errors. `options` may be NULL; `hedge_after` must be 0. `node`, if
 * not NULL, becomes the member that was called last, all 0 when there was none. A call that found
 * only members that this node denies ends with UNAVAILABLE, "the member is denied".
 * COVEY_ERR_BUSY: calls_max.
 */
COVEY_API COVEY_MUST_USE int
covey_cluster_client_call(covey_cluster_client *client, const struct covey_target *target,
                          const char *method, const void *request, size_t size,
                          const struct covey_call_options *options, struct covey_reply *reply,
                          covey_node_id *node);

/* As covey_reply_handler. */
typedef void (*covey_node_reply_handler)(const covey_node_id *node, const struct covey_reply *reply,
                                         void *user);

/* The same without waiting; on an error `done` is not called. */
COVEY_API COVEY_MUST_USE int
covey_cluster_client_call_async(covey_cluster_client *client, const struct covey_target *target,
                                const char *method, const void *request, size_t size,
                                const struct covey_call_options *options,
                                covey_node_reply_handler done, void *user);

/*
 * Chooses a member, once, and opens a stream to it; it is not made again. The pick is given back when the
 * stream is freed. *node, if not NULL, is the member. The errors of covey_client_open(), or
 *   COVEY_ERR_NOT_FOUND       nobody matches; it is looked for once whatever target->tries says
 *   COVEY_ERR_POOL_EXHAUSTED  connections_max, and none is idle
 *   COVEY_ERR_DENIED          only members that this node denies were found: the balancer is
 *                             another cluster's, or they were denied just now
 */
COVEY_API COVEY_MUST_USE int covey_cluster_client_open(covey_cluster_client *client,
                                                       const struct covey_target *target,
                                                       const char *method,
                                                       const struct covey_call_options *options,
                                                       covey_stream **out, covey_node_id *node);
/* The same with one request, as covey_client_stream(). */
COVEY_API COVEY_MUST_USE int covey_cluster_client_stream(covey_cluster_client *client,
                                                         const struct covey_target *target,
                                                         const char *method, const void *request,
                                                         size_t size,
                                                         const struct covey_call_options *options,
                                                         covey_stream **out, covey_node_id *node);

/*
 * Calls every member that matches now, each once, at most `at_once` (1 or more) at the same time. The
 * deadline of the options is that of all: members that it leaves out get DEADLINE_EXCEEDED. `each` runs
 * for every one, in any order, then `end`, once; on the loop's thread. On an error nothing runs. Any
 * thread. `idempotent` changes nothing: each has one attempt. Each is one of `calls_max` while it runs:
 * when those are all taken the next member waits for one of these calls to end, and gets
 * RESOURCE_EXHAUSTED when none of these is under way. One that was denied meanwhile gets
 * UNAVAILABLE.
 */
struct covey_all_handler {
    covey_node_reply_handler each;
    void (*end)(size_t count, void *user); /* how many were called */
    void *user;
};
COVEY_API COVEY_MUST_USE int
covey_cluster_client_call_all(covey_cluster_client *client, covey_balancer *balancer,
                              const char *method, const void *request, size_t size,
                              const struct covey_call_options *options, unsigned at_once,
                              const struct covey_all_handler *handler);

struct covey_cluster_client_stats {
    size_t size;                   /* of this struct as the caller knows it */
    uint64_t connections;          /* members in the pool now */
    uint64_t connections_evicted;  /* closed for others: too many */
    uint64_t connections_idle;     /* closed for not being used */
    uint64_t connections_dropped;  /* closed because the member failed, left, moved or is denied */
    uint64_t pool_exhausted;       /* wanted in vain: all were in use */
    uint64_t calls_open;           /* unary calls now */
    uint64_t calls_started;        /* so far */
    uint64_t calls_moved;          /* attempts on another member: the one before had not begun */
    uint64_t calls_repeated;       /* attempts on another member after a failure */
    uint64_t repeats_throttled;    /* that the budget forbade */
    uint64_t calls_without_target; /* ended because nobody matched */
};
/* Any thread. */
COVEY_API void covey_cluster_client_stats(const covey_cluster_client *client,
                                          struct covey_cluster_client_stats *stats);

COVEY_END

#endif
