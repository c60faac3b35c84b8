#ifndef CV_CLUSTER_EVENTS_H
#define CV_CLUSTER_EVENTS_H

#include "base/alloc.h"
#include "cluster/node.h"
#include "cluster/partition_detector.h"

#include <covey/events.h>
#include <covey/export.h>
#include <covey/health.h>
#include <covey/types.h>

/*
 * Cluster events and their bounded broadcast: one ring, a cursor for each subscriber. Publishing
 * never waits; a subscriber that is too slow loses the oldest events and is told how many, apart
 * from the ring, so that the notice itself cannot be lost. Not thread-safe (DESIGN section 1): the
 * lock is around it, in src/api.
 *
 * For each subscriber: published since it subscribed = delivered + dropped + waiting, exactly.
 */
#define CV_EVENT_CAPACITY  1000
#define CV_SUBSCRIBERS_MAX 64

struct cv_event {
    enum covey_event_type type;
    uint64_t wall_ms;             /* when this node noticed */
    struct cv_cluster_node *node; /* counted reference; NULL when the event is about no node */
    enum covey_node_state state;  /* of the node, after the event */
    uint64_t incarnation;
    struct cv_partition_status partition; /* of PARTITION_DETECTED */
    /* Of HEALTH_CHECK_FAILED of this node: the check; "" when it is a member that phi calls silent. */
    char check[COVEY_CHECK_NAME_MAX + 1];
    covey_time held_up; /* of LOOP_HELD_UP */
    bool goes_on;       /* likewise */
    unsigned loop;
};

struct cv_event_channel;
struct cv_subscriber;

COVEY_MUST_USE int cv_event_channel_new(const struct cv_alloc *alloc,
                                        struct cv_event_channel **out);
/* All subscribers must be gone. */
void cv_event_channel_free(struct cv_event_channel *ch);
/* Takes the reference to event->node. Nobody reads it before it is shown. */
void cv_event_channel_publish(struct cv_event_channel *ch, const struct cv_event *event);
/* What was published may be read. */
void cv_event_channel_show(struct cv_event_channel *ch);
/* Shows what there is, and no event comes any more; subscribers get what waits, then COVEY_ERR_CLOSED. */
void cv_event_channel_close(struct cv_event_channel *ch);

/* Sees what is published from now on, and what was and is not shown yet. 0, COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY, COVEY_ERR_CLOSED. */
COVEY_MUST_USE int cv_event_channel_subscribe(struct cv_event_channel *ch,
                                              struct cv_subscriber **out);
/* A second cursor at the same place, with the same counters. */
COVEY_MUST_USE int cv_subscriber_clone(const struct cv_subscriber *s, struct cv_subscriber **out);
void cv_subscriber_free(struct cv_subscriber *s);

/*
 * The next event; the caller gets a reference to event->node.
 * 0; COVEY_ERR_WOULD_BLOCK; COVEY_ERR_CLOSED after the last one; COVEY_ERR_LAGGED once after each
 * loss, with the number lost in *dropped, before the events that remain.
 */
COVEY_MUST_USE int cv_subscriber_next(struct cv_subscriber *s, struct cv_event *event,
                                      uint64_t *dropped);
/* True when next() would not say WOULD_BLOCK. */
bool cv_subscriber_is_ready(const struct cv_subscriber *s);
uint64_t cv_subscriber_dropped(const struct cv_subscriber *s); /* in all */

struct cv_subscriber_stats {
    uint64_t emitted; /* since it subscribed */
    uint64_t delivered;
    uint64_t dropped;
    uint64_t waiting;
};
struct cv_subscriber_stats cv_subscriber_stats(const struct cv_subscriber *s);

#endif
