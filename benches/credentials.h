#ifndef BENCHES_CREDENTIALS_H
#define BENCHES_CREDENTIALS_H

#include <covey/pki.h>

/* A CA for this run, and a member and a client of it, all Ed25519. */
struct credentials {
    struct covey_pem ca;
    struct covey_pem server;
    struct covey_pem client;
};

/* One at a time; free each with covey_pem_free(). What fails ends the program. */
void credentials_make_ca(struct covey_pem *ca);
void credentials_issue(const struct covey_pem *ca, const char *name, enum covey_role role,
                       struct covey_pem *out);

/* All three. */
void credentials_make(struct credentials *credentials);
void credentials_free(struct credentials *credentials);
/* For covey's servers and clients; free it with covey_identity_free(). */
covey_identity *credentials_identity(const struct credentials *credentials,
                                     const struct covey_pem *own);

#endif
