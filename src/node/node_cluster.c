/*
 * Gossip on QUIC: the outputs of the membership core are DATAGRAM frames, streams and dials; what
 * comes back are its inputs.
 *
 * On a stream travels one message: all its bytes up to FIN. The receiver answers with one zero byte
 * and FIN, which only ends the stream on both sides.
 */
#include "cluster/gossip/message.h"
#include "node/internal.h"

#include <covey/error.h>

#include <assert.h>
#include <string.h>

/* A superseded connection still carries what its peer had sent before it knew. */
#define SUPERSEDED_TTL (2 * COVEY_SECOND)

/* A message that comes in on a stream. */
struct inbox {
    size_t size;
    uint8_t bytes[CV_MAX_MESSAGE_SIZE];
};

void cv_node_cluster_init(struct cv_node *node)
{
    TAILQ_INIT(&node->peers);
}

static void drain(struct cv_node *node);

/* A malformed message is the core's to count. Without memory it has changed nothing; what it lacks
 * is room for its outputs mostly, so they are taken and it is asked once more. */
static int step(struct cv_node *node, struct cv_input *input)
{
    input->now = node->now;
    input->wall_ms = node->wall_ms;
    node->cluster_is_dirty = true;
    int error = cv_membership_step(node->membership, input);
    if (error != COVEY_ERR_NO_MEMORY || node->cluster_is_drained)
        return error;
    drain(node);
    return cv_membership_step(node->membership, input);
}

static void tell_disconnected(struct cv_node *node, const covey_node_id *id)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED, .disconnected = {.peer = *id}};
    step(node, &input);
}

/* ---- peers ---- */

static struct cv_gossip_conn *peer_new(struct cv_node *node)
{
    struct cv_gossip_conn *peer = cv_allocate(node->alloc, sizeof *peer);
    if (peer == NULL)
        return NULL;
    *peer = (struct cv_gossip_conn){0};
    if (cv_conn_head_init(&peer->head, node, CV_CONN_PEER) != 0) {
        cv_release(node->alloc, peer);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&node->peers, peer, all);
    return peer;
}

static void peer_free(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    TAILQ_REMOVE(&node->peers, peer, all);
    cv_conn_head_fini(&peer->head);
    cv_release(node->alloc, peer);
}

struct cv_gossip_conn *cv_gossip_conn_accept(struct cv_node *node, struct cv_quic_conn *c)
{
    struct cv_gossip_conn *peer = peer_new(node);
    if (peer != NULL)
        peer->head.conn = c;
    return peer;
}

static void tell_dial_failed(struct cv_node *node, uint32_t dial, int error)
{
    if (dial == 0 || node->membership == NULL)
        return;
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED,
                             .dial_failed = {.dial = dial, .error = error}};
    step(node, &input);
}

static int tell_connected(struct cv_gossip_conn *peer, uint32_t dial)
{
    const struct cv_identity *who = cv_quic_conn_peer(peer->head.conn);
    struct cv_input input = {
        .type = CV_INPUT_CONNECTED,
        .connected = {.peer = who->id,
                      .name = who->name,
                      .remote = cv_quic_conn_remote(peer->head.conn),
                      .dial = dial},
    };
    return step(peer->head.node, &input);
}

static void refuse(struct cv_gossip_conn *peer, uint64_t code, int error)
{
    uint32_t dial = peer->dial;
    peer->dial = 0;
    peer->head.node->stats.connections_refused++;
    cv_quic_conn_close(peer->head.conn, code);
    tell_dial_failed(peer->head.node, dial, error);
}

static void supersede(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    cv_heap_set(&node->timers, &peer->head.timer, node->now + SUPERSEDED_TTL);
}

