#include "histogram.h"

/* Values below 128 have a bucket each. Above, a value's seven leading bits name its bucket. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 128)
        return (unsigned)value;
    unsigned shift = 57 - (unsigned)__builtin_clzll(value);
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

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->counts[i] += from->counts[i];
    h->total += from->total;
}

uint64_t histogram_percentile(const struct histogram *h, double fraction)
{
    uint64_t seen = 0;
    uint64_t last = 0;
    double wanted = fraction * (double)h->total;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->counts[i] == 0)
            continue;
        seen += h->counts[i];
        last = value_of(i);
        if ((double)seen >= wanted)
            break;
    }
    return last;
}
