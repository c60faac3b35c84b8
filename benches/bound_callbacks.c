#include "bound.h"
#include "payload.h"
#include "process.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

/* What ngtcp2 tells; never a write in here. */

static void answer(struct bound_conn *c, struct bound_call *call)
{
    const struct bound *b = c->bound;
    call->out = b->answer == NULL ? call->body : b->answer;
    call->out_size = b->answer == NULL ? call->received : b->options->reply_size;
    STAILQ_INSERT_TAIL(&c->sending, call, link);
}

static int take_request(struct bound_conn *c, struct bound_call *call, const uint8_t *bytes,
                        size_t size)
{
    if (size > c->bound->options->size - call->received)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    memcpy(call->body + call->received, bytes, size);
    call->received += size;
    return 0;
}

static void take_reply(const struct bound *b, struct bound_call *call, const uint8_t *bytes,
                       size_t size)
{
    const uint64_t *stamp = b->options->reply_size == 0 ? &call->stamp : NULL;
    if (size > 0 && !payload_is(bytes, size, call->received, stamp))
        call->is_wrong = true;
    call->received += size;
}

static int on_data(ngtcp2_conn *native, uint32_t flags, int64_t stream, uint64_t offset,
                   const uint8_t *bytes, size_t size, void *user, void *stream_user)
{
    struct bound_conn *c = user;
    struct bound_call *call = stream_user;
    (void)stream;
    (void)offset;
    ngtcp2_conn_extend_max_offset(native, size);
    if (!c->bound->is_server)
        take_reply(c->bound, call, bytes, size);
    else if (take_request(c, call, bytes, size) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) == 0)
        return 0;
    if (c->bound->is_server)
        answer(c, call);
    else
        load_end(call->lane,
                 !call->is_wrong && call->received == options_reply_size(c->bound->options),
                 now_ns());
    return 0;
}

static int on_open(ngtcp2_conn *native, int64_t stream, void *user)
{
    struct bound_conn *c = user;
    struct bound_call *call = bound_call_new(c->bound);
    call->stream = stream;
    return ngtcp2_conn_set_stream_user_data(native, stream, call);
}

static int on_close(ngtcp2_conn *native, uint32_t flags, int64_t stream, uint64_t code, void *user,
                    void *stream_user)
{
    struct bound_conn *c = user;
    struct bound_call *call = stream_user;
    (void)native;
    (void)flags;
    (void)stream;
    (void)code;
    if (c->bound->is_server)
        c->closed_streams++;
    STAILQ_INSERT_HEAD(&c->bound->free_calls, call, link);
    return 0;
}

static int on_more_streams(ngtcp2_conn *native, uint64_t max, void *user)
{
    (void)native;
    (void)max;
    bound_conn_mark(user);
    return 0;
}

static int on_confirmed(ngtcp2_conn *native, void *user)
{
    struct bound *b = ((struct bound_conn *)user)->bound;
    (void)native;
    pthread_mutex_lock(&b->lock);
    b->up++;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return 0;
}

static void on_random(uint8_t *bytes, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    bound_random(bytes, size);
}

static int on_new_id(ngtcp2_conn *native, ngtcp2_cid *id, uint8_t *token, size_t size, void *user)
{
    (void)native;
    (void)size;
    bound_conn_make_id(user, id);
    bound_random(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

ngtcp2_callbacks bound_callbacks(bool is_server)
{
    ngtcp2_callbacks callbacks = {
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .rand = on_random,
        .get_new_connection_id = on_new_id,
        .recv_stream_data = on_data,
        .stream_close = on_close,
    };
    if (is_server)
        callbacks.stream_open = on_open;
    else {
        callbacks.extend_max_local_streams_bidi = on_more_streams;
        callbacks.handshake_confirmed = on_confirmed;
    }
    return callbacks;
}
