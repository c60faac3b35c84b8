#ifndef SIM_FIGURES_H
#define SIM_FIGURES_H

#include <covey/types.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a run of a cluster is told by. Times are lengths in nanoseconds; COVEY_NEVER is one that did
 * not come to an end within the run, and counts as longer than all others: a node that nobody finds
 * to be dead makes the slowest detection endless, not a little better.
 */

/* Lengths of time, collected one by one. Zeroed is empty. */
struct sim_times {
    covey_time *values;
    size_t count;
    size_t capacity;
};

/* Aborts when memory runs out, as the whole simulator does. */
void sim_times_add(struct sim_times *t, covey_time length);
void sim_times_fini(struct sim_times *t);
/* The least value that at least `permille` of 1000 values do not exceed (the nearest rank: always
 * one that was collected); 0 asks for the least of all. COVEY_NEVER when there are none. */
covey_time sim_times_percentile(struct sim_times *t, unsigned permille);

struct sim_percentiles {
    size_t count; /* 0: there was nothing to measure, the others are COVEY_NEVER */
    covey_time p50;
    covey_time p99;
    covey_time max;
};
struct sim_percentiles sim_times_percentiles(struct sim_times *t);

#define SIM_FIGURES_TEXT_SIZE 320

struct sim_figures {
    size_t nodes;
    uint64_t seed;
    covey_time virtual_time; /* from the cluster being whole to the end of the run */
    covey_time wall_time;    /* for the caller to fill: the simulator has no clock */
    size_t killed;
    /* From a kill to the first node that suspects, the first that holds it for failed, the last. */
    struct sim_percentiles first_suspect;
    struct sim_percentiles first_failed;
    struct sim_percentiles all_failed;
    struct sim_percentiles update_all; /* from a tag's command to the last node that shows it */
    uint64_t false_failed; /* transitions to failed about a node that runs and can be reached */
    size_t heals;          /* of a partition */
    covey_time healed;     /* from the heal until all see all alive */
    covey_time node_time;  /* the sum of the time that each node was up */
    uint64_t messages;     /* sent in that time */
    uint64_t bytes;
    uint64_t invariant_checks;
    uint64_t violations; /* 0 or 1: the first ends the run */
    uint64_t hash;
    char violation[SIM_FIGURES_TEXT_SIZE]; /* which; empty when there is none */
};

/* So many of something in `node_time`, for one node and second; 0 when there was no time. */
double sim_figures_rate(const struct sim_figures *f, uint64_t count);

#endif
