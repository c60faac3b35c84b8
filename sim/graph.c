#include "graph.h"

#include "clock.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

/* A link that is not like all others. */
struct sim_edge {
    uint64_t key; /* of both nodes */
    bool is_cut;
    bool is_set;
    struct sim_link link;  /* when it is set */
    covey_time free_since; /* when the last byte that waits is sent */
};

static uint64_t key_of(uint32_t from, uint32_t to)
{
    return (uint64_t)from << 32 | to;
}

static struct sim_edge *find(const struct sim_graph *g, uint32_t from, uint32_t to)
{
    uint64_t key = key_of(from, to);
    return g->edges.count == 0 ? NULL : cv_map_get(&g->edges, cv_slice_of(&key, sizeof(key)));
}

static struct sim_edge *find_or_add(struct sim_graph *g, uint32_t from, uint32_t to)
{
    struct sim_edge *e = find(g, from, to);
    if (e != NULL)
        return e;
    e = sim_allocate(1, sizeof(*e));
    e->key = key_of(from, to);
    if (cv_map_put(&g->edges, cv_slice_of(&e->key, sizeof(e->key)), e) != COVEY_OK)
        abort();
    return e;
}

static void forget_edges(struct sim_graph *g)
{
    size_t cursor = 0;
    struct sim_edge *e;
    while ((e = cv_map_next(&g->edges, &cursor)) != NULL) {
        uint64_t key = e->key;
        cv_map_remove(&g->edges, cv_slice_of(&key, sizeof(key)));
        free(e);
    }
    g->cut_count = 0;
    g->set_count = 0;
}

void sim_graph_init(struct sim_graph *g, size_t node_count, const struct sim_link *all,
                    uint64_t seed)
{
    const uint64_t secret[2] = {seed, 1};
    *g = (struct sim_graph){.node_count = node_count, .all = *all};
    g->sides = sim_allocate(node_count, sizeof(*g->sides));
    cv_map_init(&g->edges, cv_alloc_default(), secret, SIZE_MAX / 64);
}

void sim_graph_fini(struct sim_graph *g)
{
    forget_edges(g);
    cv_map_fini(&g->edges);
    free(g->sides);
}

void sim_graph_cut(struct sim_graph *g, uint32_t from, uint32_t to)
{
    struct sim_edge *e = find_or_add(g, from, to);
    g->cut_count += !e->is_cut;
    e->is_cut = true;
}

void sim_graph_set(struct sim_graph *g, uint32_t from, uint32_t to, const struct sim_link *link)
{
    struct sim_edge *e = find_or_add(g, from, to);
    g->set_count += !e->is_set;
    e->is_set = true;
    e->link = *link;
}

void sim_graph_set_side(struct sim_graph *g, uint32_t node, uint32_t side)
{
    assert(node < g->node_count);
    g->apart_count -= g->sides[node] != 0;
    g->sides[node] = side;
    g->apart_count += side != 0;
}

void sim_graph_heal(struct sim_graph *g)
{
    forget_edges(g);
    for (size_t i = 0; i < g->node_count; i++)
        g->sides[i] = 0;
    g->apart_count = 0;
}

bool sim_graph_is_cut(const struct sim_graph *g, uint32_t from, uint32_t to)
{
    if (g->apart_count > 0 && g->sides[from] != g->sides[to])
        return true;
    const struct sim_edge *e = g->cut_count == 0 ? NULL : find(g, from, to);
    return e != NULL && e->is_cut;
}

bool sim_graph_is_whole(const struct sim_graph *g)
{
    return g->cut_count == 0 && g->apart_count == 0;
}

const struct sim_link *sim_graph_link(const struct sim_graph *g, uint32_t from, uint32_t to)
{
    const struct sim_edge *e = g->set_count == 0 ? NULL : find(g, from, to);
    return e != NULL && e->is_set ? &e->link : &g->all;
}

static bool comes_up(struct cv_rand *rand, uint32_t chance)
{
    return chance > 0 && cv_rand_below(rand, 1000) < chance;
}

/* How long the packets wait for the link to send them; false when its queue is full. */
static bool queue(struct sim_graph *g, uint32_t from, uint32_t to, const struct sim_link *link,
                  covey_time now, size_t size, covey_time *wait)
{
    *wait = 0;
    if (link->rate == 0)
        return true;
    struct sim_edge *e = find_or_add(g, from, to);
    covey_time backlog = e->free_since > now ? e->free_since - now : 0;
    /* Under 2^64 as long as a queue empties within some minutes. */
    if (backlog / COVEY_MICROSECOND * link->rate / 1000000 + size > link->queue_size) {
        g->overflows++;
        return false;
    }
    *wait = backlog + size * COVEY_SECOND / link->rate;
    e->free_since = now + *wait;
    return true;
}

static covey_time draw_delay(const struct sim_link *link, struct cv_rand *rand)
{
    return link->delay_min + cv_rand_below(rand, link->delay_max - link->delay_min + 1);
}

covey_time sim_graph_delay(const struct sim_graph *g, struct cv_rand *rand, uint32_t from,
                           uint32_t to)
{
    return draw_delay(sim_graph_link(g, from, to), rand);
}

bool sim_graph_pass(struct sim_graph *g, struct cv_rand *rand, uint32_t from, uint32_t to,
                    covey_time now, size_t count, size_t size, covey_time *delay)
{
    /* A copy: the queue may move the table. */
    const struct sim_link link = *sim_graph_link(g, from, to);
    covey_time wait;
    bool is_lost = !queue(g, from, to, &link, now, size, &wait) || sim_graph_is_cut(g, from, to);
    *delay = 0;
    for (size_t i = 0; i < count && !is_lost; i++) {
        is_lost = comes_up(rand, link.loss);
        covey_time late = draw_delay(&link, rand);
        if (comes_up(rand, link.reordering)) {
            late += cv_rand_below(rand, link.reorder_delay + 1);
            g->reordered++;
        }
        g->duplicates += comes_up(rand, link.duplication);
        if (late > *delay)
            *delay = late;
    }
    *delay += wait;
    return !is_lost;
}
