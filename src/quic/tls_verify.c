#include "quic/tls_verify.h"

#include "base/node_id.h"

#include <assert.h>
#include <covey/error.h>
#include <stddef.h>

/* A signature check by an RSA key takes time with the square of the modulus and in proportion to
 * the exponent: both are the peer's choice. */
#define RSA_BITS_MAX          8192
#define RSA_EXPONENT_SIZE_MAX 9 /* 64 bits, and a leading zero */

#define COUNTER(name) offsetof(struct cv_tls_refusals, name)

static const struct {
    int error;
    uint8_t alert;
    size_t counter;
    const char *text;
} verdicts[] = {
    [CV_TLS_ACCEPTED] = {0, 0, 0, "accepted"},
    [CV_TLS_NO_CERTIFICATE] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_CERTIFICATE_REQUIRED,
                               COUNTER(no_certificate), "no certificate was shown"},
    [CV_TLS_CHAIN_TOO_LONG] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE,
                               COUNTER(chain_too_long), "the chain of certificates is too long"},
    [CV_TLS_MALFORMED] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE, COUNTER(malformed),
                          "the certificate cannot be read"},
    [CV_TLS_COSTLY_KEY] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE, COUNTER(costly_key),
                           "the certificate's key is of a kind or size that is not supported"},
    [CV_TLS_UNTRUSTED] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_UNKNOWN_CA, COUNTER(untrusted),
                          "the certificate is not signed by the CA"},
    [CV_TLS_SELF_SIGNED] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_UNKNOWN_CA, COUNTER(self_signed),
                            "the certificate is self-signed"},
    [CV_TLS_EXPIRED] = {COVEY_ERR_CERTIFICATE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED,
                        COUNTER(expired), "the certificate is expired"},
    [CV_TLS_NOT_YET_VALID] = {COVEY_ERR_CERTIFICATE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED,
                              COUNTER(not_yet_valid), "the certificate is not yet valid"},
    [CV_TLS_NO_NAME] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE, COUNTER(no_name),
                        "the certificate has no usable covey:// URI"},
    [CV_TLS_WRONG_USAGE] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE, COUNTER(wrong_usage),
                            "the certificate's key usages do not fit its role"},
    [CV_TLS_WRONG_CLUSTER] = {COVEY_ERR_WRONG_CLUSTER, GNUTLS_A_ACCESS_DENIED,
                              COUNTER(wrong_cluster), "the certificate belongs to another cluster"},
    [CV_TLS_WRONG_ROLE] = {COVEY_ERR_WRONG_ROLE, GNUTLS_A_UNSUPPORTED_CERTIFICATE,
                           COUNTER(wrong_role), "the certificate's role does not allow this"},
    [CV_TLS_WRONG_IDENTITY] = {COVEY_ERR_WRONG_IDENTITY, GNUTLS_A_CERTIFICATE_UNKNOWN,
                               COUNTER(wrong_identity), "it is not the node that was expected"},
    [CV_TLS_DENIED] = {COVEY_ERR_DENIED, GNUTLS_A_CERTIFICATE_REVOKED, COUNTER(denied),
                       "the node is denied"},
    [CV_TLS_NO_PROTOCOL] = {COVEY_ERR_NO_PROTOCOL, GNUTLS_A_NO_APPLICATION_PROTOCOL,
                            COUNTER(no_protocol), "there is no protocol in common"},
};

int cv_tls_verdict_error(enum cv_tls_verdict verdict)
{
    return verdicts[verdict].error;
}

uint8_t cv_tls_verdict_alert(enum cv_tls_verdict verdict)
{
    return verdicts[verdict].alert;
}

const char *cv_tls_verdict_text(enum cv_tls_verdict verdict)
{
    return verdicts[verdict].text;
}

void cv_tls_verdict_count(enum cv_tls_verdict verdict, struct cv_tls_refusals *refusals)
{
    assert(verdict != CV_TLS_ACCEPTED);
    ++*(uint64_t *)(void *)((char *)refusals + verdicts[verdict].counter);
}

struct parsed_chain {
    gnutls_x509_crt_t certs[CV_TLS_CHAIN_MAX];
    unsigned count;
};

static void parsed_fini(struct parsed_chain *parsed)
{
    for (unsigned i = 0; i < parsed->count; i++)
        gnutls_x509_crt_deinit(parsed->certs[i]);
}

static bool is_small_enough(const struct cv_tls_chain *chain)
{
    size_t size = 0;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->certs[i].size > CV_CERTIFICATE_SIZE_MAX - size)
            return false;
        size += chain->certs[i].size;
    }
    return true;
}

static bool parse(struct parsed_chain *parsed, const struct cv_tls_chain *chain)
{
    *parsed = (struct parsed_chain){0};
    for (size_t i = 0; i < chain->count; i++) {
        gnutls_x509_crt_t cert;
        gnutls_datum_t der = cv_tls_datum(chain->certs[i]);
        if (gnutls_x509_crt_init(&cert) < 0)
            return false;
        parsed->certs[parsed->count++] = cert;
        if (gnutls_x509_crt_import(cert, &der, GNUTLS_X509_FMT_DER) < 0)
            return false;
    }
    return true;
}

