#ifndef BENCHES_HISTOGRAM_H
#define BENCHES_HISTOGRAM_H

#include <stdint.h>

/*
 * Latencies in log-linear buckets (as HdrHistogram does it): 64 for each power of two, so a
 * percentile is right to 1.6 %. Up to 2^41 ns, 36 minutes; what is longer counts as that.
 */
#define HISTOGRAM_BUCKETS (64 * 36)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
};

void histogram_add(struct histogram *h, uint64_t nanoseconds);
/* Adds all samples of `from` to `h`. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The value that `fraction` (0 to 1) of the samples do not exceed, in ns, rounded up to the end of
 * its bucket; 0 without samples. */
uint64_t histogram_percentile(const struct histogram *h, double fraction);

#endif
