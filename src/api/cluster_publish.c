/*
 * What other threads see of membership, and in which order:
 *
 *     the core changes --> snapshot, balancers --> partition status --> events of it, the state that it is in now
 *                                                                 '--> callers whose commands it took go on
 *
 * So whoever hears of something finds it when he looks, and who changed something sees it when his call
 * returns. node/node_publish says when; nothing here waits for a reader.
 */
#include "api/cluster.h"

#include "io/clock.h"

void cv_cluster_tell_waiting(covey_cluster *cluster)
{
    struct cv_cluster_order *order;
    pthread_mutex_lock(&cluster->lock);
    if (cluster->next_state.is_set) {
        cluster->state = cluster->next_state.state;
        cluster->error = cluster->next_state.error;
    }
    cluster->next_state.is_set = false;
    STAILQ_FOREACH (order, &cluster->orders, entry)
        order->is_done = true;
    STAILQ_INIT(&cluster->orders);
    pthread_cond_broadcast(&cluster->changed);
    pthread_mutex_unlock(&cluster->lock);
}

/* True when all is shown. */
static bool publish(covey_cluster *cluster, bool waits)
{
    const struct cv_membership *m = cv_node_membership(cv_cluster_host(cluster->server)->node);
    if (m == NULL)
        return true;
    int error =
        cv_view_publish(&cluster->view, &cluster->runtime->alloc, cv_membership_registry(m), waits);
    if (error == COVEY_ERR_BUSY)
        return false;
    if (error == 0 && !cv_balancer_hub_show(cluster->balancers, cluster->view.newest, waits))
        return false;
    const struct cv_partition_status partition = cv_membership_partition(m);
    cv_cluster_publish_partition(cluster, &partition);
    /* Without memory readers keep what they have and hear of nothing else until there is some; but nobody is
     * left waiting for that. */
    if (error == 0)
        cv_event_hub_show(cluster->events);
    cv_cluster_tell_waiting(cluster);
    return error == 0;
}

bool cv_cluster_on_changed(void *user)
{
    covey_cluster *cluster = covey_server_cluster(((struct cv_server_loop *)user)->server);
    return cluster == NULL || publish(cluster, cluster->is_asked);
}

void cv_cluster_publish_now(covey_cluster *cluster)
{
    const struct cv_host *host = cv_cluster_host(cluster->server);
    cluster->is_asked = true;
    cv_node_publish(host->node, cv_loop_now(host->loop));
    cluster->is_asked = false;
}
