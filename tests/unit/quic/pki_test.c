#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/pki.h"
#include "quic/tls_trust.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>

#define N63 "a23456789012345678901234567890123456789012345678901234567890123"

static struct test_pki pki;

static int setup(void **state)
{
    (void)state;
    test_pki_init(&pki, "flock");
    return 0;
}

static gnutls_x509_crt_t import(const char *pem)
{
    gnutls_x509_crt_t cert;
    gnutls_datum_t text = test_datum(pem);
    gnutls_x509_crt_init(&cert);
    assert_int_equal(gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM), 0);
    return cert;
}

static struct cv_pki_ca_config ca_config(void)
{
    return (struct cv_pki_ca_config){
        .cluster = "flock",
        .key_type = CV_KEY_ED25519,
        .not_before_ms = TEST_WALL_MS,
        .not_after_ms = TEST_WALL_MS + TEST_DAY_MS,
    };
}

static void a_ca_says_what_a_ca_must(void **state)
{
    (void)state;
    gnutls_x509_crt_t cert = import(pki.ca.cert_pem);
    unsigned critical;
    unsigned is_ca;
    unsigned usage;
    int path_length;
    uint8_t serial[64];
    size_t size = sizeof serial;
    char name[128];
    assert_int_equal(gnutls_x509_crt_get_version(cert), 3);
    assert_true(gnutls_x509_crt_get_basic_constraints(cert, &critical, &is_ca, &path_length) >= 0);
    assert_true(critical && is_ca);
    assert_int_equal(path_length, 0);
    assert_int_equal(gnutls_x509_crt_get_key_usage(cert, &usage, &critical), 0);
    assert_int_equal(usage, GNUTLS_KEY_KEY_CERT_SIGN);
    assert_int_equal(gnutls_x509_crt_get_serial(cert, serial, &size), 0);
    assert_int_equal(size, 16);
    assert_true(serial[0] > 0 && serial[0] < 0x80);
    size = sizeof name;
    assert_int_equal(
        gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size), 0);
    assert_string_equal(name, "flock covey CA");
    size = sizeof name;
    assert_int_equal(gnutls_x509_crt_get_subject_alt_name(cert, 0, name, &size, NULL),
                     GNUTLS_SAN_URI);
    assert_string_equal(name, "covey://flock");
    gnutls_x509_crt_deinit(cert);
}

