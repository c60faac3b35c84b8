#ifndef COVEY_IDENTITY_H
#define COVEY_IDENTITY_H

#include <covey/error.h>
#include <covey/types.h>

COVEY_BEGIN

/*
 * Who this program is and whom it trusts: a certificate with its private key, and the cluster's CA.
 * The certificate names the cluster, the role and the name of its holder in one URI,
 * covey://CLUSTER/member/NAME (or client, or admin), made by `covey ca issue` or covey/pki.h.
 * An identity is immutable and may be used by any number of servers and clients, from any thread.
 */
typedef struct covey_identity covey_identity;

enum covey_role { COVEY_ROLE_MEMBER = 0, COVEY_ROLE_CLIENT = 1, COVEY_ROLE_ADMIN = 2 };

/* "member", "client", "admin"; "?" for anything else. */
COVEY_API const char *covey_role_name(enum covey_role role);

/* Room for the sentence that says what is wrong with a file. */
#define COVEY_REASON_SIZE 512

/*
 * Reads DIRECTORY/ca.pem, cert.pem and key.pem. Checks that they fit together and that the
 * certificate is valid now. On error `reason`, if not NULL, gets one sentence (COVEY_REASON_SIZE
 * bytes) that names the file. Errors:
 *   COVEY_ERR_NOT_FOUND, COVEY_ERR_SYSTEM       a file cannot be read
 *   COVEY_ERR_CERTIFICATE, _CERTIFICATE_EXPIRED  ca.pem or cert.pem
 *   COVEY_ERR_KEY                                key.pem
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_identity_load(const char *directory, covey_identity **out,
                                                 char *reason);

/* The same from PEM texts in memory, NUL-terminated and copied. */
COVEY_API COVEY_MUST_USE int covey_identity_from_pem(const char *ca, const char *cert,
                                                     const char *key, covey_identity **out,
                                                     char *reason);

/* What uses it keeps what it needs, so it may be freed at once. NULL is allowed. */
COVEY_API void covey_identity_free(covey_identity *identity);

COVEY_API covey_node_id covey_identity_id(const covey_identity *identity);
COVEY_API enum covey_role covey_identity_role(const covey_identity *identity);
COVEY_API const char *covey_identity_name(const covey_identity *identity);
COVEY_API const char *covey_identity_cluster(const covey_identity *identity);

COVEY_END

#endif
