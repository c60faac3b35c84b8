#include "sim_internal.h"

#include <assert.h>

/*
 * Nodes that run and hear nothing: their timers go on, but what they send stays with them, and what
 * comes waits, until all of it goes through at once. A process whose network card, hypervisor or
 * sending thread stalls is like that; the anomaly of Lifeguard's experiments is.
 */

static void append(struct sim_queue *q, struct sim_event *e)
{
    e->next = NULL;
    if (q->first == NULL)
        q->first = e;
    else
        q->last->next = e;
    q->last = e;
}

/* NULL when it is empty. */
static struct sim_event *take(struct sim_queue *q)
{
    struct sim_event *e = q->first;
    if (e != NULL)
        q->first = e->next;
    return e;
}

void sim_hold_sent(struct sim *s, uint32_t from, uint32_t to, uint64_t connection,
                   struct cv_slice bytes, bool is_reliable)
{
    struct sim_event *e = sim_event_new(s, SIM_MESSAGE, from, bytes.size);
    e->peer = to;
    e->connection = connection;
    e->is_reliable = is_reliable;
    memcpy(e->bytes, bytes.data, bytes.size);
    append(&s->nodes[from].held_out, e);
}

void sim_hold_received(struct sim_node *n, struct sim_event *e)
{
    append(&n->held_in, e);
}

void sim_hold(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    assert(n->membership != NULL && !n->is_held);
    sim_trace_line(s, "%s is held", n->name);
    sim_fault(s, SIM_FAULT_HOLD);
    n->is_held = true;
}

static void send_held(struct sim *s, struct sim_node *n)
{
    struct sim_event *e;
    while ((e = take(&n->held_out)) != NULL) {
        const struct sim_connection *c = sim_connection_find(&s->connections, n->index, e->peer);
        if (sim_connection_is_up(c, n->index) && c->number == e->connection)
            sim_message_send(s, n->index, e->peer, cv_slice_of(e->bytes, e->size), e->is_reliable);
        sim_clock_free(&s->clock, e);
    }
}

void sim_release(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_event *e;
    assert(n->membership != NULL && n->is_held);
    sim_trace_line(s, "%s is released", n->name);
    n->is_held = false;
    sim_disturb(s);
    sim_oracle_healed(s);
    send_held(s, n);
    while ((e = take(&n->held_in)) != NULL)
        sim_happen(s, e);
}

void sim_hold_drop(struct sim *s, struct sim_node *n)
{
    struct sim_event *e;
    n->is_held = false;
    while ((e = take(&n->held_out)) != NULL || (e = take(&n->held_in)) != NULL)
        sim_clock_free(&s->clock, e);
}
