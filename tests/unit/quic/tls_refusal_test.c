/* Peers that are refused in a whole handshake, for what they show or do. */
#include "unit/quic/tls_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_or_missing_alpn_is_no_application_protocol),
        cmocka_unit_test(somebody_elses_certificate_is_refused),
        cmocka_unit_test(a_costly_chain_is_refused_before_any_signature_is_checked),
        cmocka_unit_test(every_bad_certificate_has_its_own_counter),
        cmocka_unit_test(a_long_chain_has_its_own_counter),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