static void a_ca_needs_a_name_a_kind_of_key_and_a_period(void **state)
{
    (void)state;
    struct cv_pki_pair before;
    struct cv_pki_pair pair;
    memset(&before, 0x5a, sizeof before);
    static const char *const names[] = {"", "a b", "-a", N63 "4", "a/b"};
    for (size_t i = 0; i < 5; i++) {
        struct cv_pki_ca_config config = ca_config();
        pair = before;
        config.cluster = names[i];
        assert_int_equal(cv_pki_make_ca(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
        assert_memory_equal(&pair, &before, sizeof pair);
    }
    struct cv_pki_ca_config config = ca_config();
    config.key_type = (enum cv_key_type)2;
    assert_int_equal(cv_pki_make_ca(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config = ca_config();
    config.not_after_ms = config.not_before_ms;
    assert_int_equal(cv_pki_make_ca(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config.not_after_ms = UINT64_C(253402300799000);
    assert_int_equal(cv_pki_make_ca(&config, &pair), 0);
    config.not_after_ms++;
    assert_int_equal(cv_pki_make_ca(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config.not_after_ms = UINT64_MAX;
    assert_int_equal(cv_pki_make_ca(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
}

static void the_longest_names_fit(void **state)
{
    (void)state;
    struct cv_pki_ca_config config = ca_config();
    struct cv_pki_pair ca;
    struct cv_pki_pair cert;
    struct test_der der;
    struct cv_identity id;
    config.cluster = N63;
    assert_int_equal(cv_pki_make_ca(&config, &ca), 0);
    struct test_pki longest = {.ca = ca};
    struct cv_pki_issue_config issue = test_pki_issue_config(&longest, N63, CV_ROLE_MEMBER);
    issue.not_after_ms = config.not_after_ms;
    assert_int_equal(cv_pki_issue(&issue, &cert), 0);
    test_der_of_pem(cert.cert_pem, &der);
    assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);
    assert_string_equal(id.cluster, N63);
    assert_string_equal(id.name, N63);
}

static bool is_trusted(const char *ca_pem, const char *cert_pem)
{
    struct cv_tls_trust trust;
    struct cv_tls_period valid;
    const char *problem;
    assert_int_equal(cv_tls_trust_init(&trust, cv_slice_text(ca_pem), &problem), 0);
    gnutls_x509_crt_t cert = import(cert_pem);
    int error = cv_tls_trust_check(&trust, &cert, 1, TEST_WALL_MS, &valid);
    gnutls_x509_crt_deinit(cert);
    cv_tls_trust_fini(&trust);
    return error == 0;
}

static void every_mix_of_key_types_makes_a_chain(void **state)
{
    (void)state;
    for (int ca_type = CV_KEY_ED25519; ca_type <= CV_KEY_ECDSA_P256; ca_type++) {
        struct cv_pki_ca_config config = ca_config();
        struct test_pki mixed;
        config.key_type = (enum cv_key_type)ca_type;
        assert_int_equal(cv_pki_make_ca(&config, &mixed.ca), 0);
        for (int type = CV_KEY_ED25519; type <= CV_KEY_ECDSA_P256; type++) {
            struct cv_pki_issue_config issue = test_pki_issue_config(&mixed, "one", CV_ROLE_MEMBER);
            struct cv_pki_pair cert;
            issue.key_type = (enum cv_key_type)type;
            issue.not_after_ms = config.not_after_ms;
            assert_int_equal(cv_pki_issue(&issue, &cert), 0);
            assert_true(is_trusted(mixed.ca.cert_pem, cert.cert_pem));
            assert_false(is_trusted(pki.ca.cert_pem, cert.cert_pem));
            assert_ptr_equal(strstr(cert.key_pem, "-----BEGIN PRIVATE KEY-----"), cert.key_pem);
        }
    }
}

static void a_leaf_points_to_its_ca_and_has_a_serial_of_its_own(void **state)
{
    (void)state;
    struct cv_pki_pair pair[2];
    uint8_t ca_id[64], issuer_id[64], serial[2][64];
    size_t ca_size = sizeof ca_id, issuer_size = sizeof issuer_id;
    for (size_t i = 0; i < 2; i++) {
        size_t size = sizeof serial[i];
        test_pki_issue(&pki, "one", CV_ROLE_MEMBER, &pair[i]);
        gnutls_x509_crt_t cert = import(pair[i].cert_pem);
        assert_int_equal(gnutls_x509_crt_get_serial(cert, serial[i], &size), 0);
        assert_int_equal(size, 16);
        gnutls_x509_crt_deinit(cert);
    }
    assert_memory_not_equal(serial[0], serial[1], 16);
    gnutls_x509_crt_t ca = import(pki.ca.cert_pem);
    gnutls_x509_crt_t leaf = import(pair[0].cert_pem);
    assert_int_equal(gnutls_x509_crt_get_subject_key_id(ca, ca_id, &ca_size, NULL), 0);
    assert_int_equal(gnutls_x509_crt_get_authority_key_id(leaf, issuer_id, &issuer_size, NULL), 0);
    assert_int_equal(ca_size, issuer_size);
    assert_memory_equal(ca_id, issuer_id, ca_size);
    assert_int_equal(gnutls_x509_crt_get_ca_status(leaf, NULL), 0);
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_crt_deinit(leaf);
}

static void hosts_become_names_and_addresses(void **state)
{
    (void)state;
    static const char *const hosts[] = {"node-1.example", "192.0.2.7", "2001:db8::7", "localhost"};
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
    struct cv_pki_pair pair;
    struct test_der der;
    struct cv_identity id;
    config.hosts = hosts;
    config.host_count = 4;
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    gnutls_x509_crt_t cert = import(pair.cert_pem);
    for (size_t i = 0; i < 4; i++)
        assert_true(gnutls_x509_crt_check_hostname(cert, hosts[i]));
    assert_false(gnutls_x509_crt_check_hostname(cert, "192.0.2.8"));
    assert_false(gnutls_x509_crt_check_hostname(cert, "example"));
    gnutls_x509_crt_deinit(cert);
    test_der_of_pem(pair.cert_pem, &der);
    assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);
}

static void hosts_that_are_none_are_refused(void **state)
{
    (void)state;
    char host[255];
    memset(host, 'a', sizeof host);
    host[254] = '\0';
    const char *const bad[] = {"", ".a", "-a", "a b", "https://a", "*.a", "2001:db8::g", host};
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
    struct cv_pki_pair pair;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config.hosts = &bad[i];
        config.host_count = 1;
        assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    }
}

static void the_most_and_longest_hosts_fit(void **state)
{
    (void)state;
    char host[254];
    const char *hosts[CV_PKI_HOSTS_MAX + 1];
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, N63, CV_ROLE_MEMBER);
    struct cv_pki_pair pair;
    memset(host, 'a', sizeof host);
    host[253] = '\0';
    for (size_t i = 0; i <= CV_PKI_HOSTS_MAX; i++)
        hosts[i] = host;
    config.hosts = hosts;
    config.host_count = CV_PKI_HOSTS_MAX;
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    config.host_count++;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
}

static void names_roles_and_periods_are_checked(void **state)
{
    (void)state;
    const struct cv_pki_issue_config good = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
    const uint64_t ca_end_ms = TEST_WALL_MS + 3650 * TEST_DAY_MS;
    struct cv_pki_issue_config config = good;
    struct cv_pki_pair pair;
    config.name = "a/b";
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config = good;
    config.cluster = "";
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config = good;
    config.role = (enum cv_role)3;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config = good;
    config.not_before_ms = config.not_after_ms;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
    config = good;
    config.not_after_ms = ca_end_ms;
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    config.not_after_ms = ca_end_ms + 1000;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_INVALID_ARGUMENT);
}

static void the_cas_files_are_checked(void **state)
{
    (void)state;
    const struct cv_pki_issue_config good = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
    struct cv_pki_issue_config config = good;
    struct test_pki other;
    struct cv_pki_pair member;
    struct cv_pki_pair pair;
    struct cv_pki_pair before;
    memset(&before, 0x5a, sizeof before);
    pair = before;
    test_pki_init(&other, "flock");
    test_pki_issue(&pki, "two", CV_ROLE_MEMBER, &member);
    config.ca_cert_pem = "";
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_CERTIFICATE);
    config.ca_cert_pem = member.cert_pem;
    config.ca_key_pem = member.key_pem;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_CERTIFICATE);
    config = good;
    config.ca_key_pem = "";
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_KEY);
    config.ca_key_pem = other.ca.key_pem;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_KEY);
    assert_memory_equal(&pair, &before, sizeof pair);
}

static void a_cas_period_can_be_read(void **state)
{
    (void)state;
    struct cv_pki_pair member;
    uint64_t begin = 1;
    uint64_t end = 2;
    test_pki_issue(&pki, "one", CV_ROLE_MEMBER, &member);
    assert_int_equal(cv_pki_ca_period(member.cert_pem, &begin, &end), COVEY_ERR_CERTIFICATE);
    assert_int_equal(cv_pki_ca_period("", &begin, &end), COVEY_ERR_CERTIFICATE);
    assert_true(begin == 1 && end == 2);
    assert_int_equal(cv_pki_ca_period(pki.ca.cert_pem, &begin, &end), 0);
    assert_int_equal(begin, TEST_WALL_MS - TEST_DAY_MS);
    assert_int_equal(end, TEST_WALL_MS + 3650 * TEST_DAY_MS);
}

/* A CA made elsewhere names no cluster: it must be said. */
static void the_cluster_comes_from_the_ca_or_the_caller(void **state)
{
    (void)state;
    struct test_pki foreign;
    struct test_der der;
    struct cv_identity id;
    struct cv_pki_pair pair;
    struct test_cert_config made = test_cert_member(&pki);
    made.issuer = NULL;
    made.is_ca = true;
    made.key_usage = GNUTLS_KEY_KEY_CERT_SIGN;
    made.uri_count = 0;
    made.purpose_count = 0;
    test_cert_make(&made, NULL, &foreign.ca);
    struct cv_pki_issue_config config = test_pki_issue_config(&foreign, "one", CV_ROLE_CLIENT);
    config.not_after_ms = TEST_WALL_MS + TEST_DAY_MS;
    assert_int_equal(cv_pki_issue(&config, &pair), COVEY_ERR_CERTIFICATE);
    config.cluster = "herd";
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    test_der_of_pem(pair.cert_pem, &der);
    assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);
    assert_string_equal(id.cluster, "herd");
    assert_true(is_trusted(foreign.ca.cert_pem, pair.cert_pem));
}

