#ifndef BENCHES_RESULT_H
#define BENCHES_RESULT_H

#include "histogram.h"
#include "options.h"

#include <stdio.h>

/* What a run measured. */
struct result {
    double seconds;
    uint64_t calls;
    uint64_t errors;
    const struct histogram *latency;
    double client_cpu_s;
    double server_cpu_s;
    long server_rss_kib; /* the most it ever had */
};

/* One line of JSON, or some lines to read. */
void result_print(FILE *out, const char *bench, const struct options *o, const struct result *r);

#endif
