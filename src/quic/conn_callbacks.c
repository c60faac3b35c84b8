#include "quic/endpoint_internal.h"

#include <assert.h>
#include <covey/error.h>

/*
 * What the QUIC library calls. These functions pass on and note down; none of them calls one of the
 * library's write functions, which would end in an assertion.
 */

static _Thread_local struct cv_quic_conn *reading;

void cv_conn_set_reading(struct cv_quic_conn *c)
{
    reading = c;
}

#define HEADER_FORM_LONG 0x80

static int on_decrypt(uint8_t *plain, const ngtcp2_crypto_aead *aead,
                      const ngtcp2_crypto_aead_ctx *key, const uint8_t *cipher, size_t cipher_size,
                      const uint8_t *nonce, size_t nonce_size, const uint8_t *header,
                      size_t header_size)
{
    int rv = ngtcp2_crypto_decrypt_cb(plain, aead, key, cipher, cipher_size, nonce, nonce_size,
                                      header, header_size);
    /* Long headers are those of the handshake, which carries no frames that matter here; there is
     * no 0-RTT. */
    if (rv == 0 && reading != NULL && (header[0] & HEADER_FORM_LONG) == 0)
        cv_conn_inspect(reading, plain, cipher_size - aead->max_overhead);
    return rv;
}

static void on_random(uint8_t *memory, size_t size, const ngtcp2_rand_ctx *context)
{
    cv_endpoint_random(context->native_handle, memory, size);
}

