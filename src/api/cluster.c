#include "api/cluster.h"

#include "io/clock.h"
#include "io/entropy.h"

static const struct covey_cluster_config defaults = {
    .size = sizeof(struct covey_cluster_config),
    .profile = COVEY_PROFILE_LAN,
    .join_attempts = 10,
};

void covey_cluster_config_init_sized(struct covey_cluster_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

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
    if (cluster != NULL)
        cv_event_hub_publish(cluster->events, event);
    else
        cv_cluster_node_release(event->node);
}

static void publish(covey_server *server)
{
    covey_cluster *cluster = cluster_of(server);
    const struct cv_membership *m = cv_node_membership(cv_cluster_host(server)->node);
    if (cluster == NULL || m == NULL)
        return;
    /* without memory readers keep what they have until there is some */
    if (cv_view_publish(&cluster->view, &cluster->runtime->alloc, cv_membership_registry(m)) != 0)
        cv_node_publish_again(cv_cluster_host(server)->node);
}

void cv_cluster_on_state(void *user, enum cv_membership_state state, int error)
{
    covey_server *server = server_of(user);
    covey_cluster *cluster = cluster_of(server);
    if (cluster == NULL)
        return;
    if (state == CV_MEMBERSHIP_LEFT) {
        publish(server);
        cv_node_disable_cluster(cv_cluster_host(server)->node);
        cv_event_hub_close(cluster->events);
    }
    pthread_mutex_lock(&cluster->lock);
    cluster->state = state;
    cluster->error = error;
    pthread_cond_broadcast(&cluster->changed);
    pthread_mutex_unlock(&cluster->lock);
}

void cv_cluster_on_changed(void *user)
{
    publish(server_of(user));
}

void cv_cluster_goodbye(covey_server *server)
{
    cv_node_command(cv_cluster_host(server)->node, CV_COMMAND_LEAVE, NULL, NULL,
                    cv_loop_now(cv_cluster_host(server)->loop), cv_clock_wall_ms());
    cv_host_turn(cv_cluster_host(server));
}

/* ---- life ---- */

