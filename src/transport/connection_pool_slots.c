#include "transport/connection_pool_internal.h"

#include <covey/error.h>

/* What is known of each peer: found by its id, by the address of its dial, or, of strangers, one by one. */

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof id->bytes);
}

static struct cv_slice place_of(const struct cv_address *address)
{
    return cv_slice_of(address, sizeof *address);
}

static void leave_place(struct cv_connection_pool *pool, struct cv_pool_slot *slot)
{
    if (slot->is_placed)
        cv_map_remove(&pool->places, place_of(&slot->place));
    slot->is_placed = false;
}

/* Of two at one address the later one counts, as the other is gone. Without memory nothing is in vain. */
void cv_pool_slot_place(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                        const struct cv_address *address)
{
    struct cv_pool_slot *other = cv_map_get(&pool->places, place_of(address));
    if (other == slot)
        return;
    leave_place(pool, slot);
    if (other != NULL)
        leave_place(pool, other);
    slot->place = *address;
    slot->is_placed = cv_map_put(&pool->places, place_of(&slot->place), slot) == 0;
}

struct cv_pool_slot *cv_pool_slot_of(const struct cv_connection_pool *pool, const covey_node_id *id)
{
    return cv_map_get(&pool->slots, key_of(id));
}

static struct cv_pool_slot *slot_new(struct cv_connection_pool *pool)
{
    struct cv_pool_slot *slot = cv_allocate(pool->alloc, sizeof *slot);
    if (slot == NULL)
        return NULL;
    *slot = (struct cv_pool_slot){.dial = CV_POOL_DIAL_NONE};
    TAILQ_INIT(&slot->waiters);
    return slot;
}

int cv_pool_slot_need(struct cv_connection_pool *pool, const covey_node_id *id,
                      struct cv_pool_slot **out)
{
    *out = cv_pool_slot_of(pool, id);
    if (*out != NULL)
        return 0;
    struct cv_pool_slot *slot = slot_new(pool);
    if (slot == NULL)
        return COVEY_ERR_NO_MEMORY;
    slot->has_id = true;
    slot->id = *id;
    int error = cv_map_put(&pool->slots, key_of(&slot->id), slot);
    if (error != 0) {
        cv_release(pool->alloc, slot);
        return error;
    }
    *out = slot;
    return 0;
}

int cv_pool_unnamed_slot_need(struct cv_connection_pool *pool, const struct cv_address *address,
                              struct cv_pool_slot **out)
{
    struct cv_pool_slot *slot;
    TAILQ_FOREACH (slot, &pool->unnamed, unnamed)
        if (cv_address_equal(&slot->address, address)) {
            *out = slot;
            return 0;
        }
    slot = slot_new(pool);
    if (slot == NULL)
        return COVEY_ERR_NO_MEMORY;
    TAILQ_INSERT_TAIL(&pool->unnamed, slot, unnamed);
    *out = slot;
    return 0;
}

static bool counts(const struct cv_pool_slot *slot)
{
    bool is_ours = slot->speaker != NULL && !slot->speaker->accepted;
    bool is_dialled = slot->dial >= CV_POOL_DIAL_WANTED;
    return !slot->is_pinned && (is_ours || is_dialled);
}

void cv_pool_slot_settle(struct cv_connection_pool *pool, struct cv_pool_slot *slot)
{
    bool was_counted = slot->is_counted;
    slot->is_counted = counts(slot);
    pool->stats.dialled += slot->is_counted;
    pool->stats.dialled -= was_counted;
    if (slot->speaker == NULL && slot->dial == CV_POOL_DIAL_NONE && TAILQ_EMPTY(&slot->waiters)) {
        leave_place(pool, slot);
        if (slot->has_id)
            cv_map_remove(&pool->slots, key_of(&slot->id));
        else
            TAILQ_REMOVE(&pool->unnamed, slot, unnamed);
        cv_release(pool->alloc, slot);
    }
    if (was_counted)
        cv_pool_serve_queue(pool);
}

struct cv_pool_slot *cv_pool_slot_at(const struct cv_connection_pool *pool,
                                     const struct cv_address *address)
{
    return cv_map_get(&pool->places, place_of(address));
}
