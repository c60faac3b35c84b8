#include "fixture.h"

/* Connections: datagrams, timers, closing, what lingers. */

static void test_datagrams_both_ways(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("ping")), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.datagrams, 1, LONG));
    assert_int_equal(n.server.datagram_size, 4);
    assert_memory_equal(n.server.datagram, "ping", 4);
    assert_int_equal(cv_quic_conn_send_datagram(n.server.conn, cv_slice_text("")), 0);
    assert_true(test_wire_wait(&n.wire, &n.client.datagrams, 1, LONG));
    assert_int_equal(n.client.datagram_size, 0);
    net_fini(&n);
}

/* The largest one that is said to fit does fit, before and after the path was measured. */
static void test_largest_datagram(void **state)
{
    struct net n;
    uint8_t bytes[1500];
    size_t before = 0;
    (void)state;
    net_connect(&n);
    for (uint64_t i = 0; i < 2; i++) {
        size_t size = cv_quic_conn_datagram_size_max(n.client.conn);
        assert_true(size > before && size < 1452);
        memset(bytes, (int)i + 1, sizeof(bytes));
        assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_of(bytes, size + 1)),
                         COVEY_ERR_TOO_LARGE);
        assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_of(bytes, size)), 0);
        assert_true(test_wire_wait(&n.wire, &n.server.datagrams, i + 1, LONG));
        assert_int_equal(n.server.datagram_size, size);
        assert_memory_equal(n.server.datagram, bytes, size);
        before = size;
        test_wire_run(&n.wire, COVEY_SECOND);
    }
    net_fini(&n);
}

static void test_datagram_queue_is_bounded(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    for (int i = 0; i < 256; i++)
        assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("x")), 0);
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("x")), COVEY_ERR_BUSY);
    assert_int_equal(stats_of(&n.client).datagrams_shed, 1);
    assert_true(test_wire_wait(&n.wire, &n.server.datagrams, 256, LONG));
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("x")), 0);
    n.client.alloc.calls = 0;
    for (size_t nth = 1; nth <= 1; nth++) {
        n.client.alloc.fail_at = nth;
        assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("x")),
                         COVEY_ERR_NO_MEMORY);
    }
    net_fini(&n);
}

/* A probe does not wait behind bulk data. */
static void test_datagrams_go_before_streams(void **state)
{
    struct net n;
    static uint8_t bulk[1000000];
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(
        cv_quic_stream_write(open_stream(&n.client), cv_slice_of(bulk, sizeof(bulk)), true), 0);
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("probe")), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.datagrams, 1, LONG));
    assert_true(n.server.received < 20000);
    net_fini(&n);
}

/* A route changes and swallows what passed before, silently and one way (C20). */
static void test_mtu_black_hole(void **state)
{
    struct net n;
    static uint8_t bulk[500000];
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    size_t before = cv_quic_conn_datagram_size_max(n.client.conn);
    assert_true(before > 1300);
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_of(bulk, before)), 0);
    n.wire.mtu = 1200;
    test_wire_flush(&n.wire);
    assert_int_equal(
        cv_quic_stream_write(open_stream(&n.client), cv_slice_of(bulk, sizeof(bulk)), true), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, 2 * COVEY_SECOND));
    assert_int_equal(n.server.received, sizeof(bulk));
    assert_true(cv_quic_conn_datagram_size_max(n.client.conn) < 1200);
    net_fini(&n);
}

/* Silence because there is nothing to say is no black hole, nor is a single loss after it. */
static void test_loss_after_silence_is_no_black_hole(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    size_t before = cv_quic_conn_datagram_size_max(n.client.conn);
    for (uint64_t i = 1; i <= 10; i++) {
        test_wire_run(&n.wire, 30 * COVEY_SECOND);
        n.wire.drop_percent = 100;
        write_text(open_stream(&n.client), "lost once", false);
        test_wire_flush(&n.wire);
        n.wire.drop_percent = 0;
        assert_true(test_wire_wait(&n.wire, &n.server.opened, i, LONG));
    }
    assert_int_equal(cv_quic_conn_datagram_size_max(n.client.conn), before);
    net_fini(&n);
}

/* Nothing but datagrams, all of them lost for a while: the connection must not stay stuck with a
 * congestion window full of them. */
