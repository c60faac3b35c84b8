#include "cluster/snapshot.h"

#include <assert.h>
#include <covey/error.h>
#include <stdatomic.h>
#include <stdlib.h>

struct cv_snapshot {
    const struct cv_alloc *alloc;
    atomic_uint references;
    size_t count;
    struct cv_record *records; /* behind the nodes; one reference to each body */
    uint32_t *numbers;         /* behind the records: where the registry had each */
    struct cv_tag_index tags;
    struct covey_node nodes[]; /* borrow from the bodies */
};

static struct cv_record record_at(const struct cv_node_registry *registry, size_t number)
{
    return cv_member_record(cv_node_registry_at(registry, number));
}

/* ---- the order ---- */

struct place {
    covey_node_id id;
    uint32_t number; /* in the registry */
};

struct places {
    struct place *all;
    size_t count;
    bool are_sorted;
};

static int compare(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    return covey_node_id_compare(&x->id, &y->id);
}

static void add_place(struct places *p, const struct cv_node_registry *registry, uint32_t number)
{
    struct place *place = &p->all[p->count];
    *place = (struct place){.id = record_at(registry, number).id, .number = number};
    p->are_sorted &= p->count == 0 || compare(place - 1, place) < 0;
    p->count++;
}

/* Begins with the order of the previous snapshot, as far as the registry has these numbers: unless
 * members came or went it is the right one, and sorting is most of the work. */
static void sort_places(struct places *p, const struct cv_node_registry *registry,
                        const struct cv_snapshot *previous)
{
    const size_t count = cv_node_registry_count(registry);
    const size_t known = previous == NULL ? 0 : previous->count;
    p->are_sorted = true;
    for (size_t i = 0; i < known; i++) {
        if (previous->numbers[i] < count)
            add_place(p, registry, previous->numbers[i]);
    }
    for (size_t number = known; number < count; number++)
        add_place(p, registry, (uint32_t)number);
    if (!p->are_sorted)
        qsort(p->all, count, sizeof(*p->all), compare);
}

/* ---- making one ---- */

static int copy_members(struct cv_snapshot *s, const struct cv_node_registry *registry,
                        const struct cv_snapshot *previous)
{
    struct places places = {.all = cv_allocate(s->alloc, s->count * sizeof(struct place))};
    if (places.all == NULL)
        return COVEY_ERR_NO_MEMORY;
    sort_places(&places, registry, previous);
    assert(places.count == s->count);
    for (size_t i = 0; i < s->count; i++) {
        const uint32_t number = places.all[i].number;
        const struct cv_record record = record_at(registry, number);
        cv_cluster_node_retain(record.body);
        s->records[i] = record;
        s->numbers[i] = number;
        s->nodes[i] =
            cv_cluster_node_view(record.body, record.status.state, record.status.incarnation);
    }
    cv_release(s->alloc, places.all);
    return COVEY_OK;
}

int cv_snapshot_new(const struct cv_alloc *alloc, const struct cv_node_registry *registry,
                    const struct cv_snapshot *previous, struct cv_snapshot **out)
{
    const size_t count = cv_node_registry_count(registry);
    const size_t each = sizeof(struct covey_node) + sizeof(struct cv_record) + sizeof(uint32_t);
    struct cv_snapshot *s = cv_allocate(alloc, sizeof(*s) + count * each);
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    *s = (struct cv_snapshot){
        .alloc = alloc, .count = count, .records = (struct cv_record *)(s->nodes + count)};
    s->numbers = (uint32_t *)(s->records + count);
    atomic_init(&s->references, 1);
    if (copy_members(s, registry, previous) != COVEY_OK) {
        cv_release(alloc, s);
        return COVEY_ERR_NO_MEMORY;
    }
    cv_tag_index_init(&s->tags, alloc, registry->table.secret, s->nodes, count);
    const int error = cv_tag_index_build(&s->tags, previous == NULL ? NULL : &previous->tags);
    if (error != COVEY_OK) {
        cv_snapshot_release(s);
        return error;
    }
    *out = s;
    return COVEY_OK;
}

struct cv_snapshot *cv_snapshot_retain(struct cv_snapshot *s)
{
    unsigned before = atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return s;
}

bool cv_snapshot_is_last(const struct cv_snapshot *s)
{
    return atomic_load_explicit(&s->references, memory_order_acquire) == 1;
}

void cv_snapshot_release(struct cv_snapshot *s)
{
    if (s == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    for (size_t i = 0; i < s->count; i++)
        cv_cluster_node_release(s->records[i].body);
    cv_tag_index_fini(&s->tags);
    cv_release(s->alloc, s);
}

size_t cv_snapshot_count(const struct cv_snapshot *s)
{
    return s->count;
}

const struct covey_node *cv_snapshot_at(const struct cv_snapshot *s, size_t index)
{
    assert(index < s->count);
    return &s->nodes[index];
}

struct cv_record cv_snapshot_record(const struct cv_snapshot *s, size_t index)
{
    assert(index < s->count);
    return s->records[index];
}

void cv_snapshot_with_tag(const struct cv_snapshot *s, const char *key, const char *value,
                          struct cv_tag_query *out)
{
    const struct covey_tag tag = {.key = key, .value = value};
    cv_tag_query_init(out, &s->tags, &tag, 1);
}

void cv_snapshot_with_all_tags(const struct cv_snapshot *s, const struct covey_tag *tags,
                               size_t count, struct cv_tag_query *out)
{
    cv_tag_query_init(out, &s->tags, tags, count);
}
