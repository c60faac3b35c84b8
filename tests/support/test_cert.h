#ifndef TEST_SUPPORT_TEST_CERT_H
#define TEST_SUPPORT_TEST_CERT_H

#include "base/slice.h"
#include "support/test_pki.h"

#include <gnutls/abstract.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

/*
 * Certificates that cv_pki_issue() would not make, for tests of what judges certificates. Header
 * only, for tests of quic.
 */
struct test_der {
    uint8_t bytes[32768];
    size_t size;
};

#define TEST_CERT_NAMES_MAX 100

struct test_cert_config {
    const struct cv_pki_pair *issuer; /* NULL: signed by its own key */
    struct cv_slice uris[TEST_CERT_NAMES_MAX];
    size_t uri_count;
    const char *dns_name;
    const char *common_name; /* NULL: "variation" */
    const char *purposes[3]; /* object identifiers */
    size_t purpose_count;
    unsigned key_usage; /* 0: none said */
    bool is_ca;
    uint64_t not_before_ms;
    uint64_t not_after_ms;
    gnutls_pubkey_t foreign_key; /* certify this key instead of a fresh one; it may be nonsense */
};

static inline void test_cert_must(int result, const char *what)
{
    test_pki_must(result < 0 ? result : 0, what);
}

static inline struct cv_slice test_der_slice(const struct test_der *der)
{
    return cv_slice_of(der->bytes, der->size);
}

static inline gnutls_datum_t test_datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* The first certificate of a PEM text. */
static inline void test_der_of_pem(const char *pem, struct test_der *out)
{
    gnutls_datum_t text = test_datum(pem);
    gnutls_datum_t der;
    test_cert_must(gnutls_pem_base64_decode2("CERTIFICATE", &text, &der), "decode");
    memcpy(out->bytes, der.data, der.size);
    out->size = der.size;
    gnutls_free(der.data);
}

/* A member of "flock" called "one", as cv_pki_issue() would make it: the start of a variation. */
static inline struct test_cert_config test_cert_member(const struct test_pki *pki)
{
    return (struct test_cert_config){
        .issuer = &pki->ca,
        .uris = {cv_slice_text("covey://flock/member/one")},
        .uri_count = 1,
        .purposes = {GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_KP_TLS_WWW_CLIENT},
        .purpose_count = 2,
        .key_usage = GNUTLS_KEY_DIGITAL_SIGNATURE,
        .not_before_ms = TEST_WALL_MS - TEST_DAY_MS,
        .not_after_ms = TEST_WALL_MS + TEST_DAY_MS,
    };
}

static inline void test_cert_fill(gnutls_x509_crt_t cert, const struct test_cert_config *config)
{
    static const unsigned char serial[] = {0x42};
    gnutls_x509_crt_set_version(cert, 3);
    gnutls_x509_crt_set_serial(cert, serial, sizeof serial);
    const char *name = config->common_name != NULL ? config->common_name : "variation";
    gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                  (unsigned)strlen(name));
    gnutls_x509_crt_set_activation_time(cert, (time_t)(config->not_before_ms / 1000));
    gnutls_x509_crt_set_expiration_time(cert, (time_t)(config->not_after_ms / 1000));
    gnutls_x509_crt_set_basic_constraints(cert, config->is_ca, -1);
    if (config->key_usage != 0)
        gnutls_x509_crt_set_key_usage(cert, config->key_usage);
    for (size_t i = 0; i < config->purpose_count; i++)
        gnutls_x509_crt_set_key_purpose_oid(cert, config->purposes[i], 0);
    for (size_t i = 0; i < config->uri_count; i++)
        test_cert_must(gnutls_x509_crt_set_subject_alt_name(
                           cert, GNUTLS_SAN_URI, config->uris[i].data,
                           (unsigned)config->uris[i].size, GNUTLS_FSAN_APPEND),
                       "URI");
    if (config->dns_name != NULL)
        gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, config->dns_name,
                                             (unsigned)strlen(config->dns_name),
                                             GNUTLS_FSAN_APPEND);
}

static inline void test_cert_sign(gnutls_x509_crt_t cert, gnutls_x509_privkey_t own_key,
                                  const struct cv_pki_pair *issuer)
{
    if (issuer == NULL) {
        test_cert_must(gnutls_x509_crt_sign2(cert, cert, own_key, GNUTLS_DIG_UNKNOWN, 0), "sign");
        return;
    }
    gnutls_x509_crt_t ca_cert;
    gnutls_x509_privkey_t ca_key;
    gnutls_datum_t cert_pem = test_datum(issuer->cert_pem);
    gnutls_datum_t key_pem = test_datum(issuer->key_pem);
    gnutls_x509_crt_init(&ca_cert);
    gnutls_x509_privkey_init(&ca_key);
    test_cert_must(gnutls_x509_crt_import(ca_cert, &cert_pem, GNUTLS_X509_FMT_PEM), "CA");
    test_cert_must(gnutls_x509_privkey_import(ca_key, &key_pem, GNUTLS_X509_FMT_PEM), "CA key");
    test_cert_must(gnutls_x509_crt_sign2(cert, ca_cert, ca_key, GNUTLS_DIG_UNKNOWN, 0), "sign");
    gnutls_x509_crt_deinit(ca_cert);
    gnutls_x509_privkey_deinit(ca_key);
}

/* Either of `der` and `pair` may be NULL. */
static inline void test_cert_make(const struct test_cert_config *config, struct test_der *der,
                                  struct cv_pki_pair *pair)
{
    gnutls_x509_crt_t cert;
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_init(&cert);
    gnutls_x509_privkey_init(&key);
    test_cert_must(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 256, 0), "key");
    test_cert_fill(cert, config);
    test_cert_must(config->foreign_key != NULL
                       ? gnutls_x509_crt_set_pubkey(cert, config->foreign_key)
                       : gnutls_x509_crt_set_key(cert, key),
                   "set key");
    test_cert_sign(cert, key, config->issuer);
    if (der != NULL) {
        der->size = sizeof der->bytes;
        test_cert_must(gnutls_x509_crt_export(cert, GNUTLS_X509_FMT_DER, der->bytes, &der->size),
                       "DER");
    }
    if (pair != NULL) {
        size_t cert_size = sizeof pair->cert_pem;
        size_t key_size = sizeof pair->key_pem;
        test_cert_must(
            gnutls_x509_crt_export(cert, GNUTLS_X509_FMT_PEM, pair->cert_pem, &cert_size), "PEM");
        test_cert_must(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                                        GNUTLS_PKCS_PLAIN, pair->key_pem,
                                                        &key_size),
                       "key PEM");
        pair->cert_pem[cert_size] = '\0';
        pair->key_pem[key_size] = '\0';
    }
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

/* An RSA key of `bits` made of noise: it verifies nothing, but it costs like a real one. */
static inline gnutls_pubkey_t test_rsa_noise(unsigned bits, unsigned exponent_size)
{
    static uint8_t modulus[4096];
    static uint8_t exponent[4096];
    gnutls_pubkey_t key;
    memset(modulus, 0xa5, sizeof modulus);
    memset(exponent, 0x5b, sizeof exponent);
    gnutls_datum_t m = {modulus, bits / 8};
    gnutls_datum_t e = {exponent, exponent_size};
    gnutls_pubkey_init(&key);
    test_cert_must(gnutls_pubkey_import_rsa_raw(key, &m, &e), "RSA");
    return key;
}

#endif
