#ifndef SIM_EXPERIMENTS_CLUSTER_H
#define SIM_EXPERIMENTS_CLUSTER_H

#include "sim/sim.h"

/* Clusters of the real core, as experiments begin with them. */

/* Connections, watches and detectors have come to rest by then. */
#define CLUSTER_SETTLE (20 * COVEY_SECOND)

/* The default network with full views, for as long as the experiment wants to run. */
struct sim_config cluster_config(uint64_t seed, uint32_t nodes);
/* What its links are like. */
struct sim_link cluster_link(void);
/* Starts all nodes and lets them settle. */
struct sim *cluster_new(const struct sim_config *config);
/* False when an invariant broke: says which. Frees the simulation. */
bool cluster_end(struct sim *s);

/* For sim_run_while_not(). */
bool cluster_is_whole(struct sim *s, void *unused);
/* A length in milliseconds; INFINITY when `end` is COVEY_NEVER. */
double cluster_ms(covey_time begin, covey_time end);

#endif
