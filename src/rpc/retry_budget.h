#ifndef CV_RPC_RETRY_BUDGET_H
#define CV_RPC_RETRY_BUDGET_H

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * How much a client may repeat: gRPC's retry throttling (proposal A6). A bucket of tokens begins
 * full; each repetition takes one, each success gives a tenth back, and nothing is repeated while
 * half of it or less is there. So where everything fails the load grows by half a bucket and not by
 * the number of attempts.
 */
struct cv_retry_budget {
    uint32_t tenths;
    uint32_t tenths_max; /* 0: no limit */
};

/* `tokens` up to 1000; 0: no limit. */
void cv_retry_budget_init(struct cv_retry_budget *b, unsigned tokens);
/* Takes a token for one repetition; false when it is not allowed. */
COVEY_MUST_USE bool cv_retry_budget_take(struct cv_retry_budget *b);
void cv_retry_budget_success(struct cv_retry_budget *b);

#endif
