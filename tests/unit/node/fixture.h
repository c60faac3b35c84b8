#ifndef UNIT_NODE_FIXTURE_H
#define UNIT_NODE_FIXTURE_H

#include "node/node.h"
#include "support/test_alloc.h"
#include "support/test_pki.h"
#include "support/test_wire.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/*
 * Whole nodes, real TLS and all, on a network in memory and in virtual time.
 */
#define NODES_MAX 5

struct station {
    struct test_alloc alloc;
    struct cv_tls *tls;
    struct cv_node *node;
    struct test_wire_port *port;
    struct test_wire_station wire_station;
    struct cv_rand rand;
    covey_node_id id;
    /* what it does */
    bool echoes;
    /* what happened */
    enum cv_membership_state state;
    int state_error;
    uint64_t joined, left, failed, recovered, changed, ended;
    uint64_t seen_events, shown_events; /* all of them, and as of the last change */
    uint64_t run;                       /* of a health check, the last one's number */
    bool refuses_changes;
    uint64_t calls, cancelled, statuses, refused, ready, retiring, closed;
    struct cv_link *link; /* for new calls; NULL once it retires or is closed */
    int closed_error;
    enum covey_status_code code;
    char text[128];
    uint8_t reply[256]; /* when it fits */
    size_t reply_size;
};

struct net {
    struct test_wire wire;
    struct test_pki pki;
    struct station stations[NODES_MAX];
    size_t count;
    covey_time age_max; /* of connections of the next node; 0: the default */
    void (*configure)(struct cv_node_config *config); /* each node, or NULL */
};

/* ---- what a node tells ---- */

static inline void on_resolve(void *user, uint32_t resolve, const char *name)
{
    struct station *s = user;
    struct cv_address address;
    covey_time now = s->port->wire->now;
    assert_int_equal(cv_address_parse(&address, name), 0);
    cv_node_resolved(s->node, resolve, 0, &address, 1, now, TEST_WALL_MS);
}

static inline void on_event(void *user, const struct cv_event *event)
{
    struct station *s = user;
    s->joined += event->type == COVEY_EVENT_NODE_JOINED;
    s->left += event->type == COVEY_EVENT_NODE_LEFT;
    s->failed += event->type == COVEY_EVENT_NODE_FAILED;
    s->recovered += event->type == COVEY_EVENT_NODE_RECOVERED;
    s->seen_events++;
    cv_cluster_node_release(event->node);
}

static inline void on_state(void *user, enum cv_membership_state state, int error)
{
    struct station *s = user;
    s->state = state;
    s->state_error = error;
}

static inline bool on_changed(void *user)
{
    struct station *s = user;
    s->changed++;
    if (!s->refuses_changes)
        s->shown_events = s->seen_events;
    return !s->refuses_changes;
}

static inline void on_run_check(void *user, uint64_t run, void *check)
{
    struct station *s = user;
    (void)check;
    s->run = run;
}

static inline void on_ended(void *user)
{
    struct station *s = user;
    s->ended++;
}

static inline void finish_call(struct station *s, struct cv_link *link, struct cv_rpc_call *call)
{
    struct cv_rpc_input finish = {.type = CV_RPC_FINISH, .now = s->port->wire->now, .call = call};
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE, .now = s->port->wire->now, .call = call};
    cv_link_step(link, &finish);
    cv_link_step(link, &release);
}

static inline void on_message(struct station *s, struct cv_link *link,
                              const struct cv_rpc_output *event)
{
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = s->port->wire->now,
                                .call = event->call,
                                .send = {.message = event->message}};
    struct cv_rpc_input read = {.type = CV_RPC_READ,
                                .now = s->port->wire->now,
                                .call = event->call,
                                .read = {.size = event->message.size}};
    bool is_client = cv_rpc_call_is_client(event->call);
    if (is_client) {
        s->reply_size = event->message.size;
        if (event->message.size > 0 && event->message.size <= sizeof s->reply)
            memcpy(s->reply, event->message.data, event->message.size);
    } else if (s->echoes) {
        assert_int_equal(cv_link_step(link, &send), 0);
    }
    cv_link_step(link, &read);
    if (!is_client && s->echoes)
        finish_call(s, link, event->call);
}

static inline void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    struct station *s = user;
    struct cv_rpc_input release = {
        .type = CV_RPC_RELEASE, .now = s->port->wire->now, .call = event->call};
    switch (event->type) {
    case CV_RPC_EVENT_CALL:
        s->calls++;
        break;
    case CV_RPC_EVENT_MESSAGE:
        on_message(s, link, event);
        break;
    case CV_RPC_EVENT_STATUS:
        s->statuses++;
        s->refused += event->end.status.code != COVEY_STATUS_OK;
        s->code = event->end.status.code;
        snprintf(s->text, sizeof s->text, "%.*s", (int)event->end.status.message.size,
                 event->end.status.message.size == 0
                     ? ""
                     : (const char *)event->end.status.message.data);
        cv_link_step(link, &release);
        break;
    case CV_RPC_EVENT_CANCELLED:
        s->cancelled++;
        finish_call(s, link, event->call);
        break;
    default:
        break;
    }
}

static inline void on_link_ready(void *user, struct cv_link *link)
{
    struct station *s = user;
    s->ready++;
    assert_non_null(cv_link_peer(link));
}

