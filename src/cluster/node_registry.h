#ifndef CV_CLUSTER_NODE_REGISTRY_H
#define CV_CLUSTER_NODE_REGISTRY_H

#include "base/map.h"
#include "cluster/alarm.h"
#include "cluster/failure_detection/suspicion.h"
#include "cluster/record.h"

#include <covey/export.h>
#include <sys/queue.h>

/*
 * Every node that is known: the members (Alive, Suspect), and the gone (Failed, Left), which are
 * remembered for a while as tombstones so that old news does not bring them back. Stores and
 * checks; what to believe is decided in gossip/protocol. Not thread-safe: see cluster/snapshot.h.
 */

enum cv_member_link { CV_LINK_NONE, CV_LINK_DIALLING, CV_LINK_UP };

struct cv_member {
    struct cv_record record; /* the body is never NULL; written by the registry only */
    bool body_is_direct;     /* the body came on the node's own connection */
    bool left_is_direct;     /* so did its goodbye */
    bool is_announced;       /* NODE_JOINED was said and not NODE_LEFT */
    bool tags_changed;       /* while failed: to be said when it recovers */
    bool conflict_told;      /* NODE_CONFLICT was said */
    enum cv_member_link link;
    covey_time last_heard; /* on its own connection; 0: never */
    covey_time since;      /* the state changed */
    struct cv_suspicion suspicion;
    struct cv_alarm alarm;
    size_t index;                 /* in the registry's order */
    TAILQ_ENTRY(cv_member) entry; /* in the registry's spare ones */
};

struct cv_node_registry {
    const struct cv_alloc *alloc;
    struct cv_map members;
    struct cv_member **order; /* in the order of insertion */
    size_t count;
    size_t capacity;
    size_t state_count[4];
    uint32_t members_max;          /* bounds the members, and apart from them the tombstones */
    uint64_t version;              /* counts the changes of what a snapshot shows */
    uint64_t refused;              /* members not taken for members_max */
    TAILQ_HEAD(, cv_member) spare; /* reserved for inserts */
    size_t spare_count;
};

void cv_node_registry_init(struct cv_node_registry *r, const struct cv_alloc *alloc,
                           const uint64_t secret[2], uint32_t members_max);
void cv_node_registry_fini(struct cv_node_registry *r);

/* NULL when it is not known. */
struct cv_member *cv_node_registry_get(const struct cv_node_registry *r, const covey_node_id *id);
/* All that are known, by index in the order in which they came. */
size_t cv_node_registry_count(const struct cv_node_registry *r);
struct cv_member *cv_node_registry_at(const struct cv_node_registry *r, size_t index);
size_t cv_node_registry_count_state(const struct cv_node_registry *r, enum covey_node_state state);
/* Alive and Suspect: who is asked, told and counted. */
size_t cv_node_registry_live_count(const struct cv_node_registry *r);
bool cv_member_is_live(const struct cv_member *m);

/* Makes sure that `more` further inserts need no memory. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_node_registry_reserve(struct cv_node_registry *r, size_t more);
/*
 * Takes in a node that is not known, with a reference of its own to record->body. NULL, counted,
 * when members_max of its kind are there. Needs a reserve.
 */
struct cv_member *cv_node_registry_insert(struct cv_node_registry *r,
                                          const struct cv_record *record, covey_time now);
/* Its alarm must not be set. */
void cv_node_registry_remove(struct cv_node_registry *r, struct cv_member *m);

/* True when there is room for a tombstone to become a member again; counted when not. */
bool cv_node_registry_admits_return(struct cv_node_registry *r);
/* The tombstone that is to go when there are too many; NULL otherwise. */
struct cv_member *cv_node_registry_surplus(const struct cv_node_registry *r);

/*
 * Whether a member may go from one status to another in one step:
 *
 *      from \ to   alive     suspect    failed     left
 *      alive       later     any        any        any
 *      suspect     later     any        any        any
 *      failed      later     -          any        any
 *      left        later     -          -          any
 *
 * any: at the same incarnation or a later one; later: only at a later one. (From failed or left to
 * suspect goes by way of alive.)
 */
bool cv_node_status_may_follow(const struct cv_node_status *from, const struct cv_node_status *to);

/* Changes a member's status; it must be allowed to follow. */
void cv_node_registry_set_status(struct cv_node_registry *r, struct cv_member *m,
                                 const struct cv_node_status *status, covey_time now);
/* Changes a member's body; takes a reference of its own. */
void cv_node_registry_set_body(struct cv_node_registry *r, struct cv_member *m,
                               struct cv_cluster_node *body, bool is_direct);
/* Another number after each change of a status, a body or the set of nodes. */
uint64_t cv_node_registry_version(const struct cv_node_registry *r);

#endif
