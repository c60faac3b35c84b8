#ifndef CV_QUIC_PKI_H
#define CV_QUIC_PKI_H

#include "quic/identity.h"

#include <covey/export.h>

/*
 * Making a cluster's CA and its certificates, for the command line and for tests. PEM in, PEM out;
 * the caller keeps files. Key generation takes randomness from the TLS library.
 */

enum cv_key_type { CV_KEY_ED25519, CV_KEY_ECDSA_P256 };

#define CV_PEM_SIZE_MAX  8192
#define CV_PKI_HOSTS_MAX 16

/* A certificate and its private key as NUL-terminated PEM text. */
struct cv_pki_pair {
    char cert_pem[CV_PEM_SIZE_MAX];
    char key_pem[CV_PEM_SIZE_MAX];
};

struct cv_pki_ca_config {
    const char *cluster; /* becomes the CA's common name "CLUSTER covey CA" */
    enum cv_key_type key_type;
    uint64_t not_before_ms; /* wall clock, milliseconds since 1970 */
    uint64_t not_after_ms;
};

/*
 * Makes a self-signed CA (basicConstraints CA, path length 0, keyCertSign). The cluster's name is
 * kept in the CA as the URI covey://CLUSTER. Times are cut to seconds. 0, or with *out unchanged
 *   COVEY_ERR_INVALID_ARGUMENT  the cluster's name, or a validity that is empty or ends after 9999
 *   COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM
 */
COVEY_MUST_USE int cv_pki_make_ca(const struct cv_pki_ca_config *config, struct cv_pki_pair *out);

/* When a CA's certificate is valid, wall clock. 0, or COVEY_ERR_CERTIFICATE (unreadable, or no
 * CA's) or COVEY_ERR_NO_MEMORY with nothing changed. */
COVEY_MUST_USE int cv_pki_ca_period(const char *ca_cert_pem, uint64_t *not_before_ms,
                                    uint64_t *not_after_ms);

struct cv_pki_issue_config {
    const char *ca_cert_pem;
    const char *ca_key_pem;
    const char *cluster; /* NULL: the cluster that the CA names */
    const char *name;
    enum cv_role role;
    enum cv_key_type key_type;
    const char *const *hosts; /* DNS names or IP addresses to name besides */
    size_t host_count;        /* at most CV_PKI_HOSTS_MAX */
    uint64_t not_before_ms;
    uint64_t not_after_ms; /* not after the CA's own */
    const char *key_pem;   /* certify this key anew instead of making one: its holder keeps its id;
                              key_type does not count then */
};

/*
 * Makes a key and a certificate for it, signed by the CA. 0, or with *out unchanged
 *   COVEY_ERR_INVALID_ARGUMENT  a name, a host, a validity that is empty or ends after the CA's
 *   COVEY_ERR_CERTIFICATE       the CA's certificate: unreadable, no CA's, or it names no cluster
 *   COVEY_ERR_KEY               the CA's key: unreadable, encrypted, or not the certificate's;
 *                               key_pem: unreadable, encrypted
 *   COVEY_ERR_TOO_LARGE         the hosts take more room than CV_PEM_SIZE_MAX
 *   COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM
 */
COVEY_MUST_USE int cv_pki_issue(const struct cv_pki_issue_config *config, struct cv_pki_pair *out);

#endif
