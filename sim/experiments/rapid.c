#include "cluster.h"
#include "experiment.h"
#include "page.h"
#include "rival.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Rapid's experiments (Suresh, Malkhi, Gopalan, Porto Carreiro, Lokhandwala 2018):
 *
 *   loss        1 % of the nodes lose 80 % of the packets that they send, for two minutes
 *   flip-flop   1 % of the nodes get nothing for 20 s, then all for 20 s, for two minutes
 *   bootstrap   all nodes start at once and join through one of them
 *
 * Each second every node that is well says how many it holds for members; the different answers
 * are counted, as the paper does. `level` is which of the three.
 */

#define LOSSY          800u /* of 1000 */
#define FLIP_TIME      (20 * COVEY_SECOND)
#define RUN_TIME       (120 * COVEY_SECOND)
#define BOOTSTRAP_TIME (300 * COVEY_SECOND)
#define STEP           (100 * COVEY_MILLISECOND)

enum scene { LOSS, FLIP, BOOTSTRAP, SCENE_COUNT };
static const char *const scene_texts[SCENE_COUNT] = {"80 % loss", "flip-flop", "bootstrap"};

static const struct {
    uint32_t nodes;
    uint32_t seeds;
    bool has_faults; /* not only the bootstrap */
} sizes[] = {{100, 5, true}, {500, 3, false}, {1000, 1, true}, {2000, 1, false}};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

static const char *const systems[] = {"covey", "memberlist"};
#define SYSTEM_COUNT (sizeof(systems) / sizeof(systems[0]))

/* Verdicts by pairs of observer and subject, at observers that are well; `recoveries` are pairs where
 * a faulty node was taken back. `load` is the most that one node sent in a period, not measured of
 * memberlist. */
enum value { SIZES, WHOLE_MS, FALSE_FAILED, FAULTY_FAILED, RECOVERIES, LOAD, VALUE_COUNT };

static void plan_size(const struct experiment_limits *limits, struct results *cases, uint32_t nodes,
                      uint32_t seeds, bool has_faults)
{
    /* The one that takes longest comes last. */
    for (uint32_t scene = SCENE_COUNT; scene-- > (has_faults ? LOSS : BOOTSTRAP);) {
        for (uint64_t seed = 1; seed <= seeds && is_within(limits, seed); seed++) {
            for (size_t k = 0; k < SYSTEM_COUNT; k++)
                results_add_case(cases, systems[k], nodes, scene, seed);
        }
    }
}

static void plan(const struct experiment_limits *limits, struct results *cases)
{
    if (limits->nodes < sizes[0].nodes)
        plan_size(limits, cases, limits->nodes, 1, true);
    for (size_t i = 0; i < SIZE_COUNT && sizes[i].nodes <= limits->nodes; i++)
        plan_size(limits, cases, sizes[i].nodes, sizes[i].seeds, sizes[i].has_faults);
}

/* --- what nodes say --- */

struct watch {
    uint32_t nodes;
    uint32_t faulty; /* the first of the nodes */
    uint32_t *views; /* how many each holds for members, itself among them */
    bool *is_gone;   /* by observer and subject */
    bool *was_said;  /* each size */
    uint64_t wrong;  /* pairs that are missing */
    uint64_t false_failed;
    uint64_t faulty_failed;
    uint64_t recoveries;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* All know all, or each itself alone. */
static struct watch watch_new(const struct result *result, bool has_full_views)
{
    const uint32_t n = result->nodes;
    struct watch w = {
        .nodes = n,
        .views = allocate(n, sizeof(*w.views)),
        .is_gone = allocate((size_t)n * n, sizeof(*w.is_gone)),
        .was_said = allocate(n + 1, sizeof(*w.was_said)),
        .wrong = has_full_views ? 0 : (uint64_t)n * (n - 1),
    };
    if (result->level != BOOTSTRAP)
        w.faulty = n >= 100 ? n / 100 : 1;
    for (uint32_t i = 0; i < n; i++) {
        w.views[i] = has_full_views ? n : 1;
        for (uint32_t k = 0; k < n; k++)
            w.is_gone[(size_t)i * n + k] = !has_full_views && i != k;
    }
    return w;
}

static void watch_end(struct watch *w, struct result *result)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i <= w->nodes; i++)
        count += w->was_said[i];
    result->values[SIZES] = count;
    result->values[FALSE_FAILED] = (double)w->false_failed;
    result->values[FAULTY_FAILED] = (double)w->faulty_failed;
    result->values[RECOVERIES] = (double)w->recoveries;
    free(w->views);
    free(w->is_gone);
    free(w->was_said);
}

