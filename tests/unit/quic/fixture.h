#ifndef UNIT_QUIC_FIXTURE_H
#define UNIT_QUIC_FIXTURE_H

#include "quic/endpoint.h"
#include "support/test_alloc.h"
#include "support/test_pki.h"
#include "support/test_wire.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Two endpoints, a client and a server, on one wire, that write down what happens to them. */

#define CLUSTER "flock"
#define LONG    (60 * COVEY_SECOND)

struct peer {
    struct test_alloc alloc;
    struct cv_tls *tls;
    struct cv_quic_endpoint *endpoint;
    struct test_wire_port *port;
    struct cv_rand rand;
    /* what it does by itself */
    bool echoes;             /* writes back what it reads */
    bool keeps;              /* does not consume */
    bool collects;           /* keeps received bytes in `inbox` */
    uint64_t close_on_ready; /* with that code, when not 0 */
    /* what happened */
    uint64_t ready, retiring, closed, opened, stream_closed, resets, stops, writable, available,
        datagrams;
    uint64_t fins, received;
    uint64_t reset_code, stop_code;
    struct cv_quic_close why;
    struct cv_identity identity;
    struct cv_quic_conn *conn;     /* the last one ready; NULL after its end */
    struct cv_quic_stream *stream; /* the last one opened by the other side */
    uint8_t *inbox;
    uint8_t datagram[1500];
    size_t datagram_size;
};

struct net {
    struct test_wire wire;
    struct peer client;
    struct peer server;
};

static struct test_pki pki;
static struct cv_pki_pair client_pair;
static struct cv_pki_pair server_pair;

static inline void on_ready(void *user, struct cv_quic_conn *c)
{
    struct peer *p = user;
    p->ready++;
    p->conn = c;
    assert_true(cv_quic_conn_is_ready(c));
    assert_non_null(cv_quic_conn_peer(c));
    p->identity = *cv_quic_conn_peer(c);
    if (p->close_on_ready != 0)
        cv_quic_conn_close(c, p->close_on_ready);
}

static inline void on_retiring(void *user, struct cv_quic_conn *c)
{
    struct peer *p = user;
    p->retiring++;
    assert_true(cv_quic_conn_is_ready(c));
    assert_true(cv_quic_conn_is_retiring(c));
}

static inline void on_closed(void *user, struct cv_quic_conn *c, const struct cv_quic_close *why)
{
    struct peer *p = user;
    p->closed++;
    p->why = *why;
    if (p->conn == c)
        p->conn = NULL;
}

static inline void on_opened(void *user, struct cv_quic_stream *s)
{
    struct peer *p = user;
    assert_int_equal(p->ready > 0, 1);
    assert_true(cv_quic_stream_is_accepted(s));
    p->opened++;
    p->stream = s;
}

static inline void on_data(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    struct peer *p = user;
    if (p->collects && bytes.size > 0)
        memcpy(p->inbox + p->received, bytes.data, bytes.size);
    p->received += bytes.size;
    p->fins += fin;
    if (p->echoes && (bytes.size > 0 || fin))
        assert_int_equal(cv_quic_stream_write(s, bytes, fin), 0);
    if (!p->keeps)
        cv_quic_stream_consume(s, bytes.size, bytes.size);
}

static inline void on_reset(void *user, struct cv_quic_stream *s, uint64_t code)
{
    struct peer *p = user;
    (void)s;
    p->resets++;
    p->reset_code = code;
}

static inline void on_stopped(void *user, struct cv_quic_stream *s, uint64_t code)
{
    struct peer *p = user;
    (void)s;
    p->stops++;
    p->stop_code = code;
}

static inline void on_writable(void *user, struct cv_quic_stream *s)
{
    struct peer *p = user;
    (void)s;
    p->writable++;
}

static inline void on_stream_closed(void *user, struct cv_quic_stream *s)
{
    struct peer *p = user;
    p->stream_closed++;
    if (p->stream == s)
        p->stream = NULL;
}

static inline void on_available(void *user, struct cv_quic_conn *c)
{
    struct peer *p = user;
    (void)c;
    p->available++;
}

static inline void on_datagram(void *user, struct cv_quic_conn *c, struct cv_slice bytes)
{
    struct peer *p = user;
    (void)c;
    p->datagrams++;
    p->datagram_size = bytes.size;
    if (bytes.size > 0)
        memcpy(p->datagram, bytes.data, bytes.size);
}

