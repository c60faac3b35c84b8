#include "api/balancer_hub.h"

#include <covey/balancer.h>

struct cv_balancer_hub {
    covey_runtime *runtime;
    pthread_mutex_t lock;
    size_t references;
    unsigned counts[CV_FOLLOWER_KINDS];
    TAILQ_HEAD(, cv_follower) followers; /* balancers first */
    struct cv_denied *denied;            /* NULL: nobody */
};

int cv_balancer_hub_new(covey_runtime *runtime, struct cv_balancer_hub **out)
{
    struct cv_balancer_hub *hub = cv_allocate_zeroed(&runtime->alloc, 1, sizeof *hub);
    if (hub == NULL)
        return COVEY_ERR_NO_MEMORY;
    if (pthread_mutex_init(&hub->lock, NULL) != 0) {
        cv_release(&runtime->alloc, hub);
        return COVEY_ERR_SYSTEM;
    }
    hub->runtime = runtime;
    hub->references = 1;
    TAILQ_INIT(&hub->followers);
    cv_runtime_retain(runtime);
    *out = hub;
    return 0;
}

static void unlock_and_release(struct cv_balancer_hub *hub)
{
    covey_runtime *runtime = hub->runtime;
    const size_t left = --hub->references;
    pthread_mutex_unlock(&hub->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&hub->lock);
    cv_denied_release(hub->denied);
    cv_release(&runtime->alloc, hub);
    cv_runtime_release(runtime);
}

void cv_balancer_hub_release(struct cv_balancer_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    unlock_and_release(hub);
}

/* Under the lock. */
static void show_one(struct cv_balancer_hub *hub, struct cv_follower *follower,
                     const struct cv_snapshot *snapshot)
{
    follower->denied = hub->denied;
    follower->show(follower, snapshot);
}

static void show_all(struct cv_balancer_hub *hub, const struct cv_snapshot *snapshot)
{
    struct cv_follower *f;
    TAILQ_FOREACH (f, &hub->followers, entry)
        show_one(hub, f, snapshot);
}

int cv_balancer_hub_join(struct cv_balancer_hub *hub, struct cv_follower *follower,
                         struct cv_snapshot *(*take)(void *user), void *user)
{
    int error = COVEY_ERR_LIMIT;
    pthread_mutex_lock(&hub->lock);
    if (hub->counts[follower->kind] < CV_FOLLOWERS_MAX / CV_FOLLOWER_KINDS) {
        /* One that is published now waits for the lock, and comes after this. */
        struct cv_snapshot *snapshot = take(user);
        hub->counts[follower->kind]++;
        hub->references++;
        if (follower->kind == CV_FOLLOWER_BALANCER)
            TAILQ_INSERT_HEAD(&hub->followers, follower, entry);
        else
            TAILQ_INSERT_TAIL(&hub->followers, follower, entry);
        show_one(hub, follower, snapshot);
        cv_snapshot_release(snapshot);
        error = 0;
    }
    pthread_mutex_unlock(&hub->lock);
    return error;
}

void cv_balancer_hub_leave(struct cv_balancer_hub *hub, struct cv_follower *follower)
{
    pthread_mutex_lock(&hub->lock);
    hub->counts[follower->kind]--;
    TAILQ_REMOVE(&hub->followers, follower, entry);
    unlock_and_release(hub);
}

bool cv_balancer_hub_show(struct cv_balancer_hub *hub, const struct cv_snapshot *snapshot,
                          bool waits)
{
    if (waits)
        pthread_mutex_lock(&hub->lock);
    else if (pthread_mutex_trylock(&hub->lock) != 0)
        return false;
    show_all(hub, snapshot);
    pthread_mutex_unlock(&hub->lock);
    return true;
}

int cv_balancer_hub_deny(struct cv_balancer_hub *hub, const covey_node_id *ids, size_t count,
                         struct cv_snapshot *(*take)(void *user), void *user)
{
    struct cv_denied *denied = NULL;
    const int error = count == 0 ? 0 : cv_denied_new(&hub->runtime->alloc, ids, count, &denied);
    if (error != 0)
        return error;
    pthread_mutex_lock(&hub->lock);
    struct cv_denied *old = hub->denied;
    struct cv_snapshot *snapshot = take(user); /* a newer one waits for the lock, as in join */
    hub->denied = denied;
    show_all(hub, snapshot);
    pthread_mutex_unlock(&hub->lock);
    cv_snapshot_release(snapshot);
    cv_denied_release(old);
    return 0;
}
