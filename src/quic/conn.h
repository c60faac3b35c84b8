#ifndef CV_QUIC_CONN_H
#define CV_QUIC_CONN_H

#include "base/address.h"
#include "base/slice.h"
#include "quic/stream.h"
#include "quic/tls.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * One connection of an endpoint. It belongs to the endpoint and is valid until its conn_closed
 * callback returns.
 */
struct cv_quic_conn;

/* Why a connection ended. */
struct cv_quic_close {
    int error; /* COVEY_OK: we closed it or the peer did with code 0. Otherwise COVEY_ERR_TIMEOUT
                  (idle or handshake), UNREACHABLE, CONNECTION_LOST (reset or closed with a code),
                  PROTOCOL, NO_PROTOCOL (wrong ALPN), REFUSED (the peer refused our certificate), or
                  why we refused its: CERTIFICATE, CERTIFICATE_EXPIRED, WRONG_CLUSTER, WRONG_ROLE,
                  WRONG_IDENTITY, DENIED; CLOSED (the endpoint was freed). At the end of its lifetime OK
                  by age, CERTIFICATE_EXPIRED by a certificate, whichever side saw it first */
    bool by_peer;
    bool application; /* `code` is an application code, not a transport one */
    uint64_t code;
};

/* Application codes of CONNECTION_CLOSE that this layer sends by itself. Users take those below. */
#define CV_QUIC_CODE_AGED    16 /* the connection reached its age */
#define CV_QUIC_CODE_EXPIRED 17 /* a certificate that opened it is valid no more */
#define CV_QUIC_CODE_DENIED  18 /* the peer was denied while it was connected: REFUSED there */

/*
 * What happens on connections and streams. The functions are called from inside receive(),
 * expire(), flush() and endpoint_free(); `user` is events_user of the configuration. Inside them
 * every function of conn.h and stream.h may be called, of endpoint.h only dial and stats: they note
 * down what is to be sent, the next flush() sends it. No pointer may be NULL.
 */
struct cv_quic_events {
    /* The handshake is confirmed and the peer's certificate accepted: for both sides the first sign
     * of a usable connection. An accepted connection is first heard of here. */
    void (*conn_ready)(void *user, struct cv_quic_conn *c);
    /* Its lifetime comes to its end (lifetime.h): new work belongs on another connection, and this
     * one is to be closed when what runs on it is done. Once, on each side at a time of its own;
     * a connection that lives less than 10 s only ends. */
    void (*conn_retiring)(void *user, struct cv_quic_conn *c);
    /* The last call about a connection, after stream_closed for each of its streams; also for a
     * dial that failed. Not called for accepted connections that never became ready. */
    void (*conn_closed)(void *user, struct cv_quic_conn *c, const struct cv_quic_close *why);
    /* The peer opened a stream. */
    void (*stream_opened)(void *user, struct cv_quic_stream *s);
    /* Bytes in order, borrowed for the call; `fin` with the last ones (which may be none). The
     * bytes count against the flow control window until cv_quic_stream_consume() gives them back.
     */
    void (*stream_data)(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin);
    /* The peer sends no more on this stream, what it sent may be incomplete (RESET_STREAM). */
    void (*stream_reset)(void *user, struct cv_quic_stream *s, uint64_t code);
    /* The peer reads no more (STOP_SENDING); our sending side is reset. */
    void (*stream_stopped)(void *user, struct cv_quic_stream *s, uint64_t code);
    /* Bytes were acknowledged, so there is room in the send buffer again. Not after our side ended.
     */
    void (*stream_writable)(void *user, struct cv_quic_stream *s);
    /* The last call about a stream: both directions are done and acknowledged, or the connection
     * ended. */
    void (*stream_closed)(void *user, struct cv_quic_stream *s);
    /* More streams may be opened, after cv_quic_conn_open() said COVEY_ERR_LIMIT. */
    void (*streams_available)(void *user, struct cv_quic_conn *c);
    /* A DATAGRAM frame (RFC 9221), borrowed for the call. */
    void (*datagram)(void *user, struct cv_quic_conn *c, struct cv_slice bytes);
};

void *cv_quic_conn_user(const struct cv_quic_conn *c);
void cv_quic_conn_set_user(struct cv_quic_conn *c, void *user);

/* Who the peer is; only from conn_ready on. Valid as long as the connection. */
const struct cv_identity *cv_quic_conn_peer(const struct cv_quic_conn *c);
/* Its certificate, DER; only from conn_ready on. Borrowed until the callback returns in which it was asked for;
 * outside of one, until the endpoint is called again. cv_certificate_names_read() takes further names out of it. */
struct cv_slice cv_quic_conn_peer_der(const struct cv_quic_conn *c);
/* When the first certificate ends of those that opened the connection, ours and the CAs included:
 * wall clock; only from conn_ready on. */
uint64_t cv_quic_conn_valid_until_ms(const struct cv_quic_conn *c);
/* conn_retiring was called. */
bool cv_quic_conn_is_retiring(const struct cv_quic_conn *c);
enum cv_alpn cv_quic_conn_alpn(const struct cv_quic_conn *c);
/* True when the peer dialled us. */
bool cv_quic_conn_is_accepted(const struct cv_quic_conn *c);
bool cv_quic_conn_is_ready(const struct cv_quic_conn *c);
struct cv_address cv_quic_conn_remote(const struct cv_quic_conn *c);
/* Some stream was not closed yet: the last of its bytes either way may still be under way. */
bool cv_quic_conn_has_streams(const struct cv_quic_conn *c);

/*
 * Opens a bidirectional stream. It stays invisible to the peer until bytes are written to it.
 * 0 and *out; COVEY_ERR_LIMIT until streams_available; COVEY_ERR_STATE before conn_ready or after
 * a close; COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_quic_conn_open(struct cv_quic_conn *c, struct cv_quic_stream **out);

/*
 * Queues one DATAGRAM frame: sent once, may be lost. The bytes are copied.
 * 0; COVEY_ERR_TOO_LARGE above cv_quic_conn_datagram_size_max(); COVEY_ERR_BUSY when the queue is
 * full (counted as shed); COVEY_ERR_STATE when not ready; COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_quic_conn_send_datagram(struct cv_quic_conn *c, struct cv_slice bytes);
/* What fits into one packet on this path now. */
size_t cv_quic_conn_datagram_size_max(const struct cv_quic_conn *c);

/*
 * Closes with an application code: nothing more is received, what is queued is not sent.
 * conn_closed comes from the next flush(). Before the first 1-RTT packet was written the close
 * travels as a transport error, because the installed library aborts otherwise. Closing twice does
 * nothing.
 */
void cv_quic_conn_close(struct cv_quic_conn *c, uint64_t code);

/* When the last packet came that only the peer can have sent, once keys were agreed on; 0 before. */
covey_time cv_quic_conn_heard_at(const struct cv_quic_conn *c);

/* True when anything came that belongs to it, which may be forged before the handshake is done. */
bool cv_quic_conn_was_heard(const struct cv_quic_conn *c);

/* Sends a PING when nothing was sent or received for `interval`; 0 switches it off. */
void cv_quic_conn_set_keep_alive(struct cv_quic_conn *c, covey_time interval);

#endif
