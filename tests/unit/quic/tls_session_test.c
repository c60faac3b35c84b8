#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/tls.h"
#include "quic/tls_trust.h"
#include "support/test_alloc.h"
#include "support/test_cert.h"
#include "support/test_pki.h"
#include "support/test_quic_pair.h"

#include <covey/error.h>
#include <gnutls/gnutls.h>

static uint64_t total(const struct cv_tls_refusals *r)
{
    const uint64_t *counters = (const uint64_t *)r;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof *r / sizeof *counters; i++)
        sum += counters[i];
    return sum;
}

static void assert_accepted(const struct test_side *side, const struct cv_tls *peer,
                            enum cv_alpn alpn)
{
    const struct cv_identity *found = cv_tls_session_peer(side->session);
    assert_false(side->broken || side->closed);
    assert_true(ngtcp2_conn_get_handshake_completed(side->quic));
    assert_int_equal(cv_tls_session_refusal(side->session), 0);
    assert_int_equal(cv_tls_session_alpn(side->session), alpn);
    assert_non_null(found);
    assert_memory_equal(&found->id, &cv_tls_identity(peer)->id, sizeof found->id);
    assert_string_equal(found->name, cv_tls_identity(peer)->name);
    assert_int_equal(found->role, cv_tls_identity(peer)->role);
}

/* `by` refused, and the other side was told with this alert. */
static void assert_refused(const struct test_side *by, const struct test_side *other, int error,
                           uint64_t alert)
{
    assert_true(by->broken);
    assert_int_equal(cv_tls_session_refusal(by->session), error);
    assert_null(cv_tls_session_peer(by->session));
    assert_true(other->closed);
    assert_int_equal(other->close_code, TEST_CRYPTO_ERROR | alert);
}

/* One CA and three contexts that it signed. */
struct fixture {
    struct test_pki pki;
    struct cv_tls *member;
    struct cv_tls *other;
    struct cv_tls *client;
};

static int setup(void **state)
{
    static struct fixture f;
    test_pki_init(&f.pki, "flock");
    test_pki_tls(&f.pki, "one", CV_ROLE_MEMBER, &f.member);
    test_pki_tls(&f.pki, "two", CV_ROLE_MEMBER, &f.other);
    test_pki_tls(&f.pki, "user", CV_ROLE_CLIENT, &f.client);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cv_tls_free(f->member);
    cv_tls_free(f->other);
    cv_tls_free(f->client);
    return 0;
}

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

/* A client of another program, which offers `alpn`; NULL: nothing. */
static void start_foreign_with(struct test_side *side, gnutls_certificate_credentials_t credentials,
                               const char *alpn, unsigned flags)
{
    *side = (struct test_side){.ref = {.get_conn = test_side_conn, .user_data = side}};
    test_side_start_quic(side, false);
    assert_int_equal(gnutls_init(&side->foreign, GNUTLS_CLIENT | flags), 0);
    assert_int_equal(gnutls_priority_set_direct(side->foreign,
                                                "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
                                                "%DISABLE_TLS13_COMPAT_MODE",
                                                NULL),
                     0);
    gnutls_session_set_ptr(side->foreign, &side->ref);
    assert_int_equal(ngtcp2_crypto_gnutls_configure_client_session(side->foreign), 0);
    assert_int_equal(gnutls_credentials_set(side->foreign, GNUTLS_CRD_CERTIFICATE, credentials), 0);
    if (alpn != NULL) {
        gnutls_datum_t protocol = test_datum(alpn);
        assert_int_equal(gnutls_alpn_set_protocols(side->foreign, &protocol, 1, 0), 0);
    }
    ngtcp2_conn_set_tls_native_handle(side->quic, side->foreign);
}

static void start_foreign(struct test_side *side, gnutls_certificate_credentials_t credentials,
                          const char *alpn)
{
    start_foreign_with(side, credentials, alpn, GNUTLS_NO_TICKETS);
}

/* The certificates of one with the key of another, if so wished. */
static gnutls_certificate_credentials_t load_credentials(const char *cert_pem, const char *key_pem)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert = test_datum(cert_pem);
    gnutls_datum_t key = test_datum(key_pem);
    assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
    gnutls_certificate_set_flags(credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    assert_int_equal(
        gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM), 0);
    return credentials;
}

