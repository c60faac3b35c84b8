#ifndef COVEY_PKI_H
#define COVEY_PKI_H

#include <covey/identity.h>

COVEY_BEGIN

/*
 * A small certificate authority for a cluster, as `covey ca` uses it. For production use your own
 * CA if you have one: what covey asks of a certificate is written in docs/SECURITY-MODEL.md.
 */

enum covey_key_type { COVEY_KEY_ED25519 = 0, COVEY_KEY_ECDSA_P256 = 1 };

/* PEM texts; free with covey_pem_free(). */
struct covey_pem {
    char *cert;
    char *key;
};
COVEY_API void covey_pem_free(struct covey_pem *pem);

/* Makes a CA for `cluster`, valid from an hour ago for `days`. 0, COVEY_ERR_INVALID_ARGUMENT (the
 * name has other characters than a-z A-Z 0-9 . _ - or more than 63; days is 0 or above 36,500),
 * COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_API COVEY_MUST_USE int covey_pki_make_ca(const char *cluster, enum covey_key_type key_type,
                                               unsigned days, struct covey_pem *out);

struct covey_issue_config {
    size_t size;
    const char *name;
    enum covey_role role;         /* member */
    enum covey_key_type key_type; /* Ed25519 */
    unsigned days;                /* 365, up to 36,500; cut to the CA's end */
    const char *const *hosts;     /* further DNS names or addresses in the certificate */
    size_t host_count;
    const char *key; /* PEM: renews the certificate of this key, whose holder keeps its id; NULL: a
                        new key is made */
};
#define covey_issue_config_init(config) covey_issue_config_init_sized((config), sizeof *(config))
COVEY_API void covey_issue_config_init_sized(struct covey_issue_config *config, size_t size);

/*
 * Makes a key and a certificate for it in the cluster that the CA names.
 * 0, COVEY_ERR_INVALID_ARGUMENT (name, host, more than 16 hosts, days), COVEY_ERR_CERTIFICATE (the
 * CA's), COVEY_ERR_KEY (the CA's, or config->key), COVEY_ERR_CERTIFICATE_EXPIRED (the CA's), COVEY_ERR_NO_MEMORY,
 * COVEY_ERR_SYSTEM.
 */
COVEY_API COVEY_MUST_USE int covey_pki_issue(const char *ca_cert, const char *ca_key,
                                             const struct covey_issue_config *config,
                                             struct covey_pem *out);

COVEY_END

#endif
