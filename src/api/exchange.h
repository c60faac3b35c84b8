#ifndef CV_API_EXCHANGE_H
#define CV_API_EXCHANGE_H

#include "api/metadata.h"
#include "node/link.h"

#include <stdatomic.h>
#include <sys/queue.h>

/*
 * The messages of one call between its user, who may be on any thread, and the RPC layer on the
 * loop's: what covey_call and covey_stream are made of.
 *
 *            user                                   loop
 *     send --------------------------------> SEND           on the loop's thread, nothing waiting
 *     send ---> out ---> service (a mail) -> SEND, then end()
 *     receive <--- in <--------------------- a message came
 *        '-----> service ------------------> READ: the peer may send as much again
 *
 * References: the user's until he is done, the loop's while the RPC layer knows the call or will, the
 * mail's while it is on its way. Unless marked otherwise functions run on the loop's thread.
 */
struct cv_exchange;

/* One that waits; or the metadata that goes before all. */
struct cv_exchange_message {
    STAILQ_ENTRY(cv_exchange_message) entry;
    bool is_metadata;
    struct cv_metadata metadata;
    size_t size;
    uint8_t bytes[];
};
STAILQ_HEAD(cv_exchange_messages, cv_exchange_message);

struct cv_exchange_waiter;

struct cv_exchange_kind {
    /* After cv_exchange_begin(), before all else. */
    void (*begin)(struct cv_exchange *x);
    /* All that the user sent is with the RPC layer and he sends no more: once. */
    void (*end)(struct cv_exchange *x);
    /* The user gave up; may come when all is over already. */
    void (*cancel)(struct cv_exchange *x);
    /* A message that was taken cannot be sent: the call must not go on as if it had been. */
    void (*fail)(struct cv_exchange *x, int error);
    /* What he waited for is there: see cv_exchange_wants_message(), cv_exchange_send(). */
    void (*ready)(struct cv_exchange *x);
    /* Nobody knows it any more. */
    void (*free)(struct cv_exchange *x);
};

struct cv_exchange {
    const struct cv_exchange_kind *kind; /* any thread, as all up to the lock */
    covey_runtime *runtime;
    struct cv_loop *loop;
    size_t message_size_max;
    struct cv_exchange_message *current; /* the receiver's: what he got last */
    atomic_bool is_over;                 /* nothing that is sent now arrives */
    atomic_bool out_ended;               /* by the user */
    atomic_size_t out_size;              /* what waits in `out`, with its cost */

    atomic_uint references;

    pthread_mutex_t lock; /* of what follows */
    LIST_HEAD(, cv_exchange_waiter) waiters;
    struct cv_mail mail;
    bool mail_is_out;
    struct cv_exchange_messages out;
    bool wants_room;    /* a send said BUSY */
    bool wants_message; /* a receive found nothing */
    bool begin_wanted;
    bool cancel_wanted; /* by the user */
    bool user_is_gone;  /* what comes now is for nobody */
    bool is_telling;    /* ready() runs on the loop's thread */
    bool is_shared;     /* another thread may have had a reference beside the user's */
    struct cv_exchange_messages in;
    bool in_ended;     /* the peer sends no more */
    size_t read_count; /* messages that the RPC layer was not told of, and their bytes */
    size_t read_size;

    struct cv_link *link; /* the loop's thread; NULL before the start and after the end */
    struct cv_rpc_call *rpc;
    bool end_done;
    bool told_over;
    bool left_here; /* the user left on the loop's thread: nobody else knows the exchange */
};

/* In the caller's memory, with references of the user and of the loop. */
void cv_exchange_init(struct cv_exchange *x, const struct cv_exchange_kind *kind,
                      covey_runtime *runtime, struct cv_loop *loop, size_t message_size_max);
/* For kind->free(): gives back what it holds. */
void cv_exchange_fini(struct cv_exchange *x);

/* ---- the user, any thread ---- */

/* 0; COVEY_ERR_BUSY: wants_room is set, ready() follows; COVEY_ERR_CLOSED when it is over;
 * COVEY_ERR_STATE after the end; COVEY_ERR_TOO_LARGE; COVEY_ERR_INVALID_ARGUMENT: no bytes where there
 * must be some; COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_exchange_send(struct cv_exchange *x, struct cv_slice message);
/* A server's metadata that was checked, before its first message. 0, COVEY_ERR_CLOSED,
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_exchange_send_metadata(struct cv_exchange *x,
                                             const struct cv_rpc_metadata *set, size_t count);
/* 0, COVEY_ERR_TIMEOUT, COVEY_ERR_CLOSED, COVEY_ERR_WRONG_THREAD. */
COVEY_MUST_USE int cv_exchange_wait_room(struct cv_exchange *x, covey_time timeout);
/* end() follows what waits: at once when it is called on the loop's thread and nothing does. */
void cv_exchange_end(struct cv_exchange *x);
void cv_exchange_cancel(struct cv_exchange *x);
/* *out is valid until the next receive. 0; COVEY_ERR_CLOSED when there are no more; COVEY_ERR_TIMEOUT;
 * COVEY_ERR_WRONG_THREAD. */
COVEY_MUST_USE int cv_exchange_receive(struct cv_exchange *x, covey_time timeout,
                                       struct cv_slice *out);
/* With the lock held, which it gives back: has a ready() that was just set called for what came before,
 * once the one that runs has returned, unless it is called on the loop's thread. The exchange may be
 * gone after it: the new ready() may free it. */
void cv_exchange_post_and_unlock(struct cv_exchange *x);
/* The user is done: no ready() any more, what comes is dropped, his reference is gone. Waits for a
 * ready() that runs, unless it is called on the loop's thread. */
void cv_exchange_leave(struct cv_exchange *x);
/* Has kind->begin() called on the loop's thread: soon, or now when it is that. */
void cv_exchange_begin(struct cv_exchange *x);
/* Has what may be due looked at soon on the loop's thread. */
void cv_exchange_post(struct cv_exchange *x);

/* ---- the loop's thread ---- */

/* The RPC layer knows the call: what waits is sent. */
void cv_exchange_start(struct cv_exchange *x, struct cv_link *link, struct cv_rpc_call *rpc);
/* One input for the RPC layer, whose time and call are set here. */
int cv_exchange_step(struct cv_exchange *x, struct cv_rpc_input *input);
/* A server's only message and the status OK at once, when nothing waits before them; what is left of the
 * user's part is cv_exchange_leave_at_once(). Else COVEY_ERR_BUSY, or what keeps it from it, and nothing was sent. */
COVEY_MUST_USE int cv_exchange_reply(struct cv_exchange *x, struct cv_slice message);
/* cv_exchange_end() and cv_exchange_leave() in one, with nothing waiting. */
void cv_exchange_leave_at_once(struct cv_exchange *x);
/* A message came: kept until it is received. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_exchange_message(struct cv_exchange *x, struct cv_slice message);
/* The peer sends no more. */
void cv_exchange_peer_ended(struct cv_exchange *x);
/* Nothing that is sent now arrives: what waits is dropped, and the user told. */
void cv_exchange_over(struct cv_exchange *x);
/* The RPC layer takes more. */
void cv_exchange_writable(struct cv_exchange *x);
/* Lets go of the RPC layer's part, which is cancelled if it still runs, and of the loop's reference:
 * the exchange may be gone after it. */
void cv_exchange_release(struct cv_exchange *x);
/* The same when the RPC layer goes by itself. */
void cv_exchange_detach(struct cv_exchange *x);

#endif
