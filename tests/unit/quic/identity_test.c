#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "quic/identity.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>
#include <gnutls/crypto.h>

#define N63 "a23456789012345678901234567890123456789012345678901234567890123"

static void names_of_1_to_63_characters_are_valid(void **state)
{
    (void)state;
    assert_true(cv_name_is_valid("a"));
    assert_true(cv_name_is_valid("0"));
    assert_true(cv_name_is_valid("Node-7_b.example"));
    assert_int_equal(strlen(N63), 63);
    assert_true(cv_name_is_valid(N63));
    assert_false(cv_name_is_valid(N63 "4"));
    assert_false(cv_name_is_valid(""));
    assert_false(cv_name_is_valid(".a"));
    assert_false(cv_name_is_valid("_a"));
    assert_false(cv_name_is_valid("-a"));
    assert_false(cv_name_is_valid("a b"));
    assert_false(cv_name_is_valid("a/b"));
    assert_false(cv_name_is_valid("a%41"));
    assert_false(cv_name_is_valid("a\n"));
    assert_false(cv_name_is_valid("n\xc3\xa4me"));
}

static void roles_have_names(void **state)
{
    (void)state;
    assert_string_equal(cv_role_name(CV_ROLE_MEMBER), "member");
    assert_string_equal(cv_role_name(CV_ROLE_CLIENT), "client");
    assert_string_equal(cv_role_name(CV_ROLE_ADMIN), "admin");
    assert_string_equal(cv_role_name((enum cv_role)3), "?");
}

static void a_uri_is_taken_apart(void **state)
{
    (void)state;
    struct cv_identity id = {0};
    assert_int_equal(cv_identity_parse_uri(&id, cv_slice_text("covey://flock/admin/root")), 0);
    assert_string_equal(id.cluster, "flock");
    assert_int_equal(id.role, CV_ROLE_ADMIN);
    assert_string_equal(id.name, "root");
    assert_int_equal(cv_identity_parse_uri(&id, cv_slice_text("covey://" N63 "/client/" N63)), 0);
    assert_string_equal(id.cluster, N63);
    assert_int_equal(id.role, CV_ROLE_CLIENT);
    assert_string_equal(id.name, N63);
}

static void other_uris_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const struct cv_slice bad[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"covey://", 8},
        {(const uint8_t *)"covey://a", 9},
        {(const uint8_t *)"covey://a/member", 16},
        {(const uint8_t *)"covey://a/member/", 17},
        {(const uint8_t *)"covey:///member/b", 17},
        {(const uint8_t *)"covey://a//b", 12},
        {(const uint8_t *)"covey://a/member/b/", 19},
        {(const uint8_t *)"covey://a/member/b/c", 20},
        {(const uint8_t *)"covey://a/Member/b", 18},
        {(const uint8_t *)"covey://a/members/b", 19},
        {(const uint8_t *)"covey://a/root/b", 16},
        {(const uint8_t *)"Covey://a/member/b", 18},
        {(const uint8_t *)"https://a/member/b", 18},
        {(const uint8_t *)"covey:/a/member/b", 17},
        {(const uint8_t *)"covey://a/member/b\0", 19},
        {(const uint8_t *)"covey://a\0/member/b", 19},
        {(const uint8_t *)"covey://a/member/b?c", 20},
        {(const uint8_t *)"covey://a:1/member/b", 20},
        {(const uint8_t *)"covey://a/member/" N63 "4", 17 + 64},
        {(const uint8_t *)"covey://" N63 "4/member/b", 8 + 64 + 9},
    };
    struct cv_identity before;
    memset(&before, 0x5a, sizeof before);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cv_identity id = before;
        assert_int_equal(cv_identity_parse_uri(&id, bad[i]), COVEY_ERR_CERTIFICATE);
        assert_memory_equal(&id, &before, sizeof id);
    }
}

static int setup(void **state)
{
    static struct test_pki pki;
    test_pki_init(&pki, "flock");
    *state = &pki;
    return 0;
}

static void a_certificate_says_who_it_is(void **state)
{
    static const enum cv_role roles[] = {CV_ROLE_MEMBER, CV_ROLE_CLIENT, CV_ROLE_ADMIN};
    for (size_t i = 0; i < 3; i++) {
        struct cv_pki_pair pair;
        struct test_der der;
        struct cv_identity id;
        test_pki_issue(*state, "one", roles[i], &pair);
        test_der_of_pem(pair.cert_pem, &der);
        assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);
        assert_int_equal(id.role, roles[i]);
        assert_string_equal(id.cluster, "flock");
        assert_string_equal(id.name, "one");
        assert_int_equal(id.not_before_ms, TEST_WALL_MS - TEST_DAY_MS);
        assert_int_equal(id.not_after_ms, TEST_WALL_MS + 365 * TEST_DAY_MS);
    }
}

