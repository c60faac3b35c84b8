#ifndef CV_RPC_CALL_H
#define CV_RPC_CALL_H

#include "base/deadlines.h"
#include "rpc/receive.h"
#include "rpc/rpc.h"
#include "rpc/send.h"

#include <sys/queue.h>

/*
 * One call: two half streams, what the user knows of it, and what is due to be told.
 *
 *   client   RUNNING ---- answered, cancelled, deadline, lost --------------> OVER
 *   server   WAITING -- header --> RUNNING ---------- FINISH ---------------> OVER
 *               |                     +-- gone, deadline --> CANCELLED - FINISH -^
 *               +-- refused ------------------------------------------------> OVER
 *
 * It is freed when the user released it and the transport closed its stream, whichever comes last. The
 * transport does so early for a server's call that was answered (cv_rpc_call_is_carried()).
 */
enum cv_rpc_call_state {
    CV_RPC_CALL_WAITING, /* server: the header is not there yet; the user knows nothing */
    CV_RPC_CALL_RUNNING,
    CV_RPC_CALL_CANCELLED, /* server: nobody waits for the answer; FINISH is due */
    CV_RPC_CALL_OVER
};

/* How the peer's side of the stream ended. */
enum cv_rpc_peer_end {
    CV_RPC_PEER_OPEN,
    CV_RPC_PEER_FIN,
    CV_RPC_PEER_RESET,
    CV_RPC_PEER_LOST /* with the stream or the connection */
};

struct cv_rpc_call {
    struct cv_rpc_conn *conn;
    void *stream;
    void *user;
    TAILQ_ENTRY(cv_rpc_call) ready_link;
    LIST_ENTRY(cv_rpc_call) link; /* of all calls, or of the pool */

    enum cv_rpc_call_state state;
    bool is_client;
    /* Client: EVENT_STATUS of `code`; server: EVENT_CANCELLED. Away from the others that are due: they are read as
     * one, which would wait until the one that was written last is in the cache. */
    bool event_due;
    bool is_ready;
    bool is_lent; /* the received bytes lie on the tray, or did when it was last polled */
    bool is_starved;
    bool is_withheld;
    bool is_unbound;
    bool released;     /* the user names it no more, or never knew it */
    bool closed;       /* it has no stream: not yet, or no more */
    bool receiving;    /* frames are still looked at; else bytes are dropped */
    bool answer_begun; /* metadata or a message of the server's was sent, or came */
    bool wrote;        /* the transport took bytes of it */
    bool refused;      /* client: the server drains, its user knows nothing of the call */
    bool writable_due; /* SEND said BUSY */
    bool reset_due;
    bool stop_due;
    enum cv_rpc_peer_end peer_end;

    size_t held;            /* messages that the user has and did not READ, with their cost */
    size_t owed;            /* received bytes that were not given back to the stream's window */
    size_t owed_connection; /* and to the connection's */
    size_t left_to_close;   /* and are given back when the stream closes */
    struct cv_deadline timer;
    covey_time deadline;
    covey_time accepted_at; /* server */
    covey_time started_at;  /* client: the time from which the header's timeout counts */
    struct cv_rpc_send send;
    struct cv_rpc_receive receive;

    /* Only of calls of which a flag above says so: most never touch what follows. */
    TAILQ_ENTRY(cv_rpc_call) starved_link;
    TAILQ_ENTRY(cv_rpc_call) withheld_link;
    TAILQ_ENTRY(cv_rpc_call) unbound_link;
    uint64_t peer_code; /* of the peer's reset */
    uint64_t reset_code;
    uint64_t stop_code;
    enum covey_status_code code;
    const char *text; /* static */
    uint8_t own_received[CV_RPC_BUFFER_OWN_SIZE];
    uint8_t own_sent[CV_RPC_BUFFER_OWN_SIZE];
};

TAILQ_HEAD(cv_rpc_call_queue, cv_rpc_call);

/* What a message costs beyond its bytes while the user holds it: else empty messages, one byte each
 * on the wire, would cost a peer nothing. */
#define CV_RPC_MESSAGE_COST 64

/* Giving window back costs more than a small call can bear. What came whole, in no more bytes than
 * this, is left to the transport, which gives it back with the stream; but not more of it for a
 * connection than this, a small part of its window, so that calls that take long do not use that up. Those
 * that were answered do not count: their streams close as soon as the peer has the answer. */
#define CV_RPC_LEFT_TO_CLOSE       ((size_t)256)
#define CV_RPC_LEFT_TO_CLOSE_TOTAL ((size_t)64 << 10)

/* Free call objects that a connection keeps: so many, about 0.25 MiB, or as many as are in use, so that
 * one with many calls under way does not take and give back memory for each. */
#define CV_RPC_POOL_COUNT_MAX 256
/* The same of those that are shared: about 2 MiB. */
#define CV_RPC_SHARED_COUNT_MAX 2048

/* Of a call, and of what its user keeps of it, so much is looked at each time. */
#define CV_RPC_CALL_NEAR_SIZE 320

/* A call without a stream that the user does not hold; NULL when there is no memory. */
struct cv_rpc_call *cv_rpc_call_new(struct cv_rpc_conn *rc, bool is_client);
void cv_rpc_call_free(struct cv_rpc_call *call);
/* It waits for no stream any more. */
void cv_rpc_call_leave_unbound(struct cv_rpc_call *call);
/* Frees it if nobody names it any more. */
void cv_rpc_call_settle(struct cv_rpc_call *call);

/* Makes poll() look at it. */
void cv_rpc_call_wake(struct cv_rpc_call *call);
/* poll() need not look at it until it is woken again. */
void cv_rpc_call_leave_ready(struct cv_rpc_call *call);
/* Nothing is due by now: poll() need not look at it to find out. */
void cv_rpc_call_rest(struct cv_rpc_call *call);
/* No frame is looked at any more; asks the peer to stop unless its side ended. */
void cv_rpc_call_stop(struct cv_rpc_call *call, uint64_t code);
/* The peer's side ended: there is nothing left to stop. */
void cv_rpc_call_peer_ended(struct cv_rpc_call *call, enum cv_rpc_peer_end how);
/* Drops what waits and resets our side unless it is done. */
void cv_rpc_call_reset(struct cv_rpc_call *call, uint64_t code);
/* Drops what waits: nothing can be sent any more. */
void cv_rpc_call_drop_send(struct cv_rpc_call *call);
/* Our side is done. A server's deadline has then nothing left to end. */
void cv_rpc_call_sent(struct cv_rpc_call *call);
/* The transport forgot the stream. */
void cv_rpc_call_detach(struct cv_rpc_call *call);

#endif
