#ifndef UNIT_QUIC_TLS_FIXTURE_H
#define UNIT_QUIC_TLS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/tls.h"
#include "quic/tls_trust.h"
#include "support/test_alloc.h"
#include "support/test_cert.h"
#include "support/test_pki.h"
#include "support/test_quic_pair.h"

#include <covey/error.h>
#include <gnutls/gnutls.h>

/* Contexts of one CA, clients of another program, and what a handshake between them came to. */

static inline uint64_t total(const struct cv_tls_refusals *r)
{
    const uint64_t *counters = (const uint64_t *)r;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof *r / sizeof *counters; i++)
        sum += counters[i];
    return sum;
}

static inline void assert_accepted(const struct test_side *side, const struct cv_tls *peer,
                                   enum cv_alpn alpn)
{
    const struct cv_identity *found = cv_tls_session_peer(side->session);
    assert_false(side->broken || side->closed);
    assert_true(ngtcp2_conn_get_handshake_completed(side->quic));
    assert_int_equal(cv_tls_session_refusal(side->session), 0);
    assert_int_equal(cv_tls_session_alpn(side->session), alpn);
    assert_non_null(found);
    assert_memory_equal(&found->id, &cv_tls_identity(peer)->id, sizeof found->id);
    assert_string_equal(found->name, cv_tls_identity(peer)->name);
    assert_int_equal(found->role, cv_tls_identity(peer)->role);
}

/* `by` refused, and the other side was told with this alert. */
static inline void assert_refused(const struct test_side *by, const struct test_side *other,
                                  int error, uint64_t alert)
{
    assert_true(by->broken);
    assert_int_equal(cv_tls_session_refusal(by->session), error);
    assert_null(cv_tls_session_peer(by->session));
    assert_true(other->closed);
    assert_int_equal(other->close_code, TEST_CRYPTO_ERROR | alert);
}

/* One CA and three contexts that it signed. */
struct fixture {
    struct test_pki pki;
    struct cv_tls *member;
    struct cv_tls *other;
    struct cv_tls *client;
};

static inline int setup(void **state)
{
    static struct fixture f;
    test_pki_init(&f.pki, "flock");
    test_pki_tls(&f.pki, "one", CV_ROLE_MEMBER, &f.member);
    test_pki_tls(&f.pki, "two", CV_ROLE_MEMBER, &f.other);
    test_pki_tls(&f.pki, "user", CV_ROLE_CLIENT, &f.client);
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    cv_tls_free(f->member);
    cv_tls_free(f->other);
    cv_tls_free(f->client);
    return 0;
}

/* A client of another program, which offers `alpn`; NULL: nothing. */
static inline void start_foreign_with(struct test_side *side,
                                      gnutls_certificate_credentials_t credentials,
                                      const char *alpn, unsigned flags)
{
    *side = (struct test_side){.ref = {.get_conn = test_side_conn, .user_data = side}};
    test_side_start_quic(side, false);
    assert_int_equal(gnutls_init(&side->foreign, GNUTLS_CLIENT | flags), 0);
    assert_int_equal(gnutls_priority_set_direct(side->foreign,
                                                "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
                                                "%DISABLE_TLS13_COMPAT_MODE",
                                                NULL),
                     0);
    gnutls_session_set_ptr(side->foreign, &side->ref);
    assert_int_equal(ngtcp2_crypto_gnutls_configure_client_session(side->foreign), 0);
    assert_int_equal(gnutls_credentials_set(side->foreign, GNUTLS_CRD_CERTIFICATE, credentials), 0);
    if (alpn != NULL) {
        gnutls_datum_t protocol = test_datum(alpn);
        assert_int_equal(gnutls_alpn_set_protocols(side->foreign, &protocol, 1, 0), 0);
    }
    ngtcp2_conn_set_tls_native_handle(side->quic, side->foreign);
}

static inline void start_foreign(struct test_side *side,
                                 gnutls_certificate_credentials_t credentials, const char *alpn)
{
    start_foreign_with(side, credentials, alpn, GNUTLS_NO_TICKETS);
}

/* The certificates of one with the key of another, if so wished. */
static inline gnutls_certificate_credentials_t load_credentials(const char *cert_pem,
                                                                const char *key_pem)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert = test_datum(cert_pem);
    gnutls_datum_t key = test_datum(key_pem);
    assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
    gnutls_certificate_set_flags(credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    assert_int_equal(
        gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM), 0);
    return credentials;
}

#endif
