#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "sim/sim.h"

/*
 * Random faults on a random cluster, all of one seed. First the safety phase: faults of every kind
 * but those that this seed leaves out, each with a weight of its own (swarm testing, Groce et al.
 * 2012), while all that must hold at every step is checked. Then the liveness phase: some nodes are
 * chosen as the core, all others die for good, the network is whole, liars tell the truth; and the
 * core must become one cluster, and agree, in time.
 *
 * A wide swarm has more: nodes whose messages are held and let go at once, machines that sleep for up
 * to two days, and health checks. It is apart so that the plain one stays what it was, seed by seed.
 */
struct sim_swarm;

/* Never NULL. */
struct sim_swarm *sim_swarm_new(uint64_t seed);
struct sim_swarm *sim_swarm_new_wide(uint64_t seed);
void sim_swarm_free(struct sim_swarm *w);
/* Runs both phases; NULL when all was well, otherwise what was not. */
const char *sim_swarm_run(struct sim_swarm *w);
struct sim *sim_swarm_sim(struct sim_swarm *w);

#endif
