#include "transport/connection_pool_internal.h"

#include <assert.h>
#include <covey/error.h>

static struct cv_pool_slots *list_of(struct cv_connection_pool *pool, enum cv_pool_dial dial)
{
    switch (dial) {
    case CV_POOL_DIAL_HELD:
        return &pool->held;
    case CV_POOL_DIAL_QUEUED:
        return &pool->queued;
    case CV_POOL_DIAL_WANTED:
        return &pool->wanted;
    case CV_POOL_DIAL_UNDER_WAY:
        return &pool->under_way;
    case CV_POOL_DIAL_ABANDONED:
        return &pool->abandoned;
    default:
        return NULL;
    }
}

void cv_pool_dial_set(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                      enum cv_pool_dial dial)
{
    struct cv_pool_slots *from = list_of(pool, slot->dial), *to = list_of(pool, dial);
    if (from != NULL)
        TAILQ_REMOVE(from, slot, dials);
    if (to != NULL)
        TAILQ_INSERT_TAIL(to, slot, dials);
    slot->dial = dial;
}

/* The dial begins as soon as there is room. */
static void want_dial(struct cv_connection_pool *pool, struct cv_pool_slot *slot)
{
    cv_pool_dial_set(pool, slot, CV_POOL_DIAL_QUEUED);
    cv_pool_serve_queue(pool);
}

void cv_pool_serve_queue(struct cv_connection_pool *pool)
{
    struct cv_pool_slot *slot = TAILQ_FIRST(&pool->queued), *next;
    bool is_full = false;
    for (; slot != NULL; slot = next) {
        next = TAILQ_NEXT(slot, dials);
        if (!slot->is_pinned && pool->stats.dialled >= pool->config.dialled_max) {
            /* evicting serves the queue again, from its beginning */
            if (!is_full && cv_pool_evict(pool, CV_POOL_USE_MIN))
                return;
            is_full = true;
            continue; /* a pinned one may come behind it */
        }
        cv_pool_dial_set(pool, slot, CV_POOL_DIAL_WANTED);
        cv_pool_slot_settle(pool, slot);
    }
}

void cv_connection_pool_heard(struct cv_pool_slot *slot)
{
    slot->is_heard = true;
}

void cv_connection_pool_begun(struct cv_pool_slot *slot, void *owner)
{
    slot->owner = owner;
}

void *cv_connection_pool_dialler(const struct cv_connection_pool *pool,
                                 const struct cv_address *address, struct cv_pool_slot **slot)
{
    *slot = cv_pool_slot_at(pool, address);
    return *slot != NULL && (*slot)->dial == CV_POOL_DIAL_UNDER_WAY ? (*slot)->owner : NULL;
}

bool cv_connection_pool_is_in_vain(const struct cv_connection_pool *pool,
                                   const struct cv_address *from, covey_time now)
{
    const struct cv_pool_slot *slot = cv_pool_slot_at(pool, from);
    if (slot == NULL)
        return false;
    if (slot->speaker != NULL && now - slot->speaker->since < CV_POOL_CROSSING)
        return true;
    return slot->dial == CV_POOL_DIAL_UNDER_WAY &&
           ((slot->is_heard && now - slot->dial_at < CV_POOL_HEARD) ||
            (now - slot->dial_at < CV_POOL_CROSSING &&
             covey_node_id_compare(&pool->self, &slot->id) < 0));
}

/* ---- waiters ---- */

static void count_out(struct cv_connection_pool *pool)
{
    pool->stats.waiting--;
    if (pool->stats.waiting == 0)
        pool->waiters_due = COVEY_NEVER;
}

static void answer(struct cv_connection_pool *pool, struct cv_pool_waiter *waiter,
                   struct cv_pooled *connection, int error, covey_time now)
{
    TAILQ_REMOVE(&waiter->slot->waiters, waiter, mates);
    TAILQ_REMOVE(&pool->waiters, waiter, all);
    TAILQ_INSERT_TAIL(&pool->answered, waiter, mates);
    waiter->slot = NULL;
    waiter->connection = connection;
    waiter->error = error;
    if (connection != NULL)
        cv_pool_lease(pool, connection, now);
    count_out(pool);
}

