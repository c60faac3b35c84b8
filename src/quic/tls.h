#ifndef CV_QUIC_TLS_H
#define CV_QUIC_TLS_H

#include "base/alloc.h"
#include "base/slice.h"
#include "quic/deny_list.h"
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
 *
 * What we present and whom we trust is replaced by a reload, as a whole: a session keeps what it
 * began with, those that come later get the new. A CA is replaced in three steps, each of them on
 * all nodes before the next: trust both CAs; show certificates of the new one; trust the new one
 * only.
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

/* Whom a reload may make of us. */
enum cv_tls_change {
    CV_TLS_RENEW, /* the same holder: the key, and so the id, and the name stay */
    CV_TLS_REKEY  /* a new key or name too: nobody knows us by the old id (no cluster member) */
};

/*
 * Replaces certificate, key and CAs; `config->alloc` is not looked at. The same checks as
 * cv_tls_new(), and the new certificate must be of the old one's cluster and role, and with
 * CV_TLS_RENEW of its key and name. Returns 0, or with a sentence in `reason` and nothing changed
 * what cv_tls_new() says, COVEY_ERR_WRONG_CLUSTER, COVEY_ERR_WRONG_ROLE, COVEY_ERR_WRONG_IDENTITY.
 */
COVEY_MUST_USE int cv_tls_reload(struct cv_tls *tls, const struct cv_tls_config *config,
                                 enum cv_tls_change change, char reason[CV_TLS_REASON_SIZE]);

/* The question of cv_tls_reload() about two identities: 0 when `next` may follow `old`, otherwise
 * the error and the sentence. */
COVEY_MUST_USE int cv_tls_may_follow(const struct cv_identity *old, const struct cv_identity *next,
                                     enum cv_tls_change change, char reason[CV_TLS_REASON_SIZE]);

/* Our own identity; the pointer is valid as long as the context, a reload writes to it. */
const struct cv_identity *cv_tls_identity(const struct cv_tls *tls);
/* When the first of our certificate, its intermediates and its CA ends: until then new handshakes
 * can succeed. Wall clock. */
uint64_t cv_tls_valid_until_ms(const struct cv_tls *tls);

/* The nodes that are refused whatever they show, in place of those that were. As cv_deny_list_set().
 * Connections that there are stay: cv_quic_endpoint_close_denied(). */
COVEY_MUST_USE int cv_tls_deny(struct cv_tls *tls, const covey_node_id *ids, size_t count);
/* Those that are refused so now; until the next cv_tls_deny(). */
const struct cv_deny_list *cv_tls_denied(const struct cv_tls *tls);
bool cv_tls_denies(const struct cv_tls *tls, const covey_node_id *id);

/* The wall clock by which the next handshakes are judged. */
void cv_tls_set_wall_ms(struct cv_tls *tls, uint64_t wall_ms);
uint64_t cv_tls_wall_ms(const struct cv_tls *tls);

/* Why peers were refused: one counter for each reason. */
struct cv_tls_refusals {
    uint64_t no_certificate;
    uint64_t untrusted; /* the chain does not end in our CA, or is broken */
    uint64_t expired;
    uint64_t wrong_cluster;
    uint64_t wrong_role;
    uint64_t wrong_identity; /* not the node that we dialled */
    uint64_t malformed;      /* unreadable */
    uint64_t no_protocol;    /* no ALPN in common */
    uint64_t not_yet_valid;
    uint64_t self_signed;
    uint64_t chain_too_long; /* more than 4 certificates or 16 KiB */
    uint64_t costly_key;     /* a key that is slow to verify with, or of an unknown kind */
    uint64_t no_name;        /* no usable covey:// URI */
    uint64_t wrong_usage;    /* a CA's, or (extended) key usages that do not fit the role */
    uint64_t denied;         /* cv_tls_deny() */
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

/* 0 or COVEY_ERR_NO_MEMORY. One allocation by the context's allocator, and one by settle(). */
COVEY_MUST_USE int cv_tls_session_new(const struct cv_tls_session_config *config,
                                      struct cv_tls_session **out);
/* After the QUIC connection that uses the native handle. NULL is allowed. */
void cv_tls_session_free(struct cv_tls_session *session);

/*
 * The handshake is over, and the peer knows that: lets go of the library's part and of the certificates and
 * keys that the session began with; the functions below go on to say what it found out. Not within a callback of the
 * library. False, and nothing is changed: no memory.
 */
bool cv_tls_session_settle(struct cv_tls_session *session);

/* The library's own handle (gnutls_session_t), for the QUIC library; NULL once it is settled. */
void *cv_tls_session_native(const struct cv_tls_session *session);
/* The peer's identity; NULL before the handshake accepted it. */
const struct cv_identity *cv_tls_session_peer(const struct cv_tls_session *session);
/* The peer's own certificate, DER, borrowed from the session until it is settled or freed; empty before it was
 * accepted. */
struct cv_slice cv_tls_session_peer_der(const struct cv_tls_session *session);
/* When the first certificate ends of those by which we and the peer were accepted, intermediates
 * and CAs included, wall clock; 0 before the peer was accepted. */
uint64_t cv_tls_session_valid_until_ms(const struct cv_tls_session *session);
/* The protocol agreed on; only after the handshake. */
enum cv_alpn cv_tls_session_alpn(const struct cv_tls_session *session);
/* Why we refused the peer, 0 when we did not: COVEY_ERR_CERTIFICATE, _EXPIRED, WRONG_CLUSTER,
 * WRONG_ROLE, WRONG_IDENTITY, DENIED or NO_PROTOCOL. The peer gets a TLS alert that is its own for each
 * kind: ngtcp2_conn_get_tls_alert() has it once reading a packet failed with NGTCP2_ERR_CRYPTO. */
int cv_tls_session_refusal(const struct cv_tls_session *session);
/* A constant clause for a human that says why, "the certificate is self-signed"; NULL when we did
 * not refuse. */
const char *cv_tls_session_refusal_text(const struct cv_tls_session *session);

#endif
