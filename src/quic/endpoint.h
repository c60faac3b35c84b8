#ifndef CV_QUIC_ENDPOINT_H
#define CV_QUIC_ENDPOINT_H

#include "base/alloc.h"
#include "base/log.h"
#include "quic/conn.h"
#include "quic/tls.h"
#include "transport/transport.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * QUIC version 1 (RFC 9000) without a socket: many connections, dialled and accepted, behind one
 * UDP address. Datagrams and the time go in; datagrams, callbacks and a deadline come out.
 *
 *      receive(datagram, now)        flush(sink, now)
 *             |                             ^
 *             v                             |
 *      +---------------- endpoint -----------------+
 *      |  connection ids -> conn   dirty list      |     callbacks: struct cv_quic_events
 *      |  timers                   token secrets   | --> (they only note things down)
 *      +-------------------------------------------+
 *             ^                             |
 *        expire(now)                    deadline()
 *
 * One turn of a driver: receive() all that is there, act on what the callbacks noted, expire() when
 * the deadline has passed, then flush() once. Calls made in one turn share packets that way.
 *
 * Connection ids of ours are 16 bytes: the number of the loop, then random ones. Several endpoints,
 * each on a loop of its own, may share one address; transport/route.h says which of them a packet
 * belongs to. What comes to another one and is of none of its connections is handed over, at most
 * once: `handed_over` of a datagram ends its way. Any of them can answer for all (Retry, stateless
 * reset), because they share a secret. Stateless resets that peers send name no loop: they are
 * handed to loop 0, which is the only one to dial from a shared address.
 *
 * One thread at a time.
 */

#define CV_QUIC_CID_SIZE 16

struct cv_quic_endpoint;

struct cv_quic_limits {
    uint32_t connections_max; /* accepted ones, 4096 */
    uint32_t
        handshakes_retry; /* unfinished accepted handshakes above which a Retry is asked for, 256 */
    uint32_t handshakes_max;      /* above which an Initial is dropped, 1024 */
    uint32_t streams_max;         /* that a peer may have open on a connection, 1024 */
    uint32_t datagrams_max;       /* outgoing DATAGRAM frames queued for a connection, 256 */
    uint64_t stream_window;       /* bytes a peer may send ahead on a stream, 256 KiB */
    uint64_t connection_window;   /* and on a connection, 1 MiB */
    uint64_t send_buffer_max;     /* bytes waiting or unacknowledged on a stream, 1 MiB */
    uint64_t send_total_max;      /* on all streams of a connection, 8 MiB; but a stream that has
                                     nothing there may always write 64 KiB */
    covey_time handshake_timeout; /* 5 s; three times that to a member that answers,
                                     and for accepted ones while less than half of handshakes_max
                                     are open */
    covey_time idle_timeout;      /* 120 s */
    covey_time initial_rtt;       /* 100 ms */
    covey_time age_max;           /* of a connection, 1 h; COVEY_NEVER: as long as certificates */
    uint32_t
        connection_ids_max; /* of ours that a peer may have made us issue and not yet retired, 24 */
};

void cv_quic_limits_init(struct cv_quic_limits *limits);

struct cv_quic_config {
    const struct cv_alloc *alloc;
    const struct cv_alloc *buffers; /* of what streams send; NULL: as `alloc` */
    const struct cv_log *log;
    struct cv_tls *tls; /* borrowed; NULL is not allowed */
    struct cv_quic_limits limits;
    struct cv_quic_events events;
    void *events_user;
    bool accept;         /* serve: without it Initial packets are dropped */
    uint8_t loop;        /* the number that our connection ids carry */
    unsigned loop_count; /* that share the address; 0 and 1: this one has it alone, whatever its
                            number. Loops but 0 then refuse the cluster's protocol as one that they
                            do not speak */
    /* This datagram belongs to loop `loop`, another than this one; borrowed for the call. Called
     * from inside receive(); must not call an endpoint. NULL: everything is taken as our own. */
    void (*hand_over)(void *user, unsigned loop, const struct cv_datagram *d);
    void *hand_over_user;
    /* True: what is dialled from `remote` now, where no connection is yet, is dropped unread. NULL: none
     * is. From inside receive(); must not call an endpoint. */
    bool (*is_in_vain)(void *user, const struct cv_address *remote);
    void *is_in_vain_user;
    /* Fills with unpredictable bytes: ids, tokens, path challenges. Never fails. */
    void (*random)(void *user, void *memory, size_t size);
    void *random_user;
    /* Secret of Retry and stateless reset tokens: the same on all loops that share an address. */
    uint8_t secret[32];
};