void cv_pool_answer_all(struct cv_connection_pool *pool, struct cv_pool_slot *slot, int error,
                        covey_time now)
{
    struct cv_pool_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&slot->waiters)) != NULL)
        answer(pool, waiter, error == 0 ? slot->speaker : NULL, error, now);
}

void cv_pool_change_answers(struct cv_connection_pool *pool, struct cv_pooled *old,
                            struct cv_pooled *new)
{
    struct cv_pool_waiter *waiter;
    TAILQ_FOREACH (waiter, &pool->answered, mates) {
        if (waiter->connection != old)
            continue;
        old->leases--;
        if (new != NULL)
            new->leases++;
        waiter->connection = new;
        waiter->error = new == NULL ? COVEY_ERR_CONNECTION_LOST : 0;
    }
}

static int slot_for(struct cv_connection_pool *pool, const struct cv_pool_wish *wish,
                    struct cv_pool_slot **out)
{
    int error = wish->has_id ? cv_pool_slot_need(pool, &wish->id, out)
                             : cv_pool_unnamed_slot_need(pool, &wish->address, out);
    if (error != 0)
        return error;
    struct cv_pool_slot *slot = *out;
    if (slot->dial < CV_POOL_DIAL_WANTED) /* else it is said already where to */
        slot->address = wish->address;
    slot->is_pinned = slot->is_pinned || wish->is_pinned;
    if (slot->is_counted) /* so it holds something: a new one must not be freed here */
        cv_pool_slot_settle(pool, slot);
    return 0;
}

/* A modest wish begins its dial at once or not at all: none is held or queued because of it. */
static bool is_room_for(const struct cv_connection_pool *pool, const struct cv_pool_wish *wish)
{
    if (!wish->is_modest)
        return true;
    const struct cv_pool_slot *slot = wish->has_id ? cv_pool_slot_of(pool, &wish->id) : NULL;
    return slot != NULL || pool->stats.dialled < pool->config.dialled_max / 2;
}

int cv_connection_pool_acquire(struct cv_connection_pool *pool, const struct cv_pool_wish *wish,
                               covey_time now, covey_time deadline, struct cv_pool_waiter *waiter,
                               struct cv_pooled **out)
{
    struct cv_pool_slot *slot;
    pool->now = now;
    *out = wish->has_id ? cv_connection_pool_get(pool, &wish->id) : NULL;
    if (*out != NULL) {
        pool->stats.hits++;
        cv_pool_lease(pool, *out, now);
        return 0;
    }
    if (pool->stats.waiting >= pool->config.waiters_max)
        return COVEY_ERR_LIMIT;
    if (!is_room_for(pool, wish)) {
        pool->stats.exhausted++;
        return COVEY_ERR_POOL_EXHAUSTED;
    }
    int error = slot_for(pool, wish, &slot);
    if (error != 0)
        return error;
    pool->stats.misses++;
    pool->stats.waiting++;
    *waiter = (struct cv_pool_waiter){.slot = slot, .deadline = deadline};
    TAILQ_INSERT_TAIL(&slot->waiters, waiter, mates);
    TAILQ_INSERT_TAIL(&pool->waiters, waiter, all);
    if (deadline < pool->waiters_due)
        pool->waiters_due = deadline;
    if (slot->dial == CV_POOL_DIAL_NONE && wish->is_coming && !wish->is_modest) {
        slot->dial_at = now + CV_POOL_HOLD;
        cv_pool_dial_set(pool, slot, CV_POOL_DIAL_HELD);
    } else if (slot->dial == CV_POOL_DIAL_NONE) {
        want_dial(pool, slot);
    } else {
        cv_pool_serve_queue(pool); /* it may be pinned now */
    }
    return 0;
}

