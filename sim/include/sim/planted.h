#ifndef SIM_PLANTED_H
#define SIM_PLANTED_H

#include "sim/invariant.h"

#include <stddef.h>

/*
 * Bugs on purpose, at least one for each invariant: a check that was never seen to fire may check
 * nothing. A bug alters what a node is told, or what the checks see of it.
 */

/* What a run must contain for the bug to show. */
enum sim_planted_run {
    SIM_RUN_QUIET,   /* nothing happens */
    SIM_RUN_CLOCKS,  /* wall clocks jump */
    SIM_RUN_LATE,    /* one joins when the others have long come together */
    SIM_RUN_LOSSY,   /* packets are lost, but few */
    SIM_RUN_CHATTY,  /* long tags, all the time, and nodes that come and go */
    SIM_RUN_CHECKED, /* nodes have health checks, some of which hang */
    SIM_RUN_STORMY   /* crash, pause, partition, restart, tags, leave; calm at the end */
};

struct sim_planted;

size_t sim_planted_count(void);
const struct sim_planted *sim_planted_at(size_t index);
const char *sim_planted_text(const struct sim_planted *p);
enum sim_invariant sim_planted_invariant(const struct sim_planted *p); /* that must break */
enum sim_planted_run sim_planted_run(const struct sim_planted *p);

/* Before the first start. */
void sim_plant(struct sim *s, const struct sim_planted *p);

#endif