static void test_lost_datagrams_do_not_block(void **state)
{
    struct net n;
    static uint8_t bulk[1000];
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    n.wire.drop_percent = 100;
    for (int i = 0; i < 40; i++) {
        (void)!cv_quic_conn_send_datagram(n.client.conn, cv_slice_of(bulk, sizeof(bulk)));
        test_wire_run(&n.wire, COVEY_SECOND);
    }
    n.wire.drop_percent = 0;
    /* what was queued meanwhile and not sent comes now, soon */
    test_wire_run(&n.wire, 50 * COVEY_SECOND);
    assert_int_equal(n.client.closed, 0);
    uint64_t datagrams = n.server.datagrams;
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("ping")), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.datagrams, datagrams + 1, COVEY_SECOND));
    assert_int_equal(n.server.datagram_size, 4);
    /* and the limit on streams is still the limit, but for what was lent */
    struct cv_quic_stream *s = NULL;
    unsigned streams = 0;
    while (cv_quic_conn_open(n.server.conn, &s) == 0)
        streams++;
    assert_in_range(streams, 1024, 1024 + 40);
    net_fini(&n);
}

/* A datagram that was queued for a larger path is shed; those behind it are not stuck. */
static void test_datagram_that_no_longer_fits(void **state)
{
    struct net n;
    static uint8_t bulk[1500];
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    size_t before = cv_quic_conn_datagram_size_max(n.client.conn);
    n.wire.mtu = 1200;
    /* more than the congestion window: some wait until packets have shrunk */
    for (int i = 0; i < 200; i++)
        assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_of(bulk, before)), 0);
    assert_int_equal(cv_quic_conn_send_datagram(n.client.conn, cv_slice_text("small")), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.datagrams, 1, LONG));
    assert_int_equal(n.server.datagram_size, 5);
    assert_true(stats_of(&n.client).datagrams_shed > 0);
    net_fini(&n);
}

static void test_not_before_ready(void **state)
{
    struct net n;
    struct cv_quic_stream *s = NULL;
    (void)state;
    net_init(&n);
    net_start(&n);
    struct cv_quic_conn *c = net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_int_equal(cv_quic_conn_open(c, &s), COVEY_ERR_STATE);
    assert_int_equal(cv_quic_conn_send_datagram(c, cv_slice_text("x")), COVEY_ERR_STATE);
    assert_int_equal(cv_quic_conn_datagram_size_max(c), 0);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    net_fini(&n);
}

static void expect_close(struct net *n, struct peer *from, struct peer *to, uint64_t code)
{
    cv_quic_conn_close(from->conn, code);
    cv_quic_conn_close(from->conn, code + 1); /* the first one counts */
    assert_int_equal(from->closed, 0);
    test_wire_flush(&n->wire);
    assert_int_equal(from->closed, 1);
    assert_int_equal(from->why.error, COVEY_OK);
    assert_false(from->why.by_peer);
    assert_true(from->why.application);
    assert_int_equal(from->why.code, code);
    assert_true(test_wire_wait(&n->wire, &to->closed, 1, LONG));
    assert_true(to->why.by_peer);
    assert_true(to->why.application);
    assert_int_equal(to->why.code, code);
    assert_int_equal(to->why.error, code == 0 ? COVEY_OK : COVEY_ERR_CONNECTION_LOST);
}

static void test_close_codes(void **state)
{
    static const uint64_t codes[] = {0, 1, 0x100 + 42, UINT64_C(1) << 40};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct net n;
        net_connect(&n);
        test_wire_run(&n.wire, COVEY_SECOND);
        if (i % 2 == 0)
            expect_close(&n, &n.client, &n.server, codes[i / 2]);
        else
            expect_close(&n, &n.server, &n.client, codes[i / 2]);
        assert_int_equal(stats_of(&n.client).connections_open, 0);
        assert_int_equal(stats_of(&n.server).connections_open, 0);
        test_wire_run(&n.wire, 10 * COVEY_SECOND);
        assert_int_equal(n.client.closed + n.server.closed, 2);
        /* nothing is left, not even a timer */
        assert_true(cv_quic_endpoint_deadline(n.client.endpoint) == COVEY_NEVER);
        assert_true(cv_quic_endpoint_deadline(n.server.endpoint) == COVEY_NEVER);
        assert_false(cv_quic_endpoint_is_dirty(n.server.endpoint));
        net_fini(&n);
    }
}