/* A dial that was not begun is for those who wait. */
static void drop_dial(struct cv_connection_pool *pool, struct cv_pool_slot *slot)
{
    if (TAILQ_EMPTY(&slot->waiters) && slot->dial != CV_POOL_DIAL_NONE &&
        slot->dial < CV_POOL_DIAL_UNDER_WAY)
        cv_pool_dial_set(pool, slot, CV_POOL_DIAL_NONE);
    cv_pool_slot_settle(pool, slot);
}

void cv_connection_pool_cancel(struct cv_connection_pool *pool, struct cv_pool_waiter *waiter,
                               covey_time now)
{
    struct cv_pool_slot *slot = waiter->slot;
    pool->now = now;
    if (slot == NULL) {
        TAILQ_REMOVE(&pool->answered, waiter, mates);
        if (waiter->connection != NULL)
            cv_connection_pool_release(pool, waiter->connection, now);
        return;
    }
    TAILQ_REMOVE(&slot->waiters, waiter, mates);
    TAILQ_REMOVE(&pool->waiters, waiter, all);
    count_out(pool);
    drop_dial(pool, slot);
}

void cv_connection_pool_failed(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                               int error)
{
    assert(slot->dial == CV_POOL_DIAL_UNDER_WAY || slot->dial == CV_POOL_DIAL_ABANDONED);
    pool->stats.failures++;
    cv_dial_window_failed(&pool->window, pool->now - slot->dial_at);
    cv_pool_dial_set(pool, slot, CV_POOL_DIAL_NONE);
    cv_pool_answer_all(pool, slot, error, 0);
    cv_pool_slot_settle(pool, slot);
}

void cv_connection_pool_forgo(struct cv_connection_pool *pool, struct cv_pool_slot *slot)
{
    assert(slot->dial == CV_POOL_DIAL_UNDER_WAY);
    pool->stats.dials--;
    pool->stats.forgone++;
    cv_pool_dial_set(pool, slot, CV_POOL_DIAL_NONE);
    cv_pool_answer_all(pool, slot, COVEY_ERR_POOL_EXHAUSTED, 0);
    cv_pool_slot_settle(pool, slot);
}

/* ---- time ---- */

static void expire_waiters(struct cv_connection_pool *pool, covey_time now)
{
    struct cv_pool_waiter *waiter = TAILQ_FIRST(&pool->waiters), *next;
    pool->waiters_due = COVEY_NEVER;
    for (; waiter != NULL; waiter = next) {
        struct cv_pool_slot *slot = waiter->slot;
        next = TAILQ_NEXT(waiter, all);
        if (waiter->deadline > now) {
            if (waiter->deadline < pool->waiters_due)
                pool->waiters_due = waiter->deadline;
            continue;
        }
        bool is_full = slot->dial == CV_POOL_DIAL_QUEUED;
        pool->stats.exhausted += is_full;
        pool->stats.timeouts += !is_full;
        answer(pool, waiter, NULL, is_full ? COVEY_ERR_POOL_EXHAUSTED : COVEY_ERR_TIMEOUT, now);
        drop_dial(pool, slot);
    }
}

void cv_pool_expire_dials(struct cv_connection_pool *pool, covey_time now)
{
    struct cv_pool_slot *slot;
    while ((slot = TAILQ_FIRST(&pool->held)) != NULL && slot->dial_at <= now)
        want_dial(pool, slot);
    if (now >= pool->waiters_due)
        expire_waiters(pool, now);
    cv_pool_serve_queue(pool);
}

static covey_time sooner(covey_time a, covey_time b)
{
    return a < b ? a : b;
}

/* When one may give way to who waits for room. */
static covey_time eviction_due(const struct cv_connection_pool *pool)
{
    const struct cv_pooled *connection =
        TAILQ_EMPTY(&pool->queued) ? NULL : cv_pool_least_used(pool);
    return connection == NULL ? COVEY_NEVER : connection->used_at + CV_POOL_USE_MIN;
}

/* When a dial under way keeps others waiting no longer, though it has not ended. */
static covey_time place_until(const struct cv_pool_slot *slot)
{
    return slot->dial_at + (slot->is_heard ? CV_POOL_HEARD : CV_POOL_UNHEARD);
}

