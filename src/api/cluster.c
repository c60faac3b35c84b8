#include "api/cluster.h"

#include "io/clock.h"

/* ---- on the loop's thread: what the node tells ---- */

static covey_cluster *cluster_of(const covey_server *server)
{
    return atomic_load(&server->cluster);
}

struct cv_host *cv_cluster_host(const covey_server *server)
{
    return &server->loops[0].host;
}

static covey_server *server_of(void *user)
{
    return ((struct cv_server_loop *)user)->server;
}

void cv_cluster_on_event(void *user, const struct cv_event *event)
{
    covey_cluster *cluster = cluster_of(server_of(user));
    if (cluster == NULL) {
        cv_cluster_node_release(event->node);
        return;
    }
    if (event->type == COVEY_EVENT_HEALTH_CHECK_FAILED)
        cv_cluster_publish_health(cluster); /* a run that took too long, maybe */
    cv_event_hub_publish(cluster->events, event);
}

/* The steps of covey/cluster.h: LEFT comes when the first three are done; the node takes the fourth, and
 * tells when it has. */
void cv_cluster_on_state(void *user, enum cv_membership_state state, int error)
{
    covey_server *server = server_of(user);
    covey_cluster *cluster = cluster_of(server);
    if (cluster == NULL)
        return;
    if (state == CV_MEMBERSHIP_LEFT)
        cv_node_disable_cluster(cv_cluster_host(server)->node);
    else
        cluster->next_state =
            (struct cv_cluster_state){.is_set = true, .state = state, .error = error};
}

void cv_cluster_on_ended(void *user)
{
    static const struct cv_partition_status unknown = {.state = CV_PARTITION_UNKNOWN};
    covey_cluster *cluster = cluster_of(server_of(user));
    if (cluster == NULL)
        return;
    cv_cluster_publish_partition(cluster, &unknown);
    atomic_store(&cluster->is_unhealthy, false); /* the checks are gone, too */
    cv_view_clear(&cluster->view);
    (void)cv_balancer_hub_show(cluster->balancers, NULL, true);
    cv_event_hub_close(cluster->events);
    cluster->next_state = (struct cv_cluster_state){.is_set = true, .state = CV_MEMBERSHIP_LEFT};
    cv_cluster_tell_waiting(cluster);
}

/* The goodbye is on its way when the second turn takes the other steps. */
void cv_cluster_end(covey_server *server)
{
    struct cv_host *host = cv_cluster_host(server);
    (void)cv_node_command(host->node, CV_COMMAND_SHUTDOWN, NULL, NULL, cv_loop_now(host->loop),
                          cv_clock_wall_ms());
    cv_host_turn(host);
    cv_cluster_give_up_questions(server);
    cv_node_disable_cluster(host->node);
    cv_host_turn(host);
}

/* ---- life ---- */

void cv_cluster_free(covey_cluster *cluster)
{
    if (cluster == NULL)
        return;
    cv_cluster_free_checks(cluster);
    cv_event_hub_close(cluster->events);
    cv_event_hub_release(cluster->events);
    (void)cv_balancer_hub_show(cluster->balancers, NULL, true);
    cv_balancer_hub_release(cluster->balancers);
    cv_view_fini(&cluster->view);
    pthread_cond_destroy(&cluster->changed);
    pthread_mutex_destroy(&cluster->lock);
    cv_release(&cluster->runtime->alloc, cluster);
}

static int cluster_new(covey_server *server, covey_cluster **out)
{
    covey_cluster *cluster = cv_allocate_zeroed(&server->runtime->alloc, 1, sizeof *cluster);
    if (cluster == NULL)
        return COVEY_ERR_NO_MEMORY;
    cluster->runtime = server->runtime;
    cluster->server = server;
    cluster->self = cv_tls_identity(cv_cluster_host(server)->tls)->id;
    cluster->state = CV_MEMBERSHIP_JOINING;
    STAILQ_INIT(&cluster->orders);
    int error = cv_event_hub_new(server->runtime, &cluster->events);
    if (error != 0)
        goto no_events;
    error = cv_balancer_hub_new(server->runtime, &cluster->balancers);
    if (error != 0)
        goto no_balancers;
    error = cv_view_init(&cluster->view);
    if (error != 0)
        goto no_view;
    error = pthread_mutex_init(&cluster->lock, NULL) == 0 ? 0 : COVEY_ERR_SYSTEM;
    if (error != 0)
        goto no_lock;
    error = cv_condition_init(&cluster->changed);
    if (error != 0)
        goto no_condition;
    *out = cluster;
    return 0;

no_condition:
    pthread_mutex_destroy(&cluster->lock);
no_lock:
    cv_view_fini(&cluster->view);
no_view:
    cv_balancer_hub_release(cluster->balancers);
no_balancers:
    cv_event_hub_release(cluster->events);
no_events:
    cv_release(&server->runtime->alloc, cluster);
    return error;
}

/* The address that members tell each other: as configured, else where we listen. */
static int advertised_address(const covey_server *server, struct cv_address *out)
{
    struct cv_address local = cv_udp_local(cv_cluster_host(server)->udp);
    *out = server->advertise.family == 0 ? local : server->advertise;
    if (out->port == 0)
        out->port = local.port;
    return cv_address_is_usable(out) ? 0 : COVEY_ERR_ADDRESS;
}

static struct cv_snapshot *take_snapshot(void *user)
{
    return cv_cluster_snapshot(user);
}

