#ifndef CV_NODE_NODE_H
#define CV_NODE_NODE_H

#include "base/alloc.h"
#include "base/log.h"
#include "cluster/membership.h"
#include "node/link.h"
#include "quic/endpoint.h"
#include "transport/connection_pool.h"
#include "transport/transport.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * Everything behind one UDP address as one object without a socket, a thread or a clock: a QUIC
 * endpoint, RPC on its connections and, once it is switched on, membership.
 *
 *     receive(datagram)   ->  +----------------------------------+
 *     resolved(), command ->  |  QUIC endpoint -> links: RPC     |  -> callbacks: cv_node_events
 *                             |                -> peers: gossip  |
 *     turn(sink, now)    <->  +----------------------------------+  -> datagrams into the sink
 *
 * A driver calls receive() for all that came and then turn() once, and turn() again when the
 * deadline has come; between two receive()s it may call answer(). Callbacks are made from inside
 * receive(), answer(), turn() and free(); in them every function of node.h and link.h but these may
 * be called.
 *
 * One thread at a time.
 */
struct cv_node;

struct cv_node_events {
    /* Membership wants a host name's addresses: cv_node_resolved() answers, at once or later. */
    void (*resolve)(void *user, uint32_t resolve, const char *name);
    /* A cluster event; the receiver takes the reference to event->node. What it is about is in the
     * registry that the next cluster_changed() shows. So is what cluster_state() tells. */
    void (*cluster_event)(void *user, const struct cv_event *event);
    void (*cluster_state)(void *user, enum cv_membership_state state, int error);
    /* Show others the registry and the partition status now, and tell them what waited for that. Once a turn
     * at most, and 10 ms after the last time, unless a command or a state waits for it. False: not now; asked
     * again a millisecond later. */
    bool (*cluster_changed)(void *user);
    /* Membership is over, and its connections are being closed. */
    void (*cluster_ended)(void *user);
    /* One of the checks of CV_COMMAND_CHECK_ADD is to be run: a CV_INPUT_CHECK_RESULT answers. */
    void (*run_check)(void *user, uint64_t run, void *check);
    struct cv_link_events link;
};

struct cv_node_config {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    struct cv_tls *tls; /* borrowed */
    struct cv_quic_limits quic_limits;
    struct cv_rpc_limits rpc_limits;
    struct cv_address local; /* the socket's address */
    bool accept;             /* serve */
    unsigned
        identity_connections_max; /* accepted ones with calls, of one identity; 0: any number */
    /* Several nodes may share one address, each on a loop of its own: as in quic/endpoint.h. Calls are
     * then served by the others than 0: who comes there with them, by an id that covey's clients do not
     * choose, is sent away before his handshake is confirmed, so that nothing can have begun. */
    uint8_t loop;
    unsigned loop_count;
    void (*hand_over)(void *user, unsigned loop, const struct cv_datagram *d);
    void *hand_over_user;
    const uint8_t *secret;  /* 32 bytes, the same for all that share the address; NULL: one of its
                              own */
    size_t memory_kept_max; /* bytes of released buffers kept for the next ones, 0: none */
    const struct cv_alloc
        *buffers; /* for messages, in place of `alloc` and what is kept; or NULL */
    void (*random)(void *user, void *memory, size_t size);
    void *random_user;
    struct cv_node_events events;
    void *events_user;
};

/* Copies the configuration. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_node_new(const struct cv_node_config *config, struct cv_node **out);
/* Drops all connections without a word (cv_node_close() says goodbye) and frees; every link is
 * closed before it returns. NULL is allowed. */
void cv_node_free(struct cv_node *node);

void cv_node_receive(struct cv_node *node, const struct cv_datagram *d, covey_time now);
/* Somebody says that nothing listens at `remote` (ICMP). A hint that anybody can forge: only dials
 * that have not heard from the peer believe it. */
void cv_node_unreachable(struct cv_node *node, const struct cv_address *remote, covey_time now);
/* Acts on what came, runs the timers and writes packets into the sink. */
void cv_node_turn(struct cv_node *node, const struct cv_datagram_sink *sink, covey_time now,
                  uint64_t wall_ms);
