#include "quic/endpoint_internal.h"

#include <covey/error.h>

/* Of a packet that carries one DATAGRAM frame: first byte, packet number and authentication tag
 * around it, type and length before the bytes. */
#define PACKET_OVERHEAD (1 + 4 + 16)
#define FRAME_OVERHEAD  (1 + 2)

void *cv_quic_conn_user(const struct cv_quic_conn *c)
{
    return c->user;
}

void cv_quic_conn_set_user(struct cv_quic_conn *c, void *user)
{
    c->user = user;
}

const struct cv_identity *cv_quic_conn_peer(const struct cv_quic_conn *c)
{
    return c->was_ready ? cv_tls_session_peer(c->tls) : NULL;
}

struct cv_slice cv_quic_conn_peer_der(const struct cv_quic_conn *c)
{
    return c->was_ready ? cv_tls_session_peer_der(c->tls) : cv_slice_of(NULL, 0);
}

uint64_t cv_quic_conn_valid_until_ms(const struct cv_quic_conn *c)
{
    return c->was_ready ? cv_tls_session_valid_until_ms(c->tls) : 0;
}

bool cv_quic_conn_is_retiring(const struct cv_quic_conn *c)
{
    return c->life.is_retiring;
}

enum cv_alpn cv_quic_conn_alpn(const struct cv_quic_conn *c)
{
    return c->alpn;
}

bool cv_quic_conn_is_accepted(const struct cv_quic_conn *c)
{
    return c->is_accepted;
}

bool cv_quic_conn_is_ready(const struct cv_quic_conn *c)
{
    return c->state == CV_CONN_READY;
}

struct cv_address cv_quic_conn_remote(const struct cv_quic_conn *c)
{
    return c->remote;
}

int cv_quic_conn_open(struct cv_quic_conn *c, struct cv_quic_stream **out)
{
    int64_t id;
    if (c->state != CV_CONN_READY)
        return COVEY_ERR_STATE;
    struct cv_quic_stream *s = cv_stream_new(c);
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    int rv = ngtcp2_conn_open_bidi_stream(c->native, &id, s);
    if (rv != 0) {
        cv_stream_release(s);
        c->wants_streams = c->wants_streams || rv == NGTCP2_ERR_STREAM_ID_BLOCKED;
        return rv == NGTCP2_ERR_STREAM_ID_BLOCKED ? COVEY_ERR_LIMIT : COVEY_ERR_NO_MEMORY;
    }
    cv_stream_attach(s, id);
    *out = s;
    return COVEY_OK;
}

bool cv_quic_conn_has_streams(const struct cv_quic_conn *c)
{
    return !TAILQ_EMPTY(&c->streams);
}

static size_t smaller(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

size_t cv_quic_conn_datagram_size_max(const struct cv_quic_conn *c)
{
    if (c->state != CV_CONN_READY)
        return 0;
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->native);
    size_t packet =
        smaller(ngtcp2_conn_get_path_max_tx_udp_payload_size(c->native), c->packet_size_max);
    size_t overhead = PACKET_OVERHEAD + ngtcp2_conn_get_dcid(c->native)->datalen;
    size_t frame = smaller(packet - overhead, peer->max_datagram_frame_size);
    return frame <= FRAME_OVERHEAD ? 0 : frame - FRAME_OVERHEAD;
}

int cv_quic_conn_send_datagram(struct cv_quic_conn *c, struct cv_slice bytes)
{
    if (c->state != CV_CONN_READY)
        return COVEY_ERR_STATE;
    if (bytes.size > cv_quic_conn_datagram_size_max(c))
        return COVEY_ERR_TOO_LARGE;
    if (c->datagrams.count >= c->datagrams.count_max) {
        c->endpoint->stats.datagrams_shed++;
        return COVEY_ERR_BUSY;
    }
    uint8_t *copy = cv_allocate(c->endpoint->alloc, bytes.size);
    struct cv_queued_datagram *queued = copy == NULL ? NULL : cv_ring_push(&c->datagrams);
    if (queued == NULL) {
        cv_release(c->endpoint->alloc, copy);
        return COVEY_ERR_NO_MEMORY;
    }
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    *queued = (struct cv_queued_datagram){.bytes = copy, .size = bytes.size};
    cv_conn_mark_dirty(c);
    return COVEY_OK;
}

void cv_quic_conn_close(struct cv_quic_conn *c, uint64_t code)
{
    struct cv_quic_close why = {.application = true, .code = code};
    cv_conn_end(c, CV_FAREWELL_APPLICATION, code, &why);
}

void cv_quic_conn_set_keep_alive(struct cv_quic_conn *c, covey_time interval)
{
    if (c->state != CV_CONN_OPENING && c->state != CV_CONN_READY)
        return;
    cv_ngtcp2_set_keep_alive(c->native, interval);
    cv_conn_mark_dirty(c);
}

bool cv_quic_conn_was_heard(const struct cv_quic_conn *c)
{
    return c->was_heard;
}

covey_time cv_quic_conn_heard_at(const struct cv_quic_conn *c)
{
    return c->heard_at;
}
