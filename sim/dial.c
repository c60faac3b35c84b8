#include "sim_internal.h"

#include <covey/error.h>

/* Connections that come and go. */

/* What a dial asks for; travels in its event. */
struct dial {
    struct cv_address address;
    bool has_expected;
    covey_node_id expected;
};

static void tell_disconnected(struct sim *s, uint32_t node, uint32_t peer)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED};
    input.disconnected.peer = s->nodes[peer].id;
    sim_step(s, node, &input);
}

/* --- the end --- */

void sim_break_side(struct sim *s, const struct sim_connection *c, uint32_t node, covey_time time)
{
    struct sim_event *e = sim_event_new(s, SIM_BREAK, node, 0);
    e->peer = sim_connection_other(c, node);
    e->connection = c->number;
    sim_clock_set(&s->clock, e, time);
}

void sim_break_event(struct sim *s, struct sim_event *e)
{
    struct sim_connection *c = sim_connection_find(&s->connections, e->node, e->peer);
    if (sim_connection_is_up(c, e->node) && c->number == e->connection) {
        sim_connection_drop(&s->connections, c, e->node);
        tell_disconnected(s, e->node, e->peer);
    }
    sim_clock_free(&s->clock, e);
}

void sim_close(struct sim *s, uint32_t from, uint32_t to)
{
    struct sim_connection *c = sim_connection_find(&s->connections, from, to);
    if (!sim_connection_is_up(c, from))
        return;
    sim_charge(s, from, SIM_PACKET_OVERHEAD);
    /* A side that does not hear of it breaks when it is idle. */
    bool is_heard =
        !sim_graph_is_cut(&s->graph, from, to) && !s->nodes[from].is_held && !s->nodes[to].is_held;
    if (sim_connection_is_up(c, to) && is_heard)
        sim_break_side(s, c, to, s->clock.now + sim_graph_delay(&s->graph, &s->rand, from, to));
    sim_connection_drop(&s->connections, c, from);
}

void sim_forget_connections(struct sim *s, uint32_t node)
{
    const struct sim_peers *peers = &s->connections.peers_of[node];
    for (size_t i = peers->count; i-- > 0;) {
        struct sim_connection *c = sim_connection_find(&s->connections, node, peers->peers[i]);
        sim_connection_drop(&s->connections, c, node);
    }
}

/* The earliest time at which a side may have heard nothing for too long. */
static covey_time idle_at(const struct sim *s, const struct sim_connection *c)
{
    covey_time first = COVEY_NEVER;
    for (size_t side = 0; side < 2; side++) {
        covey_time end = c->heard[side] + s->config.idle_timeout;
        if (c->is_up[side] && end < first)
            first = end;
    }
    return first;
}

static void expect_idle(struct sim *s, const struct sim_connection *c)
{
    if (s->config.idle_timeout == 0)
        return;
    uint32_t node = (uint32_t)(c->key >> 32);
    struct sim_event *e = sim_event_new(s, SIM_IDLE, node, 0);
    e->peer = (uint32_t)c->key;
    e->connection = c->number;
    sim_clock_set(&s->clock, e, idle_at(s, c));
}

void sim_idle_event(struct sim *s, struct sim_event *e)
{
    const struct sim_connection *c = sim_connection_find(&s->connections, e->node, e->peer);
    if (c == NULL || c->number != e->connection) {
        sim_clock_free(&s->clock, e);
        return;
    }
    const uint32_t nodes[2] = {e->node, e->peer};
    covey_time next = COVEY_NEVER;
    for (size_t side = 0; side < 2; side++) {
        covey_time end = c->heard[side] + s->config.idle_timeout;
        if (c->is_up[side] && end <= s->clock.now)
            sim_break_side(s, c, nodes[side], s->clock.now);
        else if (c->is_up[side] && end < next)
            next = end;
    }
    /* A side that breaks does so once, even if its node takes it in after a long pause. */
    if (next == COVEY_NEVER)
        sim_clock_free(&s->clock, e);
    else
        sim_clock_set(&s->clock, e, next);
}

/* --- dials --- */

static struct sim_node *node_at(struct sim *s, const struct cv_address *address)
{
    size_t index = (size_t)address->ip[1] << 16 | (size_t)address->ip[2] << 8 | address->ip[3];
    struct sim_node *n = index < s->config.node_count ? &s->nodes[index] : NULL;
    return n != NULL && cv_address_equal(&n->address, address) ? n : NULL;
}

