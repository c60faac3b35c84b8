/* What the user of an exchange does, on any thread. */
#include "api/exchange_internal.h"

#include <assert.h>
#include <sched.h>

/* The RPC layer is told of what was read in steps, so that not each message costs a mail: as late as it
 * allows for (receive_lag_max). */
#define TOLD_STEP ((size_t)4 * 1024)

/* ---- waiting ---- */

/* Who waits brings what is needed for it: nearly all calls end without. */
struct cv_exchange_waiter {
    pthread_cond_t changed;
    LIST_ENTRY(cv_exchange_waiter) entry;
};

void cv_exchange_changed_locked(struct cv_exchange *x)
{
    struct cv_exchange_waiter *waiter;
    LIST_FOREACH (waiter, &x->waiters, entry)
        pthread_cond_signal(&waiter->changed);
}

/* With the lock held. False when the deadline has passed, or when the system has nothing to wait with. */
static bool await_change(struct cv_exchange *x, covey_time deadline)
{
    struct cv_exchange_waiter waiter;
    if (cv_condition_init(&waiter.changed) != 0) {
        pthread_mutex_unlock(&x->lock);
        sched_yield();
        pthread_mutex_lock(&x->lock);
        return false;
    }
    LIST_INSERT_HEAD(&x->waiters, &waiter, entry);
    bool in_time = cv_condition_wait(&waiter.changed, &x->lock, deadline);
    LIST_REMOVE(&waiter, entry);
    pthread_cond_destroy(&waiter.changed);
    return in_time;
}

/* ---- sending ---- */

static void queue(struct cv_exchange *x, struct cv_exchange_message *m)
{
    pthread_mutex_lock(&x->lock);
    STAILQ_INSERT_TAIL(&x->out, m, entry);
    atomic_fetch_add(&x->out_size, m->size + CV_EXCHANGE_MESSAGE_COST);
    cv_exchange_post_locked(x);
    pthread_mutex_unlock(&x->lock);
}

static int send_later(struct cv_exchange *x, struct cv_slice message)
{
    struct cv_exchange_message *m = cv_exchange_message_new(x, message);
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    queue(x, m);
    return 0;
}

static int metadata_later(struct cv_exchange *x, const struct cv_rpc_metadata *set, size_t count)
{
    struct cv_exchange_message *m = cv_exchange_message_new(x, (struct cv_slice){NULL, 0});
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    m->is_metadata = true;
    if (cv_metadata_copy(x->runtime, set, count, &m->metadata) != 0) {
        cv_exchange_message_free(x, m);
        return COVEY_ERR_NO_MEMORY;
    }
    queue(x, m);
    return 0;
}

int cv_exchange_send_metadata(struct cv_exchange *x, const struct cv_rpc_metadata *set,
                              size_t count)
{
    if (atomic_load(&x->is_over))
        return COVEY_ERR_CLOSED;
    if (cv_loop_in_turn(x->loop)) {
        int error = cv_exchange_metadata_now(x, set, count);
        if (error != COVEY_ERR_BUSY)
            return error;
    }
    return metadata_later(x, set, count);
}

/* Notes down that room is wanted, unless there is some by now. */
static bool is_full(struct cv_exchange *x)
{
    if (atomic_load(&x->out_size) <= CV_EXCHANGE_QUEUED_MAX)
        return false;
    pthread_mutex_lock(&x->lock);
    x->wants_room = atomic_load(&x->out_size) > CV_EXCHANGE_QUEUED_MAX;
    bool full = x->wants_room;
    pthread_mutex_unlock(&x->lock);
    return full;
}

