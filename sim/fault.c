#include "sim_internal.h"

/* Faults, by kind; and how they are done to the network. */

static const char *const names[] = {
#define NAME(id, text) [SIM_FAULT_##id] = text,
    SIM_FAULTS(NAME)
#undef NAME
};

const char *sim_fault_name(enum sim_fault fault)
{
    return names[fault];
}

uint64_t sim_fault_count(const struct sim *s, enum sim_fault fault)
{
    return s->oracle.faults[fault];
}

void sim_disturb(struct sim *s)
{
    s->oracle.disturbed = s->clock.now;
    s->oracle.shaken = s->clock.now;
    s->oracle.stirred = s->clock.now;
    s->oracle.has_disturbance = true;
    sim_expect_calm(s);
}

void sim_fault(struct sim *s, enum sim_fault fault)
{
    struct sim_oracle *o = &s->oracle;
    o->faults[fault]++;
    switch (fault) {
    case SIM_FAULT_CLOCK:
    case SIM_FAULT_DUPLICATION:
        break; /* they disturb nobody (M15) */
    case SIM_FAULT_RESTART:
    case SIM_FAULT_MOVE:
        o->stirred = s->clock.now;
        o->has_disturbance = true;
        break;
    case SIM_FAULT_CRASH:
        o->stirred = s->clock.now;
        o->shaken = s->clock.now;
        o->has_disturbance = true;
        break;
    default:
        sim_disturb(s);
        break;
    }
}

void sim_cut(struct sim *s, size_t from, size_t to)
{
    sim_trace_line(s, "the link from %s to %s is cut", s->nodes[from].name, s->nodes[to].name);
    sim_fault(s, SIM_FAULT_CUT);
    sim_graph_cut(&s->graph, s->nodes[from].index, s->nodes[to].index);
}

void sim_cut_pair(struct sim *s, size_t a, size_t b)
{
    sim_cut(s, a, b);
    sim_cut(s, b, a);
}

void sim_set_side(struct sim *s, size_t node, unsigned side)
{
    sim_trace_line(s, "%s is on side %u", s->nodes[node].name, side);
    sim_fault(s, SIM_FAULT_SIDE);
    sim_graph_set_side(&s->graph, s->nodes[node].index, side);
}

void sim_heal(struct sim *s)
{
    sim_trace_line(s, "the network is whole");
    sim_graph_heal(&s->graph);
    sim_fault(s, SIM_FAULT_HEAL);
    sim_oracle_healed(s);
}

/* Counts each kind of fault that the link now has. */
static void note_link(struct sim *s, const struct sim_link *before, const struct sim_link *after)
{
    const struct {
        enum sim_fault fault;
        bool is_new;
    } kinds[] = {
        {SIM_FAULT_LOSS, after->loss > 0 && after->loss != before->loss},
        {SIM_FAULT_MESSAGE_LOSS,
         after->message_loss > 0 && after->message_loss != before->message_loss},
        {SIM_FAULT_DUPLICATION, after->duplication > 0},
        {SIM_FAULT_REORDERING, after->reordering > 0},
        {SIM_FAULT_RATE, after->rate > 0},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].is_new)
            sim_fault(s, kinds[i].fault);
    }
}

struct sim_link sim_links(const struct sim *s)
{
    return s->graph.all;
}

void sim_set_links(struct sim *s, const struct sim_link *link)
{
    note_link(s, &s->graph.all, link);
    s->graph.all = *link;
    if (s->up_count > 0)
        sim_disturb(s);
}

void sim_set_link(struct sim *s, size_t from, size_t to, const struct sim_link *link)
{
    uint32_t a = s->nodes[from].index;
    uint32_t b = s->nodes[to].index;
    note_link(s, sim_graph_link(&s->graph, a, b), link);
    sim_graph_set(&s->graph, a, b, link);
}

void sim_set_loss(struct sim *s, uint32_t permille)
{
    struct sim_link link = s->graph.all;
    link.loss = permille;
    sim_set_links(s, &link);
}

void sim_set_message_loss(struct sim *s, uint32_t permille)
{
    struct sim_link link = s->graph.all;
    link.message_loss = permille;
    sim_set_links(s, &link);
}
