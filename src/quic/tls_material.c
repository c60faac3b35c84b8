#define _POSIX_C_SOURCE 200809L /* gmtime_r */

#include "quic/tls_material.h"

#include "quic/tls_verify.h"

#include <covey/error.h>
#include <gnutls/abstract.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define PEM_SIZE_MAX (1u << 20)
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

/* Our own certificate, its intermediates and key while a context is made. */
struct own {
    gnutls_x509_crt_t certs[CV_TLS_CHAIN_MAX];
    gnutls_datum_t ders[CV_TLS_CHAIN_MAX];
    unsigned count;
    gnutls_x509_privkey_t key;
};

/* Writes the sentence and returns `error`. */
static int fail(char *reason, int error, const char *format, ...) COVEY_PRINTF(3, 4);

static int fail(char *reason, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, CV_TLS_REASON_SIZE, format, arguments);
    va_end(arguments);
    return error;
}

static int fail_memory(char *reason)
{
    return fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
}

static void own_fini(struct own *own)
{
    for (unsigned i = 0; i < own->count; i++) {
        gnutls_x509_crt_deinit(own->certs[i]);
        gnutls_free(own->ders[i].data);
    }
    if (own->key != NULL)
        gnutls_x509_privkey_deinit(own->key);
}

static const char *import_problem(int result)
{
    switch (result) {
    case GNUTLS_E_SHORT_MEMORY_BUFFER:
        return "the certificate file holds more than 4 certificates";
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
        return "the certificate file holds no PEM certificate";
    case GNUTLS_E_CERTIFICATE_LIST_UNSORTED:
        return "the certificates are not in order: ours first, each signed by the next";
    default:
        return "the certificate file is damaged: a certificate in it cannot be read";
    }
}

