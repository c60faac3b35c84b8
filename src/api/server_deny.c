/* Whom a server refuses whatever he shows. */
#include "api/cluster.h"

#include "quic/deny_list.h"

_Static_assert(COVEY_DENIED_MAX == CV_DENIED_MAX, "one bound");

struct denying {
    struct cv_server_loop *loop;
    const covey_node_id *ids;
    size_t count;
    int error;
};

static void deny_on_loop(void *user)
{
    struct denying *d = user;
    covey_cluster *cluster = covey_server_cluster(d->loop->server);
    d->error = cv_node_deny(d->loop->host.node, d->ids, d->count);
    if (d->error == 0 && cluster != NULL && d->loop == d->loop->server->loops)
        d->error = cv_cluster_deny(cluster, d->ids, d->count);
    cv_loop_again(d->loop->host.loop);
}

int covey_server_deny(covey_server *server, const covey_node_id *ids, size_t count)
{
    if (ids == NULL && count > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (count > COVEY_DENIED_MAX)
        return COVEY_ERR_LIMIT;
    if (!cv_runtime_may_ask_loops(server->runtime))
        return COVEY_ERR_WRONG_THREAD;
    struct denying d = {.ids = ids, .count = count};
    for (unsigned i = 0; d.error == 0 && i < server->loop_count; i++) {
        d.loop = &server->loops[i];
        cv_server_call_loop(d.loop->host.loop, deny_on_loop, &d);
    }
    return d.error;
}
