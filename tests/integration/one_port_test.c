#define _GNU_SOURCE
#include "io/clock.h"
#include "io/entropy.h"
#include "io/handover.h"
#include "io/port_group.h"
#include "quic/endpoint_internal.h"
#include "support/test_pki.h"
#include "transport/route.h"
#include "unit/io/fixture.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

/*
 * A server of three loops on one UDP port, on real sockets and threads: gossip on loop 0, calls on 1
 * and 2. Many clients, each with a port of its own, and one with many connections, have bytes echoed;
 * then each takes a new socket, as behind a NAT that forgot it, and has more echoed. Once with the
 * kernel's filter and once without.
 */
#define LOOPS       3
#define CLIENTS     64
#define CROWD       16 /* connections of the last client */
#define DIALS       (CLIENTS + CROWD)
#define ECHO_SIZE   5000
#define BATCHES     8
#define SOCKET_SIZE (1 << 20)

static struct test_pki pki;
static struct cv_pki_pair server_pair;
static struct cv_pki_pair client_pair;

/* An endpoint with a socket on a loop, of the server or a client. */
struct host {
    struct net *net;
    unsigned index;
    struct cv_loop *loop;
    struct cv_udp *udp;
    struct cv_quic_endpoint *endpoint;
    struct cv_loop_task task;
    struct cv_loop_watch *watch;
    /* the loop's thread */
    unsigned ready, gossip, misplaced, closed;
    struct cv_quic_conn *conns[CROWD]; /* a client's */
    unsigned conn_count;
};

struct net {
    struct cv_port_group *group;
    struct cv_handover *handover;
    struct cv_tls *server_tls[LOOPS]; /* one for each thread */
    struct host servers[LOOPS];
    struct cv_loop *client_loop;
    struct cv_tls *client_tls;
    struct host clients[CLIENTS + 1];
    unsigned echoed; /* the clients' loop's */
    unsigned wanted;
    sem_t done;
};

/* ---- a turn of a host ---- */

static void receive(void *user, const struct cv_datagram *d)
{
    const struct host *host = user;
    cv_quic_endpoint_receive(host->endpoint, d, cv_loop_now(host->loop));
}

static void on_readable(void *user)
{
    struct host *host = user;
    const struct cv_udp_receiver receiver = {.datagram = receive, .user = host};
    if (cv_udp_receive(host->udp, &receiver, BATCHES, true) == CV_UDP_SOME)
        cv_loop_again(host->loop);
}

static void on_turn(void *user, covey_time now)
{
    struct host *host = user;
    cv_quic_endpoint_expire(host->endpoint, now);
    cv_quic_endpoint_flush(host->endpoint, cv_udp_sink(host->udp), now);
    cv_udp_send(host->udp);
}

static covey_time on_deadline(void *user)
{
    const struct host *host = user;
    return cv_quic_endpoint_is_dirty(host->endpoint) ? 0
                                                     : cv_quic_endpoint_deadline(host->endpoint);
}

static void host_start(struct host *host)
{
    host->task = (struct cv_loop_task){.turn = on_turn, .deadline = on_deadline, .user = host};
    cv_loop_add(host->loop, &host->task);
    if (cv_loop_watch(host->loop, cv_udp_fd(host->udp), on_readable, host, &host->watch) != 0)
        abort();
}

static void host_stop(struct host *host)
{
    cv_loop_unwatch(host->watch);
    cv_loop_remove(host->loop, &host->task);
    cv_quic_endpoint_free(host->endpoint);
}

/* ---- what connections tell ---- */

static bool is_misplaced(const struct host *host, const struct cv_quic_conn *c)
{
    for (size_t i = 0; i < CV_CONN_IDS_MAX; i++) {
        uint8_t packet[1 + NGTCP2_MAX_CIDLEN] = {0x40};
        memcpy(packet + 1, c->ids[i].bytes, c->ids[i].size);
        if (c->ids[i].size > 0 &&
            cv_route_loop(cv_slice_of(packet, sizeof packet), LOOPS) != host->index)
            return true;
    }
    return false;
}

