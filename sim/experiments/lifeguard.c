#include "cluster.h"
#include "experiment.h"
#include "page.h"
#include "rival.h"

#include <math.h>
#include <string.h>

/*
 * Lifeguard's experiment (Dadgar, Phillips, Currey 2018): some of 128 nodes are slow, in one of three
 * ways. They stop together for a while, go on for a moment, and so forth; or they run, and all that
 * comes to them or from them is late by up to so much; or they run, and it is held for a while and let
 * go at once, and so forth, which is the paper's own. Who is called Failed and was not slow is a false
 * positive. `level` is how many are slow, plus LATE or HELD for the other ways; the seed also chooses
 * for how long they stop and go, or how late they are.
 */

#define NODES    128u
#define RUN_TIME (120 * COVEY_SECOND)
#define MS       COVEY_MILLISECOND

static const uint32_t slow_counts[] = {1, 4, 8, 16, 32};
#define SLOW_COUNT (sizeof(slow_counts) / sizeof(slow_counts[0]))

struct cycle {
    covey_time stop;
    covey_time go;
};
static const struct cycle cycles[] = {{2048 * MS, 64 * MS},   {8192 * MS, 64 * MS},
                                      {32768 * MS, 64 * MS},  {2048 * MS, 1024 * MS},
                                      {8192 * MS, 1024 * MS}, {32768 * MS, 1024 * MS}};
#define CYCLE_COUNT (sizeof(cycles) / sizeof(cycles[0]))

#define LATE 1000u
static const covey_time delays[] = {1000 * MS, 4000 * MS, 16000 * MS};
#define DELAY_COUNT (sizeof(delays) / sizeof(delays[0]))

#define HELD 2000u
static const struct cycle holds[] = {
    {2048 * MS, 4 * MS},    {8192 * MS, 4 * MS},    {32768 * MS, 4 * MS},
    {2048 * MS, 64 * MS},   {8192 * MS, 64 * MS},   {32768 * MS, 64 * MS},
    {2048 * MS, 1024 * MS}, {8192 * MS, 1024 * MS}, {32768 * MS, 1024 * MS}};
#define HOLD_COUNT (sizeof(holds) / sizeof(holds[0]))

static const char covey[] = "covey";
static const char well[] = "covey without local health";
static const char blind[] = "covey without phi";
static const char plain[] = "covey as SWIM";
static const char memberlist[] = "memberlist";
static const char swim[] = "SWIM";
static const char *const systems[] = {covey, well, blind, plain, memberlist, swim};
#define SYSTEM_COUNT (sizeof(systems) / sizeof(systems[0]))

/* Those two only where messages are held. */
static bool is_measured(const char *system, uint32_t way)
{
    return way == HELD || (system != blind && system != plain);
}

/* By pairs of observer and subject; `healthy` are those whose observer was not slow either. `load` is
 * the most that one node sent in a period, not measured of memberlist. */
enum value { FALSE_FAILED, FALSE_FAILED_HEALTHY, TRUE_FAILED, LOAD, VALUE_COUNT };

static const struct way {
    uint32_t level;
    size_t seeds;
} ways[] = {{0, CYCLE_COUNT}, {LATE, DELAY_COUNT}, {HELD, HOLD_COUNT}};
#define WAY_COUNT (sizeof(ways) / sizeof(ways[0]))

static void plan_way(const struct experiment_limits *limits, const char *system, uint32_t nodes,
                     const struct way *way, uint32_t slow, struct results *cases)
{
    for (uint64_t seed = 1; seed <= way->seeds && is_within(limits, seed); seed++) {
        if (is_measured(system, way->level))
            results_add_case(cases, system, nodes, way->level + slow, seed);
    }
}

static void plan(const struct experiment_limits *limits, struct results *cases)
{
    uint32_t nodes = limits->nodes < NODES ? limits->nodes : NODES;
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        for (size_t k = 0; k < SLOW_COUNT && slow_counts[k] * 4 <= nodes; k++) {
            for (size_t way = 0; way < WAY_COUNT; way++)
                plan_way(limits, systems[i], nodes, &ways[way], slow_counts[k], cases);
        }
    }
}

/* --- counting --- */

/* The first nodes are the slow ones. */
struct count {
    uint32_t slow;
    uint64_t false_failed;
    uint64_t false_failed_healthy;
    uint64_t true_failed;
};

