#include "quic/qcompat.h"
#include "quic/tls.h"
#include "quic/tls_context.h"
#include "quic/tls_verify.h"

#include <assert.h>
#include <covey/error.h>
#include <string.h>

/*
 * One handshake. GnuTLS keeps a single pointer for us in its session, and the QUIC library wants to
 * find an ngtcp2_crypto_conn_ref there. So a session begins with one, which passes the question on
 * to the caller's; from the same pointer our own callbacks find the session.
 *
 *     gnutls_session_t --ptr--> { ref, ... } = cv_tls_session --outer--> the caller's conn_ref
 *
 * How a refusal travels: the verify callback fails the handshake, the QUIC glue then has GnuTLS
 * send the alert that fits its error (always bad_certificate), and GnuTLS hands that to our alert
 * callback, which tells the QUIC library the alert of the verdict instead. It becomes the
 * CONNECTION_CLOSE of type CRYPTO_ERROR, 0x100 + alert.
 *
 * GnuTLS keeps some 10 KiB for a session, which have no use once the handshake is over: keys are updated without
 * them, and there are no tickets. settle() keeps what the handshake found out and lets them go.
 */
struct cv_tls_session {
    ngtcp2_crypto_conn_ref ref; /* first: see above */
    ngtcp2_crypto_conn_ref *outer;
    struct cv_tls *tls;
    struct cv_tls_material *material; /* of the context when the session began */
    gnutls_session_t native;
    bool is_server;
    bool rpc_only;
    bool has_expected;
    bool accepted;
    enum cv_alpn alpn;
    enum cv_tls_verdict verdict;
    covey_node_id expected;
    struct cv_tls_answer answer;
    uint64_t own_valid_until_ms; /* settled */
    uint8_t *der;                /* settled: the peer's certificate */
    size_t der_size;
};

static const char *const alpn_names[] = {
    [CV_ALPN_ID_CLUSTER] = CV_ALPN_CLUSTER,
    [CV_ALPN_ID_RPC] = CV_ALPN_RPC,
};
#define ALPN_COUNT (sizeof alpn_names / sizeof alpn_names[0])

static struct cv_tls_session *session_of(gnutls_session_t native)
{
    return gnutls_session_get_ptr(native);
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    struct cv_tls_session *session = (struct cv_tls_session *)(void *)ref;
    return session->outer->get_conn(session->outer);
}

static void refuse(struct cv_tls_session *session, enum cv_tls_verdict verdict)
{
    if (session->verdict != CV_TLS_ACCEPTED)
        return;
    session->verdict = verdict;
    cv_tls_verdict_count(verdict, &session->tls->refusals);
}

static void get_chain(gnutls_session_t native, struct cv_tls_chain *chain)
{
    unsigned count = 0;
    const gnutls_datum_t *ders = gnutls_certificate_get_peers(native, &count);
    *chain = (struct cv_tls_chain){0};
    for (unsigned i = 0; ders != NULL && i < count && i <= CV_TLS_CHAIN_MAX; i++)
        chain->certs[chain->count++] = cv_slice_of(ders[i].data, ders[i].size);
}

/* GnuTLS itself does not insist that a peer answers our ALPN at all. */
static bool read_alpn(struct cv_tls_session *session)
{
    gnutls_datum_t chosen;
    if (gnutls_alpn_get_selected_protocol(session->native, &chosen) < 0)
        return false;
    struct cv_slice name = cv_slice_of(chosen.data, chosen.size);
    for (size_t i = 0; i < ALPN_COUNT; i++) {
        if (!cv_slice_equal(name, cv_slice_text(alpn_names[i])))
            continue;
        if (!session->is_server && session->alpn != (enum cv_alpn)i)
            return false;
        session->alpn = (enum cv_alpn)i;
        return true;
    }
    return false;
}

