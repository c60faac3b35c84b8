#ifndef CV_API_CLUSTER_CLIENT_H
#define CV_API_CLUSTER_CLIENT_H

#include "api/balancer.h"
#include "api/draft.h"
#include "api/identity.h"
#include "api/reply.h"
#include "base/map.h"

#include <covey/cluster_client.h>

/*
 * The inside of a cluster client: clients of one loop, a peer each, and calls that go from one to the
 * next. Any thread chooses a peer and holds it, under the pool's lock; only the loop's thread lets
 * something happen to its client.
 *
 *   listed --evicted, idle, failed, moved--> leaving --nobody holds it--> freed, on the loop
 */
struct cv_callee {
    covey_node_id id; /* the map's key */
    char address[COVEY_ADDRESS_TEXT_SIZE];
    covey_client *client; /* NULL when the cluster client was freed */
    unsigned holds;       /* calls and streams */
    covey_time last_used;
    bool is_listed;
    bool has_failed;              /* the loop is to end its calls */
    TAILQ_ENTRY(cv_callee) entry; /* of `listed`, the one used longest ago first, or of `leaving` */
};
TAILQ_HEAD(cv_callees, cv_callee);

struct cv_callee_counters {
    uint64_t evicted;
    uint64_t idle;
    uint64_t dropped;
    uint64_t exhausted;
};

/* Counted: streams may outlive the cluster client, and with each its peer. */
struct cv_callee_pool {
    covey_runtime *runtime;
    struct cv_client_loop *shared;
    covey_identity identity;           /* its texts are ours */
    struct covey_client_config config; /* of every client */
    size_t peers_max;
    covey_time idle_max;
    struct cv_client_timer idle; /* the loop's */

    pthread_mutex_t lock; /* all that follows */
    size_t references;
    bool is_closed;
    bool is_posted; /* `work` is on its way to the loop */
    struct cv_mail work;
    struct cv_map map; /* of those that are listed */
    struct cv_callees listed;
    struct cv_callees leaving;
    size_t leaving_count; /* up to 2 * peers_max: of peers_max, none is made for another */
    struct cv_callee_counters counters;
    struct cv_denied *denied; /* retained; NULL: nobody */
};

/* Timers on the loop that the pool's owner wants for it: each client has one. */
static inline size_t cv_callee_pool_timers(size_t peers_max)
{
    return 2 * peers_max + 1;
}

/* One reference. `config->identity` is copied. 0, COVEY_ERR_INVALID_ARGUMENT, _NO_MEMORY, _SYSTEM. */
COVEY_MUST_USE int cv_callee_pool_new(covey_runtime *runtime, struct cv_client_loop *shared,
                                      const struct covey_cluster_client_config *config,
                                      struct cv_callee_pool **out);
void cv_callee_pool_release(struct cv_callee_pool *pool);
/* Any thread: the peer of a pick, held until cv_callee_put(). One that is listed at another address has
 * moved, unless the pick may be old: then it is right. 0, COVEY_ERR_POOL_EXHAUSTED, _NO_MEMORY, _ADDRESS,
 * _CLOSED, _DENIED: it was denied since it was picked, and balancers give it no more. */
COVEY_MUST_USE int cv_callee_get(struct cv_callee_pool *pool, const struct covey_pick *pick,
                                 bool may_be_old, struct cv_callee **out);
void cv_callee_put(struct cv_callee_pool *pool, struct cv_callee *peer);
/* Any thread: calls of those that are failed, left, gone or elsewhere in this snapshot, or denied,
 * end with UNAVAILABLE, and they with them. Without a snapshot the cluster has been left, and what
 * is connected may go on. */
void cv_callee_pool_follow(struct cv_callee_pool *pool, const struct cv_snapshot *snapshot,
                           struct cv_denied *denied);
/* The loop's thread: ends all, and makes no more. Calls end with CANCELLED meanwhile. */
void cv_callee_pool_close(struct cv_callee_pool *pool);

/* ---- */

struct cv_routed;
LIST_HEAD(cv_routed_list, cv_routed);

