#ifndef CV_API_EVENT_RECEIVER_H
#define CV_API_EVENT_RECEIVER_H

#include "api/dispatcher.h"
#include "api/event_hub.h"

#include <sys/queue.h>

/* What event_hub.c and event_handler.c share. The hub's lock is of all of it. */

struct cv_event_hub {
    covey_runtime *runtime;
    pthread_mutex_t lock; /* everything below, and the receivers */
    pthread_cond_t changed;
    size_t references;
    struct cv_event_channel *channel;
    size_t receiver_count;
    uint64_t emitted;
    LIST_HEAD(, covey_event_receiver) receivers;
};

/*
 * A handler is dispatched when there is something for it, and goes on until there is nothing more:
 *
 *     idle --(ready)--> dispatched --> running, once for each event --> idle
 *                           |             |
 *                           +-- freed ----+--> gone when the dispatch has run, dropped by it or by the
 *                                              thread that freed and waits
 */
struct covey_event_receiver {
    struct cv_event_hub *hub;
    struct cv_subscriber *cursor;
    int fd; /* readable exactly while the cursor has something to give */
    bool fd_is_set;
    struct cv_cluster_node *node; /* of the event last given out */
    struct covey_node view;
    struct covey_partition_status partition; /* likewise */
    char check[COVEY_CHECK_NAME_MAX + 1];
    LIST_ENTRY(covey_event_receiver) entry;

    covey_event_handler handler; /* NULL: somebody receives */
    void *user;
    struct cv_dispatch dispatch;
    bool is_dispatched;
    bool is_running; /* on `runner` */
    pthread_t runner;
    bool is_told_end;
    bool is_freed;
    bool is_awaited; /* by the thread that frees it */
};

/* All with the lock held. */

/* The next event without waiting: 0, COVEY_ERR_WOULD_BLOCK, COVEY_ERR_CLOSED. */
int cv_event_receiver_take(struct covey_event_receiver *r, struct covey_event *event);
/* Has its handler called, if it has one and there is something for it. */
void cv_event_handler_wake(struct covey_event_receiver *r);
/* Gives up the lock, and the receiver. */
void cv_event_receiver_drop(struct covey_event_receiver *r);

#endif
