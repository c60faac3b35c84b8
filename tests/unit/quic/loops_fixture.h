#ifndef UNIT_QUIC_LOOPS_FIXTURE_H
#define UNIT_QUIC_LOOPS_FIXTURE_H

#include "transport/route.h"

#include "fixture.h"

/* A server of several endpoints behind one address, each on a loop of its own, and a client. */

#define LOOPS         4
#define HANDOVERS_MAX 64

struct handover {
    unsigned to;
    struct test_wire_packet packet;
};

/* How a packet finds its socket. */
enum kernel {
    BY_FILTER,  /* by its loop */
    BY_ADDRESS, /* by the sender's address, as without a filter */
    BY_ORDER    /* where the test says, and it stays there */
};

struct group {
    struct test_wire wire;
    struct peer loops[LOOPS];
    struct peer client;
    struct test_wire_station station;
    struct test_wire_port *port;
    enum kernel kernel;
    unsigned ordered;
    uint64_t arrived[LOOPS];
    struct handover handovers[HANDOVERS_MAX];
    size_t handover_count;
    uint64_t handed_over;
};

static inline unsigned socket_of(const struct group *g, const struct cv_datagram *d)
{
    if (g->kernel == BY_FILTER)
        return cv_route_loop(d->bytes, LOOPS);
    return g->kernel == BY_ORDER ? g->ordered : d->remote.port % LOOPS;
}

static inline void on_hand_over(void *user, unsigned loop, const struct cv_datagram *d)
{
    struct group *g = user;
    assert_false(d->handed_over);
    assert_in_range(loop, 0, LOOPS - 1);
    assert_true(g->handover_count < HANDOVERS_MAX);
    struct handover *h = &g->handovers[g->handover_count++];
    h->to = loop;
    h->packet.from = d->remote;
    h->packet.to = d->local;
    h->packet.ecn = d->ecn;
    h->packet.size = d->bytes.size;
    memcpy(h->packet.bytes, d->bytes.data, d->bytes.size);
    g->handed_over++;
}

static inline void take_handovers(struct group *g, covey_time now)
{
    for (size_t i = 0; i < g->handover_count; i++) {
        const struct test_wire_packet *packet = &g->handovers[i].packet;
        const struct cv_datagram d = {.local = packet->to,
                                      .remote = packet->from,
                                      .ecn = packet->ecn,
                                      .handed_over = true,
                                      .bytes = cv_slice_of(packet->bytes, packet->size)};
        cv_quic_endpoint_receive(g->loops[g->handovers[i].to].endpoint, &d, now);
    }
    g->handover_count = 0;
}

static inline void group_receive(void *user, const struct cv_datagram *datagram, covey_time now)
{
    struct group *g = user;
    struct cv_datagram d = *datagram;
    unsigned index = socket_of(g, &d);
    d.handed_over = g->kernel == BY_ORDER;
    g->arrived[index]++;
    cv_quic_endpoint_receive(g->loops[index].endpoint, &d, now);
    take_handovers(g, now);
}

static inline void group_turn(void *user, const struct cv_datagram_sink *sink, covey_time now)
{
    struct group *g = user;
    for (unsigned i = 0; i < LOOPS; i++) {
        cv_quic_endpoint_expire(g->loops[i].endpoint, now);
        cv_quic_endpoint_flush(g->loops[i].endpoint, sink, now);
    }
}

static inline covey_time group_deadline(void *user)
{
    const struct group *g = user;
    covey_time first = COVEY_NEVER;
    for (unsigned i = 0; i < LOOPS; i++) {
        covey_time deadline = cv_quic_endpoint_deadline(g->loops[i].endpoint);
        first = deadline < first ? deadline : first;
    }
    return first;
}

static inline struct cv_quic_config loop_config_of(struct group *g, unsigned index)
{
    struct cv_quic_config config = peer_config(&g->loops[index], true);
    config.loop = (uint8_t)index;
    config.loop_count = LOOPS;
    config.hand_over = on_hand_over;
    config.hand_over_user = g;
    return config;
}

static inline void start_loop(struct group *g, unsigned index, const struct cv_quic_config *config)
{
    struct peer *p = &g->loops[index];
    cv_quic_endpoint_free(p->endpoint);
    assert_int_equal(cv_quic_endpoint_new(config, &p->endpoint), 0);
}

static inline void start_client(struct group *g, const struct cv_quic_config *config)
{
    assert_int_equal(cv_quic_endpoint_new(config, &g->client.endpoint), 0);
    g->client.port->endpoint = g->client.endpoint;
}

static inline void group_init(struct group *g, enum kernel kernel, uint64_t seed)
{
    memset(g, 0, sizeof *g);
    g->kernel = kernel;
    test_wire_init(&g->wire, seed);
    for (unsigned i = 0; i < LOOPS; i++) {
        peer_init(&g->loops[i], &pki, &server_pair, seed + 1 + i);
        g->loops[i].echoes = true;
        struct cv_quic_config config = loop_config_of(g, i);
        start_loop(g, i, &config);
    }
    g->station = (struct test_wire_station){group_receive, group_turn, group_deadline, g};
    g->port = test_wire_add(&g->wire, NULL);
    g->port->station = &g->station;
    peer_init(&g->client, &pki, &client_pair, seed + 100);
    g->client.port = test_wire_add(&g->wire, NULL);
    struct cv_quic_config config = peer_config(&g->client, false);
    start_client(g, &config);
}

static inline void group_fini(struct group *g)
{
    for (unsigned i = 0; i < LOOPS; i++)
        peer_fini(&g->loops[i]);
    peer_fini(&g->client);
    test_wire_fini(&g->wire);
}

static inline void dial(struct group *g, enum cv_alpn alpn)
{
    struct cv_quic_conn *c = NULL;
    struct cv_quic_dial to = {.remote = test_wire_address(0), .alpn = alpn};
    assert_int_equal(cv_quic_endpoint_dial(g->client.endpoint, &to, g->wire.now, &c), 0);
}

static inline bool connect_one(struct group *g, enum cv_alpn alpn)
{
    uint64_t before = g->client.ready;
    dial(g, alpn);
    return test_wire_wait(&g->wire, &g->client.ready, before + 1, LONG);
}

/* Sends on the client's newest connection and has it echoed. */
static inline void exchange(struct group *g)
{
    uint64_t before = g->client.fins;
    write_text(open_stream(&g->client), "are you there?", true);
    assert_true(test_wire_wait(&g->wire, &g->client.fins, before + 1, LONG));
}

/* The loop that has the only accepted connection. */
static inline unsigned loop_of_conn(const struct group *g)
{
    unsigned found = LOOPS;
    for (unsigned i = 0; i < LOOPS; i++) {
        if (g->loops[i].conn == NULL)
            continue;
        assert_int_equal(found, LOOPS);
        found = i;
    }
    assert_int_not_equal(found, LOOPS);
    return found;
}

#endif
