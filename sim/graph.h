#ifndef SIM_GRAPH_H
#define SIM_GRAPH_H

#include "sim/link.h"

#include "base/map.h"
#include "base/rand.h"

#include <stdbool.h>

/*
 * The network as a graph: every ordered pair of nodes is a link. Most are like all others; one that
 * differs, is cut, or has bytes waiting is noted down. Whole sides may be apart, too.
 */
struct sim_edge;

struct sim_graph {
    size_t node_count;
    struct sim_link all; /* links that are not set apart */
    struct cv_map edges; /* those that are */
    size_t cut_count;
    size_t set_count;    /* links with a character of their own */
    uint32_t *sides;     /* of the nodes */
    size_t apart_count;  /* nodes that are not on side 0 */
    uint64_t duplicates; /* packets that came twice */
    uint64_t reordered;
    uint64_t overflows; /* packets lost at a queue */
};

void sim_graph_init(struct sim_graph *g, size_t node_count, const struct sim_link *all,
                    uint64_t seed);
void sim_graph_fini(struct sim_graph *g);

void sim_graph_cut(struct sim_graph *g, uint32_t from, uint32_t to);
void sim_graph_set(struct sim_graph *g, uint32_t from, uint32_t to, const struct sim_link *link);
void sim_graph_set_side(struct sim_graph *g, uint32_t node, uint32_t side);
/* No cuts, no sides, all links alike. */
void sim_graph_heal(struct sim_graph *g);

bool sim_graph_is_cut(const struct sim_graph *g, uint32_t from, uint32_t to);
/* True when nothing is cut or apart. */
bool sim_graph_is_whole(const struct sim_graph *g);
/* The character of a link, cut or not. */
const struct sim_link *sim_graph_link(const struct sim_graph *g, uint32_t from, uint32_t to);

/* Sends `count` packets of `size` bytes in all: false when one of them is lost, otherwise how long
 * the last is under way. */
bool sim_graph_pass(struct sim_graph *g, struct cv_rand *rand, uint32_t from, uint32_t to,
                    covey_time now, size_t count, size_t size, covey_time *delay);
/* How long a packet is under way that nothing happens to. */
covey_time sim_graph_delay(const struct sim_graph *g, struct cv_rand *rand, uint32_t from,
                           uint32_t to);

#endif
