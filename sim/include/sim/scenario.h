#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/figures.h"

#include <covey/export.h>
#include <stdint.h>

/*
 * A run with faults, described in a few numbers: what `covey sim` does. The cluster comes together
 * without faults first; then the time of the run begins, all in virtual time from one seed.
 *
 *      0        1/6                  2/3              1  of the duration
 *      |---------+--------------------+---------------|
 *      |  kills and pauses, evenly, of random nodes   |  the rest is for what follows of them
 *      |         |<- the cut: half of the time, at most 60 s ->| heal
 *      |  loss all the time; every 5 s one node sets a tag, but not while the network is cut
 *
 * A node is killed at most once and stays down. Those that are paused go on by themselves.
 */

struct sim_plot;

struct sim_scenario {
    uint32_t nodes;
    uint64_t seed;
    covey_time duration;
    uint32_t loss_permille; /* of what is sent */
    uint32_t kill;          /* so many nodes */
    uint32_t side_a;        /* a partition in two of these sizes; 0 and 0: none */
    uint32_t side_b;
    uint32_t pause; /* so many nodes */
    covey_time pause_time;
    struct sim_plot
        *plot; /* is told who thinks what of whom and which faults there were; borrowed */
};

#define SIM_SCENARIO_NODES_MAX 10000u
/* So many join through three of them before the run begins; more know each other from the start. */
#define SIM_SCENARIO_JOINED_MAX   100
#define SIM_SCENARIO_DURATION_MAX (86400 * COVEY_SECOND)

/* Five nodes, seed 1, a minute without faults. */
struct sim_scenario sim_scenario_default(void);

/* Why it cannot be run, as a sentence for the one who asked for it: "--kill leaves less than two
 * nodes"; NULL when it can. */
const char *sim_scenario_problem(const struct sim_scenario *scenario);

/*
 * Runs it and fills all of `figures` but the wall time. An invariant that breaks ends the run and
 * is in the figures; that is no error. 0 or
 *  COVEY_ERR_INVALID_ARGUMENT  sim_scenario_problem() says why
 *  COVEY_ERR_JOIN_TIMEOUT      the cluster did not come together; the figures hold what there was
 */
COVEY_MUST_USE int sim_scenario_run(const struct sim_scenario *scenario,
                                    struct sim_figures *figures);

#endif
