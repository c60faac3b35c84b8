#include "quic/endpoint_internal.h"

#include "base/prefetch.h"

#include <assert.h>
#include <covey/error.h>

/*
 * Writing packets. One packet is put together by several calls of the library: DATAGRAM frames
 * first, because probes must not wait behind bulk data, then streams in turn. WRITE_MORE says that
 * the packet in the same memory has room for more.
 *
 * Rules that keep 0.12.1 from aborting: the same memory and size again after WRITE_MORE; a packet
 * that was begun is always finished, in the end by a call without a stream; at most two pieces of
 * data a call; nothing of streams before the handshake is over on both sides.
 *
 * There is no pacing: ngtcp2_conn_update_pkt_tx_time() is never called, so the library lets
 * everything out that the congestion window allows. In a LAN a timer for each burst costs more than
 * it gains.
 */

struct packet {
    struct cv_quic_conn *conn;
    bool is_bulk; /* one of those before it was part of a large body */
    uint8_t *room;
    bool has_path; /* it was begun, so its path is known: the library need not copy it again */
    ngtcp2_path_storage path;
    struct cv_path_end local;
    struct cv_path_end remote;
    ngtcp2_pkt_info info;
};

static ngtcp2_path *path_of(struct packet *p)
{
    return p->has_path ? NULL : &p->path.path;
}

static void pop_datagram(struct cv_quic_conn *c)
{
    const struct cv_queued_datagram *queued = cv_ring_front(&c->datagrams);
    cv_release(c->endpoint->alloc, queued->bytes);
    cv_ring_pop(&c->datagrams);
}

static ngtcp2_ssize write_datagram(struct packet *p)
{
    struct cv_quic_conn *c = p->conn;
    const struct cv_queued_datagram *queued = cv_ring_front(&c->datagrams);
    /* The path may have shrunk since it was queued; it would block those behind it for ever. */
    if (queued->size > cv_quic_conn_datagram_size_max(c)) {
        pop_datagram(c);
        c->endpoint->stats.datagrams_shed++;
        return NGTCP2_ERR_WRITE_MORE;
    }
    ngtcp2_vec piece = {.base = queued->bytes, .len = queued->size};
    size_t count = queued->size > 0 ? 1 : 0; /* a piece without bytes is an assertion */
    int accepted = 0;
    ngtcp2_ssize n = ngtcp2_conn_writev_datagram(
        c->native, path_of(p), &p->info, p->room, c->packet_size_max, &accepted,
        NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, &piece, count, c->endpoint->now);
    if (accepted) {
        p->has_path = true;
        pop_datagram(c);
        cv_conn_arm_probe(c);
    }
    return n;
}

static bool has_more(const struct cv_quic_stream *s)
{
    return cv_send_buffer_unsent(&s->out) > 0 || (s->fin_queued && !s->fin_sent);
}

static void note_written(struct cv_quic_stream *s, size_t size, bool fin)
{
    cv_send_buffer_sent(&s->out, size);
    s->fin_sent = s->fin_sent || fin;
    if (!has_more(s))
        cv_stream_leave_sending(s);
}

/* A stream that has more than this to send is no small call. */
#define BULK_SIZE ((size_t)16 << 10)

static bool is_bulk(const struct cv_quic_stream *s)
{
    return cv_send_buffer_unsent(&s->out) > BULK_SIZE;
}

/* So much of a stream goes out before it is the next one's turn. A packet each would be the fairest to small
 * calls, but large bodies would then all arrive together, at the end, and until then all of them are held
 * in memory at both ends. */
#define TURN_SIZE BULK_SIZE

static void rotate(struct cv_quic_stream *s, size_t written)
{
    struct cv_quic_conn *c = s->conn;
    if (!s->is_sending)
        return; /* its next turn begins when it has more */
    s->turn_size += (uint32_t)written;
    if (s->turn_size < TURN_SIZE)
        return;
    s->turn_size = 0;
    TAILQ_REMOVE(&c->sending, s, sending_link);
    TAILQ_INSERT_TAIL(&c->sending, s, sending_link);
}

