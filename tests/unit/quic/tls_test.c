#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/tls.h"
#include "support/test_alloc.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>

struct fixture {
    struct test_pki pki;
    struct cv_pki_pair member;
};

static int setup(void **state)
{
    static struct fixture f;
    test_pki_init(&f.pki, "flock");
    test_pki_issue(&f.pki, "one", CV_ROLE_MEMBER, &f.member);
    *state = &f;
    return 0;
}

static struct cv_tls_config good_config(const struct fixture *f)
{
    return (struct cv_tls_config){
        .alloc = cv_alloc_default(),
        .ca_pem = cv_slice_text(f->pki.ca.cert_pem),
        .cert_pem = cv_slice_text(f->member.cert_pem),
        .key_pem = cv_slice_text(f->member.key_pem),
        .wall_ms = TEST_WALL_MS,
    };
}

/* The context is refused with this error and sentence, and nothing leaks. */
static void assert_reason(struct cv_tls_config config, int error, const char *sentence)
{
    struct test_alloc memory;
    struct cv_tls *tls = NULL;
    char reason[CV_TLS_REASON_SIZE] = "";
    test_alloc_init(&memory);
    config.alloc = &memory.alloc;
    assert_int_equal(cv_tls_new(&config, &tls, reason), error);
    assert_string_equal(reason, sentence);
    assert_null(tls);
    test_alloc_assert_empty(&memory);
}

static void a_context_knows_who_we_are(void **state)
{
    const struct fixture *f = *state;
    struct cv_tls_config config = good_config(f);
    struct cv_tls *tls;
    struct test_der der;
    struct cv_identity id;
    char reason[CV_TLS_REASON_SIZE];
    assert_int_equal(cv_tls_new(&config, &tls, reason), 0);
    test_der_of_pem(f->member.cert_pem, &der);
    assert_int_equal(cv_identity_from_der(&id, test_der_slice(&der)), 0);
    assert_memory_equal(&cv_tls_identity(tls)->id, &id.id, sizeof id.id);
    assert_string_equal(cv_tls_identity(tls)->cluster, "flock");
    assert_string_equal(cv_tls_identity(tls)->name, "one");
    const struct cv_tls_refusals none = {0};
    assert_memory_equal(cv_tls_refusals(tls), &none, sizeof none);
    cv_tls_free(tls);
    cv_tls_free(NULL);
}

static void every_key_type_and_role_can_be_used(void **state)
{
    const struct fixture *f = *state;
    for (int role = CV_ROLE_MEMBER; role <= CV_ROLE_ADMIN; role++) {
        struct cv_pki_issue_config issue =
            test_pki_issue_config(&f->pki, "one", (enum cv_role)role);
        struct cv_pki_pair pair;
        struct cv_tls *tls;
        issue.key_type = CV_KEY_ECDSA_P256;
        assert_int_equal(cv_pki_issue(&issue, &pair), 0);
        test_pki_tls_of(&f->pki, &pair, cv_alloc_default(), &tls);
        assert_int_equal(cv_tls_identity(tls)->role, role);
        cv_tls_free(tls);
    }
}

