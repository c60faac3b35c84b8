#ifndef CV_RPC_SERVER_H
#define CV_RPC_SERVER_H

#include "rpc/call.h"

/* A call on a stream that the peer opened; NULL when there is no memory. */
struct cv_rpc_call *cv_rpc_server_accept(struct cv_rpc_conn *rc, void *stream);

/* What a server makes of what comes from the client: true with an event in *out, false without. */
bool cv_rpc_server_frame(struct cv_rpc_call *call, const struct cv_rpc_frame *frame,
                         struct cv_rpc_output *out);
/* All that came of a stream that has ended. True with an EVENT_CALL in *out that tells all of it; false, and nothing
 * changed, when it is to be looked at frame by frame. */
bool cv_rpc_server_request(struct cv_rpc_call *call, struct cv_slice bytes,
                           struct cv_rpc_output *out);
/* No whole frame is left: perhaps because the client ended. */
bool cv_rpc_server_end(struct cv_rpc_call *call, struct cv_rpc_output *out);

/* The client's side was reset, or it reads no more. */
void cv_rpc_server_reset(struct cv_rpc_call *call);
void cv_rpc_server_stopped(struct cv_rpc_call *call);

/* The user's FINISH: 0, COVEY_ERR_TOO_LARGE or COVEY_ERR_STATE. */
int cv_rpc_server_finish(struct cv_rpc_call *call, const struct cv_rpc_status *status);
/* The user's REPLY; the errors of SEND. */
int cv_rpc_server_reply(struct cv_rpc_call *call, struct cv_slice message, struct cv_writer *room);

#endif
