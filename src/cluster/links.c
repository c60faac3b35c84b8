#include "cluster/links.h"

#include "base/node_id.h"

#include <assert.h>
#include <covey/error.h>

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof(id->bytes));
}

void cv_links_init(struct cv_links *l, const struct cv_alloc *alloc, const uint64_t secret[2])
{
    *l = (struct cv_links){.alloc = alloc};
    cv_map_init(&l->peers, alloc, secret, CV_PEERS_MAX);
}

void cv_links_fini(struct cv_links *l)
{
    for (size_t i = 0; i < l->count; i++)
        cv_release(l->alloc, l->order[i]);
    cv_release(l->alloc, l->order);
    cv_map_fini(&l->peers);
}

size_t cv_links_count(const struct cv_links *l)
{
    return l->count;
}

struct cv_peer *cv_links_at(const struct cv_links *l, size_t index)
{
    assert(index < l->count);
    return l->order[index];
}

struct cv_peer *cv_links_peer(const struct cv_links *l, const covey_node_id *id)
{
    return cv_map_get(&l->peers, key_of(id));
}

static int reserve_order(struct cv_links *l)
{
    if (l->count < l->capacity)
        return COVEY_OK;
    size_t capacity = l->capacity == 0 ? 8 : l->capacity * 2;
    struct cv_peer **order = cv_reallocate(l->alloc, l->order, capacity, sizeof(struct cv_peer *));
    if (order == NULL)
        return COVEY_ERR_NO_MEMORY;
    l->order = order;
    l->capacity = capacity;
    return COVEY_OK;
}

static int new_peer(struct cv_links *l, const covey_node_id *id, covey_time now,
                    struct cv_peer **out)
{
    if (reserve_order(l) != COVEY_OK)
        return COVEY_ERR_NO_MEMORY;
    struct cv_peer *peer = cv_allocate_zeroed(l->alloc, 1, sizeof(*peer));
    if (peer == NULL)
        return COVEY_ERR_NO_MEMORY;
    peer->id = *id;
    peer->index = l->count;
    cv_bucket_init(&peer->glitches, CV_GLITCH_BURST, CV_GLITCH_INTERVAL, now);
    cv_bucket_init(&peer->messages, CV_MESSAGE_BURST, CV_MESSAGE_INTERVAL, now);
    cv_bucket_init(&peer->chunks, CV_CHUNK_BURST, CV_CHUNK_INTERVAL, now);
    cv_bucket_init(&peer->answers, CV_ANSWER_BURST, CV_ANSWER_INTERVAL, now);
    int error = cv_map_put(&l->peers, key_of(&peer->id), peer);
    if (error != COVEY_OK) {
        cv_release(l->alloc, peer);
        return error;
    }
    l->order[l->count] = peer;
    l->count++;
    *out = peer;
    return COVEY_OK;
}

int cv_links_add_peer(struct cv_links *l, const covey_node_id *id, const char *name,
                      const struct cv_address *remote, covey_time now)
{
    struct cv_peer *peer = cv_links_peer(l, id);
    if (peer == NULL) {
        int error = new_peer(l, id, now, &peer);
        if (error != COVEY_OK)
            return error;
    }
    size_t size = name == NULL ? 0 : strlen(name);
    if (size > COVEY_NODE_NAME_MAX)
        size = COVEY_NODE_NAME_MAX;
    if (size > 0)
        memcpy(peer->name, name, size);
    peer->name[size] = '\0';
    peer->remote = *remote;
    peer->last_heard = now;
    return COVEY_OK;
}

void cv_links_remove_peer(struct cv_links *l, const covey_node_id *id)
{
    struct cv_peer *peer = cv_map_remove(&l->peers, key_of(id));
    if (peer == NULL)
        return;
    l->count--;
    l->removals++;
    l->order[peer->index] = l->order[l->count];
    l->order[peer->index]->index = peer->index;
    cv_release(l->alloc, peer);
}

static uint32_t add_dial(struct cv_links *l, const struct cv_dial *dial)
{
    if (l->dial_count == CV_DIALS_MAX)
        return 0;
    l->last_dial++;
    if (l->last_dial == 0)
        l->last_dial = 1;
    l->dials[l->dial_count] = *dial;
    l->dials[l->dial_count].number = l->last_dial;
    l->dial_count++;
    return l->last_dial;
}

uint32_t cv_links_dial_node(struct cv_links *l, const covey_node_id *id)
{
    return add_dial(l, &(struct cv_dial){.id = *id});
}

uint32_t cv_links_dial_seed(struct cv_links *l, uint32_t seed)
{
    return add_dial(l, &(struct cv_dial){.is_seed = true, .seed = seed});
}

bool cv_links_is_dialling(const struct cv_links *l, const covey_node_id *id)
{
    for (size_t i = 0; i < l->dial_count; i++) {
        if (!l->dials[i].is_seed && cv_node_id_equal(&l->dials[i].id, id))
            return true;
    }
    return false;
}

bool cv_links_take_dial(struct cv_links *l, uint32_t number, struct cv_dial *out)
{
    for (size_t i = 0; i < l->dial_count; i++) {
        if (l->dials[i].number != number)
            continue;
        *out = l->dials[i];
        l->dial_count--;
        l->dials[i] = l->dials[l->dial_count];
        return true;
    }
    return false;
}

void cv_links_catch_up(struct cv_links *l, covey_time now, covey_time pause)
{
    covey_time length = pause < CV_CATCH_UP_MAX ? pause : CV_CATCH_UP_MAX;
    for (size_t i = 0; i < l->count; i++)
        cv_bucket_credit(&l->order[i]->messages, length, now);
}

void cv_links_banish(struct cv_links *l, const covey_node_id *id, covey_time now)
{
    l->quarantine[l->quarantine_next] =
        (struct cv_quarantine){.id = *id, .until = now + CV_QUARANTINE_TIME};
    l->quarantine_next = (l->quarantine_next + 1) % CV_QUARANTINE_MAX;
}

bool cv_links_is_banished(const struct cv_links *l, const covey_node_id *id, covey_time now)
{
    for (size_t i = 0; i < CV_QUARANTINE_MAX; i++) {
        if (now < l->quarantine[i].until && cv_node_id_equal(&l->quarantine[i].id, id))
            return true;
    }
    return false;
}
