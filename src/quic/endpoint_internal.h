#ifndef CV_QUIC_ENDPOINT_INTERNAL_H
#define CV_QUIC_ENDPOINT_INTERNAL_H

#include "base/bucket.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/ring.h"
#include "quic/conn_internal.h"
#include "quic/endpoint.h"
#include "quic/qcompat.h"

#include <sys/queue.h>

/* Largest packet that we build; path MTU discovery finds out whether the path takes it. */
#define CV_QUIC_PACKET_SIZE_MAX 1452

/* Replies to strangers: Version Negotiation, Retry, stateless reset. */
#define CV_REPLY_SIZE_MAX 256
#define CV_REPLIES_MAX    64

/* Stream objects kept for the next ones. */
#define CV_STREAMS_POOLED_MAX 1024

/* Connections that are over and still answer; beyond that a late packet gets a stateless reset. */
#define CV_LINGERING_MAX 1024

/* A stateless reset of ours must be smaller than what triggers it, so that two endpoints cannot keep
 * each other busy, and large enough to look like a packet (RFC 9000 section 10.3). */
#define CV_RESET_SIZE         40
#define CV_RESET_TRIGGER_SIZE (CV_RESET_SIZE + 2)

struct cv_reply {
    struct cv_address local;
    struct cv_address remote;
    size_t size;
    uint8_t bytes[CV_REPLY_SIZE_MAX];
};

/* More than a datagram can hold: STOP_SENDING and the frame that opens the stream, 3 bytes each. */
#define CV_EARLY_STOPS_MAX 256
struct cv_early_stop {
    int64_t stream_id;
    uint64_t code;
};

TAILQ_HEAD(cv_conn_list, cv_quic_conn);

struct cv_quic_endpoint {
    struct cv_quic_config config;
    const struct cv_alloc *alloc;
    ngtcp2_mem memory;
    covey_time now;        /* never goes back */
    uint64_t clock_offset; /* the wall clock's lead on it, in ms, when it was last looked at */
    bool is_freeing;
    struct cv_map ids;           /* our connection ids -> conn */
    struct cv_quic_conn *recent; /* whose id the last known packet carried; NULL: unknown */
    uint8_t recent_id[CV_QUIC_CID_SIZE];
    struct cv_map tokens; /* the peers' stateless reset tokens -> conn */
    struct cv_heap timers;
    struct cv_conn_list conns; /* in order of creation */
    struct cv_conn_list dirty;
    struct cv_ring replies;
    struct cv_stream_list pool;
    size_t pooled;
    size_t conn_count; /* lingering ones too */
    size_t accepted;   /* now */
    size_t lingering;  /* now */
    struct cv_bucket resets;
    struct cv_log_limit refusals_logged;
    /* STOP_SENDING frames of the datagram that is being read for streams that it opens itself. */
    struct cv_early_stop early_stops[CV_EARLY_STOPS_MAX];
    size_t early_stop_count;
    struct cv_quic_stats stats;
};

void cv_endpoint_random(struct cv_quic_endpoint *e, void *memory, size_t size);
/* A connection id of ours: the number of the loop, then 15 random bytes. */
void cv_endpoint_make_id(struct cv_quic_endpoint *e, ngtcp2_cid *id);
/* False on the loops of a shared address that do not serve the cluster. */
bool cv_endpoint_serves_cluster(const struct cv_quic_endpoint *e);

/* conn_life.c: looks whether the wall clock jumped, and if so at all connections. */
void cv_endpoint_watch_clock(struct cv_quic_endpoint *e);

/* endpoint_accept.c: a datagram that belongs to no connection. */
void cv_endpoint_accept(struct cv_quic_endpoint *e, const struct cv_datagram *d);
void cv_endpoint_negotiate_version(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                                   const ngtcp2_version_cid *ids);
void cv_endpoint_reset_stranger(struct cv_quic_endpoint *e, const struct cv_datagram *d);
void cv_endpoint_retry(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                       const ngtcp2_pkt_hd *header);

#endif