static void server_ready(void *user, struct cv_quic_conn *c)
{
    struct host *host = user;
    host->ready++;
    host->gossip += cv_quic_conn_alpn(c) == CV_ALPN_ID_CLUSTER;
    host->misplaced += is_misplaced(host, c);
}

static void server_data(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    struct host *host = user;
    if ((bytes.size > 0 || fin) && cv_quic_stream_write(s, bytes, fin) != 0)
        abort();
    cv_quic_stream_consume(s, bytes.size, bytes.size);
    host->misplaced += is_misplaced(host, cv_quic_stream_conn(s));
}

static void ask_for_echo(struct cv_quic_conn *c)
{
    static const uint8_t bytes[ECHO_SIZE];
    struct cv_quic_stream *s;
    if (cv_quic_conn_open(c, &s) != 0 ||
        cv_quic_stream_write(s, cv_slice_of(bytes, sizeof bytes), true) != 0)
        abort();
}

static void client_ready(void *user, struct cv_quic_conn *c)
{
    struct host *host = user;
    if (host->conn_count == CROWD)
        abort();
    host->conns[host->conn_count++] = c;
    ask_for_echo(c);
}

static void client_data(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    struct host *host = user;
    cv_quic_stream_consume(s, bytes.size, bytes.size);
    if (fin && ++host->net->echoed == host->net->wanted)
        sem_post(&host->net->done);
}

static void on_closed(void *user, struct cv_quic_conn *c, const struct cv_quic_close *why)
{
    struct host *host = user;
    (void)c;
    host->closed += why->error != COVEY_ERR_CLOSED; /* that is the test's end */
}

static void on_stream(void *user, struct cv_quic_stream *s)
{
    (void)user;
    (void)s;
}

static void on_stream_code(void *user, struct cv_quic_stream *s, uint64_t code)
{
    (void)user;
    (void)s;
    (void)code;
}

static void on_available(void *user, struct cv_quic_conn *c)
{
    (void)user;
    (void)c;
}

static void on_datagram(void *user, struct cv_quic_conn *c, struct cv_slice bytes)
{
    (void)user;
    (void)c;
    (void)bytes;
}

static struct cv_quic_config config_of(struct host *host, struct cv_tls *tls, bool is_server)
{
    struct cv_quic_config config = {
        .alloc = cv_alloc_default(),
        .tls = tls,
        .events = {.conn_ready = is_server ? server_ready : client_ready,
                   .conn_closed = on_closed,
                   .stream_opened = on_stream,
                   .stream_data = is_server ? server_data : client_data,
                   .stream_reset = on_stream_code,
                   .stream_stopped = on_stream_code,
                   .stream_writable = on_stream,
                   .stream_closed = on_stream,
                   .streams_available = on_available,
                   .datagram = on_datagram},
        .events_user = host,
        .accept = is_server,
        .random = cv_entropy,
        .secret = "a secret of 32 bytes for tokens",
    };
    cv_quic_limits_init(&config.limits);
    config.limits.handshakes_retry = 8; /* some clients meet a Retry */
    config.limits.handshake_timeout = WAIT_SECONDS * COVEY_SECOND;
    return config;
}

/* ---- the server ---- */

static void hand_over(void *user, unsigned loop, const struct cv_datagram *d)
{
    const struct net *net = user;
    cv_handover_send(net->handover, loop, d);
}

static struct cv_loop *new_loop(const char *name)
{
    struct cv_loop *loop;
    struct cv_loop_config config = {
        .alloc = cv_alloc_default(), .thread_name = name, .mails_max = 100};
    assert_int_equal(cv_loop_new(&config, &loop), 0);
    return loop;
}

static void open_port(struct net *net, bool filter)
{
    struct cv_port_group_config config = {.count = LOOPS, .no_filter = !filter};
    cv_udp_config_init(&config.udp);
    config.udp.alloc = cv_alloc_default();
    config.udp.buffer_size = SOCKET_SIZE;
    assert_int_equal(cv_address_parse(&config.udp.bind, "127.0.0.1:0"), 0);
    assert_int_equal(cv_port_group_open(&config, &net->group), 0);
}