void sim_dial(struct sim *s, uint32_t from, const struct cv_output *output)
{
    const struct dial dial = {.address = output->dial.address,
                              .has_expected = output->dial.has_expected,
                              .expected = output->dial.expected};
    struct sim_event *e = sim_event_new(s, SIM_HANDSHAKE, from, sizeof(dial));
    memcpy(e->bytes, &dial, sizeof(dial));
    e->number = output->dial.dial;
    e->begun = s->clock.now;
    const struct sim_node *to = node_at(s, &dial.address);
    uint32_t end = to == NULL ? from : to->index;
    /* Two round trips: TLS and the address. */
    covey_time wait = 0;
    for (int trip = 0; trip < 2; trip++)
        wait += sim_graph_delay(&s->graph, &s->rand, from, end) +
                sim_graph_delay(&s->graph, &s->rand, end, from);
    sim_clock_set(&s->clock, e, s->clock.now + wait);
}

static void dial_failed(struct sim *s, const struct sim_event *e, int error)
{
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED};
    input.dial_failed.dial = e->number;
    input.dial_failed.error = error;
    sim_step(s, e->node, &input);
}

static void tell_connected(struct sim *s, uint32_t node, uint32_t peer, uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = s->nodes[peer].id;
    input.connected.name = s->nodes[peer].name;
    input.connected.remote = s->nodes[peer].address;
    input.connected.dial = dial;
    sim_step(s, node, &input);
}

/* Certificates are checked and keys agreed on. */
static void keep_busy(struct sim *s, uint32_t node)
{
    struct sim_node *n = &s->nodes[node];
    covey_time start = n->busy_until > s->clock.now ? n->busy_until : s->clock.now;
    n->busy_until = start + s->config.handshake_cpu;
}

static void pay_handshake(struct sim *s, uint32_t from, uint32_t to)
{
    s->handshakes++;
    sim_charge(s, from, SIM_HANDSHAKE_CLIENT_BYTES);
    sim_charge(s, to, SIM_HANDSHAKE_SERVER_BYTES);
    keep_busy(s, from);
    keep_busy(s, to);
}

/* A connection that came up at both ends while this dial was under way stays. */
static void connect_nodes(struct sim *s, const struct sim_event *e, uint32_t to)
{
    const struct sim_connection *c = sim_connection_find(&s->connections, e->node, to);
    bool exists = c != NULL && c->is_up[0] && c->is_up[1] && c->since >= e->begun;
    pay_handshake(s, e->node, to);
    if (!exists) {
        c = sim_connection_open(&s->connections, e->node, to, s->clock.now);
        expect_idle(s, c);
    }
    tell_connected(s, e->node, to, e->number);
    c = sim_connection_find(&s->connections, e->node, to);
    if (!exists && sim_connection_is_up(c, to))
        tell_connected(s, to, e->node, 0);
}

/* Both directions take two packets of a handshake. */
static bool is_through(struct sim *s, uint32_t from, const struct sim_node *to)
{
    covey_time delay;
    if (to == NULL || to->membership == NULL || to->is_paused || to->is_held ||
        s->nodes[from].is_held)
        return false;
    return sim_graph_pass(&s->graph, &s->rand, from, to->index, s->clock.now, 2,
                          SIM_HANDSHAKE_CLIENT_BYTES, &delay) &&
           sim_graph_pass(&s->graph, &s->rand, to->index, from, s->clock.now, 2,
                          SIM_HANDSHAKE_SERVER_BYTES, &delay);
}

/* All flights are through. */
static void handshake(struct sim *s, const struct sim_event *e, const struct dial *dial,
                      struct sim_node *to)
{
    int refusal = to->refusal != COVEY_OK ? to->refusal : s->nodes[e->node].refusal;
    if (refusal != COVEY_OK)
        dial_failed(s, e, refusal);
    else if (dial->has_expected && !cv_node_id_equal(&dial->expected, &to->id))
        dial_failed(s, e, COVEY_ERR_WRONG_IDENTITY);
    else if (to->index == e->node)
        tell_connected(s, e->node, e->node, e->number);
    else
        connect_nodes(s, e, to->index);
}

void sim_dial_event(struct sim *s, struct sim_event *e)
{
    struct dial dial;
    memcpy(&dial, e->bytes, sizeof(dial));
    struct sim_node *to = node_at(s, &dial.address);
    if (is_through(s, e->node, to)) {
        handshake(s, e, &dial, to);
        sim_clock_free(&s->clock, e);
        return;
    }
    sim_charge(s, e->node, SIM_HANDSHAKE_TRY_BYTES);
    if (s->clock.now - e->begun < s->config.dial_timeout) {
        e->tries = (uint8_t)(e->tries + (e->tries < UINT8_MAX));
        sim_clock_set(&s->clock, e, s->clock.now + sim_retry_after(e->tries));
        return;
    }
    dial_failed(s, e, COVEY_ERR_UNREACHABLE);
    sim_clock_free(&s->clock, e);
}
