#ifndef CV_CLUSTER_GOSSIP_WATCH_H
#define CV_CLUSTER_GOSSIP_WATCH_H

#include "cluster/alarm.h"
#include "cluster/failure_detection/phi_accrual.h"
#include "cluster/watch_rings.h"

#include <assert.h>
#include <covey/export.h>

/*
 * Who watches whom: the members whose heartbeats we get, each with its detector, and those that get
 * ours. A subject sends one heartbeat in each interval to every watcher; silence counts only after
 * the first one came, so who does not know that it is watched is not accused.
 *
 *     watcher                                subject
 *        | WATCH, again each 30 s               |
 *        |------------------------------------->|
 *        |<-------------------------------------|  HEARTBEAT n, with the others' next
 *        |<-------------------------------------|  HEARTBEAT n + 1, each interval
 *        |              silence                 x
 *        |  phi > threshold / 2: a probe with all means
 *        |  phi > threshold, probe unanswered: suspect
 *
 * A subject whose places are taken by better ones sends nothing, and answers probes: it is asked again more and more
 * seldom, down to once in the time of a renewal.
 */
#define CV_WATCH_RENEWAL     (30 * COVEY_SECOND)
#define CV_WATCH_LIFETIME    (90 * COVEY_SECOND)
#define CV_WATCHERS_PER_RING 3

struct cv_watch {
    struct cv_alarm alarm; /* the next thing to do about it */
    bool is_used;
    covey_node_id subject;
    bool is_heard;       /* heartbeats come; silence counts */
    bool is_probed;      /* its silence caused a probe */
    bool is_unanswered;  /* nobody answered that probe */
    bool spans_pause;    /* we paused since the last heartbeat */
    uint8_t asks;        /* since the last heartbeat, or the connection's begin */
    uint32_t number;     /* of the last heartbeat */
    covey_time renew_at; /* the next WATCH */
    struct cv_phi_accrual phi;
};

struct cv_watcher {
    covey_node_id id;
    covey_time until;
};

static_assert(CV_RINGS_MAX * CV_WATCHERS_PER_RING < CV_RING_SUITORS_MAX,
              "all watchers and one more are compared");

struct cv_watches {
    size_t watcher_count;
    size_t watcher_max;
    /* The ids of the subjects, also of those that are not used any more: side by side, since
     * nearly each message asks for one of them. */
    covey_node_id subject_ids[CV_RINGS_MAX];
    struct cv_watch subjects[CV_RINGS_MAX];
    struct cv_watcher watchers[CV_RINGS_MAX * CV_WATCHERS_PER_RING];
};

void cv_watches_init(struct cv_watches *w, size_t ring_count);

/* NULL when it is not watched. */
struct cv_watch *cv_watches_subject(struct cv_watches *w, const covey_node_id *id);
/* Begins to watch one that is not watched; there is room for CV_RINGS_MAX. */
struct cv_watch *cv_watches_begin(struct cv_watches *w, const covey_node_id *id,
                                  const struct cv_phi_config *phi);
/* Its alarm must not be set. */
void cv_watch_end(struct cv_watch *watch);

/* Adds a watcher or gives it more time. True unless there are too many; *is_new says which. */
bool cv_watches_subscribe(struct cv_watches *w, const covey_node_id *id, covey_time until,
                          bool *is_new);
/* False when it is none. */
bool cv_watches_unsubscribe(struct cv_watches *w, const covey_node_id *id);
bool cv_watches_is_watcher(const struct cv_watches *w, const covey_node_id *id);
/* True when a connection with it is worth keeping: it is watched or watches. */
bool cv_watches_is_warm(struct cv_watches *w, const covey_node_id *id);

#endif
