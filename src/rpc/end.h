#ifndef CV_RPC_END_H
#define CV_RPC_END_H

#include "rpc/call.h"

/* The ways in which a call ends. Each leaves the call's other half in order: what is not needed any
 * more is reset or stopped, and the user hears of it exactly once. */

/*
 * We end a call that is WAITING or RUNNING, for a reason of ours. A client's user gets
 * EVENT_STATUS; a server answers `code`, and its user, when he knows the call, gets
 * EVENT_CANCELLED. `text` is static.
 */
void cv_rpc_end_here(struct cv_rpc_call *call, enum covey_status_code code, const char *text,
                     uint64_t stream_code);

/* Client: the peer's STATUS is there. */
void cv_rpc_end_answered(struct cv_rpc_call *call);

/* Server: FINISH. The status is cut and fits, the call is RUNNING. */
void cv_rpc_end_finished(struct cv_rpc_call *call, const struct cv_rpc_status *status);

/* Server: REPLY, of which all was sent. */
void cv_rpc_end_replied(struct cv_rpc_call *call);

/* Server: nobody waits for the answer of a call that is WAITING or RUNNING. */
void cv_rpc_end_gone(struct cv_rpc_call *call, uint64_t stream_code);

/* The user gives up: nothing when the call is not RUNNING. He gets EVENT_STATUS as a client. */
void cv_rpc_end_cancelled(struct cv_rpc_call *call);

/* The call's timer fired: its deadline, or a header that does not come. */
void cv_rpc_end_timeout(struct cv_rpc_call *call);

/* The stream is gone, with or without the connection. Frees the call if nobody names it. */
void cv_rpc_end_closed(struct cv_rpc_call *call);

#endif