int cv_cluster_deny(covey_cluster *cluster, const covey_node_id *ids, size_t count)
{
    return cv_balancer_hub_deny(cluster->balancers, ids, count, take_snapshot, cluster);
}

/* Whom the server denies already. */
static int deny_known(covey_cluster *cluster)
{
    const struct cv_deny_list *denied = cv_tls_denied(cv_cluster_host(cluster->server)->tls);
    return cv_cluster_deny(cluster, denied->ids, denied->count);
}

struct enabling {
    covey_server *server;
    covey_cluster *cluster;
    const struct covey_cluster_config *config;
    const char *const *seeds;
    size_t seed_count;
    int error;
};

static void enable_on_loop(void *user)
{
    struct enabling *e = user;
    covey_server *server = e->server;
    struct cv_membership_config config;
    cv_cluster_config_of(&config, e->config);
    config.seeds = e->seeds;
    config.seed_count = e->seed_count;
    e->error = COVEY_ERR_STATE;
    if (!server->is_started)
        return;
    e->error = COVEY_ERR_EXISTS;
    if (cluster_of(server) != NULL)
        return;
    e->error = advertised_address(server, &config.address);
    if (e->error == 0)
        e->error = deny_known(e->cluster);
    if (e->error == 0)
        e->error = cv_node_enable_cluster(cv_cluster_host(server)->node, &config,
                                          cv_loop_now(cv_cluster_host(server)->loop));
    if (e->error != 0)
        return;
    atomic_store(&server->cluster, e->cluster);
    cv_cluster_publish_now(e->cluster);
}

int covey_server_enable_cluster(covey_server *server, const struct covey_cluster_config *callers,
                                const char *const *seeds, size_t seed_count)
{
    struct covey_cluster_config config;
    struct enabling enabling = {
        .server = server, .config = &config, .seeds = seeds, .seed_count = seed_count};
    int error = cv_cluster_config_take(&config, callers);
    if (error == 0)
        error = cluster_new(server, &enabling.cluster);
    if (error != 0)
        return error;
    if (config.node_id != NULL && !cv_node_id_equal(config.node_id, &enabling.cluster->self))
        enabling.error = COVEY_ERR_WRONG_IDENTITY;
    else
        error = cv_loop_call(cv_cluster_host(server)->loop, enable_on_loop, &enabling);
    error = error != 0 ? error : enabling.error;
    if (error != 0)
        cv_cluster_free(enabling.cluster);
    return error;
}

covey_cluster *covey_server_cluster(covey_server *server)
{
    return cluster_of(server);
}

struct forgetting {
    covey_server *server;
    covey_cluster *cluster;
};

/* From here on no handler finds the cluster. */
static void forget_on_loop(void *user)
{
    struct forgetting *f = user;
    cv_cluster_give_up_questions(f->server);
    cv_node_disable_cluster(cv_cluster_host(f->server)->node);
    cv_host_turn(cv_cluster_host(f->server));
    f->cluster = atomic_exchange(&f->server->cluster, NULL);
}

int covey_server_disable_cluster(covey_server *server)
{
    covey_cluster *cluster = cluster_of(server);
    if (cluster == NULL)
        return COVEY_ERR_STATE;
    if (cv_cluster_is_check(cluster))
        return COVEY_ERR_WRONG_THREAD;
    int error = covey_cluster_leave(cluster);
    if (error != 0)
        return error;
    cv_cluster_stop_checks(cluster);
    cv_cluster_wait_checks(cluster);
    struct forgetting f = {.server = server};
    error = cv_loop_call(cv_cluster_host(server)->loop, forget_on_loop, &f);
    /* One that has found it may still run on another loop. */
    for (unsigned i = 1; i < server->loop_count; i++)
        cv_loop_settle(server->loops[i].host.loop);
    /* And what it posted comes before this. */
    cv_loop_settle(cv_cluster_host(server)->loop);
    cv_cluster_free(f.cluster);
    return error;
}

/* ---- waiting ---- */

static int join_result(const covey_cluster *cluster)
{
    switch (cluster->state) {
    case CV_MEMBERSHIP_JOINED:
        return 0;
    case CV_MEMBERSHIP_JOIN_FAILED:
        return cluster->error;
    case CV_MEMBERSHIP_JOINING:
        return COVEY_ERR_TIMEOUT;
    default:
        return COVEY_ERR_CLOSED;
    }
}

int covey_cluster_wait_joined(covey_cluster *cluster, covey_time timeout)
{
    if (timeout > 0 && cv_runtime_is_loop_thread(cluster->runtime))
        return COVEY_ERR_WRONG_THREAD;
    covey_time deadline = cv_deadline_after(timeout);
    bool in_time = timeout > 0;
    pthread_mutex_lock(&cluster->lock);
    while (in_time && cluster->state == CV_MEMBERSHIP_JOINING)
        in_time = cv_condition_wait(&cluster->changed, &cluster->lock, deadline);
    int result = join_result(cluster);
    pthread_mutex_unlock(&cluster->lock);
    return result;
}

int covey_cluster_events(covey_cluster *cluster, covey_event_receiver **out)
{
    return cv_event_hub_subscribe(cluster->events, out);
}

int covey_server_cluster_events(covey_server *server, covey_event_receiver **out)
{
    covey_cluster *cluster = cluster_of(server);
    return cluster == NULL ? COVEY_ERR_STATE : covey_cluster_events(cluster, out);
}
