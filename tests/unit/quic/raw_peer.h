#ifndef UNIT_QUIC_RAW_PEER_H
#define UNIT_QUIC_RAW_PEER_H

#include "fixture.h"
#include "quic/path.h"
#include "quic/qcompat.h"

#include <gnutls/gnutls.h>

/*
 * A peer with a good certificate and bad manners: the QUIC library driven by hand, whose packets
 * are rewritten before they are encrypted. One at a time.
 */
struct raw {
    struct net *net;
    struct test_wire_port *port;
    bool is_server;
    const char *alpn;
    ngtcp2_conn *native;
    gnutls_session_t tls;
    gnutls_certificate_credentials_t credentials;
    ngtcp2_crypto_conn_ref ref;
    bool confirmed;
    bool ended;
    bool deaf;             /* what comes is thrown away */
    cv_ngtcp2_close close; /* what the other side said, once ended */
    /* The frames that replace those of the next packets, padded to the packet's size. */
    uint8_t frames[1200];
    size_t frames_size;
    struct test_wire_packet inbox[64];
    size_t inbox_count;
};

static struct raw *raw_self;

static inline ngtcp2_conn *raw_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct raw *)ref->user_data)->native;
}

static inline int raw_encrypt(uint8_t *out, const ngtcp2_crypto_aead *aead,
                              const ngtcp2_crypto_aead_ctx *key, const uint8_t *plain, size_t size,
                              const uint8_t *nonce, size_t nonce_size, const uint8_t *header,
                              size_t header_size)
{
    uint8_t rewritten[1500] = {0};
    if (raw_self->frames_size == 0 || (header[0] & 0x80) != 0)
        return ngtcp2_crypto_encrypt_cb(out, aead, key, plain, size, nonce, nonce_size, header,
                                        header_size);
    assert_true(raw_self->frames_size <= size);
    memcpy(rewritten, raw_self->frames, raw_self->frames_size);
    return ngtcp2_crypto_encrypt_cb(out, aead, key, rewritten, size, nonce, nonce_size, header,
                                    header_size);
}

static inline void raw_random(uint8_t *memory, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    cv_rand_bytes(&raw_self->net->client.rand, memory, size);
}

