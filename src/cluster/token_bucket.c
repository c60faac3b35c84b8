#include "cluster/token_bucket.h"

#include <assert.h>

void cv_token_bucket_init(struct cv_token_bucket *b, covey_time now, uint32_t tokens_max,
                          covey_time interval)
{
    assert(interval > 0);
    *b = (struct cv_token_bucket){
        .tokens = tokens_max, .tokens_max = tokens_max, .interval = interval, .filled = now};
}

static void fill(struct cv_token_bucket *b, covey_time now)
{
    uint64_t earned = (now - b->filled) / b->interval;
    if (earned >= b->tokens_max - b->tokens) {
        b->tokens = b->tokens_max;
        b->filled = now;
        return;
    }
    b->tokens += (uint32_t)earned;
    b->filled += earned * b->interval;
}

bool cv_token_bucket_take(struct cv_token_bucket *b, covey_time now, uint32_t cost)
{
    assert(now >= b->filled);
    fill(b, now);
    bool enough = b->tokens >= cost;
    b->tokens = enough ? b->tokens - cost : 0;
    return enough;
}
