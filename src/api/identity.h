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

/* Replaces what a context presents and trusts, on the context's thread. As cv_tls_reload();
 * `reason`, if not NULL, has COVEY_REASON_SIZE bytes. An identity was checked when it was made, so
 * that what is left to fail is its age, that it is somebody else's, and memory: a server of several
 * loops asks cv_tls_may_follow() once before it replaces in all. */
COVEY_MUST_USE int cv_identity_reload_tls(const covey_identity *identity, struct cv_tls *tls,
                                          enum cv_tls_change change, char *reason);

#endif
