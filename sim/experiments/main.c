/*
 * Experiments with the simulated cluster, each from the papers or from our own goals; the pages are
 * in docs/experiments, and script/experiments makes them.
 *
 *     experiments NAME [--seeds N] [--nodes N] [--minutes N] [--share I --shares N]
 *                 [--results FILE] [--charts FOLDER]
 *
 * Measures the cases that FILE does not have yet and adds a line for each, so that an interrupted
 * run goes on; then sorts the lines, prints tables in Markdown and writes charts into the folder. One of
 * several shares, 0 to N - 1, measures some of the seeds, and does nothing after that: several processes
 * may do so with the same FILE, once it has its first line. Ends with 1 when an invariant broke or a
 * file could not be read or written, with 2 for wrong use.
 */
#include "experiment.h"

#include <covey/error.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct experiment *const experiments[] = {
    &experiment_lifeguard, &experiment_rapid, &experiment_scale, &experiment_loss, &experiment_heal,
};
#define EXPERIMENT_COUNT (sizeof(experiments) / sizeof(experiments[0]))

struct options {
    const struct experiment *experiment;
    struct experiment_limits limits;
    uint32_t share; /* of so many: only seeds that have this rest; no page */
    uint32_t shares;
    const char *results; /* NULL: kept nowhere */
    const char *charts;  /* NULL: none */
};

static int usage(void)
{
    fprintf(stderr, "usage: experiments NAME [--seeds N] [--nodes N] [--minutes N] "
                    "[--share I --shares N] [--results FILE] [--charts FOLDER], NAME:");
    for (size_t i = 0; i < EXPERIMENT_COUNT; i++)
        fprintf(stderr, " %s", experiments[i]->name);
    fprintf(stderr, "\n");
    return 2;
}

static bool read_number(const char *text, uint32_t min, uint32_t *out)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || number < min || number > 100000)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_option(const char *name, const char *value, struct options *o)
{
    if (strcmp(name, "--seeds") == 0)
        return read_number(value, 1, &o->limits.seeds);
    if (strcmp(name, "--nodes") == 0)
        return read_number(value, 5, &o->limits.nodes);
    if (strcmp(name, "--minutes") == 0)
        return read_number(value, 1, &o->limits.minutes);
    if (strcmp(name, "--share") == 0)
        return read_number(value, 0, &o->share);
    if (strcmp(name, "--shares") == 0)
        return read_number(value, 1, &o->shares);
    if (strcmp(name, "--results") == 0)
        o->results = value;
    else if (strcmp(name, "--charts") == 0)
        o->charts = value;
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.limits = {.nodes = 10000, .minutes = 100}, .shares = 1};
    if (argc < 2 || argc % 2 != 0)
        return false;
    for (size_t i = 0; i < EXPERIMENT_COUNT; i++) {
        if (strcmp(argv[1], experiments[i]->name) == 0)
            o->experiment = experiments[i];
    }
    for (int i = 2; i < argc; i += 2) {
        if (!read_option(argv[i], argv[i + 1], o))
            return false;
    }
    /* Several processes put together what they found in the file. */
    return o->experiment != NULL && o->share < o->shares && (o->shares == 1 || o->results != NULL);
}

static size_t value_count(const struct experiment *e)
{
    size_t count = 0;
    while (e->columns[count] != NULL)
        count++;
    return count;
}

/* Opens the results for adding, with those that are there already in `results`; NULL when it cannot. */
static FILE *open_results(const struct options *o, struct results *results)
{
    FILE *file = fopen(o->results, "a+");
    if (file == NULL) {
        fprintf(stderr, "experiments: cannot open %s\n", o->results);
        return NULL;
    }
    rewind(file);
    if (results_read(results, file, value_count(o->experiment)) != COVEY_OK) {
        fprintf(stderr, "experiments: %s holds other results\n", o->results);
        fclose(file);
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    if (ftell(file) == 0)
        results_write_header(file, o->experiment->columns);
    fflush(file);
    return file;
}

/* Those cases that are not there yet, and of these the seeds that are this process's: others may add
 * whole lines to the same file. `file` may be NULL. */
static bool measure_share(const struct options *o, const struct results *cases,
                          struct results *results, FILE *file)
{
    const struct experiment *e = o->experiment;
    bool is_good = true;
    for (size_t i = 0; i < cases->count && is_good; i++) {
        struct result *r = &cases->items[i];
        if (r->seed % o->shares != o->share || results_find(results, r) != NULL)
            continue;
        fprintf(stderr, "%s %zu/%zu: %s, %" PRIu32 " nodes, level %" PRIu32 ", seed %" PRIu64 "\n",
                e->name, i + 1, cases->count, r->system, r->nodes, r->level, r->seed);
        is_good = e->measure(&o->limits, r);
        if (is_good)
            results_add(results, r);
        if (is_good && file != NULL) {
            results_write(file, r, value_count(e));
            is_good = fflush(file) == 0;
        }
    }
    return is_good;
}

/* All lines again, in the order of the cases: whoever was quicker, the file is the same. */
static bool write_sorted(const struct options *o, const struct results *results)
{
    char path[512];
    const int length = snprintf(path, sizeof(path), "%s.new", o->results);
    FILE *file = length < (int)sizeof(path) ? fopen(path, "w") : NULL;
    if (file == NULL) {
        fprintf(stderr, "experiments: cannot write beside %s\n", o->results);
        return false;
    }
    results_write_header(file, o->experiment->columns);
    for (size_t i = 0; i < results->count; i++)
        results_write(file, &results->items[i], value_count(o->experiment));
    return fclose(file) == 0 && rename(path, o->results) == 0;
}

static bool measure_all(const struct options *o, struct results *results, FILE *file)
{
    struct results cases = {0};
    o->experiment->plan(&o->limits, &cases);
    bool is_good = measure_share(o, &cases, results, file);
    results_sort(results, &cases);
    if (is_good && file != NULL && o->shares == 1)
        is_good = write_sorted(o, results);
    results_fini(&cases);
    return is_good;
}

static bool run(const struct options *o)
{
    struct results results = {0};
    FILE *file = NULL;
    bool is_good = o->results == NULL || (file = open_results(o, &results)) != NULL;
    is_good = is_good && measure_all(o, &results, file);
    if (file != NULL && fclose(file) != 0)
        is_good = false;
    if (is_good && o->shares == 1)
        o->experiment->report(&results, stdout);
    if (is_good && o->shares == 1 && o->charts != NULL)
        is_good = o->experiment->draw(&results, o->charts);
    results_fini(&results);
    return is_good;
}

int main(int argc, char **argv)
{
    struct options o;
    if (!read_options(argc, argv, &o))
        return usage();
    return run(&o) ? 0 : 1;
}