struct covey_cluster_client {
    covey_runtime *runtime;
    struct cv_client_loop *shared;
    struct cv_balancer_hub *hub;
    struct cv_follower follower;
    struct cv_callee_pool *pool;
    covey_client *draft; /* connects to nobody: drafts are checked by its limits */
    struct covey_retry_policy retry;
    struct cv_backoff backoff;
    unsigned calls_max;
    atomic_uint calls_open;
    cv_count started; /* the loop's */
    cv_count moved;
    cv_count repeated;
    cv_count throttled;
    cv_count without_target;

    pthread_mutex_t lock;
    bool is_closing; /* under the lock */

    struct cv_rand random; /* the loop's from here on */
    struct cv_retry_budget budget;
    struct cv_routed_list calls;
};

/* Any thread: as cv_client_post(). */
COVEY_MUST_USE int cv_cluster_client_post(covey_cluster_client *client, struct cv_mail *mail);
/* The user's over the defaults, checked; `*out` borrows. 0, COVEY_ERR_INVALID_ARGUMENT. */
COVEY_MUST_USE int cv_target_take(struct covey_target *own, const struct covey_target *callers);
/* 0, COVEY_ERR_NOT_FOUND. */
COVEY_MUST_USE int cv_target_pick(const struct covey_target *target, const covey_node_id *avoid,
                                  struct covey_pick *pick);

/* Whether the balancer leaves out whom this client does not call: both are of one cluster. */
static inline bool cv_cluster_client_shares(const covey_cluster_client *client,
                                            const covey_balancer *balancer)
{
    return client->hub == balancer->hub;
}

/* ---- a unary call, or one to each of many ---- */

/*
 * A call that goes from peer to peer: made by any thread, then the loop's.
 *
 *   made --posted--> a try for a peer --> its unary call --> the end
 *                    ^      | nobody         | to be made again
 *                    '---- a pause <---------'
 */
struct cv_routed {
    struct cv_client_timer timer; /* first: ends a pause */
    struct cv_mail mail;
    LIST_ENTRY(cv_routed) entry;
    covey_cluster_client *client;
    struct covey_target target; /* retains the balancer; the key is in `bytes` */
    unsigned tries;             /* for a member, so far, since the last attempt */
    unsigned attempts;          /* that may have begun */
    unsigned moves;             /* that surely have not */
    unsigned denials;           /* picks in a row that may not be called */
    bool is_idempotent;
    bool is_counted; /* in calls_open */
    bool is_fixed;   /* to `pick` and to nobody else */
    bool has_pick;   /* not given back */
    bool has_node;
    covey_node_id node;   /* the last that was chosen */
    covey_node_id denied; /* the last of `denials` */
    struct covey_pick pick;
    struct cv_callee *peer;
    struct covey_reply last; /* of the attempt before */
    covey_time deadline;
    struct covey_call_options options; /* metadata are in `bytes` */
    const char *method;
    struct cv_slice request;
    void (*done)(struct cv_routed *routed, struct covey_reply *reply); /* may move it */
    covey_node_reply_handler handler;                                  /* of its kinds */
    void *user;
    size_t size; /* of this memory */
    _Alignas(max_align_t) uint8_t bytes[];
};

/* Any thread. The errors of covey_cluster_client_call(). */
COVEY_MUST_USE int cv_routed_new(covey_cluster_client *client, const struct covey_target *target,
                                 const char *method, struct cv_slice request,
                                 const struct covey_call_options *options, struct cv_routed **out);
/* 0; or COVEY_ERR_BUSY, COVEY_ERR_CLOSED, and it is freed. */
COVEY_MUST_USE int cv_routed_post(struct cv_routed *routed);
/* Frees one that was not posted. */
void cv_routed_drop(struct cv_routed *routed);
/* It is not one of `calls_max` any more. Twice is once. */
void cv_routed_uncount(struct cv_routed *routed);
/* The loop's thread: ends those that pause with CANCELLED. */
void cv_routed_end_paused(covey_cluster_client *client);

#endif
