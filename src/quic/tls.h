#ifndef CV_QUIC_TLS_H
#define CV_QUIC_TLS_H

#include "base/alloc.h"
#include "base/slice.h"
#include "quic/identity.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * Mutual TLS 1.3 by a cluster's own CA: what we present, whom we accept. One context serves any
 * number of connections of both roles on one thread, and lives longer than they do.
 *
 * A peer is judged inside the TLS handshake, so that a refusal is a TLS alert and the handshake
 * does not complete: its chain must end in our CA, be valid at the wall clock time that the caller
 * says, name our cluster, and have a role that the protocol allows.
 */

#define CV_ALPN_CLUSTER "covey-cluster/1" /* gossip: members only, both sides */
#define CV_ALPN_RPC     "covey-rpc/1"     /* the server is a member; the client any role */

enum cv_alpn { CV_ALPN_ID_CLUSTER, CV_ALPN_ID_RPC };

struct cv_tls; /* a context */

struct cv_tls_config {
    const struct cv_alloc *alloc;
    struct cv_slice ca_pem;   /* one or more CA certificates */
    struct cv_slice cert_pem; /* our certificate, then intermediates */
    struct cv_slice key_pem;  /* our private key: Ed25519, ECDSA P-256 or RSA */
    uint64_t wall_ms;         /* for judging our own certificate */
};

/* Room for the sentence that says what is wrong with a certificate or key. */
#define CV_TLS_REASON_SIZE 256

/*
 * Copies what it needs of the configuration. Checks that the key fits the certificate, that the
 * certificate is signed by the CA (a GnuTLS client would silently send none), names a cluster and
 * is valid now. Returns 0 and *out, or with a sentence in `reason` COVEY_ERR_CERTIFICATE,
 * COVEY_ERR_CERTIFICATE_EXPIRED, COVEY_ERR_KEY, COVEY_ERR_NO_MEMORY. `reason` is written on error
 * only.
 */
COVEY_MUST_USE int cv_tls_new(const struct cv_tls_config *config, struct cv_tls **out,
                              char reason[CV_TLS_REASON_SIZE]);
/* All sessions of the context must be gone. NULL is allowed. */
void cv_tls_free(struct cv_tls *tls);

/* Our own identity, valid as long as the context. */
const struct cv_identity *cv_tls_identity(const struct cv_tls *tls);

/* The wall clock by which the next handshakes are judged. */
void cv_tls_set_wall_ms(struct cv_tls *tls, uint64_t wall_ms);

/* Why a peer was refused; counted by reason, and what the close of a connection says. */
struct cv_tls_refusals {
    uint64_t no_certificate;
    uint64_t untrusted; /* the chain does not end in our CA, or is broken */
    uint64_t expired;
    uint64_t wrong_cluster;
    uint64_t wrong_role;
    uint64_t wrong_identity; /* not the node that we dialled */
    uint64_t malformed;      /* no usable covey:// name or key usage; unreadable, too large */
    uint64_t no_protocol;    /* no ALPN in common */
};
const struct cv_tls_refusals *cv_tls_refusals(const struct cv_tls *tls);

/*
 * One handshake. `conn_ref` (ngtcp2_crypto_conn_ref *) says which QUIC connection it is for and
 * lives as long as the session; the session pointer of the native handle is the session's own.
 */
struct cv_tls_session;

struct cv_tls_session_config {
    struct cv_tls *tls;
    bool is_server;
    enum cv_alpn alpn;             /* client: the one protocol to offer; a server accepts both */
    bool rpc_only;                 /* server: only that of calls */
    const covey_node_id *expected; /* client: the only node to accept; NULL: any member */
    void *conn_ref;
};

/* 0 or COVEY_ERR_NO_MEMORY. One allocation by the context's allocator. */
COVEY_MUST_USE int cv_tls_session_new(const struct cv_tls_session_config *config,
                                      struct cv_tls_session **out);
/* After the QUIC connection that uses the native handle. NULL is allowed. */
void cv_tls_session_free(struct cv_tls_session *session);

/* The library's own handle (gnutls_session_t), for the QUIC library. */
void *cv_tls_session_native(const struct cv_tls_session *session);
/* The peer's identity; NULL before the handshake accepted it. */
const struct cv_identity *cv_tls_session_peer(const struct cv_tls_session *session);
/* The protocol agreed on; only after the handshake. */
enum cv_alpn cv_tls_session_alpn(const struct cv_tls_session *session);
/* Why we refused the peer, 0 when we did not: COVEY_ERR_CERTIFICATE, _EXPIRED, WRONG_CLUSTER,
 * WRONG_ROLE, WRONG_IDENTITY or NO_PROTOCOL. The peer gets a TLS alert that is its own for each
 * kind: ngtcp2_conn_get_tls_alert() has it once reading a packet failed with NGTCP2_ERR_CRYPTO. */
int cv_tls_session_refusal(const struct cv_tls_session *session);

#endif
