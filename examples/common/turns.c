#include "turns.h"

#include "say.h"

#include <stdio.h>

void turns_init(struct turns *turns)
{
    *turns = (struct turns){.balancer = NULL};
}

void turns_fini(struct turns *turns)
{
    covey_balancer_free(atomic_load(&turns->balancer));
}

bool turns_open(struct turns *turns, covey_cluster *cluster)
{
    static const struct covey_tag wanted[] = {{"role", "worker"}, {"available", "true"}};
    struct covey_balancer_config config;
    covey_balancer *balancer;

    covey_balancer_config_init(&config);
    config.policy = COVEY_BALANCE_ROUND_ROBIN;
    config.selector.all = wanted;
    config.selector.all_count = 2;
    const int error = covey_balancer_new(cluster, &config, &balancer);
    if (error != 0)
        complain("cannot follow the workers: %s", covey_strerror(error));
    else
        atomic_store(&turns->balancer, balancer);
    return error == 0;
}

/* The balancer passes over one node by itself. More are passed over here: in so many turns everyone was
 * offered, unless others take turns at the same moment, and then the next try is half a second away. */
bool turns_next(struct turns *turns, const struct assignment_request *request,
                struct assignment *out)
{
    covey_balancer *balancer = atomic_load(&turns->balancer);
    const size_t avoid_count = request->avoid_count;
    const covey_node_id *avoid = avoid_count == 0 ? NULL : &request->avoid[avoid_count - 1];
    struct covey_pick pick;

    for (size_t turn = 0; balancer != NULL && turn <= avoid_count; turn++) {
        if (covey_balancer_pick(balancer, avoid, &pick) != 0)
            return false;
        covey_balancer_done(balancer, &pick); /* it is the client who works with it */
        if (assignment_request_avoids(request, &pick.id))
            continue;
        out->id = pick.id;
        snprintf(out->address, sizeof out->address, "%s", pick.address);
        return true;
    }
    return false;
}

size_t turns_count(struct turns *turns)
{
    const covey_balancer *balancer = atomic_load(&turns->balancer);

    return balancer == NULL ? 0 : covey_balancer_count(balancer);
}