/* The close that aborts 0.12.1: before any packet was written since the handshake. */
static void test_close_at_the_first_moment(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct net n;
        net_init(&n);
        net_start(&n);
        n.server.close_on_ready = i == 0 || i == 2 ? 9 : 0;
        n.client.close_on_ready = i == 1 || i == 2 ? 9 : 0;
        net_dial(&n, CV_ALPN_ID_RPC, NULL);
        assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
        if (i == 1)
            assert_true(test_wire_wait(&n.wire, &n.server.closed, 1, LONG));
        test_wire_run(&n.wire, COVEY_SECOND);
        if (i == 0) {
            assert_int_equal(n.server.closed, 1);
            assert_int_equal(n.server.why.error, COVEY_OK);
            assert_int_equal(n.client.why.error, COVEY_ERR_CONNECTION_LOST);
            assert_false(n.client.why.application);
            assert_int_equal(n.client.why.code, 0x0c);
        }
        net_fini(&n);
    }
}

static void test_dial_given_up(void **state)
{
    (void)state;
    /* before the first packet, after it, and with the handshake half done */
    for (int i = 0; i < 3; i++) {
        struct net n;
        net_init(&n);
        net_start(&n);
        struct cv_quic_conn *c = net_dial(&n, CV_ALPN_ID_RPC, NULL);
        if (i > 0)
            test_wire_flush(&n.wire);
        if (i > 1) {
            n.wire.delay = 3 * COVEY_MILLISECOND;
            test_wire_run(&n.wire, 3500 * COVEY_MICROSECOND);
        }
        cv_quic_conn_close(c, 1);
        assert_int_equal(n.client.closed, 0);
        test_wire_flush(&n.wire);
        assert_int_equal(n.client.closed, 1);
        assert_int_equal(n.client.why.error, COVEY_OK);
        test_wire_run(&n.wire, LONG);
        assert_int_equal(n.client.ready, 0);
        assert_int_equal(n.server.ready + n.server.closed, 0);
        assert_int_equal(stats_of(&n.server).handshakes_open, 0);
        net_fini(&n);
    }
}

static bool drop_all(void *user, const struct test_wire_packet *packet)
{
    (void)user;
    (void)packet;
    return false;
}

static void test_idle_timeout(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    uint64_t sent = n.client.port->sent;
    test_wire_run(&n.wire, 115 * COVEY_SECOND);
    assert_int_equal(n.client.closed + n.server.closed, 0);
    assert_int_equal(n.client.port->sent, sent);
    test_wire_run(&n.wire, 6 * COVEY_SECOND);
    assert_int_equal(n.client.closed, 1);
    assert_int_equal(n.server.closed, 1);
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_int_equal(n.server.why.error, COVEY_ERR_TIMEOUT);
    assert_int_equal(n.client.port->sent, sent); /* silently */
    net_fini(&n);
}

static void test_keep_alive(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    cv_quic_conn_set_keep_alive(n.client.conn, 50 * COVEY_SECOND);
    test_wire_run(&n.wire, 1000 * COVEY_SECOND);
    assert_int_equal(n.client.closed + n.server.closed, 0);
    assert_true(n.client.port->sent < 100);
    cv_quic_conn_set_keep_alive(n.client.conn, 0);
    test_wire_run(&n.wire, 200 * COVEY_SECOND);
    assert_int_equal(n.client.closed, 1);
    assert_int_equal(n.server.closed, 1);
    net_fini(&n);
}

static void test_peer_vanishes(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.wire.filter = drop_all;
    write_text(open_stream(&n.client), "hello?", true);
    uint64_t sent = n.client.port->sent;
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, 200 * COVEY_SECOND));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_true(n.client.port->sent - sent < 100);
    net_fini(&n);
}

static void test_handshake_with_a_black_hole(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    net_start(&n);
    n.wire.filter = drop_all;
    covey_time start = n.wire.now;
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_true(n.wire.now - start >= 5 * COVEY_SECOND);
    assert_true(n.wire.now - start < 6 * COVEY_SECOND);
    assert_int_equal(stats_of(&n.client).handshakes_failed, 1);
    assert_int_equal(stats_of(&n.client).connections_open, 0);
    net_fini(&n);
}

static bool drop_from_server(void *user, const struct test_wire_packet *packet)
{
    struct cv_address server = test_wire_address(0);
    (void)user;
    return !cv_address_equal(&packet->from, &server);
}