static void without_memory_nothing_is_made(void **state)
{
    const struct fixture *f = *state;
    struct test_alloc memory;
    struct cv_tls_config config = good_config(f);
    struct cv_tls *tls = NULL;
    char reason[CV_TLS_REASON_SIZE];
    int error = COVEY_ERR_NO_MEMORY;
    for (size_t n = 1; error != 0; n++) {
        assert_true(n < 100);
        test_alloc_init(&memory);
        memory.fail_at = n;
        config.alloc = &memory.alloc;
        error = cv_tls_new(&config, &tls, reason);
        if (error != 0) {
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            assert_string_equal(reason, "out of memory");
            assert_null(tls);
            test_alloc_assert_empty(&memory);
        }
    }
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

static void the_cas_file_is_explained(void **state)
{
    struct cv_tls_config config = good_config(*state);
    config.ca_pem = cv_slice_text("");
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the CA file is empty");
    config.ca_pem = cv_slice_text("garbage");
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the CA file holds no PEM certificate");
    config.ca_pem = config.cert_pem;
    assert_reason(config, COVEY_ERR_CERTIFICATE,
                  "the CA file holds a certificate that is not a CA's");
}

static void the_certificate_file_is_explained(void **state)
{
    const struct fixture *f = *state;
    struct cv_tls_config config = good_config(f);
    static char text[8 * CV_PEM_SIZE_MAX];
    static char large[(1 << 20) + 1];
    config.cert_pem = cv_slice_text("");
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the certificate file is empty");
    config.cert_pem = cv_slice_of(large, sizeof large);
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the certificate file is larger than 1 MiB");
    config.cert_pem = cv_slice_text("\x01\x02garbage");
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the certificate file holds no PEM certificate");
    config.cert_pem = config.key_pem;
    assert_reason(config, COVEY_ERR_CERTIFICATE, "the certificate file holds no PEM certificate");
    snprintf(text, sizeof text, "%s", f->member.cert_pem);
    memset(text + 60, 'A', 40);
    config.cert_pem = cv_slice_text(text);
    assert_reason(config, COVEY_ERR_CERTIFICATE,
                  "the certificate file is damaged: a certificate in it cannot be read");
    snprintf(text, sizeof text, "%s%s", f->member.cert_pem, f->member.cert_pem);
    config.cert_pem = cv_slice_text(text);
    assert_reason(config, COVEY_ERR_CERTIFICATE,
                  "the certificates are not in order: ours first, each signed by the next");
    snprintf(text, sizeof text, "%s%s%s%s%s", f->member.cert_pem, f->pki.ca.cert_pem,
             f->pki.ca.cert_pem, f->pki.ca.cert_pem, f->pki.ca.cert_pem);
    config.cert_pem = cv_slice_text(text);
    assert_reason(config, COVEY_ERR_CERTIFICATE,
                  "the certificate file holds more than 4 certificates");
}

/* However much of a file is there: an error with a sentence, never a crash. */
static void truncated_files_are_refused(void **state)
{
    const struct fixture *f = *state;
    for (int which = 0; which < 3; which++) {
        struct cv_tls_config config = good_config(f);
        struct cv_slice *file = which == 0   ? &config.ca_pem
                                : which == 1 ? &config.cert_pem
                                             : &config.key_pem;
        const char *begin = (const char *)file->data;
        /* The TLS library is content with the beginning of the end mark. */
        size_t whole = (size_t)(strstr(begin, "-----END") - begin);
        for (size_t size = 0; size <= whole; size += 7) {
            struct cv_tls *tls = NULL;
            char reason[CV_TLS_REASON_SIZE] = "";
            file->size = size;
            int error = cv_tls_new(&config, &tls, reason);
            assert_int_equal(error, which == 2 ? COVEY_ERR_KEY : COVEY_ERR_CERTIFICATE);
            assert_true(strlen(reason) > 10);
            assert_null(tls);
        }
    }
}

static void encrypt(const char *pem, char *out, size_t size)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t text = test_datum(pem);
    gnutls_x509_privkey_init(&key);
    assert_int_equal(gnutls_x509_privkey_import(key, &text, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, "secret",
                                                      GNUTLS_PKCS_PBES2_AES_128, out, &size),
                     0);
    out[size] = '\0';
    gnutls_x509_privkey_deinit(key);
}

static void the_key_file_is_explained(void **state)
{
    const struct fixture *f = *state;
    struct cv_tls_config config = good_config(f);
    struct cv_pki_pair other;
    static char large[(1 << 20) + 1];
    char text[CV_PEM_SIZE_MAX];
    config.key_pem = cv_slice_text("");
    assert_reason(config, COVEY_ERR_KEY, "the private key file is empty");
    config.key_pem = cv_slice_of(large, sizeof large);
    assert_reason(config, COVEY_ERR_KEY, "the private key file is larger than 1 MiB");
    config.key_pem = cv_slice_text("garbage");
    assert_reason(config, COVEY_ERR_KEY, "the private key file holds no readable PEM key");
    config.key_pem = config.cert_pem;
    assert_reason(config, COVEY_ERR_KEY, "the private key file holds no readable PEM key");
    encrypt(f->member.key_pem, text, sizeof text);
    config.key_pem = cv_slice_text(text);
    assert_reason(config, COVEY_ERR_KEY,
                  "the private key is encrypted: it must be stored without a password");
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &other);
    config.key_pem = cv_slice_text(other.key_pem);
    assert_reason(config, COVEY_ERR_KEY, "the private key does not belong to the certificate");
}

