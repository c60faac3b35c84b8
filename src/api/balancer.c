#include "api/balancer.h"

#include "api/cluster.h"
#include "base/siphash.h"
#include "io/entropy.h"

#define NODES_MAX 131072

static const struct covey_balancer_config defaults = {
    .size = sizeof(struct covey_balancer_config),
    .policy = COVEY_BALANCE_ROUND_ROBIN,
    .nodes_max = 1024,
};

void covey_balancer_config_init_sized(struct covey_balancer_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- following the cluster, on the loop of membership ---- */

static const struct covey_node *next_selected(void *user)
{
    return cv_selection_next(user);
}

static const struct covey_node *nobody(void *user)
{
    (void)user;
    return NULL;
}

static void show(struct cv_follower *follower, const struct cv_snapshot *snapshot)
{
    covey_balancer *b =
        (covey_balancer *)(void *)((unsigned char *)follower - offsetof(covey_balancer, follower));
    struct cv_selection selection;
    size_t left_out = 0;
    if (snapshot == NULL) {
        (void)cv_balancer_table_show(&b->table, nobody, NULL);
    } else {
        cv_selection_begin(&selection, b->selector, follower->denied, snapshot);
        left_out = cv_balancer_table_show(&b->table, next_selected, &selection);
    }
    atomic_store_explicit(&b->left_out, left_out, memory_order_relaxed);
    cv_count_up(&b->updates);
}

static struct cv_snapshot *take(void *user)
{
    return cv_cluster_snapshot(user);
}

/* ---- life ---- */

static void free_balancer(covey_balancer *b)
{
    covey_runtime *runtime = b->runtime;
    cv_balancer_table_fini(&b->table);
    cv_release(&runtime->alloc, b->selector);
    cv_release(&runtime->alloc, b);
}

static int fill(covey_balancer *b, covey_cluster *cluster,
                const struct covey_balancer_config *config)
{
    const covey_node_id self = covey_cluster_self(cluster);
    uint64_t seed;
    int error = cv_selector_new(&b->runtime->alloc, &config->selector, &self, &b->selector);
    if (error != 0)
        return error;
    cv_entropy(NULL, &seed, sizeof seed);
    error = cv_balancer_table_init(&b->table, &b->runtime->alloc, config->nodes_max,
                                   config->policy == COVEY_BALANCE_LEAST_CALLS, seed);
    if (error != 0)
        return error;
    b->policy = config->policy;
    b->hub = cluster->balancers;
    b->follower = (struct cv_follower){.kind = CV_FOLLOWER_BALANCER, .show = show};
    return cv_balancer_hub_join(b->hub, &b->follower, take, cluster);
}

int covey_balancer_new(covey_cluster *cluster, const struct covey_balancer_config *callers,
                       covey_balancer **out)
{
    struct covey_balancer_config config = defaults;
    int error = callers == NULL ? 0 : cv_config_take(&config, sizeof config, callers);
    if (error != 0)
        return error;
    if (cluster == NULL || out == NULL || config.policy > COVEY_BALANCE_TWO_CHOICES ||
        config.nodes_max == 0 || config.nodes_max > NODES_MAX)
        return COVEY_ERR_INVALID_ARGUMENT;
    covey_balancer *b = cv_allocate_zeroed(&cluster->runtime->alloc, 1, sizeof *b);
    if (b == NULL)
        return COVEY_ERR_NO_MEMORY;
    b->runtime = cluster->runtime;
    b->table.alloc = &b->runtime->alloc;
    atomic_init(&b->references, 1);
    error = fill(b, cluster, &config);
    if (error != 0) {
        free_balancer(b);
        return error;
    }
    cv_runtime_retain(b->runtime);
    *out = b;
    return 0;
}

void cv_balancer_retain(covey_balancer *b)
{
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
}

void cv_balancer_release(covey_balancer *b)
{
    covey_runtime *runtime = b->runtime;
    if (atomic_fetch_sub(&b->references, 1) > 1)
        return;
    free_balancer(b);
    cv_runtime_release(runtime);
}

void covey_balancer_free(covey_balancer *b)
{
    if (b == NULL)
        return;
    cv_balancer_hub_leave(b->hub, &b->follower);
    cv_balancer_release(b);
}

/* ---- picks, any thread ---- */

static int told(covey_balancer *b, int error)
{
    if (error != 0)
        atomic_fetch_add_explicit(&b->in_vain, 1, memory_order_relaxed);
    return error;
}

int covey_balancer_pick(covey_balancer *b, const covey_node_id *avoid, struct covey_pick *pick)
{
    return told(b, cv_balancer_table_pick(&b->table, b->policy, avoid, pick));
}

int covey_balancer_pick_for(covey_balancer *b, const void *key, size_t size,
                            const covey_node_id *avoid, struct covey_pick *pick)
{
    /* No secret: every process must come to the same member. */
    static const uint64_t secret[2] = {UINT64_C(0x636f76657962616c), UINT64_C(0x616e636572000001)};
    if (key == NULL && size > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    const uint64_t hash = cv_siphash(secret, cv_slice_of(key, size));
    return told(b, cv_balancer_table_pick_for(&b->table, hash, avoid, pick));
}

void covey_balancer_done(covey_balancer *b, const struct covey_pick *pick)
{
    cv_balancer_table_done(&b->table, pick->handle);
}

size_t covey_balancer_count(const covey_balancer *b)
{
    return cv_balancer_table_count(&b->table);
}

void covey_balancer_stats(const covey_balancer *b, struct covey_balancer_stats *stats)
{
    const struct covey_balancer_stats now = {
        .size = sizeof now,
        .nodes = cv_balancer_table_count(&b->table),
        .nodes_left_out = cv_count_read(&b->left_out),
        .picks_open = cv_balancer_table_open(&b->table),
        .picks_in_vain = atomic_load_explicit(&b->in_vain, memory_order_relaxed),
        .updates = cv_count_read(&b->updates),
    };
    cv_config_give(stats, stats->size, &now, sizeof now);
}
