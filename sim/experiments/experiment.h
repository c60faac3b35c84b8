#ifndef SIM_EXPERIMENTS_EXPERIMENT_H
#define SIM_EXPERIMENTS_EXPERIMENT_H

#include "results.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * An experiment is a list of cases, each measured by itself from its own seed, and a page that is
 * made of all that was measured. Measuring and reporting are apart: what was measured is kept as
 * lines of text, so a long experiment goes on where it was interrupted.
 *
 *      plan() -> cases -> measure() -> results.csv -> report(), draw() -> page, charts
 */

/* Bounds of the whole, for runs that only show that the program works. */
struct experiment_limits {
    uint32_t seeds;   /* at most so many of each case; 0: as many as the experiment has */
    uint32_t nodes;   /* no case has more */
    uint32_t minutes; /* of long runs, at most */
};

static inline bool is_within(const struct experiment_limits *limits, uint64_t seed)
{
    return limits->seeds == 0 || seed <= limits->seeds;
}

struct experiment {
    const char *name;
    const char *columns[RESULTS_VALUES_MAX + 1]; /* of the values; NULL after the last */
    void (*plan)(const struct experiment_limits *limits, struct results *cases);
    /* False when an invariant broke, which it has reported. */
    bool (*measure)(const struct experiment_limits *limits, struct result *result);
    /* Tables and goals in Markdown. */
    void (*report)(const struct results *results, FILE *page);
    /* Charts as files of the folder; false when one could not be written. */
    bool (*draw)(const struct results *results, const char *folder);
};

extern const struct experiment experiment_lifeguard;
extern const struct experiment experiment_rapid;
extern const struct experiment experiment_scale;
extern const struct experiment experiment_loss;
extern const struct experiment experiment_heal;

#endif