/* The id as the public header defines it, reckoned from the key file alone. */
static void the_id_is_half_the_digest_of_the_public_key(void **state)
{
    struct cv_pki_issue_config config = test_pki_issue_config(*state, "one", CV_ROLE_MEMBER);
    for (int type = CV_KEY_ED25519; type <= CV_KEY_ECDSA_P256; type++) {
        struct cv_pki_pair pair;
        struct test_der der;
        struct cv_identity id;
        uint8_t digest[32];
        gnutls_privkey_t key;
        gnutls_pubkey_t public_key;
        gnutls_datum_t spki;
        config.key_type = (enum cv_key_type)type;
        assert_int_equal(cv_pki_issue(&config, &pair), 0);
        test_der_of_pem(pair.cert_pem, &der);
        assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);

        gnutls_datum_t pem = test_datum(pair.key_pem);
        gnutls_privkey_init(&key);
        gnutls_pubkey_init(&public_key);
        assert_int_equal(gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0),
                         0);
        assert_int_equal(gnutls_pubkey_import_privkey(public_key, key, 0, 0), 0);
        assert_int_equal(gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &spki), 0);
        gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, digest);
        assert_memory_equal(id.id.bytes, digest, COVEY_NODE_ID_SIZE);
        gnutls_free(spki.data);
        gnutls_privkey_deinit(key);
        gnutls_pubkey_deinit(public_key);
    }
}

static void assert_problem(const struct test_cert_config *config, const char *expected)
{
    static struct test_der der;
    struct cv_identity before;
    struct cv_identity id;
    struct cv_identity_problem problem = {.text = NULL};
    memset(&before, 0x5a, sizeof before);
    id = before;
    test_cert_make(config, &der, NULL);
    int error = cv_identity_explain_der(&id, test_der_slice(&der), &problem);
    if (expected == NULL) {
        assert_int_equal(error, 0);
        assert_string_equal(id.name, "one");
        return;
    }
    assert_int_equal(error, COVEY_ERR_CERTIFICATE);
    assert_string_equal(problem.text, expected);
    assert_memory_equal(&id, &before, sizeof id);
}

#define NO_URI    "the certificate names no cluster (no covey:// URI)"
#define MANY_URIS "the certificate has more than one covey:// URI"
#define BAD_URI   "the certificate's URI is not covey://CLUSTER/ROLE/NAME"

static void exactly_one_uri_must_be_ours(void **state)
{
    struct test_cert_config config = test_cert_member(*state);
    config.uri_count = 0;
    assert_problem(&config, NO_URI);
    config.dns_name = "one.example";
    assert_problem(&config, NO_URI);
    config.uris[0] = cv_slice_text("https://one.example/");
    config.uri_count = 1;
    assert_problem(&config, NO_URI);
    config.uris[1] = cv_slice_text("covey://flock/member/one");
    config.uri_count = 2;
    assert_problem(&config, NULL);
    config.uris[2] = cv_slice_text("covey://flock/member/two");
    config.uri_count = 3;
    assert_problem(&config, MANY_URIS);
    config.uris[2] = config.uris[1];
    assert_problem(&config, MANY_URIS);
    config.uris[0] = cv_slice_text("COVEY://flock/member/one");
    config.uri_count = 1;
    assert_problem(&config, BAD_URI);
}

static void a_uri_of_ours_that_is_wrong_is_not_overlooked(void **state)
{
    struct test_cert_config config = test_cert_member(*state);
    config.uris[0] = cv_slice_text("covey://flock");
    assert_problem(&config, BAD_URI);
    config.uris[0] = cv_slice_text("covey:flock/member/one");
    assert_problem(&config, BAD_URI);
}

/* A NUL must not end a name early. No library writes one, so it is put in afterwards. */
static void a_nul_within_a_uri_is_refused(void **state)
{
    static const char *const uris[] = {"covey://flock/member/one@two", "covey://flock@/member/one",
                                       "covey@://flock/member/one"};
    for (size_t i = 0; i < 3; i++) {
        static struct test_der der;
        struct cv_identity id;
        struct test_cert_config config = test_cert_member(*state);
        config.uris[0] = cv_slice_text(uris[i]);
        test_cert_make(&config, &der, NULL);
        uint8_t *uri = NULL;
        for (size_t at = 0; uri == NULL && at + config.uris[0].size <= der.size; at++) {
            if (memcmp(der.bytes + at, uris[i], config.uris[0].size) == 0)
                uri = der.bytes + at;
        }
        assert_non_null(uri);
        *(uint8_t *)memchr(uri, '@', config.uris[0].size) = 0;
        assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), COVEY_ERR_CERTIFICATE);
    }
}

static void too_many_names_are_refused(void **state)
{
    struct test_cert_config config = test_cert_member(*state);
    for (size_t i = 1; i < 65; i++)
        config.uris[i] = cv_slice_text("a:b");
    config.uri_count = 64;
    assert_problem(&config, NULL);
    config.uri_count = 65;
    assert_problem(&config, "the certificate has too many alternative names");
}

