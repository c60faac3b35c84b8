#include "turns.h"

#include <stdio.h>

static const struct covey_tag wanted[] = {{"role", "worker"}, {"available", "true"}};

void turns_init(struct turns *turns)
{
    *turns = (struct turns){.has_last = false};
    pthread_mutex_init(&turns->mutex, NULL);
}

void turns_fini(struct turns *turns)
{
    pthread_mutex_destroy(&turns->mutex);
}

/* Where in the list, which is sorted by id, the turn is: after the last one. */
static size_t turn_begins_at(const struct turns *turns, const covey_node_list *workers)
{
    const size_t count = covey_node_list_count(workers);

    for (size_t i = 0; turns->has_last && i < count; i++) {
        if (covey_node_id_compare(&covey_node_list_at(workers, i)->id, &turns->last) > 0)
            return i;
    }
    return 0;
}

void turns_open(struct turns *turns, covey_cluster *cluster)
{
    pthread_mutex_lock(&turns->mutex);
    turns->cluster = cluster;
    pthread_mutex_unlock(&turns->mutex);
}

/* With the mutex. False: no cluster yet, or no memory. */
static bool find_workers(const struct turns *turns, covey_node_list **out)
{
    return turns->cluster != NULL &&
           covey_cluster_nodes_with_all_tags(turns->cluster, wanted, 2, out) == 0;
}

static bool take_turn(struct turns *turns, const covey_node_list *workers,
                      const struct assignment_request *request, struct assignment *out)
{
    const size_t count = covey_node_list_count(workers);
    const size_t begin = turn_begins_at(turns, workers);

    for (size_t i = 0; i < count; i++) {
        const struct covey_node *node = covey_node_list_at(workers, (begin + i) % count);
        if (assignment_request_avoids(request, &node->id))
            continue;
        out->id = node->id;
        snprintf(out->address, sizeof out->address, "%s", node->address);
        turns->last = node->id;
        turns->has_last = true;
        return true;
    }
    return false;
}

bool turns_next(struct turns *turns, const struct assignment_request *request,
                struct assignment *out)
{
    covey_node_list *workers;
    bool is_found = false;

    pthread_mutex_lock(&turns->mutex);
    if (find_workers(turns, &workers)) {
        is_found = take_turn(turns, workers, request, out);
        covey_node_list_free(workers);
    }
    pthread_mutex_unlock(&turns->mutex);
    return is_found;
}

size_t turns_count(struct turns *turns)
{
    covey_node_list *workers;
    size_t count = 0;

    pthread_mutex_lock(&turns->mutex);
    if (find_workers(turns, &workers)) {
        count = covey_node_list_count(workers);
        covey_node_list_free(workers);
    }
    pthread_mutex_unlock(&turns->mutex);
    return count;
}
