#ifndef CV_QUIC_IDENTITY_H
#define CV_QUIC_IDENTITY_H

#include "base/slice.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * Who a certificate says its holder is. A cluster's certificates carry exactly one URI in the
 * subject alternative name,
 *
 *     covey://CLUSTER/member/NAME    extended key usage serverAuth and clientAuth
 *     covey://CLUSTER/client/NAME    clientAuth
 *     covey://CLUSTER/admin/NAME     clientAuth
 *
 * CLUSTER and NAME are 1 to 63 of the characters a-z A-Z 0-9 . _ - and begin with a letter or
 * digit.
 */
#define CV_NAME_SIZE 64 /* 63 characters and a NUL */

/* The largest certificate that is looked at, DER. */
#define CV_CERTIFICATE_SIZE_MAX 16384

enum cv_role { CV_ROLE_MEMBER, CV_ROLE_CLIENT, CV_ROLE_ADMIN };

struct cv_identity {
    covey_node_id id; /* first half of SHA-256 over the SubjectPublicKeyInfo */
    enum cv_role role;
    char cluster[CV_NAME_SIZE];
    char name[CV_NAME_SIZE];
    uint64_t not_before_ms; /* validity, wall clock, milliseconds since 1970 */
    uint64_t not_after_ms;
};

/* "member", "client", "admin". */
const char *cv_role_name(enum cv_role role);

/* True for a usable cluster or node name, `name` being NUL-terminated. */
bool cv_name_is_valid(const char *name);

/* Takes covey://CLUSTER/ROLE/NAME apart; sets role, cluster and name. 0 or COVEY_ERR_CERTIFICATE.
 */
COVEY_MUST_USE int cv_identity_parse_uri(struct cv_identity *identity, struct cv_slice uri);

/*
 * Reads a DER certificate: id, URI, key usages that fit the role, validity. It must not be a CA's,
 * and may have other names (DNS, IP, other URIs) beside the one of ours. No signature is checked
 * here. Returns 0 or COVEY_ERR_CERTIFICATE; *identity is unchanged on error.
 */
COVEY_MUST_USE int cv_identity_from_der(struct cv_identity *identity, struct cv_slice der);

/* What is wrong with a certificate, and a constant clause for a human, "the certificate is a CA's,
 * not a node's". */
enum cv_identity_fault {
    CV_IDENTITY_UNREADABLE, /* too large, or no certificate */
    CV_IDENTITY_NO_NAME,    /* no usable covey:// URI */
    CV_IDENTITY_WRONG_USAGE /* a CA's, or key usages that do not fit the role */
};
struct cv_identity_problem {
    enum cv_identity_fault fault;
    const char *text;
};

/* The same; sets *problem on error. */
COVEY_MUST_USE int cv_identity_explain_der(struct cv_identity *identity, struct cv_slice der,
                                           struct cv_identity_problem *problem);

#endif
