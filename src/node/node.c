#include "node/internal.h"

#include <covey/error.h>

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Work makes work: a message makes a dial, a reply makes a write. More rounds than this in one turn
 * wait for the next, so that packets go out in between. */
#define ROUNDS_MAX 16

/* ---- connection heads ---- */

int cv_conn_head_init(struct cv_conn_head *head, struct cv_node *node, enum cv_conn_kind kind)
{
    int error = cv_heap_reserve(&node->timers, node->heads + 1);
    if (error != 0)
        return error;
    node->heads++;
    *head = (struct cv_conn_head){.kind = kind, .node = node};
    return 0;
}

void cv_conn_head_fini(struct cv_conn_head *head)
{
    cv_heap_clear(&head->node->timers, &head->timer);
    head->node->heads--;
}

static struct cv_link *link_of(struct cv_conn_head *head)
{
    return head != NULL && head->kind == CV_CONN_LINK ? (struct cv_link *)(void *)head : NULL;
}

static struct cv_gossip_conn *peer_of(struct cv_conn_head *head)
{
    return head != NULL && head->kind == CV_CONN_PEER ? (struct cv_gossip_conn *)(void *)head
                                                      : NULL;
}

/* ---- what the endpoint tells ---- */

static struct cv_conn_head *accept_conn(struct cv_node *node, struct cv_quic_conn *c)
{
    struct cv_conn_head *head = NULL;
    if (cv_quic_conn_alpn(c) == CV_ALPN_ID_RPC) {
        struct cv_link *link = cv_link_accept(node, c);
        head = link == NULL ? NULL : &link->head;
    } else {
        struct cv_gossip_conn *peer = cv_gossip_conn_accept(node, c);
        head = peer == NULL ? NULL : &peer->head;
    }
    cv_quic_conn_set_user(c, head);
    return head;
}

static void on_conn_ready(void *user, struct cv_quic_conn *c)
{
    struct cv_node *node = user;
    struct cv_conn_head *head = cv_quic_conn_user(c);
    if (head == NULL && !node->serves_calls && cv_quic_conn_alpn(c) == CV_ALPN_ID_RPC) {
        cv_quic_conn_close(c, CV_CLOSE_IDLE); /* the next connection will have another id */
        return;
    }
    if (head == NULL && (head = accept_conn(node, c)) == NULL) {
        cv_quic_conn_close(c, CV_CLOSE_LIMIT);
        return;
    }
    if (head->kind == CV_CONN_LINK)
        cv_link_connected(link_of(head));
    else
        cv_gossip_conn_connected(peer_of(head));
}

static void on_conn_retiring(void *user, struct cv_quic_conn *c)
{
    (void)user;
    struct cv_conn_head *head = cv_quic_conn_user(c);
    if (link_of(head) != NULL)
        cv_link_conn_retiring(link_of(head));
    else if (peer_of(head) != NULL)
        cv_gossip_conn_retire(peer_of(head));
}

/* A limit of the server's is no reason of the network's. */
static int error_of(const struct cv_quic_close *why)
{
    bool is_limit = why->by_peer && why->application && why->code == CV_CLOSE_LIMIT;
    return is_limit ? COVEY_ERR_LIMIT : why->error;
}

static void on_conn_closed(void *user, struct cv_quic_conn *c, const struct cv_quic_close *why)
{
    (void)user;
    struct cv_conn_head *head = cv_quic_conn_user(c);
    if (link_of(head) != NULL)
        cv_link_disconnected(link_of(head), error_of(why),
                             why->by_peer && why->application && why->code == CV_CLOSE_IDLE);
    else if (peer_of(head) != NULL)
        cv_gossip_conn_disconnected(peer_of(head), why->error);
}

static struct cv_conn_head *head_of_stream(const struct cv_quic_stream *s)
{
    return cv_quic_conn_user(cv_quic_stream_conn(s));
}

static void on_stream_opened(void *user, struct cv_quic_stream *s)
{
    (void)user;
    struct cv_conn_head *head = head_of_stream(s);
    if (link_of(head) != NULL)
        cv_link_stream_opened(link_of(head), s);
    else if (peer_of(head) != NULL)
        cv_gossip_conn_stream_opened(peer_of(head), s);
}

static void on_stream_data(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    (void)user;
    struct cv_conn_head *head = head_of_stream(s);
    if (link_of(head) != NULL)
        cv_link_stream_data(link_of(head), s, bytes, fin);
    else if (peer_of(head) != NULL)
        cv_gossip_conn_stream_data(peer_of(head), s, bytes, fin);
}

