#include "cluster/node_registry.h"

#include "base/prefetch.h"
#include "cluster/incarnation.h"

#include <assert.h>
#include <covey/error.h>

/* A body, its tags and the first of its texts. */
#define BODY_AHEAD (sizeof(struct cv_cluster_node) + 64)

static struct cv_member *at_slot(const struct cv_node_registry *r, uint32_t slot)
{
    return &r->blocks[slot / CV_MEMBERS_PER_BLOCK][slot % CV_MEMBERS_PER_BLOCK];
}

static const covey_node_id *id_of_slot(const void *owner, uint32_t slot)
{
    return cv_member_id(at_slot(owner, slot));
}

void cv_node_registry_init(struct cv_node_registry *r, const struct cv_alloc *alloc,
                           const uint64_t secret[2], uint32_t members_max)
{
    assert(members_max <= CV_MEMBERS_MAX);
    *r = (struct cv_node_registry){.alloc = alloc, .members_max = members_max};
    cv_member_table_init(&r->table, alloc, secret, id_of_slot, r);
    TAILQ_INIT(&r->spare);
}

void cv_node_registry_fini(struct cv_node_registry *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct cv_member *m = cv_node_registry_at(r, i);
        cv_cluster_node_release(m->body);
        cv_release(r->alloc, m->trouble);
    }
    struct cv_member_trouble *trouble;
    while ((trouble = TAILQ_FIRST(&r->spare)) != NULL) {
        TAILQ_REMOVE(&r->spare, trouble, entry);
        cv_release(r->alloc, trouble);
    }
    for (size_t i = 0; i < r->block_count; i++)
        cv_release(r->alloc, r->blocks[i]);
    cv_release(r->alloc, r->blocks);
    cv_release(r->alloc, r->order);
    cv_member_table_fini(&r->table);
}

struct cv_member *cv_node_registry_get(const struct cv_node_registry *r, const covey_node_id *id)
{
    uint32_t slot = cv_member_table_get(&r->table, id);
    return slot == CV_MEMBER_TABLE_NONE ? NULL : at_slot(r, slot);
}

uint64_t cv_node_registry_hash(const struct cv_node_registry *r, const covey_node_id *id)
{
    return cv_member_table_hash(&r->table, id);
}

void cv_node_registry_get_all(const struct cv_node_registry *r, const covey_node_id *const *ids,
                              const uint64_t *hashes, size_t count, struct cv_member **out)
{
    for (size_t i = 0; i < count; i++)
        cv_member_table_prefetch(&r->table, hashes[i]);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = cv_member_table_guess(&r->table, hashes[i]);
        out[i] = slot == CV_MEMBER_TABLE_NONE ? NULL : at_slot(r, slot);
        cv_prefetch(out[i], sizeof(*out[i]));
    }
    for (size_t i = 0; i < count; i++) {
        if (out[i] != NULL)
            cv_prefetch(out[i]->body, BODY_AHEAD);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = cv_member_table_get_hashed(&r->table, hashes[i], ids[i]);
        out[i] = slot == CV_MEMBER_TABLE_NONE ? NULL : at_slot(r, slot);
    }
}

struct cv_member *cv_node_registry_get_again(const struct cv_node_registry *r, struct cv_member *m,
                                             const covey_node_id *id)
{
    /* A slot is never given back, and has no body while it is free. */
    if (m != NULL && m->body != NULL && cv_node_id_equal(cv_member_id(m), id))
        return m;
    return cv_node_registry_get(r, id);
}

size_t cv_node_registry_count(const struct cv_node_registry *r)
{
    return r->count;
}

struct cv_member *cv_node_registry_at(const struct cv_node_registry *r, size_t index)
{
    assert(index < r->count);
    return at_slot(r, r->order[index]);
}

const covey_node_id *cv_member_id(const struct cv_member *m)
{
    return &m->body->id;
}

struct cv_node_status cv_member_status(const struct cv_member *m)
{
    struct cv_node_status status = {.incarnation = m->incarnation,
                                    .state = (enum covey_node_state)m->state};
    if (m->trouble != NULL)
        status.accuser = m->trouble->accuser;
    return status;
}

struct cv_record cv_member_record(const struct cv_member *m)
{
    return (struct cv_record){.id = m->body->id, .status = cv_member_status(m), .body = m->body};
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
    return is_live((enum covey_node_state)m->state);
}

static size_t capacity_of(const struct cv_node_registry *r)
{
    return r->block_count * CV_MEMBERS_PER_BLOCK;
}

/* Room for so many blocks in all, and their slots in the order. */
static int reserve_blocks(struct cv_node_registry *r, size_t count)
{
    uint32_t *order =
        cv_reallocate(r->alloc, r->order, count * CV_MEMBERS_PER_BLOCK, sizeof(*order));
    if (order == NULL)
        return COVEY_ERR_NO_MEMORY;
    r->order = order;
    struct cv_member **blocks =
        cv_reallocate(r->alloc, r->blocks, count, sizeof(struct cv_member *));
    if (blocks == NULL)
        return COVEY_ERR_NO_MEMORY;
    r->blocks = blocks;
    return COVEY_OK;
}

