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
    struct cv_tag_index tags;
    struct covey_node nodes[]; /* borrow from the bodies */
};

static int compare(const void *a, const void *b)
{
    const struct cv_record *x = a;
    const struct cv_record *y = b;
    return covey_node_id_compare(&x->id, &y->id);
}

static void copy_members(struct cv_snapshot *s, const struct cv_node_registry *registry)
{
    for (size_t i = 0; i < s->count; i++)
        s->records[i] = cv_node_registry_at(registry, i)->record;
    qsort(s->records, s->count, sizeof(s->records[0]), compare);
    for (size_t i = 0; i < s->count; i++) {
        const struct cv_record *record = &s->records[i];
        s->nodes[i] =
            cv_cluster_node_view(record->body, record->status.state, record->status.incarnation);
        cv_cluster_node_retain(record->body);
    }
}

int cv_snapshot_new(const struct cv_alloc *alloc, const struct cv_node_registry *registry,
                    const struct cv_snapshot *previous, struct cv_snapshot **out)
{
    const size_t count = cv_node_registry_count(registry);
    const size_t each = sizeof(struct covey_node) + sizeof(struct cv_record);
    struct cv_snapshot *s = cv_allocate(alloc, sizeof(*s) + count * each);
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    *s = (struct cv_snapshot){
        .alloc = alloc, .count = count, .records = (struct cv_record *)(s->nodes + count)};
    atomic_init(&s->references, 1);
    copy_members(s, registry);
    cv_tag_index_init(&s->tags, alloc, registry->members.secret, s->nodes, count);
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