void cv_gossip_conn_connected(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    const covey_node_id *id = &cv_quic_conn_peer(peer->head.conn)->id;
    if (node->membership == NULL || node->cluster_ends) {
        refuse(peer, CV_CLOSE_UNWANTED, COVEY_ERR_STATE);
        return;
    }
    if (covey_node_id_compare(id, &cv_tls_identity(node->tls)->id) == 0) {
        refuse(peer, CV_CLOSE_UNWANTED, COVEY_ERR_WRONG_IDENTITY);
        return;
    }
    enum cv_pool_verdict verdict;
    void *loser;
    int error =
        cv_connection_pool_add(&node->pool, id, peer, cv_quic_conn_is_accepted(peer->head.conn),
                               node->now, &verdict, &loser);
    if (error != 0) {
        refuse(peer, CV_CLOSE_LIMIT, error);
        return;
    }
    if (verdict == CV_POOL_KEPT)
        supersede(peer);
    else if (verdict == CV_POOL_REPLACED)
        supersede(loser);
    peer->is_ready = true;
    if (verdict == CV_POOL_KEPT && peer->dial == 0)
        return;
    error = tell_connected(peer, peer->dial);
    if (error != 0) {
        cv_connection_pool_remove(&node->pool, id, peer);
        refuse(peer, CV_CLOSE_LIMIT, error);
    }
    peer->dial = 0;
}

void cv_gossip_conn_disconnected(struct cv_gossip_conn *peer, int error)
{
    struct cv_node *node = peer->head.node;
    if (node->membership != NULL && peer->is_ready) {
        covey_node_id id = cv_quic_conn_peer(peer->head.conn)->id;
        if (cv_connection_pool_remove(&node->pool, &id, peer))
            tell_disconnected(node, &id);
    } else {
        tell_dial_failed(node, peer->dial, error == 0 ? COVEY_ERR_CONNECTION_LOST : error);
    }
    peer_free(peer);
}

/*
 * A connection that retires is replaced before it ends, so that no probe meets a closed one: the
 * side that dialled it retires first and dials again, the new connection supersedes the old one on
 * both sides, and the core hardly notices. When the dial fails the old one goes on to its end, and
 * then the core dials as for any peer that it lost.
 */
void cv_gossip_conn_retire(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    const covey_node_id id = cv_quic_conn_peer(peer->head.conn)->id;
    if (node->membership == NULL || node->cluster_ends ||
        cv_connection_pool_get(&node->pool, &id) != peer)
        return;
    struct cv_gossip_conn *next = peer_new(node);
    if (next == NULL)
        return;
    const struct cv_quic_dial dial = {
        .local = node->local,
        .remote = cv_quic_conn_remote(peer->head.conn),
        .alpn = CV_ALPN_ID_CLUSTER,
        .expected = &id,
        .user = &next->head,
    };
    if (cv_quic_endpoint_dial(node->endpoint, &dial, node->now, &next->head.conn) != 0)
        peer_free(next);
}

/* ---- messages in ---- */

static void take_message(struct cv_gossip_conn *peer, struct cv_slice bytes)
{
    struct cv_node *node = peer->head.node;
    if (node->membership == NULL || !peer->is_ready)
        return;
    struct cv_input input = {
        .type = CV_INPUT_MESSAGE,
        .message = {.from = cv_quic_conn_peer(peer->head.conn)->id, .bytes = bytes},
    };
    step(node, &input);
}

void cv_gossip_conn_datagram(struct cv_gossip_conn *peer, struct cv_slice bytes)
{
    take_message(peer, bytes);
}

void cv_gossip_conn_stream_opened(struct cv_gossip_conn *peer, struct cv_quic_stream *s)
{
    struct inbox *in = cv_allocate(peer->head.node->alloc, sizeof *in);
    if (in == NULL) {
        cv_quic_stream_stop(s, CV_CLOSE_LIMIT);
        cv_quic_stream_reset(s, CV_CLOSE_LIMIT);
        return;
    }
    in->size = 0;
    cv_quic_stream_set_user(s, in);
}

static void inbox_free(struct cv_gossip_conn *peer, struct cv_quic_stream *s)
{
    cv_release(peer->head.node->alloc, cv_quic_stream_user(s));
    cv_quic_stream_set_user(s, NULL);
}

/* The whole of a stream came. */
static void inbox_done(struct cv_gossip_conn *peer, struct cv_quic_stream *s)
{
    static const uint8_t answer = 0;
    const struct inbox *in = cv_quic_stream_user(s);
    take_message(peer, cv_slice_of(in->bytes, in->size));
    if (cv_quic_stream_write(s, cv_slice_of(&answer, 1), true) != 0)
        cv_quic_stream_reset(s, CV_CLOSE_DONE);
}

