#include "api/client_loop.h"

#include "api/client.h"

#include <assert.h>

static void run_timers(struct cv_client_loop *cl, covey_time now)
{
    struct cv_timer *timer;
    while ((timer = cv_heap_expire(&cl->timers, now)) != NULL) {
        struct cv_client_timer *owner = (struct cv_client_timer *)(void *)timer;
        owner->expired(owner);
    }
}

static void turn(void *user, covey_time now)
{
    struct cv_client_loop *cl = user;
    struct cv_client_request *r;
    run_timers(cl, now);
    while ((r = TAILQ_FIRST(&cl->doomed)) != NULL)
        cv_client_request_tell_doomed(r);
    while (!LIST_EMPTY(&cl->left))
        cv_client_untie(LIST_FIRST(&cl->left));
}

static covey_time deadline(void *user)
{
    const struct cv_client_loop *cl = user;
    bool is_due = !TAILQ_EMPTY(&cl->doomed) || !LIST_EMPTY(&cl->left);
    return is_due ? 0 : cv_heap_deadline(&cl->timers);
}

void cv_client_loop_init(struct cv_client_loop *cl, struct cv_loop *loop,
                         const struct cv_alloc *alloc, struct cv_pool *pool)
{
    *cl = (struct cv_client_loop){.loop = loop,
                                  .task = {.turn = turn, .deadline = deadline, .user = cl}};
    cv_heap_init(&cl->timers, alloc);
    cv_pool_share_init(&cl->share, pool);
    TAILQ_INIT(&cl->doomed);
    LIST_INIT(&cl->left);
    LIST_INIT(&cl->hosts);
}

void cv_client_loop_fini(struct cv_client_loop *cl)
{
    assert(cl->clients == 0 && LIST_EMPTY(&cl->hosts));
    cv_heap_fini(&cl->timers);
    cv_pool_share_fini(&cl->share);
}

/* Before the hosts' tasks: what a timer begins leaves in the same turn. */
void cv_client_loop_join(struct cv_client_loop *cl)
{
    if (cl->clients++ == 0)
        cv_loop_add(cl->loop, &cl->task);
}

void cv_client_loop_leave(struct cv_client_loop *cl)
{
    assert(cl->clients > 0);
    if (--cl->clients == 0)
        cv_loop_remove(cl->loop, &cl->task);
}

int cv_client_loop_want_timers(struct cv_client_loop *cl, size_t count)
{
    int error = cv_heap_reserve(&cl->timers, cl->timers_wanted + count);
    if (error == 0)
        cl->timers_wanted += count;
    return error;
}

void cv_client_loop_forget_timers(struct cv_client_loop *cl, size_t count)
{
    assert(cl->timers_wanted >= count);
    cl->timers_wanted -= count;
}

void cv_client_loop_set(struct cv_client_loop *cl, struct cv_client_timer *timer, covey_time when)
{
    cv_heap_set(&cl->timers, &timer->timer, when);
}
