#ifndef CV_QUIC_TLS_MATERIAL_H
#define CV_QUIC_TLS_MATERIAL_H

#include "quic/tls.h"
#include "quic/tls_trust.h"

#include <gnutls/gnutls.h>

/*
 * What we present and whom we trust: made and checked as a whole, never changed, replaced by a
 * reload, and freed with the last session that began with it.
 */
struct cv_tls_material {
    const struct cv_alloc *alloc;
    size_t references;
    gnutls_certificate_credentials_t credentials;
    struct cv_tls_trust trust;
    struct cv_identity identity;
    uint64_t valid_until_ms; /* of our certificate, its intermediates and its CA */
};

/* Reads and checks the texts; one allocation by `alloc`. As cv_tls_new(). */
COVEY_MUST_USE int cv_tls_material_new(const struct cv_alloc *alloc,
                                       const struct cv_tls_config *config,
                                       struct cv_tls_material **out,
                                       char reason[CV_TLS_REASON_SIZE]);
struct cv_tls_material *cv_tls_material_hold(struct cv_tls_material *material);
/* NULL is allowed. */
void cv_tls_material_release(struct cv_tls_material *material);

#endif
