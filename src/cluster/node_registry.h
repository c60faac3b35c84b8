#ifndef CV_CLUSTER_NODE_REGISTRY_H
#define CV_CLUSTER_NODE_REGISTRY_H

#include "cluster/alarm.h"
#include "cluster/digest.h"
#include "cluster/failure_detection/suspicion.h"
#include "cluster/member_table.h"
#include "cluster/record.h"
#include "cluster/roster.h"

#include <covey/export.h>
#include <sys/queue.h>

/*
 * Every node that is known: the members (Alive, Suspect), and the gone (Failed, Left), which are
 * remembered for a while as tombstones so that old news does not bring them back. Stores and
 * checks; what to believe is decided in gossip/protocol. Not thread-safe: see cluster/snapshot.h.
 */

enum cv_member_link { CV_LINK_NONE, CV_LINK_DIALLING, CV_LINK_UP };

/* What there is to keep of one that is not alive; most members have none. */
struct cv_member_trouble {
    struct cv_alarm alarm;
    struct cv_member *member;
    covey_time since; /* the state changed */
    covey_time heard; /* on its own connection since then; 0: never */
    covey_node_id accuser;
    struct cv_suspicion suspicion;
    TAILQ_ENTRY(cv_member_trouble) entry; /* in the registry's spare ones */
};

/*
 * One node. There are as many of these as there are pairs of an observer and a subject, so it is
 * small: 32 bytes, and 20 at most for the tables that it is in. Written by the registry only, but
 * for what says otherwise. A pointer to it stays good until the member is removed.
 */
struct cv_member {
    struct cv_cluster_node *body; /* never NULL; has the id */
    uint64_t incarnation;
    struct cv_member_trouble *trouble; /* NULL exactly when the state is ALIVE */
    uint32_t index;                    /* in the registry's order */
    unsigned slot : 23;
    unsigned state : 2; /* enum covey_node_state */
    /* Of the protocol: */
    unsigned link : 2;           /* enum cv_member_link */
    unsigned left_is_direct : 1; /* its goodbye came on its own connection */
    unsigned is_announced : 1;   /* NODE_JOINED was said and not NODE_LEFT */
    unsigned tags_changed : 1;   /* while failed: to be said when it recovers */
    unsigned body_is_direct : 1; /* the body came on the node's own connection */
    unsigned is_expected : 1;    /* it counts for the size of the cluster */
};

#define CV_MEMBERS_PER_BLOCK 128

struct cv_node_registry;

/* Somebody who wants to know of each change, after it, and of each member that goes, before: a
 * checker of what must hold. Must not change anything itself. What is adopted from a roster changes all
 * at once. */
struct cv_registry_watcher {
    void (*changed)(void *user, const struct cv_member *m);
    void (*removed)(void *user, const struct cv_member *m);
    void (*adopted)(void *user, const struct cv_node_registry *r);
    void *user;
};

struct cv_node_registry {
    const struct cv_alloc *alloc;
    struct cv_member_table table;
    struct cv_member **blocks; /* of CV_MEMBERS_PER_BLOCK slots each, which never move */
    size_t block_count;
    uint32_t *order; /* slots: of the members, then the free ones */
    size_t count;
    size_t state_count[4];
    uint32_t members_max; /* bounds the members, and apart from them the tombstones */
    uint64_t version;     /* counts the changes of what a snapshot shows */
    uint64_t refused;     /* members not taken for members_max */
    const struct cv_registry_watcher *watcher; /* may be NULL */
    TAILQ_HEAD(, cv_member_trouble) spare;
    size_t spare_count;
    size_t trouble_count;    /* members that have some */
    struct cv_digest digest; /* of the live ones */
};

void cv_node_registry_init(struct cv_node_registry *r, const struct cv_alloc *alloc,
                           const uint64_t secret[2], uint32_t members_max);
void cv_node_registry_fini(struct cv_node_registry *r);

