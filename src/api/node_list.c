#include "api/node_list.h"

#include <assert.h>

#define CAPACITY_MIN 16

int cv_node_list_select(covey_runtime *runtime, struct cv_snapshot *snapshot, size_t capacity,
                        covey_node_list **out)
{
    assert(snapshot != NULL || capacity == 0);
    covey_node_list *list =
        cv_allocate(&runtime->alloc, sizeof *list + capacity * sizeof(const struct covey_node *));
    if (list == NULL)
        return COVEY_ERR_NO_MEMORY;
    *list =
        (struct covey_node_list){.runtime = runtime, .snapshot = snapshot, .capacity = capacity};
    cv_runtime_retain(runtime);
    *out = list;
    return 0;
}

void cv_node_list_add(covey_node_list *list, const struct covey_node *node)
{
    assert(list->snapshot != NULL && list->count < list->capacity);
    list->selected[list->count++] = node;
}

int cv_node_list_new(covey_runtime *runtime, covey_node_list **out)
{
    return cv_node_list_select(runtime, NULL, 0, out);
}

/* Room for one more node and its body. */
static int reserve(covey_node_list *list)
{
    const struct cv_alloc *alloc = &list->runtime->alloc;
    if (list->count < list->capacity)
        return 0;
    size_t capacity = list->capacity == 0 ? CAPACITY_MIN : 2 * list->capacity;
    struct covey_node *told = cv_reallocate(alloc, list->told, capacity, sizeof *told);
    if (told == NULL)
        return COVEY_ERR_NO_MEMORY;
    list->told = told;
    struct cv_cluster_node **bodies =
        cv_reallocate(alloc, list->bodies, capacity, sizeof(struct cv_cluster_node *));
    if (bodies == NULL)
        return COVEY_ERR_NO_MEMORY;
    list->bodies = bodies;
    list->capacity = capacity;
    return 0;
}

int cv_node_list_add_body(covey_node_list *list, struct cv_cluster_node *body,
                          enum covey_node_state state, uint64_t incarnation)
{
    assert(list->snapshot == NULL);
    int error = reserve(list);
    if (error != 0)
        return error;
    list->bodies[list->count] = body;
    list->told[list->count] = cv_cluster_node_view(body, state, incarnation);
    list->count++;
    return 0;
}

size_t covey_node_list_count(const covey_node_list *list)
{
    return list->count;
}

const struct covey_node *covey_node_list_at(const covey_node_list *list, size_t index)
{
    if (index >= list->count)
        return NULL;
    return list->told != NULL ? &list->told[index] : list->selected[index];
}

void covey_node_list_free(covey_node_list *list)
{
    if (list == NULL)
        return;
    covey_runtime *runtime = list->runtime;
    for (size_t i = 0; list->told != NULL && i < list->count; i++)
        cv_cluster_node_release(list->bodies[i]);
    cv_snapshot_release(list->snapshot);
    cv_release(&runtime->alloc, list->bodies);
    cv_release(&runtime->alloc, list->told);
    cv_release(&runtime->alloc, list);
    cv_runtime_release(runtime);
}
