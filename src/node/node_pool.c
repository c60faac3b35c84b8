/*
 * The connections that gossip travels on. The core decides whom to be connected with and whom no longer
 * (cluster/links.h); the pool which connection speaks for a peer, whether one more is dialled, and what
 * gives way when there are too many (transport/connection_pool.h). Here is what both want done.
 */
#include "node/internal.h"

#include <covey/error.h>

#include <stddef.h>

/* A superseded connection still carries what its peer had sent before it knew. */
#define SUPERSEDED_TTL (2 * COVEY_SECOND)
/* For a dial with all that it may have to wait for. A handshake that takes longer goes on, for who asks
 * again. */
#define DIAL_MAX (6 * COVEY_SECOND)

/* A dial of the core's. */
struct cv_gossip_dial {
    struct cv_pool_waiter waiter; /* first: an answer names it */
    uint32_t number;
    LIST_ENTRY(cv_gossip_dial) all;
};

static struct cv_gossip_conn *conn_of(struct cv_pooled *pooled)
{
    return pooled == NULL
               ? NULL
               : (struct cv_gossip_conn *)(void *)((unsigned char *)pooled -
                                                   offsetof(struct cv_gossip_conn, pooled));
}

/* ---- what the core is told ---- */

void cv_node_tell_disconnected(struct cv_node *node, const covey_node_id *id)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED, .disconnected = {.peer = *id}};
    cv_node_cluster_step(node, &input);
}

static void tell_dial_failed(struct cv_node *node, uint32_t dial, int error)
{
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED,
                             .dial_failed = {.dial = dial, .error = error}};
    cv_node_cluster_step(node, &input);
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
    int error = cv_node_cluster_step(peer->head.node, &input);
    peer->is_told = peer->is_told || error == 0;
    return error;
}

/* ---- connections ---- */

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

static int peer_dial(struct cv_node *node, const struct cv_address *remote,
                     const covey_node_id *expected, struct cv_pool_slot *slot)
{
    struct cv_gossip_conn *peer = peer_new(node);
    if (peer == NULL)
        return COVEY_ERR_NO_MEMORY;
    peer->dial = slot;
    if (slot != NULL)
        cv_connection_pool_begun(slot, peer);
    const struct cv_quic_dial dial = {
        .local = node->local,
        .remote = *remote,
        .alpn = CV_ALPN_ID_CLUSTER,
        .expected = expected,
        .user = &peer->head,
    };
    int error = cv_quic_endpoint_dial(node->endpoint, &dial, node->now, &peer->head.conn);
    if (error != 0)
        peer_free(peer);
    return error;
}

struct cv_gossip_conn *cv_gossip_conn_accept(struct cv_node *node, struct cv_quic_conn *c)
{
    struct cv_gossip_conn *peer = peer_new(node);
    if (peer != NULL)
        peer->head.conn = c;
    return peer;
}

/* The pool has answers, or the membership ended: the next round looks. */
static void dial_failed(struct cv_gossip_conn *peer, int error)
{
    struct cv_node *node = peer->head.node;
    struct cv_pool_slot *slot = peer->dial;
    peer->dial = NULL;
    if (slot == NULL || node->membership == NULL)
        return;
    cv_connection_pool_failed(&node->pool, slot, error);
    node->cluster_is_dirty = true;
}

static void refuse(struct cv_gossip_conn *peer, uint64_t code, int error)
{
    peer->head.node->stats.connections_refused++;
    cv_quic_conn_close(peer->head.conn, code);
    dial_failed(peer, error);
}

static void supersede(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    cv_heap_set(&node->timers, &peer->head.timer, node->now + SUPERSEDED_TTL);
}

/* Tells the pool of dials that got an answer, before it judges them. */
static void look_at_dials(struct cv_node *node)
{
    struct cv_gossip_conn *peer;
    TAILQ_FOREACH (peer, &node->peers, all)
        if (peer->dial != NULL && cv_quic_conn_was_heard(peer->head.conn))
            cv_connection_pool_heard(peer->dial);
}

/* Which of the peer's connections speaks for it now? */
static void enter_pool(struct cv_gossip_conn *peer, const covey_node_id *id)
{
    struct cv_node *node = peer->head.node;
    struct cv_pool_offer offer = {
        .slot = peer->dial,
        .peer = *id,
        .address = cv_quic_conn_remote(peer->head.conn),
        .connection = &peer->pooled,
        .accepted = cv_quic_conn_is_accepted(peer->head.conn),
    };
    peer->dial = NULL;
    node->cluster_is_dirty = true;
    look_at_dials(node);
    int error = cv_connection_pool_connected(&node->pool, &offer, node->now);
    if (error != 0) {
        refuse(peer, CV_CLOSE_LIMIT, error);
        return;
    }
    peer->is_ready = true;
    if (offer.verdict == CV_POOL_KEPT) {
        supersede(peer);
        return;
    }
    if (offer.verdict == CV_POOL_REPLACED)
        supersede(conn_of(offer.loser));
    cv_node_pool_run(node); /* its answers to those who asked for it; and for all others: */
    if (!peer->is_told && peer->pooled.slot != NULL)
        error = tell_connected(peer, 0);
    if (error != 0) {
        cv_connection_pool_closed(&node->pool, &peer->pooled);
        refuse(peer, CV_CLOSE_LIMIT, error);
    }
}

