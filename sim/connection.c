#include "connection.h"

#include "clock.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

static uint64_t key_of(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

void sim_connections_init(struct sim_connections *cs, size_t node_count, uint64_t seed)
{
    const uint64_t secret[2] = {seed, 2};
    *cs = (struct sim_connections){.node_count = node_count};
    cv_map_init(&cs->map, cv_alloc_default(), secret, SIZE_MAX / 64);
    cs->peers_of = sim_allocate(node_count, sizeof(*cs->peers_of));
}

void sim_connections_fini(struct sim_connections *cs)
{
    size_t cursor = 0;
    struct sim_connection *c;
    while ((c = cv_map_next(&cs->map, &cursor)) != NULL)
        free(c);
    while ((c = cs->free) != NULL) {
        cs->free = c->next_free;
        free(c);
    }
    cv_map_fini(&cs->map);
    for (size_t i = 0; i < cs->node_count; i++)
        free(cs->peers_of[i].peers);
    free(cs->peers_of);
}

static void add_peer(struct sim_connections *cs, uint32_t node, uint32_t peer)
{
    struct sim_peers *p = &cs->peers_of[node];
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? 8 : p->capacity * 2;
        p->peers = sim_reallocate(p->peers, p->capacity, sizeof(*p->peers));
    }
    p->peers[p->count] = peer;
    p->count++;
}

static void remove_peer(struct sim_connections *cs, uint32_t node, uint32_t peer)
{
    struct sim_peers *p = &cs->peers_of[node];
    size_t i = 0;
    while (i < p->count && p->peers[i] != peer)
        i++;
    assert(i < p->count);
    p->count--;
    p->peers[i] = p->peers[p->count];
}

struct sim_connection *sim_connection_find(const struct sim_connections *cs, uint32_t a, uint32_t b)
{
    uint64_t key = key_of(a, b);
    return cv_map_get(&cs->map, cv_slice_of(&key, sizeof(key)));
}

void sim_connection_prefetch_place(const struct sim_connections *cs, uint32_t a, uint32_t b)
{
    uint64_t key = key_of(a, b);
    cv_map_prefetch(&cs->map, cv_map_hash(&cs->map, cv_slice_of(&key, sizeof(key))));
}

void sim_connection_prefetch(const struct sim_connections *cs, uint32_t a, uint32_t b)
{
    uint64_t key = key_of(a, b);
    cv_map_prefetch_value(&cs->map, cv_map_hash(&cs->map, cv_slice_of(&key, sizeof(key))),
                          sizeof(struct sim_connection));
}

static struct sim_connection *take_free(struct sim_connections *cs)
{
    struct sim_connection *c = cs->free;
    if (c == NULL)
        return sim_allocate(1, sizeof(*c));
    cs->free = c->next_free;
    return c;
}

struct sim_connection *sim_connection_open(struct sim_connections *cs, uint32_t a, uint32_t b,
                                           covey_time now)
{
    assert(a != b);
    struct sim_connection *c = sim_connection_find(cs, a, b);
    if (c == NULL) {
        c = take_free(cs);
        c->key = key_of(a, b);
        if (cv_map_put(&cs->map, cv_slice_of(&c->key, sizeof(c->key)), c) != COVEY_OK)
            abort();
        add_peer(cs, a, b);
        add_peer(cs, b, a);
    }
    cs->last_number++;
    *c = (struct sim_connection){.key = c->key,
                                 .number = cs->last_number,
                                 .since = now,
                                 .is_up = {true, true},
                                 .heard = {now, now},
                                 .told = {now, now}};
    return c;
}

void sim_connection_drop(struct sim_connections *cs, struct sim_connection *c, uint32_t node)
{
    uint32_t other = sim_connection_other(c, node);
    c->is_up[sim_connection_side(c, node)] = false;
    if (sim_connection_is_up(c, other))
        return;
    uint64_t key = c->key;
    remove_peer(cs, node, other);
    remove_peer(cs, other, node);
    cv_map_remove(&cs->map, cv_slice_of(&key, sizeof(key)));
    *c = (struct sim_connection){.next_free = cs->free};
    cs->free = c;
}

bool sim_connection_is_up(const struct sim_connection *c, uint32_t node)
{
    return c != NULL && c->is_up[sim_connection_side(c, node)];
}

size_t sim_connection_side(const struct sim_connection *c, uint32_t node)
{
    return (uint32_t)(c->key >> 32) == node ? 0 : 1;
}

uint32_t sim_connection_other(const struct sim_connection *c, uint32_t node)
{
    return sim_connection_side(c, node) == 0 ? (uint32_t)c->key : (uint32_t)(c->key >> 32);
}
