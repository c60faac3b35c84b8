#ifndef CV_API_BALANCER_HUB_H
#define CV_API_BALANCER_HUB_H

#include "api/denied.h"
#include "api/runtime.h"
#include "cluster/snapshot.h"

/*
 * Those who follow a cluster's snapshots: balancers and cluster clients. Counted, because they may
 * outlive the cluster.
 *
 * The loop of membership shows each snapshot to all of them under the hub's lock, which others take to
 * come and to go only. Balancers see it before any client does: a call that a client ends must not be made
 * again by a list that has the failed one still. Who is denied, by the server of the cluster, is
 * shown with it.
 */
struct cv_balancer_hub;

#define CV_FOLLOWERS_MAX (2 * 64) /* of each kind 64 */

enum cv_follower_kind { CV_FOLLOWER_BALANCER, CV_FOLLOWER_CLIENT, CV_FOLLOWER_KINDS };

struct cv_follower {
    enum cv_follower_kind kind;
    /* Under the hub's lock; does not wait. NULL: the cluster has been left. */
    void (*show)(struct cv_follower *follower, const struct cv_snapshot *snapshot);
    struct cv_denied *denied;       /* the hub's, for show(); NULL: nobody */
    TAILQ_ENTRY(cv_follower) entry; /* the hub's */
};

/* One reference, the caller's; retains the runtime. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_balancer_hub_new(covey_runtime *runtime, struct cv_balancer_hub **out);
void cv_balancer_hub_release(struct cv_balancer_hub *hub);

/* Any thread: shows it what take(user) gives, which is released, and what comes; takes a reference to
 * the hub. 0 or COVEY_ERR_LIMIT. */
COVEY_MUST_USE int cv_balancer_hub_join(struct cv_balancer_hub *hub, struct cv_follower *follower,
                                        struct cv_snapshot *(*take)(void *user), void *user);
/* Any thread: it is shown nothing any more. Gives the reference back. */
void cv_balancer_hub_leave(struct cv_balancer_hub *hub, struct cv_follower *follower);

/* The loop of membership; NULL: left. False, unless it `waits`: somebody comes or goes just now, and
 * nobody was shown anything. */
bool cv_balancer_hub_show(struct cv_balancer_hub *hub, const struct cv_snapshot *snapshot,
                          bool waits);
/* Any thread: these are left out from now on, in place of those before; the followers are shown it
 * with what take(user) gives, which is released. 0, or nothing changed: COVEY_ERR_LIMIT,
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_balancer_hub_deny(struct cv_balancer_hub *hub, const covey_node_id *ids,
                                        size_t count, struct cv_snapshot *(*take)(void *user),
                                        void *user);

#endif
