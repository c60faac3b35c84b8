#ifndef CV_CLUSTER_GOSSIP_ACK_H
#define CV_CLUSTER_GOSSIP_ACK_H

#include "cluster/alarm.h"

#include <covey/types.h>

/*
 * The acks that we owe to others: somebody asked us to ping a node for it. When that node answers,
 * we pass the ack on; when it does not in time, we say so with a nack.
 *
 *      origin          we            target
 *        |- PING_REQ s ->|- PING t ---->|
 *        |<----- ACK s --|<---- ACK t --|      or NACK s, when t's time is over
 */
#define CV_OWED_ACKS_MAX 64
/* To one: as many as it may have probes under way (gossip/ping.h). */
#define CV_OWED_ACKS_SHARE 16

struct cv_owed_ack {
    struct cv_alarm alarm; /* set while it is owed */
    bool is_pinged;        /* false: the target is being dialled */
    covey_node_id origin;
    uint32_t origin_sequence;
    covey_node_id target;
    uint32_t sequence; /* of our own ping */
};

struct cv_owed_acks {
    uint64_t taken; /* a bit for each that was handed out, and may still be owed */
    struct cv_owed_ack acks[CV_OWED_ACKS_MAX];
};

void cv_owed_acks_init(struct cv_owed_acks *o);
/* A free place, to be filled in and its alarm set; NULL when too many are owed, or too many to `origin`. */
struct cv_owed_ack *cv_owed_acks_free(struct cv_owed_acks *o, const covey_node_id *origin);
/* The one that an ack of this sequence number from this peer pays; NULL when there is none. */
struct cv_owed_ack *cv_owed_acks_match(struct cv_owed_acks *o, uint32_t sequence,
                                       const covey_node_id *from);
/* The next one after `after` (NULL: the first) whose target waits to be connected. */
struct cv_owed_ack *cv_owed_acks_waiting(struct cv_owed_acks *o, const struct cv_owed_ack *after,
                                         const covey_node_id *target);

#endif