static covey_time place_due(const struct cv_connection_pool *pool)
{
    const struct cv_pool_slot *slot;
    covey_time due = COVEY_NEVER;
    if (TAILQ_EMPTY(&pool->wanted))
        return COVEY_NEVER;
    TAILQ_FOREACH (slot, &pool->under_way, dials)
        if (place_until(slot) > pool->now)
            due = sooner(due, place_until(slot));
    return due;
}

covey_time cv_connection_pool_deadline(const struct cv_connection_pool *pool)
{
    const struct cv_pool_slot *held = TAILQ_FIRST(&pool->held);
    covey_time deadline = held == NULL ? COVEY_NEVER : held->dial_at;
    deadline = sooner(deadline, sooner(pool->waiters_due, pool->check_at));
    return sooner(deadline, sooner(place_due(pool), eviction_due(pool)));
}

/* ---- outputs ---- */

bool cv_connection_pool_wants_to_dial(const struct cv_connection_pool *pool)
{
    return !TAILQ_EMPTY(&pool->wanted);
}

/* The next dial to begin; NULL when there is none, or enough are under way. */
static struct cv_pool_slot *next_dial(struct cv_connection_pool *pool, covey_time now)
{
    struct cv_pool_slot *slot, *next = TAILQ_FIRST(&pool->wanted);
    size_t count = 0;
    if (next == NULL)
        return NULL;
    TAILQ_FOREACH (slot, &pool->under_way, dials)
        count += place_until(slot) > now;
    if (count < pool->window.size)
        return next;
    pool->stats.delayed += !next->is_delayed;
    next->is_delayed = true;
    return NULL;
}

static void poll_dial(struct cv_connection_pool *pool, struct cv_pool_slot *slot, covey_time now,
                      struct cv_pool_output *out)
{
    cv_pool_dial_set(pool, slot, CV_POOL_DIAL_UNDER_WAY);
    slot->dial_at = now;
    slot->is_heard = false;
    slot->is_delayed = false;
    slot->owner = NULL;
    if (slot->has_id)
        cv_pool_slot_place(pool, slot, &slot->address);
    pool->stats.dials++;
    *out = (struct cv_pool_output){
        .type = CV_POOL_DIAL,
        .slot = slot,
        .address = slot->address,
        .has_id = slot->has_id,
        .id = slot->id,
        .is_pinned = slot->is_pinned,
    };
}

bool cv_connection_pool_poll(struct cv_connection_pool *pool, covey_time now,
                             struct cv_pool_output *out)
{
    struct cv_pool_slot *slot;
    struct cv_pool_waiter *waiter;
    struct cv_pooled *connection;
    pool->now = now;
    if ((connection = TAILQ_FIRST(&pool->closing)) != NULL) {
        TAILQ_REMOVE(&pool->closing, connection, order);
        connection->is_closing = false;
        *out = (struct cv_pool_output){.type = CV_POOL_CLOSE, .connection = connection};
    } else if ((slot = TAILQ_FIRST(&pool->abandoned)) != NULL) {
        *out = (struct cv_pool_output){.type = CV_POOL_ABANDON, .slot = slot};
        if (TAILQ_EMPTY(&slot->waiters))
            cv_pool_dial_set(pool, slot, CV_POOL_DIAL_NONE);
        else /* what was there instead is gone */
            want_dial(pool, slot);
        cv_pool_slot_settle(pool, slot);
    } else if ((waiter = TAILQ_FIRST(&pool->answered)) != NULL) {
        TAILQ_REMOVE(&pool->answered, waiter, mates);
        *out = (struct cv_pool_output){.type = CV_POOL_ANSWER, .waiter = waiter};
    } else if ((slot = next_dial(pool, now)) != NULL) {
        poll_dial(pool, slot, now, out);
    } else if ((connection = TAILQ_FIRST(&pool->checks)) != NULL) {
        TAILQ_REMOVE(&pool->checks, connection, checks);
        connection->is_asked = false;
        *out = (struct cv_pool_output){.type = CV_POOL_CHECK, .connection = connection};
    } else {
        return false;
    }
    return true;
}
