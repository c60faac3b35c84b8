#include "quic/tls_trust.h"

#include <assert.h>
#include <covey/error.h>

#define PEM_SIZE_MAX (1u << 20)

/* Time is ours to judge; 112 bits of security or more. */
#define VERIFY_FLAGS                                                                               \
    (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS |               \
     (unsigned)GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM))

/* An empty period when it cannot be read. */
static struct cv_tls_period period_of(gnutls_x509_crt_t cert)
{
    time_t begin = gnutls_x509_crt_get_activation_time(cert);
    time_t end = gnutls_x509_crt_get_expiration_time(cert);
    if (begin == (time_t)-1 || end < 0)
        return (struct cv_tls_period){.begin_ms = 1, .end_ms = 0};
    return (struct cv_tls_period){.begin_ms = begin < 0 ? 0 : (uint64_t)begin * 1000,
                                  .end_ms = (uint64_t)end * 1000};
}

static bool is_inside(const struct cv_tls_period *period, uint64_t wall_ms)
{
    return period->begin_ms <= wall_ms && wall_ms <= period->end_ms;
}

bool cv_tls_is_valid_at(gnutls_x509_crt_t cert, uint64_t wall_ms)
{
    struct cv_tls_period period = period_of(cert);
    return is_inside(&period, wall_ms);
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

/* When all of it is valid at once. */
static struct cv_tls_period common_period(gnutls_x509_crt_t ca, const gnutls_x509_crt_t *chain,
                                          unsigned count)
{
    struct cv_tls_period common = period_of(ca);
    for (unsigned i = 0; i < count; i++) {
        struct cv_tls_period one = period_of(chain[i]);
        if (one.begin_ms > common.begin_ms)
            common.begin_ms = one.begin_ms;
        if (one.end_ms < common.end_ms)
            common.end_ms = one.end_ms;
    }
    return common;
}

int cv_tls_trust_check(const struct cv_tls_trust *trust, const gnutls_x509_crt_t *chain,
                       unsigned count, uint64_t wall_ms, struct cv_tls_period *valid)
{
    assert(count > 0 && count <= CV_TLS_CHAIN_MAX);
    int error = COVEY_ERR_CERTIFICATE;
    for (unsigned i = 0; i < trust->count; i++) {
        if (!ends_in(trust->cas[i], chain, count))
            continue;
        struct cv_tls_period period = common_period(trust->cas[i], chain, count);
        int found = is_inside(&period, wall_ms) ? 0 : COVEY_ERR_CERTIFICATE_EXPIRED;
        bool is_better = error == COVEY_ERR_CERTIFICATE || (error != 0 && found == 0);
        if (is_better || (found == error && period.end_ms > valid->end_ms)) {
            *valid = period;
            error = found;
        }
    }
    return error;
}