/* Copies the configuration, whose `loop` is below `loop_count` when there are several. 0 or
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_quic_endpoint_new(const struct cv_quic_config *config,
                                        struct cv_quic_endpoint **out);
/* Drops every connection without a word to the peer; conn_closed is called for each with
 * COVEY_ERR_CLOSED. To say goodbye, close them and flush first. NULL is allowed. */
void cv_quic_endpoint_free(struct cv_quic_endpoint *e);

/*
 * One received datagram. Never fails: what is not understood is dropped and counted. One that
 * another loop handed over has `handed_over` set.
 */
void cv_quic_endpoint_receive(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                              covey_time now);

/* Before the end: no connection is accepted any more, and those that are being accepted, which nobody
 * above knows yet, are closed. Their peers may hold them for ready. */
void cv_quic_endpoint_stop_accepting(struct cv_quic_endpoint *e);

/* Ends the connections with those whom the TLS context denies now, also those that are being made. */
void cv_quic_endpoint_close_denied(struct cv_quic_endpoint *e);

/*
 * Somebody says that nothing listens at `remote` (ICMP): a hint that anybody can forge, so only
 * dials that have heard nothing from there believe it and end with COVEY_ERR_UNREACHABLE.
 */
void cv_quic_endpoint_unreachable(struct cv_quic_endpoint *e, const struct cv_address *remote,
                                  covey_time now);

/* True while a connection that was dialled from there is being accepted: nobody has proven to be there
 * yet. */
bool cv_quic_endpoint_is_accepting(const struct cv_quic_endpoint *e,
                                   const struct cv_address *remote);

struct cv_quic_dial {
    struct cv_address local; /* may be a wildcard */
    struct cv_address remote;
    enum cv_alpn alpn;
    const covey_node_id *expected; /* NULL: any member */
    void *user;                    /* the connection's user pointer */
};

/*
 * Starts a connection. Its outcome is one callback, conn_ready or conn_closed, never from inside
 * this function. 0 and *out, COVEY_ERR_NO_MEMORY; COVEY_ERR_CLOSED while the endpoint is being
 * freed.
 */
COVEY_MUST_USE int cv_quic_endpoint_dial(struct cv_quic_endpoint *e,
                                         const struct cv_quic_dial *dial, covey_time now,
                                         struct cv_quic_conn **out);

/* When expire() is due; COVEY_NEVER when nothing is. */
covey_time cv_quic_endpoint_deadline(const struct cv_quic_endpoint *e);
/* Loss detection, acknowledgement, idle and handshake timers up to `now`. */
void cv_quic_endpoint_expire(struct cv_quic_endpoint *e, covey_time now);
/* Writes the packets of every connection that has something to send, then frees the connections
 * that ended (their conn_closed was called). */
void cv_quic_endpoint_flush(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                            covey_time now);
/* The same, for a user who is about to say more: what is nothing but an acknowledgement waits for that,
 * or for the time that it may take. */
void cv_quic_endpoint_flush_lazily(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                                   covey_time now);
/*
 * The part of a flush that a peer waits for: of the last few connections that something came for, those
 * that have small stream data to send, such as an answer or the next call. Acknowledgements and bulk
 * data, which are cheaper together, are left to flush().
 */
void cv_quic_endpoint_flush_small(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                                  covey_time now);
/* True when flush() would write something. */
bool cv_quic_endpoint_is_dirty(const struct cv_quic_endpoint *e);

struct cv_quic_stats {
    uint64_t packets_received;
    uint64_t packets_sent;
    uint64_t packets_dropped;     /* undecodable, unknown, refused for a limit */
    uint64_t packets_handed_over; /* received here, given to another loop */
    uint64_t packets_taken_over;  /* received by another loop, given to this one */
    uint64_t connections_accepted;
    uint64_t connections_dialled;
    uint64_t connections_open; /* now, handshakes included */
    uint64_t handshakes_open;  /* accepted ones, now */
    uint64_t handshakes_failed;
    uint64_t handshakes_spared; /* datagrams dropped by is_in_vain() */
    uint64_t retries_sent;
    uint64_t resets_sent; /* stateless ones */
    uint64_t version_negotiations_sent;
    uint64_t frames_guarded;       /* duplicate NEW_CONNECTION_ID frames made harmless */
    uint64_t connection_id_floods; /* connections closed for asking for too many ids */
    uint64_t control_floods;       /* connections closed for frames that carry nothing */
    uint64_t datagrams_shed;       /* outgoing DATAGRAM frames dropped at the queue's bound */
    uint64_t connections_retired;  /* told to be replaced */
    uint64_t connections_aged;     /* closed at their age, in use or not */
    uint64_t connections_expired;  /* closed at the end of a certificate, in use or not */
    uint64_t connections_denied;   /* closed because the peer was denied */
};
void cv_quic_endpoint_stats(const struct cv_quic_endpoint *e, struct cv_quic_stats *out);

#endif
