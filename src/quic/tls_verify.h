#ifndef CV_QUIC_TLS_VERIFY_H
#define CV_QUIC_TLS_VERIFY_H

#include "quic/deny_list.h"
#include "quic/identity.h"
#include "quic/tls.h"
#include "quic/tls_trust.h"

/*
 * Whether a peer is whom we want to talk to: a pure question about its certificates. What they say
 * counts only once their signatures are good, so the first thing that is wrong is the answer, in
 * this order: too long, unreadable, too costly, untrusted, expired, no usable name or usage,
 * cluster, role, node, denied.
 */
enum cv_tls_verdict {
    CV_TLS_ACCEPTED,
    CV_TLS_NO_CERTIFICATE,
    CV_TLS_CHAIN_TOO_LONG, /* too many certificates, or bytes of them */
    CV_TLS_MALFORMED,      /* unreadable */
    CV_TLS_COSTLY_KEY,     /* a key of a kind or size that we do not verify with */
    CV_TLS_UNTRUSTED,
    CV_TLS_SELF_SIGNED, /* untrusted, and its own issuer */
    CV_TLS_EXPIRED,
    CV_TLS_NOT_YET_VALID,
    CV_TLS_NO_NAME,     /* no usable covey:// URI */
    CV_TLS_WRONG_USAGE, /* a CA's, or key usages that do not fit the role */
    CV_TLS_WRONG_CLUSTER,
    CV_TLS_WRONG_ROLE,
    CV_TLS_WRONG_IDENTITY,
    CV_TLS_DENIED,
    CV_TLS_NO_PROTOCOL, /* no ALPN in common: found by the session, not by cv_tls_judge() */
};

/* 0 for CV_TLS_ACCEPTED. */
int cv_tls_verdict_error(enum cv_tls_verdict verdict);
/* The TLS alert that tells the peer: the one that fits best, so that some verdicts share one; 0 for
 * CV_TLS_ACCEPTED. */
uint8_t cv_tls_verdict_alert(enum cv_tls_verdict verdict);
/* A constant clause for a human, its own for each verdict: "the certificate is self-signed". */
const char *cv_tls_verdict_text(enum cv_tls_verdict verdict);
/* Counts a refusal, each verdict by a counter of its own. */
void cv_tls_verdict_count(enum cv_tls_verdict verdict, struct cv_tls_refusals *refusals);

/* A peer's certificates as it sent them, DER, its own first. */
struct cv_tls_chain {
    struct cv_slice certs[CV_TLS_CHAIN_MAX + 1]; /* one more than allowed, to see that it is more */
    size_t count;
};

/*
 * The cheap half, before any signature is checked: at most CV_TLS_CHAIN_MAX readable certificates
 * of CV_CERTIFICATE_SIZE_MAX bytes together, and keys that are quick to verify with. ACCEPTED,
 * NO_CERTIFICATE, CHAIN_TOO_LONG, MALFORMED or COSTLY_KEY.
 */
enum cv_tls_verdict cv_tls_check_chain(const struct cv_tls_chain *chain);

struct cv_tls_question {
    const struct cv_tls_trust *trust;
    const char *cluster;
    uint64_t wall_ms;
    bool is_server;                    /* we are: the peer is a client */
    enum cv_alpn alpn;                 /* what was agreed on */
    const covey_node_id *expected;     /* NULL: anyone */
    const struct cv_deny_list *denied; /* NULL: nobody */
};

struct cv_tls_answer {
    struct cv_identity peer;
    uint64_t valid_until_ms; /* the end of the first of its chain, CA included, that ends */
};

/* Judges the whole; sets *answer only when the peer is accepted. */
enum cv_tls_verdict cv_tls_judge(const struct cv_tls_question *question,
                                 const struct cv_tls_chain *chain, struct cv_tls_answer *answer);

#endif