/* However good the certificate is. */
static void a_wrong_or_missing_alpn_is_no_application_protocol(void **state)
{
    struct fixture *f = *state;
    struct cv_pki_pair issued;
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &issued);
    static const char *const alpns[] = {NULL, "h3", "covey-rpc/2"};
    gnutls_certificate_credentials_t credentials =
        load_credentials(issued.cert_pem, issued.key_pem);
    for (size_t i = 0; i < 3; i++) {
        struct test_pair pair;
        uint64_t before = cv_tls_refusals(f->member)->no_protocol;
        start_foreign(&pair.client, credentials, alpns[i]);
        test_side_start(&pair.server, f->member, true, CV_ALPN_ID_CLUSTER, NULL);
        test_pair_run(&pair);
        assert_refused(&pair.server, &pair.client, COVEY_ERR_NO_PROTOCOL,
                       GNUTLS_A_NO_APPLICATION_PROTOCOL);
        assert_int_equal(cv_tls_refusals(f->member)->no_protocol, before + 1);
        test_pair_stop(&pair);
    }
    gnutls_certificate_free_credentials(credentials);
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

/* Certificates are public: whoever shows one must hold its key. */
static void somebody_elses_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    struct test_pair pair;
    struct cv_pki_pair victim;
    struct cv_pki_pair thief;
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &victim);
    test_pki_issue(&f->pki, "two", CV_ROLE_MEMBER, &thief);
    gnutls_certificate_credentials_t credentials = load_credentials(victim.cert_pem, thief.key_pem);
    start_foreign(&pair.client, credentials, CV_ALPN_RPC);
    test_side_start(&pair.server, f->member, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_true(pair.server.broken);
    assert_null(cv_tls_session_peer(pair.server.session));
    assert_true(pair.client.closed);
    assert_int_equal(pair.client.close_code, TEST_CRYPTO_ERROR | GNUTLS_A_DECRYPT_ERROR);
    test_pair_stop(&pair);
    gnutls_certificate_free_credentials(credentials);
}

/* The signature is bad too, as above; the alert shows that nobody looked at it. */
static void a_costly_chain_is_refused_before_any_signature_is_checked(void **state)
{
    struct fixture *f = *state;
    static char chain[4 * CV_PEM_SIZE_MAX];
    struct test_pair pair;
    struct cv_pki_pair victim;
    struct cv_pki_pair thief;
    struct cv_pki_pair costly;
    struct test_cert_config config = test_cert_member(&f->pki);
    test_pki_issue(&f->pki, "two", CV_ROLE_MEMBER, &thief);
    test_cert_make(&config, NULL, &victim);
    /* Sent along as what looks like the issuer. */
    config.common_name = "flock covey CA";
    config.is_ca = true;
    config.foreign_key = test_rsa_noise(16384, 3);
    test_cert_make(&config, NULL, &costly);
    gnutls_pubkey_deinit(config.foreign_key);
    snprintf(chain, sizeof chain, "%s%s", victim.cert_pem, costly.cert_pem);
    gnutls_certificate_credentials_t credentials = load_credentials(chain, thief.key_pem);
    uint64_t before = cv_tls_refusals(f->member)->costly_key;
    start_foreign(&pair.client, credentials, CV_ALPN_RPC);
    test_side_start(&pair.server, f->member, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE);
    assert_int_equal(cv_tls_refusals(f->member)->costly_key, before + 1);
    test_pair_stop(&pair);
    gnutls_certificate_free_credentials(credentials);
}

/* A peer that shows this is refused; the counter tells it from all others. */
static void assert_counted(struct fixture *f, const char *chain_pem, const char *key_pem, int error,
                           uint64_t alert, size_t counter)
{
    struct test_pair pair;
    const struct cv_tls_refusals *refusals = cv_tls_refusals(f->member);
    const uint64_t *one = (const uint64_t *)(const void *)((const char *)refusals + counter);
    uint64_t before = *one;
    uint64_t before_total = total(refusals);
    gnutls_certificate_credentials_t credentials = load_credentials(chain_pem, key_pem);
    start_foreign(&pair.client, credentials, CV_ALPN_RPC);
    test_side_start(&pair.server, f->member, true, CV_ALPN_ID_CLUSTER, NULL);
    test_pair_run(&pair);
    assert_refused(&pair.server, &pair.client, error, alert);
    assert_int_equal(*one, before + 1);
    assert_int_equal(total(refusals), before_total + 1);
    assert_non_null(cv_tls_session_refusal_text(pair.server.session));
    test_pair_stop(&pair);
    gnutls_certificate_free_credentials(credentials);
}

