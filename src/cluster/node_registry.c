#include "cluster/node_registry.h"

#include "cluster/incarnation.h"

#include <assert.h>
#include <covey/error.h>

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof(id->bytes));
}

void cv_node_registry_init(struct cv_node_registry *r, const struct cv_alloc *alloc,
                           const uint64_t secret[2], uint32_t members_max)
{
    *r = (struct cv_node_registry){.alloc = alloc, .members_max = members_max};
    cv_map_init(&r->members, alloc, secret, (size_t)members_max * 2);
    TAILQ_INIT(&r->spare);
}

static void free_member(struct cv_node_registry *r, struct cv_member *m)
{
    cv_cluster_node_release(m->record.body);
    cv_release(r->alloc, m);
}

void cv_node_registry_fini(struct cv_node_registry *r)
{
    for (size_t i = 0; i < r->count; i++)
        free_member(r, r->order[i]);
    struct cv_member *m;
    while ((m = TAILQ_FIRST(&r->spare)) != NULL) {
        TAILQ_REMOVE(&r->spare, m, entry);
        free_member(r, m);
    }
    cv_release(r->alloc, r->order);
    cv_map_fini(&r->members);
}

struct cv_member *cv_node_registry_get(const struct cv_node_registry *r, const covey_node_id *id)
{
    return cv_map_get(&r->members, key_of(id));
}

size_t cv_node_registry_count(const struct cv_node_registry *r)
{
    return r->count;
}

struct cv_member *cv_node_registry_at(const struct cv_node_registry *r, size_t index)
{
    assert(index < r->count);
    return r->order[index];
}

size_t cv_node_registry_count_state(const struct cv_node_registry *r, enum covey_node_state state)
{
    return r->state_count[state];
}

size_t cv_node_registry_live_count(const struct cv_node_registry *r)
{
    return r->state_count[COVEY_NODE_ALIVE] + r->state_count[COVEY_NODE_SUSPECT];
}

static size_t gone_count(const struct cv_node_registry *r)
{
    return r->state_count[COVEY_NODE_FAILED] + r->state_count[COVEY_NODE_LEFT];
}

static bool is_live(enum covey_node_state state)
{
    return state == COVEY_NODE_ALIVE || state == COVEY_NODE_SUSPECT;
}

bool cv_member_is_live(const struct cv_member *m)
{
    return is_live(m->record.status.state);
}

static int reserve_order(struct cv_node_registry *r, size_t more)
{
    if (r->capacity - r->count >= more)
        return COVEY_OK;
    size_t capacity = r->capacity < 16 ? 16 : r->capacity * 2;
    if (capacity < r->count + more)
        capacity = r->count + more;
    struct cv_member **order = cv_reallocate(r->alloc, r->order, capacity, sizeof(*order));
    if (order == NULL)
        return COVEY_ERR_NO_MEMORY;
    r->order = order;
    r->capacity = capacity;
    return COVEY_OK;
}

int cv_node_registry_reserve(struct cv_node_registry *r, size_t more)
{
    size_t room = (size_t)r->members_max * 2 - r->count;
    if (more > room)
        more = room;
    int error = cv_map_reserve(&r->members, more);
    if (error == COVEY_OK)
        error = reserve_order(r, more);
    while (error == COVEY_OK && r->spare_count < more) {
        struct cv_member *m = cv_allocate_zeroed(r->alloc, 1, sizeof(*m));
        if (m == NULL)
            return COVEY_ERR_NO_MEMORY;
        TAILQ_INSERT_TAIL(&r->spare, m, entry);
        r->spare_count++;
    }
    return error;
}