void cv_gossip_conn_connected(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    const covey_node_id id = cv_quic_conn_peer(peer->head.conn)->id;
    if (node->membership == NULL || node->cluster_ends)
        refuse(peer, CV_CLOSE_UNWANTED, COVEY_ERR_STATE);
    else if (cv_node_id_equal(&id, &cv_tls_identity(node->tls)->id))
        refuse(peer, CV_CLOSE_UNWANTED, COVEY_ERR_WRONG_IDENTITY);
    else
        enter_pool(peer, &id);
}

void cv_gossip_conn_disconnected(struct cv_gossip_conn *peer, int error)
{
    struct cv_node *node = peer->head.node;
    if (node->membership != NULL && peer->is_ready) {
        covey_node_id id = cv_quic_conn_peer(peer->head.conn)->id;
        if (cv_connection_pool_closed(&node->pool, &peer->pooled))
            cv_node_tell_disconnected(node, &id);
    } else {
        dial_failed(peer, error == 0 ? COVEY_ERR_CONNECTION_LOST : error);
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
    const struct cv_address remote = cv_quic_conn_remote(peer->head.conn);
    if (node->membership == NULL || node->cluster_ends || peer->pooled.slot == NULL)
        return;
    (void)peer_dial(node, &remote, &id, NULL);
}

/* ---- what the core wants ---- */

/* Nobody gets it from now on. */
static void give_up(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    const covey_node_id id = cv_quic_conn_peer(peer->head.conn)->id;
    cv_connection_pool_closed(&node->pool, &peer->pooled);
    cv_quic_conn_close(peer->head.conn, CV_CLOSE_DONE);
    cv_node_tell_disconnected(node, &id);
}

struct cv_gossip_conn *cv_node_pool_use(struct cv_node *node, const covey_node_id *peer)
{
    struct cv_pooled *pooled = cv_connection_pool_get(&node->pool, peer);
    if (pooled != NULL)
        cv_connection_pool_touch(&node->pool, pooled, node->now);
    return conn_of(pooled);
}

/* The core needs no lease: it hears of the end of what it is connected with. */
static void answer_dial(struct cv_node *node, uint32_t number, struct cv_pooled *pooled, int error)
{
    if (error == 0)
        error = tell_connected(conn_of(pooled), number);
    if (pooled != NULL)
        cv_connection_pool_release(&node->pool, pooled, node->now);
    if (error != 0)
        tell_dial_failed(node, number, error);
}

void cv_node_pool_dial(struct cv_node *node, const struct cv_output *out)
{
    const uint32_t number = out->dial.dial;
    const struct cv_pool_wish wish = {
        .has_id = out->dial.has_expected,
        .id = out->dial.expected,
        .address = out->dial.address,
        .is_pinned = out->dial.has_expected && !out->dial.is_hearsay &&
                     cv_membership_keeps(node->membership, &out->dial.expected),
        .is_coming = out->dial.has_expected &&
                     cv_quic_endpoint_is_accepting(node->endpoint, &out->dial.address),
        .is_modest = out->dial.is_hearsay,
    };
    struct cv_pooled *pooled = NULL;
    struct cv_gossip_dial *dial = cv_allocate(node->alloc, sizeof *dial);
    int error = COVEY_ERR_NO_MEMORY;
    if (dial != NULL)
        error = cv_connection_pool_acquire(&node->pool, &wish, node->now, node->now + DIAL_MAX,
                                           &dial->waiter, &pooled);
    if (error == 0 && pooled == NULL) {
        dial->number = number;
        LIST_INSERT_HEAD(&node->dials, dial, all);
        return;
    }
    cv_release(node->alloc, dial);
    answer_dial(node, number, pooled, error);
}

void cv_node_pool_close(struct cv_node *node, const struct cv_output *out)
{
    const covey_node_id id = out->close.peer;
    struct cv_gossip_conn *peer = conn_of(cv_connection_pool_get(&node->pool, &id));
    if (peer != NULL)
        give_up(peer);
    else
        cv_node_tell_disconnected(node, &id);
}

/* ---- what the pool wants ---- */

static void abandon(struct cv_node *node, const struct cv_pool_slot *slot)
{
    struct cv_gossip_conn *peer;
    TAILQ_FOREACH (peer, &node->peers, all) {
        if (peer->dial != slot)
            continue;
        peer->dial = NULL;
        cv_quic_conn_close(peer->head.conn, CV_CLOSE_SUPERSEDED);
        return;
    }
}

/* One that is to be looked at a second time was pinged since: silence means death. */
static void check(struct cv_gossip_conn *peer)
{
    struct cv_node *node = peer->head.node;
    const covey_time interval = node->pool.config.check_interval;
    if (!peer->is_watched) {
        peer->is_watched = true;
        cv_quic_conn_set_keep_alive(peer->head.conn, interval / 2);
    } else if (node->now - cv_quic_conn_heard_at(peer->head.conn) >= interval) {
        node->stats.connections_dead++;
        give_up(peer);
    }
}

/* One that had to wait may have been for a neighbour that others took the place of. */
static void begin_dial(struct cv_node *node, const struct cv_pool_output *out)
{
    if (out->is_pinned && out->has_id && !cv_membership_wants(node->membership, &out->id)) {
        cv_connection_pool_forgo(&node->pool, out->slot);
        return;
    }
    int error = peer_dial(node, &out->address, out->has_id ? &out->id : NULL, out->slot);
    if (error != 0)
        cv_connection_pool_failed(&node->pool, out->slot, error);
}

static void do_pool_output(struct cv_node *node, const struct cv_pool_output *out)
{
    switch (out->type) {
    case CV_POOL_DIAL:
        begin_dial(node, out);
        break;
    case CV_POOL_ABANDON:
        abandon(node, out->slot);
        break;
    case CV_POOL_ANSWER: {
        struct cv_gossip_dial *dial = (struct cv_gossip_dial *)(void *)out->waiter;
        const struct cv_gossip_dial copy = *dial;
        LIST_REMOVE(dial, all);
        cv_release(node->alloc, dial);
        answer_dial(node, copy.number, copy.waiter.connection, copy.waiter.error);
        break;
    }
    case CV_POOL_CLOSE:
        give_up(conn_of(out->connection));
        break;
    case CV_POOL_CHECK:
        check(conn_of(out->connection));
        break;
    }
}

/* The core's mind may have changed since the dials. */
static void pin_again(struct cv_node *node)
{
    struct cv_gossip_conn *peer;
    TAILQ_FOREACH (peer, &node->peers, all) {
        if (!peer->is_ready || peer->pooled.slot == NULL)
            continue;
        const covey_node_id *id = &cv_quic_conn_peer(peer->head.conn)->id;
        cv_connection_pool_pin(&node->pool, id, cv_membership_keeps(node->membership, id));
    }
}

void cv_node_pool_run(struct cv_node *node)
{
    struct cv_pool_output out;
    if (node->now >= node->pool.check_at)
        pin_again(node);
    if (node->now >= cv_connection_pool_deadline(&node->pool))
        cv_connection_pool_expire(&node->pool, node->now);
    if (cv_connection_pool_wants_to_dial(&node->pool))
        look_at_dials(node);
    while (cv_connection_pool_poll(&node->pool, node->now, &out))
        do_pool_output(node, &out);
}

bool cv_node_pool_is_in_vain(void *user, const struct cv_address *remote)
{
    struct cv_node *node = user;
    if (node->membership == NULL)
        return false;
    struct cv_pool_slot *slot;
    const struct cv_gossip_conn *peer = cv_connection_pool_dialler(&node->pool, remote, &slot);
    if (peer != NULL && cv_quic_conn_was_heard(peer->head.conn))
        cv_connection_pool_heard(slot);
    return cv_connection_pool_is_in_vain(&node->pool, remote, node->now);
}

/* ---- life ---- */

void cv_node_pool_init(struct cv_node *node, const struct cv_membership_config *config)
{
    struct cv_pool_config pool;
    cv_pool_config_init(&pool);
    pool.accepted_max = config->members_max;
    cv_connection_pool_init(&node->pool, node->alloc, &cv_tls_identity(node->tls)->id,
                            config->hash_secret, &pool);
}

void cv_node_pool_fini(struct cv_node *node)
{
    struct cv_gossip_dial *dial;
    struct cv_gossip_conn *peer;
    while ((dial = LIST_FIRST(&node->dials)) != NULL) {
        LIST_REMOVE(dial, all);
        cv_release(node->alloc, dial);
    }
    TAILQ_FOREACH (peer, &node->peers, all)
        peer->dial = NULL;
    cv_connection_pool_fini(&node->pool);
}

void cv_node_pool_stats(const struct cv_node *node, struct cv_pool_stats *out)
{
    *out = node->membership == NULL ? (struct cv_pool_stats){0} : node->pool.stats;
}
