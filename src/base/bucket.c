#include "base/bucket.h"

#include <assert.h>

void cv_bucket_init(struct cv_bucket *b, uint32_t burst, covey_time interval, covey_time now)
{
    assert(interval > 0);
    *b = (struct cv_bucket){.burst = burst, .level = burst, .interval = interval, .filled = now};
}

/* What a credit gave above the burst fades. */
static void fade(struct cv_bucket *b, covey_time intervals)
{
    uint32_t surplus = b->level - b->burst;
    b->level -= intervals < surplus ? (uint32_t)intervals : surplus;
    b->filled += intervals * b->interval;
}

static void fill(struct cv_bucket *b, covey_time now)
{
    if (now < b->filled)
        return;
    covey_time intervals = (now - b->filled) / b->interval;
    if (b->level > b->burst) {
        fade(b, intervals);
    } else if (intervals >= b->burst - b->level) {
        b->level = b->burst;
        b->filled = now;
    } else {
        b->level += (uint32_t)intervals;
        b->filled += intervals * b->interval;
    }
}

bool cv_bucket_take(struct cv_bucket *b, uint32_t count, covey_time now)
{
    fill(b, now);
    if (count > b->level)
        return false;
    b->level -= count;
    return true;
}

covey_time cv_bucket_ready(struct cv_bucket *b, uint32_t count, covey_time now)
{
    assert(count <= b->burst);
    fill(b, now);
    if (count <= b->level)
        return now;
    return b->filled + (count - b->level) * b->interval;
}

void cv_bucket_credit(struct cv_bucket *b, covey_time length, covey_time now)
{
    fill(b, now);
    covey_time intervals = length / b->interval;
    uint32_t room = UINT32_MAX - b->burst;
    uint32_t most = b->burst + (intervals < room ? (uint32_t)intervals : room);
    if (b->level < most)
        b->level = most;
}