int cv_exchange_send(struct cv_exchange *x, struct cv_slice message)
{
    if (message.data == NULL && message.size > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (atomic_load(&x->out_ended))
        return COVEY_ERR_STATE;
    if (atomic_load(&x->is_over))
        return COVEY_ERR_CLOSED;
    if (message.size > x->message_size_max)
        return COVEY_ERR_TOO_LARGE;
    if (is_full(x))
        return COVEY_ERR_BUSY;
    if (atomic_load(&x->out_size) == 0 && cv_loop_in_turn(x->loop)) {
        int error = cv_exchange_send_now(x, message);
        if (error != COVEY_ERR_BUSY)
            return error;
    }
    return send_later(x, message);
}

int cv_exchange_wait_room(struct cv_exchange *x, covey_time timeout)
{
    if (timeout > 0 && cv_runtime_is_loop_thread(x->runtime))
        return COVEY_ERR_WRONG_THREAD;
    covey_time deadline = cv_deadline_after(timeout);
    bool in_time = timeout > 0;
    pthread_mutex_lock(&x->lock);
    while (in_time && !atomic_load(&x->is_over) &&
           atomic_load(&x->out_size) > CV_EXCHANGE_QUEUED_MAX)
        in_time = await_change(x, deadline);
    pthread_mutex_unlock(&x->lock);
    if (atomic_load(&x->is_over))
        return COVEY_ERR_CLOSED;
    return atomic_load(&x->out_size) > CV_EXCHANGE_QUEUED_MAX ? COVEY_ERR_TIMEOUT : 0;
}

void cv_exchange_begin(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->begin_wanted = true;
    if (!cv_loop_in_turn(x->loop))
        cv_exchange_post_locked(x);
    pthread_mutex_unlock(&x->lock);
    if (cv_loop_in_turn(x->loop))
        cv_exchange_writable(x);
}

void cv_exchange_end(struct cv_exchange *x)
{
    atomic_store_explicit(&x->out_ended, true, memory_order_release);
    if (atomic_load(&x->out_size) == 0 && cv_loop_in_turn(x->loop) && x->rpc != NULL) {
        cv_exchange_end_now(x);
        return;
    }
    cv_exchange_post(x);
}

void cv_exchange_cancel(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->cancel_wanted = true;
    cv_exchange_post_locked(x);
    pthread_mutex_unlock(&x->lock);
}

/* ---- receiving ---- */

/* With the lock held: the first message that waits becomes the current one. */
static void take_first(struct cv_exchange *x)
{
    struct cv_exchange_message *m = STAILQ_FIRST(&x->in);
    STAILQ_REMOVE_HEAD(&x->in, entry);
    x->current = m;
    x->read_count++;
    x->read_size += m->size;
    if (x->read_size + x->read_count * CV_EXCHANGE_MESSAGE_COST >= TOLD_STEP)
        cv_exchange_post_locked(x);
}

static int wait_and_take(struct cv_exchange *x, covey_time timeout)
{
    covey_time deadline = timeout == 0 ? 0 : cv_deadline_after(timeout);
    bool in_time = timeout > 0;
    int error = 0;
    pthread_mutex_lock(&x->lock);
    while (in_time && !cv_exchange_has_something(x))
        in_time = await_change(x, deadline);
    if (!STAILQ_EMPTY(&x->in))
        take_first(x);
    else if (cv_exchange_has_something(x))
        error = COVEY_ERR_CLOSED;
    else
        error = COVEY_ERR_TIMEOUT;
    x->wants_message = error == COVEY_ERR_TIMEOUT;
    pthread_mutex_unlock(&x->lock);
    return error;
}

int cv_exchange_receive(struct cv_exchange *x, covey_time timeout, struct cv_slice *out)
{
    if (timeout > 0 && cv_runtime_is_loop_thread(x->runtime))
        return COVEY_ERR_WRONG_THREAD;
    cv_exchange_message_free(x, x->current);
    x->current = NULL;
    int error = wait_and_take(x, timeout);
    if (error == 0)
        *out = cv_slice_of(x->current->bytes, x->current->size);
    return error;
}

static void await_told(struct cv_exchange *x)
{
    while (x->is_telling && !cv_loop_is_current(x->loop))
        await_change(x, COVEY_NEVER);
}

void cv_exchange_post_and_unlock(struct cv_exchange *x)
{
    cv_exchange_retain_locked(x);
    cv_exchange_post_locked(x);
    await_told(x);
    cv_exchange_release_and_unlock(x);
}

void cv_exchange_leave(struct cv_exchange *x)
{
    assert(!x->user_is_gone);
    if (cv_loop_in_turn(x->loop)) {
        cv_exchange_leave_here(x);
        return;
    }
    pthread_mutex_lock(&x->lock);
    x->user_is_gone = true;
    x->wants_room = x->wants_message = false;
    await_told(x);
    cv_exchange_release_and_unlock(x);
}
