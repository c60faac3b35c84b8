#include "base/bucket.h"

#include <assert.h>

void cv_bucket_init(struct cv_bucket *b, uint32_t burst, covey_time interval, covey_time now)
{
    assert(interval > 0);
    *b = (struct cv_bucket){.burst = burst, .level = burst, .interval = interval, .filled = now};
}

static void fill(struct cv_bucket *b, covey_time now)
{
    if (now < b->filled)
        return;
    covey_time more = (now - b->filled) / b->interval;
    if (more >= b->burst - b->level) {
        b->level = b->burst;
        b->filled = now;
    } else {
        b->level += (uint32_t)more;
        b->filled += more * b->interval;
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