static inline void peer_random(void *user, void *memory, size_t size)
{
    struct peer *p = user;
    cv_rand_bytes(&p->rand, memory, size);
}

static inline struct cv_quic_config peer_config(struct peer *p, bool accept)
{
    struct cv_quic_config config = {.alloc = &p->alloc.alloc,
                                    .tls = p->tls,
                                    .events = {.conn_ready = on_ready,
                                               .conn_retiring = on_retiring,
                                               .conn_closed = on_closed,
                                               .stream_opened = on_opened,
                                               .stream_data = on_data,
                                               .stream_reset = on_reset,
                                               .stream_stopped = on_stopped,
                                               .stream_writable = on_writable,
                                               .stream_closed = on_stream_closed,
                                               .streams_available = on_available,
                                               .datagram = on_datagram},
                                    .events_user = p,
                                    .accept = accept,
                                    .loop = accept ? 7 : 0,
                                    .random = peer_random,
                                    .random_user = p,
                                    .secret = "a secret of 32 bytes for tokens"};
    cv_quic_limits_init(&config.limits);
    return config;
}

/* A peer with a certificate, not yet an endpoint. */
static inline void peer_init(struct peer *p, const struct test_pki *ca,
                             const struct cv_pki_pair *pair, uint64_t seed)
{
    memset(p, 0, sizeof(*p));
    test_alloc_init(&p->alloc);
    cv_rand_seed(&p->rand, seed);
    test_pki_tls_of(ca, pair, &p->alloc.alloc, &p->tls);
}

static inline void peer_start(struct net *n, struct peer *p, const struct cv_quic_config *config)
{
    assert_int_equal(cv_quic_endpoint_new(config, &p->endpoint), 0);
    p->port = test_wire_add(&n->wire, p->endpoint);
}

static inline void peer_fini(struct peer *p)
{
    cv_quic_endpoint_free(p->endpoint);
    p->endpoint = NULL;
    if (p->port != NULL)
        p->port->endpoint = NULL;
    cv_tls_free(p->tls);
    free(p->inbox);
    test_alloc_assert_empty(&p->alloc);
}

/* The server has address 0, the client address 1. */
static inline void net_init(struct net *n)
{
    test_wire_init(&n->wire, 1);
    peer_init(&n->server, &pki, &server_pair, 2);
    peer_init(&n->client, &pki, &client_pair, 3);
}

static inline void net_start(struct net *n)
{
    struct cv_quic_config server = peer_config(&n->server, true);
    struct cv_quic_config client = peer_config(&n->client, false);
    peer_start(n, &n->server, &server);
    peer_start(n, &n->client, &client);
}

static inline void net_fini(struct net *n)
{
    peer_fini(&n->client);
    peer_fini(&n->server);
    test_wire_fini(&n->wire);
}

static inline struct cv_quic_conn *net_dial(struct net *n, enum cv_alpn alpn,
                                            const covey_node_id *expected)
{
    struct cv_quic_conn *c = NULL;
    struct cv_quic_dial dial = {
        .remote = test_wire_address(0), .alpn = alpn, .expected = expected, .user = n};
    assert_int_equal(cv_quic_endpoint_dial(n->client.endpoint, &dial, n->wire.now, &c), 0);
    assert_non_null(c);
    return c;
}

/* Two endpoints with a connection between them, ready on both sides. */
static inline void net_connect(struct net *n)
{
    net_init(n);
    net_start(n);
    net_dial(n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n->wire, &n->client.ready, 1, LONG));
    assert_true(test_wire_wait(&n->wire, &n->server.ready, 1, LONG));
}

static inline struct cv_quic_stats stats_of(const struct peer *p)
{
    struct cv_quic_stats stats;
    cv_quic_endpoint_stats(p->endpoint, &stats);
    return stats;
}

static inline struct cv_quic_stream *open_stream(struct peer *p)
{
    struct cv_quic_stream *s = NULL;
    assert_int_equal(cv_quic_conn_open(p->conn, &s), 0);
    return s;
}

static inline void write_text(struct cv_quic_stream *s, const char *text, bool fin)
{
    assert_int_equal(cv_quic_stream_write(s, cv_slice_text(text), fin), 0);
}

static inline int make_certificates(void **state)
{
    (void)state;
    test_pki_init(&pki, CLUSTER);
    test_pki_issue(&pki, "client", CV_ROLE_MEMBER, &client_pair);
    test_pki_issue(&pki, "server", CV_ROLE_MEMBER, &server_pair);
    return 0;
}

#endif