static void key_usages_must_fit_the_role(void **state)
{
    struct test_cert_config config = test_cert_member(*state);
    config.purpose_count = 1;
    config.purposes[0] = GNUTLS_KP_TLS_WWW_SERVER;
    assert_problem(&config, "the certificate lacks the extended key usage clientAuth");
    config.purposes[0] = GNUTLS_KP_ANY;
    assert_problem(&config, "the certificate lacks the extended key usage clientAuth");
    config.purposes[0] = GNUTLS_KP_TLS_WWW_CLIENT;
    assert_problem(&config,
                   "the certificate is a member's but lacks the extended key usage serverAuth");
    config.uris[0] = cv_slice_text("covey://flock/admin/one");
    assert_problem(&config, NULL);
    config.uris[0] = cv_slice_text("covey://flock/client/one");
    assert_problem(&config, NULL);
    config.purpose_count = 0;
    assert_problem(&config, "the certificate lacks the extended key usage clientAuth");
}

static void the_key_must_be_for_signing_and_not_a_cas(void **state)
{
    struct test_cert_config config = test_cert_member(*state);
    config.key_usage = GNUTLS_KEY_KEY_ENCIPHERMENT;
    assert_problem(&config, "the certificate's key may not be used for signing");
    config.key_usage = 0;
    assert_problem(&config, NULL);
    config.is_ca = true;
    assert_problem(&config, "the certificate is a CA's, not a node's");
}

static void what_is_no_certificate_is_refused(void **state)
{
    (void)state;
    static uint8_t large[CV_CERTIFICATE_SIZE_MAX + 1];
    struct cv_identity id;
    struct cv_identity_problem problem;
    assert_int_equal(cv_identity_from_der(&id, cv_slice_of(NULL, 0)), COVEY_ERR_CERTIFICATE);
    assert_int_equal(cv_identity_from_der(&id, cv_slice_text("covey")), COVEY_ERR_CERTIFICATE);
    assert_int_equal(cv_identity_explain_der(&id, cv_slice_of(large, sizeof large - 1), &problem),
                     COVEY_ERR_CERTIFICATE);
    assert_string_equal(problem.text, "the certificate cannot be read");
    assert_int_equal(problem.fault, CV_IDENTITY_UNREADABLE);
    assert_int_equal(cv_identity_explain_der(&id, cv_slice_of(large, sizeof large), &problem),
                     COVEY_ERR_CERTIFICATE);
    assert_string_equal(problem.text, "the certificate is too large");
    assert_int_equal(problem.fault, CV_IDENTITY_UNREADABLE);
}

static void every_prefix_of_a_certificate_is_refused(void **state)
{
    struct cv_pki_pair pair;
    struct test_der der;
    struct cv_identity id;
    test_pki_issue(*state, "one", CV_ROLE_MEMBER, &pair);
    test_der_of_pem(pair.cert_pem, &der);
    for (size_t size = 0; size < der.size; size++)
        assert_int_equal(cv_identity_from_der(&id, cv_slice_of(der.bytes, size)),
                         COVEY_ERR_CERTIFICATE);
}

/* Whatever a byte is changed to: no crash, and what is accepted is well formed. */
static void mutations_give_an_error_or_a_valid_identity(void **state)
{
    struct cv_pki_pair pair;
    struct test_der der;
    struct cv_rand rand;
    size_t accepted = 0;
    test_pki_issue(*state, "one", CV_ROLE_MEMBER, &pair);
    test_der_of_pem(pair.cert_pem, &der);
    cv_rand_seed(&rand, 20260101);
    for (size_t i = 0; i < 20 * der.size; i++) {
        struct test_der changed = {.size = der.size};
        struct cv_identity id;
        memcpy(changed.bytes, der.bytes, der.size);
        changed.bytes[i % der.size] ^= (uint8_t)(1 + cv_rand_below(&rand, 255));
        if (cv_identity_from_der(&id, test_der_slice(&changed)) != 0)
            continue;
        accepted++;
        assert_true(cv_name_is_valid(id.cluster));
        assert_true(cv_name_is_valid(id.name));
        assert_true(id.role <= CV_ROLE_ADMIN);
    }
    /* The signature is not checked here, so changes in it pass. */
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_1_to_63_characters_are_valid),
        cmocka_unit_test(roles_have_names),
        cmocka_unit_test(a_uri_is_taken_apart),
        cmocka_unit_test(other_uris_are_refused_and_change_nothing),
        cmocka_unit_test(a_certificate_says_who_it_is),
        cmocka_unit_test(the_id_is_half_the_digest_of_the_public_key),
        cmocka_unit_test(exactly_one_uri_must_be_ours),
        cmocka_unit_test(a_uri_of_ours_that_is_wrong_is_not_overlooked),
        cmocka_unit_test(a_nul_within_a_uri_is_refused),
        cmocka_unit_test(too_many_names_are_refused),
        cmocka_unit_test(key_usages_must_fit_the_role),
        cmocka_unit_test(the_key_must_be_for_signing_and_not_a_cas),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(every_prefix_of_a_certificate_is_refused),
        cmocka_unit_test(mutations_give_an_error_or_a_valid_identity),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
