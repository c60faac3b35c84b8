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
    uint32_t level; /* what may be taken now */
    covey_time interval;
    covey_time filled; /* when the last one was added */
};

void cv_bucket_init(struct cv_bucket *b, uint32_t burst, covey_time interval, covey_time now);

/* Takes `count`, or nothing and returns false when there are not so many. */
bool cv_bucket_take(struct cv_bucket *b, uint32_t count, covey_time now);

#endif