static int on_path_challenge(ngtcp2_conn *native, uint8_t *data, void *user)
{
    const struct cv_quic_conn *c = user;
    (void)native;
    cv_endpoint_random(c->endpoint, data, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

static int on_new_id(ngtcp2_conn *native, ngtcp2_cid *id, uint8_t *token, size_t size, void *user)
{
    struct cv_quic_conn *c = user;
    struct cv_quic_endpoint *e = c->endpoint;
    (void)native;
    assert(size == CV_QUIC_CID_SIZE);
    if (!cv_bucket_take(&c->ids_issued, 1, e->now)) {
        c->id_flood = true;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    cv_endpoint_make_id(e, id);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, e->config.secret,
                                                     sizeof(e->config.secret), id) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    if (cv_conn_add_id(c, id->data, id->datalen) != COVEY_OK) {
        c->out_of_memory = true;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_remove_id(ngtcp2_conn *native, const ngtcp2_cid *id, void *user)
{
    (void)native;
    cv_conn_remove_id(user, id->data, id->datalen);
    return 0;
}

/* An id of the peer's came into use or went out of it: with it the token that its stateless reset
 * would carry. */
static int on_peer_id(ngtcp2_conn *native, cv_ngtcp2_cid_status status, uint64_t sequence,
                      const ngtcp2_cid *id, const uint8_t *token, void *user)
{
    (void)native;
    (void)id;
    cv_conn_remove_token(user, sequence);
    if (status == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE && token != NULL)
        cv_conn_add_token(user, sequence, token);
    return 0;
}

static int on_handshake_completed(ngtcp2_conn *native, void *user)
{
    struct cv_quic_conn *c = user;
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(native);
    if (peer != NULL && cv_ngtcp2_has_preferred_address(peer))
        cv_frame_guard_saw(&c->guard, 1);
    /* A client's handshake is complete before the server has judged its certificate. */
    if (c->is_accepted) {
        c->is_confirmed = true;
        cv_conn_become_ready(c);
    }
    return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *native, void *user)
{
    struct cv_quic_conn *c = user;
    (void)native;
    c->is_confirmed = true;
    cv_conn_become_ready(c);
    return 0;
}

#define ALERT_UNEXPECTED_MESSAGE 10

/* After the handshake a client may have nothing more to say. A server may have tickets, which we have no use
 * for; their number is bounded, as that of all such frames is. On a client all that it says is passed over unread,
 * also what RFC 9001 (section 6) wants refused, a KeyUpdate of TLS: to tell it from a ticket, the messages would
 * have to be followed from the handshake on, as one may begin before TLS is let go and end after that. Nothing can
 * come of it: there is no TLS left that it could reach, and QUIC's keys are changed by a bit of its own packets. */
static int on_crypto_data(ngtcp2_conn *native, cv_ngtcp2_level level, uint64_t offset,
                          const uint8_t *data, size_t size, void *user)
{
    const struct cv_quic_conn *c = user;
    if (!c->is_tls_settled)
        return ngtcp2_crypto_recv_crypto_data_cb(native, level, offset, data, size, user);
    if (!c->is_accepted)
        return 0;
    ngtcp2_conn_set_tls_alert(native, ALERT_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
}

static int on_stateless_reset(ngtcp2_conn *native, const ngtcp2_pkt_stateless_reset *reset,
                              void *user)
{
    struct cv_quic_conn *c = user;
    (void)native;
    (void)reset;
    c->got_reset = true;
    return 0;
}

static int on_stream_open(ngtcp2_conn *native, int64_t id, void *user)
{
    struct cv_quic_conn *c = user;
    const struct cv_quic_endpoint *e = c->endpoint;
    /* The server's first answer may overtake its HANDSHAKE_DONE. */
    cv_conn_become_ready(c);
    if (c->state != CV_CONN_READY)
        return 0;
    struct cv_quic_stream *s = cv_stream_new(c);
    if (s == NULL || ngtcp2_conn_set_stream_user_data(native, id, s) != 0) {
        c->out_of_memory = true;
        if (s != NULL)
            cv_stream_release(s);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    s->is_accepted = true;
    c->streams_accepted++;
    cv_stream_attach(s, id);
    e->config.events.stream_opened(e->config.events_user, s);
    return 0;
}

static int on_stream_data(ngtcp2_conn *native, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t size, void *user, void *stream)
{
    (void)native;
    (void)id;
    (void)offset;
    (void)user;
    if (stream != NULL)
        cv_stream_received(stream, cv_slice_of(data, size),
                           (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    return 0;
}

static int on_stream_reset(ngtcp2_conn *native, int64_t id, uint64_t final_size, uint64_t code,
                           void *user, void *stream)
{
    (void)native;
    (void)id;
    (void)final_size;
    (void)user;
    if (stream != NULL)
        cv_stream_peer_reset(stream, code);
    return 0;
}

static int on_stream_close(ngtcp2_conn *native, uint32_t flags, int64_t id, uint64_t code,
                           void *user, void *stream)
{
    (void)native;
    (void)flags;
    (void)id;
    (void)code;
    (void)user;
    if (stream != NULL)
        cv_stream_closed(stream);
    return 0;
}

static int on_stream_acked(ngtcp2_conn *native, int64_t id, uint64_t offset, uint64_t size,
                           void *user, void *stream)
{
    (void)native;
    (void)id;
    (void)user;
    if (stream != NULL)
        cv_stream_acked(stream, offset + size);
    return 0;
}

static int on_stream_window(ngtcp2_conn *native, int64_t id, uint64_t max_offset, void *user,
                            void *stream)
{
    (void)native;
    (void)id;
    (void)max_offset;
    (void)user;
    if (stream != NULL)
        cv_stream_unblocked(stream);
    return 0;
}

static int on_streams_available(ngtcp2_conn *native, uint64_t max_streams, void *user)
{
    struct cv_quic_conn *c = user;
    const struct cv_quic_endpoint *e = c->endpoint;
    (void)native;
    (void)max_streams;
    if (!c->wants_streams || c->state != CV_CONN_READY)
        return 0;
    c->wants_streams = false;
    e->config.events.streams_available(e->config.events_user, c);
    return 0;
}

static int on_datagram(ngtcp2_conn *native, uint32_t flags, const uint8_t *data, size_t size,
                       void *user)
{
    struct cv_quic_conn *c = user;
    const struct cv_quic_endpoint *e = c->endpoint;
    (void)native;
    (void)flags;
    cv_conn_become_ready(c);
    if (c->state == CV_CONN_READY)
        e->config.events.datagram(e->config.events_user, c, cv_slice_of(data, size));
    return 0;
}

#define COMMON_CALLBACKS                                                                           \
    .recv_crypto_data = on_crypto_data, .encrypt = ngtcp2_crypto_encrypt_cb,                       \
    .decrypt = on_decrypt, .hp_mask = ngtcp2_crypto_hp_mask_cb,                                    \
    .update_key = ngtcp2_crypto_update_key_cb,                                                     \
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                             \
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                         \
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb, .rand = on_random,                \
    .get_path_challenge_data = on_path_challenge, .get_new_connection_id = on_new_id,              \
    .remove_connection_id = on_remove_id, .dcid_status = on_peer_id,                               \
    .handshake_completed = on_handshake_completed, .recv_stateless_reset = on_stateless_reset,     \
    .stream_open = on_stream_open, .recv_stream_data = on_stream_data,                             \
    .stream_reset = on_stream_reset, .stream_close = on_stream_close,                              \
    .acked_stream_data_offset = on_stream_acked, .extend_max_stream_data = on_stream_window,       \
    .extend_max_local_streams_bidi = on_streams_available, .recv_datagram = on_datagram

const ngtcp2_callbacks cv_conn_client_callbacks = {
    COMMON_CALLBACKS,
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .handshake_confirmed = on_handshake_confirmed,
};

const ngtcp2_callbacks cv_conn_server_callbacks = {
    COMMON_CALLBACKS,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};
