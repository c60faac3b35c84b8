#include "bound.h"
#include "process.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

#define ALPN "covey-bound"
#define PRIORITY                                                                                   \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"                                      \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE"

static void check(const char *what, int result)
{
    if (result < 0)
        die("rpc-bound: %s: %s", what, gnutls_strerror(result));
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)text,
                            .size = (unsigned)strlen(text)};
}

void bound_tls_init(struct bound *b, const struct covey_pem *ca, const struct covey_pem *own)
{
    gnutls_datum_t trusted = datum(ca->cert), cert = datum(own->cert), key = datum(own->key);
    check("credentials", gnutls_certificate_allocate_credentials(&b->credentials));
    check("CA",
          gnutls_certificate_set_x509_trust_mem(b->credentials, &trusted, GNUTLS_X509_FMT_PEM));
    check("certificate",
          gnutls_certificate_set_x509_key_mem(b->credentials, &cert, &key, GNUTLS_X509_FMT_PEM));
    check("priority", gnutls_priority_init(&b->priority, PRIORITY, NULL));
}

void bound_tls_fini(struct bound *b)
{
    gnutls_certificate_free_credentials(b->credentials);
    gnutls_priority_deinit(b->priority);
}

gnutls_session_t bound_tls_session(struct bound_conn *c)
{
    const struct bound *b = c->bound;
    gnutls_session_t tls;
    gnutls_datum_t alpn = datum(ALPN);
    check("session", gnutls_init(&tls, b->is_server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET
                                                    : GNUTLS_CLIENT));
    check("priority", gnutls_priority_set(tls, b->priority));
    check("QUIC", b->is_server ? ngtcp2_crypto_gnutls_configure_server_session(tls)
                               : ngtcp2_crypto_gnutls_configure_client_session(tls));
    gnutls_session_set_ptr(tls, &c->ref);
    check("credentials", gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, b->credentials));
    check("ALPN", gnutls_alpn_set_protocols(tls, &alpn, 1, GNUTLS_ALPN_MANDATORY));
    if (b->is_server)
        gnutls_certificate_server_set_request(tls, GNUTLS_CERT_REQUIRE);
    /* The chain up to the run's own CA; the name does not matter. */
    gnutls_session_set_verify_cert(tls, NULL, 0);
    return tls;
}
