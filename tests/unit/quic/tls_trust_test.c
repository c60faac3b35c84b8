#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/tls_trust.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>

#define COPIES_MAX (CV_TLS_CA_MAX + 1)

static struct test_pki pki;
static struct cv_tls_period valid;

static int setup(void **state)
{
    (void)state;
    test_pki_init(&pki, "flock");
    return 0;
}

static void make_ca(struct cv_pki_pair *ca, uint64_t not_before_ms, uint64_t not_after_ms)
{
    struct cv_pki_ca_config config = {
        .cluster = "flock",
        .key_type = CV_KEY_ED25519,
        .not_before_ms = not_before_ms,
        .not_after_ms = not_after_ms,
    };
    assert_int_equal(cv_pki_make_ca(&config, ca), 0);
}

static gnutls_x509_crt_t import(const char *pem)
{
    gnutls_x509_crt_t cert;
    gnutls_datum_t text = test_datum(pem);
    gnutls_x509_crt_init(&cert);
    assert_int_equal(gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM), 0);
    return cert;
}

/* Writes the CA's certificate, then one for the same key that is valid until `not_after_ms`, then
 * the first again. */
static void make_ca_again(const struct cv_pki_pair *ca, uint64_t not_after_ms, char *pem,
                          size_t size)
{
    char renewed[CV_PEM_SIZE_MAX];
    size_t renewed_size = sizeof renewed;
    gnutls_x509_crt_t cert = import(ca->cert_pem);
    gnutls_x509_privkey_t key;
    gnutls_datum_t text = test_datum(ca->key_pem);
    gnutls_x509_privkey_init(&key);
    assert_int_equal(gnutls_x509_privkey_import(key, &text, GNUTLS_X509_FMT_PEM), 0);
    gnutls_x509_crt_set_expiration_time(cert, (time_t)(not_after_ms / 1000));
    assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_UNKNOWN, 0), 0);
    assert_int_equal(gnutls_x509_crt_export(cert, GNUTLS_X509_FMT_PEM, renewed, &renewed_size), 0);
    snprintf(pem, size, "%s%.*s%s", ca->cert_pem, (int)renewed_size, renewed, ca->cert_pem);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

static int check_pem(const char *ca_pem, const char *cert_pem, uint64_t wall_ms)
{
    struct cv_tls_trust trust;
    const char *problem;
    assert_int_equal(cv_tls_trust_init(&trust, cv_slice_text(ca_pem), &problem), 0);
    gnutls_x509_crt_t cert = import(cert_pem);
    int error = cv_tls_trust_check(&trust, &cert, 1, wall_ms, &valid);
    gnutls_x509_crt_deinit(cert);
    cv_tls_trust_fini(&trust);
    return error;
}