void cv_gossip_conn_stream_data(struct cv_gossip_conn *peer, struct cv_quic_stream *s,
                                struct cv_slice bytes, bool fin)
{
    struct inbox *in = cv_quic_stream_user(s);
    cv_quic_stream_consume(s, bytes.size, bytes.size);
    if (in == NULL || !cv_quic_stream_is_accepted(s))
        return; /* the answer to a message of ours, or the rest of what was refused */
    if (bytes.size > sizeof in->bytes - in->size) {
        peer->head.node->stats.gossip_oversized++;
        inbox_free(peer, s);
        cv_quic_stream_stop(s, CV_CLOSE_LIMIT);
        cv_quic_stream_reset(s, CV_CLOSE_LIMIT);
        take_message(peer, cv_slice_of(NULL, 0)); /* counted against the peer as malformed */
        return;
    }
    if (bytes.size > 0)
        memcpy(in->bytes + in->size, bytes.data, bytes.size);
    in->size += bytes.size;
    if (fin) {
        inbox_done(peer, s);
        inbox_free(peer, s);
    }
}

void cv_gossip_conn_stream_closed(struct cv_gossip_conn *peer, struct cv_quic_stream *s)
{
    inbox_free(peer, s);
}

/* ---- outputs ---- */

static int send_on_stream(struct cv_quic_conn *c, struct cv_slice message)
{
    struct cv_quic_stream *s;
    int error = cv_quic_conn_open(c, &s);
    if (error != 0)
        return error;
    error = cv_quic_stream_write(s, message, true);
    if (error != 0) {
        cv_quic_stream_reset(s, CV_CLOSE_LIMIT);
        cv_quic_stream_stop(s, CV_CLOSE_LIMIT);
    }
    return error;
}

static void do_send(struct cv_node *node, const struct cv_output *out)
{
    const struct cv_gossip_conn *peer = cv_connection_pool_get(&node->pool, &out->send.to);
    struct cv_slice bytes = out->send.bytes;
    int error;
    if (peer == NULL) { /* the core missed its end for want of memory */
        covey_node_id to = out->send.to;
        node->stats.gossip_shed++;
        tell_disconnected(node, &to);
        return;
    }
    if (!out->send.reliable && bytes.size <= cv_quic_conn_datagram_size_max(peer->head.conn))
        error = cv_quic_conn_send_datagram(peer->head.conn, bytes);
    else
        error = send_on_stream(peer->head.conn, bytes);
    if (error != 0)
        node->stats.gossip_shed++;
}

static void do_dial(struct cv_node *node, const struct cv_output *out)
{
    uint32_t number = out->dial.dial;
    covey_node_id expected = out->dial.expected;
    struct cv_quic_dial dial = {
        .local = node->local,
        .remote = out->dial.address,
        .alpn = CV_ALPN_ID_CLUSTER,
        .expected = out->dial.has_expected ? &expected : NULL,
    };
    struct cv_gossip_conn *peer =
        out->dial.has_expected ? cv_connection_pool_get(&node->pool, &expected) : NULL;
    int error = COVEY_ERR_NO_MEMORY;
    if (peer != NULL) {
        error = tell_connected(peer, number);
        if (error != 0)
            tell_dial_failed(node, number, error);
        return;
    }
    peer = peer_new(node);
    if (peer != NULL) {
        dial.user = &peer->head;
        peer->dial = number;
        error = cv_quic_endpoint_dial(node->endpoint, &dial, node->now, &peer->head.conn);
        if (error != 0)
            peer_free(peer);
    }
    if (error != 0)
        tell_dial_failed(node, number, error);
}

static void do_close(struct cv_node *node, const struct cv_output *out)
{
    const struct cv_gossip_conn *peer = cv_connection_pool_get(&node->pool, &out->close.peer);
    covey_node_id id = out->close.peer;
    if (peer != NULL)
        cv_quic_conn_close(peer->head.conn, CV_CLOSE_DONE);
    else
        tell_disconnected(node, &id);
}

static void do_output(struct cv_node *node, const struct cv_output *out)
{
    switch (out->type) {
    case CV_OUTPUT_SEND:
        do_send(node, out);
        break;
    case CV_OUTPUT_DIAL:
        do_dial(node, out);
        break;
    case CV_OUTPUT_CLOSE:
        do_close(node, out);
        break;
    case CV_OUTPUT_RESOLVE:
        node->events.resolve(node->events_user, out->resolve.resolve, out->resolve.name);
        break;
    case CV_OUTPUT_EVENT:
        node->published.is_wanted = true; /* who hears of it finds it when he looks */
        node->events.cluster_event(node->events_user, &out->event);
        break;
    case CV_OUTPUT_RUN_CHECK:
        node->events.run_check(node->events_user, out->check.run, out->check.user);
        break;
    case CV_OUTPUT_STATE:
        node->published.is_urgent = true;
        node->events.cluster_state(node->events_user, out->state.state, out->state.error);
        break;
    }
}

