#include "api/cluster_client.h"

#include "api/cluster.h"
#include "io/clock.h"
#include "io/entropy.h"

#define CONNECTIONS_MAX 4096
#define CALLS_MAX       (1u << 20)
#define TRIES_MAX       1000

static const struct covey_cluster_client_config defaults = {
    .size = sizeof(struct covey_cluster_client_config),
    .connections_max = 64,
    .idle_max = 60 * COVEY_SECOND,
    .calls_max = 65536,
    .message_send_max = (size_t)4 << 20,
    .message_receive_max = (size_t)4 << 20,
    .retry = {.attempts = 3,
              .backoff_first = 50 * COVEY_MILLISECOND,
              .backoff_max = COVEY_SECOND,
              .budget = 10},
};

void covey_cluster_client_config_init_sized(struct covey_cluster_client_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- whom to call ---- */

static const struct covey_target target_defaults = {
    .size = sizeof(struct covey_target), .tries = 1, .interval = 500 * COVEY_MILLISECOND};

void covey_target_init_sized(struct covey_target *target, size_t size)
{
    cv_config_give(target, size, &target_defaults, sizeof target_defaults);
}

int cv_target_take(struct covey_target *own, const struct covey_target *callers)
{
    *own = target_defaults;
    const int error =
        callers == NULL ? COVEY_ERR_INVALID_ARGUMENT : cv_config_take(own, sizeof *own, callers);
    if (error != 0)
        return error;
    const bool is_right = own->balancer != NULL && own->key_size <= COVEY_TARGET_KEY_MAX &&
                          (own->key != NULL || own->key_size == 0) && own->tries > 0 &&
                          own->tries <= TRIES_MAX && own->interval > 0;
    return is_right ? 0 : COVEY_ERR_INVALID_ARGUMENT;
}

int cv_target_pick(const struct covey_target *target, const covey_node_id *avoid,
                   struct covey_pick *pick)
{
    return target->key == NULL ? covey_balancer_pick(target->balancer, avoid, pick)
                               : covey_balancer_pick_for(target->balancer, target->key,
                                                         target->key_size, avoid, pick);
}

/* ---- making one ---- */

int cv_cluster_client_post(covey_cluster_client *client, struct cv_mail *mail)
{
    pthread_mutex_lock(&client->lock);
    const int error =
        client->is_closing ? COVEY_ERR_CLOSED : cv_loop_post(client->shared->loop, mail);
    pthread_mutex_unlock(&client->lock);
    return error;
}

static void follow(struct cv_follower *follower, const struct cv_snapshot *snapshot)
{
    const covey_cluster_client *client =
        (covey_cluster_client *)(void *)((unsigned char *)follower -
                                         offsetof(covey_cluster_client, follower));
    cv_callee_pool_follow(client->pool, snapshot, follower->denied);
}

static struct cv_snapshot *take(void *user)
{
    return cv_cluster_snapshot(user);
}

struct opening {
    covey_cluster_client *client;
    int error;
};

/* The timers of all its clients to come, so that making one needs nothing of the loop. */
static void open_on_loop(void *user)
{
    struct opening *o = user;
    struct cv_client_loop *shared = o->client->shared;
    o->error =
        cv_client_loop_want_timers(shared, cv_callee_pool_timers(o->client->pool->peers_max));
    if (o->error == 0)
        cv_client_loop_join(shared);
}

static void close_on_loop(void *user)
{
    covey_cluster_client *client = user;
    cv_routed_end_paused(client);
    cv_callee_pool_close(client->pool);
    cv_client_free_pooled(client->draft);
    cv_client_loop_forget_timers(client->shared, cv_callee_pool_timers(client->pool->peers_max));
    cv_client_loop_leave(client->shared);
}

static int open(covey_cluster_client *client, covey_cluster *cluster)
{
    struct opening o = {.client = client};
    int error = cv_loop_call(client->shared->loop, open_on_loop, &o);
    error = error != 0 ? error : o.error;
    if (error != 0)
        return error;
    error = cv_balancer_hub_join(client->hub, &client->follower, take, cluster);
    if (error == 0)
        return 0;
    while (cv_loop_call(client->shared->loop, close_on_loop, client) == COVEY_ERR_BUSY)
        ;
    client->draft = NULL;
    return error;
}

static void free_draft_on_loop(void *user)
{
    cv_client_free_pooled(((covey_cluster_client *)user)->draft);
}

/* With a draft when it could not be opened. */
static void client_release(covey_cluster_client *client)
{
    covey_runtime *runtime = client->runtime;
    if (client->draft != NULL) {
        while (cv_loop_call(client->shared->loop, free_draft_on_loop, client) == COVEY_ERR_BUSY)
            ;
    }
    if (client->pool != NULL)
        cv_callee_pool_release(client->pool);
    pthread_mutex_destroy(&client->lock);
    cv_release(&runtime->alloc, client);
    cv_runtime_release(runtime);
}

/* One that never connects: what it refuses the others would. */
static int make_draft(covey_cluster_client *client)
{
    struct covey_client_config config = client->pool->config;
    config.address = "127.0.0.1:1";
    config.retry = client->retry;
    return cv_client_new_pooled(&config, client->shared, &client->draft);
}

static int fill(covey_cluster_client *client, covey_cluster *cluster,
                const struct covey_cluster_client_config *config)
{
    uint64_t seed;
    client->shared = cv_runtime_next_loop(client->runtime);
    client->hub = cluster->balancers;
    client->follower = (struct cv_follower){.kind = CV_FOLLOWER_CLIENT, .show = follow};
    client->calls_max = config->calls_max;
    client->retry = config->retry;
    client->backoff = (struct cv_backoff){config->retry.backoff_first, config->retry.backoff_max};
    cv_entropy(NULL, &seed, sizeof seed);
    cv_rand_seed(&client->random, seed);
    LIST_INIT(&client->calls);
    int error = cv_callee_pool_new(client->runtime, client->shared, config, &client->pool);
    if (error == 0)
        error = make_draft(client);
    if (error != 0)
        return error;
    cv_retry_budget_init(&client->budget, config->retry.budget);
    return open(client, cluster);
}

int covey_cluster_client_new(covey_cluster *cluster,
                             const struct covey_cluster_client_config *callers,
                             covey_cluster_client **out)
{
    struct covey_cluster_client_config config = defaults;
    int error = cv_config_take(&config, sizeof config, callers);
    if (error != 0)
        return error;
    if (cluster == NULL || out == NULL || config.identity == NULL || config.connections_max == 0 ||
        config.connections_max > CONNECTIONS_MAX || config.calls_max == 0 ||
        config.calls_max > CALLS_MAX || config.idle_max == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (config.identity->who.not_after_ms <= cv_clock_wall_ms())
        return COVEY_ERR_CERTIFICATE_EXPIRED;
    covey_cluster_client *client = cv_allocate_zeroed(&cluster->runtime->alloc, 1, sizeof *client);
    if (client == NULL)
        return COVEY_ERR_NO_MEMORY;
    client->runtime = cluster->runtime;
    pthread_mutex_init(&client->lock, NULL);
    cv_runtime_retain(client->runtime);
    error = fill(client, cluster, &config);
    if (error != 0) {
        client_release(client);
        return error;
    }
    *out = client;
    return 0;
}

/* ---- the end ---- */

int covey_cluster_client_free(covey_cluster_client *client)
{
    if (client == NULL)
        return 0;
    if (cv_runtime_is_in_turn(client->runtime))
        return COVEY_ERR_WRONG_THREAD;
    cv_balancer_hub_leave(client->hub, &client->follower);
    pthread_mutex_lock(&client->lock);
    client->is_closing = true;
    pthread_mutex_unlock(&client->lock);
    while (cv_loop_call(client->shared->loop, close_on_loop, client) == COVEY_ERR_BUSY)
        ;
    client->draft = NULL;
    client_release(client);
    return 0;
}

void covey_cluster_client_stats(const covey_cluster_client *client,
                                struct covey_cluster_client_stats *stats)
{
    struct cv_callee_pool *pool = client->pool;
    struct covey_cluster_client_stats now = {
        .size = sizeof now,
        .calls_open = atomic_load(&client->calls_open),
        .calls_started = cv_count_read(&client->started),
        .calls_moved = cv_count_read(&client->moved),
        .calls_repeated = cv_count_read(&client->repeated),
        .repeats_throttled = cv_count_read(&client->throttled),
        .calls_without_target = cv_count_read(&client->without_target),
    };
    pthread_mutex_lock(&pool->lock);
    now.connections = pool->map.count;
    now.connections_evicted = pool->counters.evicted;
    now.connections_idle = pool->counters.idle;
    now.connections_dropped = pool->counters.dropped;
    now.pool_exhausted = pool->counters.exhausted;
    pthread_mutex_unlock(&pool->lock);
    cv_config_give(stats, stats->size, &now, sizeof now);
}