static bool is_rsa_quick(gnutls_x509_crt_t cert)
{
    gnutls_datum_t modulus = {0};
    gnutls_datum_t exponent = {0};
    if (gnutls_x509_crt_get_pk_rsa_raw(cert, &modulus, &exponent) < 0)
        return false;
    bool quick = exponent.size <= RSA_EXPONENT_SIZE_MAX;
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
    return quick;
}

static bool is_key_quick(gnutls_x509_crt_t cert)
{
    unsigned bits = 0;
    switch (gnutls_x509_crt_get_pk_algorithm(cert, &bits)) {
    case GNUTLS_PK_EDDSA_ED25519:
    case GNUTLS_PK_ECDSA:
        return true;
    case GNUTLS_PK_RSA:
        return bits <= RSA_BITS_MAX && is_rsa_quick(cert);
    default:
        return false;
    }
}

static enum cv_tls_verdict parse_checked(struct parsed_chain *parsed,
                                         const struct cv_tls_chain *chain)
{
    *parsed = (struct parsed_chain){0};
    if (chain->count == 0)
        return CV_TLS_NO_CERTIFICATE;
    if (chain->count > CV_TLS_CHAIN_MAX || !is_small_enough(chain))
        return CV_TLS_CHAIN_TOO_LONG;
    if (!parse(parsed, chain))
        return CV_TLS_MALFORMED;
    for (unsigned i = 0; i < parsed->count; i++) {
        if (!is_key_quick(parsed->certs[i]))
            return CV_TLS_COSTLY_KEY;
    }
    return CV_TLS_ACCEPTED;
}

enum cv_tls_verdict cv_tls_check_chain(const struct cv_tls_chain *chain)
{
    struct parsed_chain parsed;
    enum cv_tls_verdict verdict = parse_checked(&parsed, chain);
    parsed_fini(&parsed);
    return verdict;
}

static enum cv_tls_verdict judge_signatures(const struct cv_tls_question *question,
                                            const struct parsed_chain *parsed,
                                            uint64_t *valid_until_ms)
{
    struct cv_tls_period valid;
    gnutls_x509_crt_t own = parsed->certs[0];
    int error = cv_tls_trust_check(question->trust, parsed->certs, parsed->count, question->wall_ms,
                                   &valid);
    if (error == COVEY_ERR_CERTIFICATE_EXPIRED)
        return question->wall_ms < valid.begin_ms ? CV_TLS_NOT_YET_VALID : CV_TLS_EXPIRED;
    if (error != 0)
        return gnutls_x509_crt_check_issuer(own, own) ? CV_TLS_SELF_SIGNED : CV_TLS_UNTRUSTED;
    *valid_until_ms = valid.end_ms;
    return CV_TLS_ACCEPTED;
}

static enum cv_tls_verdict judge_trust(const struct cv_tls_question *question,
                                       const struct cv_tls_chain *chain, uint64_t *valid_until_ms)
{
    struct parsed_chain parsed;
    enum cv_tls_verdict verdict = parse_checked(&parsed, chain);
    if (verdict == CV_TLS_ACCEPTED)
        verdict = judge_signatures(question, &parsed, valid_until_ms);
    parsed_fini(&parsed);
    return verdict;
}

static enum cv_tls_verdict read_identity(struct cv_identity *peer, struct cv_slice der)
{
    struct cv_identity_problem problem;
    if (cv_identity_explain_der(peer, der, &problem) == 0)
        return CV_TLS_ACCEPTED;
    switch (problem.fault) {
    case CV_IDENTITY_NO_NAME:
        return CV_TLS_NO_NAME;
    case CV_IDENTITY_WRONG_USAGE:
        return CV_TLS_WRONG_USAGE;
    case CV_IDENTITY_UNREADABLE:
        break;
    }
    return CV_TLS_MALFORMED;
}

/* Gossip is between members; of RPC only the server must be one. */
static bool is_role_allowed(const struct cv_tls_question *question, enum cv_role role)
{
    bool any_role = question->alpn == CV_ALPN_ID_RPC && question->is_server;
    return any_role || role == CV_ROLE_MEMBER;
}

static enum cv_tls_verdict judge_identity(const struct cv_tls_question *question,
                                          const struct cv_identity *peer)
{
    if (strcmp(peer->cluster, question->cluster) != 0)
        return CV_TLS_WRONG_CLUSTER;
    if (!is_role_allowed(question, peer->role))
        return CV_TLS_WRONG_ROLE;
    if (question->expected != NULL && !cv_node_id_equal(&peer->id, question->expected))
        return CV_TLS_WRONG_IDENTITY;
    if (question->denied != NULL && cv_deny_list_has(question->denied, &peer->id))
        return CV_TLS_DENIED;
    return CV_TLS_ACCEPTED;
}

enum cv_tls_verdict cv_tls_judge(const struct cv_tls_question *question,
                                 const struct cv_tls_chain *chain, struct cv_tls_answer *answer)
{
    struct cv_tls_answer found;
    enum cv_tls_verdict verdict = judge_trust(question, chain, &found.valid_until_ms);
    if (verdict == CV_TLS_ACCEPTED)
        verdict = read_identity(&found.peer, chain->certs[0]);
    if (verdict == CV_TLS_ACCEPTED)
        verdict = judge_identity(question, &found.peer);
    if (verdict == CV_TLS_ACCEPTED)
        *answer = found;
    return verdict;
}
