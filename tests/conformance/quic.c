/* Two whole nodes with real TLS on a network in memory. */
#include "conformance/counting_alloc.h"
#include "conformance/transport.h"
#include "node/internal.h"
#include "support/test_pki.h"
#include "support/test_wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <covey/error.h>

#define CUT_CODE 99

struct end {
    struct transport *transport;
    int side;
    struct counting_alloc memory;
    struct cv_rand rand;
    struct cv_tls *tls;
    struct cv_node *node;
    struct test_wire_port *port;
    struct test_wire_station station;
    struct cv_link *link; /* the server's comes with its first call */
    bool ready;
};

struct transport {
    struct transport_config config;
    struct test_wire wire;
    struct end ends[2];
    bool closed;
};

/* ---- what a node tells ---- */

static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    struct end *e = user;
    e->link = link;
    e->transport->config.event(e->transport->config.user, e->side, event);
}

static void on_ready(void *user, struct cv_link *link)
{
    struct end *e = user;
    (void)link;
    e->ready = true;
}

static void on_closed(void *user, struct cv_link *link, int error)
{
    struct end *e = user;
    (void)link;
    (void)error;
    e->transport->closed = true;
}

/* ---- on the wire ---- */

static void receive(void *user, const struct cv_datagram *d, covey_time now)
{
    struct end *e = user;
    cv_node_receive(e->node, d, now);
}

static void turn(void *user, const struct cv_datagram_sink *sink, covey_time now)
{
    struct end *e = user;
    cv_node_turn(e->node, sink, now, TEST_WALL_MS + now / COVEY_MILLISECOND);
}

static covey_time deadline(void *user)
{
    struct end *e = user;
    return cv_node_deadline(e->node);
}

static void fill_random(void *user, void *memory, size_t size)
{
    struct end *e = user;
    cv_rand_bytes(&e->rand, memory, size);
}

/* ---- life ---- */

static void end_init(struct transport *t, int side, const struct test_pki *pki)
{
    struct end *e = &t->ends[side];
    struct cv_pki_pair pair;
    *e = (struct end){.transport = t, .side = side};
    counting_alloc_init(&e->memory);
    cv_rand_seed(&e->rand, t->config.seed + (uint64_t)side);
    test_pki_issue(pki, side == SERVER ? "server" : "client",
                   side == SERVER ? CV_ROLE_MEMBER : CV_ROLE_CLIENT, &pair);
    test_pki_tls_of(pki, &pair, &e->memory.alloc, &e->tls);
    e->port = test_wire_add(&t->wire, NULL);
    struct cv_node_config config = {
        .alloc = &e->memory.alloc,
        .tls = e->tls,
        .rpc_limits = t->config.limits[side],
        .local = e->port->address,
        .accept = side == SERVER,
        .random = fill_random,
        .random_user = e,
        .events = {.link = {.call = on_call, .ready = on_ready, .closed = on_closed}},
        .events_user = e,
    };
    cv_quic_limits_init(&config.quic_limits);
    config.quic_limits.streams_max = t->config.streams_max;
    assert_int_equal(cv_node_new(&config, &e->node), 0);
    e->station = (struct test_wire_station){
        .receive = receive, .turn = turn, .deadline = deadline, .user = e};
    e->port->station = &e->station;
}

struct transport *transport_new(const struct transport_config *config)
{
    static struct test_pki pki;
    struct transport *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->config = *config;
    test_wire_init(&t->wire, config->seed);
    if (pki.ca.cert_pem[0] == '\0')
        test_pki_init(&pki, "flock");
    end_init(t, CLIENT, &pki);
    end_init(t, SERVER, &pki);

    struct end *client = &t->ends[CLIENT];
    const struct cv_address *remote = &t->ends[SERVER].port->address;
    assert_int_equal(cv_link_new(client->node, NULL, &client->link), 0);
    assert_int_equal(cv_link_dial(client->link, remote, 1, NULL, t->wire.now), 0);
    covey_time limit = t->wire.now + 10 * COVEY_SECOND;
    while (!client->ready && transport_turn(t, limit))
        continue;
    assert_true(client->ready);
    return t;
}

void transport_free(struct transport *t)
{
    for (int side = 0; side < 2; side++) {
        struct end *e = &t->ends[side];
        cv_node_free(e->node);
        cv_tls_free(e->tls);
        assert_int_equal(e->memory.used, 0);
    }
    test_wire_fini(&t->wire);
    free(t);
}

covey_time transport_now(const struct transport *t)
{
    return t->wire.now;
}

int transport_start(struct transport *t, int side, const struct cv_rpc_start *start,
                    struct cv_rpc_call **out)
{
    assert_non_null(t->ends[side].link);
    return cv_link_start(t->ends[side].link, start, t->wire.now, out);
}

int transport_step(struct transport *t, int side, const struct cv_rpc_input *input)
{
    struct cv_rpc_input in = *input;
    in.now = t->wire.now;
    return cv_link_step(t->ends[side].link, &in);
}

bool transport_turn(struct transport *t, covey_time limit)
{
    return test_wire_step(&t->wire, limit);
}

/* ---- the rest of the port ---- */

void transport_drain(struct transport *t, int side)
{
    cv_link_drain(t->ends[side].link);
}

bool transport_peer_drains(const struct transport *t, int side)
{
    return cv_link_peer_drains(t->ends[side].link);
}

void transport_cut_stream(struct transport *t, int side, struct cv_rpc_call *call)
{
    (void)t;
    (void)side;
    assert_non_null(cv_rpc_call_stream(call));
    cv_quic_stream_reset(cv_rpc_call_stream(call), CUT_CODE);
}

void transport_cut(struct transport *t)
{
    cv_link_close(t->ends[CLIENT].link, COVEY_ERR_CLOSED);
}

bool transport_is_closed(const struct transport *t)
{
    return t->closed;
}

size_t transport_count(const struct transport *t, int side)
{
    const struct cv_link *link = t->ends[side].link;
    return t->closed || link == NULL ? 0 : cv_rpc_conn_count(link->rpc);
}

size_t transport_memory(const struct transport *t, int side)
{
    return t->ends[side].memory.used;
}

size_t transport_memory_peak(const struct transport *t, int side)
{
    return t->ends[side].memory.peak;
}
