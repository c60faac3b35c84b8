#include "transport/connection_pool.h"

#include <covey/error.h>

struct entry {
    covey_node_id peer;
    void *connection;
    bool accepted;
    covey_time since;
};

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof id->bytes);
}

void cv_connection_pool_init(struct cv_connection_pool *pool, const struct cv_alloc *alloc,
                             const covey_node_id *self, const uint64_t secret[2],
                             size_t connections_max)
{
    *pool = (struct cv_connection_pool){.alloc = alloc, .self = *self};
    cv_map_init(&pool->entries, alloc, secret, connections_max);
}

void cv_connection_pool_fini(struct cv_connection_pool *pool)
{
    size_t cursor = 0;
    struct entry *e;
    while ((e = cv_map_next(&pool->entries, &cursor)) != NULL)
        cv_release(pool->alloc, e);
    cv_map_fini(&pool->entries);
}

static int add_first(struct cv_connection_pool *pool, const struct entry *entry)
{
    struct entry *e = cv_allocate(pool->alloc, sizeof *e);
    if (e == NULL)
        return COVEY_ERR_NO_MEMORY;
    *e = *entry;
    int error = cv_map_put(&pool->entries, key_of(&e->peer), e);
    if (error != 0)
        cv_release(pool->alloc, e);
    return error;
}

/* True when the new connection stays; both sides must come to the same answer. */
static bool newer_wins(const struct cv_connection_pool *pool, const struct entry *old,
                       const struct entry *new)
{
    if (old->accepted == new->accepted || new->since - old->since >= CV_POOL_CROSSING)
        return true;
    bool ours_stays = covey_node_id_compare(&pool->self, &new->peer) < 0;
    return ours_stays == !new->accepted;
}

int cv_connection_pool_add(struct cv_connection_pool *pool, const covey_node_id *peer,
                           void *connection, bool accepted, covey_time now,
                           enum cv_pool_verdict *verdict, void **loser)
{
    struct entry new = {
        .peer = *peer, .connection = connection, .accepted = accepted, .since = now};
    struct entry *old = cv_map_get(&pool->entries, key_of(peer));
    *loser = NULL;
    if (old == NULL) {
        *verdict = CV_POOL_ADDED;
        return add_first(pool, &new);
    }
    if (!newer_wins(pool, old, &new)) {
        *verdict = CV_POOL_KEPT;
        return 0;
    }
    *verdict = CV_POOL_REPLACED;
    *loser = old->connection;
    *old = new; /* the map's key is old->peer: the same bytes at the same place */
    return 0;
}

void *cv_connection_pool_get(const struct cv_connection_pool *pool, const covey_node_id *peer)
{
    const struct entry *e = cv_map_get(&pool->entries, key_of(peer));
    return e == NULL ? NULL : e->connection;
}

bool cv_connection_pool_remove(struct cv_connection_pool *pool, const covey_node_id *peer,
                               const void *connection)
{
    struct entry *e = cv_map_get(&pool->entries, key_of(peer));
    if (e == NULL || e->connection != connection)
        return false;
    cv_map_remove(&pool->entries, key_of(peer));
    cv_release(pool->alloc, e);
    return true;
}

size_t cv_connection_pool_count(const struct cv_connection_pool *pool)
{
    return pool->entries.count;
}