static void set_member(struct watch *w, size_t observer, size_t subject, bool is_member)
{
    bool *is_gone = &w->is_gone[observer * w->nodes + subject];
    if (*is_gone != is_member || observer == subject)
        return;
    *is_gone = !is_member;
    w->views[observer] += is_member ? 1 : UINT32_MAX;
    w->wrong += is_member ? UINT64_MAX : 1;
}

static void note_verdict(struct watch *w, size_t observer, size_t subject, bool was_failed,
                         bool is_failed)
{
    if (observer < w->faulty)
        return;
    w->false_failed += is_failed && subject >= w->faulty;
    w->faulty_failed += is_failed && subject < w->faulty;
    w->recoveries += was_failed && !is_failed && subject < w->faulty;
}

static void note_change(void *user, size_t observer, size_t subject,
                        const enum covey_node_state *before, const enum covey_node_state *after)
{
    bool is_failed = after != NULL && *after == COVEY_NODE_FAILED;
    bool was_failed = before != NULL && *before == COVEY_NODE_FAILED;
    bool is_member = after != NULL && (*after == COVEY_NODE_ALIVE || *after == COVEY_NODE_SUSPECT);
    note_verdict(user, observer, subject, was_failed, is_failed);
    set_member(user, observer, subject, is_member);
}

static void note_rival(void *user, uint16_t observer, uint16_t subject,
                       enum sim_memberlist_state state, uint16_t incarnation)
{
    struct watch *w = user;
    (void)incarnation;
    bool is_member = state == SIM_MEMBERLIST_ALIVE || state == SIM_MEMBERLIST_SUSPECT;
    bool was_gone = w->is_gone[(size_t)observer * w->nodes + subject];
    note_verdict(w, observer, subject, was_gone && is_member, state == SIM_MEMBERLIST_DEAD);
    set_member(w, observer, subject, is_member);
}

static void ask_all(struct watch *w)
{
    for (uint32_t i = w->faulty; i < w->nodes; i++)
        w->was_said[w->views[i]] = true;
}

/* --- covey --- */

static void lose_what_they_send(struct sim *s, const struct watch *w)
{
    struct sim_link link = cluster_link();
    link.loss = LOSSY;
    for (uint32_t i = 0; i < w->faulty; i++) {
        for (uint32_t k = 0; k < w->nodes; k++) {
            if (i != k)
                sim_set_link(s, i, k, &link);
        }
    }
}

static void cut_what_they_get(struct sim *s, const struct watch *w)
{
    for (uint32_t i = 0; i < w->faulty; i++) {
        for (uint32_t k = 0; k < w->nodes; k++) {
            if (i != k)
                sim_cut(s, k, i);
        }
    }
}

static void flip(struct sim *s, const struct watch *w, covey_time at)
{
    if (at % FLIP_TIME != 0)
        return;
    if (at / FLIP_TIME % 2 == 0)
        cut_what_they_get(s, w);
    else
        sim_heal(s);
}

static void run_faults(struct sim *s, struct watch *w, uint32_t scene)
{
    const covey_time begun = sim_now(s);
    if (scene == LOSS)
        lose_what_they_send(s, w);
    for (covey_time at = 0; at < RUN_TIME && sim_violation(s) == NULL; at += COVEY_SECOND) {
        if (scene == FLIP)
            flip(s, w, at);
        sim_run_until(s, begun + at + COVEY_SECOND);
        ask_all(w);
    }
}

