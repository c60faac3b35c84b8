#include "fixture.h"
#include "quic/endpoint_internal.h"

/* Who may talk to whom, and what either side hears of a refusal. */

static void test_handshake_tells_both_who_the_other_is(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    net_start(&n);
    struct cv_quic_conn *c = net_dial(&n, CV_ALPN_ID_CLUSTER, NULL);
    assert_false(cv_quic_conn_is_ready(c));
    assert_null(cv_quic_conn_peer(c));
    assert_ptr_equal(cv_quic_conn_user(c), &n);
    assert_int_equal(n.client.ready + n.client.closed, 0);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.ready, 1, LONG));
    assert_ptr_equal(n.client.conn, c);
    assert_string_equal(n.client.identity.name, "server");
    assert_string_equal(n.client.identity.cluster, CLUSTER);
    assert_string_equal(n.server.identity.name, "client");
    assert_memory_equal(&n.client.identity.id, &cv_tls_identity(n.server.tls)->id,
                        sizeof(covey_node_id));
    assert_memory_equal(&n.server.identity.id, &cv_tls_identity(n.client.tls)->id,
                        sizeof(covey_node_id));
    assert_false(cv_quic_conn_is_accepted(n.client.conn));
    assert_true(cv_quic_conn_is_accepted(n.server.conn));
    struct cv_address server = test_wire_address(0);
    struct cv_address client = test_wire_address(1);
    struct cv_address seen = cv_quic_conn_remote(n.client.conn);
    assert_true(cv_address_equal(&seen, &server));
    seen = cv_quic_conn_remote(n.server.conn);
    assert_true(cv_address_equal(&seen, &client));
    assert_int_equal(stats_of(&n.server).connections_accepted, 1);
    assert_int_equal(stats_of(&n.server).handshakes_open, 0);
    assert_int_equal(stats_of(&n.server).connections_open, 1);
    assert_int_equal(stats_of(&n.client).connections_dialled, 1);
    net_fini(&n);
}

/* It would keep some 10 KiB of each connection. */
static void test_tls_is_let_go_when_both_know(void **state)
{
    struct net n;
    struct cv_slice der;
    (void)state;
    net_init(&n);
    net_start(&n);
    net_dial(&n, CV_ALPN_ID_CLUSTER, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.ready, 1, LONG));
    test_wire_run(&n.wire, 100 * COVEY_MILLISECOND);
    assert_null(cv_tls_session_native(n.client.conn->tls));
    assert_null(cv_tls_session_native(n.server.conn->tls));
    assert_string_equal(cv_quic_conn_peer(n.client.conn)->name, "server");
    der = cv_quic_conn_peer_der(n.server.conn);
    assert_true(der.size > 0);
    assert_true(cv_quic_conn_valid_until_ms(n.client.conn) > 0);
    net_fini(&n);
}

static void test_protocols_are_kept_apart(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        enum cv_alpn alpn = i == 0 ? CV_ALPN_ID_CLUSTER : CV_ALPN_ID_RPC;
        struct net n;
        net_init(&n);
        net_start(&n);
        net_dial(&n, alpn, NULL);
        assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
        assert_true(test_wire_wait(&n.wire, &n.server.ready, 1, LONG));
        assert_int_equal(cv_quic_conn_alpn(n.client.conn), alpn);
        assert_int_equal(cv_quic_conn_alpn(n.server.conn), alpn);
        net_fini(&n);
    }
}

static void test_expected_identity(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    net_start(&n);
    covey_node_id expected = cv_tls_identity(n.server.tls)->id;
    net_dial(&n, CV_ALPN_ID_RPC, &expected);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    expected.bytes[0] ^= 1;
    net_dial(&n, CV_ALPN_ID_RPC, &expected);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_WRONG_IDENTITY);
    assert_false(n.client.why.by_peer);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(n.client.ready, 1);
    assert_int_equal(n.server.ready, 1);
    assert_int_equal(n.server.closed, 0);
    assert_int_equal(stats_of(&n.server).handshakes_open, 0);
    assert_int_equal(stats_of(&n.server).handshakes_failed, 1);
    net_fini(&n);
}

