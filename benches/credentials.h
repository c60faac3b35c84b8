#ifndef BENCHES_CREDENTIALS_H
#define BENCHES_CREDENTIALS_H

#include <covey/pki.h>

/* A CA for this run, and a member and a client of it, all Ed25519. */
struct credentials {
    struct covey_pem ca;
    struct covey_pem server;
    struct covey_pem client;
};

void credentials_make(struct credentials *credentials);
void credentials_free(struct credentials *credentials);
/* For covey's servers and clients; free it with covey_identity_free(). */
covey_identity *credentials_identity(const struct credentials *credentials,
                                     const struct covey_pem *own);

#endif