static void start_server_loop(void *user)
{
    host_start(user);
}

static void server_start(struct net *net, bool filter)
{
    struct cv_handover_end ends[LOOPS];
    struct cv_handover_config handover;
    open_port(net, filter);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct host *host = &net->servers[i];
        test_pki_tls_of(&pki, &server_pair, cv_alloc_default(), &net->server_tls[i]);
        *host = (struct host){.net = net,
                              .index = i,
                              .loop = new_loop("server"),
                              .udp = cv_port_group_socket(net->group, i)};
        struct cv_quic_config config = config_of(host, net->server_tls[i], true);
        config.loop = (uint8_t)i;
        config.loop_count = LOOPS;
        config.hand_over = hand_over;
        config.hand_over_user = net;
        assert_int_equal(cv_quic_endpoint_new(&config, &host->endpoint), 0);
        ends[i] = (struct cv_handover_end){host->loop, receive, host};
    }
    cv_handover_config_init(&handover);
    handover.alloc = cv_alloc_default();
    handover.ends = ends;
    handover.count = LOOPS;
    assert_int_equal(cv_handover_new(&handover, &net->handover), 0);
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(cv_loop_call(net->servers[i].loop, start_server_loop, &net->servers[i]),
                         0);
}

static void stop_server_loop(void *user)
{
    struct host *host = user;
    cv_handover_close(host->net->handover, host->index);
    host_stop(host);
}

static void server_stop(struct net *net)
{
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(cv_loop_call(net->servers[i].loop, stop_server_loop, &net->servers[i]), 0);
    cv_handover_free(net->handover);
    cv_port_group_close(net->group);
    for (unsigned i = 0; i < LOOPS; i++) {
        cv_loop_free(net->servers[i].loop);
        cv_tls_free(net->server_tls[i]);
    }
}

/* ---- the clients, all on one loop ---- */

static void client_open_socket(struct host *host)
{
    struct cv_udp_config config;
    cv_udp_config_init(&config);
    config.alloc = cv_alloc_default();
    config.buffer_size = SOCKET_SIZE;
    config.no_gro = true;
    if (cv_address_parse(&config.bind, "127.0.0.1:0") != 0 || cv_udp_open(&config, &host->udp) != 0)
        abort();
}

static void client_dial(struct host *host, enum cv_alpn alpn)
{
    struct cv_quic_conn *c;
    struct cv_quic_dial to = {.local = cv_udp_local(host->udp),
                              .remote = cv_port_group_local(host->net->group),
                              .alpn = alpn};
    if (cv_quic_endpoint_dial(host->endpoint, &to, cv_loop_now(host->loop), &c) != 0)
        abort();
}

static void client_start(struct net *net, unsigned index)
{
    struct host *host = &net->clients[index];
    *host = (struct host){.net = net, .index = index, .loop = net->client_loop};
    struct cv_quic_config config = config_of(host, net->client_tls, false);
    client_open_socket(host);
    if (cv_quic_endpoint_new(&config, &host->endpoint) != 0)
        abort();
    host_start(host);
    for (unsigned i = 0; i < (index == CLIENTS ? CROWD : 1); i++)
        client_dial(host, (index + i) % 4 == 0 ? CV_ALPN_ID_CLUSTER : CV_ALPN_ID_RPC);
}

static void clients_start(void *user)
{
    struct net *net = user;
    for (unsigned i = 0; i <= CLIENTS; i++)
        client_start(net, i);
}

static void clients_move(void *user)
{
    struct net *net = user;
    for (unsigned i = 0; i <= CLIENTS; i++) {
        struct host *host = &net->clients[i];
        cv_loop_unwatch(host->watch);
        cv_udp_close(host->udp);
        client_open_socket(host);
        if (cv_loop_watch(host->loop, cv_udp_fd(host->udp), on_readable, host, &host->watch) != 0)
            abort();
        for (unsigned j = 0; j < host->conn_count; j++)
            ask_for_echo(host->conns[j]);
    }
}

