#ifndef CV_RPC_INPUT_H
#define CV_RPC_INPUT_H

#include "rpc/call.h"

/* Bytes that came for a call cannot be kept: for the peer's share of memory, which is no error of ours
 * (0), or for want of any (the error). Ends the call. */
int cv_rpc_input_refused(struct cv_rpc_call *call, int error);

#endif
