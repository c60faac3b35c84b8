#include "v1_compat.h"

#include "clock.h"
#include "say.h"

#include <string.h>

void v1_compat_init(struct v1_compat *compat, struct turns *turns)
{
    *compat = (struct v1_compat){.turns = turns};
    v1_registry_init(&compat->registry);
}

void v1_compat_fini(struct v1_compat *compat)
{
    v1_registry_fini(&compat->registry);
}

/* Whether the cluster knows this node, and as a worker: then it speaks by its tags. */
static bool is_member(covey_cluster *cluster, const covey_node_id *id)
{
    covey_node_list *workers;
    bool is_found = false;

    if (cluster == NULL || covey_cluster_nodes_with_tag(cluster, "role", "worker", &workers) != 0)
        return false;
    for (size_t i = 0; i < covey_node_list_count(workers) && !is_found; i++)
        is_found = covey_node_id_compare(&covey_node_list_at(workers, i)->id, id) == 0;
    covey_node_list_free(workers);
    return is_found;
}

void v1_compat_register(covey_call *call, const void *request, size_t size, void *user)
{
    struct v1_compat *compat = user;
    const covey_node_id id = covey_call_peer_id(call);
    struct v1_registration registration;

    if (!v1_registration_read(&registration, request, size)) {
        covey_call_finish(call, COVEY_STATUS_INVALID_ARGUMENT,
                          "the request is HOST:PORT available=true|false");
        return;
    }
    if (is_member(atomic_load(&compat->cluster), &id)) {
        v1_registry_remove(&compat->registry, &id);
        covey_call_reply(call, "member", strlen("member"));
        return;
    }
    const enum v1_outcome outcome =
        v1_registry_register(&compat->registry, &id, &registration, clock_now());
    if (outcome == V1_FULL) {
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "too many workers registered");
        return;
    }
    if (outcome == V1_NEW)
        say("%s registers its worker at %s", covey_call_peer_name(call), registration.address);
    covey_call_reply(call, "registered", strlen("registered"));
}

/* The next registered one. One that has become a member since it registered is forgotten here. */
static bool next_registered(struct v1_compat *compat, const struct assignment_request *request,
                            covey_time now, struct assignment *out)
{
    while (v1_registry_next(&compat->registry, request, now, out)) {
        if (!is_member(atomic_load(&compat->cluster), &out->id))
            return true;
        v1_registry_remove(&compat->registry, &out->id);
    }
    return false;
}

bool v1_compat_next(const struct assignment_request *request, struct assignment *out, void *user)
{
    struct v1_compat *compat = user;
    const covey_time now = clock_now();
    const size_t registered = v1_registry_count(&compat->registry, now);

    if (registered == 0)
        return turns_next(compat->turns, request, out);
    const size_t all = registered + turns_count(compat->turns);
    if (atomic_fetch_add(&compat->asked, 1) % all < registered)
        return next_registered(compat, request, now, out) ||
               turns_next(compat->turns, request, out);
    return turns_next(compat->turns, request, out) || next_registered(compat, request, now, out);
}
