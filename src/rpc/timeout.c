#include "rpc/timeout.h"

/* 36525 days. In nanoseconds it fits 62 bits, so that a sum with a clock does not wrap around. */
#define TIMEOUT_US_MAX (UINT64_C(36525) * 86400 * 1000000)

uint64_t cv_rpc_timeout_left(covey_time deadline, covey_time now)
{
    if (deadline <= now)
        return 0;
    uint64_t left = (deadline - now - 1) / COVEY_MICROSECOND + 1;
    return left < TIMEOUT_US_MAX ? left : TIMEOUT_US_MAX;
}

covey_time cv_rpc_timeout_deadline(uint64_t timeout_us, covey_time now)
{
    if (timeout_us > TIMEOUT_US_MAX)
        timeout_us = TIMEOUT_US_MAX;
    covey_time left = timeout_us * COVEY_MICROSECOND;
    return left < COVEY_NEVER - 1 - now ? now + left : COVEY_NEVER - 1;
}
