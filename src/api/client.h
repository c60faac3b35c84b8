#ifndef CV_API_CLIENT_H
#define CV_API_CLIENT_H

#include "api/client_host.h"
#include "api/client_loop.h"
#include "api/count.h"
#include "api/metadata.h"
#include "rpc/backoff.h"
#include "rpc/retry_budget.h"

#include <covey/client.h>
#include <covey/stream.h>

#include <stdatomic.h>
#include <sys/queue.h>

#define CV_CLIENT_INTERCEPTORS_MAX 8

/* Any thread. */
struct cv_client_counters {
    cv_count opened;
    cv_count failed;
    cv_count calls;
    cv_count repeated;
    cv_count hedged;
    cv_count throttled;
};

/* A client's part of a host: the user of its links there. One that is not for new links any more,
 * since the client has another identity, lives as long as it has links. */
struct cv_client_tie {
    covey_client *client;
    struct cv_client_host *host;
    size_t links;
    LIST_ENTRY(cv_client_tie) entry;
};

/*
 * The inside of a client: a share of a host that never serves, with one link for new calls, and others that end
 * their last calls.
 *
 *   no link --request--> connecting --ready--> the link takes calls --lost, drains--> no link
 *      ^                     |
 *      '---- a pause <---- failed
 */
struct covey_client {
    covey_runtime *runtime; /* any thread, as all up to the counters; they do not change */
    struct cv_loop *loop;
    struct cv_client_loop *shared; /* with the other clients of the loop */
    size_t message_send_max;
    size_t message_receive_max;
    covey_time age_max;
    struct covey_retry_policy retry;
    struct cv_backoff retry_backoff;
    struct cv_backoff connect_backoff;
    struct covey_client_interceptor interceptors[CV_CLIENT_INTERCEPTORS_MAX];
    size_t interceptor_count;
    bool has_expected;
    covey_node_id expected;
    uint8_t family;                                        /* of the socket */
    char cluster[sizeof((struct cv_identity){0}.cluster)]; /* whose certificates it may have */
    struct cv_client_counters counters;

    pthread_mutex_t lock;
    atomic_bool is_closing; /* set under the lock: what is posted then would come after the end */

    struct cv_client_ties ties; /* the loop's thread from here on */
    struct cv_client_tie *tie;  /* for new links */
    const covey_identity *late; /* of one that is pooled: tied to when a link is wanted first */
    struct cv_rand random;
    struct cv_retry_budget budget;
    struct cv_client_timer connect;    /* ends the pause, while somebody waits */
    struct cv_link *link;              /* takes new calls, or will; NULL: there is none */
    bool is_ready;                     /* `link` is */
    bool was_useful;                   /* `link` has brought an answer */
    bool is_given_up;                  /* there is never a link again */
    unsigned failures;                 /* attempts to connect in vain, in a row */
    covey_time next_attempt;           /* not before */
    int last_error;                    /* of the last attempt in vain */
    struct cv_client_requests paused;  /* until their time */
    struct cv_client_requests waiting; /* for a link */
    struct cv_client_requests running; /* on one */

    char address[]; /* any thread, never changes */
};

/* Any thread: posts what comes before the end of the client. 0, COVEY_ERR_BUSY, or COVEY_ERR_CLOSED
 * once the client is being freed. */
COVEY_MUST_USE int cv_client_post(covey_client *client, struct cv_mail *mail);

/*
 * One of a pool's, all of which are on one loop. Its owner has joined that and wants a timer there for it;
 * `config->identity` must outlive it. Nothing happens on the loop yet. 0, the errors of covey_client_new().
 */
COVEY_MUST_USE int cv_client_new_pooled(const struct covey_client_config *config,
                                        struct cv_client_loop *shared, covey_client **out);
/* The loop's thread, not in a host's callback: ends its calls with CANCELLED and frees it. */
void cv_client_free_pooled(covey_client *client);
/* The loop's thread: calls under way, those that wait and all that are begun later end with
 * UNAVAILABLE, in the next turn; the link is left, and there is no other. */
void cv_client_give_up(covey_client *client);

/* Told once, on any thread, when a stream's user has freed it and the loop has let go of it. The user's
 * thread, before anybody else knows the stream. */
