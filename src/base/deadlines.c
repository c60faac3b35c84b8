#include "base/deadlines.h"

void cv_deadlines_init(struct cv_deadlines *d, const struct cv_alloc *alloc)
{
    cv_heap_init(&d->near, alloc);
    TAILQ_INIT(&d->far);
}

void cv_deadlines_fini(struct cv_deadlines *d)
{
    cv_heap_fini(&d->near);
}

/* Those that have waited long enough. */
static void move_due(struct cv_deadlines *d, covey_time now)
{
    struct cv_deadline *t;
    while ((t = TAILQ_FIRST(&d->far)) != NULL && t->move_at <= now) {
        TAILQ_REMOVE(&d->far, t, entry);
        t->is_far = false;
        cv_heap_put(&d->near, &t->timer);
    }
}

void cv_deadlines_set(struct cv_deadlines *d, struct cv_deadline *t, covey_time deadline,
                      covey_time now)
{
    cv_deadlines_clear(d, t);
    if (deadline == COVEY_NEVER)
        return;
    if (deadline <= now || deadline - now <= CV_DEADLINES_FAR) {
        cv_heap_set(&d->near, &t->timer, deadline);
        return;
    }
    cv_heap_note(&d->near, &t->timer, deadline);
    t->move_at = now + CV_DEADLINES_FAR;
    t->is_far = true;
    TAILQ_INSERT_TAIL(&d->far, t, entry);
}

covey_time cv_deadlines_next(const struct cv_deadlines *d)
{
    const struct cv_deadline *far = TAILQ_FIRST(&d->far);
    covey_time near = cv_heap_deadline(&d->near);
    return far != NULL && far->move_at < near ? far->move_at : near;
}

struct cv_deadline *cv_deadlines_expire(struct cv_deadlines *d, covey_time now)
{
    move_due(d, now);
    return (struct cv_deadline *)(void *)cv_heap_expire(&d->near, now);
}
