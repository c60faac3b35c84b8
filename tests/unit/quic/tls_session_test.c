#include "quic/tls_context.h"
#include "unit/quic/tls_fixture.h"

static void members_accept_each_other(void **state)
{
    struct fixture *f = *state;
    static const enum cv_alpn alpns[] = {CV_ALPN_ID_CLUSTER, CV_ALPN_ID_RPC};
    for (size_t i = 0; i < 2; i++) {
        struct test_pair pair;
        test_pair_start(&pair, f->member, f->other, alpns[i]);
        assert_null(cv_tls_session_peer(pair.client.session));
        test_pair_run(&pair);
        assert_accepted(&pair.client, f->other, alpns[i]);
        assert_accepted(&pair.server, f->member, alpns[i]);
        test_pair_stop(&pair);
    }
}

static void any_role_may_call_a_member(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    test_pair_start(&pair, f->client, f->member, CV_ALPN_ID_RPC);
    test_pair_run(&pair);
    assert_accepted(&pair.client, f->member, CV_ALPN_ID_RPC);
    assert_accepted(&pair.server, f->client, CV_ALPN_ID_RPC);
    test_pair_stop(&pair);
}

static void the_first_suite_and_group_are_agreed_on(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    test_pair_start(&pair, f->member, f->other, CV_ALPN_ID_RPC);
    test_pair_run(&pair);
    gnutls_session_t native = cv_tls_session_native(pair.client.session);
    assert_int_equal(gnutls_protocol_get_version(native), GNUTLS_TLS1_3);
    assert_int_equal(gnutls_cipher_get(native), GNUTLS_CIPHER_AES_128_GCM);
    assert_int_equal(gnutls_group_get(native), GNUTLS_GROUP_X25519);
    assert_int_equal(gnutls_session_is_resumed(native), 0);
    test_pair_stop(&pair);
}

static void the_expected_node_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    covey_node_id id = cv_tls_identity(f->other)->id;
    test_side_start(&pair.client, f->member, false, CV_ALPN_ID_CLUSTER, &id);
    test_side_start(&pair.server, f->other, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_accepted(&pair.client, f->other, CV_ALPN_ID_CLUSTER);
    test_pair_stop(&pair);
}

