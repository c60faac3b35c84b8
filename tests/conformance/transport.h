#ifndef CONFORMANCE_TRANSPORT_H
#define CONFORMANCE_TRANSPORT_H

#include "rpc/rpc.h"

/*
 * The port of the suite: one connection that carries RPC between two ends, in virtual time. memory.c
 * has pipes of bytes, quic.c whole nodes with real TLS. Each test is linked with both in turn.
 */
enum { CLIENT, SERVER };

struct transport;

struct transport_config {
    struct cv_rpc_limits limits[2];
    uint32_t streams_max; /* that one end may have open */
    uint64_t seed;
    /* CV_RPC_EVENT_* at one end. Every function but turn() and free() may be called from it. */
    void (*event)(void *user, int side, const struct cv_rpc_output *event);
    void *user;
};

/* A connection that is ready. free() asserts that nothing is left of it. */
struct transport *transport_new(const struct transport_config *config);
void transport_free(struct transport *t);

covey_time transport_now(const struct transport *t);
/* As cv_rpc_conn_start() and cv_rpc_conn_step(); `stream` and `now` are set here. The server can
 * start calls once it had one. */
int transport_start(struct transport *t, int side, const struct cv_rpc_start *start,
                    struct cv_rpc_call **out);
int transport_step(struct transport *t, int side, const struct cv_rpc_input *input);
/* Does something. False when nothing is to happen before `limit`; that is the time then. */
bool transport_turn(struct transport *t, covey_time limit);

void transport_drain(struct transport *t, int side);
bool transport_peer_drains(const struct transport *t, int side);
/* What `side` sends on the call's stream breaks off where it is, and RPC there knows nothing of it.
 */
void transport_cut_stream(struct transport *t, int side, struct cv_rpc_call *call);
/* The connection ends without a word from RPC. */
void transport_cut(struct transport *t);
bool transport_is_closed(const struct transport *t);
/* How many calls an end knows; 0 once the connection is closed. */
size_t transport_count(const struct transport *t, int side);
/* Bytes that an end has allocated, and the most that it ever had. */
size_t transport_memory(const struct transport *t, int side);
size_t transport_memory_peak(const struct transport *t, int side);

#endif