static void clients_stop(void *user)
{
    struct net *net = user;
    for (unsigned i = 0; i <= CLIENTS; i++) {
        host_stop(&net->clients[i]);
        cv_udp_close(net->clients[i].udp);
    }
}

static void run_clients(struct net *net, void (*what)(void *user), unsigned wanted)
{
    net->wanted = wanted; /* before the loop can see it */
    assert_int_equal(cv_loop_call(net->client_loop, what, net), 0);
    assert_true(wait_for(&net->done));
}

/* ---- the test ---- */

struct sums {
    unsigned ready, gossip;
    uint64_t received, handed_over, taken_over, shed;
};

struct look {
    struct host *host;
    struct sums *sums;
};

static void look_at_loop(void *user)
{
    struct look *look = user;
    const struct host *host = look->host;
    struct cv_quic_stats stats;
    cv_quic_endpoint_stats(host->endpoint, &stats);
    look->sums->ready += host->ready;
    look->sums->gossip += host->gossip;
    look->sums->handed_over += stats.packets_handed_over;
    look->sums->taken_over += stats.packets_taken_over;
    look->sums->received += stats.packets_received - stats.packets_taken_over;
    assert_int_equal(host->misplaced, 0);
    assert_int_equal(host->closed, 0);
    assert_int_equal(host->ready - host->gossip, host->index == 0 ? 0 : host->ready);
}

static struct sums look_at(struct net *net)
{
    struct sums sums = {0};
    for (unsigned i = 0; i < LOOPS; i++) {
        struct look look = {&net->servers[i], &sums};
        struct cv_handover_stats stats;
        assert_int_equal(cv_loop_call(net->servers[i].loop, look_at_loop, &look), 0);
        cv_handover_stats(net->handover, i, &stats);
        sums.shed += stats.shed;
        assert_true(net->servers[i].ready > 0);
    }
    return sums;
}

static void serve_clients(bool filter)
{
    static struct net net;
    net = (struct net){.client_loop = new_loop("clients")};
    sem_init(&net.done, 0, 0);
    test_pki_tls_of(&pki, &client_pair, cv_alloc_default(), &net.client_tls);
    server_start(&net, filter);
    assert_int_equal(cv_port_group_has_filter(net.group), filter);
    run_clients(&net, clients_start, DIALS);
    run_clients(&net, clients_move, 2 * DIALS);
    assert_int_equal(cv_loop_call(net.client_loop, clients_stop, &net), 0);
    struct sums sums = look_at(&net);
    print_message("filter %d: of %llu packets %llu handed over, %llu shed\n", filter,
                  (unsigned long long)sums.received, (unsigned long long)sums.handed_over,
                  (unsigned long long)sums.shed);
    assert_int_equal(sums.ready, DIALS);
    assert_int_equal(sums.gossip, CLIENTS / 4 + CROWD / 4);
    /* With the filter: nothing but what may be a reset. Without: about two of three. */
    if (filter)
        assert_true(sums.handed_over <= sums.received / 20);
    else
        assert_true(sums.taken_over >= sums.received / 4);
    server_stop(&net);
    cv_loop_free(net.client_loop);
    cv_tls_free(net.client_tls);
    sem_destroy(&net.done);
}

static void the_kernel_leads_packets_to_their_loops(void **state)
{
    (void)state;
    serve_clients(true);
}

static void without_the_filter_the_loops_hand_over(void **state)
{
    (void)state;
    serve_clients(false);
}

static int make_certificates(void **state)
{
    (void)state;
    test_pki_init(&pki, "flock");
    test_pki_issue(&pki, "server", CV_ROLE_MEMBER, &server_pair);
    test_pki_issue(&pki, "client", CV_ROLE_MEMBER, &client_pair);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_leads_packets_to_their_loops),
        cmocka_unit_test(without_the_filter_the_loops_hand_over),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