static double run_bootstrap(struct sim *s, struct watch *w)
{
    const size_t first = 0;
    for (uint32_t i = 0; i < w->nodes; i++) {
        if (i > 0)
            sim_set_seeds(s, i, &first, 1);
        sim_start(s, i);
    }
    for (covey_time at = 0; at < BOOTSTRAP_TIME; at += COVEY_SECOND) {
        bool is_whole = sim_run_while_not(s, cluster_is_whole, NULL, COVEY_SECOND);
        ask_all(w);
        if (is_whole)
            return cluster_ms(0, sim_now(s));
        if (sim_violation(s) != NULL)
            break;
    }
    return INFINITY;
}

static bool measure_covey(struct result *result)
{
    bool is_bootstrap = result->level == BOOTSTRAP;
    struct sim_config config = cluster_config(result->seed, result->nodes);
    config.has_full_views = !is_bootstrap;
    config.is_load_free = true;
    struct sim *s = is_bootstrap ? sim_new(&config) : cluster_new(&config);
    struct watch w = watch_new(result, !is_bootstrap);
    sim_on_change(s, note_change, &w);
    result->values[WHOLE_MS] = INFINITY;
    if (is_bootstrap)
        result->values[WHOLE_MS] = run_bootstrap(s, &w);
    else
        run_faults(s, &w, result->level);
    watch_end(&w, result);
    result->values[LOAD] = (double)sim_totals(s).period_bytes_max;
    return cluster_end(s);
}

/* --- memberlist --- */

static void run_rival_faults(struct rival *r, struct watch *w, uint32_t scene)
{
    for (uint16_t i = 0; i < w->faulty && scene == LOSS; i++)
        rival_set_loss_from(r, i, LOSSY);
    for (covey_time at = 0; at < RUN_TIME; at += COVEY_SECOND) {
        bool is_deaf = at / FLIP_TIME % 2 == 0;
        for (uint16_t i = 0; i < w->faulty && scene == FLIP; i++)
            rival_set_loss_to(r, i, is_deaf ? 1000 : 0);
        rival_run_for(r, COVEY_SECOND);
        ask_all(w);
    }
}

/* One who joins tries until it has the list of the seed, as memberlist's users do; a stream without
 * loss has it at once. */
static double run_rival_bootstrap(struct rival *r, struct watch *w)
{
    const covey_time begun = rival_now(r);
    for (uint16_t i = 1; i < w->nodes; i++)
        rival_join(r, i, 0);
    for (covey_time at = 0; at < BOOTSTRAP_TIME; at += STEP) {
        rival_run_for(r, STEP);
        if (at % COVEY_SECOND == 0 || w->wrong == 0)
            ask_all(w);
        if (w->wrong == 0)
            return cluster_ms(begun, rival_now(r));
    }
    return INFINITY;
}

static bool measure_rival(struct result *result)
{
    bool is_bootstrap = result->level == BOOTSTRAP;
    const struct sim_link link = cluster_link();
    const struct sim_memberlist_config config = sim_memberlist_config_lan(result->nodes);
    struct rival *r = rival_new(&config, result->seed, &link, !is_bootstrap);
    struct watch w = watch_new(result, !is_bootstrap);
    if (!is_bootstrap)
        rival_run_for(r, CLUSTER_SETTLE);
    rival_on_change(r, note_rival, &w);
    result->values[WHOLE_MS] = INFINITY;
    if (is_bootstrap)
        result->values[WHOLE_MS] = run_rival_bootstrap(r, &w);
    else
        run_rival_faults(r, &w, result->level);
    watch_end(&w, result);
    rival_free(r);
    return true;
}

static bool measure(const struct experiment_limits *limits, struct result *result)
{
    (void)limits;
    if (strcmp(result->system, "covey") == 0)
        return measure_covey(result);
    return measure_rival(result);
}

