#include "transport/connection_pool_internal.h"

#include <assert.h>
#include <covey/error.h>

void cv_pool_config_init(struct cv_pool_config *config)
{
    *config = (struct cv_pool_config){
        .dialled_max = 50,
        .under_way_max = 32,
        .accepted_max = 4096,
        .waiters_max = 1024,
        .idle_max = 60 * COVEY_SECOND,
        .check_interval = 30 * COVEY_SECOND,
    };
}

void cv_connection_pool_init(struct cv_connection_pool *pool, const struct cv_alloc *alloc,
                             const covey_node_id *self, const uint64_t secret[2],
                             const struct cv_pool_config *config)
{
    *pool = (struct cv_connection_pool){
        .alloc = alloc,
        .self = *self,
        .config = *config,
        .waiters_due = COVEY_NEVER,
        .check_at = COVEY_NEVER,
    };
    cv_dial_window_init(&pool->window, config->under_way_max);
    /* Pinned ones are bounded by who pins: as many as there may be accepted ones. */
    cv_map_init(&pool->slots, alloc, secret,
                2 * config->accepted_max + config->dialled_max + config->waiters_max);
    cv_map_init(&pool->places, alloc, secret, pool->slots.count_max);
    TAILQ_INIT(&pool->unnamed);
    TAILQ_INIT(&pool->held);
    TAILQ_INIT(&pool->queued);
    TAILQ_INIT(&pool->wanted);
    TAILQ_INIT(&pool->under_way);
    TAILQ_INIT(&pool->abandoned);
    TAILQ_INIT(&pool->by_use);
    TAILQ_INIT(&pool->closing);
    TAILQ_INIT(&pool->checks);
    TAILQ_INIT(&pool->waiters);
    TAILQ_INIT(&pool->answered);
}

void cv_connection_pool_fini(struct cv_connection_pool *pool)
{
    size_t cursor = 0;
    struct cv_pool_slot *slot;
    struct cv_pooled *connection;
    TAILQ_FOREACH (connection, &pool->by_use, order)
        connection->slot = NULL;
    TAILQ_FOREACH (connection, &pool->closing, order)
        connection->is_closing = false;
    while ((slot = cv_map_next(&pool->slots, &cursor)) != NULL)
        cv_release(pool->alloc, slot);
    while ((slot = TAILQ_FIRST(&pool->unnamed)) != NULL) {
        TAILQ_REMOVE(&pool->unnamed, slot, unnamed);
        cv_release(pool->alloc, slot);
    }
    cv_map_fini(&pool->places);
    cv_map_fini(&pool->slots);
}

struct cv_pooled *cv_connection_pool_get(const struct cv_connection_pool *pool,
                                         const covey_node_id *peer)
{
    const struct cv_pool_slot *slot = cv_pool_slot_of(pool, peer);
    return slot == NULL ? NULL : slot->speaker;
}

/* ---- leases and use ---- */

void cv_connection_pool_touch(struct cv_connection_pool *pool, struct cv_pooled *connection,
                              covey_time now)
{
    if (connection->slot == NULL)
        return;
    connection->used_at = now;
    TAILQ_REMOVE(&pool->by_use, connection, order);
    TAILQ_INSERT_TAIL(&pool->by_use, connection, order);
}

void cv_pool_lease(struct cv_connection_pool *pool, struct cv_pooled *connection, covey_time now)
{
    connection->leases++;
    cv_connection_pool_touch(pool, connection, now);
}

void cv_connection_pool_release(struct cv_connection_pool *pool, struct cv_pooled *connection,
                                covey_time now)
{
    assert(connection->leases > 0);
    pool->now = now;
    connection->leases--;
    cv_connection_pool_touch(pool, connection, now);
    if (connection->leases == 0)
        cv_pool_serve_queue(pool);
}

void cv_connection_pool_pin(struct cv_connection_pool *pool, const covey_node_id *peer,
                            bool is_pinned)
{
    struct cv_pool_slot *slot = cv_pool_slot_of(pool, peer);
    if (slot == NULL || slot->is_pinned == is_pinned)
        return;
    slot->is_pinned = is_pinned;
    cv_pool_slot_settle(pool, slot);
    while (pool->stats.dialled > pool->config.dialled_max && cv_pool_evict(pool, 0))
        ;
}

