#include "api/view.h"

#include <covey/error.h>

#define LOCK_TRIES 100

int cv_view_init(struct cv_view *v)
{
    *v = (struct cv_view){.newest = NULL};
    return pthread_mutex_init(&v->lock, NULL) == 0 ? 0 : COVEY_ERR_SYSTEM;
}

/* Lets go of the i-th that was replaced. */
static void forget(struct cv_view *v, size_t i)
{
    cv_snapshot_release(v->retired[i]);
    v->retired_count--;
    for (; i < v->retired_count; i++)
        v->retired[i] = v->retired[i + 1];
}

void cv_view_fini(struct cv_view *v)
{
    while (v->retired_count > 0)
        forget(v, 0);
    cv_snapshot_release(v->newest);
    pthread_mutex_destroy(&v->lock);
}

static void retire(struct cv_view *v, struct cv_snapshot *old)
{
    size_t i = 0;
    while (i < v->retired_count) {
        if (cv_snapshot_is_last(v->retired[i]))
            forget(v, i);
        else
            i++;
    }
    if (cv_snapshot_is_last(old)) {
        cv_snapshot_release(old);
        return;
    }
    if (v->retired_count == CV_VIEW_RETIRED_MAX)
        forget(v, 0);
    v->retired[v->retired_count++] = old;
}

/* Readers hold it for some instructions; one that was interrupted in these holds it for long. */
static bool lock(struct cv_view *v, bool waits)
{
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        if (pthread_mutex_trylock(&v->lock) == 0)
            return true;
    }
    return waits && pthread_mutex_lock(&v->lock) == 0;
}

int cv_view_publish(struct cv_view *v, const struct cv_alloc *alloc,
                    const struct cv_node_registry *registry, bool waits)
{
    struct cv_snapshot *old = v->newest; /* only this thread writes it */
    struct cv_snapshot *now;
    const int error = cv_snapshot_new(alloc, registry, old, &now);
    if (error != 0)
        return error;
    if (!lock(v, waits)) {
        cv_snapshot_release(now);
        return COVEY_ERR_BUSY;
    }
    v->newest = now;
    pthread_mutex_unlock(&v->lock);
    if (old != NULL)
        retire(v, old);
    return 0;
}

void cv_view_clear(struct cv_view *v)
{
    struct cv_snapshot *old = v->newest;
    pthread_mutex_lock(&v->lock);
    v->newest = NULL;
    pthread_mutex_unlock(&v->lock);
    if (old != NULL)
        retire(v, old);
}

struct cv_snapshot *cv_view_take(struct cv_view *v)
{
    pthread_mutex_lock(&v->lock);
    struct cv_snapshot *s = v->newest == NULL ? NULL : cv_snapshot_retain(v->newest);
    pthread_mutex_unlock(&v->lock);
    return s;
}