static void another_node_than_expected_is_refused(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    covey_node_id id = cv_tls_identity(f->member)->id;
    uint64_t before = cv_tls_refusals(f->member)->wrong_identity;
    test_side_start(&pair.client, f->member, false, CV_ALPN_ID_CLUSTER, &id);
    test_side_start(&pair.server, f->other, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_refused(&pair.client, &pair.server, COVEY_ERR_WRONG_IDENTITY,
                   GNUTLS_A_CERTIFICATE_UNKNOWN);
    assert_int_equal(cv_tls_refusals(f->member)->wrong_identity, before + 1);
    test_pair_stop(&pair);
}

static void a_client_may_not_gossip(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    uint64_t before = total(cv_tls_refusals(f->member));
    test_pair_start(&pair, f->client, f->member, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, COVEY_ERR_WRONG_ROLE,
                   GNUTLS_A_UNSUPPORTED_CERTIFICATE);
    assert_int_equal(total(cv_tls_refusals(f->member)), before + 1);
    test_pair_stop(&pair);
}

static void a_server_must_be_a_member(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    test_pair_start(&pair, f->member, f->client, CV_ALPN_ID_RPC);
    test_pair_run(&pair);
    assert_refused(&pair.client, &pair.server, COVEY_ERR_WRONG_ROLE,
                   GNUTLS_A_UNSUPPORTED_CERTIFICATE);
    test_pair_stop(&pair);
}

static void an_expired_certificate_is_refused_by_either_side(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    cv_tls_set_wall_ms(f->other, TEST_WALL_MS + 366 * TEST_DAY_MS);
    test_pair_start(&pair, f->member, f->other, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, COVEY_ERR_CERTIFICATE_EXPIRED,
                   GNUTLS_A_CERTIFICATE_EXPIRED);
    assert_int_equal(cv_tls_refusals(f->other)->expired, 1);
    test_pair_stop(&pair);
    test_pair_start(&pair, f->other, f->member, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    assert_refused(&pair.client, &pair.server, COVEY_ERR_CERTIFICATE_EXPIRED,
                   GNUTLS_A_CERTIFICATE_EXPIRED);
    test_pair_stop(&pair);
    cv_tls_set_wall_ms(f->other, TEST_WALL_MS);
}

/* A client of another CA shows its certificate and learns why it is refused. */
static void another_ca_is_refused_with_its_own_alert(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    struct test_pki strangers;
    struct cv_pki_pair issued;
    struct cv_tls *stranger;
    char reason[CV_TLS_REASON_SIZE];
    static char both[2 * CV_PEM_SIZE_MAX];
    test_pki_init(&strangers, "flock");
    test_pki_issue(&strangers, "one", CV_ROLE_MEMBER, &issued);
    snprintf(both, sizeof both, "%s%s", strangers.ca.cert_pem, f->pki.ca.cert_pem);
    struct cv_tls_config config = {
        .alloc = cv_alloc_default(),
        .ca_pem = cv_slice_text(both),
        .cert_pem = cv_slice_text(issued.cert_pem),
        .key_pem = cv_slice_text(issued.key_pem),
        .wall_ms = TEST_WALL_MS,
    };
    assert_int_equal(cv_tls_new(&config, &stranger, reason), 0);
    test_pair_start(&pair, stranger, f->member, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, COVEY_ERR_CERTIFICATE, GNUTLS_A_UNKNOWN_CA);
    assert_int_equal(cv_tls_refusals(f->member)->untrusted, 1);
    test_pair_stop(&pair);
    cv_tls_free(stranger);
}

static void another_cluster_of_the_same_ca_is_refused(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    struct cv_pki_pair issued;
    struct cv_tls *stranger;
    struct cv_pki_issue_config config = test_pki_issue_config(&f->pki, "one", CV_ROLE_MEMBER);
    config.cluster = "herd";
    assert_int_equal(cv_pki_issue(&config, &issued), 0);
    test_pki_tls_of(&f->pki, &issued, cv_alloc_default(), &stranger);
    test_pair_start(&pair, stranger, f->member, CV_ALPN_ID_RPC);
    test_pair_run(&pair);
    /* The client judges first: it sees the server's certificate before it shows its own. */
    assert_refused(&pair.client, &pair.server, COVEY_ERR_WRONG_CLUSTER, GNUTLS_A_ACCESS_DENIED);
    test_pair_stop(&pair);
    cv_tls_free(stranger);
}

static void a_client_without_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    gnutls_certificate_credentials_t none;
    assert_int_equal(gnutls_certificate_allocate_credentials(&none), 0);
    test_pair_start(&pair, f->client, f->member, CV_ALPN_ID_RPC);
    gnutls_session_t native = cv_tls_session_native(pair.client.session);
    assert_int_equal(gnutls_credentials_set(native, GNUTLS_CRD_CERTIFICATE, none), 0);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, COVEY_ERR_CERTIFICATE,
                   GNUTLS_A_CERTIFICATE_REQUIRED);
    assert_int_equal(cv_tls_refusals(f->member)->no_certificate, 1);
    test_pair_stop(&pair);
    gnutls_certificate_free_credentials(none);
}

/* A client that would resume gets nothing to do it with. */
static void a_server_gives_no_tickets(void **state)
{
    struct fixture *f = *state;
    struct cv_pki_pair issued;
    struct test_pair pair;
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &issued);
    gnutls_certificate_credentials_t credentials =
        load_credentials(issued.cert_pem, issued.key_pem);
    start_foreign_with(&pair.client, credentials, CV_ALPN_RPC, 0);
    test_side_start(&pair.server, f->member, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_non_null(cv_tls_session_peer(pair.server.session));
    assert_int_equal(gnutls_session_get_flags(pair.client.foreign) & GNUTLS_SFLAGS_SESSION_TICKET,
                     0);
    test_pair_stop(&pair);
    gnutls_certificate_free_credentials(credentials);
}

static void reload(struct cv_tls *tls, const char *ca_pem, const struct cv_pki_pair *pair)
{
    char reason[CV_TLS_REASON_SIZE];
    struct cv_tls_config config = {
        .ca_pem = cv_slice_text(ca_pem),
        .cert_pem = cv_slice_text(pair->cert_pem),
        .key_pem = cv_slice_text(pair->key_pem),
        .wall_ms = TEST_WALL_MS,
    };
    assert_int_equal(cv_tls_reload(tls, &config, CV_TLS_REKEY, reason), 0);
}