/* The two halves of turn(), for who decides in between whether acknowledgements may wait for what he is
 * about to say. */
void cv_node_act(struct cv_node *node, covey_time now, uint64_t wall_ms);
void cv_node_write(struct cv_node *node, const struct cv_datagram_sink *sink, bool lazily);
/* A small turn in the middle of receiving: calls are acted on, and small answers written. What else
 * there is waits for turn(). */
void cv_node_answer(struct cv_node *node, const struct cv_datagram_sink *sink, covey_time now);
/* When turn() is due; 0 when there is work at once. */
covey_time cv_node_deadline(const struct cv_node *node);

/*
 * Switches membership on: `config` but for alloc, log, id and name, which are the node's own. 0,
 * COVEY_ERR_EXISTS, COVEY_ERR_STATE on another loop than 0 of a shared address, or what
 * cv_membership_new() says.
 */
COVEY_MUST_USE int cv_node_enable_cluster(struct cv_node *node,
                                          const struct cv_membership_config *config,
                                          covey_time now);
/* Switches it off without a word to the others (CV_COMMAND_LEAVE says goodbye) and closes its
 * connections. */
void cv_node_disable_cluster(struct cv_node *node);
/* A COMMAND or a CHECK_RESULT to membership, whose times are set here; COVEY_ERR_STATE when it is off,
 * otherwise as cv_membership_step(). */
int cv_node_input(struct cv_node *node, struct cv_input *input, covey_time now, uint64_t wall_ms);
/* A command to membership; COVEY_ERR_STATE when it is off, otherwise as cv_membership_step(). */
int cv_node_command(struct cv_node *node, enum cv_command_type type, const char *key,
                    const char *value, covey_time now, uint64_t wall_ms);
void cv_node_resolved(struct cv_node *node, uint32_t resolve, int error,
                      const struct cv_address *addresses, size_t count, covey_time now,
                      uint64_t wall_ms);
/* Has cluster_changed called now, for who cannot wait for the end of a turn. */
void cv_node_publish(struct cv_node *node, covey_time now);
/* NULL when membership is off. */
const struct cv_membership *cv_node_membership(const struct cv_node *node);

/*
 * Takes no more calls: peers that make some learn that they were not begun. Links are closed as their
 * last calls end, and later ones in the same way. Membership goes on. There is no way back.
 */
void cv_node_drain(struct cv_node *node);
/* How many links there are that are not closed, those that are being connected among them. */
size_t cv_node_link_count(const struct cv_node *node);
/* Closes every link, as cv_link_close() does. */
void cv_node_close_links(struct cv_node *node, int error);
/* The same for those of one user, which is NULL for them from then on. */
void cv_node_close_links_of(struct cv_node *node, const void *user, int error);
/* The RPC counters of all links that there are or were. */
void cv_node_rpc_stats(const struct cv_node *node, struct cv_rpc_stats *out);

/* Refuses these nodes from now on, in place of those that were refused, and closes the connections that
 * they have: as cv_tls_deny(). */
COVEY_MUST_USE int cv_node_deny(struct cv_node *node, const covey_node_id *ids, size_t count);

/* Before the end: accepts no connection any more, and closes those that are being accepted. */
void cv_node_stop_accepting(struct cv_node *node);
/* Closes every connection; the next turn tells the peers. */
void cv_node_close(struct cv_node *node);

/* Counters of the glue, beside the endpoint's and membership's own. */
struct cv_node_stats {
    uint64_t gossip_shed;         /* messages that no connection or stream could take */
    uint64_t gossip_oversized;    /* streams that carried more than one message may */
    uint64_t connections_refused; /* for the bound on peers, or to ourselves */
    uint64_t connections_dead;    /* closed for not answering a health check */
    uint64_t links_refused;       /* for identity_connections_max */
};
void cv_node_stats(const struct cv_node *node, struct cv_node_stats *out);
/* The counters of membership's connections; zeros while it is off. */
void cv_node_pool_stats(const struct cv_node *node, struct cv_pool_stats *out);
const struct cv_quic_endpoint *cv_node_endpoint(const struct cv_node *node);

#endif