/* The client's certificate is one that the server refuses: only the client hears of it. */
static void expect_client_refused(struct net *n, enum cv_alpn alpn)
{
    net_start(n);
    net_dial(n, alpn, NULL);
    assert_true(test_wire_wait(&n->wire, &n->client.closed, 1, LONG));
    assert_int_equal(n->client.why.error, COVEY_ERR_REFUSED);
    assert_true(n->client.why.by_peer);
    assert_false(n->client.why.application);
    test_wire_run(&n->wire, 10 * COVEY_SECOND);
    assert_int_equal(n->client.ready, 0);
    assert_int_equal(n->client.closed, 1);
    assert_int_equal(n->server.ready + n->server.closed, 0);
    assert_int_equal(stats_of(&n->server).handshakes_failed, 1);
    assert_int_equal(stats_of(&n->server).handshakes_open, 0);
    assert_int_equal(stats_of(&n->server).connections_open, 0);
    net_fini(n);
}

static void init_with_client(struct net *n, enum cv_role role)
{
    struct cv_pki_pair pair;
    test_pki_issue(&pki, "other", role, &pair);
    test_wire_init(&n->wire, 1);
    peer_init(&n->server, &pki, &server_pair, 2);
    peer_init(&n->client, &pki, &pair, 3);
}

static void test_client_role_is_refused_on_gossip_only(void **state)
{
    struct net n;
    (void)state;
    init_with_client(&n, CV_ROLE_CLIENT);
    expect_client_refused(&n, CV_ALPN_ID_CLUSTER);

    init_with_client(&n, CV_ROLE_CLIENT);
    net_start(&n);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.server.ready, 1, LONG));
    assert_int_equal(n.server.identity.role, CV_ROLE_CLIENT);
    net_fini(&n);
}

static void test_expired_client_is_refused(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    cv_tls_set_wall_ms(n.server.tls, TEST_WALL_MS + 400 * TEST_DAY_MS);
    expect_client_refused(&n, CV_ALPN_ID_RPC);
}

/* The server's certificate is one that the client refuses. */
static void expect_server_refused(struct net *n, int error)
{
    net_start(n);
    net_dial(n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n->wire, &n->client.closed, 1, LONG));
    assert_int_equal(n->client.why.error, error);
    assert_false(n->client.why.by_peer);
    test_wire_run(&n->wire, 10 * COVEY_SECOND);
    assert_int_equal(n->client.ready, 0);
    assert_int_equal(n->server.ready + n->server.closed, 0);
    assert_int_equal(stats_of(&n->server).handshakes_open, 0);
    net_fini(n);
}

static void test_expired_server_is_refused(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    cv_tls_set_wall_ms(n.client.tls, TEST_WALL_MS + 400 * TEST_DAY_MS);
    expect_server_refused(&n, COVEY_ERR_CERTIFICATE_EXPIRED);
}

static void test_other_ca_is_refused(void **state)
{
    struct net n;
    struct test_pki other;
    struct cv_pki_pair pair;
    (void)state;
    test_pki_init(&other, CLUSTER);
    test_pki_issue(&other, "client", CV_ROLE_MEMBER, &pair);
    test_wire_init(&n.wire, 1);
    peer_init(&n.server, &pki, &server_pair, 2);
    peer_init(&n.client, &other, &pair, 3);
    expect_server_refused(&n, COVEY_ERR_CERTIFICATE);
}

/* One CA, two clusters. */
static void test_other_cluster_is_refused(void **state)
{
    struct net n;
    struct cv_pki_pair pair;
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, "stray", CV_ROLE_MEMBER);
    (void)state;
    config.cluster = "herd";
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    test_wire_init(&n.wire, 1);
    peer_init(&n.server, &pki, &pair, 2);
    peer_init(&n.client, &pki, &client_pair, 3);
    expect_server_refused(&n, COVEY_ERR_WRONG_CLUSTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_tells_both_who_the_other_is),
        cmocka_unit_test(test_tls_is_let_go_when_both_know),
        cmocka_unit_test(test_protocols_are_kept_apart),
        cmocka_unit_test(test_expected_identity),
        cmocka_unit_test(test_client_role_is_refused_on_gossip_only),
        cmocka_unit_test(test_expired_client_is_refused),
        cmocka_unit_test(test_expired_server_is_refused),
        cmocka_unit_test(test_other_ca_is_refused),
        cmocka_unit_test(test_other_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