static enum cv_tls_verdict judge(struct cv_tls_session *session)
{
    const struct cv_tls_material *material = session->material;
    struct cv_tls_chain chain;
    if (!read_alpn(session))
        return CV_TLS_NO_PROTOCOL;
    get_chain(session->native, &chain);
    struct cv_tls_question question = {
        .trust = &material->trust,
        .cluster = material->identity.cluster,
        .wall_ms = session->tls->wall_ms,
        .is_server = session->is_server,
        .alpn = session->alpn,
        .expected = session->has_expected ? &session->expected : NULL,
        .denied = &session->tls->denied,
    };
    return cv_tls_judge(&question, &chain, &session->answer);
}

/* After the peer has shown that it holds the key of its certificate. */
static int on_verify(gnutls_session_t native)
{
    struct cv_tls_session *session = session_of(native);
    enum cv_tls_verdict verdict = judge(session);
    if (verdict != CV_TLS_ACCEPTED) {
        refuse(session, verdict);
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    session->accepted = true;
    return 0;
}

/* Before GnuTLS checks the signature by the peer's key, whose cost the peer chooses. */
static int on_certificate_verify(gnutls_session_t native, unsigned type, unsigned when,
                                 unsigned incoming, const gnutls_datum_t *message)
{
    (void)type;
    (void)when;
    (void)message;
    struct cv_tls_chain chain;
    if (!incoming)
        return 0;
    get_chain(native, &chain);
    enum cv_tls_verdict verdict = cv_tls_check_chain(&chain);
    if (verdict == CV_TLS_ACCEPTED)
        return 0;
    refuse(session_of(native), verdict);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

/* GnuTLS has an alert for the peer. */
static int on_alert(gnutls_session_t native, gnutls_record_encryption_level_t level,
                    gnutls_alert_level_t severity, gnutls_alert_description_t alert)
{
    (void)level;
    (void)severity;
    struct cv_tls_session *session = session_of(native);
    if (alert == GNUTLS_A_CERTIFICATE_REQUIRED)
        refuse(session, CV_TLS_NO_CERTIFICATE);
    if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL)
        refuse(session, CV_TLS_NO_PROTOCOL);
    uint8_t of_verdict = cv_tls_verdict_alert(session->verdict);
    ngtcp2_conn_set_tls_alert(get_conn(&session->ref),
                              of_verdict != 0 ? of_verdict : (uint8_t)alert);
    return 0;
}

static bool speaks(const struct cv_tls_session *session, enum cv_alpn alpn)
{
    if (session->is_server)
        return alpn == CV_ALPN_ID_RPC || !session->rpc_only;
    return session->alpn == alpn;
}

static int set_alpn(const struct cv_tls_session *session)
{
    gnutls_datum_t names[ALPN_COUNT];
    unsigned count = 0;
    for (size_t i = 0; i < ALPN_COUNT; i++) {
        if (speaks(session, (enum cv_alpn)i))
            names[count++] = cv_tls_datum(cv_slice_text(alpn_names[i]));
    }
    return gnutls_alpn_set_protocols(session->native, names, count, GNUTLS_ALPN_MANDATORY);
}

/* No tickets and so no resumption: every handshake shows certificates. */
static unsigned init_flags(bool is_server)
{
    unsigned common = GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;
    /* A client shows its certificate whatever CAs the server names. */
    return common | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT);
}

static int configure(struct cv_tls_session *session)
{
    gnutls_session_t native = session->native;
    gnutls_session_set_ptr(native, session);
    int result = session->is_server ? ngtcp2_crypto_gnutls_configure_server_session(native)
                                    : ngtcp2_crypto_gnutls_configure_client_session(native);
    if (result != 0)
        return result;
    if ((result = gnutls_priority_set(native, session->tls->priority)) < 0 ||
        (result = gnutls_credentials_set(native, GNUTLS_CRD_CERTIFICATE,
                                         session->material->credentials)) < 0 ||
        (result = set_alpn(session)) < 0)
        return result;
    gnutls_alert_set_read_function(native, on_alert);
    gnutls_session_set_verify_function(native, on_verify);
    gnutls_handshake_set_hook_function(native, GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY, GNUTLS_HOOK_PRE,
                                       on_certificate_verify);
    if (session->is_server)
        gnutls_certificate_server_set_request(native, GNUTLS_CERT_REQUIRE);
    return 0;
}