static void on_stream_reset(void *user, struct cv_quic_stream *s, uint64_t code)
{
    (void)user;
    struct cv_link *link = link_of(head_of_stream(s));
    if (link != NULL)
        cv_link_stream_event(link, s, CV_RPC_STREAM_RESET, code);
    else if (cv_quic_stream_is_accepted(s))
        cv_quic_stream_reset(s,
                             CV_CLOSE_DONE); /* half a gossip message: nobody waits for an answer */
}

static void on_stream_stopped(void *user, struct cv_quic_stream *s, uint64_t code)
{
    (void)user;
    struct cv_link *link = link_of(head_of_stream(s));
    if (link != NULL)
        cv_link_stream_event(link, s, CV_RPC_STREAM_STOPPED, code);
}

static void on_stream_writable(void *user, struct cv_quic_stream *s)
{
    (void)user;
    struct cv_link *link = link_of(head_of_stream(s));
    if (link != NULL)
        cv_link_stream_event(link, s, CV_RPC_STREAM_WRITABLE, 0);
}

static void on_stream_closed(void *user, struct cv_quic_stream *s)
{
    (void)user;
    struct cv_conn_head *head = head_of_stream(s);
    if (link_of(head) != NULL)
        cv_link_stream_event(link_of(head), s, CV_RPC_STREAM_CLOSED, 0);
    else if (peer_of(head) != NULL)
        cv_gossip_conn_stream_closed(peer_of(head), s);
}

static void on_streams_available(void *user, struct cv_quic_conn *c)
{
    (void)user;
    struct cv_link *link = link_of(cv_quic_conn_user(c));
    if (link != NULL)
        cv_link_streams_available(link);
}

static void on_datagram(void *user, struct cv_quic_conn *c, struct cv_slice bytes)
{
    (void)user;
    struct cv_gossip_conn *peer = peer_of(cv_quic_conn_user(c));
    if (peer != NULL)
        cv_gossip_conn_datagram(peer, bytes);
}

static const struct cv_quic_events quic_events = {
    .conn_ready = on_conn_ready,
    .conn_retiring = on_conn_retiring,
    .conn_closed = on_conn_closed,
    .stream_opened = on_stream_opened,
    .stream_data = on_stream_data,
    .stream_reset = on_stream_reset,
    .stream_stopped = on_stream_stopped,
    .stream_writable = on_stream_writable,
    .stream_closed = on_stream_closed,
    .streams_available = on_streams_available,
    .datagram = on_datagram,
};

/* ---- life ---- */

static int endpoint_new(struct cv_node *node, const struct cv_node_config *config)
{
    struct cv_quic_config quic = {
        .alloc = node->alloc,
        .buffers = node->buffers,
        .log = node->log,
        .tls = node->tls,
        .limits = config->quic_limits,
        .events = quic_events,
        .events_user = node,
        .accept = config->accept,
        .loop = config->loop,
        .loop_count = config->loop_count,
        .hand_over = config->hand_over,
        .hand_over_user = config->hand_over_user,
        .is_in_vain = cv_node_pool_is_in_vain,
        .is_in_vain_user = node,
        .random = config->random,
        .random_user = config->random_user,
    };
    if (config->secret != NULL)
        memcpy(quic.secret, config->secret, sizeof quic.secret);
    else
        config->random(config->random_user, quic.secret, sizeof quic.secret);
    return cv_quic_endpoint_new(&quic, &node->endpoint);
}

int cv_node_new(const struct cv_node_config *config, struct cv_node **out)
{
    struct cv_node *node = cv_allocate(config->alloc, sizeof *node);
    if (node == NULL)
        return COVEY_ERR_NO_MEMORY;
    memset(node, 0, offsetof(struct cv_node, shared)); /* it is the last and large */
    node->alloc = config->alloc;
    node->log = config->log;
    node->tls = config->tls;
    node->rpc_limits = config->rpc_limits;
    node->local = config->local;
    node->serves_cluster = config->loop == 0 || config->loop_count <= 1;
    node->serves_calls = config->loop > 0 || config->loop_count <= 1;
    node->events = config->events;
    node->events_user = config->events_user;
    node->random = config->random;
    node->random_user = config->random_user;
    cv_rpc_shared_init(&node->shared);
    node->rpc_limits.shared = &node->shared;
    cv_recycler_init(&node->recycler, node->alloc, config->memory_kept_max);
    node->buffers = config->buffers != NULL ? config->buffers : &node->recycler.alloc;
    cv_heap_init(&node->timers, node->alloc);
    uint64_t secret[2];
    config->random(config->random_user, secret, sizeof secret);
    cv_identities_init(&node->identities, node->alloc, secret, config->identity_connections_max);
    cv_node_links_init(node);
    cv_node_cluster_init(node);
    int error = endpoint_new(node, config);
    if (error != 0) {
        cv_node_free(node);
        return error;
    }
    *out = node;
    return 0;
}

