#include "sim_internal.h"

#include <assert.h>
#include <covey/error.h>

/* Messages on connections, and what becomes of their packets. */

/* How long a reliable message is tried before its connection counts as broken. */
#define RELIABLE_TIME (30 * COVEY_SECOND)
#define RETRY_FIRST   (100 * COVEY_MILLISECOND)
#define RETRY_MAX     (3 * COVEY_SECOND)

covey_time sim_retry_after(uint32_t tries)
{
    covey_time wait = RETRY_FIRST << (tries < 6 ? tries : 6);
    return wait < RETRY_MAX ? wait : RETRY_MAX;
}

void sim_charge(struct sim *s, uint32_t node, uint64_t bytes)
{
    s->nodes[node].bytes_sent += bytes;
}

/* Sends its packets once more. */
static bool pass(struct sim *s, uint32_t from, uint32_t to, size_t size, bool is_reliable,
                 covey_time *delay)
{
    size_t bytes = sim_cost_bytes(size, is_reliable);
    sim_charge(s, from, bytes);
    return sim_graph_pass(&s->graph, &s->rand, from, to, s->clock.now,
                          sim_cost_packets(size, is_reliable), bytes, delay);
}

/* A message that is lost as a whole is nobody's retransmission. */
static bool vanishes(struct sim *s, uint32_t from, uint32_t to)
{
    uint32_t chance = sim_graph_link(&s->graph, from, to)->message_loss;
    return chance > 0 && cv_rand_below(&s->rand, 1000) < chance;
}

void sim_message_send(struct sim *s, uint32_t from, uint32_t to, struct cv_slice bytes,
                      bool is_reliable)
{
    struct sim_connection *c = sim_connection_find(&s->connections, from, to);
    covey_time delay;
    /* What does not fit a packet goes on a stream, asked for or not. */
    is_reliable = is_reliable || bytes.size > SIM_PACKET_PAYLOAD;
    if (!sim_connection_is_up(c, from))
        return;
    if (s->nodes[from].is_held) {
        sim_hold_sent(s, from, to, c->number, bytes, is_reliable);
        return;
    }
    bool passes =
        pass(s, from, to, bytes.size, is_reliable, &delay) && s->nodes[to].membership != NULL;
    if ((!passes && !is_reliable) || vanishes(s, from, to))
        return;
    struct sim_event *e = sim_event_new(s, SIM_MESSAGE, to, bytes.size);
    e->peer = from;
    e->connection = c->number;
    e->link = c;
    e->is_reliable = is_reliable;
    e->begun = s->clock.now;
    e->tries = !passes;
    memcpy(e->bytes, bytes.data, bytes.size);
    sim_clock_set(&s->clock, e, s->clock.now + (passes ? delay : RETRY_FIRST));
}

/* A reliable message whose last try was lost. */
static void try_again(struct sim *s, struct sim_event *e, const struct sim_connection *c)
{
    covey_time delay;
    if (pass(s, e->peer, e->node, e->size, true, &delay)) {
        e->tries = 0;
        sim_clock_set(&s->clock, e, s->clock.now + delay);
    } else if (s->clock.now - e->begun >= RELIABLE_TIME) {
        sim_break_side(s, c, e->peer, s->clock.now);
        sim_clock_free(&s->clock, e);
    } else {
        e->tries = (uint8_t)(e->tries + (e->tries < UINT8_MAX));
        sim_clock_set(&s->clock, e, s->clock.now + sim_retry_after(e->tries));
    }
}

/* The packets are here, and are acknowledged. */
static void arrive(struct sim *s, const struct sim_event *e, struct sim_connection *c)
{
    size_t side = sim_connection_side(c, e->node);
    c->heard[side] = s->clock.now;
    sim_charge(s, e->node, SIM_ACK_PACKET * sim_cost_packets(e->size, e->is_reliable));
    if (!sim_graph_is_cut(&s->graph, e->node, e->peer))
        c->heard[1 - side] = s->clock.now;
}

void sim_message_event(struct sim *s, struct sim_event *e)
{
    struct sim_node *to = &s->nodes[e->node];
    struct sim_node *from = &s->nodes[e->peer];
    struct sim_connection *c = e->link;
    bool is_up = c->number == e->connection && sim_connection_is_up(c, e->node);
    if (is_up && e->tries > 0) {
        try_again(s, e, c);
        return;
    }
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    input.message.from = from->id;
    input.message.bytes = cv_slice_of(e->bytes, e->size);
    if (is_up) {
        arrive(s, e, c);
        sim_liar_hears(s, to, input.message.bytes);
        s->oracle.told_by = e->peer;
        int error = sim_step(s, e->node, &input);
        bool may_fail = from->has_lied || s->oracle.lies[SIM_LIE_MALFORMED] > 0;
        sim_require(s, SIM_G1, error == COVEY_OK || may_fail, "%s cannot read what %s sent",
                    to->name, from->name);
        if (error == COVEY_OK && c->number == e->connection)
            c->told[sim_connection_side(c, e->node)] = s->clock.now;
    }
    sim_clock_free(&s->clock, e);
}
