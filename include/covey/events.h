#ifndef COVEY_EVENTS_H
#define COVEY_EVENTS_H

#include <covey/error.h>
#include <covey/node.h>
#include <covey/partition.h>

COVEY_BEGIN

/*
 * What happened in the cluster, as this node noticed it. X(NAME, number, "name")
 */
#define COVEY_EVENTS(X)                                                                            \
    X(NODE_JOINED, 1, "node_joined")                                                               \
    X(NODE_LEFT, 2, "node_left")                                                                   \
    X(NODE_FAILED, 3, "node_failed")                                                               \
    X(NODE_RECOVERED, 4, "node_recovered")                                                         \
    X(NODE_TAGS_UPDATED, 5, "node_tags_updated")                                                   \
    X(PARTITION_DETECTED, 6, "partition_detected")                                                 \
    X(HEALTH_CHECK_FAILED, 7, "health_check_failed")                                               \
    X(NODE_CONFLICT, 8, "node_conflict")                                                           \
    X(PEER_MISBEHAVED, 9, "peer_misbehaved")                                                       \
    X(EVENTS_DROPPED, 10, "events_dropped")                                                        \
    X(LOOP_HELD_UP, 11, "loop_held_up")
/*
 * NODE_...             about a member; NODE_RECOVERED: one that failed is heard again
 * PARTITION_DETECTED   `partition` says what this node has become: SUSPECT when it sees no quorum of
 *                      the members that there should be, be it right after it joined; PARTITIONED when
 *                      that has lasted for the grace time; HEALTHY when the quorum has been back for a
 *                      protocol period. One for each of these steps; that all is well at first is none.
 * HEALTH_CHECK_FAILED  with `check`: a check of this node's own became worse. Without: the heartbeats
 *                      of `node` stay away and it answers no probe; NODE_FAILED follows unless it takes
 *                      that back, which is no event: the state that queries show is alive again.
 * NODE_CONFLICT        another process uses this node's key
 * PEER_MISBEHAVED      `node`, NULL when it is no member, broke the protocol too often: it was closed
 * EVENTS_DROPPED       this receiver was too slow
 * LOOP_HELD_UP         a loop of this server's has made no turn for `held_up`, and `watchdog` of the
 *                      runtime's configuration or more, because one of them took long or the next
 *                      did not come:
 *                      COVEY_RUN_THREADS  a loop for calls, whose handler does not return, say. With
 *                                         `goes_on` while it is so, once, told by the loop of
 *                                         membership; and once more when it is over. Also that loop
 *                                         itself, when it is over: it runs nothing of the user's
 *                                         but his allocator and his log
 *                      otherwise          the only loop, when the turns go on, so not while they do
 *                                         not. Members may take this node for dead if that goes on
 */

enum covey_event_type {
#define X(name, number, text) COVEY_EVENT_##name = number,
    COVEY_EVENTS(X)
#undef X
};

/* "node_joined" and so on; "?" for a number that is no event. */
COVEY_API const char *covey_event_name(enum covey_event_type type);

/* One event, valid until the next receive on the same receiver or until that is freed. */
struct covey_event {
    size_t size; /* of this struct as the caller knows it: sizeof(struct covey_event) */
    enum covey_event_type type;
    uint64_t timestamp_ms;         /* wall clock, milliseconds since 1970 */
    const struct covey_node *node; /* NULL when the event is about no node */
    uint64_t dropped;              /* EVENTS_DROPPED: how many this receiver lost */
    const struct covey_partition_status *partition; /* PARTITION_DETECTED; else NULL */
    const char *check;  /* HEALTH_CHECK_FAILED of this node; else NULL */
    covey_time held_up; /* LOOP_HELD_UP; else 0 */
    bool goes_on;       /* LOOP_HELD_UP: it is not over, and `held_up` is so far */
    unsigned loop;      /* LOOP_HELD_UP: which, 0 is that of membership */
};

/*
 * A place in the stream of events, starting with what happens after it was made. Each receiver sees
 * every event; one that is more than 1000 behind loses the oldest and gets one EVENTS_DROPPED with
 * their number. A receiver is used by one thread at a time; receivers are independent of each
 * other.
 *
 * What an event tells the queries of covey/cluster.h show by the time that a receiver has it: who
 * hears that a node joined finds it.
 */
typedef struct covey_event_receiver covey_event_receiver;

/*
 * Waits up to `timeout` for the next event and fills *event, whose `size` is set. 0 as timeout does
 * not wait, COVEY_NEVER waits for ever. Returns 0 with an event, EVENTS_DROPPED among them, or
 *
 *   COVEY_ERR_TIMEOUT       none came
 *   COVEY_ERR_CLOSED        none will come: the cluster was left or freed
 *   COVEY_ERR_STATE         the receiver has a handler
 *   COVEY_ERR_WRONG_THREAD  waiting on a loop's thread
 */
COVEY_API COVEY_MUST_USE int covey_event_receive(covey_event_receiver *receiver, covey_time timeout,
                                                 struct covey_event *event);

/* A file descriptor that is readable while an event waits or the end is reached: for poll and the
 * like. Owned by the receiver; never read from it. */
COVEY_API int covey_event_receiver_fd(const covey_event_receiver *receiver);

/*
 * Called with each event that waits or comes, EVENTS_DROPPED among them, and with NULL, once and last,
 * when none will come any more. The event is valid until it returns.
 */
typedef void (*covey_event_handler)(const struct covey_event *event, void *user);

/*
 * Has `handler` take the events in place of covey_event_receive(), one at a time and in order.
 *
 *   COVEY_RUN_THREADS  on a thread of the runtime's that runs nothing but handlers of events. It may
 *                      block: that holds up the handlers of other receivers, and nothing else
 *   otherwise          in turns, on the runtime's thread, where it must not block
 *
 * In it everything may be called that its thread allows, freeing its own receiver included. 0, or
 * COVEY_ERR_STATE (it has one), COVEY_ERR_INVALID_ARGUMENT (NULL), COVEY_ERR_NO_MEMORY,
 * COVEY_ERR_SYSTEM (no thread).
 */
COVEY_API COVEY_MUST_USE int covey_event_receiver_on_event(covey_event_receiver *receiver,
                                                           covey_event_handler handler, void *user);

/* How many events this receiver lost in all. */
COVEY_API uint64_t covey_event_receiver_dropped(const covey_event_receiver *receiver);

struct covey_event_receiver_stats {
    size_t size;        /* of this struct as the caller knows it */
    uint64_t emitted;   /* since it was made: the sum of the other three */
    uint64_t delivered; /* taken, EVENTS_DROPPED not counted */
    uint64_t dropped;   /* lost */
    uint64_t waiting;   /* to be taken */
};
/* Of one moment. A clone goes on from the counts of its original. 0, COVEY_ERR_INVALID_ARGUMENT
 * (size). */
COVEY_API COVEY_MUST_USE int covey_event_receiver_stats(const covey_event_receiver *receiver,
                                                        struct covey_event_receiver_stats *stats);

/* A second receiver at the same place. 0, COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM.
 */
COVEY_API COVEY_MUST_USE int covey_event_receiver_clone(const covey_event_receiver *receiver,
                                                        covey_event_receiver **out);
/* NULL is allowed. May be called before or after the cluster is freed. Waits for a handler of its own
 * that runs on another thread; inside the handler, and on a loop's thread, it does not. */
COVEY_API void covey_event_receiver_free(covey_event_receiver *receiver);

COVEY_END

#endif
