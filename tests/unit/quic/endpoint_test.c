#include "fixture.h"

/* Endpoints as a whole: memory, the end, lost memory, bad networks. */

static void test_dial_without_memory_changes_nothing(void **state)
{
    struct net n;
    struct cv_quic_conn *c = NULL;
    struct cv_quic_dial dial = {.remote = test_wire_address(0), .alpn = CV_ALPN_ID_RPC};
    size_t failures = 0;
    (void)state;
    net_init(&n);
    net_start(&n);
    for (size_t nth = 1;; nth++) {
        size_t before = n.client.alloc.outstanding;
        n.client.alloc.calls = 0;
        n.client.alloc.fail_at = nth;
        int error = cv_quic_endpoint_dial(n.client.endpoint, &dial, n.wire.now, &c);
        n.client.alloc.fail_at = 0;
        if (error == 0)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        /* tables and timers may have grown, nothing else */
        assert_true(n.client.alloc.outstanding <= before + 2);
        assert_int_equal(stats_of(&n.client).connections_open, 0);
        failures++;
    }
    assert_true(failures > 5);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    net_fini(&n);
}

static void test_new_without_memory(void **state)
{
    struct net n;
    struct cv_quic_endpoint *e = NULL;
    (void)state;
    net_init(&n);
    for (size_t nth = 1;; nth++) {
        struct cv_quic_config config = peer_config(&n.client, false);
        size_t before = n.client.alloc.outstanding;
        n.client.alloc.calls = 0;
        n.client.alloc.fail_at = nth;
        int error = cv_quic_endpoint_new(&config, &e);
        n.client.alloc.fail_at = 0;
        if (error == 0)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_int_equal(n.client.alloc.outstanding, before);
    }
    cv_quic_endpoint_free(e);
    cv_quic_endpoint_free(NULL);
    net_fini(&n);
}

/* Whatever allocation fails during a handshake and an exchange, nothing leaks and nothing aborts.
 */
static void test_running_out_of_memory_while_connected(void **state)
{
    (void)state;
    for (size_t nth = 1; nth < 1500; nth += 1 + nth / 40) {
        struct net n;
        struct cv_quic_conn *c = NULL;
        struct cv_quic_stream *s = NULL;
        struct cv_quic_dial dial = {.remote = test_wire_address(0), .alpn = CV_ALPN_ID_RPC};
        net_init(&n);
        net_start(&n);
        struct test_alloc *failing = nth % 2 == 0 ? &n.client.alloc : &n.server.alloc;
        failing->calls = 0;
        failing->fail_at = nth / 2 + 1;
        if (cv_quic_endpoint_dial(n.client.endpoint, &dial, n.wire.now, &c) == 0)
            (void)test_wire_wait(&n.wire, &n.client.ready, 1, 20 * COVEY_SECOND);
        if (n.client.conn != NULL && cv_quic_conn_open(n.client.conn, &s) == 0)
            (void)!cv_quic_stream_write(s, cv_slice_text("ping"), true);
        test_wire_run(&n.wire, 2 * COVEY_SECOND);
        failing->fail_at = 0;
        net_fini(&n);
    }
}

/* A server that lost its memory tells its clients. */
static void test_forgotten_connection_is_reset(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    test_wire_run(&n.wire, COVEY_SECOND);
    cv_quic_endpoint_free(n.server.endpoint);
    assert_int_equal(n.server.why.error, COVEY_ERR_CLOSED);
    assert_int_equal(n.server.closed, 1);
    assert_int_equal(cv_quic_endpoint_new(&server, &n.server.endpoint), 0);
    n.server.port->endpoint = n.server.endpoint;
    write_text(open_stream(&n.client), "is anybody there? somebody must be, I said", true);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, 2 * COVEY_SECOND));
    assert_int_equal(n.client.why.error, COVEY_ERR_CONNECTION_LOST);
    assert_true(n.client.why.by_peer);
    assert_int_equal(stats_of(&n.server).resets_sent, 1);
    net_fini(&n);
}

/* Another secret, another token: nobody else can end it. */
static void test_forged_reset_is_ignored(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    test_wire_run(&n.wire, COVEY_SECOND);
    cv_quic_endpoint_free(n.server.endpoint);
    struct cv_quic_config server = peer_config(&n.server, true);
    memset(server.secret, 'x', sizeof(server.secret));
    assert_int_equal(cv_quic_endpoint_new(&server, &n.server.endpoint), 0);
    n.server.port->endpoint = n.server.endpoint;
    write_text(open_stream(&n.client), "is anybody there? somebody must be, I said", true);
    test_wire_run(&n.wire, 2 * COVEY_SECOND);
    assert_true(stats_of(&n.server).resets_sent > 0);
    assert_int_equal(n.client.closed, 0);
    net_fini(&n);
}

static void test_free_drops_everything(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    write_text(s, "not yet acknowledged", false);
    net_dial(&n, CV_ALPN_ID_RPC, NULL); /* and one in the middle of its handshake */
    test_wire_flush(&n.wire);
    cv_quic_endpoint_free(n.client.endpoint);
    n.client.endpoint = n.client.port->endpoint = NULL;
    assert_int_equal(n.client.closed, 2);
    assert_int_equal(n.client.stream_closed, 1);
    assert_int_equal(n.client.why.error, COVEY_ERR_CLOSED);
    net_fini(&n);
}

static void test_bad_network(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net n;
        net_init(&n);
        cv_rand_seed(&n.wire.rand, seed);
        net_start(&n);
        n.wire.drop_percent = 10;
        n.wire.duplicate_percent = 30;
        n.wire.corrupt_percent = 5;
        n.wire.reorder_percent = 30;
        n.server.echoes = true;
        net_dial(&n, CV_ALPN_ID_RPC, NULL);
        if (!test_wire_wait(&n.wire, &n.client.ready, 1, LONG))
            fail_msg("seed %llu: no handshake", (unsigned long long)seed);
        write_text(open_stream(&n.client), "through the storm", true);
        if (!test_wire_wait(&n.wire, &n.client.fins, 1, LONG))
            fail_msg("seed %llu: no answer", (unsigned long long)seed);
        assert_int_equal(n.client.received, strlen("through the storm"));
        assert_int_equal(n.server.ready, 1);
        net_fini(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dial_without_memory_changes_nothing),
        cmocka_unit_test(test_new_without_memory),
        cmocka_unit_test(test_running_out_of_memory_while_connected),
        cmocka_unit_test(test_forgotten_connection_is_reset),
        cmocka_unit_test(test_forged_reset_is_ignored),
        cmocka_unit_test(test_free_drops_everything),
        cmocka_unit_test(test_bad_network),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
