#ifndef SIM_PLOT_H
#define SIM_PLOT_H

#include <covey/export.h>
#include <covey/types.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Who thought what of whom, and when, as an SVG picture: time goes to the right, each node has a
 * row, and a row shows how many of the others hold the node for suspect, failed or left:
 *
 *      node 0  |---------------------------------------------|  alive in all eyes
 *      node 1  |-----------x..:::#############################|  a crash, suspicions, failed
 *      node 2  |------======.:-------------------------------|  a pause, suspicions, refuted
 *              0      :      10         :         20         30 s
 *                    cut               heal
 *
 * Above SIM_PLOT_ROWS nodes a row is the mean of several. Within a column the worst counts, so that
 * nothing short is lost. Plain colours, that can be told apart on a light and on a dark ground; the
 * fonts are whatever the viewer has. Memory: a few bytes a node and SIM_PLOT_ROWS rows of columns.
 */

#define SIM_PLOT_ROWS 60

struct sim_plot;

/* What those who run think of a node: `observers` of them know it or not, so many hold it for... */
struct sim_plot_share {
    uint32_t observers;
    uint32_t suspect;
    uint32_t failed;
    uint32_t left;
};

enum sim_plot_mark {
    SIM_PLOT_CRASH, /* of a node */
    SIM_PLOT_PAUSE, /* until the node's next RESUME, or the end */
    SIM_PLOT_RESUME,
    SIM_PLOT_CUT, /* of the network; the node means nothing */
    SIM_PLOT_HEAL
};

/* `title` is copied, cut after 127 bytes. There is at least one node, and some time. Aborts when
 * memory runs out. */
struct sim_plot *sim_plot_new(size_t node_count, covey_time duration, const char *title);
void sim_plot_free(struct sim_plot *p);

/* From `time` on that is what is thought of `node`. Times of one node must not go back; what is
 * past the duration counts as its end. Without any, a node is alive in everybody's eyes. */
void sim_plot_sample(struct sim_plot *p, covey_time time, size_t node,
                     const struct sim_plot_share *share);
void sim_plot_add_mark(struct sim_plot *p, covey_time time, enum sim_plot_mark mark, size_t node);

/* Writes the whole document. 0 or COVEY_ERR_SYSTEM when the file did not take it. */
COVEY_MUST_USE int sim_plot_write(struct sim_plot *p, FILE *file);

#endif
