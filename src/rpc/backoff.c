#include "rpc/backoff.h"

#include <assert.h>

static covey_time doubled(covey_time pause, covey_time max, unsigned times)
{
    while (times-- > 0 && pause < max)
        pause = pause > max / 2 ? max : pause * 2;
    return pause < max ? pause : max;
}

covey_time cv_backoff_pause(const struct cv_backoff *b, unsigned failures, struct cv_rand *random)
{
    assert(b->first > 0 && b->first <= b->max && failures > 0);
    covey_time mean = doubled(b->first, b->max, failures - 1);
    covey_time spread = mean / 5;
    return mean - spread + cv_rand_below(random, 2 * spread + 1);
}
