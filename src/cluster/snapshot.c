#include "cluster/snapshot.h"

#include <assert.h>
#include <covey/error.h>
#include <stdatomic.h>
#include <stdlib.h>

struct entry {
    struct covey_node view; /* borrows from record.body */
    struct cv_record record;
};

struct cv_snapshot {
    const struct cv_alloc *alloc;
    atomic_uint references;
    size_t count;
    struct entry entries[];
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return covey_node_id_compare(&x->view.id, &y->view.id);
}

int cv_snapshot_new(const struct cv_alloc *alloc, const struct cv_node_registry *registry,
                    struct cv_snapshot **out)
{
    size_t count = cv_node_registry_count(registry);
    struct cv_snapshot *s = cv_allocate(alloc, sizeof(*s) + count * sizeof(struct entry));
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    s->alloc = alloc;
    atomic_init(&s->references, 1);
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct cv_record record = cv_member_record(cv_node_registry_at(registry, i));
        cv_cluster_node_retain(record.body);
        s->entries[i] = (struct entry){
            .view =
                cv_cluster_node_view(record.body, record.status.state, record.status.incarnation),
            .record = record,
        };
    }
    qsort(s->entries, count, sizeof(s->entries[0]), compare);
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

void cv_snapshot_release(struct cv_snapshot *s)
{
    if (s == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    for (size_t i = 0; i < s->count; i++)
        cv_cluster_node_release(s->entries[i].record.body);
    cv_release(s->alloc, s);
}

size_t cv_snapshot_count(const struct cv_snapshot *s)
{
    return s->count;
}

const struct covey_node *cv_snapshot_at(const struct cv_snapshot *s, size_t index)
{
    assert(index < s->count);
    return &s->entries[index].view;
}

struct cv_record cv_snapshot_record(const struct cv_snapshot *s, size_t index)
{
    assert(index < s->count);
    return s->entries[index].record;
}