static void count_failed(struct count *c, size_t observer, size_t subject)
{
    if (subject < c->slow) {
        c->true_failed++;
        return;
    }
    c->false_failed++;
    c->false_failed_healthy += observer >= c->slow;
}

static void note_change(void *user, size_t observer, size_t subject,
                        const enum covey_node_state *before, const enum covey_node_state *after)
{
    (void)before;
    if (after != NULL && *after == COVEY_NODE_FAILED)
        count_failed(user, observer, subject);
}

static void note_rival(void *user, uint16_t observer, uint16_t subject,
                       enum sim_memberlist_state state, uint16_t incarnation)
{
    (void)incarnation;
    if (state == SIM_MEMBERLIST_DEAD)
        count_failed(user, observer, subject);
}

static void fill(struct result *result, const struct count *c)
{
    result->values[FALSE_FAILED] = (double)c->false_failed;
    result->values[FALSE_FAILED_HEALTHY] = (double)c->false_failed_healthy;
    result->values[TRUE_FAILED] = (double)c->true_failed;
}

/* --- runs --- */

/* How long the next part of a cycle is, cut at the end of the run. */
static covey_time part(covey_time now, covey_time end, covey_time length)
{
    return now + length < end ? length : end - now;
}

static void stop_and_go(struct sim *s, const struct result *result, covey_time end)
{
    const size_t cycle = (size_t)((result->seed - 1) % CYCLE_COUNT);
    while (sim_now(s) < end && sim_violation(s) == NULL) {
        for (uint32_t i = 0; i < result->level; i++)
            sim_pause(s, i);
        sim_run_for(s, part(sim_now(s), end, cycles[cycle].stop));
        for (uint32_t i = 0; i < result->level; i++)
            sim_resume(s, i);
        sim_run_for(s, part(sim_now(s), end, cycles[cycle].go));
    }
}

static void be_late(struct sim *s, const struct result *result, covey_time end)
{
    struct sim_link link = cluster_link();
    link.reordering = 1000; /* of 1000: each packet is late by up to so much */
    link.reorder_delay = delays[(result->seed - 1) % DELAY_COUNT];
    for (uint32_t i = 0; i < result->level - LATE; i++) {
        for (uint32_t k = 0; k < result->nodes; k++) {
            if (i == k)
                continue;
            sim_set_link(s, i, k, &link);
            sim_set_link(s, k, i, &link);
        }
    }
    sim_run_until(s, end);
}

static void hold_and_release(struct sim *s, const struct result *result, covey_time end)
{
    const struct cycle *cycle = &holds[(result->seed - 1) % HOLD_COUNT];
    while (sim_now(s) < end && sim_violation(s) == NULL) {
        for (uint32_t i = 0; i < result->level - HELD; i++)
            sim_hold(s, i);
        sim_run_for(s, part(sim_now(s), end, cycle->stop));
        for (uint32_t i = 0; i < result->level - HELD; i++)
            sim_release(s, i);
        sim_run_for(s, part(sim_now(s), end, cycle->go));
    }
}

static void be_slow(struct sim *s, const struct result *result, covey_time end)
{
    if (result->level < LATE)
        stop_and_go(s, result, end);
    else if (result->level < HELD)
        be_late(s, result, end);
    else
        hold_and_release(s, result, end);
}

static bool measure_covey(struct result *result)
{
    struct count c = {.slow = result->level % LATE};
    struct sim_config config = cluster_config(result->seed, result->nodes);
    config.is_load_free = true;
    config.is_hasty = strcmp(result->system, plain) == 0;
    config.is_always_well = config.is_hasty || strcmp(result->system, well) == 0;
    config.is_unwatched = config.is_hasty || strcmp(result->system, blind) == 0;
    struct sim *s = cluster_new(&config);
    const covey_time end = sim_now(s) + RUN_TIME;
    sim_on_change(s, note_change, &c);
    be_slow(s, result, end);
    fill(result, &c);
    result->values[LOAD] = (double)sim_totals(s).period_bytes_max;
    return cluster_end(s);
}

static void stop_and_go_rival(struct rival *r, const struct result *result, covey_time end)
{
    const size_t cycle = (size_t)((result->seed - 1) % CYCLE_COUNT);
    while (rival_now(r) < end) {
        for (uint16_t i = 0; i < result->level; i++)
            rival_pause(r, i);
        rival_run_for(r, part(rival_now(r), end, cycles[cycle].stop));
        for (uint16_t i = 0; i < result->level; i++)
            rival_resume(r, i);
        rival_run_for(r, part(rival_now(r), end, cycles[cycle].go));
    }
}

