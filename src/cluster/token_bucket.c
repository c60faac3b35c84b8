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
    if (b->tokens > b->tokens_max) {
        uint32_t surplus = b->tokens - b->tokens_max;
        b->tokens -= earned < surplus ? (uint32_t)earned : surplus;
        b->filled += earned * b->interval;
        return;
    }
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

void cv_token_bucket_credit(struct cv_token_bucket *b, covey_time now, covey_time length)
{
    assert(now >= b->filled);
    fill(b, now);
    uint64_t earned = length / b->interval;
    uint32_t room = UINT32_MAX - b->tokens_max;
    uint32_t most = b->tokens_max + (earned < room ? (uint32_t)earned : room);
    if (b->tokens < most)
        b->tokens = most;
}