/* NULL when it is not known. */
struct cv_member *cv_node_registry_get(const struct cv_node_registry *r, const covey_node_id *id);
/*
 * The same for several at once, which in a large cluster are in no near cache: each step of all searches
 * is fetched before the first of them waits for it, and the bodies are fetched too. `hashes` are
 * cv_node_registry_hash() of the ids.
 */
uint64_t cv_node_registry_hash(const struct cv_node_registry *r, const covey_node_id *id);
void cv_node_registry_get_all(const struct cv_node_registry *r, const covey_node_id *const *ids,
                              const uint64_t *hashes, size_t count, struct cv_member **out);
/* Whom a lookup found before: `m`, or what there is now when that was removed since or is NULL. */
struct cv_member *cv_node_registry_get_again(const struct cv_node_registry *r, struct cv_member *m,
                                             const covey_node_id *id);
/* All that are known, by index: in the order in which they came, but that the last one takes the
 * place of one that is removed. */
size_t cv_node_registry_count(const struct cv_node_registry *r);
struct cv_member *cv_node_registry_at(const struct cv_node_registry *r, size_t index);
size_t cv_node_registry_count_state(const struct cv_node_registry *r, enum covey_node_state state);
/* Alive and Suspect: who is asked, told and counted. */
size_t cv_node_registry_live_count(const struct cv_node_registry *r);
bool cv_member_is_live(const struct cv_member *m);
const covey_node_id *cv_member_id(const struct cv_member *m);
struct cv_node_status cv_member_status(const struct cv_member *m);
/* What is told of it to others; borrows the body. */
struct cv_record cv_member_record(const struct cv_member *m);

/* The most that members_max may be: with as many tombstones they fit one list of chunks. */
#define CV_MEMBERS_MAX (1u << 17)

/* Makes sure that `more` further inserts, and as many and CV_REGISTRY_CHANGES other changes of
 * status, need no memory. 0 or COVEY_ERR_NO_MEMORY. */
#define CV_REGISTRY_CHANGES 4
COVEY_MUST_USE int cv_node_registry_reserve(struct cv_node_registry *r, size_t more);
/* The same for inserts of alive members only, which need less. */
COVEY_MUST_USE int cv_node_registry_reserve_alive(struct cv_node_registry *r, size_t more);
/*
 * Takes in a node that is not known, with a reference of its own to record->body. NULL, counted,
 * when members_max of its kind are there. Needs a reserve.
 */
struct cv_member *cv_node_registry_insert(struct cv_node_registry *r,
                                          const struct cv_record *record, covey_time now);
/*
 * Takes in all of a roster that has the registry's secret, as inserts in its order would. `*self` is the
 * only member before that, without trouble, and in the roster; it stays the first one and what it is,
 * but moves: *self is where it is then. The roster has members_max nodes at most. 0 or
 * COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_node_registry_adopt(struct cv_node_registry *r,
                                          const struct cv_roster *roster, struct cv_member **self);
/* Its alarm must not be set. */
void cv_node_registry_remove(struct cv_node_registry *r, struct cv_member *m);

/* True when there is room for a tombstone to become a member again; counted when not. */
bool cv_node_registry_admits_return(struct cv_node_registry *r);
/* The tombstone that is to go when there are too many, neither of these two, which may be NULL; NULL
 * when there are not. */
struct cv_member *cv_node_registry_surplus(const struct cv_node_registry *r,
                                           const struct cv_member *self,
                                           const struct cv_member *changed);

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

/* Changes a member's status; it must be allowed to follow. Needs a reserve; the alarm of one that
 * becomes alive must not be set. */
void cv_node_registry_set_status(struct cv_node_registry *r, struct cv_member *m,
                                 const struct cv_node_status *status, covey_time now);
/* Changes a member's body; takes a reference of its own. */
void cv_node_registry_set_body(struct cv_node_registry *r, struct cv_member *m,
                               struct cv_cluster_node *body, bool is_direct);
/* Another number after each change of a status, a body or the set of nodes. */
uint64_t cv_node_registry_version(const struct cv_node_registry *r);

#endif
