#ifndef CV_NODE_INTERNAL_H
#define CV_NODE_INTERNAL_H

#include "base/heap.h"
#include "base/recycler.h"
#include "node/identities.h"
#include "node/link.h"
#include "node/node.h"
#include "transport/connection_pool.h"

#include <sys/queue.h>

/*
 * A node's connections are of two kinds: links carry RPC, peers carry gossip. Both begin with a
 * head, which is what the QUIC connection's user pointer names.
 */
enum cv_conn_kind { CV_CONN_LINK, CV_CONN_PEER };

struct cv_conn_head {
    struct cv_timer timer; /* first: a timer that fired names its head */
    enum cv_conn_kind kind;
    struct cv_node *node;
    struct cv_quic_conn *conn; /* NULL before the dial and after the close */
};

/* Application codes of CONNECTION_CLOSE; 16 and above are the QUIC layer's (quic/conn.h). */
enum cv_close_code {
    CV_CLOSE_DONE = 0,
    CV_CLOSE_SUPERSEDED = 1, /* another connection with the same peer stays */
    CV_CLOSE_UNWANTED = 2,   /* the cluster is off here, or it is our own connection */
    CV_CLOSE_LIMIT = 3,      /* too many peers, or no memory for one more */
    CV_CLOSE_PROTOCOL = 4,   /* the peer sent what its role does not allow */
    CV_CLOSE_IDLE = 5 /* nothing of the peer's runs here: what it has on its way is not begun */
};

struct cv_link {
    struct cv_conn_head head;
    void *user;
    struct cv_identity_share *share; /* an accepted one's, of its peer; or NULL */
    struct cv_rpc_conn *rpc;
    bool is_ready;
    bool is_closed; /* no connection any more; freed when the last call is released */
    bool is_dirty;
    bool told_closed;
    bool is_closing;                 /* the peer broke a rule ... */
    enum cv_close_code closing_code; /* ... that this says */
    uint64_t closing_turn;           /* since then: it is closed in the next */
    bool is_busy;                    /* it is ready and has calls */
    covey_time busy_since;
    covey_time silence_check; /* when it is looked whether the peer is silent */
    bool is_retiring;         /* to be closed when nothing runs on it */
    int error;                /* why it closed */
    struct cv_address remotes[CV_LINK_REMOTES_MAX]; /* still to be tried */
    size_t remote_count;
    size_t remote_next;
    bool has_expected;
    covey_node_id expected;
    TAILQ_ENTRY(cv_link) all;
    STAILQ_ENTRY(cv_link) dirty;
    LIST_ENTRY(cv_link) closing;
};

struct cv_gossip_conn {
    struct cv_conn_head head;  /* the timer closes a superseded one */
    struct cv_pooled pooled;   /* once it is ready */
    struct cv_pool_slot *dial; /* the pool's dial not yet answered, or NULL */
    bool is_ready;
    bool is_told;    /* the core knows that it is connected */
    bool is_watched; /* it is pinged when nothing is heard: it had a check before */
    TAILQ_ENTRY(cv_gossip_conn) all;
};

/* The last publication, and what the next one is for beside what changed. */
struct cv_publication {
    uint64_t version; /* the registry's */
    struct cv_partition_status partition;
    covey_time due; /* the next one, unless it is urgent */
    bool is_wanted; /* an event waits for it */
    bool is_urgent; /* somebody waits for it */
};

struct cv_node {
    const struct cv_alloc *alloc;
    const struct cv_alloc *buffers; /* the memory of messages: the user's, or */
    struct cv_recycler recycler;
    const struct cv_log *log;
    struct cv_tls *tls;
    struct cv_rpc_limits rpc_limits;
    struct cv_address local;
    bool serves_cluster; /* false on the other loops of a shared address */
    bool serves_calls;   /* false on the loop of membership, when there are others */
    struct cv_node_events events;
    void *events_user;
    void (*random)(void *user, void *memory, size_t size);
    void *random_user;

    struct cv_quic_endpoint *endpoint;
    struct cv_heap timers;
    size_t heads; /* timers that may be set at once */
    covey_time now;
    uint64_t wall_ms;
    uint64_t turn; /* ends when all is written */

    TAILQ_HEAD(, cv_link) links;
    STAILQ_HEAD(, cv_link) dirty_links;
    LIST_HEAD(, cv_link) closing_links;
    bool drains;
    struct cv_identities identities;
    struct cv_rpc_stats rpc_stats; /* of the links that are gone */

