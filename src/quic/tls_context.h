#ifndef CV_QUIC_TLS_CONTEXT_H
#define CV_QUIC_TLS_CONTEXT_H

#include "quic/tls.h"
#include "quic/tls_trust.h"

#include <gnutls/gnutls.h>

/* What the sessions of a context share. tls.c makes it, tls_session.c uses it. */
struct cv_tls {
    const struct cv_alloc *alloc;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    struct cv_tls_trust trust;
    struct cv_identity identity;
    struct cv_tls_refusals refusals;
    uint64_t wall_ms;
    size_t session_count;
};

#endif
