#ifndef CV_RPC_OUTPUT_H
#define CV_RPC_OUTPUT_H

#include "rpc/call.h"

/*
 * The next output of a call; false when it has none for now. Events come first, in the order of the
 * stream, because what the user answers to them leaves in the same write.
 */
bool cv_rpc_call_output(struct cv_rpc_call *call, struct cv_rpc_output *out);

#endif