/* More blocks, whose slots come after all others in the order of the free ones. */
static int add_blocks(struct cv_node_registry *r, size_t more)
{
    int error = reserve_blocks(r, r->block_count + more);
    for (size_t n = 0; n < more && error == COVEY_OK; n++) {
        size_t capacity = capacity_of(r);
        struct cv_member *block =
            cv_allocate(r->alloc, CV_MEMBERS_PER_BLOCK * sizeof(struct cv_member));
        if (block == NULL)
            return COVEY_ERR_NO_MEMORY;
        for (size_t i = 0; i < CV_MEMBERS_PER_BLOCK; i++)
            r->order[capacity + i] = (uint32_t)(capacity + i);
        r->blocks[r->block_count] = block;
        r->block_count++;
    }
    return error;
}

/* Blocks for so many slots in all. */
static int grow(struct cv_node_registry *r, size_t slots)
{
    size_t wanted = (slots + CV_MEMBERS_PER_BLOCK - 1) / CV_MEMBERS_PER_BLOCK;
    return wanted <= r->block_count ? COVEY_OK : add_blocks(r, wanted - r->block_count);
}

static int reserve_troubles(struct cv_node_registry *r, size_t count)
{
    while (r->spare_count < count) {
        struct cv_member_trouble *trouble = cv_allocate(r->alloc, sizeof(*trouble));
        if (trouble == NULL)
            return COVEY_ERR_NO_MEMORY;
        TAILQ_INSERT_HEAD(&r->spare, trouble, entry);
        r->spare_count++;
    }
    return COVEY_OK;
}

int cv_node_registry_reserve_alive(struct cv_node_registry *r, size_t more)
{
    size_t room = (size_t)r->members_max * 2 - r->count;
    size_t inserts = more < room ? more : room;
    int error = cv_member_table_reserve(&r->table, inserts);
    return error == COVEY_OK ? grow(r, r->count + inserts) : error;
}

int cv_node_registry_reserve(struct cv_node_registry *r, size_t more)
{
    int error = cv_node_registry_reserve_alive(r, more);
    return error != COVEY_OK ? error : reserve_troubles(r, more + CV_REGISTRY_CHANGES);
}

static void take_trouble(struct cv_node_registry *r, struct cv_member *m)
{
    m->trouble = TAILQ_FIRST(&r->spare);
    assert(m->trouble != NULL);
    TAILQ_REMOVE(&r->spare, m->trouble, entry);
    r->spare_count--;
    r->trouble_count++;
    *m->trouble = (struct cv_member_trouble){.alarm.kind = CV_ALARM_MEMBER, .member = m};
}

/* More than a few spare ones are not kept. */
static void end_trouble(struct cv_node_registry *r, struct cv_member *m)
{
    struct cv_member_trouble *trouble = m->trouble;
    assert(trouble == NULL || !cv_timer_is_set(&trouble->alarm.timer));
    m->trouble = NULL;
    if (trouble == NULL)
        return;
    r->trouble_count--;
    if (r->spare_count < CV_REGISTRY_CHANGES) {
        TAILQ_INSERT_HEAD(&r->spare, trouble, entry);
        r->spare_count++;
    } else {
        cv_release(r->alloc, trouble);
    }
}

/* Before and after a change of what the digest sums up. */
static void digest_out(struct cv_node_registry *r, const struct cv_member *m)
{
    if (cv_member_is_live(m))
        cv_digest_remove(&r->digest, m->body, m->incarnation);
}

static void digest_in(struct cv_node_registry *r, const struct cv_member *m)
{
    if (cv_member_is_live(m))
        cv_digest_add(&r->digest, m->body, m->incarnation);
    r->version++;
    if (r->watcher != NULL)
        r->watcher->changed(r->watcher->user, m);
}

static void write_status(struct cv_node_registry *r, struct cv_member *m,
                         const struct cv_node_status *status, covey_time now)
{
    bool changes = m->trouble == NULL || m->state != status->state;
    m->incarnation = status->incarnation;
    m->state = (unsigned)status->state & 3;
    r->state_count[status->state]++;
    if (status->state == COVEY_NODE_ALIVE) {
        end_trouble(r, m);
        return;
    }
    if (m->trouble == NULL)
        take_trouble(r, m);
    m->trouble->accuser = status->accuser;
    if (changes)
        m->trouble->since = now;
}