/* ---- who speaks ---- */

/* Both sides must come to the same answer. */
static bool newer_wins(const struct cv_connection_pool *pool, const struct cv_pooled *old,
                       const struct cv_pooled *new, const covey_node_id *peer)
{
    if (old->accepted == new->accepted || new->since - old->since >= CV_POOL_CROSSING)
        return true;
    bool ours_stays = covey_node_id_compare(&pool->self, peer) < 0;
    return ours_stays == !new->accepted;
}

static void speak(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                  struct cv_pooled *connection)
{
    slot->speaker = connection;
    connection->slot = slot;
    TAILQ_INSERT_TAIL(&pool->by_use, connection, order);
    pool->stats.accepted += connection->accepted;
    pool->stats.created++;
    pool->stats.open++;
    if (pool->check_at == COVEY_NEVER)
        pool->check_at = connection->since + pool->config.check_interval;
}

/* It speaks for nobody any more. */
static void fall_silent(struct cv_connection_pool *pool, struct cv_pooled *connection)
{
    connection->slot->speaker = NULL;
    connection->slot = NULL;
    TAILQ_REMOVE(&pool->by_use, connection, order);
    if (connection->is_asked)
        TAILQ_REMOVE(&pool->checks, connection, checks);
    connection->is_asked = false;
    pool->stats.accepted -= connection->accepted;
    pool->stats.closed++;
    pool->stats.open--;
}

/* A dial of ours that goes on though the peer is connected: only if it will stay. */
static void spare_dial(struct cv_connection_pool *pool, struct cv_pool_slot *slot, bool accepted)
{
    bool ours_stays =
        accepted && slot->is_heard && covey_node_id_compare(&pool->self, &slot->id) < 0;
    if (slot->dial == CV_POOL_DIAL_NONE || slot->dial == CV_POOL_DIAL_ABANDONED ||
        (slot->dial == CV_POOL_DIAL_UNDER_WAY && ours_stays))
        return;
    cv_pool_dial_set(pool, slot,
                     slot->dial == CV_POOL_DIAL_UNDER_WAY ? CV_POOL_DIAL_ABANDONED
                                                          : CV_POOL_DIAL_NONE);
    pool->stats.saved++;
}

/* What waits for an address waits for the peer that was found there. */
static void move_waiters(struct cv_pool_slot *unnamed, struct cv_pool_slot *slot)
{
    struct cv_pool_waiter *waiter;
    TAILQ_FOREACH (waiter, &unnamed->waiters, mates)
        waiter->slot = slot;
    TAILQ_CONCAT(&slot->waiters, &unnamed->waiters, mates);
    slot->is_pinned = slot->is_pinned || unnamed->is_pinned;
}

/* The slot that the connection may speak for. */
static int find_place(struct cv_connection_pool *pool, const struct cv_pool_offer *offer,
                      struct cv_pool_slot **out)
{
    if (offer->slot != NULL && offer->slot->has_id) {
        *out = offer->slot;
        return 0;
    }
    const struct cv_pool_slot *known = cv_pool_slot_of(pool, &offer->peer);
    bool takes_place = known != NULL && known->speaker != NULL && known->speaker->accepted;
    if (offer->accepted && !takes_place && pool->stats.accepted >= pool->config.accepted_max)
        return COVEY_ERR_LIMIT;
    return cv_pool_slot_need(pool, &offer->peer, out);
}

static void put_in_place(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                         struct cv_pool_offer *offer, covey_time now)
{
    struct cv_pooled *old = slot->speaker, *new = offer->connection;
    *new = (struct cv_pooled){.accepted = offer->accepted, .since = now, .used_at = now};
    if (old != NULL && !newer_wins(pool, old, new, &slot->id)) {
        pool->stats.unwanted++;
        offer->verdict = CV_POOL_KEPT;
        return;
    }
    offer->verdict = old == NULL ? CV_POOL_ADDED : CV_POOL_REPLACED;
    offer->loser = old;
    if (old != NULL) {
        fall_silent(pool, old);
        pool->stats.replaced++;
    }
    slot->address = offer->address;
    cv_pool_slot_place(pool, slot, &offer->address);
    speak(pool, slot, new);
    if (old != NULL)
        cv_pool_change_answers(pool, old, new);
    spare_dial(pool, slot, new->accepted);
}

