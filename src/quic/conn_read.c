#include "quic/endpoint_internal.h"

#include <assert.h>
#include <covey/error.h>

/* Probe timeouts without any acknowledgement. */
#define BLACK_HOLE_PTOS 2
#define PROBE_PTOS      3

/* A stream that the peer opens: 4n from a client, 4n + 1 from a server. */
static bool is_opened_by_peer(const struct cv_quic_conn *c, int64_t stream_id)
{
    return (stream_id & 3) == (c->is_accepted ? 0 : 1);
}

static struct cv_quic_stream *find_stream(const struct cv_quic_conn *c, int64_t id)
{
    return (struct cv_quic_stream *)(void *)cv_stream_table_get(&c->table, id);
}

/* The library has not read the packet yet: a stream that it opens is not there. */
static void note_stopped(void *user, int64_t stream_id, uint64_t code)
{
    struct cv_quic_conn *c = user;
    struct cv_quic_endpoint *e = c->endpoint;
    struct cv_quic_stream *s = find_stream(c, stream_id);
    if (s != NULL)
        cv_stream_peer_stopped(s, code);
    else if (is_opened_by_peer(c, stream_id) && e->early_stop_count < CV_EARLY_STOPS_MAX)
        e->early_stops[e->early_stop_count++] =
            (struct cv_early_stop){.stream_id = stream_id, .code = code};
}

void cv_conn_inspect(struct cv_quic_conn *c, uint8_t *payload, size_t size)
{
    const struct cv_frame_guard_config config = {
        .overwrite = !CV_NGTCP2_GUARDS_IDS, .stopped = note_stopped, .user = c};
    struct cv_frame_report report = cv_frame_guard_walk(&c->guard, &config, payload, size);
    c->heard_at = c->endpoint->now; /* it was decrypted, so it is the peer's */
    c->report.guarded += report.guarded;
    c->report.control += report.control;
    c->report.progress = c->report.progress || report.progress;
}

static void settle_early_stops(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    for (size_t i = 0; i < e->early_stop_count; i++) {
        struct cv_quic_stream *s = find_stream(c, e->early_stops[i].stream_id);
        if (s != NULL)
            cv_stream_peer_stopped(s, e->early_stops[i].code);
    }
    e->early_stop_count = 0;
}

void cv_conn_arm_probe(struct cv_quic_conn *c)
{
    if (c->probe_at == COVEY_NEVER)
        c->probe_at = c->endpoint->now + PROBE_PTOS * ngtcp2_conn_get_pto(c->native);
}

static void note_progress(struct cv_quic_conn *c)
{
    c->progress_at = c->endpoint->now;
    if (c->probe_at == COVEY_NEVER)
        return;
    c->probe_at = COVEY_NEVER;
    if (cv_ngtcp2_bytes_in_flight(c->native) > 0)
        cv_conn_arm_probe(c);
}

/*
 * The library arms no timer for packets that hold DATAGRAM frames only: if all of them are lost,
 * they count as in flight for ever, and once they fill the congestion window nothing can be sent
 * any more. So after a while without acknowledgements something goes out that the library does
 * repeat until it is acknowledged, upon which it finds the others lost: MAX_STREAMS, which may be
 * sent at any time. What is given too early is kept back later. conn_write.c leaves room for it.
 */
static void probe(struct cv_quic_conn *c)
{
    c->probe_at = COVEY_NEVER;
    if (c->state != CV_CONN_READY || cv_ngtcp2_bytes_in_flight(c->native) == 0)
        return;
    if (c->streams_returned > 0) {
        ngtcp2_conn_extend_max_streams_bidi(c->native, (size_t)c->streams_returned);
        c->streams_returned = 0;
    } else {
        ngtcp2_conn_extend_max_streams_bidi(c->native, 1);
        c->streams_lent++;
    }
}

/* What the frames of the datagram say beyond what the library told us. */
static void settle_report(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    e->stats.frames_guarded += c->report.guarded;
    if (c->report.progress)
        note_progress(c);
    if (!cv_bucket_take(&c->control_frames, (uint32_t)c->report.control, e->now)) {
        struct cv_quic_close why = {.error = COVEY_ERR_PROTOCOL, .code = NGTCP2_PROTOCOL_VIOLATION};
        e->stats.control_floods++;
        cv_conn_end(c, CV_FAREWELL_TRANSPORT, why.code, &why);
    }
    c->report = (struct cv_frame_report){0};
    settle_early_stops(c);
    cv_streams_tell_stopped(c);
}

/* Without memory for it now, the next packet may have it. */
static void settle_tls(struct cv_quic_conn *c)
{
    if (c->is_tls_settled || !c->is_confirmed || !cv_tls_session_settle(c->tls))
        return;
    c->is_tls_settled = true;
    ngtcp2_conn_set_tls_native_handle(c->native, NULL);
}

int cv_conn_read(struct cv_quic_conn *c, const struct cv_datagram *d)
{
    struct cv_path path;
    ngtcp2_pkt_info info;
    /* A client's path is the one that it dialled on, whatever address the socket reports. */
    cv_path_init(&path, c->is_accepted ? &d->local : &c->local, &d->remote);
    cv_ngtcp2_set_ecn(&info, d->ecn);
    assert(c->endpoint->early_stop_count == 0);
    cv_conn_set_reading(c);
    int rv = ngtcp2_conn_read_pkt(c->native, &path.path, &info, d->bytes.data, d->bytes.size,
                                  c->endpoint->now);
    cv_conn_set_reading(NULL);
    if (rv == 0)
        settle_tls(c);
    settle_report(c);
    c->was_heard = true;
    cv_conn_mark_dirty(c);
    return rv;
}

/*
 * Path MTU discovery of the library finds the largest packet that passes, but not that it no longer
 * does: a route that changed swallows all that is larger, silently. When nothing is acknowledged
 * for some probe timeouts, packets shrink to what every path carries, for the rest of the
 * connection.
 */
static void detect_black_hole(struct cv_quic_conn *c)
{
    covey_time patience = BLACK_HOLE_PTOS * ngtcp2_conn_get_pto(c->native);
    if (c->state == CV_CONN_READY && cv_ngtcp2_bytes_in_flight(c->native) > 0 &&
        c->endpoint->now - c->progress_at > patience)
        c->packet_size_max = NGTCP2_MAX_UDP_PAYLOAD_SIZE;
}

void cv_conn_expire(struct cv_quic_conn *c)
{
    int rv = ngtcp2_conn_handle_expiry(c->native, c->endpoint->now);
    c->is_due = true;
    if (rv != 0)
        cv_conn_fail(c, rv);
    else
        detect_black_hole(c);
    if (c->endpoint->now >= c->probe_at)
        probe(c);
    if (c->endpoint->now >= c->life_at)
        cv_conn_check_life(c);
    cv_conn_mark_dirty(c);
}