static int load_certs(struct own *own, struct cv_slice pem, char *reason)
{
    if (pem.size == 0)
        return fail(reason, COVEY_ERR_CERTIFICATE, "the certificate file is empty");
    if (pem.size > PEM_SIZE_MAX)
        return fail(reason, COVEY_ERR_CERTIFICATE, "the certificate file is larger than 1 MiB");
    gnutls_datum_t text = cv_tls_datum(pem);
    unsigned count = CV_TLS_CHAIN_MAX;
    int result = gnutls_x509_crt_list_import(own->certs, &count, &text, GNUTLS_X509_FMT_PEM,
                                             GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
                                                 GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (result <= 0)
        return fail(reason, COVEY_ERR_CERTIFICATE, "%s", import_problem(result));
    own->count = (unsigned)result;
    for (unsigned i = 0; i < own->count; i++) {
        if (gnutls_x509_crt_export2(own->certs[i], GNUTLS_X509_FMT_DER, &own->ders[i]) < 0)
            return fail_memory(reason);
    }
    return 0;
}

/* "BEGIN ENCRYPTED PRIVATE KEY", or in the older form "Proc-Type: 4,ENCRYPTED". */
static bool is_encrypted(struct cv_slice pem)
{
    static const char mark[] = "ENCRYPTED";
    for (size_t i = 0; i + sizeof mark - 1 <= pem.size; i++) {
        if (memcmp(pem.data + i, mark, sizeof mark - 1) == 0)
            return true;
    }
    return false;
}

static bool is_key_kind(gnutls_x509_privkey_t key)
{
    unsigned bits = 0;
    switch (gnutls_x509_privkey_get_pk_algorithm2(key, &bits)) {
    case GNUTLS_PK_EDDSA_ED25519:
        return true;
    case GNUTLS_PK_ECDSA:
        return bits == 256;
    case GNUTLS_PK_RSA:
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    default:
        return false;
    }
}

static int load_key(struct own *own, struct cv_slice pem, char *reason)
{
    if (pem.size == 0)
        return fail(reason, COVEY_ERR_KEY, "the private key file is empty");
    if (pem.size > PEM_SIZE_MAX)
        return fail(reason, COVEY_ERR_KEY, "the private key file is larger than 1 MiB");
    if (gnutls_x509_privkey_init(&own->key) < 0)
        return fail_memory(reason);
    gnutls_datum_t text = cv_tls_datum(pem);
    int result =
        gnutls_x509_privkey_import2(own->key, &text, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    if (result < 0 && is_encrypted(pem))
        return fail(reason, COVEY_ERR_KEY,
                    "the private key is encrypted: it must be stored without a password");
    if (result < 0)
        return fail(reason, COVEY_ERR_KEY, "the private key file holds no readable PEM key");
    if (!is_key_kind(own->key))
        return fail(reason, COVEY_ERR_KEY,
                    "the private key is neither Ed25519, ECDSA P-256 nor RSA of 2048 to 8192 bits");
    return 0;
}

static bool key_fits(const struct own *own)
{
    uint8_t of_cert[32];
    uint8_t of_key[32];
    size_t cert_size = sizeof of_cert;
    size_t key_size = sizeof of_key;
    unsigned flags = GNUTLS_KEYID_USE_SHA256;
    return gnutls_x509_crt_get_key_id(own->certs[0], flags, of_cert, &cert_size) >= 0 &&
           gnutls_x509_privkey_get_key_id(own->key, flags, of_key, &key_size) >= 0 &&
           cv_slice_equal(cv_slice_of(of_cert, cert_size), cv_slice_of(of_key, key_size));
}

static void format_date(char date[16], time_t time)
{
    struct tm tm;
    if (gmtime_r(&time, &tm) == NULL || strftime(date, 16, "%Y-%m-%d", &tm) == 0)
        snprintf(date, 16, "?");
}

static int fail_expired(char *reason, gnutls_x509_crt_t cert, uint64_t wall_ms, const char *what)
{
    char date[16];
    time_t begin = gnutls_x509_crt_get_activation_time(cert);
    if (begin > 0 && wall_ms < (uint64_t)begin * 1000) {
        format_date(date, begin);
        return fail(reason, COVEY_ERR_CERTIFICATE_EXPIRED, "%s is not valid before %s", what, date);
    }
    format_date(date, gnutls_x509_crt_get_expiration_time(cert));
    return fail(reason, COVEY_ERR_CERTIFICATE_EXPIRED, "%s expired on %s", what, date);
}

static int find_expired(const struct own *own, const struct cv_tls_trust *trust, uint64_t wall_ms,
                        char *reason)
{
    for (unsigned i = 0; i < own->count; i++) {
        if (!cv_tls_is_valid_at(own->certs[i], wall_ms))
            return fail_expired(reason, own->certs[i], wall_ms,
                                i == 0 ? "the certificate" : "an intermediate certificate");
    }
    for (unsigned i = 0; i < trust->count; i++) {
        if (!cv_tls_is_valid_at(trust->cas[i], wall_ms))
            return fail_expired(reason, trust->cas[i], wall_ms, "the CA's certificate");
    }
    return fail(reason, COVEY_ERR_CERTIFICATE_EXPIRED, "the certificate is not valid now");
}

/* The rules that peers will hold against us. */
static int check_chain(const struct own *own, char *reason)
{
    struct cv_tls_chain chain = {.count = own->count};
    for (unsigned i = 0; i < own->count; i++)
        chain.certs[i] = cv_slice_of(own->ders[i].data, own->ders[i].size);
    if (cv_tls_check_chain(&chain) != CV_TLS_ACCEPTED)
        return fail(reason, COVEY_ERR_CERTIFICATE,
                    "the certificates are larger than 16 KiB together, or one has a key of a kind "
                    "that is not supported");
    return 0;
}

static int check_own(struct cv_tls_material *material, const struct own *own, uint64_t wall_ms,
                     char *reason)
{
    struct cv_identity_problem problem;
    struct cv_tls_period valid;
    struct cv_slice der = cv_slice_of(own->ders[0].data, own->ders[0].size);
    if (!key_fits(own))
        return fail(reason, COVEY_ERR_KEY, "the private key does not belong to the certificate");
    if (cv_identity_explain_der(&material->identity, der, &problem) != 0)
        return fail(reason, COVEY_ERR_CERTIFICATE, "%s", problem.text);
    int error = check_chain(own, reason);
    if (error != 0)
        return error;
    error = cv_tls_trust_check(&material->trust, own->certs, own->count, wall_ms, &valid);
    if (error == COVEY_ERR_CERTIFICATE_EXPIRED)
        return find_expired(own, &material->trust, wall_ms, reason);
    if (error != 0)
        return fail(reason, error, "the certificate is not signed by the CA");
    material->valid_until_ms = valid.end_ms;
    return 0;
}

/* Only what we present goes into the credentials. Whom we trust does not: a server that lists CAs
 * makes a client of another cluster send no certificate, and nobody learns why. */
static int make_credentials(struct cv_tls_material *material, const struct own *own, char *reason)
{
    gnutls_x509_crt_t certs[CV_TLS_CHAIN_MAX];
    for (unsigned i = 0; i < own->count; i++)
        certs[i] = own->certs[i];
    if (gnutls_certificate_allocate_credentials(&material->credentials) < 0)
        return fail_memory(reason);
    int result =
        gnutls_certificate_set_x509_key(material->credentials, certs, (int)own->count, own->key);
    if (result < 0)
        return fail(reason, COVEY_ERR_KEY, "the private key cannot be used: %s",
                    gnutls_strerror(result));
    return 0;
}

static int load(struct cv_tls_material *material, struct own *own,
                const struct cv_tls_config *config, char *reason)
{
    const char *problem;
    if (cv_tls_trust_init(&material->trust, config->ca_pem, &problem) != 0)
        return fail(reason, COVEY_ERR_CERTIFICATE, "%s", problem);
    int error = load_certs(own, config->cert_pem, reason);
    if (error == 0)
        error = load_key(own, config->key_pem, reason);
    if (error == 0)
        error = check_own(material, own, config->wall_ms, reason);
    if (error == 0)
        error = make_credentials(material, own, reason);
    return error;
}

struct cv_tls_material *cv_tls_material_hold(struct cv_tls_material *material)
{
    material->references++;
    return material;
}

void cv_tls_material_release(struct cv_tls_material *material)
{
    if (material == NULL || --material->references > 0)
        return;
    if (material->credentials != NULL)
        gnutls_certificate_free_credentials(material->credentials);
    cv_tls_trust_fini(&material->trust);
    cv_release(material->alloc, material);
}

int cv_tls_material_new(const struct cv_alloc *alloc, const struct cv_tls_config *config,
                        struct cv_tls_material **out, char reason[CV_TLS_REASON_SIZE])
{
    struct own own = {0};
    struct cv_tls_material *material = cv_allocate_zeroed(alloc, 1, sizeof *material);
    if (material == NULL)
        return fail_memory(reason);
    material->alloc = alloc;
    material->references = 1;
    int error = load(material, &own, config, reason);
    own_fini(&own);
    if (error != 0) {
        cv_tls_material_release(material);
        return error;
    }
    *out = material;
    return 0;
}
