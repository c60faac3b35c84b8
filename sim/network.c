#include "sim_internal.h"

#include <assert.h>
#include <stdlib.h>

/* How long a reliable message is tried before its connection counts as broken. */
#define RELIABLE_TIME (30 * COVEY_SECOND)
#define RETRY_FIRST   (100 * COVEY_MILLISECOND)
#define RETRY_MAX     (3 * COVEY_SECOND)

static struct cv_slice key_of(const uint64_t key[2])
{
    return cv_slice_of(key, 2 * sizeof(key[0]));
}

static struct sim_connection *find(struct sim *s, size_t a, size_t b)
{
    uint64_t key[2] = {a < b ? a : b, a < b ? b : a};
    return cv_map_get(&s->connections, key_of(key));
}

static struct sim_connection *find_or_add(struct sim *s, size_t a, size_t b)
{
    struct sim_connection *c = find(s, a, b);
    if (c != NULL)
        return c;
    c = sim_allocate(sizeof(*c));
    c->key[0] = a < b ? a : b;
    c->key[1] = a < b ? b : a;
    if (cv_map_put(&s->connections, key_of(c->key), c) != COVEY_OK)
        abort();
    return c;
}

void sim_network_fini(struct sim *s)
{
    size_t cursor = 0;
    struct sim_connection *c;
    while ((c = cv_map_next(&s->connections, &cursor)) != NULL)
        free(c);
    cv_map_fini(&s->connections);
}

/* The place of `node` in the connection. */
static size_t side_of(const struct sim_connection *c, size_t node)
{
    return c->key[0] == node ? 0 : 1;
}

static size_t other_of(const struct sim_connection *c, size_t node)
{
    return (size_t)c->key[1 - side_of(c, node)];
}

bool sim_is_cut(const struct sim *s, size_t from, size_t to)
{
    if (s->nodes[from].side != s->nodes[to].side)
        return true;
    for (size_t i = 0; i < s->cut_count; i++) {
        if (s->cuts[i].from == from && s->cuts[i].to == to)
            return true;
    }
    return false;
}

static bool is_lost(struct sim *s)
{
    return cv_rand_below(&s->rand, 1000) < s->config.loss_permille;
}

static covey_time delay(struct sim *s)
{
    covey_time range = s->config.delay_max - s->config.delay_min;
    return s->config.delay_min + cv_rand_below(&s->rand, range + 1);
}

static covey_time retry_after(uint32_t tries)
{
    covey_time wait = RETRY_FIRST << (tries < 6 ? tries : 6);
    return wait < RETRY_MAX ? wait : RETRY_MAX;
}

void sim_cut(struct sim *s, size_t from, size_t to)
{
    assert(s->cut_count < sizeof(s->cuts) / sizeof(s->cuts[0]));
    sim_trace_line(s, "the link from %s to %s is cut", s->nodes[from].name, s->nodes[to].name);
    s->cuts[s->cut_count] = (struct sim_cut_link){.from = from, .to = to};
    s->cut_count++;
}

void sim_cut_pair(struct sim *s, size_t a, size_t b)
{
    sim_cut(s, a, b);
    sim_cut(s, b, a);
}

void sim_set_side(struct sim *s, size_t node, unsigned side)
{
    sim_trace_line(s, "%s is on side %u", s->nodes[node].name, side);
    s->nodes[node].side = side;
}

void sim_heal(struct sim *s)
{
    sim_trace_line(s, "the network is whole");
    s->cut_count = 0;
    for (size_t i = 0; i < s->config.node_count; i++)
        s->nodes[i].side = 0;
    sim_observe_heal(s);
}

void sim_set_loss(struct sim *s, uint32_t permille)
{
    s->config.loss_permille = permille;
}

/* --- connections --- */

static void break_side(struct sim *s, struct sim_connection *c, size_t node, covey_time time)
{
    struct sim_event *e = sim_event_new(s, SIM_BREAK, node, 0);
    e->peer = other_of(c, node);
    e->connection = c->number;
    sim_event_at(s, e, time);
}

void sim_network_break(struct sim *s, struct sim_event *e)
{
    struct sim_connection *c = find(s, e->node, e->peer);
    bool is_up = c != NULL && c->number == e->connection && c->is_up[side_of(c, e->node)];
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED};
    input.disconnected.peer = s->nodes[e->peer].id;
    if (is_up) {
        c->is_up[side_of(c, e->node)] = false;
        sim_step(s, e->node, &input);
    }
    sim_event_free(s, e);
}

void sim_network_close(struct sim *s, size_t from, size_t to)
{
    struct sim_connection *c = find(s, from, to);
    if (c == NULL || !c->is_up[side_of(c, from)])
        return;
    c->is_up[side_of(c, from)] = false;
    if (c->is_up[side_of(c, to)] && !sim_is_cut(s, from, to))
        break_side(s, c, to, s->now + delay(s));
    else if (c->is_up[side_of(c, to)] && s->config.idle_timeout > 0)
        break_side(s, c, to, s->now + s->config.idle_timeout);
}

void sim_network_crash(struct sim *s, size_t node)
{
    for (size_t peer = 0; peer < s->config.node_count; peer++) {
        struct sim_connection *c = peer == node ? NULL : find(s, node, peer);
        if (c == NULL)
            continue;
        c->is_up[side_of(c, node)] = false;
        if (c->is_up[side_of(c, peer)] && s->config.idle_timeout > 0)
            break_side(s, c, peer, s->now + s->config.idle_timeout);
    }
}

/* --- dials --- */