/* What the library says about this stream alone; anything else is passed on. */
static ngtcp2_ssize note_refused(struct cv_quic_stream *s, ngtcp2_ssize n)
{
    switch (n) {
    case NGTCP2_ERR_STREAM_DATA_BLOCKED:
        s->is_blocked = true;
        cv_stream_leave_sending(s);
        return NGTCP2_ERR_WRITE_MORE;
    case NGTCP2_ERR_STREAM_SHUT_WR:
        cv_stream_leave_sending(s);
        cv_stream_peer_stopped(s, 0);
        return NGTCP2_ERR_WRITE_MORE;
    case NGTCP2_ERR_STREAM_NOT_FOUND:
        cv_stream_leave_sending(s);
        return NGTCP2_ERR_WRITE_MORE;
    default:
        return n;
    }
}

#define SMALL_SIZE 320 /* of a stream with a small message in itself */

/* What the next packet, or the next stream's part of this one, is made of. Bytes of a large body were put there
 * long ago: they come from afar while this packet is encrypted. */
static void fetch_next(const struct cv_quic_stream *s, const struct cv_slice unsent[2])
{
    size_t packet = s->conn->packet_size_max;
    if (unsent[0].size > packet)
        cv_prefetch(unsent[0].data + packet, packet);
    else if (unsent[1].size > 0)
        cv_prefetch(unsent[1].data, packet);
    else
        cv_prefetch(TAILQ_NEXT(s, sending_link), SMALL_SIZE);
}

/*
 * A frame without bytes happens only as FIN behind bytes that were sent before. That is safe in
 * 0.12.1: what asserts when frames are lost is two frames at one offset, the empty first frame of a
 * stream and an empty FIN, which a stream's first write never makes here.
 */
static ngtcp2_ssize write_stream(struct packet *p, struct cv_quic_stream *s)
{
    struct cv_quic_conn *c = p->conn;
    struct cv_slice unsent[2] = {{0}};
    size_t count = cv_send_buffer_next(&s->out, unsent);
    size_t size = unsent[0].size + unsent[1].size;
    assert(size > 0 || s->out.unsent > 0);
    ngtcp2_vec pieces[2] = {{.base = (uint8_t *)(uintptr_t)unsent[0].data, .len = unsent[0].size},
                            {.base = (uint8_t *)(uintptr_t)unsent[1].data, .len = unsent[1].size}};
    bool fin = s->fin_queued && size == cv_send_buffer_unsent(&s->out);
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
    if (fin)
        flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    fetch_next(s, unsent);
    ngtcp2_ssize written = -1;
    ngtcp2_ssize n =
        ngtcp2_conn_writev_stream(c->native, path_of(p), &p->info, p->room, c->packet_size_max,
                                  &written, flags, s->entry.id, pieces, count, c->endpoint->now);
    if (written >= 0) {
        p->has_path = true;
        note_written(s, (size_t)written, fin && (size_t)written == size);
        rotate(s, (size_t)written);
    }
    return note_refused(s, n);
}

static ngtcp2_ssize write_rest(struct packet *p)
{
    const struct cv_quic_conn *c = p->conn;
    return ngtcp2_conn_writev_stream(c->native, path_of(p), &p->info, p->room, c->packet_size_max,
                                     NULL, NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0,
                                     c->endpoint->now);
}

/* Datagrams leave a part of the congestion window to what is repeated when it is lost. */
static bool may_send_datagrams(const struct cv_quic_conn *c)
{
    return c->datagrams.count > 0 && ngtcp2_conn_get_cwnd_left(c->native) > c->packet_size_max;
}

/* Fills one packet. Its size, 0 when there is nothing to write or nothing may be written now, or
 * the library's error. */