/* ---- one turn ---- */

static void cluster_end(struct cv_node *node)
{
    struct cv_gossip_conn *peer;
    cv_membership_free(node->membership);
    node->membership = NULL;
    node->cluster_ends = false;
    node->cluster_is_dirty = false;
    cv_connection_pool_fini(&node->pool);
    TAILQ_FOREACH (peer, &node->peers, all)
        cv_quic_conn_close(peer->head.conn, CV_CLOSE_DONE);
    node->events.cluster_ended(node->events_user);
}

static void drain(struct cv_node *node)
{
    struct cv_output out;
    node->cluster_is_drained = true;
    while (cv_membership_poll(node->membership, &out))
        do_output(node, &out);
    node->cluster_is_drained = false;
}

void cv_node_cluster_run(struct cv_node *node)
{
    if (node->membership == NULL)
        return;
    if (cv_membership_deadline(node->membership) <= node->now) {
        struct cv_input input = {.type = CV_INPUT_TIME};
        step(node, &input);
    }
    node->cluster_is_dirty = false;
    drain(node);
    if (node->cluster_ends)
        cluster_end(node);
}

void cv_node_cluster_free(struct cv_node *node)
{
    assert(TAILQ_EMPTY(&node->peers));
    if (node->membership == NULL)
        return;
    cv_membership_free(node->membership);
    cv_connection_pool_fini(&node->pool);
}

/* ---- for the user ---- */

int cv_node_enable_cluster(struct cv_node *node, const struct cv_membership_config *config,
                           covey_time now)
{
    if (node->membership != NULL)
        return COVEY_ERR_EXISTS;
    if (!node->serves_cluster)
        return COVEY_ERR_STATE;
    const struct cv_identity *self = cv_tls_identity(node->tls);
    struct cv_membership_config own = *config;
    own.alloc = node->alloc;
    own.log = node->log;
    own.id = self->id;
    own.name = self->name;
    int error = cv_membership_new(&own, now, &node->membership);
    if (error != 0)
        return error;
    cv_connection_pool_init(&node->pool, node->alloc, &self->id, config->hash_secret,
                            config->members_max);
    node->published = (struct cv_publication){.version = UINT64_MAX};
    node->cluster_is_dirty = true;
    return 0;
}

void cv_node_disable_cluster(struct cv_node *node)
{
    node->cluster_ends = node->membership != NULL;
    node->cluster_is_dirty = node->cluster_ends;
}

int cv_node_input(struct cv_node *node, struct cv_input *input, covey_time now, uint64_t wall_ms)
{
    if (node->membership == NULL || node->cluster_ends)
        return COVEY_ERR_STATE;
    input->now = now;
    input->wall_ms = wall_ms;
    node->cluster_is_dirty = true;
    int error = cv_membership_step(node->membership, input);
    if (error == 0 && input->type == CV_INPUT_COMMAND)
        node->published.is_urgent = true;
    return error;
}

int cv_node_command(struct cv_node *node, enum cv_command_type type, const char *key,
                    const char *value, covey_time now, uint64_t wall_ms)
{
    struct cv_input input = {
        .type = CV_INPUT_COMMAND,
        .command = {.type = type, .key = key, .value = value},
    };
    return cv_node_input(node, &input, now, wall_ms);
}

void cv_node_resolved(struct cv_node *node, uint32_t resolve, int error,
                      const struct cv_address *addresses, size_t count, covey_time now,
                      uint64_t wall_ms)
{
    if (node->membership == NULL)
        return;
    struct cv_input input = {
        .type = CV_INPUT_RESOLVED,
        .now = now,
        .wall_ms = wall_ms,
        .resolved = {.resolve = resolve, .error = error, .addresses = addresses, .count = count},
    };
    node->cluster_is_dirty = true;
    (void)cv_membership_step(node->membership, &input);
}

const struct cv_membership *cv_node_membership(const struct cv_node *node)
{
    return node->cluster_ends ? NULL : node->membership;
}
