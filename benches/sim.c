/*
 * How many nodes the simulator carries: they start with full views, run for some virtual seconds,
 * and some of them crash.
 *
 *     sim --nodes N --seconds S [--kill K] [--seed X] [--loss PERMILLE] [--json]
 *
 * Ends with status 1 when an invariant broke.
 */
#include "sim/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct options {
    uint64_t nodes;
    uint64_t seconds;
    uint64_t kill;
    uint64_t seed;
    uint64_t loss;
    bool json;
};

static int usage(void)
{
    fprintf(stderr, "usage: sim --nodes N --seconds S [--kill K] [--seed X] [--loss PERMILLE] "
                    "[--json]\n");
    return 2;
}

static bool read_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *out <= max;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    struct {
        const char *name;
        uint64_t max;
        uint64_t *value;
    } numbers[] = {
        {"--nodes", 100000, &o->nodes}, {"--seconds", 1000000, &o->seconds},
        {"--kill", 100000, &o->kill},   {"--seed", UINT64_MAX, &o->seed},
        {"--loss", 1000, &o->loss},
    };
    for (int i = 1; i < argc; i++) {
        bool was_read = strcmp(argv[i], "--json") == 0;
        o->json |= was_read;
        for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]) && !was_read; n++) {
            if (strcmp(argv[i], numbers[n].name) != 0 || i + 1 == argc)
                continue;
            i++;
            was_read = read_number(argv[i], numbers[n].max, numbers[n].value);
            if (!was_read)
                return false;
        }
        if (!was_read)
            return false;
    }
    return o->nodes > 0 && o->kill < o->nodes;
}

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What this process had of a core: the same on a busy machine. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

struct result {
    double wall;
    double cpu;
    double start; /* of that, until all had started */
    struct sim_totals totals;
    covey_time first_failed; /* of those that crashed, the slowest to be failed at one node */
    covey_time all_failed;   /* and at all */
};

/* The victims crash one after the other in the first half. */
static void run(struct sim *s, const struct options *o, struct result *result)
{
    covey_time end = o->seconds * COVEY_SECOND;
    for (size_t i = 0; i < o->nodes; i++)
        sim_start(s, i);
    result->start = cpu_seconds();
    for (uint64_t k = 0; k < o->kill; k++) {
        if (!sim_run_until(s, end / 2 * (k + 1) / (o->kill + 1)))
            return;
        sim_crash(s, (size_t)(k * (o->nodes / o->kill)));
    }
    if (sim_run_until(s, end))
        sim_check_end(s);
}

static covey_time since(covey_time then, covey_time now)
{
    return now == COVEY_NEVER ? COVEY_NEVER : now - then;
}

static void slowest(const struct sim *s, struct result *result)
{
    for (size_t i = 0; i < sim_node_count(s); i++) {
        const struct sim_death d = sim_death(s, i);
        if (d.at == COVEY_NEVER)
            continue;
        covey_time first = since(d.at, d.first_failed);
        covey_time all = since(d.at, d.all_failed);
        result->first_failed = first > result->first_failed ? first : result->first_failed;
        result->all_failed = all > result->all_failed ? all : result->all_failed;
    }
}

/* -1: it did not come to that. */
static double milliseconds(covey_time time)
{
    return time == COVEY_NEVER ? -1 : (double)time / (double)COVEY_MILLISECOND;
}

static void print_text(const struct options *o, const struct result *r)
{
    const struct sim_totals *t = &r->totals;
    double node_seconds = (double)(o->nodes * o->seconds);
    printf("%" PRIu64 " nodes, %" PRIu64 " virtual s, seed %" PRIu64 "\n", o->nodes, o->seconds,
           o->seed);
    printf("wall %.1f s, a core %.1f s, %.1f s of it to start; peak memory %.2f GiB\n", r->wall,
           r->cpu, r->start, (double)peak_bytes() / (1 << 30));
    printf("%" PRIu64 " steps, %" PRIu64 " handshakes, %" PRIu64 " checks; hash %016" PRIx64 "\n",
           t->steps, t->handshakes, t->checks, t->hash);
    printf("a node and second: %.2f messages, %.0f bytes\n",
           (double)t->messages_sent / node_seconds, (double)t->bytes_sent / node_seconds);
    printf("%" PRIu64 " suspicions, %" PRIu64 " failures, %" PRIu64 " of them false\n",
           t->suspicions, t->failures, t->false_failed);
    if (o->kill > 0)
        printf("the slowest crash was known to one after %.0f ms, to all after %.0f ms\n",
               milliseconds(r->first_failed), milliseconds(r->all_failed));
}

static void print_json(const struct options *o, const struct result *r)
{
    const struct sim_totals *t = &r->totals;
    double node_seconds = (double)(o->nodes * o->seconds);
    printf("{\"nodes\":%" PRIu64 ",\"virtual_s\":%" PRIu64 ",\"seed\":%" PRIu64
           ",\"killed\":%" PRIu64
           ",\"wall_s\":%.2f,\"cpu_s\":%.2f,\"start_cpu_s\":%.2f,\"rss_bytes\":%" PRIu64,
           o->nodes, o->seconds, o->seed, o->kill, r->wall, r->cpu, r->start, peak_bytes());
    printf(",\"steps\":%" PRIu64 ",\"events\":%" PRIu64 ",\"handshakes\":%" PRIu64
           ",\"msgs_per_node_s\":%.3f,\"bytes_per_node_s\":%.1f",
           t->steps, t->events, t->handshakes, (double)t->messages_sent / node_seconds,
           (double)t->bytes_sent / node_seconds);
    printf(",\"suspicions\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"false_failed\":%" PRIu64
           ",\"first_failed_ms\":%.1f,\"all_failed_ms\":%.1f",
           t->suspicions, t->failures, t->false_failed, milliseconds(r->first_failed),
           milliseconds(r->all_failed));
    printf(",\"invariant_checks\":%" PRIu64 ",\"violations\":%" PRIu64 ",\"hash\":\"%016" PRIx64
           "\"}\n",
           t->checks, t->violations, t->hash);
}

int main(int argc, char **argv)
{
    struct options o = {.nodes = 1000, .seconds = 60, .seed = 1};
    if (!read_options(argc, argv, &o))
        return usage();
    struct sim_config config = sim_config_default(o.seed, o.nodes);
    config.has_full_views = true;
    config.loss_permille = (uint32_t)o.loss;
    config.steps_max = SIZE_MAX / 4;
    double begin = wall_seconds();
    struct sim *s = sim_new(&config);
    struct result result = {.wall = 0};
    run(s, &o, &result);
    result.wall = wall_seconds() - begin;
    result.cpu = cpu_seconds();
    result.totals = sim_totals(s);
    slowest(s, &result);
    (o.json ? print_json : print_text)(&o, &result);
    bool is_broken = sim_violation(s) != NULL;
    if (is_broken)
        fprintf(stderr, "%s\n", sim_violation(s));
    sim_free(s);
    return is_broken;
}