struct cv_member *cv_node_registry_insert(struct cv_node_registry *r,
                                          const struct cv_record *record, covey_time now)
{
    assert(record->body != NULL && cv_node_id_equal(&record->id, &record->body->id));
    size_t kind = is_live(record->status.state) ? cv_node_registry_live_count(r) : gone_count(r);
    if (kind >= r->members_max) {
        r->refused++;
        return NULL;
    }
    assert(r->count < capacity_of(r));
    uint32_t slot = r->order[r->count];
    struct cv_member *m = at_slot(r, slot);
    *m = (struct cv_member){.body = cv_cluster_node_retain(record->body),
                            .index = (uint32_t)r->count,
                            .slot = slot & 0x7fffff};
    cv_member_table_put(&r->table, slot);
    r->count++;
    write_status(r, m, &record->status, now);
    digest_in(r, m);
    return m;
}

/* Slot k for the k-th of the roster; ours, which is at `place` there, comes first in the order. */
static void write_adopted(struct cv_node_registry *r, const struct cv_roster *roster,
                          uint32_t place, const struct cv_member *self)
{
    for (uint32_t k = 0; k < roster->count; k++) {
        const struct cv_record *record = &roster->records[k];
        uint32_t index = k + (k < place);
        if (k == place)
            continue;
        r->order[index] = k;
        *at_slot(r, k) = (struct cv_member){.body = cv_cluster_node_retain(record->body),
                                            .incarnation = record->status.incarnation,
                                            .index = index,
                                            .slot = k & 0x7fffff};
    }
    r->order[0] = place;
    *at_slot(r, place) = *self;
    at_slot(r, place)->slot = place & 0x7fffff;
}

int cv_node_registry_adopt(struct cv_node_registry *r, const struct cv_roster *roster,
                           struct cv_member **self)
{
    const struct cv_member own = **self;
    uint32_t place = cv_roster_find(roster, cv_member_id(*self));
    assert(r->count == 1 && own.trouble == NULL && own.index == 0);
    assert(place != CV_MEMBER_TABLE_NONE && roster->count <= r->members_max);
    int error = grow(r, roster->count);
    if (error != COVEY_OK)
        return error;
    cv_member_table_remove(&r->table, cv_member_id(*self));
    error = cv_member_table_copy(&r->table, &roster->table);
    if (error != COVEY_OK) {
        cv_member_table_put(&r->table, own.slot);
        return error;
    }
    write_adopted(r, roster, place, &own);
    *self = at_slot(r, place);
    for (size_t i = roster->count; i < capacity_of(r); i++)
        r->order[i] = (uint32_t)i;
    r->count = roster->count;
    r->state_count[COVEY_NODE_ALIVE] = roster->count;
    r->digest = roster->digest;
    cv_digest_remove(&r->digest, roster->records[place].body,
                     roster->records[place].status.incarnation);
    cv_digest_add(&r->digest, own.body, own.incarnation);
    r->version += roster->count;
    if (r->watcher != NULL)
        r->watcher->adopted(r->watcher->user, r);
    return COVEY_OK;
}

void cv_node_registry_remove(struct cv_node_registry *r, struct cv_member *m)
{
    if (r->watcher != NULL)
        r->watcher->removed(r->watcher->user, m);
    digest_out(r, m);
    cv_member_table_remove(&r->table, cv_member_id(m));
    r->state_count[m->state]--;
    r->count--;
    r->version++;
    struct cv_member *last = at_slot(r, r->order[r->count]);
    r->order[r->count] = m->slot;
    r->order[m->index] = last->slot;
    last->index = m->index;
    end_trouble(r, m);
    cv_cluster_node_release(m->body);
    m->body = NULL;
}

bool cv_node_registry_admits_return(struct cv_node_registry *r)
{
    bool room = cv_node_registry_live_count(r) < r->members_max;
    if (!room)
        r->refused++;
    return room;
}

struct cv_member *cv_node_registry_surplus(const struct cv_node_registry *r,
                                           const struct cv_member *self,
                                           const struct cv_member *changed)
{
    struct cv_member *oldest = NULL;
    if (gone_count(r) <= r->members_max)
        return NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct cv_member *m = cv_node_registry_at(r, i);
        if (m != self && m != changed && !cv_member_is_live(m) &&
            (oldest == NULL || m->trouble->since < oldest->trouble->since))
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
    const struct cv_node_status before = cv_member_status(m);
    assert(cv_node_status_may_follow(&before, status));
    (void)before;
    digest_out(r, m);
    r->state_count[m->state]--;
    write_status(r, m, status, now);
    digest_in(r, m);
}

uint64_t cv_node_registry_version(const struct cv_node_registry *r)
{
    return r->version;
}

void cv_node_registry_set_body(struct cv_node_registry *r, struct cv_member *m,
                               struct cv_cluster_node *body, bool is_direct)
{
    assert(cv_node_id_equal(cv_member_id(m), &body->id));
    struct cv_cluster_node *before = m->body;
    digest_out(r, m);
    m->body = cv_cluster_node_retain(body);
    m->body_is_direct = is_direct;
    digest_in(r, m);
    cv_cluster_node_release(before);
}
