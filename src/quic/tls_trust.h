#ifndef CV_QUIC_TLS_TRUST_H
#define CV_QUIC_TLS_TRUST_H

#include "base/slice.h"

#include <covey/export.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The CA certificates of a cluster, and whether a chain ends in one of them. While a CA is replaced
 * there are two. Times are judged by the wall clock that the caller says, never by the system's: a
 * CA that is not valid then is as good as absent.
 */
#define CV_TLS_CA_MAX    16
#define CV_TLS_CHAIN_MAX 4 /* certificates of a peer, its own included */

struct cv_tls_trust {
    gnutls_x509_crt_t cas[CV_TLS_CA_MAX];
    unsigned count;
};

/* Reads the certificates of a PEM text. Returns 0, or COVEY_ERR_CERTIFICATE with *problem, a
 * constant clause for a human, and an empty set. */
COVEY_MUST_USE int cv_tls_trust_init(struct cv_tls_trust *trust, struct cv_slice pem,
                                     const char **problem);
void cv_tls_trust_fini(struct cv_tls_trust *trust);

/* When something is valid, wall clock; both ends are inside. */
struct cv_tls_period {
    uint64_t begin_ms;
    uint64_t end_ms;
};

/*
 * Judges a chain, the holder's certificate first, each signed by the next. 0, or
 *   COVEY_ERR_CERTIFICATE          it does not end in our CA, or a signature or rule is broken
 *   COVEY_ERR_CERTIFICATE_EXPIRED  one of it, or the CA, is not valid at wall_ms
 * Unless it is COVEY_ERR_CERTIFICATE, *valid says when all of the chain and its CA are; of several
 * CAs that fit, the one that makes it valid for longest.
 */
COVEY_MUST_USE int cv_tls_trust_check(const struct cv_tls_trust *trust,
                                      const gnutls_x509_crt_t *chain, unsigned count,
                                      uint64_t wall_ms, struct cv_tls_period *valid);

/* True when `cert` is valid at wall_ms; both ends are inside. */
bool cv_tls_is_valid_at(gnutls_x509_crt_t cert, uint64_t wall_ms);

/* Lends bytes to the TLS library, which does not write through the datum. */
static inline gnutls_datum_t cv_tls_datum(struct cv_slice bytes)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)bytes.data, (unsigned)bytes.size};
}

#endif
