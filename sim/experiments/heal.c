#include "cluster.h"
#include "experiment.h"
#include "page.h"

#include "base/rand.h"

#include <math.h>

/*
 * A partition of a minute: how long after its end until all see all alive. The larger side has
 * three of five nodes, or three fifths of them. The minute ends at a random moment of the ten seconds
 * between two attempts to reach who is lost, or it would always end with an attempt.
 */

#define CUT_TIME  (60 * COVEY_SECOND)
#define CUT_RANGE (10 * COVEY_SECOND)
#define HEAL_TIME (120 * COVEY_SECOND)

static const uint32_t sizes[] = {5, 50, 500};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

/* `load` is the most that one node sent in a period. */
enum value { HEALED_MS, FALSE_FAILED, LOAD, VALUE_COUNT };

static uint32_t seeds_of(uint32_t nodes)
{
    return nodes > 50 ? 3 : 20;
}

static void plan(const struct experiment_limits *limits, struct results *cases)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (uint64_t seed = 1; seed <= seeds_of(sizes[i]) && is_within(limits, seed); seed++) {
            if (sizes[i] <= limits->nodes)
                results_add_case(cases, "covey", sizes[i], 0, seed);
        }
    }
}

static bool measure(const struct experiment_limits *limits, struct result *result)
{
    (void)limits;
    struct sim_config config = cluster_config(result->seed, result->nodes);
    config.is_load_free = true;
    struct cv_rand rand;
    cv_rand_seed(&rand, result->seed ^ UINT64_C(0x4ea1));
    struct sim *s = cluster_new(&config);
    for (uint32_t i = 0; i < result->nodes * 2 / 5; i++)
        sim_set_side(s, i, 1);
    sim_run_for(s, CUT_TIME + cv_rand_below(&rand, CUT_RANGE));
    const uint64_t mistakes = sim_totals(s).false_failed;
    sim_heal(s);
    const covey_time healed = sim_now(s);
    bool is_whole = sim_run_while_not(s, cluster_is_whole, NULL, HEAL_TIME);
    result->values[HEALED_MS] = is_whole ? cluster_ms(healed, sim_now(s)) : INFINITY;
    result->values[FALSE_FAILED] = (double)(sim_totals(s).false_failed - mistakes);
    result->values[LOAD] = (double)sim_totals(s).period_bytes_max;
    return cluster_end(s);
}

static void report(const struct results *results, FILE *page)
{
    char median[PAGE_TEXT_SIZE];
    char max[PAGE_TEXT_SIZE];
    fprintf(page, "| nodes | sides | runs | healed, median | healed, slowest | nodes called Failed "
                  "after the heal | most bytes of a node in a second |\n"
                  "|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        const uint32_t n = sizes[i];
        const struct summary healed = results_summary(results, "covey", n, 0, HEALED_MS);
        const struct summary mistakes = results_summary(results, "covey", n, 0, FALSE_FAILED);
        if (healed.count > 0)
            fprintf(page, "| %u | %u-%u | %zu | %s | %s | %.0f | %.0f |\n", n, n - n * 2 / 5,
                    n * 2 / 5, healed.count, page_time(median, healed.median),
                    page_time(max, healed.max), mistakes.sum,
                    results_summary(results, "covey", n, 0, LOAD).max);
    }
    const struct summary five = results_summary(results, "covey", 5, 0, HEALED_MS);
    page_begin_goals(page);
    page_goal(page, "a partition of 60 s heals at N = 5, median", 12, five.median / 1000, "s",
              five.count);
    page_goal(page, "the same, slowest of all runs", 12, five.max / 1000, "s", five.count);
}

static bool draw(const struct results *results, const char *folder)
{
    struct page_line lines[] = {{.label = "median"}, {.label = "slowest"}};
    const struct sim_chart frame = {.title = "Until all see all after a partition of 60 s",
                                    .x_label = "nodes",
                                    .y_label = "seconds",
                                    .is_x_log = true};
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        const struct summary s = results_summary(results, "covey", sizes[i], 0, HEALED_MS);
        page_line_add(&lines[0], sizes[i], s.median / 1000, false);
        page_line_add(&lines[1], sizes[i], s.max / 1000, false);
    }
    return page_chart(folder, "heal", &frame, lines, 2);
}

const struct experiment experiment_heal = {
    .name = "heal",
    .columns = {"healed_ms", "false_failed", "period_bytes_max", NULL},
    .plan = plan,
    .measure = measure,
    .report = report,
    .draw = draw,
};
