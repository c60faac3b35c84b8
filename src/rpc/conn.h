#ifndef CV_RPC_CONN_H
#define CV_RPC_CONN_H

#include "base/bucket.h"
#include "base/deadlines.h"
#include "rpc/call.h"
#include "rpc/receive.h"
#include "rpc/rpc.h"

/* What the calls of a connection share; for the files of rpc only. */
struct cv_rpc_conn {
    const struct cv_alloc *alloc;
    struct cv_rpc_limits limits;
    struct cv_rpc_receive_limits receive_limits;
    struct cv_rpc_stats stats;
    covey_time now; /* of the last input */
    struct cv_deadlines timers;

    struct cv_rpc_call_list all;
    struct cv_rpc_call_queue ready;   /* those that may have an output, in order */
    struct cv_rpc_call_queue unbound; /* clients' that wait for a stream, in order */
    struct cv_rpc_call_queue starved; /* those whose SEND found send_memory full */
    /* Those that wait because the users of all calls together hold too much, in order. */
    struct cv_rpc_call_queue withheld;
    struct cv_rpc_call_list pool; /* free call objects */
    size_t count;
    size_t pool_count;
    size_t executing;     /* calls of the peer's that the user holds */
    size_t held;          /* the sum of the calls' */
    size_t left_to_close; /* the same */
    struct cv_bucket glitches;

    struct cv_rpc_memory receive_memory;
    struct cv_rpc_memory send_memory;
    struct cv_rpc_call *writing; /* between a STREAM_WRITE and its cv_rpc_conn_written() */
    bool draining;
    bool peer_drains;
    bool lost;
    const char *lost_text;
    bool none_begun; /* the peer says so of what it did not answer */
    bool close_due;  /* the peer broke a rule for which the connection is closed */
    bool close_told; /* and the transport knows */
    enum cv_rpc_close_reason close_reason;

    /* What EVENT_CALL and EVENT_METADATA point to. */
    struct cv_rpc_metadata metadata[CV_RPC_METADATA_COUNT_MAX];
};

/* The users of all calls together hold too much. */
static inline bool cv_rpc_conn_is_full(const struct cv_rpc_conn *rc)
{
    uint64_t lag = (uint64_t)rc->count * rc->limits.receive_lag_max;
    return rc->held > rc->limits.receive_total_max + lag;
}

/* The peer sent a frame that its role or the call's state does not allow. */
void cv_rpc_conn_violated(struct cv_rpc_conn *rc);
/* The peer caused work for nothing: of that it has a budget. */
void cv_rpc_conn_glitch(struct cv_rpc_conn *rc);
/* CV_RPC_SEND. */
COVEY_MUST_USE int cv_rpc_conn_send(struct cv_rpc_call *call, struct cv_slice message, bool end,
                                    struct cv_rpc_direct *direct);
/* The user of a call gave messages back that had this size, with their cost. */
void cv_rpc_conn_given_back(struct cv_rpc_call *call, size_t size);

#endif