static inline int raw_new_id(ngtcp2_conn *native, ngtcp2_cid *id, uint8_t *token, size_t size,
                             void *user)
{
    (void)native;
    (void)user;
    id->datalen = size;
    raw_random(id->data, size, NULL);
    raw_random(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
    return 0;
}

static inline int raw_confirmed(ngtcp2_conn *native, void *user)
{
    (void)native;
    ((struct raw *)user)->confirmed = true;
    return 0;
}

static inline void raw_start_tls(struct raw *r)
{
    static const char priority[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
                                   "%DISABLE_TLS13_COMPAT_MODE";
    const struct cv_pki_pair *pair = r->is_server ? &server_pair : &client_pair;
    gnutls_datum_t cert = {(unsigned char *)(uintptr_t)pair->cert_pem,
                           (unsigned)strlen(pair->cert_pem)};
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)pair->key_pem,
                          (unsigned)strlen(pair->key_pem)};
    gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)r->alpn, (unsigned)strlen(r->alpn)};
    assert_int_equal(gnutls_certificate_allocate_credentials(&r->credentials), 0);
    assert_int_equal(
        gnutls_certificate_set_x509_key_mem(r->credentials, &cert, &key, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_init(&r->tls, r->is_server ? GNUTLS_SERVER : GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_priority_set_direct(r->tls, priority, NULL), 0);
    assert_int_equal(r->is_server ? ngtcp2_crypto_gnutls_configure_server_session(r->tls)
                                  : ngtcp2_crypto_gnutls_configure_client_session(r->tls),
                     0);
    gnutls_session_set_ptr(r->tls, &r->ref);
    gnutls_credentials_set(r->tls, GNUTLS_CRD_CERTIFICATE, r->credentials);
    gnutls_alpn_set_protocols(r->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    ngtcp2_conn_set_tls_native_handle(r->native, r->tls);
}

static inline ngtcp2_callbacks raw_callbacks(void)
{
    return (ngtcp2_callbacks){
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = raw_encrypt,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .rand = raw_random,
        .get_new_connection_id = raw_new_id,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .handshake_confirmed = raw_confirmed,
    };
}

static inline void raw_start(struct raw *r, const ngtcp2_pkt_hd *header)
{
    ngtcp2_callbacks callbacks = raw_callbacks();
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid source = {.datalen = 16};
    ngtcp2_cid destination = {.datalen = 16};
    struct cv_path path;
    struct cv_address to = test_wire_address(r->is_server ? 1 : 0);
    raw_random(source.data, 16, NULL);
    raw_random(destination.data, 16, NULL);
    ngtcp2_settings_default(&settings);
    ngtcp2_transport_params_default(&params);
    settings.initial_ts = r->net->wire.now;
    params.initial_max_streams_bidi = 100;
    params.initial_max_data = 1000000;
    params.initial_max_stream_data_bidi_local = 100000;
    params.initial_max_stream_data_bidi_remote = 100000;
    params.max_datagram_frame_size = 1500;
    cv_path_init(&path, &r->port->address, &to);
    r->ref = (ngtcp2_crypto_conn_ref){.get_conn = raw_conn, .user_data = r};
    if (r->is_server) {
        cv_ngtcp2_set_original_dcid(&params, &header->dcid);
        assert_int_equal(ngtcp2_conn_server_new(&r->native, &header->scid, &source, &path.path,
                                                header->version, &callbacks, &settings, &params,
                                                NULL, r),
                         0);
    } else {
        assert_int_equal(ngtcp2_conn_client_new(&r->native, &destination, &source, &path.path,
                                                NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params,
                                                NULL, r),
                         0);
    }
    raw_start_tls(r);
}

static inline bool raw_catch(void *user, const struct test_wire_packet *packet)
{
    struct raw *r = user;
    if (!cv_address_equal(&packet->to, &r->port->address))
        return true;
    if (r->inbox_count < 64 && !r->deaf)
        r->inbox[r->inbox_count++] = *packet;
    return false;
}

/* Takes the place of the client (address 1), or of the server (address 0). */
static inline void raw_init(struct raw *r, struct net *n, bool is_server, const char *alpn)
{
    memset(r, 0, sizeof(*r));
    raw_self = r;
    r->net = n;
    r->is_server = is_server;
    r->alpn = alpn;
    r->port = &n->wire.ports[is_server ? 0 : 1];
    r->port->endpoint = NULL;
    n->wire.filter = raw_catch;
    n->wire.filter_user = r;
    if (!is_server)
        raw_start(r, NULL);
}

static inline void raw_fini(struct raw *r)
{
    if (r->native != NULL) {
        ngtcp2_conn_del(r->native);
        gnutls_deinit(r->tls);
        gnutls_certificate_free_credentials(r->credentials);
    }
    r->net->wire.filter = NULL;
}

static inline void raw_end(struct raw *r, int rv)
{
    r->ended = true;
    if (rv == NGTCP2_ERR_DRAINING) {
        r->close = cv_ngtcp2_close_received(r->native);
        return;
    }
    struct cv_address to = test_wire_address(r->is_server ? 1 : 0);
    cv_ngtcp2_close close;
    ngtcp2_pkt_info info;
    cv_ngtcp2_close_set_transport(&close,
                                  NGTCP2_CRYPTO_ERROR | ngtcp2_conn_get_tls_alert(r->native));
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(r->native, NULL, &info, r->port->room, 1200,
                                                        &close, r->net->wire.now);
    if (n > 0)
        test_wire_commit(r->port, &r->port->address, &to, 0, (size_t)n);
}

static inline void raw_read(struct raw *r)
{
    for (size_t i = 0; i < r->inbox_count && !r->ended; i++) {
        const struct test_wire_packet *packet = &r->inbox[i];
        ngtcp2_pkt_info info = {0};
        ngtcp2_pkt_hd header;
        struct cv_path path;
        if (r->native == NULL) {
            assert_int_equal(ngtcp2_accept(&header, packet->bytes, packet->size), 0);
            raw_start(r, &header);
        }
        cv_path_init(&path, &r->port->address, &packet->from);
        int rv = ngtcp2_conn_read_pkt(r->native, &path.path, &info, packet->bytes, packet->size,
                                      r->net->wire.now);
        if (rv != 0)
            raw_end(r, rv);
    }
    r->inbox_count = 0;
}

/* Writes what the library has to say, with a stream's bytes when `stream` is not -1. */
static inline void raw_write(struct raw *r, int64_t stream)
{
    static uint8_t bytes[1000];
    struct cv_address to = test_wire_address(r->is_server ? 1 : 0);
    ngtcp2_vec piece = {.base = bytes, .len = r->frames_size + 1};
    for (int i = 0; i < 20 && !r->ended; i++) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info info;
        ngtcp2_ssize written;
        ngtcp2_path_storage_zero(&path);
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(
            r->native, &path.path, &info, r->port->room, 1200, &written,
            NGTCP2_WRITE_STREAM_FLAG_NONE, stream, &piece, stream == -1 ? 0 : 1, r->net->wire.now);
        assert_true(n >= 0);
        if (n == 0)
            return;
        test_wire_commit(r->port, &r->port->address, &to, 0, (size_t)n);
        if (stream != -1)
            return;
    }
}

/* Both sides for a while. */
static inline void raw_run(struct raw *r, covey_time duration)
{
    covey_time limit = r->net->wire.now + duration;
    while (r->net->wire.now < limit) {
        raw_read(r);
        if (r->native != NULL && !r->ended && ngtcp2_conn_get_expiry(r->native) <= r->net->wire.now)
            (void)ngtcp2_conn_handle_expiry(r->native, r->net->wire.now);
        if (r->native != NULL)
            raw_write(r, -1);
        test_wire_run(&r->net->wire, COVEY_MILLISECOND);
    }
}

/* One 1-RTT packet that holds these frames instead of what the library wanted to say, so that
 * nothing is acknowledged either. */
static inline void raw_inject(struct raw *r, const uint8_t *frames, size_t size)
{
    int64_t stream;
    assert_true(size <= 900);
    assert_int_equal(ngtcp2_conn_open_bidi_stream(r->native, &stream, NULL), 0);
    memcpy(r->frames, frames, size);
    r->frames_size = size;
    raw_write(r, stream);
    r->frames_size = 0;
    test_wire_run(&r->net->wire, 5 * COVEY_MILLISECOND);
    raw_read(r);
}

#endif
