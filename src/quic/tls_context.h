#ifndef CV_QUIC_TLS_CONTEXT_H
#define CV_QUIC_TLS_CONTEXT_H

#include "quic/deny_list.h"
#include "quic/tls.h"
#include "quic/tls_material.h"

#include <gnutls/gnutls.h>

/* What the sessions of a context share. tls.c makes it, tls_session.c uses it. */
struct cv_tls {
    const struct cv_alloc *alloc;
    struct cv_tls_material *material; /* for the sessions to come */
    gnutls_priority_t priority;
    struct cv_identity identity; /* a copy that stays where it is */
    struct cv_deny_list denied;
    struct cv_tls_refusals refusals;
    uint64_t wall_ms;
    size_t session_count;
};

#endif