/* --- the page --- */

/* The sizes that were measured: those of the plan, or the one of a small run. */
static size_t sizes_of(const struct results *r, uint32_t found[SIZE_COUNT + 1])
{
    size_t count = 0;
    if (r->count > 0 && r->items[0].nodes < sizes[0].nodes)
        found[count++] = r->items[0].nodes;
    for (size_t i = 0; i < SIZE_COUNT; i++)
        found[count++] = sizes[i].nodes;
    return count;
}

static void print_faults(const struct results *r, uint32_t scene, uint32_t nodes, FILE *page)
{
    for (size_t k = 0; k < SYSTEM_COUNT; k++) {
        const char *system = systems[k];
        const struct summary said = results_summary(r, system, nodes, scene, SIZES);
        if (said.count > 0)
            fprintf(page, "| %s | %u | %s | %zu | %.0f | %.0f | %.0f | %.0f |\n",
                    scene_texts[scene], nodes, system, said.count, said.median,
                    results_summary(r, system, nodes, scene, FALSE_FAILED).median,
                    results_summary(r, system, nodes, scene, FAULTY_FAILED).median,
                    results_summary(r, system, nodes, scene, RECOVERIES).median);
    }
}

static void print_bootstrap(const struct results *r, uint32_t nodes, FILE *page)
{
    char median[PAGE_TEXT_SIZE];
    char max[PAGE_TEXT_SIZE];
    for (size_t k = 0; k < SYSTEM_COUNT; k++) {
        const struct summary said = results_summary(r, systems[k], nodes, BOOTSTRAP, SIZES);
        const struct summary whole = results_summary(r, systems[k], nodes, BOOTSTRAP, WHOLE_MS);
        if (said.count > 0)
            fprintf(page, "| %u | %s | %zu | %.0f | %s | %s |\n", nodes, systems[k], said.count,
                    said.median, page_time(median, whole.median), page_time(max, whole.max));
    }
}

static void report(const struct results *r, FILE *page)
{
    uint32_t found[SIZE_COUNT + 1];
    const size_t count = sizes_of(r, found);
    fprintf(page, "| fault of 1 %% | nodes | | runs | view sizes | healthy called Failed | faulty "
                  "called Failed | faulty taken back |\n|---|---:|---|---:|---:|---:|---:|---:|\n");
    for (uint32_t scene = LOSS; scene < BOOTSTRAP; scene++) {
        for (size_t i = 0; i < count; i++)
            print_faults(r, scene, found[i], page);
    }
    fprintf(page, "\nMedians; verdicts are pairs of a node and a healthy one that held it for "
                  "Failed, or took it back.\n\n| bootstrap of | | runs | view sizes | all see all, "
                  "median | slowest |\n|---:|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < count; i++)
        print_bootstrap(r, found[i], page);
}

static bool draw(const struct results *r, const char *folder)
{
    struct page_line lines[SYSTEM_COUNT] = {{.count = 0}};
    const struct sim_chart frame = {.title = "Different view sizes while all join through one",
                                    .x_label = "nodes",
                                    .y_label = "view sizes",
                                    .is_x_log = true,
                                    .is_y_log = true};
    uint32_t found[SIZE_COUNT + 1];
    const size_t count = sizes_of(r, found);
    for (size_t k = 0; k < SYSTEM_COUNT; k++) {
        lines[k].label = systems[k];
        for (size_t i = 0; i < count; i++) {
            const struct summary s = results_summary(r, systems[k], found[i], BOOTSTRAP, SIZES);
            page_line_add(&lines[k], found[i], s.median, true);
        }
    }
    return page_chart(folder, "rapid", &frame, lines, SYSTEM_COUNT);
}

const struct experiment experiment_rapid = {
    .name = "rapid",
    .columns = {"view_sizes", "whole_ms", "false_failed", "faulty_failed", "recoveries",
                "period_bytes_max", NULL},
    .plan = plan,
    .measure = measure,
    .report = report,
    .draw = draw,
};