void cv_cluster_free(covey_cluster *cluster)
{
    if (cluster == NULL)
        return;
    cv_event_hub_close(cluster->events);
    cv_event_hub_release(cluster->events);
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
    int error = cv_event_hub_new(server->runtime, &cluster->events);
    if (error != 0)
        goto no_events;
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

static void take_gossip(struct cv_gossip_config *gossip, const struct covey_gossip_config *callers)
{
    if (callers->protocol_period != 0)
        gossip->protocol_period = callers->protocol_period;
    if (callers->ack_timeout != 0)
        gossip->ack_timeout = callers->ack_timeout;
    if (callers->indirect_timeout != 0)
        gossip->indirect_timeout = callers->indirect_timeout;
    if (callers->gossip_interval != 0)
        gossip->gossip_interval = callers->gossip_interval;
}

static enum cv_profile profile_of(enum covey_profile profile)
{
    switch (profile) {
    case COVEY_PROFILE_LOCAL:
        return CV_PROFILE_LOCAL;
    case COVEY_PROFILE_WAN:
        return CV_PROFILE_WAN;
    default:
        return CV_PROFILE_LAN;
    }
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
    cv_membership_config_init(&config, profile_of(e->config->profile));
    take_gossip(&config.gossip, &e->config->gossip);
    config.tags = e->config->tags;
    config.tag_count = e->config->tag_count;
    config.seeds = e->seeds;
    config.seed_count = e->seed_count;
    config.join.attempts_max = e->config->join_attempts;
    config.wall_ms = cv_clock_wall_ms();
    cv_entropy(NULL, &config.seed, sizeof config.seed);
    cv_entropy(NULL, config.hash_secret, sizeof config.hash_secret);
    e->error = COVEY_ERR_STATE;
    if (!server->is_started)
        return;
    e->error = COVEY_ERR_EXISTS;
    if (cluster_of(server) != NULL)
        return;
    e->error = advertised_address(server, &config.address);
    if (e->error == 0)
        e->error = cv_node_enable_cluster(cv_cluster_host(server)->node, &config,
                                          cv_loop_now(cv_cluster_host(server)->loop));
    if (e->error != 0)
        return;
    atomic_store(&server->cluster, e->cluster);
    publish(server);
}

int covey_server_enable_cluster(covey_server *server, const struct covey_cluster_config *callers,
                                const char *const *seeds, size_t seed_count)
{
    struct covey_cluster_config config = defaults;
    struct enabling enabling = {
        .server = server, .config = &config, .seeds = seeds, .seed_count = seed_count};
    int error = cv_config_take(&config, sizeof config, callers);
    if (error == 0)
        error = cluster_new(server, &enabling.cluster);
    if (error != 0)
        return error;
    if (config.node_id != NULL &&
        covey_node_id_compare(config.node_id, &enabling.cluster->self) != 0)
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
    int error = covey_cluster_leave(cluster);
    if (error != 0)
        return error;
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

/* ---- commands ---- */

struct commanding {
    covey_cluster *cluster;
    enum cv_command_type type;
    const char *key;
    const char *value;
    int error;
};

static void command_on_loop(void *user)
{
    struct commanding *c = user;
    covey_cluster *cluster = c->cluster;
    c->error =
        cv_node_command(cv_cluster_host(cluster->server)->node, c->type, c->key, c->value,
                        cv_loop_now(cv_cluster_host(cluster->server)->loop), cv_clock_wall_ms());
    if (c->error != 0)
        return;
    publish(cluster->server); /* what the caller changed he sees when this returns */
    if (c->type != CV_COMMAND_JOIN)
        return;
    /* Who waits now waits for the outcome of this attempt. */
    pthread_mutex_lock(&cluster->lock);
    cluster->state = CV_MEMBERSHIP_JOINING;
    pthread_mutex_unlock(&cluster->lock);
}

static int command(covey_cluster *cluster, enum cv_command_type type, const char *key,
                   const char *value)
{
    struct commanding c = {.cluster = cluster, .type = type, .key = key, .value = value};
    int error = cv_loop_call(cv_cluster_host(cluster->server)->loop, command_on_loop, &c);
    return error != 0 ? error : c.error;
}

int covey_cluster_update_tag(covey_cluster *cluster, const char *key, const char *value)
{
    if (key == NULL || value == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return command(cluster, CV_COMMAND_TAG_SET, key, value);
}

int covey_cluster_remove_tag(covey_cluster *cluster, const char *key)
{
    if (key == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return command(cluster, CV_COMMAND_TAG_REMOVE, key, NULL);
}

int covey_server_update_tag(covey_server *server, const char *key, const char *value)
{
    covey_cluster *cluster = cluster_of(server);
    return cluster == NULL ? COVEY_ERR_STATE : covey_cluster_update_tag(cluster, key, value);
}

int covey_cluster_rejoin(covey_cluster *cluster)
{
    return command(cluster, CV_COMMAND_JOIN, NULL, NULL);
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
    if (cv_runtime_is_loop_thread(cluster->runtime))
        return COVEY_ERR_WRONG_THREAD;
    covey_time deadline = cv_deadline_after(timeout);
    bool in_time = true;
    pthread_mutex_lock(&cluster->lock);
    while (in_time && cluster->state == CV_MEMBERSHIP_JOINING)
        in_time = cv_condition_wait(&cluster->changed, &cluster->lock, deadline);
    int result = join_result(cluster);
    pthread_mutex_unlock(&cluster->lock);
    return result;
}

int covey_cluster_leave(covey_cluster *cluster)
{
    if (cv_runtime_is_loop_thread(cluster->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error = command(cluster, CV_COMMAND_LEAVE, NULL, NULL);
    if (error != 0 && error != COVEY_ERR_STATE) /* on its way or gone already: wait for the end */
        return error;
    pthread_mutex_lock(&cluster->lock);
    while (cluster->state != CV_MEMBERSHIP_LEFT)
        cv_condition_wait(&cluster->changed, &cluster->lock, COVEY_NEVER);
    pthread_mutex_unlock(&cluster->lock);
    return 0;
}

static void run_leave(struct cv_mail *mail, bool cancelled)
{
    covey_cluster *cluster =
        (covey_cluster *)(void *)((unsigned char *)mail - offsetof(covey_cluster, leave_mail));
    struct commanding c = {.cluster = cluster, .type = CV_COMMAND_LEAVE};
    if (!cancelled)
        command_on_loop(&c);
}

void covey_cluster_leave_async(covey_cluster *cluster)
{
    struct commanding c = {.cluster = cluster, .type = CV_COMMAND_LEAVE};
    if (cv_loop_in_turn(cv_cluster_host(cluster->server)->loop)) {
        command_on_loop(&c);
        return;
    }
    if (atomic_exchange(&cluster->leave_posted, true))
        return;
    cluster->leave_mail = (struct cv_mail){.run = run_leave};
    cv_loop_post_sure(cv_cluster_host(cluster->server)->loop, &cluster->leave_mail);
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