static void keys_of_other_kinds_are_refused(void **state)
{
    static const struct {
        gnutls_pk_algorithm_t algorithm;
        unsigned bits;
        int is_supported;
    } table[] = {
        {GNUTLS_PK_RSA, 1024, false},
        {GNUTLS_PK_RSA, 2048, true},
        {GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), false},
        {GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), true},
    };
    struct cv_tls_config config = good_config(*state);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[CV_PEM_SIZE_MAX];
        size_t size = sizeof text;
        gnutls_x509_privkey_t key;
        gnutls_x509_privkey_init(&key);
        assert_int_equal(gnutls_x509_privkey_generate(key, table[i].algorithm, table[i].bits, 0),
                         0);
        assert_int_equal(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                                          GNUTLS_PKCS_PLAIN, text, &size),
                         0);
        gnutls_x509_privkey_deinit(key);
        config.key_pem = cv_slice_of(text, size);
        assert_reason(
            config, COVEY_ERR_KEY,
            table[i].is_supported
                ? "the private key does not belong to the certificate"
                : "the private key is neither Ed25519, ECDSA P-256 nor RSA of 2048 to 8192 bits");
    }
}

static void assert_cert_reason(const struct fixture *f, const struct test_cert_config *cert,
                               int error, const char *sentence)
{
    struct cv_pki_pair pair;
    struct cv_tls_config config = good_config(f);
    test_cert_make(cert, NULL, &pair);
    config.cert_pem = cv_slice_text(pair.cert_pem);
    config.key_pem = cv_slice_text(pair.key_pem);
    assert_reason(config, error, sentence);
}

static void what_a_certificate_lacks_is_said(void **state)
{
    const struct fixture *f = *state;
    struct test_cert_config cert = test_cert_member(&f->pki);
    cert.uri_count = 0;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE,
                       "the certificate names no cluster (no covey:// URI)");
    cert = test_cert_member(&f->pki);
    cert.purpose_count = 0;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE,
                       "the certificate lacks the extended key usage clientAuth");
}

static void a_certificate_of_another_ca_is_found_here(void **state)
{
    const struct fixture *f = *state;
    struct test_cert_config cert = test_cert_member(&f->pki);
    struct test_pki other;
    test_pki_init(&other, "flock");
    cert.issuer = NULL;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE, "the certificate is not signed by the CA");
    cert.issuer = &other.ca;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE, "the certificate is not signed by the CA");
}

static void dates_are_judged_and_said(void **state)
{
    const struct fixture *f = *state;
    struct cv_tls_config config = good_config(f);
    struct test_cert_config cert = test_cert_member(&f->pki);
    cert.not_before_ms = TEST_WALL_MS - 3 * TEST_DAY_MS;
    cert.not_after_ms = TEST_WALL_MS - 1000;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE_EXPIRED,
                       "the certificate expired on 2025-12-31");
    cert.not_before_ms = TEST_WALL_MS + TEST_DAY_MS;
    cert.not_after_ms = TEST_WALL_MS + 2 * TEST_DAY_MS;
    assert_cert_reason(f, &cert, COVEY_ERR_CERTIFICATE_EXPIRED,
                       "the certificate is not valid before 2026-01-02");
    config.wall_ms = TEST_WALL_MS + 366 * TEST_DAY_MS;
    assert_reason(config, COVEY_ERR_CERTIFICATE_EXPIRED, "the certificate expired on 2027-01-01");
    config.wall_ms = 0;
    assert_reason(config, COVEY_ERR_CERTIFICATE_EXPIRED,
                  "the certificate is not valid before 2025-12-31");
}

