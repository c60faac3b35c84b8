#include "result.h"

#include <inttypes.h>

struct figures {
    double calls_per_s;
    double p50_us;
    double p99_us;
    double p999_us;
    double client_us; /* of CPU, a call */
    double server_us;
};

static struct figures figures_of(const struct result *r)
{
    double calls = r->calls == 0 ? 1 : (double)r->calls;
    return (struct figures){
        .calls_per_s = r->seconds > 0 ? (double)r->calls / r->seconds : 0,
        .p50_us = (double)histogram_percentile(r->latency, 0.5) / 1e3,
        .p99_us = (double)histogram_percentile(r->latency, 0.99) / 1e3,
        .p999_us = (double)histogram_percentile(r->latency, 0.999) / 1e3,
        .client_us = r->client_cpu_s / calls * 1e6,
        .server_us = r->server_cpu_s / calls * 1e6,
    };
}

static void print_json(FILE *out, const char *bench, const struct options *o,
                       const struct result *r, const struct figures *f)
{
    fprintf(out,
            "{\"bench\":\"%s\",\"connections\":%u,\"inflight\":%u,\"size\":%u,\"reply_size\":%u,"
            "\"seconds\":%.3f,\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"calls_per_s\":%.0f,"
            "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"client_cpu_us_per_call\":%.2f,"
            "\"server_cpu_us_per_call\":%.2f,\"server_rss_kib\":%ld}\n",
            bench, o->connections, o->inflight, o->size, options_reply_size(o), r->seconds,
            r->calls, r->errors, f->calls_per_s, f->p50_us, f->p99_us, f->p999_us, f->client_us,
            f->server_us, r->server_rss_kib);
}

static void print_text(FILE *out, const char *bench, const struct options *o,
                       const struct result *r, const struct figures *f)
{
    fprintf(out, "%s: %u connection(s), %s%u in flight on each, requests of %u, replies of %u\n",
            bench, o->connections, o->rate == 0 ? "" : "at most ", o->inflight, o->size,
            options_reply_size(o));
    fprintf(out, "  %.0f calls/s, %" PRIu64 " errors\n", f->calls_per_s, r->errors);
    fprintf(out, "  latency us: P50 %.1f, P99 %.1f, P99.9 %.1f\n", f->p50_us, f->p99_us,
            f->p999_us);
    fprintf(out, "  CPU us a call: client %.2f, server %.2f; server memory %ld KiB\n", f->client_us,
            f->server_us, r->server_rss_kib);
}

void result_print(FILE *out, const char *bench, const struct options *o, const struct result *r)
{
    struct figures f = figures_of(r);
    if (o->json)
        print_json(out, bench, o, r, &f);
    else
        print_text(out, bench, o, r, &f);
}
