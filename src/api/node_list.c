#include "api/node_list.h"

#include <assert.h>

#define CAPACITY_MIN 16

int cv_node_list_new(covey_runtime *runtime, size_t capacity, covey_node_list **out)
{
    const struct cv_alloc *alloc = &runtime->alloc;
    covey_node_list *list = cv_allocate(alloc, sizeof *list);
    struct covey_node *nodes = cv_allocate_zeroed(alloc, capacity, sizeof *nodes);
    if (list == NULL || nodes == NULL) {
        cv_release(alloc, list);
        cv_release(alloc, nodes);
        return COVEY_ERR_NO_MEMORY;
    }
    *list = (struct covey_node_list){.runtime = runtime, .nodes = nodes, .capacity = capacity};
    cv_runtime_retain(runtime);
    *out = list;
    return 0;
}

void cv_node_list_add(covey_node_list *list, const struct covey_node *node)
{
    assert(list->snapshot != NULL && list->bodies == NULL);
    assert(list->count < list->capacity);
    list->nodes[list->count++] = *node;
}

/* Room for one more node and its body. */
static int reserve(covey_node_list *list)
{
    const struct cv_alloc *alloc = &list->runtime->alloc;
    if (list->bodies != NULL && list->count < list->capacity)
        return 0;
    size_t capacity = list->count < list->capacity ? list->capacity : 2 * list->capacity;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    struct covey_node *nodes = cv_reallocate(alloc, list->nodes, capacity, sizeof *nodes);
    if (nodes == NULL)
        return COVEY_ERR_NO_MEMORY;
    list->nodes = nodes;
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
    list->nodes[list->count] = cv_cluster_node_view(body, state, incarnation);
    list->count++;
    return 0;
}

size_t covey_node_list_count(const covey_node_list *list)
{
    return list->count;
}

const struct covey_node *covey_node_list_at(const covey_node_list *list, size_t index)
{
    return index < list->count ? &list->nodes[index] : NULL;
}

void covey_node_list_free(covey_node_list *list)
{
    if (list == NULL)
        return;
    covey_runtime *runtime = list->runtime;
    for (size_t i = 0; list->bodies != NULL && i < list->count; i++)
        cv_cluster_node_release(list->bodies[i]);
    cv_snapshot_release(list->snapshot);
    cv_release(&runtime->alloc, list->bodies);
    cv_release(&runtime->alloc, list->nodes);
    cv_release(&runtime->alloc, list);
    cv_runtime_release(runtime);
}