void cv_stream_on_freed(covey_stream *stream, void (*freed)(void *user), void *user);
covey_runtime *cv_stream_runtime(const covey_stream *stream);
/* What covey_stream_finish() has of the answer so far, the receiving thread's. */
struct cv_stream_answer {
    struct covey_reply reply; /* with the first message */
    unsigned count;           /* messages */
    bool is_lost;             /* the first found no memory */
};
struct cv_stream_answer *cv_stream_answer(covey_stream *stream);

/* ---- the loop's thread ---- */

/*
 * One RPC call on its way: it waits for a link, runs on one, and ends with one of two words. It is in
 * its owner's memory, who may free it when it has ended.
 */
struct cv_client_request_kind {
    /* There is an RPC call, request->rpc: send. NULL for one whose message went with the start. */
    void (*started)(struct cv_client_request *request);
    /* What happens to it. After CV_RPC_EVENT_STATUS it has ended. */
    void (*event)(struct cv_client_request *request, const struct cv_rpc_output *event);
    /* It has ended without ever having been on a link, or by cv_client_request_doom(). `status` is
     * valid for the call. */
    void (*failed)(struct cv_client_request *request, const struct cv_rpc_status *status);
};

/* What travels in the header of a call, in its own memory. */
struct cv_call_header {
    struct cv_slice method;
    struct cv_rpc_metadata *metadata;
    size_t metadata_count;
};

/* What is asked for. Of its owner, and of all requests that he makes for it; outlives them. */
struct cv_client_wish {
    struct cv_call_header header;
    covey_time deadline;
    const struct cv_slice *message; /* the only one, sent with the start; or NULL */
    bool wait_for_ready;
};

struct cv_client_request {
    covey_client *client; /* what the end of a call needs comes first, close together */
    const struct cv_client_request_kind *kind;
    struct cv_client_requests *list; /* where it is; NULL: nowhere */
    TAILQ_ENTRY(cv_client_request) entry;
    struct cv_link *link;
    struct cv_rpc_call *rpc;
    bool has_timer;  /* it was set where it is */
    bool has_waited; /* for a link */
    bool is_begun;   /* it was on one */
    int error;       /* why it is doomed */
    const struct cv_client_wish *wish;
    struct cv_client_timer timer; /* ends its pause or its wait */
};

/* Begins, after `pause`; the caller has set client, kind and wish. Its outcome
 * never comes from inside this. Needs room for one timer: cv_client_want_timers(). */
void cv_client_request_begin(struct cv_client_request *request, covey_time pause);
/* Ends it without a word, wherever it is; nothing when it has ended. The server sees it cancelled. */
void cv_client_request_end(struct cv_client_request *request);
/* An input for the RPC call, whose time and call are set here. */
int cv_client_request_step(struct cv_client_request *request, struct cv_rpc_input *input);
/* Ends it in the next turn, with failed(): RESOURCE_EXHAUSTED for want of memory or room, CANCELLED,
 * DEADLINE_EXCEEDED, INTERNAL (COVEY_ERR_PROTOCOL), else UNAVAILABLE, and a text. */
void cv_client_request_doom(struct cv_client_request *request, int error);

/* It is doomed and has not ended. */
bool cv_client_request_is_doomed(const struct cv_client_request *request);
/* For the client's loop: ends a doomed one with failed(). */
void cv_client_request_tell_doomed(struct cv_client_request *request);
/* On the link, which is ready. */
void cv_client_request_start(struct cv_client_request *request);

/* client_link.c: somebody waits; a link is made, at once or when the pause is over. */
void cv_client_want_link(covey_client *client);
/* New calls get another one. One that is ready ends when its calls do; one that is not has none. */
void cv_client_leave_link(covey_client *client);
/* The link is not for new calls any more; nothing else happens to it. */
void cv_client_forget_link(covey_client *client);
/* An attempt was in vain: the next one comes after a pause. */
void cv_client_connect_failed(covey_client *client, int error);
void cv_client_on_connect_timer(struct cv_client_timer *timer);

/* client_tie.c: takes new links to a host of this identity; 0, or the errors of cv_host_open(). */
COVEY_MUST_USE int cv_client_tie_to(covey_client *client, const covey_identity *identity);
/* Closes its links and leaves the host. */
void cv_client_untie(struct cv_client_tie *tie);
void cv_client_untie_all(covey_client *client);

/* Ends all requests with CANCELLED, at once. */
void cv_client_end_all(covey_client *client);

#endif
