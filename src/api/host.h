#ifndef CV_API_HOST_H
#define CV_API_HOST_H

#include "api/runtime.h"
#include "io/resolver.h"
#include "io/udp.h"
#include "node/node.h"

#include <covey/identity.h>

/*
 * A node on one of a runtime's loops with a UDP socket of its own: what servers and clients are made of.
 * The loop's thread only.
 */
struct cv_host {
    covey_runtime *runtime;
    struct cv_loop *loop;
    struct cv_tls *tls;
    struct cv_udp *udp;
    bool owns_udp;
    struct cv_node *node;
    struct cv_resolver *resolver;
    struct cv_loop_task task;
    struct cv_loop_watch *watch;
    unsigned packets; /* read in this turn */
    void (*unreachable)(void *user, const struct cv_address *remote);
    void *unreachable_user;
    void (*turn)(void *user);
    void *turn_user;
};

struct cv_host_config {
    covey_runtime *runtime;
    struct cv_loop *loop; /* of the runtime */
    const covey_identity *identity;
    struct cv_address bind;
    struct cv_udp *udp;          /* open already, its owner's; NULL: one is opened at `bind` */
    const covey_node_id *denied; /* as in cv_node_deny(), from the start */
    size_t denied_count;
    bool accept;
    unsigned identity_connections_max; /* as in struct cv_node_config */
    bool has_resolver;
    bool wait; /* nothing is read before cv_host_start() */
    struct cv_node_events events;
    void *events_user;
    struct cv_quic_limits quic_limits;
    struct cv_rpc_limits rpc_limits;
    /* Of hosts that share a port: as in struct cv_node_config. */
    uint8_t loop_number;
    unsigned loop_count;
    const uint8_t *secret;
    void (*hand_over)(void *user, unsigned loop, const struct cv_datagram *d);
    void *hand_over_user;
    /* Somebody says so of `remote` (ICMP): the kernel tells any of the sockets of a port. May be
     * NULL. */
    void (*unreachable)(void *user, const struct cv_address *remote);
    void *unreachable_user;
    void (*turn)(void *user); /* before each turn of the loop's; may be NULL */
    void *turn_user;
};

/* Shorter lives leave no time to replace a connection before its end. */
#define CV_CONNECTION_AGE_MIN (10 * COVEY_SECOND)

/* The limits for messages of these sizes, with the windows and buffers that they need. */
void cv_host_set_message_sizes(struct cv_host_config *config, size_t send_max, size_t receive_max);

/* Binds and starts to turn. 0, or COVEY_ERR_ADDRESS, _ADDRESS_IN_USE, _SYSTEM, _NO_MEMORY,
 * _CERTIFICATE_EXPIRED; *host is then empty. */
COVEY_MUST_USE int cv_host_open(struct cv_host *host, const struct cv_host_config *config);
/* Begins to read, for a host that was opened with `wait`. 0, COVEY_ERR_SYSTEM, COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_host_start(struct cv_host *host);
/* A datagram that came to another socket of the port. */
void cv_host_receive(struct cv_host *host, const struct cv_datagram *d);
/* The word about an address that came to another socket of the port. */
void cv_host_take_unreachable(struct cv_host *host, const struct cv_address *remote);
/* One turn now, outside the loop's own. */
void cv_host_turn(struct cv_host *host);
/* Says goodbye on every connection and frees. */
void cv_host_close(struct cv_host *host);

#endif
