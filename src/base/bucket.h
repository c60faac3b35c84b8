#ifndef CV_BASE_BUCKET_H
#define CV_BASE_BUCKET_H

#include <covey/types.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A rate limit: `burst` at once, then one for each `interval`. What a peer can make us do at no
 * cost to itself goes through one.
 */
struct cv_bucket {
    uint32_t burst;
    uint32_t level; /* what may be taken now; above the burst only after a credit */
    covey_time interval;
    covey_time filled; /* when the last one was added */
};

void cv_bucket_init(struct cv_bucket *b, uint32_t burst, covey_time interval, covey_time now);

/* Takes `count`, or nothing and returns false when there are not so many. */
bool cv_bucket_take(struct cv_bucket *b, uint32_t count, covey_time now);
/* When `count`, at most the burst, may be taken, if nothing else is before: `now` or later. */
covey_time cv_bucket_ready(struct cv_bucket *b, uint32_t count, covey_time now);
/* What is added in so long a time is there at once, even if it is more than a burst; what is too
 * much goes again as fast as it would have come, unless it is taken. */
void cv_bucket_credit(struct cv_bucket *b, covey_time length, covey_time now);

#endif
