#ifndef CV_RPC_CLIENT_H
#define CV_RPC_CLIENT_H

#include "rpc/call.h"

/* What a client makes of what comes from the server: true with an event in *out, or the call was ended;
 * rpc.h has start and bind. */
bool cv_rpc_client_frame(struct cv_rpc_call *call, const struct cv_rpc_frame *frame,
                         struct cv_rpc_output *out);
/* The same for the body of a STATUS. */
bool cv_rpc_client_status(struct cv_rpc_call *call, struct cv_slice body,
                          struct cv_rpc_output *out);
/* All that came of a stream that has ended. True with an EVENT_STATUS in *out that tells all of it; false, and
 * nothing changed, when it is to be looked at frame by frame. */
bool cv_rpc_client_answer(struct cv_rpc_call *call, struct cv_slice bytes,
                          struct cv_rpc_output *out);
/* The server's side ended and no whole frame is left: there was no STATUS. */
void cv_rpc_client_end(struct cv_rpc_call *call);

/* The server says that it never began the call. */
void cv_rpc_client_none_begun(struct cv_rpc_call *call);

#endif
