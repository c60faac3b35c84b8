#include "histogram.h"

static unsigned bucket_of(uint64_t value)
{
    unsigned shift = 0;
    while (value >> shift >= 128)
        shift++;
    unsigned bucket = shift * 64 + (unsigned)(value >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t value_of(unsigned bucket)
{
    if (bucket < 128)
        return bucket;
    unsigned shift = bucket / 64 - 1;
    uint64_t mantissa = bucket - shift * 64;
    return ((mantissa + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t nanoseconds)
{
    h->counts[bucket_of(nanoseconds)]++;
    h->total++;
}

uint64_t histogram_percentile(const struct histogram *h, double fraction)
{
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)(fraction * (double)h->total);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > wanted)
            return value_of(i);
    }
    return 0;
}
