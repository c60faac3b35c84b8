/* Event receivers with a function that is called. */
#include "api/event_receiver.h"

#include <assert.h>
#include <stddef.h>

/* Then others have their turn. */
#define EVENTS_AT_ONCE 64

static struct covey_event_receiver *receiver_of(struct cv_dispatch *dispatch)
{
    return (struct covey_event_receiver *)(void *)((unsigned char *)dispatch -
                                                   offsetof(struct covey_event_receiver, dispatch));
}

/* Calls it without the lock. */
static void call(struct covey_event_receiver *r, const struct covey_event *event)
{
    struct cv_event_hub *hub = r->hub;
    r->is_running = true;
    r->runner = pthread_self();
    pthread_mutex_unlock(&hub->lock);
    r->handler(event, r->user);
    pthread_mutex_lock(&hub->lock);
    r->is_running = false;
}

/* One event; false when there is none. */
static bool deliver(struct covey_event_receiver *r)
{
    struct covey_event event = {.size = sizeof event};
    if (r->is_freed || r->is_told_end)
        return false;
    int error = cv_event_receiver_take(r, &event);
    r->is_told_end = error == COVEY_ERR_CLOSED;
    if (error == 0)
        call(r, &event);
    else if (r->is_told_end)
        call(r, NULL);
    return error == 0;
}

static void run(struct cv_dispatch *dispatch)
{
    struct covey_event_receiver *r = receiver_of(dispatch);
    struct cv_event_hub *hub = r->hub;
    pthread_mutex_lock(&hub->lock);
    for (int i = 0; i < EVENTS_AT_ONCE && deliver(r); i++)
        ;
    r->is_dispatched = false;
    if (r->is_freed && !r->is_awaited) {
        cv_event_receiver_drop(r);
        return;
    }
    if (r->is_awaited)
        pthread_cond_broadcast(&hub->changed); /* who waits drops it */
    else
        cv_event_handler_wake(r);
    pthread_mutex_unlock(&hub->lock);
}

static int dispatch(struct covey_event_receiver *r)
{
    r->is_dispatched = true;
    int error = cv_dispatch(r->hub->runtime, &r->dispatch);
    if (error != 0)
        r->is_dispatched = false;
    return error;
}

void cv_event_handler_wake(struct covey_event_receiver *r)
{
    if (r->handler == NULL || r->is_dispatched || r->is_told_end ||
        !cv_subscriber_is_ready(r->cursor))
        return;
    int error = dispatch(r);
    assert(error == 0); /* it was possible when the handler was set */
    (void)error;
}

int covey_event_receiver_on_event(covey_event_receiver *r, covey_event_handler handler, void *user)
{
    struct cv_event_hub *hub = r->hub;
    if (handler == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    pthread_mutex_lock(&hub->lock);
    int error = COVEY_ERR_STATE;
    if (r->handler == NULL) {
        r->dispatch.run = run;
        error = dispatch(r); /* also when there is nothing yet: to know that there is a thread */
    }
    if (error == 0) {
        r->handler = handler;
        r->user = user;
    }
    pthread_mutex_unlock(&hub->lock);
    return error;
}

/* One whose dispatch still waits for its turn goes when that has run; nothing is called any more. */
void covey_event_receiver_free(covey_event_receiver *r)
{
    if (r == NULL)
        return;
    struct cv_event_hub *hub = r->hub;
    const bool may_wait = !cv_runtime_is_loop_thread(hub->runtime);
    pthread_mutex_lock(&hub->lock);
    r->is_freed = true;
    r->is_awaited = may_wait && r->is_running && !pthread_equal(r->runner, pthread_self());
    while (r->is_awaited && r->is_dispatched)
        pthread_cond_wait(&hub->changed, &hub->lock);
    if (r->is_dispatched)
        pthread_mutex_unlock(&hub->lock);
    else
        cv_event_receiver_drop(r);
}