static ngtcp2_ssize write_packet(struct packet *p)
{
    struct cv_quic_conn *c = p->conn;
    bool with_datagrams = c->wrote_ready && may_send_datagrams(c);
    ngtcp2_ssize n;
    p->has_path = false;
    do {
        struct cv_quic_stream *s = TAILQ_FIRST(&c->sending);
        if (!c->wrote_ready)
            n = write_rest(p);
        else if (with_datagrams && c->datagrams.count > 0)
            n = write_datagram(p);
        else if (s != NULL)
            n = write_stream(p, s);
        else
            n = write_rest(p);
    } while (n == NGTCP2_ERR_WRITE_MORE);
    return n;
}

bool cv_conn_has_small_data(const struct cv_quic_conn *c)
{
    const struct cv_quic_stream *s = TAILQ_FIRST(&c->sending);
    return c->state == CV_CONN_READY && s != NULL && !is_bulk(s);
}

/* Small calls leave early, so that the peer starts on them; large bodies leave in large pieces, their ends
 * and what is between them too. */
static void set_bulk(struct packet *p, const struct cv_datagram_sink *sink)
{
    const struct cv_quic_stream *s = TAILQ_FIRST(&p->conn->sending);
    p->is_bulk = p->is_bulk || (s != NULL && is_bulk(s));
    if (sink->bulk != NULL)
        sink->bulk(sink->user, p->is_bulk);
}

static void commit(struct packet *p, const struct cv_datagram_sink *sink, size_t size)
{
    struct cv_quic_conn *c = p->conn;
    const struct cv_address *local = cv_path_end_address(&p->local, &p->path.path.local);
    const struct cv_address *remote = cv_path_end_address(&p->remote, &p->path.path.remote);
    sink->commit(sink->user, local, remote, (uint8_t)p->info.ecn, size);
    c->endpoint->stats.packets_sent++;
    c->wrote_ready = c->wrote_ready || c->state == CV_CONN_READY;
}

/* Some of the library's timers are due at a moment at which it does nothing yet: it compares by
 * "later than". Nor can it act on a timer while the congestion window is closed. */
#define TIMER_STEP COVEY_MILLISECOND

static void set_timer(struct cv_quic_conn *c)
{
    covey_time deadline = ngtcp2_conn_get_expiry(c->native);
    if (c->probe_at < deadline)
        deadline = c->probe_at;
    if (c->life_at < deadline)
        deadline = c->life_at;
    if (deadline <= c->endpoint->now)
        deadline = c->endpoint->now + TIMER_STEP;
    cv_heap_set_latest(&c->endpoint->timers, &c->timer, deadline);
}

bool cv_conn_postpone(struct cv_quic_conn *c)
{
    bool is_idle = TAILQ_EMPTY(&c->sending) && TAILQ_EMPTY(&c->pending) &&
                   TAILQ_EMPTY(&c->stopped) && c->datagrams.count == 0;
    covey_time until = c->endpoint->now + CV_ACK_DELAY;
    if (c->state != CV_CONN_READY || !c->wrote_ready || !is_idle || c->is_due)
        return false;
    cv_heap_set_latest(&c->endpoint->timers, &c->timer, until);
    return true;
}

static void update_remote(struct cv_quic_conn *c)
{
    if (c->is_accepted)
        c->remote = cv_path_address(&ngtcp2_conn_get_path(c->native)->remote);
}

void cv_conn_write(struct cv_quic_conn *c, const struct cv_datagram_sink *sink)
{
    struct packet p; /* what is large in it is zeroed once */
    p.conn = c;
    p.is_bulk = false;
    p.local.size = p.remote.size = 0;
    c->is_due = false;
    ngtcp2_path_storage_zero(&p.path);
    if (cv_ngtcp2_bytes_in_flight(c->native) == 0)
        c->progress_at = c->endpoint->now;
    ngtcp2_ssize n = cv_streams_settle(c);
    while (n == 0) {
        set_bulk(&p, sink);
        p.room = sink->reserve(sink->user, c->packet_size_max);
        ngtcp2_ssize size = write_packet(&p);
        if (size <= 0) {
            n = size;
            break;
        }
        commit(&p, sink, (size_t)size);
    }
    cv_streams_tell_stopped(c);
    if (n < 0) {
        cv_conn_fail(c, (int)n);
        return;
    }
    update_remote(c);
    set_timer(c);
}