static bool connects(struct cv_tls *client, struct cv_tls *server)
{
    struct test_pair pair;
    test_pair_start(&pair, client, server, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    bool done = cv_tls_session_peer(pair.client.session) != NULL &&
                cv_tls_session_peer(pair.server.session) != NULL;
    test_pair_stop(&pair);
    return done;
}

/* CA -> CA + CA' -> certificates of CA' -> CA': at no step a node is shut out. */
static void a_ca_is_replaced_in_steps(void **state)
{
    struct fixture *f = *state;
    struct test_pki next;
    struct cv_pki_pair olds[2];
    struct cv_pki_pair news[2];
    struct cv_tls *nodes[2];
    static const char *const names[2] = {"a", "b"};
    static char both[2 * CV_PEM_SIZE_MAX];
    test_pki_init(&next, "flock");
    snprintf(both, sizeof both, "%s%s", f->pki.ca.cert_pem, next.ca.cert_pem);
    for (size_t i = 0; i < 2; i++) {
        test_pki_issue(&f->pki, names[i], CV_ROLE_MEMBER, &olds[i]);
        test_pki_issue(&next, names[i], CV_ROLE_MEMBER, &news[i]);
        test_pki_tls_of(&f->pki, &olds[i], cv_alloc_default(), &nodes[i]);
    }
    const struct {
        const char *ca;
        const struct cv_pki_pair *pairs;
    } steps[] = {{both, olds}, {both, news}, {next.ca.cert_pem, news}};
    assert_true(connects(nodes[0], nodes[1]));
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < 2; i++) {
            reload(nodes[i], steps[step].ca, &steps[step].pairs[i]);
            assert_true(connects(nodes[0], nodes[1]));
            assert_true(connects(nodes[1], nodes[0]));
        }
    }
    /* One that missed the change is out, and knows why. */
    assert_false(connects(f->member, nodes[0]));
    assert_int_equal(cv_tls_refusals(nodes[0])->untrusted + cv_tls_refusals(f->member)->untrusted,
                     2);
    cv_tls_free(nodes[0]);
    cv_tls_free(nodes[1]);
}

