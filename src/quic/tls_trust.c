#include "quic/tls_trust.h"

#include <assert.h>
#include <covey/error.h>

#define PEM_SIZE_MAX (1u << 20)

/* Time is ours to judge; 112 bits of security or more. */
#define VERIFY_FLAGS                                                                               \
    (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS |               \
     (unsigned)GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM))

bool cv_tls_is_valid_at(gnutls_x509_crt_t cert, uint64_t wall_ms)
{
    time_t begin = gnutls_x509_crt_get_activation_time(cert);
    time_t end = gnutls_x509_crt_get_expiration_time(cert);
    if (begin == (time_t)-1 || end < 0)
        return false;
    uint64_t begin_ms = begin < 0 ? 0 : (uint64_t)begin * 1000;
    return begin_ms <= wall_ms && wall_ms <= (uint64_t)end * 1000;
}

static const char *check_cas(const struct cv_tls_trust *trust)
{
    for (unsigned i = 0; i < trust->count; i++) {
        if (gnutls_x509_crt_get_ca_status(trust->cas[i], NULL) <= 0)
            return "the CA file holds a certificate that is not a CA's";
    }
    return trust->count > 0 ? NULL : "the CA file holds no certificate";
}

static const char *import_cas(struct cv_tls_trust *trust, struct cv_slice pem)
{
    if (pem.size == 0)
        return "the CA file is empty";
    if (pem.size > PEM_SIZE_MAX)
        return "the CA file is larger than 1 MiB";
    gnutls_datum_t text = cv_tls_datum(pem);
    unsigned count = CV_TLS_CA_MAX;
    int result = gnutls_x509_crt_list_import(trust->cas, &count, &text, GNUTLS_X509_FMT_PEM,
                                             GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (result == GNUTLS_E_SHORT_MEMORY_BUFFER)
        return "the CA file holds more than 16 certificates";
    if (result == GNUTLS_E_NO_CERTIFICATE_FOUND)
        return "the CA file holds no PEM certificate";
    if (result < 0)
        return "the CA file is damaged: a certificate in it cannot be read";
    trust->count = (unsigned)result;
    return check_cas(trust);
}

int cv_tls_trust_init(struct cv_tls_trust *trust, struct cv_slice pem, const char **problem)
{
    *trust = (struct cv_tls_trust){0};
    *problem = import_cas(trust, pem);
    if (*problem == NULL)
        return 0;
    cv_tls_trust_fini(trust);
    return COVEY_ERR_CERTIFICATE;
}

void cv_tls_trust_fini(struct cv_tls_trust *trust)
{
    for (unsigned i = 0; i < trust->count; i++)
        gnutls_x509_crt_deinit(trust->cas[i]);
    *trust = (struct cv_tls_trust){0};
}

/* One CA at a time: given several of one name, as while a CA is replaced, the library tries only
 * one unless the certificate says which key signed it. */
static bool ends_in(gnutls_x509_crt_t ca, const gnutls_x509_crt_t *chain, unsigned count)
{
    unsigned status = 0;
    int result = gnutls_x509_crt_list_verify(chain, count, &ca, 1, NULL, 0, VERIFY_FLAGS, &status);
    return result >= 0 && status == 0;
}

static bool all_valid_at(const gnutls_x509_crt_t *chain, unsigned count, uint64_t wall_ms)
{
    for (unsigned i = 0; i < count; i++) {
        if (!cv_tls_is_valid_at(chain[i], wall_ms))
            return false;
    }
    return true;
}

int cv_tls_trust_check(const struct cv_tls_trust *trust, const gnutls_x509_crt_t *chain,
                       unsigned count, uint64_t wall_ms)
{
    assert(count > 0 && count <= CV_TLS_CHAIN_MAX);
    int error = COVEY_ERR_CERTIFICATE;
    for (unsigned i = 0; i < trust->count; i++) {
        if (!ends_in(trust->cas[i], chain, count))
            continue;
        if (cv_tls_is_valid_at(trust->cas[i], wall_ms) && all_valid_at(chain, count, wall_ms))
            return 0;
        error = COVEY_ERR_CERTIFICATE_EXPIRED;
    }
    return error;
}
