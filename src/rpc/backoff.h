#ifndef CV_RPC_BACKOFF_H
#define CV_RPC_BACKOFF_H

#include "base/rand.h"

#include <covey/types.h>

/*
 * The pause before an attempt is repeated: doubled after each one in vain up to a maximum, spread by
 * +-20 % so that many who failed together do not come back together.
 */
struct cv_backoff {
    covey_time first; /* above 0 */
    covey_time max;   /* not below first */
};

/* After `failures` attempts in vain, 1 or more. Between 0.8 and 1.2 of min(max, first * 2^(failures -
 * 1)). */
covey_time cv_backoff_pause(const struct cv_backoff *b, unsigned failures, struct cv_rand *random);

#endif
