#ifndef CV_QUIC_CONN_INTERNAL_H
#define CV_QUIC_CONN_INTERNAL_H

#include "base/bucket.h"
#include "base/heap.h"
#include "base/ring.h"
#include "quic/conn.h"
#include "quic/endpoint.h"
#include "quic/frame_guard.h"
#include "quic/lifetime.h"
#include "quic/path.h"
#include "quic/qcompat.h"
#include "quic/send_buffer.h"
#include "quic/stream_table.h"

#include <sys/queue.h>

/*
 * How a connection lives.
 *
 *     dial, Initial          ready            close, error          3 PTO
 *   ----------------> OPENING ----> READY ---------------> ENDED ---------> (gone)
 *                        |                                   |  flush()       ^
 *                        +---------------------------------->+---> LINGERING -+
 *
 * The library's callbacks only note things down: what follows from them happens in flush(). ENDED
 * says that the connection is over and flush() has to say so, to the peer and to the user.
 * LINGERING is what is left afterwards: no library object and no user, only our connection ids and
 * the packet that answers late ones.
 */
enum cv_conn_state { CV_CONN_OPENING, CV_CONN_READY, CV_CONN_ENDED, CV_CONN_LINGERING };

/* What the peer is told at the end. */
enum cv_farewell {
    CV_FAREWELL_NONE,       /* nothing, and late packets are strangers: it was never one */
    CV_FAREWELL_SILENT,     /* nothing: the peer knows, or is not there */
    CV_FAREWELL_TRANSPORT,  /* CONNECTION_CLOSE with a transport code */
    CV_FAREWELL_APPLICATION /* with an application code */
};

/* Our connection ids: the library has at most 8 at a time, and there is the first one that the
 * client chose. */
#define CV_CONN_IDS_MAX 16
/* An acknowledgement waits for company at most that long: at loss the tail latency follows it. */
#define CV_ACK_DELAY (1 * COVEY_MILLISECOND)

/* A dial to a member that answers, or one that is accepted, may take so many handshake timeouts to be ready. */
#define CV_HEARD_PATIENCE 3

/* Stateless reset tokens of the peer's ids that are in use. */
#define CV_CONN_TOKENS_MAX 8

struct cv_conn_id {
    uint8_t size; /* 0: free */
    uint8_t bytes[NGTCP2_MAX_CIDLEN];
};

struct cv_conn_token {
    bool used;
    uint64_t sequence;
    uint8_t bytes[NGTCP2_STATELESS_RESET_TOKENLEN];
};

struct cv_queued_datagram {
    uint8_t *bytes;
    size_t size;
};

TAILQ_HEAD(cv_stream_list, cv_quic_stream);

struct cv_quic_conn {
    struct cv_quic_endpoint *endpoint;
    enum cv_conn_state state;
    bool is_accepted;
    bool counted_handshake; /* among the endpoint's unfinished ones */
    bool is_dirty;
    bool was_heard;   /* a datagram came that belongs to it */
    bool was_awaited; /* it was given more time to be ready than one that is not heard */
    bool was_ready;
    bool is_confirmed;   /* the handshake is over on both sides */
    bool is_tls_settled; /* cv_tls_session_settle() */
    bool is_due;         /* a timer has fired since the last write */
    bool wrote_ready;    /* a packet was written since it is ready: see conn_close.c */
    bool wants_streams;
    bool got_reset; /* stateless */
    bool id_flood;
    bool out_of_memory;
    enum cv_alpn alpn;
    void *user;
    struct cv_address local;
    struct cv_address remote;
    ngtcp2_conn *native;
    struct cv_tls_session *tls;
    ngtcp2_crypto_conn_ref ref;
    struct cv_timer timer;
    TAILQ_ENTRY(cv_quic_conn) link;
    TAILQ_ENTRY(cv_quic_conn) dirty_link;