static void a_key_can_be_certified_again(void **state)
{
    (void)state;
    static const enum cv_key_type types[] = {CV_KEY_ED25519, CV_KEY_ECDSA_P256};
    for (size_t i = 0; i < 2; i++) {
        struct cv_pki_pair first;
        struct cv_pki_pair again;
        struct test_der ders[2];
        struct cv_identity ids[2];
        struct cv_pki_issue_config config = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
        config.key_type = types[i];
        assert_int_equal(cv_pki_issue(&config, &first), 0);
        config.key_pem = first.key_pem;
        config.key_type = CV_KEY_ED25519;
        config.not_after_ms += TEST_DAY_MS;
        assert_int_equal(cv_pki_issue(&config, &again), 0);
        assert_string_equal(again.key_pem, first.key_pem);
        test_der_of_pem(first.cert_pem, &ders[0]);
        test_der_of_pem(again.cert_pem, &ders[1]);
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(cv_identity_from_der(&ids[k], test_der_slice(&ders[k])), 0);
        assert_memory_equal(&ids[0].id, &ids[1].id, sizeof ids[0].id);
        assert_int_equal(ids[1].not_after_ms, ids[0].not_after_ms + TEST_DAY_MS);
        assert_true(is_trusted(pki.ca.cert_pem, again.cert_pem));
        config.key_pem = first.cert_pem;
        assert_int_equal(cv_pki_issue(&config, &again), COVEY_ERR_KEY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ca_says_what_a_ca_must),
        cmocka_unit_test(a_ca_needs_a_name_a_kind_of_key_and_a_period),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(every_mix_of_key_types_makes_a_chain),
        cmocka_unit_test(a_leaf_points_to_its_ca_and_has_a_serial_of_its_own),
        cmocka_unit_test(hosts_become_names_and_addresses),
        cmocka_unit_test(hosts_that_are_none_are_refused),
        cmocka_unit_test(the_most_and_longest_hosts_fit),
        cmocka_unit_test(names_roles_and_periods_are_checked),
        cmocka_unit_test(the_cas_files_are_checked),
        cmocka_unit_test(a_cas_period_can_be_read),
        cmocka_unit_test(the_cluster_comes_from_the_ca_or_the_caller),
        cmocka_unit_test(a_key_can_be_certified_again),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
