#ifndef CV_API_IDENTITY_H
#define CV_API_IDENTITY_H

#include "quic/tls.h"

#include <covey/identity.h>

/* The inside of an identity: PEM texts that each loop makes a TLS context of its own from. */
struct covey_identity {
    char *ca_pem;
    char *cert_pem;
    char *key_pem;
    struct cv_identity who;
};

/* A context for one loop. As cv_tls_new(). */
COVEY_MUST_USE int cv_identity_make_tls(const covey_identity *identity,
                                        const struct cv_alloc *alloc, struct cv_tls **out);

#endif
