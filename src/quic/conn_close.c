#include "quic/endpoint_internal.h"

#include <assert.h>
#include <covey/error.h>

/*
 * The end of a connection: why, what the peer is told, and what is left afterwards.
 *
 * 0.12.1 aborts when an application close is written before the library itself has left the
 * handshake behind, which happens inside its write functions. So an application close is only used
 * after a packet was written since conn_ready; before, it travels as the transport error
 * APPLICATION_ERROR, which is what RFC 9000 section 10.2.3 wants during a handshake anyway.
 */

/* TLS alerts, RFC 8446 section 6. */
#define ALERT_BAD_CERTIFICATE         42
#define ALERT_ACCESS_DENIED           49
#define ALERT_CERTIFICATE_REQUIRED    116
#define ALERT_NO_APPLICATION_PROTOCOL 120

/* Probe timeouts for which late packets are answered or swallowed. */
#define LINGER_PTOS 3

/* The answer to late packets is at most that many times as large as what they bring. */
#define AMPLIFICATION_MAX 3

static int error_of_alert(uint64_t alert)
{
    if (alert == ALERT_NO_APPLICATION_PROTOCOL)
        return COVEY_ERR_NO_PROTOCOL;
    if ((alert >= ALERT_BAD_CERTIFICATE && alert <= ALERT_ACCESS_DENIED) ||
        alert == ALERT_CERTIFICATE_REQUIRED)
        return COVEY_ERR_REFUSED;
    return COVEY_ERR_PROTOCOL;
}

static struct cv_quic_close closed_by_peer(struct cv_quic_conn *c)
{
    if (c->got_reset)
        return (struct cv_quic_close){.error = COVEY_ERR_CONNECTION_LOST, .by_peer = true};
    cv_ngtcp2_close received = cv_ngtcp2_close_received(c->native);
    struct cv_quic_close why = {.by_peer = true,
                                .application = received.type == CV_NGTCP2_CLOSE_APPLICATION,
                                .code = received.error_code};
    if (why.code == 0 || (why.application && why.code == CV_QUIC_CODE_AGED))
        why.error = COVEY_OK;
    else if (why.application && why.code == CV_QUIC_CODE_EXPIRED)
        why.error = COVEY_ERR_CERTIFICATE_EXPIRED;
    else if (why.application && why.code == CV_QUIC_CODE_DENIED)
        why.error = COVEY_ERR_REFUSED;
    else if (!why.application && why.code >= NGTCP2_CRYPTO_ERROR &&
             why.code <= (NGTCP2_CRYPTO_ERROR | 0xff))
        why.error = error_of_alert(why.code - NGTCP2_CRYPTO_ERROR);
    else
        why.error = COVEY_ERR_CONNECTION_LOST;
    return why;
}

static void fail_by_alert(struct cv_quic_conn *c)
{
    uint8_t alert = ngtcp2_conn_get_tls_alert(c->native);
    int refusal = cv_tls_session_refusal(c->tls);
    struct cv_quic_close why = {.error = refusal, .code = NGTCP2_CRYPTO_ERROR | alert};
    if (refusal == COVEY_OK)
        why.error =
            alert == ALERT_NO_APPLICATION_PROTOCOL ? COVEY_ERR_NO_PROTOCOL : COVEY_ERR_PROTOCOL;
    cv_conn_end(c, CV_FAREWELL_TRANSPORT, why.code, &why);
}

static void fail_by_callback(struct cv_quic_conn *c)
{
    struct cv_quic_close why = {.error = COVEY_ERR_NO_MEMORY, .code = NGTCP2_INTERNAL_ERROR};
    if (c->id_flood) {
        c->endpoint->stats.connection_id_floods++;
        why =
            (struct cv_quic_close){.error = COVEY_ERR_PROTOCOL, .code = NGTCP2_PROTOCOL_VIOLATION};
    }
    cv_conn_end(c, CV_FAREWELL_TRANSPORT, why.code, &why);
}

void cv_conn_fail(struct cv_quic_conn *c, int liberr)
{
    struct cv_quic_close why = {0};
    switch (liberr) {
    case NGTCP2_ERR_DRAINING:
        why = closed_by_peer(c);
        cv_conn_end(c, CV_FAREWELL_SILENT, 0, &why);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        why.error = COVEY_ERR_TIMEOUT;
        cv_conn_end(c, CV_FAREWELL_NONE, 0, &why);
        return;
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
        why.error = COVEY_ERR_PROTOCOL;
        cv_conn_end(c, CV_FAREWELL_NONE, 0, &why);
        return;
    case NGTCP2_ERR_CRYPTO:
        fail_by_alert(c);
        return;
    case NGTCP2_ERR_NOMEM:
    case NGTCP2_ERR_CALLBACK_FAILURE:
        fail_by_callback(c);
        return;
    default:
        why.error = COVEY_ERR_PROTOCOL;
        why.code = ngtcp2_err_infer_quic_transport_error_code(liberr);
        cv_conn_end(c, CV_FAREWELL_TRANSPORT, why.code, &why);
    }
}

