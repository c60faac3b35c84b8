#ifndef CV_API_VIEW_H
#define CV_API_VIEW_H

#include "cluster/snapshot.h"

#include <pthread.h>

#define CV_VIEW_RETIRED_MAX 4

/*
 * The newest snapshot of membership: one thread, the writer, replaces it, any thread takes it. The
 * lock is held to move a pointer and a count, never to build or to free.
 *
 * To free a snapshot costs as much as it has members. So the writer keeps those that it replaced
 * until their readers are done, and a query does not pay for it. Of readers that are slower than
 * CV_VIEW_RETIRED_MAX publications the last one frees.
 */
struct cv_view {
    pthread_mutex_t lock; /* newest */
    struct cv_snapshot *newest;
    struct cv_snapshot *retired[CV_VIEW_RETIRED_MAX]; /* the writer's; the oldest first */
    size_t retired_count;
};

/* Nothing in it. 0 or COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_view_init(struct cv_view *v);
/* Nobody takes any more. Snapshots that were taken stay their readers'. */
void cv_view_fini(struct cv_view *v);

/* The writer: shows the members of now. 0, or with the view as it was COVEY_ERR_NO_MEMORY or, unless it
 * `waits`, COVEY_ERR_BUSY: a reader was interrupted at the pointer. */
COVEY_MUST_USE int cv_view_publish(struct cv_view *v, const struct cv_alloc *alloc,
                                   const struct cv_node_registry *registry, bool waits);
/* The writer: shows nothing any more. */
void cv_view_clear(struct cv_view *v);
/* One reference to the newest; NULL before the first was published, and when it was cleared. */
struct cv_snapshot *cv_view_take(struct cv_view *v);

#endif