static void an_expired_ca_is_named(void **state)
{
    const struct fixture *f = *state;
    struct test_cert_config cert = test_cert_member(&f->pki);
    struct cv_tls_config config = good_config(f);
    struct cv_pki_pair pair;
    cert.not_after_ms = TEST_WALL_MS + 4000 * TEST_DAY_MS;
    test_cert_make(&cert, NULL, &pair);
    config.cert_pem = cv_slice_text(pair.cert_pem);
    config.key_pem = cv_slice_text(pair.key_pem);
    config.wall_ms = TEST_WALL_MS + 3651 * TEST_DAY_MS;
    assert_reason(config, COVEY_ERR_CERTIFICATE_EXPIRED,
                  "the CA's certificate expired on 2035-12-30");
}

/* A certificate of that name and end for the key of `pair`. */
static void renew(const struct fixture *f, const struct cv_pki_pair *pair, const char *uri,
                  uint64_t not_after_ms, struct cv_pki_pair *out)
{
    struct test_cert_config config = test_cert_member(&f->pki);
    gnutls_x509_privkey_t key;
    gnutls_privkey_t abstract;
    gnutls_pubkey_t public_key;
    gnutls_datum_t text = test_datum(pair->key_pem);
    gnutls_x509_privkey_init(&key);
    gnutls_privkey_init(&abstract);
    gnutls_pubkey_init(&public_key);
    assert_int_equal(gnutls_x509_privkey_import(key, &text, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_privkey_import_x509(abstract, key, 0), 0);
    assert_int_equal(gnutls_pubkey_import_privkey(public_key, abstract, 0, 0), 0);
    config.foreign_key = public_key;
    config.uris[0] = cv_slice_text(uri);
    config.not_after_ms = not_after_ms;
    test_cert_make(&config, NULL, out);
    memcpy(out->key_pem, pair->key_pem, sizeof out->key_pem);
    gnutls_pubkey_deinit(public_key);
    gnutls_privkey_deinit(abstract);
    gnutls_x509_privkey_deinit(key);
}

static int reload(const struct fixture *f, struct cv_tls *tls, const struct cv_pki_pair *pair,
                  enum cv_tls_change change, char *reason)
{
    struct cv_tls_config config = good_config(f);
    config.cert_pem = cv_slice_text(pair->cert_pem);
    config.key_pem = cv_slice_text(pair->key_pem);
    return cv_tls_reload(tls, &config, change, reason);
}

static void a_renewed_certificate_of_the_same_key_is_taken(void **state)
{
    const struct fixture *f = *state;
    struct test_alloc memory;
    struct cv_pki_pair next;
    struct cv_tls *tls;
    char reason[CV_TLS_REASON_SIZE] = "";
    uint64_t end = TEST_WALL_MS + 100 * TEST_DAY_MS;
    test_alloc_init(&memory);
    test_pki_tls_of(&f->pki, &f->member, &memory.alloc, &tls);
    const struct cv_identity *who = cv_tls_identity(tls);
    const struct cv_identity before = *who;
    renew(f, &f->member, "covey://flock/member/one", end, &next);
    assert_int_equal(cv_tls_valid_until_ms(tls), before.not_after_ms);
    assert_int_equal(reload(f, tls, &next, CV_TLS_RENEW, reason), 0);
    assert_ptr_equal(cv_tls_identity(tls), who);
    assert_memory_equal(&who->id, &before.id, sizeof before.id);
    assert_int_equal(who->not_after_ms, end);
    assert_int_equal(cv_tls_valid_until_ms(tls), end);
    assert_string_equal(reason, "");
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

/* The old one stays in force, whatever is wrong with the new one. */
static void assert_stays(const struct fixture *f, const struct cv_pki_pair *pair,
                         enum cv_tls_change change, int error, const char *sentence)
{
    struct test_alloc memory;
    struct cv_tls *tls;
    char reason[CV_TLS_REASON_SIZE] = "";
    test_alloc_init(&memory);
    test_pki_tls_of(&f->pki, &f->member, &memory.alloc, &tls);
    const struct cv_identity before = *cv_tls_identity(tls);
    uint64_t until = cv_tls_valid_until_ms(tls);
    assert_int_equal(reload(f, tls, pair, change, reason), error);
    assert_string_equal(reason, sentence);
    assert_memory_equal(cv_tls_identity(tls), &before, sizeof before);
    assert_int_equal(cv_tls_valid_until_ms(tls), until);
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

static void what_does_not_fit_leaves_the_old_one_in_force(void **state)
{
    const struct fixture *f = *state;
    struct cv_pki_pair next;
    uint64_t end = TEST_WALL_MS + TEST_DAY_MS;
    renew(f, &f->member, "covey://flock/member/one", TEST_WALL_MS - 1000, &next);
    assert_stays(f, &next, CV_TLS_RENEW, COVEY_ERR_CERTIFICATE_EXPIRED,
                 "the certificate expired on 2025-12-31");
    renew(f, &f->member, "covey://herd/member/one", end, &next);
    assert_stays(f, &next, CV_TLS_REKEY, COVEY_ERR_WRONG_CLUSTER,
                 "the certificate belongs to the cluster herd, the old one to flock");
    renew(f, &f->member, "covey://flock/client/one", end, &next);
    assert_stays(f, &next, CV_TLS_REKEY, COVEY_ERR_WRONG_ROLE,
                 "the certificate's role is client, the old one's member");
    renew(f, &f->member, "covey://flock/member/two", end, &next);
    assert_stays(f, &next, CV_TLS_RENEW, COVEY_ERR_WRONG_IDENTITY,
                 "the certificate names two, the old one one");
    test_pki_issue(&f->pki, "one", CV_ROLE_MEMBER, &next);
    assert_stays(f, &next, CV_TLS_RENEW, COVEY_ERR_WRONG_IDENTITY,
                 "the certificate's key is not the old one's: it would be another node");
    memcpy(next.cert_pem, f->member.cert_pem, sizeof next.cert_pem);
    assert_stays(f, &next, CV_TLS_RENEW, COVEY_ERR_KEY,
                 "the private key does not belong to the certificate");
}

static void a_new_key_is_taken_when_it_is_allowed(void **state)
{
    const struct fixture *f = *state;
    struct cv_pki_pair next;
    struct cv_tls *tls;
    char reason[CV_TLS_REASON_SIZE] = "";
    test_pki_tls_of(&f->pki, &f->member, cv_alloc_default(), &tls);
    covey_node_id before = cv_tls_identity(tls)->id;
    test_pki_issue(&f->pki, "two", CV_ROLE_MEMBER, &next);
    assert_int_equal(reload(f, tls, &next, CV_TLS_REKEY, reason), 0);
    assert_memory_not_equal(&cv_tls_identity(tls)->id, &before, sizeof before);
    assert_string_equal(cv_tls_identity(tls)->name, "two");
    cv_tls_free(tls);
}

static void without_memory_nothing_is_replaced(void **state)
{
    const struct fixture *f = *state;
    struct test_alloc memory;
    struct cv_tls *tls;
    char reason[CV_TLS_REASON_SIZE] = "";
    test_alloc_init(&memory);
    test_pki_tls_of(&f->pki, &f->member, &memory.alloc, &tls);
    memory.fail_at = memory.calls + 1;
    assert_int_equal(reload(f, tls, &f->member, CV_TLS_RENEW, reason), COVEY_ERR_NO_MEMORY);
    assert_string_equal(reason, "out of memory");
    assert_int_equal(reload(f, tls, &f->member, CV_TLS_RENEW, reason), 0);
    cv_tls_free(tls);
    test_alloc_assert_empty(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_knows_who_we_are),
        cmocka_unit_test(every_key_type_and_role_can_be_used),
        cmocka_unit_test(without_memory_nothing_is_made),
        cmocka_unit_test(the_cas_file_is_explained),
        cmocka_unit_test(the_certificate_file_is_explained),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(the_key_file_is_explained),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(what_a_certificate_lacks_is_said),
        cmocka_unit_test(a_certificate_of_another_ca_is_found_here),
        cmocka_unit_test(dates_are_judged_and_said),
        cmocka_unit_test(an_expired_ca_is_named),
        cmocka_unit_test(a_renewed_certificate_of_the_same_key_is_taken),
        cmocka_unit_test(what_does_not_fit_leaves_the_old_one_in_force),
        cmocka_unit_test(a_new_key_is_taken_when_it_is_allowed),
        cmocka_unit_test(without_memory_nothing_is_replaced),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