/* A handshake under way, and a connection, keep what they began with. */
static void sessions_keep_what_they_began_with(void **state)
{
    struct fixture *f = *state;
    struct test_alloc memory;
    struct test_pki next;
    struct cv_pki_pair old;
    struct cv_pki_pair new;
    struct cv_tls *tls;
    struct test_pair pair;
    test_alloc_init(&memory);
    test_pki_init(&next, "flock");
    test_pki_issue(&f->pki, "a", CV_ROLE_MEMBER, &old);
    test_pki_issue(&next, "a", CV_ROLE_MEMBER, &new);
    test_pki_tls_of(&f->pki, &old, &memory.alloc, &tls);
    covey_node_id old_id = cv_tls_identity(tls)->id;
    test_pair_start(&pair, tls, f->member, CV_ALPN_ID_RPC);
    reload(tls, next.ca.cert_pem, &new);
    test_pair_run(&pair);
    assert_accepted(&pair.client, f->member, CV_ALPN_ID_RPC);
    const struct cv_identity *seen = cv_tls_session_peer(pair.server.session);
    assert_non_null(seen);
    assert_memory_equal(&seen->id, &old_id, sizeof old_id);
    assert_memory_not_equal(&cv_tls_identity(tls)->id, &old_id, sizeof old_id);
    assert_false(connects(tls, f->member));
    test_pair_stop(&pair);
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

static void a_session_knows_the_peers_certificate_and_its_end(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    struct test_der der;
    struct cv_pki_pair short_lived;
    struct cv_pki_issue_config config = test_pki_issue_config(&f->pki, "brief", CV_ROLE_CLIENT);
    struct cv_tls *tls;
    config.not_after_ms = TEST_WALL_MS + 60000;
    assert_int_equal(cv_pki_issue(&config, &short_lived), 0);
    test_pki_tls_of(&f->pki, &short_lived, cv_alloc_default(), &tls);
    test_der_of_pem(short_lived.cert_pem, &der);
    test_pair_start(&pair, tls, f->member, CV_ALPN_ID_RPC);
    assert_int_equal(cv_tls_session_peer_der(pair.server.session).size, 0);
    assert_int_equal(cv_tls_session_valid_until_ms(pair.server.session), 0);
    test_pair_run(&pair);
    struct cv_slice seen = cv_tls_session_peer_der(pair.server.session);
    assert_true(cv_slice_equal(seen, test_der_slice(&der)));
    /* The earlier end, whoever's it is. */
    assert_int_equal(cv_tls_session_valid_until_ms(pair.server.session), TEST_WALL_MS + 60000);
    assert_int_equal(cv_tls_session_valid_until_ms(pair.client.session), TEST_WALL_MS + 60000);
    assert_int_equal(cv_tls_valid_until_ms(tls), TEST_WALL_MS + 60000);
    test_pair_stop(&pair);
    cv_tls_free(tls);
}

static void a_settled_session_goes_on_to_say_what_it_found(void **state)
{
    struct fixture *f = *state;
    struct test_alloc memory;
    struct test_pair pair;
    struct test_der der;
    struct cv_pki_pair issued;
    struct cv_tls *tls;
    test_alloc_init(&memory);
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &issued);
    test_pki_tls_of(&f->pki, &issued, &memory.alloc, &tls);
    test_pair_start(&pair, f->member, tls, CV_ALPN_ID_CLUSTER);
    test_pair_run(&pair);
    struct cv_tls_session *session = pair.server.session;
    const uint64_t until = cv_tls_session_valid_until_ms(session);
    const struct cv_slice shown = cv_tls_session_peer_der(session);
    assert_true(shown.size <= sizeof der.bytes);
    memcpy(der.bytes, shown.data, shown.size);
    der.size = shown.size;

    memory.fail_at = memory.calls + 1;
    assert_false(cv_tls_session_settle(session));
    assert_non_null(cv_tls_session_native(session));
    const size_t used = tls->material->references;
    assert_true(cv_tls_session_settle(session));
    assert_null(cv_tls_session_native(session));
    assert_int_equal(tls->material->references, used - 1);

    assert_accepted(&pair.server, f->member, CV_ALPN_ID_CLUSTER);
    assert_true(cv_slice_equal(cv_tls_session_peer_der(session), test_der_slice(&der)));
    assert_int_equal(cv_tls_session_valid_until_ms(session), until);
    assert_int_equal(cv_tls_session_refusal(session), 0);
    test_pair_stop(&pair);
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

static void a_session_that_cannot_be_made_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct test_alloc memory;
    struct cv_pki_pair issued;
    struct cv_tls *tls;
    struct cv_tls_session *session = NULL;
    ngtcp2_crypto_conn_ref ref = {0};
    test_alloc_init(&memory);
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &issued);
    test_pki_tls_of(&f->pki, &issued, &memory.alloc, &tls);
    struct cv_tls_session_config config = {.tls = tls, .is_server = true, .conn_ref = &ref};
    memory.fail_at = memory.calls + 1;
    assert_int_equal(cv_tls_session_new(&config, &session), COVEY_ERR_NO_MEMORY);
    assert_null(session);
    size_t before = memory.calls;
    assert_int_equal(cv_tls_session_new(&config, &session), 0);
    assert_int_equal(memory.calls, before + 1);
    assert_non_null(cv_tls_session_native(session));
    cv_tls_session_free(session);
    cv_tls_session_free(NULL);
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_accept_each_other),
        cmocka_unit_test(any_role_may_call_a_member),
        cmocka_unit_test(the_first_suite_and_group_are_agreed_on),
        cmocka_unit_test(the_expected_node_is_accepted),
        cmocka_unit_test(another_node_than_expected_is_refused),
        cmocka_unit_test(a_client_may_not_gossip),
        cmocka_unit_test(a_server_must_be_a_member),
        cmocka_unit_test(an_expired_certificate_is_refused_by_either_side),
        cmocka_unit_test(another_ca_is_refused_with_its_own_alert),
        cmocka_unit_test(another_cluster_of_the_same_ca_is_refused),
        cmocka_unit_test(a_client_without_certificate_is_refused),
        cmocka_unit_test(a_server_gives_no_tickets),
        cmocka_unit_test(a_ca_is_replaced_in_steps),
        cmocka_unit_test(sessions_keep_what_they_began_with),
        cmocka_unit_test(a_session_knows_the_peers_certificate_and_its_end),
        cmocka_unit_test(a_settled_session_goes_on_to_say_what_it_found),
        cmocka_unit_test(a_session_that_cannot_be_made_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