static void assert_cert_counted(struct fixture *f, const struct test_cert_config *config, int error,
                                uint64_t alert, size_t counter)
{
    struct cv_pki_pair pair;
    test_cert_make(config, NULL, &pair);
    assert_counted(f, pair.cert_pem, pair.key_pem, error, alert, counter);
}

#define COUNTER(name) offsetof(struct cv_tls_refusals, name)

static void every_bad_certificate_has_its_own_counter(void **state)
{
    struct fixture *f = *state;
    const struct test_cert_config good = test_cert_member(&f->pki);
    struct test_cert_config config = good;
    config.not_before_ms = TEST_WALL_MS + 1000;
    assert_cert_counted(f, &config, COVEY_ERR_CERTIFICATE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED,
                        COUNTER(not_yet_valid));
    config = good;
    config.not_after_ms = TEST_WALL_MS - 1000;
    assert_cert_counted(f, &config, COVEY_ERR_CERTIFICATE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED,
                        COUNTER(expired));
    config = good;
    config.issuer = NULL;
    assert_cert_counted(f, &config, COVEY_ERR_CERTIFICATE, GNUTLS_A_UNKNOWN_CA,
                        COUNTER(self_signed));
    config = good;
    config.uri_count = 0;
    assert_cert_counted(f, &config, COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE,
                        COUNTER(no_name));
    config = good;
    config.purposes[1] = GNUTLS_KP_CODE_SIGNING;
    assert_cert_counted(f, &config, COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE,
                        COUNTER(wrong_usage));
    config = good;
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    assert_cert_counted(f, &config, COVEY_ERR_WRONG_CLUSTER, GNUTLS_A_ACCESS_DENIED,
                        COUNTER(wrong_cluster));
}

static void a_long_chain_has_its_own_counter(void **state)
{
    struct fixture *f = *state;
    static char chain[(CV_TLS_CHAIN_MAX + 1) * CV_PEM_SIZE_MAX];
    struct cv_pki_pair pairs[CV_TLS_CHAIN_MAX + 1];
    /* GnuTLS sends a chain in order only: each signed by the next. */
    for (size_t i = CV_TLS_CHAIN_MAX + 1; i-- > 0;) {
        char name[32];
        struct test_cert_config config = test_cert_member(&f->pki);
        snprintf(name, sizeof name, "step %zu", i);
        config.common_name = name;
        config.issuer = i == CV_TLS_CHAIN_MAX ? &f->pki.ca : &pairs[i + 1];
        config.is_ca = i > 0;
        config.key_usage = i > 0 ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE;
        test_cert_make(&config, NULL, &pairs[i]);
    }
    for (size_t i = 0; i <= CV_TLS_CHAIN_MAX; i++)
        strcat(chain, pairs[i].cert_pem);
    assert_counted(f, chain, pairs[0].key_pem, COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE,
                   COUNTER(chain_too_long));
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
        cmocka_unit_test(a_wrong_or_missing_alpn_is_no_application_protocol),
        cmocka_unit_test(a_server_gives_no_tickets),
        cmocka_unit_test(somebody_elses_certificate_is_refused),
        cmocka_unit_test(a_costly_chain_is_refused_before_any_signature_is_checked),
        cmocka_unit_test(every_bad_certificate_has_its_own_counter),
        cmocka_unit_test(a_long_chain_has_its_own_counter),
        cmocka_unit_test(a_ca_is_replaced_in_steps),
        cmocka_unit_test(sessions_keep_what_they_began_with),
        cmocka_unit_test(a_session_knows_the_peers_certificate_and_its_end),
        cmocka_unit_test(a_session_that_cannot_be_made_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