    struct cv_conn_id ids[CV_CONN_IDS_MAX];
    struct cv_conn_token tokens[CV_CONN_TOKENS_MAX];
    struct cv_bucket ids_issued;
    struct cv_frame_guard guard;
    struct cv_frame_report report; /* of the datagram that is being read */
    size_t packet_size_max;        /* that we build; see conn_write.c */
    covey_time heard_at;           /* when the last packet with a short header came; 0: none yet */
    covey_time progress_at; /* when something was acknowledged, or nothing was waiting for it */
    covey_time probe_at;    /* when datagrams without an answer are probed for, COVEY_NEVER */
    struct cv_bucket control_frames;
    struct cv_lifetime life; /* from READY on; see conn_life.c */
    covey_time life_at;      /* when it is to be judged, or given up before READY */

    struct cv_stream_table table;
    struct cv_stream_list streams; /* all, in order of opening */
    struct cv_stream_list sending; /* those with something to send and credit for it */
    struct cv_stream_list pending; /* those with a reset or stop to be handed to the library */
    struct cv_stream_list stopped; /* those that the peer stopped and the user was not told of */
    struct cv_stream_list waiting; /* those whose write found `buffered` too large */
    uint64_t buffered;             /* what all streams have waiting or unacknowledged */
    uint64_t streams_accepted;     /* of the peer's, open now */
    uint64_t streams_returned;     /* of the peer's, closed and not yet given back */
    uint64_t streams_lent;         /* given before they were closed: see conn_read.c */
    struct cv_ring datagrams;      /* struct cv_queued_datagram */

    enum cv_farewell farewell;
    uint64_t farewell_code;
    struct cv_quic_close why;

    uint8_t *last_words; /* LINGERING: the packet that answers, NULL for none */
    size_t last_words_size;
    uint64_t late_packets;
    bool answer_due;
};

struct cv_quic_stream {
    struct cv_stream_entry entry; /* first: an entry found names its stream */
    struct cv_quic_conn *conn;
    void *user;
    TAILQ_ENTRY(cv_quic_stream) link;
    TAILQ_ENTRY(cv_quic_stream) sending_link;
    uint64_t received; /* bytes handed to the user or dropped for it */
    uint64_t consumed; /* of these, given back to the stream's window */
    uint64_t credited; /* and to the connection's */
    bool is_accepted;
    bool is_sending;      /* in conn->sending */
    bool is_blocked;      /* by the peer's window of this stream */
    bool is_pending;      /* in conn->pending */
    bool is_peer_stopped; /* in conn->stopped */
    bool is_waiting;      /* in conn->waiting */
    bool wants_reset;
    bool wants_stop;
    bool fin_queued;
    bool fin_sent;
    bool is_reset;   /* our sending side is over before its end */
    bool is_stopped; /* the user reads no more */
    bool fin_received;
    uint32_t
        turn_size; /* bytes written since its turn began, 0 outside of sending; see conn_write.c */
    struct cv_send_buffer out;

    /* Only of streams of which a flag above says so: most never touch what follows. */
    TAILQ_ENTRY(cv_quic_stream) pending_link;
    TAILQ_ENTRY(cv_quic_stream) stopped_link;
    TAILQ_ENTRY(cv_quic_stream) waiting_link;
    uint64_t reset_code;
    uint64_t stop_code;
    uint64_t peer_stop_code;
};

/* conn.c */
int cv_conn_new_client(struct cv_quic_endpoint *e, const struct cv_quic_dial *dial,
                       struct cv_quic_conn **out);
/* `original` is the client's first destination id; with `is_validated` it came out of a Retry
 * token. */
int cv_conn_new_server(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                       const ngtcp2_pkt_hd *header, const ngtcp2_cid *original, bool is_validated,
                       struct cv_quic_conn **out);
/* Frees what only a living connection needs: the library's objects, streams, datagrams. */
void cv_conn_release_native(struct cv_quic_conn *c);
/* Frees it without a word; it must not be known to the user any more. */
void cv_conn_free(struct cv_quic_conn *c);
void cv_conn_mark_dirty(struct cv_quic_conn *c);
/* The first usable moment, told once. */
void cv_conn_become_ready(struct cv_quic_conn *c);
int cv_conn_add_id(struct cv_quic_conn *c, const uint8_t *bytes, size_t size);
void cv_conn_remove_id(struct cv_quic_conn *c, const uint8_t *bytes, size_t size);
/* The stateless reset tokens by which the peer may end the connection. */
void cv_conn_add_token(struct cv_quic_conn *c, uint64_t sequence, const uint8_t *bytes);
void cv_conn_remove_token(struct cv_quic_conn *c, uint64_t sequence);
void cv_conn_drop_datagrams(struct cv_quic_conn *c);

