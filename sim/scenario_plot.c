#include "scenario_plot.h"

#include <stdlib.h>

static void count(struct sim_plot_share *share, enum covey_node_state state, bool is_more)
{
    uint32_t change = is_more ? 1 : UINT32_MAX; /* one less */
    switch (state) {
    case COVEY_NODE_ALIVE:
        break;
    case COVEY_NODE_SUSPECT:
        share->suspect += change;
        break;
    case COVEY_NODE_FAILED:
        share->failed += change;
        break;
    case COVEY_NODE_LEFT:
        share->left += change;
        break;
    }
}

/* Adds or takes away what `observer` thinks of `subject`. */
static void count_view(struct scenario_plot *p, size_t observer, size_t subject, bool is_more)
{
    static const enum covey_node_state states[] = {COVEY_NODE_SUSPECT, COVEY_NODE_FAILED,
                                                   COVEY_NODE_LEFT};
    for (size_t i = 0; observer != subject && i < sizeof states / sizeof states[0]; i++) {
        if (sim_sees(p->sim, observer, subject, states[i]))
            count(&p->shares[subject], states[i], is_more);
    }
}

static void tell(struct scenario_plot *p, size_t subject)
{
    struct sim_plot_share *share = &p->shares[subject];
    bool is_up = sim_membership(p->sim, subject) != NULL;
    share->observers = (uint32_t)(p->up_count - is_up);
    sim_plot_sample(p->plot, sim_now(p->sim) - p->start, subject, share);
}

static void take_change(void *user, size_t observer, size_t subject,
                        const enum covey_node_state *before, const enum covey_node_state *after)
{
    struct scenario_plot *p = user;
    if (observer == subject)
        return;
    if (before != NULL)
        count(&p->shares[subject], *before, false);
    if (after != NULL)
        count(&p->shares[subject], *after, true);
    tell(p, subject);
}

void scenario_plot_begin(struct scenario_plot *p, struct sim_plot *plot, struct sim *s)
{
    *p = (struct scenario_plot){.plot = plot, .sim = s, .start = sim_now(s)};
    if (plot == NULL)
        return;
    p->node_count = sim_node_count(s);
    p->up_count = p->node_count;
    p->shares = calloc(p->node_count, sizeof(*p->shares));
    if (p->shares == NULL)
        abort();
    for (size_t o = 0; o < p->node_count; o++) {
        for (size_t i = 0; i < p->node_count; i++)
            count_view(p, o, i, true);
    }
    for (size_t i = 0; i < p->node_count; i++)
        tell(p, i);
    sim_on_change(s, take_change, p);
}

void scenario_plot_end(struct scenario_plot *p)
{
    if (p->plot != NULL)
        sim_on_change(p->sim, NULL, NULL);
    free(p->shares);
}

void scenario_plot_crash(struct scenario_plot *p, size_t node)
{
    if (p->plot == NULL)
        return;
    p->up_count--;
    for (size_t i = 0; i < p->node_count; i++)
        count_view(p, node, i, false);
    p->shares[node].observers = (uint32_t)p->up_count; /* of those who stay */
    for (size_t i = 0; i < p->node_count; i++) {
        if (i != node)
            tell(p, i);
    }
    sim_plot_sample(p->plot, sim_now(p->sim) - p->start, node, &p->shares[node]);
    scenario_plot_mark(p, SIM_PLOT_CRASH, node);
}

void scenario_plot_mark(struct scenario_plot *p, enum sim_plot_mark mark, size_t node)
{
    if (p->plot != NULL)
        sim_plot_add_mark(p->plot, sim_now(p->sim) - p->start, mark, node);
}
