#ifndef SIM_SCENARIO_PLOT_H
#define SIM_SCENARIO_PLOT_H

#include "sim/plot.h"
#include "sim/sim.h"

/* Follows what the nodes of a simulation think of each other, and tells a plot. */
struct scenario_plot {
    struct sim_plot *plot; /* NULL: nothing is done at all */
    struct sim *sim;
    covey_time start; /* the plot's time 0 */
    struct sim_plot_share *shares;
    size_t node_count;
    size_t up_count;
};

/* From now on, with all nodes up. Aborts when memory runs out. */
void scenario_plot_begin(struct scenario_plot *p, struct sim_plot *plot, struct sim *s);
void scenario_plot_end(struct scenario_plot *p);
/* Before the node is crashed: what it thinks counts no more. */
void scenario_plot_crash(struct scenario_plot *p, size_t node);
void scenario_plot_mark(struct scenario_plot *p, enum sim_plot_mark mark, size_t node);

#endif
