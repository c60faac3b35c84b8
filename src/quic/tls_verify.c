#include "quic/tls_verify.h"

#include <assert.h>
#include <covey/error.h>

/* A signature check by an RSA key takes time with the square of the modulus and in proportion to
 * the exponent: both are the peer's choice. */
#define RSA_BITS_MAX          8192
#define RSA_EXPONENT_SIZE_MAX 9 /* 64 bits, and a leading zero */

static const struct {
    int error;
    uint8_t alert;
} verdicts[] = {
    [CV_TLS_ACCEPTED] = {0, 0},
    [CV_TLS_NO_CERTIFICATE] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_CERTIFICATE_REQUIRED},
    [CV_TLS_MALFORMED] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_BAD_CERTIFICATE},
    [CV_TLS_UNTRUSTED] = {COVEY_ERR_CERTIFICATE, GNUTLS_A_UNKNOWN_CA},
    [CV_TLS_EXPIRED] = {COVEY_ERR_CERTIFICATE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED},
    [CV_TLS_WRONG_CLUSTER] = {COVEY_ERR_WRONG_CLUSTER, GNUTLS_A_ACCESS_DENIED},
    [CV_TLS_WRONG_ROLE] = {COVEY_ERR_WRONG_ROLE, GNUTLS_A_UNSUPPORTED_CERTIFICATE},
    [CV_TLS_WRONG_IDENTITY] = {COVEY_ERR_WRONG_IDENTITY, GNUTLS_A_CERTIFICATE_UNKNOWN},
    [CV_TLS_NO_PROTOCOL] = {COVEY_ERR_NO_PROTOCOL, GNUTLS_A_NO_APPLICATION_PROTOCOL},
};

int cv_tls_verdict_error(enum cv_tls_verdict verdict)
{
    return verdicts[verdict].error;
}

uint8_t cv_tls_verdict_alert(enum cv_tls_verdict verdict)
{
    return verdicts[verdict].alert;
}

static uint64_t *counter(enum cv_tls_verdict verdict, struct cv_tls_refusals *refusals)
{
    switch (verdict) {
    case CV_TLS_NO_CERTIFICATE:
        return &refusals->no_certificate;
    case CV_TLS_MALFORMED:
        return &refusals->malformed;
    case CV_TLS_UNTRUSTED:
        return &refusals->untrusted;
    case CV_TLS_EXPIRED:
        return &refusals->expired;
    case CV_TLS_WRONG_CLUSTER:
        return &refusals->wrong_cluster;
    case CV_TLS_WRONG_ROLE:
        return &refusals->wrong_role;
    case CV_TLS_WRONG_IDENTITY:
        return &refusals->wrong_identity;
    case CV_TLS_NO_PROTOCOL:
        return &refusals->no_protocol;
    case CV_TLS_ACCEPTED:
        break;
    }
    return NULL;
}

void cv_tls_verdict_count(enum cv_tls_verdict verdict, struct cv_tls_refusals *refusals)
{
    uint64_t *count = counter(verdict, refusals);
    assert(count != NULL);
    ++*count;
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
    if (chain->count > CV_TLS_CHAIN_MAX || !is_small_enough(chain) || !parse(parsed, chain))
        return CV_TLS_MALFORMED;
    for (unsigned i = 0; i < parsed->count; i++) {
        if (!is_key_quick(parsed->certs[i]))
            return CV_TLS_MALFORMED;
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

static enum cv_tls_verdict judge_trust(const struct cv_tls_question *question,
                                       const struct cv_tls_chain *chain)
{
    struct parsed_chain parsed;
    enum cv_tls_verdict verdict = parse_checked(&parsed, chain);
    if (verdict == CV_TLS_ACCEPTED) {
        int error =
            cv_tls_trust_check(question->trust, parsed.certs, parsed.count, question->wall_ms);
        if (error == COVEY_ERR_CERTIFICATE_EXPIRED)
            verdict = CV_TLS_EXPIRED;
        else if (error != 0)
            verdict = CV_TLS_UNTRUSTED;
    }
    parsed_fini(&parsed);
    return verdict;
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
    if (question->expected != NULL && covey_node_id_compare(&peer->id, question->expected) != 0)
        return CV_TLS_WRONG_IDENTITY;
    return CV_TLS_ACCEPTED;
}

enum cv_tls_verdict cv_tls_judge(const struct cv_tls_question *question,
                                 const struct cv_tls_chain *chain, struct cv_identity *peer)
{
    enum cv_tls_verdict verdict = judge_trust(question, chain);
    struct cv_identity found;
    if (verdict == CV_TLS_ACCEPTED && cv_identity_from_der(&found, chain->certs[0]) != 0)
        verdict = CV_TLS_MALFORMED;
    if (verdict == CV_TLS_ACCEPTED)
        verdict = judge_identity(question, &found);
    if (verdict == CV_TLS_ACCEPTED)
        *peer = found;
    return verdict;
}