static void fill(struct cv_tls_session *session, const struct cv_tls_session_config *config)
{
    *session = (struct cv_tls_session){
        .ref = {.get_conn = get_conn, .user_data = session},
        .outer = config->conn_ref,
        .tls = config->tls,
        .material = cv_tls_material_hold(config->tls->material),
        .is_server = config->is_server,
        .alpn = config->alpn,
        .rpc_only = config->rpc_only,
        .has_expected = config->expected != NULL,
    };
    if (config->expected != NULL)
        session->expected = *config->expected;
}

int cv_tls_session_new(const struct cv_tls_session_config *config, struct cv_tls_session **out)
{
    assert(config->conn_ref != NULL);
    struct cv_tls_session *session = cv_allocate(config->tls->alloc, sizeof *session);
    if (session == NULL)
        return COVEY_ERR_NO_MEMORY;
    fill(session, config);
    session->tls->session_count++;
    if (gnutls_init(&session->native, init_flags(config->is_server)) < 0 ||
        configure(session) != 0) {
        cv_tls_session_free(session);
        return COVEY_ERR_NO_MEMORY;
    }
    *out = session;
    return 0;
}

/* Of all that only a handshake needs. */
static void let_go(struct cv_tls_session *session)
{
    if (session->native != NULL)
        gnutls_deinit(session->native);
    session->native = NULL;
    cv_tls_material_release(session->material);
    session->material = NULL;
}

bool cv_tls_session_settle(struct cv_tls_session *session)
{
    assert(session->accepted && session->native != NULL);
    const struct cv_slice der = cv_tls_session_peer_der(session);
    assert(der.data != NULL); /* none was accepted that showed none */
    uint8_t *copy = cv_allocate(session->tls->alloc, der.size);
    if (copy == NULL)
        return false;
    memcpy(copy, der.data, der.size);
    session->der = copy;
    session->der_size = der.size;
    session->own_valid_until_ms = session->material->valid_until_ms;
    let_go(session);
    return true;
}

void cv_tls_session_free(struct cv_tls_session *session)
{
    if (session == NULL)
        return;
    struct cv_tls *tls = session->tls;
    let_go(session);
    cv_release(tls->alloc, session->der);
    cv_release(tls->alloc, session);
    assert(tls->session_count > 0);
    tls->session_count--;
}

void *cv_tls_session_native(const struct cv_tls_session *session)
{
    return session->native;
}

const struct cv_identity *cv_tls_session_peer(const struct cv_tls_session *session)
{
    return session->accepted ? &session->answer.peer : NULL;
}

struct cv_slice cv_tls_session_peer_der(const struct cv_tls_session *session)
{
    struct cv_tls_chain chain = {.count = 0};
    if (session->der != NULL)
        return cv_slice_of(session->der, session->der_size);
    if (session->accepted)
        get_chain(session->native, &chain);
    return chain.certs[0];
}

uint64_t cv_tls_session_valid_until_ms(const struct cv_tls_session *session)
{
    uint64_t ours =
        session->native != NULL ? session->material->valid_until_ms : session->own_valid_until_ms;
    uint64_t theirs = session->accepted ? session->answer.valid_until_ms : 0;
    return ours < theirs ? ours : theirs;
}

enum cv_alpn cv_tls_session_alpn(const struct cv_tls_session *session)
{
    return session->alpn;
}

int cv_tls_session_refusal(const struct cv_tls_session *session)
{
    return cv_tls_verdict_error(session->verdict);
}

const char *cv_tls_session_refusal_text(const struct cv_tls_session *session)
{
    return session->verdict == CV_TLS_ACCEPTED ? NULL : cv_tls_verdict_text(session->verdict);
}