static void be_late_rival(struct rival *r, const struct result *result, covey_time end)
{
    for (uint16_t i = 0; i < result->level - LATE; i++)
        rival_set_delay(r, i, delays[(result->seed - 1) % DELAY_COUNT]);
    rival_run_until(r, end);
}

static void hold_and_release_rival(struct rival *r, const struct result *result, covey_time end)
{
    const struct cycle *cycle = &holds[(result->seed - 1) % HOLD_COUNT];
    while (rival_now(r) < end) {
        for (uint16_t i = 0; i < result->level - HELD; i++)
            rival_hold(r, i);
        rival_run_for(r, part(rival_now(r), end, cycle->stop));
        for (uint16_t i = 0; i < result->level - HELD; i++)
            rival_release(r, i);
        rival_run_for(r, part(rival_now(r), end, cycle->go));
    }
}

static void be_slow_rival(struct rival *r, const struct result *result, covey_time end)
{
    if (result->level < LATE)
        stop_and_go_rival(r, result, end);
    else if (result->level < HELD)
        be_late_rival(r, result, end);
    else
        hold_and_release_rival(r, result, end);
}

static bool measure_rival(struct result *result)
{
    struct count c = {.slow = result->level % LATE};
    const struct sim_link link = cluster_link();
    struct sim_memberlist_config config = sim_memberlist_config_lan(result->nodes);
    if (strcmp(result->system, swim) == 0) {
        config.awareness_max = 1;      /* always well */
        config.suspicion_max_mult = 1; /* no longer for lack of other accusers */
    }
    struct rival *r = rival_new(&config, result->seed, &link, true);
    rival_run_for(r, CLUSTER_SETTLE);
    const covey_time end = rival_now(r) + RUN_TIME;
    rival_on_change(r, note_rival, &c);
    be_slow_rival(r, result, end);
    fill(result, &c);
    rival_free(r);
    return true;
}

static bool measure(const struct experiment_limits *limits, struct result *result)
{
    (void)limits;
    if (strncmp(result->system, covey, sizeof(covey) - 1) == 0)
        return measure_covey(result);
    return measure_rival(result);
}

/* --- the page --- */

static uint32_t nodes_of(const struct results *r)
{
    return r->count == 0 ? NODES : r->items[0].nodes;
}

static double all_slow(const struct results *r, const char *system, uint32_t way, size_t value)
{
    double sum = 0;
    for (size_t k = 0; k < SLOW_COUNT; k++) {
        const struct summary s =
            results_summary(r, system, nodes_of(r), way + slow_counts[k], value);
        sum += s.count == 0 ? 0 : s.sum;
    }
    return sum;
}

static void print_row(const struct results *r, uint32_t way, uint32_t slow, size_t value,
                      FILE *page)
{
    const struct summary runs = results_summary(r, covey, nodes_of(r), way + slow, value);
    if (runs.count == 0)
        return;
    fprintf(page, "| %u | %zu |", slow, runs.count);
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        if (is_measured(systems[i], way))
            fprintf(page, " %.0f |",
                    results_summary(r, systems[i], nodes_of(r), way + slow, value).sum);
    }
    fprintf(page, "\n");
}

static void print_counts(const struct results *r, uint32_t way, size_t value, const char *what,
                         FILE *page)
{
    fprintf(page, "\n%s, sum of the runs:\n\n| slow nodes | runs |", what);
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        if (is_measured(systems[i], way))
            fprintf(page, " %s |", systems[i]);
    }
    fprintf(page, "\n|---:|---:|");
    for (size_t i = 0; i < SYSTEM_COUNT; i++)
        fprintf(page, "%s", is_measured(systems[i], way) ? "---:|" : "");
    fprintf(page, "\n");
    for (size_t k = 0; k < SLOW_COUNT; k++)
        print_row(r, way, slow_counts[k], value, page);
    fprintf(page, "| all | |");
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        if (is_measured(systems[i], way))
            fprintf(page, " %.0f |", all_slow(r, systems[i], way, value));
    }
    fprintf(page, "\n");
}

static void print_load(const struct results *r, FILE *page)
{
    double most = 0;
    for (size_t i = 0; i < r->count; i++)
        most = fmax(most, r->items[i].values[LOAD]);
    fprintf(page, "\nThe most that one node of covey sent in a second: %.0f bytes.\n", most);
}

