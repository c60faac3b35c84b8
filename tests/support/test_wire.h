#ifndef TEST_SUPPORT_TEST_WIRE_H
#define TEST_SUPPORT_TEST_WIRE_H

#include "base/rand.h"
#include "quic/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/*
 * A network in memory and in virtual time between QUIC endpoints, or whatever else takes datagrams:
 * each datagram takes `delay`, and is lost, doubled, damaged or overtaken as often as asked for.
 * The same seed gives the same run, but for what the TLS library draws for itself. Header only, for
 * tests that may include quic.
 */
#define TEST_WIRE_PORTS_MAX 8

struct test_wire;

struct test_wire_packet {
    TAILQ_ENTRY(test_wire_packet) link;
    covey_time due;
    struct cv_address from;
    struct cv_address to;
    uint8_t ecn;
    size_t size;
    uint8_t bytes[CV_DATAGRAM_SIZE_MAX];
};
TAILQ_HEAD(test_wire_packets, test_wire_packet);

/* What is connected to a port instead of an endpoint. */
struct test_wire_station {
    void (*receive)(void *user, const struct cv_datagram *d, covey_time now);
    /* Timers, then everything that is to be sent. */
    void (*turn)(void *user, const struct cv_datagram_sink *sink, covey_time now);
    covey_time (*deadline)(void *user);
    void *user;
};

struct test_wire_port {
    struct test_wire *wire;
    struct cv_quic_endpoint *endpoint;       /* NULL: whoever sends there is not heard */
    const struct test_wire_station *station; /* NULL: there is none */
    struct cv_address address;
    struct cv_datagram_sink sink;
    uint64_t sent;
    uint64_t sent_bytes;
    uint8_t room[CV_DATAGRAM_SIZE_MAX];
};

struct test_wire {
    covey_time now;
    covey_time delay;
    unsigned drop_percent;
    unsigned duplicate_percent;
    unsigned corrupt_percent;
    unsigned reorder_percent; /* these take twice as long */
    size_t mtu;               /* larger ones are lost */
    struct cv_rand rand;
    struct test_wire_port ports[TEST_WIRE_PORTS_MAX];
    size_t port_count;
    struct test_wire_packets packets; /* by due time, equal ones in order of sending */
    /* Sees each packet before it is sent; false drops it. NULL: all pass. */
    bool (*filter)(void *user, const struct test_wire_packet *packet);
    void *filter_user;
};

static inline bool test_wire_chance(struct test_wire *w, unsigned percent)
{
    return percent > 0 && cv_rand_below(&w->rand, 100) < percent;
}

static inline void test_wire_insert(struct test_wire *w, const struct test_wire_packet *packet)
{
    struct test_wire_packet *copy = malloc(sizeof(*copy));
    struct test_wire_packet *after;
    if (copy == NULL)
        abort();
    *copy = *packet;
    TAILQ_FOREACH_REVERSE(after, &w->packets, test_wire_packets, link)
    {
        if (after->due <= copy->due)
            break;
    }
    if (after == NULL)
        TAILQ_INSERT_HEAD(&w->packets, copy, link);
    else
        TAILQ_INSERT_AFTER(&w->packets, after, copy, link);
}

/* Puts a packet on the wire. */
static inline void test_wire_send(struct test_wire *w, struct test_wire_packet *packet)
{
    if ((w->filter != NULL && !w->filter(w->filter_user, packet)) || packet->size > w->mtu ||
        test_wire_chance(w, w->drop_percent))
        return;
    packet->due = w->now + w->delay;
    if (test_wire_chance(w, w->reorder_percent))
        packet->due += w->delay;
    if (test_wire_chance(w, w->duplicate_percent))
        test_wire_insert(w, packet);
    if (test_wire_chance(w, w->corrupt_percent))
        packet->bytes[cv_rand_below(&w->rand, packet->size)] ^=
            (uint8_t)(1U << cv_rand_below(&w->rand, 8));
    test_wire_insert(w, packet);
}

static inline uint8_t *test_wire_reserve(void *user, size_t size_max)
{
    struct test_wire_port *port = user;
    if (size_max > sizeof(port->room))
        abort();
    return port->room;
}

static inline void test_wire_commit(void *user, const struct cv_address *local,
                                    const struct cv_address *remote, uint8_t ecn, size_t size)
{
    struct test_wire_port *port = user;
    struct test_wire_packet packet = {.from = port->address, .to = *remote, .ecn = ecn};
    (void)local;
    if (size == 0 || size > sizeof(port->room))
        abort();
    packet.size = size;
    memcpy(packet.bytes, port->room, size);
    port->sent++;
    port->sent_bytes += size;
    test_wire_send(port->wire, &packet);
}

static inline void test_wire_init(struct test_wire *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->now = COVEY_SECOND;
    w->delay = COVEY_MILLISECOND;
    w->mtu = CV_DATAGRAM_SIZE_MAX;
    cv_rand_seed(&w->rand, seed);
    TAILQ_INIT(&w->packets);
}

