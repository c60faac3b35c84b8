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

/* A message that comes in on a stream. */
struct inbox {
    size_t size;
    uint8_t bytes[CV_MAX_MESSAGE_SIZE];
};

void cv_node_cluster_init(struct cv_node *node)
{
    TAILQ_INIT(&node->peers);
    LIST_INIT(&node->dials);
}

static void drain(struct cv_node *node);

/* A malformed message is the core's to count. Without memory it has changed nothing; what it lacks
 * is room for its outputs mostly, so they are taken and it is asked once more. */
int cv_node_cluster_step(struct cv_node *node, struct cv_input *input)
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
    cv_node_cluster_step(node, &input);
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
    struct cv_gossip_conn *peer = cv_node_pool_use(node, &out->send.to);
    struct cv_slice bytes = out->send.bytes;
    int error;
    if (peer == NULL) { /* the core missed its end for want of memory */
        covey_node_id to = out->send.to;
        node->stats.gossip_shed++;
        cv_node_tell_disconnected(node, &to);
        return;
    }
    if (!out->send.reliable && bytes.size <= cv_quic_conn_datagram_size_max(peer->head.conn))
        error = cv_quic_conn_send_datagram(peer->head.conn, bytes);
    else
        error = send_on_stream(peer->head.conn, bytes);
    if (error != 0)
        node->stats.gossip_shed++;
}

static void do_output(struct cv_node *node, const struct cv_output *out)
{
    switch (out->type) {
    case CV_OUTPUT_SEND:
        do_send(node, out);
        break;
    case CV_OUTPUT_DIAL:
        cv_node_pool_dial(node, out);
        break;
    case CV_OUTPUT_CLOSE:
        cv_node_pool_close(node, out);
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
    cv_node_pool_fini(node);
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
        cv_node_cluster_step(node, &input);
    }
    node->cluster_is_dirty = false;
    drain(node);
    cv_node_pool_run(node); /* its answers are inputs: the next round takes their outputs */
    if (node->cluster_ends)
        cluster_end(node);
}

void cv_node_cluster_free(struct cv_node *node)
{
    assert(TAILQ_EMPTY(&node->peers));
    if (node->membership == NULL)
        return;
    cv_membership_free(node->membership);
    cv_node_pool_fini(node);
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
    cv_node_pool_init(node, config);
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
    node->now = now;
    node->wall_ms = wall_ms;
    int error = cv_node_cluster_step(node, input);
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