void sim_network_dial(struct sim *s, size_t from, const struct cv_output *output)
{
    struct sim_event *e = sim_event_new(s, SIM_HANDSHAKE, from, 0);
    e->number = output->dial.dial;
    e->address = output->dial.address;
    e->has_expected = output->dial.has_expected;
    e->expected = output->dial.expected;
    e->begun = s->now;
    /* Two round trips: TLS and the address. */
    sim_event_at(s, e, s->now + delay(s) + delay(s) + delay(s) + delay(s));
}

static struct sim_node *node_at(struct sim *s, const struct cv_address *address)
{
    size_t index = (size_t)address->ip[1] << 16 | (size_t)address->ip[2] << 8 | address->ip[3];
    struct sim_node *n = index < s->config.node_count ? &s->nodes[index] : NULL;
    return n != NULL && cv_address_equal(&n->address, address) ? n : NULL;
}

static void dial_failed(struct sim *s, struct sim_event *e, int error)
{
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED};
    input.dial_failed.dial = e->number;
    input.dial_failed.error = error;
    sim_step(s, e->node, &input);
}

static void tell_connected(struct sim *s, size_t node, size_t peer, uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = s->nodes[peer].id;
    input.connected.name = s->nodes[peer].name;
    input.connected.remote = s->nodes[peer].address;
    input.connected.dial = dial;
    sim_step(s, node, &input);
}

/* A connection that came up at both ends while this dial was under way stays. */
static void connect_nodes(struct sim *s, struct sim_event *e, size_t to)
{
    struct sim_connection *c = find_or_add(s, e->node, to);
    bool exists = c->is_up[0] && c->is_up[1] && c->since >= e->begun;
    if (!exists) {
        s->last_connection++;
        c->number = s->last_connection;
        c->is_up[0] = true;
        c->is_up[1] = true;
        c->since = s->now;
    }
    tell_connected(s, e->node, to, e->number);
    if (!exists && c->is_up[side_of(c, to)])
        tell_connected(s, to, e->node, 0);
}

static bool is_through(struct sim *s, size_t from, const struct sim_node *to)
{
    size_t index = to == NULL ? 0 : (size_t)(to - s->nodes);
    return to != NULL && to->membership != NULL && !to->is_paused && !sim_is_cut(s, from, index) &&
           !sim_is_cut(s, index, from) && !is_lost(s) && !is_lost(s);
}

void sim_network_handshake(struct sim *s, struct sim_event *e)
{
    struct sim_node *to = node_at(s, &e->address);
    if (!is_through(s, e->node, to)) {
        if (s->now - e->begun < s->config.dial_timeout) {
            e->tries++;
            sim_event_at(s, e, s->now + retry_after(e->tries));
            return;
        }
        dial_failed(s, e, COVEY_ERR_UNREACHABLE);
    } else if (to->refusal != COVEY_OK || s->nodes[e->node].refusal != COVEY_OK) {
        dial_failed(s, e, to->refusal != COVEY_OK ? to->refusal : s->nodes[e->node].refusal);
    } else if (e->has_expected && covey_node_id_compare(&e->expected, &to->id) != 0) {
        dial_failed(s, e, COVEY_ERR_WRONG_IDENTITY);
    } else if (to == &s->nodes[e->node]) {
        tell_connected(s, e->node, e->node, e->number);
    } else {
        connect_nodes(s, e, (size_t)(to - s->nodes));
    }
    sim_event_free(s, e);
}

/* --- messages --- */

void sim_network_send(struct sim *s, size_t from, const struct cv_output *output)
{
    size_t to = sim_index(&output->send.to);
    struct sim_connection *c = find(s, from, to);
    if (c == NULL || !c->is_up[side_of(c, from)])
        return;
    s->totals.messages_sent++;
    s->totals.bytes_sent += output->send.bytes.size;
    bool is_dropped = sim_is_cut(s, from, to) || is_lost(s) || s->nodes[to].membership == NULL;
    if (is_dropped && !output->send.reliable)
        return;
    struct sim_event *e = sim_event_new(s, SIM_MESSAGE, to, output->send.bytes.size);
    e->peer = from;
    e->peer_life = s->nodes[from].life;
    e->connection = c->number;
    e->reliable = output->send.reliable;
    e->begun = s->now;
    memcpy(e->bytes, output->send.bytes.data, e->size);
    sim_event_at(s, e, s->now + (is_dropped ? RETRY_FIRST : delay(s)));
    e->tries = is_dropped;
}

/* A reliable message whose last try was lost. */
static void try_again(struct sim *s, struct sim_event *e, struct sim_connection *c)
{
    if (sim_is_cut(s, e->peer, e->node) || is_lost(s)) {
        if (s->now - e->begun >= RELIABLE_TIME) {
            break_side(s, c, e->peer, s->now);
            sim_event_free(s, e);
            return;
        }
        e->tries++;
        sim_event_at(s, e, s->now + retry_after(e->tries));
        return;
    }
    e->tries = 0;
    sim_event_at(s, e, s->now + delay(s));
}

void sim_network_message(struct sim *s, struct sim_event *e)
{
    struct sim_connection *c = find(s, e->node, e->peer);
    bool is_up = c != NULL && c->number == e->connection && c->is_up[side_of(c, e->node)];
    if (is_up && e->tries > 0) {
        try_again(s, e, c);
        return;
    }
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    input.message.from = s->nodes[e->peer].id;
    input.message.bytes = cv_slice_of(e->bytes, e->size);
    if (is_up && sim_step(s, e->node, &input) != COVEY_OK)
        sim_fail(s, "%s cannot read what %s sent", s->nodes[e->node].name, s->nodes[e->peer].name);
    sim_event_free(s, e);
}
