#include "api/event_receiver.h"

#include "api/cluster.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- the hub ---- */

int cv_event_hub_new(covey_runtime *runtime, struct cv_event_hub **out)
{
    struct cv_event_hub *hub = cv_allocate_zeroed(&runtime->alloc, 1, sizeof *hub);
    if (hub == NULL)
        return COVEY_ERR_NO_MEMORY;
    hub->runtime = runtime;
    hub->references = 1;
    LIST_INIT(&hub->receivers);
    int error = cv_event_channel_new(&runtime->alloc, &hub->channel);
    if (error == 0 && pthread_mutex_init(&hub->lock, NULL) != 0)
        error = COVEY_ERR_SYSTEM;
    else if (error == 0 && (error = cv_condition_init(&hub->changed)) != 0)
        pthread_mutex_destroy(&hub->lock);
    if (error != 0) {
        if (hub->channel != NULL)
            cv_event_channel_free(hub->channel);
        cv_release(&runtime->alloc, hub);
        return error;
    }
    cv_runtime_retain(runtime);
    *out = hub;
    return 0;
}

/* Gives up the lock, and the hub with its last reference. */
static void unlock_and_release(struct cv_event_hub *hub)
{
    covey_runtime *runtime = hub->runtime;
    size_t left = --hub->references;
    pthread_mutex_unlock(&hub->lock);
    if (left > 0)
        return;
    cv_event_channel_free(hub->channel);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->lock);
    cv_release(&runtime->alloc, hub);
    cv_runtime_release(runtime);
}

void cv_event_hub_release(struct cv_event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    unlock_and_release(hub);
}

/* Makes the descriptor say what the cursor says. A full counter of an eventfd is still readable,
 * and an empty one still is not, so the results of write and read tell nothing. */
static void update_fd(struct covey_event_receiver *r)
{
    bool is_ready = cv_subscriber_is_ready(r->cursor);
    uint64_t count = 1;
    if (is_ready == r->fd_is_set)
        return;
    ssize_t done =
        is_ready ? write(r->fd, &count, sizeof count) : read(r->fd, &count, sizeof count);
    (void)done;
    r->fd_is_set = is_ready;
}

static void wake_all(struct cv_event_hub *hub)
{
    struct covey_event_receiver *r;
    LIST_FOREACH (r, &hub->receivers, entry) {
        update_fd(r);
        cv_event_handler_wake(r);
    }
    pthread_cond_broadcast(&hub->changed);
}

void cv_event_hub_publish(struct cv_event_hub *hub, const struct cv_event *event)
{
    pthread_mutex_lock(&hub->lock);
    cv_event_channel_publish(hub->channel, event);
    hub->emitted++;
    pthread_mutex_unlock(&hub->lock);
}

void cv_event_hub_show(struct cv_event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    cv_event_channel_show(hub->channel);
    wake_all(hub);
    pthread_mutex_unlock(&hub->lock);
}

void cv_event_hub_close(struct cv_event_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    cv_event_channel_close(hub->channel);
    wake_all(hub);
    pthread_mutex_unlock(&hub->lock);
}

void cv_event_hub_count(struct cv_event_hub *hub, uint64_t *emitted, uint64_t *receivers)
{
    pthread_mutex_lock(&hub->lock);
    *emitted = hub->emitted;
    *receivers = hub->receiver_count;
    pthread_mutex_unlock(&hub->lock);
}

/* ---- receivers ---- */

