#ifndef CV_CLUSTER_TOKEN_BUCKET_H
#define CV_CLUSTER_TOKEN_BUCKET_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * How much of something a peer may do: a burst, and then one token in each `interval`. In integers;
 * a bucket is full when it begins.
 */
struct cv_token_bucket {
    uint32_t tokens;
    uint32_t tokens_max;
    covey_time interval; /* not 0 */
    covey_time filled;   /* up to this time tokens were added */
};

void cv_token_bucket_init(struct cv_token_bucket *b, covey_time now, uint32_t tokens_max,
                          covey_time interval);
/* Takes `cost` tokens; false, and the bucket is empty, when there are fewer. */
bool cv_token_bucket_take(struct cv_token_bucket *b, covey_time now, uint32_t cost);

/* What was earned in so long a time is there at once, even if it is more than a burst; what is too
 * much goes again as fast as tokens come, unless it is taken. */
void cv_token_bucket_credit(struct cv_token_bucket *b, covey_time now, covey_time length);

#endif
