#ifndef CV_RPC_TIMEOUT_H
#define CV_RPC_TIMEOUT_H

#include <covey/types.h>

/* Deadlines travel as the microseconds that remain, because clocks differ. */

/* What remains until `deadline`, rounded up; 0 when it has come. At most 100 years. */
uint64_t cv_rpc_timeout_left(covey_time deadline, covey_time now);
/* The deadline of a timeout, which is cut to 100 years; never COVEY_NEVER. */
covey_time cv_rpc_timeout_deadline(uint64_t timeout_us, covey_time now);

#endif