    struct cv_membership *membership;
    bool cluster_is_drained; /* now: its outputs are being acted on */
    bool cluster_is_dirty;   /* the core took an input since it was last polled */
    bool cluster_ends;       /* disable_cluster() was called; the next turn does it */
    struct cv_publication published;
    struct cv_connection_pool pool;
    LIST_HEAD(, cv_gossip_dial) dials; /* what the core waits for */
    TAILQ_HEAD(, cv_gossip_conn) peers;
    struct cv_node_stats stats;
};

/* Registers a head's timer. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_conn_head_init(struct cv_conn_head *head, struct cv_node *node,
                                     enum cv_conn_kind kind);
void cv_conn_head_fini(struct cv_conn_head *head);

/* node_links.c */
void cv_node_links_init(struct cv_node *node);
/* One round of what the links have to do. */
void cv_node_links_run(struct cv_node *node);
/* Closes those that were to be closed after the last flush. */
void cv_node_links_close_due(struct cv_node *node);
bool cv_node_links_are_dirty(const struct cv_node *node);
void cv_node_links_free(struct cv_node *node);
/* An accepted connection of the RPC protocol; NULL without memory. */
struct cv_link *cv_link_accept(struct cv_node *node, struct cv_quic_conn *c);
void cv_link_connected(struct cv_link *link);
void cv_link_conn_retiring(struct cv_link *link);
/* `none_begun`: the peer closed it with CV_CLOSE_IDLE. */
void cv_link_disconnected(struct cv_link *link, int error, bool none_begun);
void cv_link_deadline(struct cv_link *link);
void cv_link_streams_available(struct cv_link *link);
void cv_link_stream_opened(struct cv_link *link, struct cv_quic_stream *s);
void cv_link_stream_data(struct cv_link *link, struct cv_quic_stream *s, struct cv_slice bytes,
                         bool fin);
/* STREAM_RESET, STREAM_STOPPED, STREAM_WRITABLE or STREAM_CLOSED. */
void cv_link_stream_event(struct cv_link *link, struct cv_quic_stream *s,
                          enum cv_rpc_input_type type, uint64_t code);

void cv_link_mark_dirty(struct cv_link *link);

/* node_calls.c: nobody has heard of the stream, or can be told anything on it. */
void cv_link_abandon_stream(struct cv_quic_stream *s);

/* node_publish.c */
/* At the end of a turn, if it is due. */
void cv_node_cluster_publish(struct cv_node *node);
/* COVEY_NEVER when there is nothing to publish. */
covey_time cv_node_publish_deadline(const struct cv_node *node);

/* node_cluster.c */
void cv_node_cluster_init(struct cv_node *node);
/* One round of what membership wants done. */
void cv_node_cluster_run(struct cv_node *node);
void cv_node_cluster_free(struct cv_node *node);
/* An input to the core, at the node's time. As cv_membership_step(). */
int cv_node_cluster_step(struct cv_node *node, struct cv_input *input);
void cv_gossip_conn_datagram(struct cv_gossip_conn *peer, struct cv_slice bytes);
void cv_gossip_conn_stream_opened(struct cv_gossip_conn *peer, struct cv_quic_stream *s);
void cv_gossip_conn_stream_data(struct cv_gossip_conn *peer, struct cv_quic_stream *s,
                                struct cv_slice bytes, bool fin);
void cv_gossip_conn_stream_closed(struct cv_gossip_conn *peer, struct cv_quic_stream *s);

/* node_pool.c: the connections that gossip travels on. */
void cv_node_pool_init(struct cv_node *node, const struct cv_membership_config *config);
void cv_node_pool_fini(struct cv_node *node);
/* The core's outputs. */
void cv_node_pool_dial(struct cv_node *node, const struct cv_output *out);
void cv_node_pool_close(struct cv_node *node, const struct cv_output *out);
/* The connection to send something on; NULL when there is none. */
struct cv_gossip_conn *cv_node_pool_use(struct cv_node *node, const covey_node_id *peer);
/* Does what the pool wants done, and what its timers want. */
void cv_node_pool_run(struct cv_node *node);
/* For the endpoint: a dial from there is not worth a handshake. */
bool cv_node_pool_is_in_vain(void *user, const struct cv_address *remote);
void cv_node_tell_disconnected(struct cv_node *node, const covey_node_id *id);
struct cv_gossip_conn *cv_gossip_conn_accept(struct cv_node *node, struct cv_quic_conn *c);
void cv_gossip_conn_connected(struct cv_gossip_conn *peer);
/* Dials its successor, which takes its place when it is ready. */
void cv_gossip_conn_retire(struct cv_gossip_conn *peer);
void cv_gossip_conn_disconnected(struct cv_gossip_conn *peer, int error);

#endif