/* A receiver without a cursor yet. */
static struct covey_event_receiver *receiver_new(struct cv_event_hub *hub)
{
    struct covey_event_receiver *r = cv_allocate_zeroed(&hub->runtime->alloc, 1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->hub = hub;
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r;
}

static void receiver_release(struct covey_event_receiver *r)
{
    if (r->fd >= 0)
        close(r->fd);
    cv_release(&r->hub->runtime->alloc, r);
}

/* Subscribes, or clones `from`. */
static int receiver_add(struct cv_event_hub *hub, const struct covey_event_receiver *from,
                        covey_event_receiver **out)
{
    struct covey_event_receiver *r = receiver_new(hub);
    if (r == NULL)
        return COVEY_ERR_NO_MEMORY;
    pthread_mutex_lock(&hub->lock);
    int error = COVEY_ERR_SYSTEM;
    if (r->fd >= 0)
        error = from == NULL ? cv_event_channel_subscribe(hub->channel, &r->cursor)
                             : cv_subscriber_clone(from->cursor, &r->cursor);
    if (error == 0) {
        hub->references++;
        hub->receiver_count++;
        LIST_INSERT_HEAD(&hub->receivers, r, entry);
        update_fd(r);
    }
    pthread_mutex_unlock(&hub->lock);
    if (error != 0) {
        receiver_release(r);
        return error;
    }
    *out = r;
    return 0;
}

int cv_event_hub_subscribe(struct cv_event_hub *hub, covey_event_receiver **out)
{
    return receiver_add(hub, NULL, out);
}

int covey_event_receiver_clone(const covey_event_receiver *receiver, covey_event_receiver **out)
{
    return receiver_add(receiver->hub, receiver, out);
}

void cv_event_receiver_drop(struct covey_event_receiver *r)
{
    struct cv_event_hub *hub = r->hub;
    LIST_REMOVE(r, entry);
    hub->receiver_count--;
    cv_subscriber_free(r->cursor);
    cv_cluster_node_release(r->node);
    receiver_release(r);
    unlock_and_release(hub);
}

static void fill(struct covey_event_receiver *r, const struct cv_event *from,
                 struct covey_event *event)
{
    cv_cluster_node_release(r->node);
    r->node = from->node;
    struct covey_event full = {
        .type = from->type,
        .timestamp_ms = from->wall_ms,
        .held_up = from->held_up,
        .goes_on = from->goes_on,
        .loop = from->loop,
    };
    if (r->node != NULL) {
        r->view = cv_cluster_node_view(r->node, from->state, from->incarnation);
        full.node = &r->view;
    }
    if (from->type == COVEY_EVENT_PARTITION_DETECTED) {
        r->partition = cv_partition_view(&from->partition);
        full.partition = &r->partition;
    }
    if (from->check[0] != '\0') {
        memcpy(r->check, from->check, sizeof r->check);
        full.check = r->check;
    }
    cv_config_give(event, event->size, &full, sizeof full);
}

int cv_event_receiver_take(struct covey_event_receiver *r, struct covey_event *event)
{
    struct cv_event next = {0};
    uint64_t dropped = 0;
    int error = cv_subscriber_next(r->cursor, &next, &dropped);
    update_fd(r);
    if (error == COVEY_ERR_LAGGED) {
        struct covey_event full = {.type = COVEY_EVENT_EVENTS_DROPPED, .dropped = dropped};
        cv_config_give(event, event->size, &full, sizeof full);
        return 0;
    }
    if (error == 0)
        fill(r, &next, event);
    return error;
}

int covey_event_receive(covey_event_receiver *r, covey_time timeout, struct covey_event *event)
{
    struct cv_event_hub *hub = r->hub;
    if (event->size < offsetof(struct covey_event, node))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (timeout > 0 && cv_runtime_is_loop_thread(hub->runtime))
        return COVEY_ERR_WRONG_THREAD;
    covey_time deadline = timeout == 0 ? 0 : cv_deadline_after(timeout);
    pthread_mutex_lock(&hub->lock);
    if (r->handler != NULL) {
        pthread_mutex_unlock(&hub->lock);
        return COVEY_ERR_STATE;
    }
    int error;
    while ((error = cv_event_receiver_take(r, event)) == COVEY_ERR_WOULD_BLOCK && timeout > 0)
        if (!cv_condition_wait(&hub->changed, &hub->lock, deadline)) {
            error = cv_event_receiver_take(r, event);
            break;
        }
    pthread_mutex_unlock(&hub->lock);
    return error == COVEY_ERR_WOULD_BLOCK ? COVEY_ERR_TIMEOUT : error;
}

int covey_event_receiver_fd(const covey_event_receiver *receiver)
{
    return receiver->fd;
}

uint64_t covey_event_receiver_dropped(const covey_event_receiver *receiver)
{
    pthread_mutex_lock(&receiver->hub->lock);
    uint64_t dropped = cv_subscriber_dropped(receiver->cursor);
    pthread_mutex_unlock(&receiver->hub->lock);
    return dropped;
}

int covey_event_receiver_stats(const covey_event_receiver *receiver,
                               struct covey_event_receiver_stats *stats)
{
    if (stats == NULL || stats->size < sizeof stats->size)
        return COVEY_ERR_INVALID_ARGUMENT;
    pthread_mutex_lock(&receiver->hub->lock);
    const struct cv_subscriber_stats own = cv_subscriber_stats(receiver->cursor);
    pthread_mutex_unlock(&receiver->hub->lock);
    const struct covey_event_receiver_stats full = {
        .emitted = own.emitted,
        .delivered = own.delivered,
        .dropped = own.dropped,
        .waiting = own.waiting,
    };
    cv_config_give(stats, stats->size, &full, sizeof full);
    return 0;
}