/* Of all false positives, and of those at nodes that are not slow. */
static void print_ratio(const struct results *r, uint32_t way, const char *what, const char *a,
                        const char *b, FILE *page)
{
    fprintf(page, "| %s |", what);
    for (size_t value = FALSE_FAILED; value <= FALSE_FAILED_HEALTHY; value++) {
        double base = all_slow(r, b, way, value);
        if (base > 0)
            fprintf(page, " %.2f %% |", 100 * all_slow(r, a, way, value) / base);
        else
            fprintf(page, " there are none |");
    }
    fprintf(page, "\n");
}

static void print_way(const struct results *r, uint32_t way, FILE *page)
{
    print_counts(r, way, FALSE_FAILED, "False positives at all nodes", page);
    print_counts(r, way, FALSE_FAILED_HEALTHY, "False positives at nodes that are not slow", page);
    print_counts(r, way, TRUE_FAILED, "Slow nodes that were called Failed, by observers", page);
    fprintf(page, "\n| what remains of the false positives of... | at all | at those not slow |\n"
                  "|---|---:|---:|\n");
    print_ratio(r, way, "covey without local health, in covey", covey, well, page);
    if (way == HELD) {
        print_ratio(r, way, "covey as SWIM, in covey without phi", blind, plain, page);
        print_ratio(r, way, "covey as SWIM, in covey", covey, plain, page);
    }
    print_ratio(r, way, "SWIM, in memberlist with Lifeguard (the paper: 1.9 %)", memberlist, swim,
                page);
    print_ratio(r, way, "SWIM, in covey", covey, swim, page);
}

static void print_cycles(const struct cycle *list, size_t count, const char *stop, const char *go,
                         FILE *page)
{
    for (size_t i = 0; i < count; i++)
        fprintf(page, "%s %g s %s, %g s %s (%zu)", i == 0 ? "" : ",",
                (double)list[i].stop / (double)COVEY_SECOND, stop,
                (double)list[i].go / (double)COVEY_SECOND, go, i + 1);
    fprintf(page, ".\n");
}

static void report(const struct results *r, FILE *page)
{
    fprintf(page,
            "## Nodes whose messages are held\n\n%u nodes; a run of 120 s for each of these, its "
            "seed in brackets:",
            nodes_of(r));
    print_cycles(holds, HOLD_COUNT, "held", "free", page);
    print_way(r, HELD, page);
    fprintf(page, "\n## Nodes that stop\n\nA run of 120 s for each:");
    print_cycles(cycles, CYCLE_COUNT, "stopped", "going", page);
    print_way(r, 0, page);
    fprintf(page, "\n## Nodes whose messages are late\n\nA run of 120 s for each: up to");
    for (size_t i = 0; i < DELAY_COUNT; i++)
        fprintf(page, "%s %g s (%zu)", i == 0 ? "" : ",", (double)delays[i] / (double)COVEY_SECOND,
                i + 1);
    fprintf(page, ", each way.\n");
    print_way(r, LATE, page);
    print_load(r, page);
}

static bool draw_way(const struct results *r, uint32_t way, const char *title, const char *name,
                     const char *folder)
{
    struct page_line lines[SYSTEM_COUNT] = {{.count = 0}};
    const struct sim_chart frame = {.title = title,
                                    .x_label = "slow nodes",
                                    .y_label = "false positives, and 1",
                                    .is_y_log = true};
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        lines[i].label = systems[i];
        if (!is_measured(systems[i], way))
            continue;
        for (size_t k = 0; k < SLOW_COUNT; k++) {
            const struct summary s =
                results_summary(r, systems[i], nodes_of(r), way + slow_counts[k], FALSE_FAILED);
            page_line_add(&lines[i], slow_counts[k], s.sum + 1, true);
        }
    }
    return page_chart(folder, name, &frame, lines, SYSTEM_COUNT);
}

static bool draw(const struct results *r, const char *folder)
{
    return draw_way(r, HELD, "False positives, messages of some are held", "lifeguard-held",
                    folder) &&
           draw_way(r, 0, "False positives, some nodes stop", "lifeguard-stop", folder) &&
           draw_way(r, LATE, "False positives, messages of some are late", "lifeguard-late",
                    folder);
}

const struct experiment experiment_lifeguard = {
    .name = "lifeguard",
    .columns = {"false_failed", "false_failed_healthy", "true_failed", "period_bytes_max", NULL},
    .plan = plan,
    .measure = measure,
    .report = report,
    .draw = draw,
};
