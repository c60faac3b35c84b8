#include "sim_output.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* Microseconds are as exact as anybody reads them. */
static double ms_of(covey_time time)
{
    const uint64_t us = time / COVEY_MICROSECOND;
    return (double)us / 1000;
}

/* --- JSON --- */

static json_t *ms_to_json(covey_time time)
{
    return time == COVEY_NEVER ? json_null() : json_real(ms_of(time));
}

static json_t *percentiles_to_json(const struct sim_percentiles *p)
{
    return json_pack("{s:o, s:o, s:o}", "p50", ms_to_json(p->p50), "p99", ms_to_json(p->p99), "max",
                     ms_to_json(p->max));
}

static json_t *update_to_json(const struct sim_percentiles *p)
{
    return json_pack("{s:o, s:o}", "p50", ms_to_json(p->p50), "max", ms_to_json(p->max));
}

static json_t *figures_to_json(const struct sim_figures *f)
{
    char hash[17];

    snprintf(hash, sizeof hash, "%016" PRIx64, f->hash);
    return json_pack(
        "{s:I, s:I, s:f, s:f, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:f, s:f, s:I, s:I, s:s}", "nodes",
        (json_int_t)f->nodes, "seed", (json_int_t)f->seed, "virtual_s",
        ms_of(f->virtual_time) / 1000, "wall_s", ms_of(f->wall_time) / 1000, "killed",
        (json_int_t)f->killed, "first_suspect_ms", percentiles_to_json(&f->first_suspect),
        "first_failed_ms", percentiles_to_json(&f->first_failed), "all_failed_ms",
        percentiles_to_json(&f->all_failed), "update_all_ms", update_to_json(&f->update_all),
        "false_failed", (json_int_t)f->false_failed, "healed_ms", ms_to_json(f->healed),
        "msgs_per_node_s", sim_figures_rate(f, f->messages), "bytes_per_node_s",
        sim_figures_rate(f, f->bytes), "invariant_checks", (json_int_t)f->invariant_checks,
        "violations", (json_int_t)f->violations, "hash", hash);
}

bool print_figures_json(FILE *file, const struct sim_figures *figures)
{
    json_t *object = figures_to_json(figures);

    if (object == NULL)
        return false;
    const int failed = json_dumpf(object, file, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    fputc('\n', file);
    return failed == 0 || ferror(file);
}

/* --- text --- */

static void print_time(FILE *file, covey_time time)
{
    if (time == COVEY_NEVER)
        fprintf(file, "%10s", "never");
    else if (time < COVEY_SECOND)
        fprintf(file, "%7.1f ms", ms_of(time));
    else
        fprintf(file, "%8.2f s", ms_of(time) / 1000);
}

static void print_row(FILE *file, const char *name, const struct sim_percentiles *p)
{
    if (p->count == 0)
        return;
    fprintf(file, "%-22s", name);
    print_time(file, p->p50);
    print_time(file, p->p99);
    print_time(file, p->max);
    fprintf(file, "%8zu\n", p->count);
}

static void print_times(FILE *file, const struct sim_figures *f)
{
    if (f->all_failed.count == 0 && f->update_all.count == 0)
        return;
    fprintf(file, "%-22s%10s%10s%10s%8s\n", "", "p50", "p99", "max", "of");
    print_row(file, "first suspect", &f->first_suspect);
    print_row(file, "first failed", &f->first_failed);
    print_row(file, "failed everywhere", &f->all_failed);
    print_row(file, "tag everywhere", &f->update_all);
}

static void print_healed(FILE *file, const struct sim_figures *f)
{
    if (f->heals == 0)
        return;
    if (f->healed == COVEY_NEVER)
        fprintf(file, "not whole again by the end of the run\n");
    else
        fprintf(file, "whole again %.2f s after the partition\n", ms_of(f->healed) / 1000);
}

void print_figures(FILE *file, const struct sim_figures *f)
{
    fprintf(file, "%zu nodes, seed %" PRIu64 ": %.1f s of virtual time in %.2f s, %zu killed\n",
            f->nodes, f->seed, ms_of(f->virtual_time) / 1000, ms_of(f->wall_time) / 1000,
            f->killed);
    print_times(file, f);
    print_healed(file, f);
    fprintf(file, "%" PRIu64 " times failed by mistake\n", f->false_failed);
    fprintf(file, "%.2f messages and %.0f bytes a node and second\n",
            sim_figures_rate(f, f->messages), sim_figures_rate(f, f->bytes));
    fprintf(file, "%" PRIu64 " checks of invariants, %" PRIu64 " broken; hash %016" PRIx64 "\n",
            f->invariant_checks, f->violations, f->hash);
}
