#ifndef CV_NODE_LINK_H
#define CV_NODE_LINK_H

#include "base/address.h"
#include "quic/conn.h"
#include "rpc/rpc.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * An RPC connection of a node: calls from the RPC layer on the streams of a QUIC connection. An
 * accepted link comes with its first call. A dialled one takes calls at once: they wait for the
 * connection, in order, and for streams when the peer allows no more.
 *
 * When the connection is lost the link is closed: all its calls have had their last event. It is
 * freed when the last call was released.
 *
 * A connection has a lifetime (quic/lifetime.h). Some minutes before its end the link retires: it
 * still takes calls, but is closed as soon as it has none, and at the end with those that it has.
 */
struct cv_node;
struct cv_link;

struct cv_link_events {
    /* What happens to calls: one of CV_RPC_EVENT_*. */
    void (*call)(void *user, struct cv_link *link, const struct cv_rpc_output *event);
    /* A dialled link is usable, or none is: `error` as in struct cv_quic_close, 0 when it closed in
     * good order. After `closed` start() is refused; the pointer stays valid while calls are not
     * released. */
    void (*ready)(void *user, struct cv_link *link);
    void (*closed)(void *user, struct cv_link *link, int error);
    /* The link retires: new calls belong on a new link. `closed` follows, with 0 when all its calls
     * came to their end in time. NULL: nobody wants to know. */
    void (*retiring)(void *user, struct cv_link *link);
};

/* A link without a connection yet. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_link_new(struct cv_node *node, void *user, struct cv_link **out);
/* Connects it, once: to the first of the addresses (at most CV_LINK_REMOTES_MAX count) that
 * answers, one after the other. 0 or COVEY_ERR_NO_MEMORY, then it is still without a connection. */
#define CV_LINK_REMOTES_MAX 4
COVEY_MUST_USE int cv_link_dial(struct cv_link *link, const struct cv_address *remotes,
                                size_t count, const covey_node_id *expected, covey_time now);
/* Ends all calls (UNAVAILABLE, with the error's text) and the connection; `closed` follows in the
 * next turn. */
void cv_link_close(struct cv_link *link, int error);

/* Closes it as soon as it has no calls. */
void cv_link_retire(struct cv_link *link);

void *cv_link_user(const struct cv_link *link);
void cv_link_set_user(struct cv_link *link, void *user);
/* Who the peer is; NULL before the link is ready and after it is closed. */
const struct cv_identity *cv_link_peer(const struct cv_link *link);
/* Its certificate, DER, borrowed until the callback returns: copy it. Empty when cv_link_peer() is NULL. */
struct cv_slice cv_link_peer_der(const struct cv_link *link);
bool cv_link_is_retiring(const struct cv_link *link);

/* As cv_rpc_conn_start(), whose `stream` and `room` are set here; COVEY_ERR_CLOSED after the link is closed. */
COVEY_MUST_USE int cv_link_start(struct cv_link *link, const struct cv_rpc_start *start,
                                 covey_time now, struct cv_rpc_call **out);
/* The user's inputs for a call of this link; as cv_rpc_conn_step(). */
int cv_link_step(struct cv_link *link, const struct cv_rpc_input *input);
/* SEND, whose `direct` is found here. */
COVEY_MUST_USE int cv_link_send(struct cv_link *link, struct cv_rpc_call *call,
                                struct cv_slice message, bool end, covey_time now);
/* REPLY, whose room is found here. */
COVEY_MUST_USE int cv_link_reply(struct cv_link *link, struct cv_rpc_call *call,
                                 struct cv_slice message, covey_time now);
/* As cv_rpc_conn_drain() and cv_rpc_conn_peer_drains(). */
void cv_link_drain(struct cv_link *link);
bool cv_link_peer_drains(const struct cv_link *link);

#endif
