#include "cluster/gossip/ping.h"

#include "base/node_id.h"

#include <assert.h>
#include <covey/error.h>
#include <string.h>

void cv_probe_order_init(struct cv_probe_order *o, const struct cv_alloc *alloc)
{
    *o = (struct cv_probe_order){.alloc = alloc};
}

void cv_probe_order_fini(struct cv_probe_order *o)
{
    cv_release(o->alloc, o->ids);
}

int cv_probe_order_reserve(struct cv_probe_order *o, size_t more)
{
    if (o->capacity - o->count >= more)
        return COVEY_OK;
    size_t capacity = o->capacity < 16 ? 16 : o->capacity * 2;
    if (capacity < o->count + more)
        capacity = o->count + more;
    covey_node_id *ids = cv_reallocate(o->alloc, o->ids, capacity, sizeof(*ids));
    if (ids == NULL)
        return COVEY_ERR_NO_MEMORY;
    o->ids = ids;
    o->capacity = capacity;
    return COVEY_OK;
}

static void insert_at(struct cv_probe_order *o, size_t place, const covey_node_id *id)
{
    assert(o->count < o->capacity && place <= o->count);
    memmove(&o->ids[place + 1], &o->ids[place], (o->count - place) * sizeof(*id));
    o->ids[place] = *id;
    o->count++;
}

void cv_probe_order_insert(struct cv_probe_order *o, const covey_node_id *id, struct cv_rand *rand)
{
    size_t left = o->count - o->next;
    insert_at(o, o->next + (size_t)cv_rand_below(rand, left + 1), id);
}

void cv_probe_order_clear(struct cv_probe_order *o)
{
    o->count = 0;
    o->next = 0;
}

static size_t find(const struct cv_probe_order *o, const covey_node_id *id)
{
    size_t place = 0;
    while (place < o->count && !cv_node_id_equal(&o->ids[place], id))
        place++;
    return place;
}

bool cv_probe_order_has(const struct cv_probe_order *o, const covey_node_id *id)
{
    return find(o, id) < o->count;
}

static bool remove_id(struct cv_probe_order *o, const covey_node_id *id)
{
    size_t place = find(o, id);
    if (place == o->count)
        return false;
    o->count--;
    memmove(&o->ids[place], &o->ids[place + 1], (o->count - place) * sizeof(*id));
    if (place < o->next)
        o->next--;
    return true;
}

void cv_probe_order_remove(struct cv_probe_order *o, const covey_node_id *id)
{
    remove_id(o, id);
}

void cv_probe_order_hasten(struct cv_probe_order *o, const covey_node_id *id)
{
    covey_node_id copy = *id;
    if (remove_id(o, &copy))
        insert_at(o, o->next, &copy);
}

static void shuffle(struct cv_probe_order *o, struct cv_rand *rand)
{
    for (size_t i = o->count; i > 1; i--) {
        size_t j = (size_t)cv_rand_below(rand, i);
        covey_node_id swap = o->ids[i - 1];
        o->ids[i - 1] = o->ids[j];
        o->ids[j] = swap;
    }
}

bool cv_probe_order_next(struct cv_probe_order *o, struct cv_rand *rand, covey_node_id *out)
{
    if (o->count == 0)
        return false;
    if (o->next == o->count) {
        shuffle(o, rand);
        o->next = 0;
    }
    *out = o->ids[o->next];
    o->next++;
    return true;
}

static uint32_t relay_of(const struct cv_probe *p, uint32_t sequence, const covey_node_id *from)
{
    uint32_t i = 0;
    if (p->phase != CV_PROBE_INDIRECT || p->sequence != sequence)
        return p->relay_count;
    while (i < p->relay_count && !cv_node_id_equal(&p->relays[i], from))
        i++;
    return i;
}

bool cv_probe_is_relay(const struct cv_probe *p, uint32_t sequence, const covey_node_id *from)
{
    return relay_of(p, sequence, from) < p->relay_count;
}

bool cv_probe_nack(struct cv_probe *p, uint32_t sequence, const covey_node_id *from)
{
    uint32_t relay = relay_of(p, sequence, from);
    if (relay == p->relay_count || (p->nacks >> relay & 1) != 0)
        return false;
    p->nacks |= 1u << relay;
    return true;
}

uint32_t cv_probe_missing_nacks(const struct cv_probe *p)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < p->relay_count; i++)
        missing += (p->nacks >> i & 1) == 0;
    return missing;
}

bool cv_probe_is_answered(const struct cv_probe *p, uint32_t sequence, const covey_node_id *from)
{
    if (p->phase != CV_PROBE_DIRECT && p->phase != CV_PROBE_INDIRECT)
        return false;
    if (p->sequence == sequence && cv_node_id_equal(&p->target, from))
        return true;
    return cv_probe_is_relay(p, sequence, from);
}