/* Late packets of a closed connection are answered, ever more rarely, then by nothing. */
static void test_lingering(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    n.wire.filter = drop_from_server; /* the client does not hear the close */
    cv_quic_conn_close(n.server.conn, 4);
    test_wire_flush(&n.wire);
    assert_int_equal(n.server.closed, 1);
    uint64_t before = n.server.port->sent;
    struct cv_quic_stream *s = open_stream(&n.client);
    for (int i = 0; i < 10; i++) {
        write_text(s, "still here, with some more words than a close", false);
        test_wire_flush(&n.wire);
    }
    test_wire_run(&n.wire, 2 * COVEY_MILLISECOND);
    uint64_t answers = n.server.port->sent - before;
    assert_true(answers >= 1 && answers <= 4); /* 1st, 2nd, 4th, 8th */
    n.wire.filter = NULL;
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_CONNECTION_LOST);
    net_fini(&n);
}

/* A NAT gives the client a new address: what it sends comes from there, what goes to the old one is
 * lost. The wire's own port address was changed by the test. */
static void test_client_moves(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    test_wire_run(&n.wire, COVEY_SECOND);
    n.client.port->address.port = 9999;
    struct cv_quic_stream *s = open_stream(&n.client);
    write_text(s, "from elsewhere", true);
    assert_true(test_wire_wait(&n.wire, &n.client.fins, 1, LONG));
    struct cv_address seen = cv_quic_conn_remote(n.server.conn);
    assert_int_equal(seen.port, 9999);
    assert_int_equal(n.server.closed + n.client.closed, 0);
    net_fini(&n);
}

/* The server's stream overtakes its HANDSHAKE_DONE: ready comes first all the same. */
static void test_ready_comes_before_anything_else(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net n;
        net_init(&n);
        cv_rand_seed(&n.wire.rand, seed);
        struct cv_quic_config server = peer_config(&n.server, true);
        struct cv_quic_config client = peer_config(&n.client, false);
        server.limits.handshake_timeout = client.limits.handshake_timeout = LONG;
        peer_start(&n, &n.server, &server);
        peer_start(&n, &n.client, &client);
        n.wire.drop_percent = 30;
        n.wire.reorder_percent = 50;
        net_dial(&n, CV_ALPN_ID_RPC, NULL);
        assert_true(test_wire_wait(&n.wire, &n.server.ready, 1, LONG));
        write_text(open_stream(&n.server), "early", true); /* on_opened checks the order */
        if (!test_wire_wait(&n.wire, &n.client.fins, 1, LONG))
            fail_msg("seed %llu: lost", (unsigned long long)seed);
        assert_int_equal(n.client.ready, 1);
        net_fini(&n);
    }
}

static void test_time_does_not_go_back(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    cv_quic_endpoint_expire(n.client.endpoint, 0);
    cv_quic_endpoint_flush(n.client.endpoint, &n.client.port->sink, 0);
    n.server.echoes = true;
    write_text(open_stream(&n.client), "still fine", true);
    assert_true(test_wire_wait(&n.wire, &n.client.fins, 1, LONG));
    net_fini(&n);
}

static void test_user_pointer(void **state)
{
    struct net n;
    int mark;
    (void)state;
    net_connect(&n);
    assert_ptr_equal(cv_quic_conn_user(n.client.conn), &n);
    assert_null(cv_quic_conn_user(n.server.conn));
    cv_quic_conn_set_user(n.server.conn, &mark);
    assert_ptr_equal(cv_quic_conn_user(n.server.conn), &mark);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_both_ways),
        cmocka_unit_test(test_largest_datagram),
        cmocka_unit_test(test_datagram_queue_is_bounded),
        cmocka_unit_test(test_datagrams_go_before_streams),
        cmocka_unit_test(test_mtu_black_hole),
        cmocka_unit_test(test_loss_after_silence_is_no_black_hole),
        cmocka_unit_test(test_lost_datagrams_do_not_block),
        cmocka_unit_test(test_datagram_that_no_longer_fits),
        cmocka_unit_test(test_not_before_ready),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_close_at_the_first_moment),
        cmocka_unit_test(test_dial_given_up),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_peer_vanishes),
        cmocka_unit_test(test_handshake_with_a_black_hole),
        cmocka_unit_test(test_lingering),
        cmocka_unit_test(test_client_moves),
        cmocka_unit_test(test_ready_comes_before_anything_else),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_user_pointer),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