int cv_connection_pool_connected(struct cv_connection_pool *pool, struct cv_pool_offer *offer,
                                 covey_time now)
{
    struct cv_pool_slot *slot, *dialled = offer->slot;
    pool->now = now;
    offer->loser = NULL;
    int error = find_place(pool, offer, &slot);
    if (error != 0) {
        if (dialled != NULL)
            cv_connection_pool_failed(pool, dialled, error);
        return error;
    }
    if (dialled != NULL) {
        cv_dial_window_connected(&pool->window, now - dialled->dial_at);
        cv_pool_dial_set(pool, dialled, CV_POOL_DIAL_NONE);
    }
    if (dialled != NULL && dialled != slot)
        move_waiters(dialled, slot);
    put_in_place(pool, slot, offer, now);
    cv_pool_answer_all(pool, slot, 0, now);
    cv_pool_slot_settle(pool, slot); /* before the other gives its room to somebody else */
    if (dialled != NULL && dialled != slot)
        cv_pool_slot_settle(pool, dialled);
    return 0;
}

bool cv_connection_pool_closed(struct cv_connection_pool *pool, struct cv_pooled *connection)
{
    struct cv_pool_slot *slot = connection->slot;
    const bool is_news = connection->is_closing || slot != NULL;
    cv_pool_change_answers(pool, connection, NULL);
    if (connection->is_closing)
        TAILQ_REMOVE(&pool->closing, connection, order);
    connection->is_closing = false;
    if (slot != NULL) {
        fall_silent(pool, connection);
        cv_pool_slot_settle(pool, slot);
    }
    return is_news;
}

/* ---- bounds ---- */

static bool may_close(const struct cv_pooled *connection)
{
    return !connection->accepted && !connection->slot->is_pinned && connection->leases == 0;
}

static void close_one(struct cv_connection_pool *pool, struct cv_pooled *connection)
{
    struct cv_pool_slot *slot = connection->slot;
    fall_silent(pool, connection);
    connection->is_closing = true;
    TAILQ_INSERT_TAIL(&pool->closing, connection, order);
    cv_pool_slot_settle(pool, slot);
}

struct cv_pooled *cv_pool_least_used(const struct cv_connection_pool *pool)
{
    struct cv_pooled *connection;
    TAILQ_FOREACH (connection, &pool->by_use, order)
        if (may_close(connection))
            return connection;
    return NULL;
}

bool cv_pool_evict(struct cv_connection_pool *pool, covey_time unused_min)
{
    struct cv_pooled *connection = cv_pool_least_used(pool);
    if (connection == NULL || connection->used_at + unused_min > pool->now)
        return false;
    pool->stats.evicted++;
    close_one(pool, connection);
    return true;
}

static struct cv_pooled *first_idle(const struct cv_connection_pool *pool, covey_time now)
{
    struct cv_pooled *connection;
    TAILQ_FOREACH (connection, &pool->by_use, order) {
        if (now - connection->used_at < pool->config.idle_max)
            return NULL;
        if (may_close(connection))
            return connection;
    }
    return NULL;
}

static void check_all(struct cv_connection_pool *pool, covey_time now)
{
    struct cv_pooled *connection;
    while ((connection = first_idle(pool, now)) != NULL) {
        pool->stats.idle++;
        close_one(pool, connection);
    }
    TAILQ_FOREACH (connection, &pool->by_use, order) {
        if (connection->slot->is_pinned || connection->is_asked)
            continue;
        connection->is_asked = true;
        TAILQ_INSERT_TAIL(&pool->checks, connection, checks);
    }
}

void cv_connection_pool_expire(struct cv_connection_pool *pool, covey_time now)
{
    pool->now = now;
    cv_pool_expire_dials(pool, now);
    if (now < pool->check_at)
        return;
    check_all(pool, now);
    pool->check_at = TAILQ_EMPTY(&pool->by_use) ? COVEY_NEVER : now + pool->config.check_interval;
}