static inline void test_wire_fini(struct test_wire *w)
{
    struct test_wire_packet *packet;
    while ((packet = TAILQ_FIRST(&w->packets)) != NULL) {
        TAILQ_REMOVE(&w->packets, packet, link);
        free(packet);
    }
}

/* The address of the index-th port: 10.0.0.index+1, port 4433. */
static inline struct cv_address test_wire_address(size_t index)
{
    return (struct cv_address){.ip = {10, 0, 0, (uint8_t)(index + 1)}, .port = 4433, .family = 4};
}

static inline struct test_wire_port *test_wire_add(struct test_wire *w,
                                                   struct cv_quic_endpoint *endpoint)
{
    struct test_wire_port *port = &w->ports[w->port_count];
    if (w->port_count == TEST_WIRE_PORTS_MAX)
        abort();
    port->wire = w;
    port->endpoint = endpoint;
    port->address = test_wire_address(w->port_count++);
    port->sink = (struct cv_datagram_sink){
        .reserve = test_wire_reserve, .commit = test_wire_commit, .user = port};
    return port;
}

static inline void test_wire_deliver(struct test_wire *w, const struct test_wire_packet *packet)
{
    for (size_t i = 0; i < w->port_count; i++) {
        struct test_wire_port *port = &w->ports[i];
        struct cv_datagram d = {.local = packet->to,
                                .remote = packet->from,
                                .ecn = packet->ecn,
                                .bytes = cv_slice_of(packet->bytes, packet->size)};
        if (!cv_address_equal(&port->address, &packet->to))
            continue;
        if (port->endpoint != NULL)
            cv_quic_endpoint_receive(port->endpoint, &d, w->now);
        else if (port->station != NULL)
            port->station->receive(port->station->user, &d, w->now);
    }
}

static inline void test_wire_flush(struct test_wire *w)
{
    for (size_t i = 0; i < w->port_count; i++) {
        struct test_wire_port *port = &w->ports[i];
        if (port->endpoint != NULL)
            cv_quic_endpoint_flush(port->endpoint, &port->sink, w->now);
        else if (port->station != NULL)
            port->station->turn(port->station->user, &port->sink, w->now);
    }
}

/* The first packet on its way arrives, and nobody writes anything. */
static inline void test_wire_arrive_one(struct test_wire *w)
{
    struct test_wire_packet *packet = TAILQ_FIRST(&w->packets);
    if (packet == NULL)
        abort();
    TAILQ_REMOVE(&w->packets, packet, link);
    if (w->now < packet->due)
        w->now = packet->due;
    test_wire_deliver(w, packet);
    free(packet);
}

static inline void test_wire_arrive(struct test_wire *w)
{
    while (!TAILQ_EMPTY(&w->packets))
        test_wire_arrive_one(w);
}

static inline covey_time test_wire_deadline(const struct test_wire_port *port)
{
    if (port->endpoint != NULL)
        return cv_quic_endpoint_deadline(port->endpoint);
    return port->station == NULL ? COVEY_NEVER : port->station->deadline(port->station->user);
}

static inline covey_time test_wire_next(const struct test_wire *w)
{
    const struct test_wire_packet *first = TAILQ_FIRST(&w->packets);
    covey_time next = first == NULL ? COVEY_NEVER : first->due;
    for (size_t i = 0; i < w->port_count; i++) {
        covey_time deadline = test_wire_deadline(&w->ports[i]);
        if (deadline < next)
            next = deadline;
    }
    return next < w->now ? w->now : next;
}

/* One turn of every endpoint: what is due arrives, timers run, everything is flushed. Returns false
 * when nothing is to happen before `limit`; the time is `limit` then. */
static inline bool test_wire_step(struct test_wire *w, covey_time limit)
{
    struct test_wire_packet *packet;
    test_wire_flush(w);
    covey_time next = test_wire_next(w);
    if (next > limit) {
        w->now = limit;
        return false;
    }
    w->now = next;
    while ((packet = TAILQ_FIRST(&w->packets)) != NULL && packet->due <= w->now) {
        TAILQ_REMOVE(&w->packets, packet, link);
        test_wire_deliver(w, packet);
        free(packet);
    }
    for (size_t i = 0; i < w->port_count; i++) {
        if (w->ports[i].endpoint != NULL)
            cv_quic_endpoint_expire(w->ports[i].endpoint, w->now);
    }
    test_wire_flush(w);
    return true;
}

static inline void test_wire_run(struct test_wire *w, covey_time duration)
{
    covey_time limit = w->now + duration;
    while (test_wire_step(w, limit))
        ;
}

/* Runs until *counter is at least `target`. False when that did not happen within `duration`. */
static inline bool test_wire_wait(struct test_wire *w, const uint64_t *counter, uint64_t target,
                                  covey_time duration)
{
    covey_time limit = w->now + duration;
    while (*counter < target) {
        if (!test_wire_step(w, limit))
            return *counter >= target;
    }
    return true;
}

#endif
