/* Streams of a cluster client: each holds its peer and its pick until it is freed. */
#include "api/cluster_client.h"

/* One that was denied since it was picked is not picked again, as balancers know of it first. More
 * than two picks are needed only when others are denied meanwhile. */
#define PICKS_MAX 6

struct holding {
    struct cv_callee_pool *pool;
    struct cv_callee *peer;
    covey_balancer *balancer; /* retained */
    struct covey_pick pick;
};

/* Any thread. */
static void let_go(void *user)
{
    struct holding *h = user;
    covey_runtime *runtime = h->balancer->runtime; /* the stream's, which it holds still */
    covey_balancer_done(h->balancer, &h->pick);
    cv_balancer_release(h->balancer);
    cv_callee_put(h->pool, h->peer);
    cv_release(&runtime->alloc, h);
}

static int take_callee(const covey_cluster_client *client, const struct covey_target *target,
                       struct holding *h)
{
    const unsigned picks_max = cv_cluster_client_shares(client, h->balancer) ? PICKS_MAX : 1;
    covey_node_id denied;
    int error = COVEY_ERR_DENIED;
    for (unsigned i = 0; i < picks_max && error == COVEY_ERR_DENIED; i++) {
        error = cv_target_pick(target, i == 0 ? NULL : &denied, &h->pick);
        if (error != 0)
            return error;
        denied = h->pick.id;
        error = cv_callee_get(h->pool, &h->pick, false, &h->peer);
        if (error != 0)
            covey_balancer_done(target->balancer, &h->pick);
    }
    return error;
}

static int hold(covey_cluster_client *client, const struct covey_target *callers,
                struct holding **out)
{
    struct covey_target target;
    if (client == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_target_take(&target, callers);
    if (error != 0)
        return error;
    struct holding *h = cv_allocate(&client->runtime->alloc, sizeof *h);
    if (h == NULL)
        return COVEY_ERR_NO_MEMORY;
    *h = (struct holding){.pool = client->pool, .balancer = target.balancer};
    error = take_callee(client, &target, h);
    if (error != 0) {
        cv_release(&client->runtime->alloc, h);
        return error;
    }
    cv_balancer_retain(h->balancer);
    *out = h;
    return 0;
}

static int attach(struct holding *h, int error, covey_stream *stream, covey_stream **out,
                  covey_node_id *node)
{
    if (error != 0) {
        let_go(h);
        return error;
    }
    if (node != NULL)
        *node = h->pick.id;
    cv_stream_on_freed(stream, let_go, h);
    *out = stream;
    return 0;
}

int covey_cluster_client_open(covey_cluster_client *client, const struct covey_target *target,
                              const char *method, const struct covey_call_options *options,
                              covey_stream **out, covey_node_id *node)
{
    struct holding *h;
    covey_stream *stream = NULL;
    int error = hold(client, target, &h);
    if (error != 0)
        return error;
    error = covey_client_open(h->peer->client, method, options, &stream);
    return attach(h, error, stream, out, node);
}

int covey_cluster_client_stream(covey_cluster_client *client, const struct covey_target *target,
                                const char *method, const void *request, size_t size,
                                const struct covey_call_options *options, covey_stream **out,
                                covey_node_id *node)
{
    struct holding *h;
    covey_stream *stream = NULL;
    int error = hold(client, target, &h);
    if (error != 0)
        return error;
    error = covey_client_stream(h->peer->client, method, request, size, options, &stream);
    return attach(h, error, stream, out, node);
}