/* conn_read.c */
/* One datagram; returns what the library says, 0 or an error to be given to cv_conn_fail(). */
int cv_conn_read(struct cv_quic_conn *c, const struct cv_datagram *d);
void cv_conn_expire(struct cv_quic_conn *c);
/* Datagrams are in flight: if nothing is acknowledged soon, expire() probes. */
void cv_conn_arm_probe(struct cv_quic_conn *c);
/* Looks at the frames of a packet of the connection that is being read. */
void cv_conn_inspect(struct cv_quic_conn *c, uint8_t *payload, size_t size);

/* conn_callbacks.c: what the library calls. */
extern const ngtcp2_callbacks cv_conn_client_callbacks;
extern const ngtcp2_callbacks cv_conn_server_callbacks;
/* The connection whose datagram is being read on this thread: the decrypt callback has no argument
 * to find it by. */
void cv_conn_set_reading(struct cv_quic_conn *c);

/* conn_write.c: writes packets until there is nothing left to write, and sets the timer. */
void cv_conn_write(struct cv_quic_conn *c, const struct cv_datagram_sink *sink);
/* When that would write nothing but acknowledgements and credit: puts it off for the time that an
 * acknowledgement may take, or until something else is to be written. False: it cannot wait. */
bool cv_conn_postpone(struct cv_quic_conn *c);
/* Whether that would write streams, and no bulk data. */
bool cv_conn_has_small_data(const struct cv_quic_conn *c);

/* conn_life.c */
/* The connection is ready: its time begins. */
void cv_conn_begin_life(struct cv_quic_conn *c);
/* Retires or ends it when that is due, and says when to look again. */
void cv_conn_check_life(struct cv_quic_conn *c);

/* conn_close.c */
/* Notes down that it is over. The first reason counts. */
void cv_conn_end(struct cv_quic_conn *c, enum cv_farewell farewell, uint64_t code,
                 const struct cv_quic_close *why);
/* It ended by what the library returned. */
void cv_conn_fail(struct cv_quic_conn *c, int liberr);
/* Says goodbye to the peer and the user, then lingers or frees. */
void cv_conn_finish(struct cv_quic_conn *c, const struct cv_datagram_sink *sink);
/* Tells the user only. */
void cv_conn_notify_closed(struct cv_quic_conn *c);
/* A packet for a connection that is no more. */
void cv_conn_linger_receive(struct cv_quic_conn *c, const struct cv_datagram *d);
void cv_conn_linger_answer(struct cv_quic_conn *c, const struct cv_datagram_sink *sink);

/* stream.c */
struct cv_quic_stream *cv_stream_new(struct cv_quic_conn *c);
void cv_stream_attach(struct cv_quic_stream *s, int64_t id);
/* Takes it out of its connection and back into the pool. */
void cv_stream_release(struct cv_quic_stream *s);
void cv_stream_closed(struct cv_quic_stream *s);
void cv_stream_received(struct cv_quic_stream *s, struct cv_slice bytes, bool fin);
void cv_stream_peer_reset(struct cv_quic_stream *s, uint64_t code);
void cv_stream_acked(struct cv_quic_stream *s, uint64_t offset);
void cv_stream_unblocked(struct cv_quic_stream *s);
/* The peer's STOP_SENDING was seen; the user is told by cv_streams_tell_stopped(). */
void cv_stream_peer_stopped(struct cv_quic_stream *s, uint64_t code);
void cv_stream_leave_sending(struct cv_quic_stream *s);

/* Outside of the library's callbacks only: */
void cv_streams_tell_stopped(struct cv_quic_conn *c);
/* Hands resets and stops to the library. 0 or its error. */
int cv_streams_settle(struct cv_quic_conn *c);

#endif