void cv_conn_end(struct cv_quic_conn *c, enum cv_farewell farewell, uint64_t code,
                 const struct cv_quic_close *why)
{
    if (c->state != CV_CONN_OPENING && c->state != CV_CONN_READY)
        return;
    c->state = CV_CONN_ENDED;
    c->farewell = farewell;
    c->farewell_code = code;
    c->why = *why;
    cv_conn_mark_dirty(c);
}

static cv_ngtcp2_close make_close(const struct cv_quic_conn *c)
{
    cv_ngtcp2_close close;
    if (c->farewell == CV_FAREWELL_TRANSPORT)
        cv_ngtcp2_close_set_transport(&close, c->farewell_code);
    else if (c->wrote_ready)
        cv_ngtcp2_close_set_application(&close, c->farewell_code);
    else
        cv_ngtcp2_close_set_transport(&close, NGTCP2_APPLICATION_ERROR);
    return close;
}

/* Without memory nothing is kept and late packets meet silence. */
static void keep_last_words(struct cv_quic_conn *c, const uint8_t *packet, size_t size)
{
    c->last_words = cv_allocate(c->endpoint->alloc, size);
    if (c->last_words == NULL)
        return;
    memcpy(c->last_words, packet, size);
    c->last_words_size = size;
}

static void say_goodbye(struct cv_quic_conn *c, const struct cv_datagram_sink *sink)
{
    if (c->farewell != CV_FAREWELL_TRANSPORT && c->farewell != CV_FAREWELL_APPLICATION)
        return;
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    cv_ngtcp2_close close = make_close(c);
    uint8_t *room = sink->reserve(sink->user, CV_QUIC_PACKET_SIZE_MAX);
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        c->native, &path.path, &info, room, CV_QUIC_PACKET_SIZE_MAX, &close, c->endpoint->now);
    /* Nothing can be said to a peer that was never heard of. */
    if (n <= 0)
        return;
    keep_last_words(c, room, (size_t)n);
    c->local = cv_path_address(&path.path.local);
    c->remote = cv_path_address(&path.path.remote);
    sink->commit(sink->user, &c->local, &c->remote, (uint8_t)info.ecn, (size_t)n);
    c->endpoint->stats.packets_sent++;
}

static void log_refusal(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    uint64_t suppressed;
    char text[CV_ADDRESS_TEXT_SIZE];
    if (c->was_ready || !c->is_accepted ||
        !cv_log_limit_pass(&e->refusals_logged, e->now, COVEY_SECOND, &suppressed))
        return;
    const char *refusal = cv_tls_session_refusal_text(c->tls);
    cv_log_line(e->config.log, CV_LOG_INFO, "handshake with %s failed: %s (%llu more not shown)",
                cv_address_text(&c->remote, text),
                refusal != NULL ? refusal : covey_strerror(c->why.error),
                (unsigned long long)suppressed);
}

void cv_conn_notify_closed(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    struct cv_quic_stream *s;
    while ((s = TAILQ_FIRST(&c->streams)) != NULL)
        cv_stream_closed(s);
    if (!c->is_accepted || c->was_ready)
        e->config.events.conn_closed(e->config.events_user, c, &c->why);
}

static void count_ended(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    e->stats.connections_open--;
    if (c->is_accepted)
        e->accepted--;
    if (!c->was_ready) {
        e->stats.handshakes_failed++;
        if (c->is_accepted)
            e->stats.handshakes_open--;
    }
}

void cv_conn_finish(struct cv_quic_conn *c, const struct cv_datagram_sink *sink)
{
    struct cv_quic_endpoint *e = c->endpoint;
    assert(c->state == CV_CONN_ENDED);
    covey_time linger = LINGER_PTOS * ngtcp2_conn_get_pto(c->native);
    say_goodbye(c, sink);
    log_refusal(c);
    count_ended(c);
    cv_conn_notify_closed(c);
    if (c->farewell == CV_FAREWELL_NONE || e->lingering >= CV_LINGERING_MAX) {
        cv_conn_free(c);
        return;
    }
    cv_conn_release_native(c);
    c->state = CV_CONN_LINGERING;
    e->lingering++;
    cv_heap_set(&e->timers, &c->timer, e->now + linger);
}

void cv_conn_linger_receive(struct cv_quic_conn *c, const struct cv_datagram *d)
{
    c->late_packets++;
    /* The 1st, 2nd, 4th, 8th ...: a peer that did not hear us does so soon, and one that does not
     * want to costs next to nothing. */
    bool is_due = (c->late_packets & (c->late_packets - 1)) == 0;
    if (!is_due || c->last_words == NULL || !cv_address_equal(&d->remote, &c->remote) ||
        c->last_words_size > AMPLIFICATION_MAX * d->bytes.size)
        return;
    c->answer_due = true;
    cv_conn_mark_dirty(c);
}

void cv_conn_linger_answer(struct cv_quic_conn *c, const struct cv_datagram_sink *sink)
{
    if (!c->answer_due)
        return;
    c->answer_due = false;
    uint8_t *room = sink->reserve(sink->user, c->last_words_size);
    memcpy(room, c->last_words, c->last_words_size);
    sink->commit(sink->user, &c->local, &c->remote, 0, c->last_words_size);
    c->endpoint->stats.packets_sent++;
}