struct cv_member *cv_node_registry_insert(struct cv_node_registry *r,
                                          const struct cv_record *record, covey_time now)
{
    assert(record->body != NULL);
    size_t kind = is_live(record->status.state) ? cv_node_registry_live_count(r) : gone_count(r);
    if (kind >= r->members_max) {
        r->refused++;
        return NULL;
    }
    struct cv_member *m = TAILQ_FIRST(&r->spare);
    assert(m != NULL && r->count < r->capacity);
    TAILQ_REMOVE(&r->spare, m, entry);
    r->spare_count--;
    *m = (struct cv_member){
        .record = *record, .since = now, .index = r->count, .alarm.kind = CV_ALARM_MEMBER};
    cv_cluster_node_retain(record->body);
    int error = cv_map_put(&r->members, key_of(&m->record.id), m);
    assert(error == COVEY_OK);
    (void)error;
    r->order[r->count] = m;
    r->count++;
    r->version++;
    r->state_count[record->status.state]++;
    return m;
}

void cv_node_registry_remove(struct cv_node_registry *r, struct cv_member *m)
{
    assert(!cv_timer_is_set(&m->alarm.timer));
    void *removed = cv_map_remove(&r->members, key_of(&m->record.id));
    assert(removed == m);
    (void)removed;
    r->state_count[m->record.status.state]--;
    for (size_t i = m->index + 1; i < r->count; i++) {
        r->order[i - 1] = r->order[i];
        r->order[i - 1]->index = i - 1;
    }
    r->count--;
    r->version++;
    free_member(r, m);
}

bool cv_node_registry_admits_return(struct cv_node_registry *r)
{
    bool room = cv_node_registry_live_count(r) < r->members_max;
    if (!room)
        r->refused++;
    return room;
}

struct cv_member *cv_node_registry_surplus(const struct cv_node_registry *r)
{
    struct cv_member *oldest = NULL;
    if (gone_count(r) <= r->members_max)
        return NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct cv_member *m = r->order[i];
        if (!cv_member_is_live(m) && (oldest == NULL || m->since < oldest->since))
            oldest = m;
    }
    return oldest;
}

enum edge { EDGE_NEVER, EDGE_LATER, EDGE_ANY };

static const enum edge edges[4][4] = {
    [COVEY_NODE_ALIVE] = {EDGE_LATER, EDGE_ANY, EDGE_ANY, EDGE_ANY},
    [COVEY_NODE_SUSPECT] = {EDGE_LATER, EDGE_ANY, EDGE_ANY, EDGE_ANY},
    [COVEY_NODE_FAILED] = {EDGE_LATER, EDGE_NEVER, EDGE_ANY, EDGE_ANY},
    [COVEY_NODE_LEFT] = {EDGE_LATER, EDGE_NEVER, EDGE_NEVER, EDGE_ANY},
};

bool cv_node_status_may_follow(const struct cv_node_status *from, const struct cv_node_status *to)
{
    int order = cv_incarnation_compare(to->incarnation, from->incarnation);
    switch (edges[from->state][to->state]) {
    case EDGE_ANY:
        return order >= 0;
    case EDGE_LATER:
        return order > 0;
    case EDGE_NEVER:
        break;
    }
    return false;
}

void cv_node_registry_set_status(struct cv_node_registry *r, struct cv_member *m,
                                 const struct cv_node_status *status, covey_time now)
{
    assert(cv_node_status_may_follow(&m->record.status, status));
    if (m->record.status.state != status->state)
        m->since = now;
    r->state_count[m->record.status.state]--;
    r->state_count[status->state]++;
    m->record.status = *status;
    r->version++;
}

uint64_t cv_node_registry_version(const struct cv_node_registry *r)
{
    return r->version;
}

void cv_node_registry_set_body(struct cv_node_registry *r, struct cv_member *m,
                               struct cv_cluster_node *body, bool is_direct)
{
    assert(covey_node_id_compare(&m->record.id, &body->id) == 0);
    struct cv_cluster_node *before = m->record.body;
    m->record.body = cv_cluster_node_retain(body);
    m->body_is_direct = is_direct;
    r->version++;
    cv_cluster_node_release(before);
}
