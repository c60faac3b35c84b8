#ifndef CV_API_CLIENT_LOOP_H
#define CV_API_CLIENT_LOOP_H

#include "api/pool.h"
#include "base/heap.h"
#include "io/loop.h"

#include <sys/queue.h>

/*
 * What the clients of one loop have together, so that a turn costs by what is due and not by how many
 * clients there are: their timers, their requests that cannot go on, the hosts that they share. The
 * loop's thread only.
 */
struct cv_client_request;
struct cv_client_tie;
struct cv_client_host;
TAILQ_HEAD(cv_client_requests, cv_client_request);
LIST_HEAD(cv_client_hosts, cv_client_host);
LIST_HEAD(cv_client_ties, cv_client_tie);

/* Larger answers are not copied. */
#define CV_CLIENT_SHOWN_MAX ((size_t)1200)

struct cv_client_loop {
    struct cv_loop *loop;
    struct cv_loop_task task; /* on the loop while there are clients */
    size_t clients;
    struct cv_heap timers;            /* of struct cv_client_timer */
    size_t timers_wanted;             /* room in the heap that somebody counts on */
    struct cv_client_requests doomed; /* cannot go on; told in the next turn */
    struct cv_client_ties left;       /* not needed any more; untied in the next turn */
    struct cv_client_hosts hosts;
    struct cv_pool_share
        share; /* for the calls that begin and end on the loop, those of servers too */
    /* The answer that is shown to its user's callback just now, with a NUL behind it: one place for all
     * calls stays in the processor's cache. */
    uint8_t shown[CV_CLIENT_SHOWN_MAX + 1];
};

/* A timer that says itself what is to be done. */
struct cv_client_timer {
    struct cv_timer timer; /* first */
    void (*expired)(struct cv_client_timer *timer);
};

/* In the caller's memory; every client must have left before fini. */
void cv_client_loop_init(struct cv_client_loop *cl, struct cv_loop *loop,
                         const struct cv_alloc *alloc, struct cv_pool *pool);
void cv_client_loop_fini(struct cv_client_loop *cl);

/* One more client, one less. */
void cv_client_loop_join(struct cv_client_loop *cl);
void cv_client_loop_leave(struct cv_client_loop *cl);

/* Room for `count` more timers; 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_client_loop_want_timers(struct cv_client_loop *cl, size_t count);
void cv_client_loop_forget_timers(struct cv_client_loop *cl, size_t count);
/* COVEY_NEVER clears it. */
void cv_client_loop_set(struct cv_client_loop *cl, struct cv_client_timer *timer, covey_time when);

#endif