static void texts_that_are_no_ca_are_explained(void **state)
{
    (void)state;
    static char copies[COPIES_MAX * 2048];
    static char large[(1 << 20) + 1];
    char truncated[256];
    char damaged[CV_PEM_SIZE_MAX];
    struct cv_pki_pair member;
    test_pki_issue(&pki, "one", CV_ROLE_MEMBER, &member);
    for (size_t i = 0; i < COPIES_MAX; i++)
        strcat(copies, pki.ca.cert_pem);
    snprintf(truncated, sizeof truncated, "%.200s", pki.ca.cert_pem);
    snprintf(damaged, sizeof damaged, "%s", pki.ca.cert_pem);
    memset(damaged + 60, 'A', 40);
    memset(large, '\n', sizeof large);
    const struct {
        struct cv_slice pem;
        const char *problem;
    } table[] = {
        {{NULL, 0}, "the CA file is empty"},
        {cv_slice_text("hello"), "the CA file holds no PEM certificate"},
        {cv_slice_text(pki.ca.key_pem), "the CA file holds no PEM certificate"},
        {cv_slice_text(damaged), "the CA file is damaged: a certificate in it cannot be read"},
        {cv_slice_text(member.cert_pem), "the CA file holds a certificate that is not a CA's"},
        {cv_slice_text(copies), "the CA file holds more than 16 certificates"},
        {cv_slice_of(large, sizeof large), "the CA file is larger than 1 MiB"},
        {cv_slice_text(truncated), NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct cv_tls_trust trust;
        const char *problem = NULL;
        assert_int_equal(cv_tls_trust_init(&trust, table[i].pem, &problem), COVEY_ERR_CERTIFICATE);
        assert_int_equal(trust.count, 0);
        assert_non_null(problem);
        if (table[i].problem != NULL)
            assert_string_equal(problem, table[i].problem);
    }
}

static void sixteen_cas_fit(void **state)
{
    (void)state;
    static char copies[COPIES_MAX * 2048];
    struct cv_tls_trust trust;
    const char *problem;
    for (size_t i = 0; i < CV_TLS_CA_MAX; i++)
        strcat(copies, pki.ca.cert_pem);
    assert_int_equal(cv_tls_trust_init(&trust, cv_slice_text(copies), &problem), 0);
    assert_int_equal(trust.count, CV_TLS_CA_MAX);
    cv_tls_trust_fini(&trust);
    assert_int_equal(trust.count, 0);
}

static void while_a_ca_is_replaced_both_are_trusted(void **state)
{
    (void)state;
    static char both[2 * CV_PEM_SIZE_MAX];
    struct test_pki next;
    struct cv_pki_pair old_cert;
    struct cv_pki_pair new_cert;
    test_pki_init(&next, "flock");
    test_pki_issue(&pki, "one", CV_ROLE_MEMBER, &old_cert);
    test_pki_issue(&next, "one", CV_ROLE_MEMBER, &new_cert);
    snprintf(both, sizeof both, "%s%s", pki.ca.cert_pem, next.ca.cert_pem);
    assert_int_equal(check_pem(both, old_cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(check_pem(both, new_cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(check_pem(next.ca.cert_pem, new_cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(check_pem(next.ca.cert_pem, old_cert.cert_pem, TEST_WALL_MS),
                     COVEY_ERR_CERTIFICATE);
}

/* The library itself does not compare a leaf's end with its CA's. */
static void an_expired_ca_is_as_good_as_none(void **state)
{
    (void)state;
    static char both[2 * CV_PEM_SIZE_MAX];
    struct cv_pki_pair ca;
    struct cv_pki_pair cert;
    make_ca(&ca, TEST_WALL_MS - TEST_DAY_MS, TEST_WALL_MS + TEST_DAY_MS);
    struct test_cert_config config = test_cert_member(&pki);
    config.issuer = &ca;
    config.not_after_ms = TEST_WALL_MS + 10 * TEST_DAY_MS;
    test_cert_make(&config, NULL, &cert);
    uint64_t later = TEST_WALL_MS + 2 * TEST_DAY_MS;
    assert_int_equal(check_pem(ca.cert_pem, cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(check_pem(ca.cert_pem, cert.cert_pem, later), COVEY_ERR_CERTIFICATE_EXPIRED);
    snprintf(both, sizeof both, "%s%s", ca.cert_pem, pki.ca.cert_pem);
    assert_int_equal(check_pem(both, cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(check_pem(both, cert.cert_pem, later), COVEY_ERR_CERTIFICATE_EXPIRED);
}

/* The chain is good for as long as the first of it and its CA; with two CAs, as the better one. */
static void the_common_period_is_told(void **state)
{
    (void)state;
    static char both[3 * CV_PEM_SIZE_MAX];
    struct cv_pki_pair ca;
    struct cv_pki_pair cert;
    uint64_t begin = TEST_WALL_MS - TEST_DAY_MS;
    uint64_t end = TEST_WALL_MS + 30 * TEST_DAY_MS;
    make_ca(&ca, begin - 1000, end);
    struct test_cert_config config = test_cert_member(&pki);
    config.issuer = &ca;
    config.not_before_ms = begin;
    config.not_after_ms = end - 1000;
    test_cert_make(&config, NULL, &cert);
    assert_int_equal(check_pem(ca.cert_pem, cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(valid.begin_ms, begin);
    assert_int_equal(valid.end_ms, end - 1000);
    config.not_after_ms = end + 1000;
    test_cert_make(&config, NULL, &cert);
    assert_int_equal(check_pem(ca.cert_pem, cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(valid.end_ms, end);
    assert_int_equal(check_pem(ca.cert_pem, cert.cert_pem, begin - 1),
                     COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_int_equal(valid.begin_ms, begin);
    /* The same CA in two certificates, the shorter one first and last. */
    make_ca_again(&ca, end + 5000, both, sizeof both);
    assert_int_equal(check_pem(both, cert.cert_pem, TEST_WALL_MS), 0);
    assert_int_equal(valid.end_ms, end + 1000);
    assert_int_equal(check_pem(both, cert.cert_pem, end + 500), 0);
    assert_int_equal(valid.end_ms, end + 1000);
    assert_int_equal(check_pem(both, cert.cert_pem, end + 1001), COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_int_equal(valid.end_ms, end + 1000);
}

static void an_intermediate_ca_is_followed(void **state)
{
    (void)state;
    struct cv_pki_pair root;
    struct cv_pki_pair intermediate;
    struct cv_pki_pair leaf;
    struct cv_tls_trust trust;
    const char *problem;
    struct test_cert_config config = test_cert_member(&pki);
    config.issuer = NULL;
    config.is_ca = true;
    config.key_usage = GNUTLS_KEY_KEY_CERT_SIGN;
    config.purpose_count = 0;
    config.common_name = "root";
    test_cert_make(&config, NULL, &root);
    config.issuer = &root;
    config.common_name = "intermediate";
    test_cert_make(&config, NULL, &intermediate);
    config = test_cert_member(&pki);
    config.issuer = &intermediate;
    test_cert_make(&config, NULL, &leaf);

    assert_int_equal(cv_tls_trust_init(&trust, cv_slice_text(root.cert_pem), &problem), 0);
    gnutls_x509_crt_t chain[3] = {import(leaf.cert_pem), import(intermediate.cert_pem),
                                  import(root.cert_pem)};
    assert_int_equal(cv_tls_trust_check(&trust, chain, 2, TEST_WALL_MS, &valid), 0);
    assert_int_equal(cv_tls_trust_check(&trust, chain, 3, TEST_WALL_MS, &valid), 0);
    assert_int_equal(cv_tls_trust_check(&trust, chain, 1, TEST_WALL_MS, &valid),
                     COVEY_ERR_CERTIFICATE);
    for (size_t i = 0; i < 3; i++)
        gnutls_x509_crt_deinit(chain[i]);
    cv_tls_trust_fini(&trust);
}

/* Our own CA says path length 0. */
static void a_ca_below_a_cluster_ca_is_not_followed(void **state)
{
    (void)state;
    struct cv_pki_pair intermediate;
    struct cv_pki_pair leaf;
    struct cv_tls_trust trust;
    const char *problem;
    struct test_cert_config config = test_cert_member(&pki);
    config.is_ca = true;
    config.key_usage = GNUTLS_KEY_KEY_CERT_SIGN;
    config.common_name = "intermediate";
    test_cert_make(&config, NULL, &intermediate);
    config = test_cert_member(&pki);
    config.issuer = &intermediate;
    test_cert_make(&config, NULL, &leaf);
    assert_int_equal(cv_tls_trust_init(&trust, cv_slice_text(pki.ca.cert_pem), &problem), 0);
    gnutls_x509_crt_t chain[2] = {import(leaf.cert_pem), import(intermediate.cert_pem)};
    assert_int_equal(cv_tls_trust_check(&trust, chain, 2, TEST_WALL_MS, &valid),
                     COVEY_ERR_CERTIFICATE);
    gnutls_x509_crt_deinit(chain[0]);
    gnutls_x509_crt_deinit(chain[1]);
    cv_tls_trust_fini(&trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_no_ca_are_explained),
        cmocka_unit_test(sixteen_cas_fit),
        cmocka_unit_test(while_a_ca_is_replaced_both_are_trusted),
        cmocka_unit_test(an_expired_ca_is_as_good_as_none),
        cmocka_unit_test(the_common_period_is_told),
        cmocka_unit_test(an_intermediate_ca_is_followed),
        cmocka_unit_test(a_ca_below_a_cluster_ca_is_not_followed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