static inline void on_link_closed(void *user, struct cv_link *link, int error)
{
    struct station *s = user;
    s->closed++;
    s->closed_error = error;
    if (s->link == link)
        s->link = NULL;
}

static inline void on_link_retiring(void *user, struct cv_link *link)
{
    struct station *s = user;
    s->retiring++;
    assert_true(cv_link_is_retiring(link));
    if (s->link == link)
        s->link = NULL;
}

/* ---- on the wire ---- */

static inline void station_receive(void *user, const struct cv_datagram *d, covey_time now)
{
    struct station *s = user;
    cv_node_receive(s->node, d, now);
}

static inline void station_turn(void *user, const struct cv_datagram_sink *sink, covey_time now)
{
    struct station *s = user;
    cv_node_turn(s->node, sink, now, TEST_WALL_MS + now / COVEY_MILLISECOND);
}

static inline covey_time station_deadline(void *user)
{
    struct station *s = user;
    return cv_node_deadline(s->node);
}

static inline void station_random(void *user, void *memory, size_t size)
{
    struct station *s = user;
    cv_rand_bytes(&s->rand, memory, size);
}

static inline struct cv_node_config station_config(struct station *s)
{
    struct cv_node_config config = {
        .alloc = &s->alloc.alloc,
        .tls = s->tls,
        .local = s->port->address,
        .accept = true,
        .random = station_random,
        .random_user = s,
        .events = {.resolve = on_resolve,
                   .cluster_event = on_event,
                   .cluster_state = on_state,
                   .cluster_changed = on_changed,
                   .cluster_ended = on_ended,
                   .run_check = on_run_check,
                   .link = {.call = on_call,
                            .ready = on_link_ready,
                            .closed = on_link_closed,
                            .retiring = on_link_retiring}},
        .events_user = s,
    };
    cv_quic_limits_init(&config.quic_limits);
    cv_rpc_limits_init(&config.rpc_limits);
    return config;
}

/* A node with the certificate `pair` at the next free address. */
static inline struct station *net_add(struct net *n, const struct cv_pki_pair *pair)
{
    struct station *s = &n->stations[n->count];
    memset(s, 0, sizeof *s);
    test_alloc_init(&s->alloc);
    cv_rand_seed(&s->rand, 100 + n->count);
    test_pki_tls_of(&n->pki, pair, &s->alloc.alloc, &s->tls);
    s->id = cv_tls_identity(s->tls)->id;
    s->port = test_wire_add(&n->wire, NULL);
    s->wire_station = (struct test_wire_station){
        .receive = station_receive, .turn = station_turn, .deadline = station_deadline, .user = s};
    struct cv_node_config config = station_config(s);
    if (n->age_max != 0)
        config.quic_limits.age_max = n->age_max;
    if (n->configure != NULL)
        n->configure(&config);
    assert_int_equal(cv_node_new(&config, &s->node), 0);
    s->port->station = &s->wire_station;
    n->count++;
    return s;
}

static inline struct station *net_add_named(struct net *n, const char *name, enum cv_role role)
{
    struct cv_pki_pair pair;
    test_pki_issue(&n->pki, name, role, &pair);
    return net_add(n, &pair);
}

static inline void net_init(struct net *n)
{
    memset(n, 0, sizeof *n);
    test_wire_init(&n->wire, 1);
    test_pki_init(&n->pki, "flock");
}

/* Gives a node that runs other certificates and CAs; its key stays. */
static inline void station_reload(struct station *s, const char *ca_pem,
                                  const struct cv_pki_pair *pair)
{
    char reason[CV_TLS_REASON_SIZE];
    struct cv_tls_config config = {
        .ca_pem = cv_slice_text(ca_pem),
        .cert_pem = cv_slice_text(pair->cert_pem),
        .key_pem = cv_slice_text(pair->key_pem),
        .wall_ms = TEST_WALL_MS + s->port->wire->now / COVEY_MILLISECOND,
    };
    assert_int_equal(cv_tls_reload(s->tls, &config, CV_TLS_RENEW, reason), 0);
}

static inline struct cv_quic_stats station_stats(const struct station *s)
{
    struct cv_quic_stats stats;
    cv_quic_endpoint_stats(cv_node_endpoint(s->node), &stats);
    return stats;
}

/* As by SIGKILL: nobody is told, nothing is left. */
static inline void station_kill(struct station *s)
{
    s->port->station = NULL;
    cv_node_free(s->node);
    s->node = NULL;
    cv_tls_free(s->tls);
    test_alloc_assert_empty(&s->alloc);
}

static inline void net_fini(struct net *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->stations[i].node != NULL)
            station_kill(&n->stations[i]);
    test_wire_fini(&n->wire);
}

/* Membership with the local profile; `seed` is NULL for the first node. */
static inline void station_join(struct station *s, const struct station *seed)
{
    struct cv_membership_config config;
    char text[CV_ADDRESS_TEXT_SIZE];
    const char *seeds[1] = {text};
    cv_membership_config_init(&config, CV_PROFILE_LOCAL);
    config.address = s->port->address;
    config.seed = 7;
    config.wall_ms = TEST_WALL_MS;
    if (seed != NULL) {
        cv_address_text(&seed->port->address, text);
        config.seeds = seeds;
        config.seed_count = 1;
    }
    assert_int_equal(cv_node_enable_cluster(s->node, &config, s->port->wire->now), 0);
}

#endif