void cv_node_free(struct cv_node *node)
{
    if (node == NULL)
        return;
    cv_quic_endpoint_free(node->endpoint);
    node->endpoint = NULL;
    cv_node_links_run(node);
    cv_node_links_free(node);
    cv_rpc_shared_fini(&node->shared, node->buffers);
    cv_node_cluster_free(node);
    cv_identities_fini(&node->identities);
    cv_heap_fini(&node->timers);
    cv_recycler_fini(&node->recycler);
    cv_release(node->alloc, node);
}

/* ---- one turn ---- */

void cv_node_receive(struct cv_node *node, const struct cv_datagram *d, covey_time now)
{
    node->now = now;
    cv_quic_endpoint_receive(node->endpoint, d, now);
}

void cv_node_unreachable(struct cv_node *node, const struct cv_address *remote, covey_time now)
{
    node->now = now;
    cv_quic_endpoint_unreachable(node->endpoint, remote, now);
}

static void run_timers(struct cv_node *node)
{
    struct cv_timer *timer;
    while ((timer = cv_heap_expire(&node->timers, node->now)) != NULL) {
        struct cv_conn_head *head = (struct cv_conn_head *)(void *)timer;
        if (head->kind == CV_CONN_LINK)
            cv_link_deadline(link_of(head));
        else
            cv_quic_conn_close(head->conn, CV_CLOSE_SUPERSEDED);
    }
}

void cv_node_act(struct cv_node *node, covey_time now, uint64_t wall_ms)
{
    node->now = now;
    node->wall_ms = wall_ms;
    cv_tls_set_wall_ms(node->tls, wall_ms);
    if (cv_quic_endpoint_deadline(node->endpoint) <= now)
        cv_quic_endpoint_expire(node->endpoint, now);
    run_timers(node);
    cv_node_links_close_due(node);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        cv_node_cluster_run(node);
        cv_node_links_run(node);
        if (!node->cluster_is_dirty && STAILQ_EMPTY(&node->dirty_links))
            break;
    }
    cv_node_cluster_publish(node);
}

void cv_node_write(struct cv_node *node, const struct cv_datagram_sink *sink, bool lazily)
{
    if (lazily)
        cv_quic_endpoint_flush_lazily(node->endpoint, sink, node->now);
    else
        cv_quic_endpoint_flush(node->endpoint, sink, node->now);
    node->turn++;
}

void cv_node_turn(struct cv_node *node, const struct cv_datagram_sink *sink, covey_time now,
                  uint64_t wall_ms)
{
    cv_node_act(node, now, wall_ms);
    cv_node_write(node, sink, false);
}

void cv_node_answer(struct cv_node *node, const struct cv_datagram_sink *sink, covey_time now)
{
    node->now = now;
    cv_node_links_run(node);
    cv_quic_endpoint_flush_small(node->endpoint, sink, now);
}

static covey_time earlier(covey_time a, covey_time b)
{
    return a < b ? a : b;
}

covey_time cv_node_deadline(const struct cv_node *node)
{
    if (cv_quic_endpoint_is_dirty(node->endpoint) || cv_node_links_are_dirty(node) ||
        node->cluster_is_dirty)
        return 0;
    covey_time deadline =
        earlier(cv_quic_endpoint_deadline(node->endpoint), cv_heap_deadline(&node->timers));
    if (node->membership != NULL)
        deadline = earlier(deadline, earlier(cv_membership_deadline(node->membership),
                                             cv_connection_pool_deadline(&node->pool)));
    return earlier(deadline, cv_node_publish_deadline(node));
}

int cv_node_deny(struct cv_node *node, const covey_node_id *ids, size_t count)
{
    int error = cv_tls_deny(node->tls, ids, count);
    if (error == 0)
        cv_quic_endpoint_close_denied(node->endpoint);
    return error;
}

void cv_node_stop_accepting(struct cv_node *node)
{
    cv_quic_endpoint_stop_accepting(node->endpoint);
}

void cv_node_close(struct cv_node *node)
{
    struct cv_gossip_conn *peer;
    cv_node_close_links(node, COVEY_ERR_CLOSED);
    TAILQ_FOREACH (peer, &node->peers, all)
        cv_quic_conn_close(peer->head.conn, CV_CLOSE_DONE);
    cv_node_stop_accepting(node);
}

void cv_node_stats(const struct cv_node *node, struct cv_node_stats *out)
{
    *out = node->stats;
}

const struct cv_quic_endpoint *cv_node_endpoint(const struct cv_node *node)
{
    return node->endpoint;
}
