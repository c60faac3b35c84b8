/* What membership did and has, for people and for `covey status`. */
#include "api/cluster.h"

struct asking {
    covey_cluster *cluster;
    struct covey_cluster_stats stats;
};

static void take_members(struct covey_cluster_stats *to, const struct cv_node_registry *registry)
{
    to->members_alive = cv_node_registry_count_state(registry, COVEY_NODE_ALIVE);
    to->members_suspect = cv_node_registry_count_state(registry, COVEY_NODE_SUSPECT);
    to->members_failed = cv_node_registry_count_state(registry, COVEY_NODE_FAILED);
    to->members_left = cv_node_registry_count_state(registry, COVEY_NODE_LEFT);
}

void cv_cluster_take_core_stats(struct covey_cluster_stats *to,
                                const struct cv_membership_stats *from)
{
    to->messages_sent = from->messages_sent;
    to->messages_received = from->messages_received;
    to->messages_malformed = from->messages_malformed;
    to->messages_shed = from->messages_shed;
    to->outputs_shed = from->outputs_shed;
    to->gossip_shed = from->gossip_shed;
    to->updates_applied = from->updates_applied;
    to->updates_refused = from->updates_refused;
    to->members_refused = from->members_refused;
    to->probes_sent = from->probes_sent;
    to->probes_failed = from->probes_failed;
    to->indirect_pings_sent = from->indirect_pings_sent;
    to->nacks_received = from->nacks_received;
    to->heartbeats_sent = from->heartbeats_sent;
    to->heartbeats_received = from->heartbeats_received;
    to->watchers_refused = from->watchers_refused;
    to->silences = from->silences;
    to->suspicions = from->suspicions;
    to->refutations = from->refutations;
    to->syncs_sent = from->syncs_sent;
    to->syncs_differing = from->syncs_differing;
    to->answers_shed = from->answers_shed;
    to->pushes_delayed = from->pushes_delayed;
    to->lists_shed = from->lists_shed;
    to->relays_shed = from->relays_shed;
    to->local_health = from->local_health;
}

static void take_core(struct covey_cluster_stats *to, const struct cv_membership *m)
{
    struct cv_membership_stats from;
    cv_membership_stats(m, &from);
    cv_cluster_take_core_stats(to, &from);
}

static void take_node(struct covey_cluster_stats *to, const struct cv_node *node)
{
    struct cv_node_stats from;
    cv_node_stats(node, &from);
    to->connections_refused = from.connections_refused;
    to->messages_oversized = from.gossip_oversized;
    to->sends_shed = from.gossip_shed;
    to->connections_dead = from.connections_dead;
}

static void take_pool(struct covey_cluster_stats *to, const struct cv_node *node)
{
    struct cv_pool_stats from;
    cv_node_pool_stats(node, &from);
    to->connections = from.open;
    to->dials = from.dials;
    to->dials_failed = from.failures;
    to->dials_saved = from.saved;
    to->dials_delayed = from.delayed;
    to->dials_forgone = from.forgone;
    to->pool_hits = from.hits;
    to->pool_misses = from.misses;
    to->pool_idle = from.idle;
    to->pool_evicted = from.evicted;
    to->pool_exhausted = from.exhausted;
}

static void ask_on_loop(void *user)
{
    struct asking *a = user;
    const struct cv_node *node = cv_cluster_host(a->cluster->server)->node;
    const struct cv_membership *m = cv_node_membership(node);
    if (m == NULL)
        return;
    take_members(&a->stats, cv_membership_registry(m));
    take_core(&a->stats, m);
    take_node(&a->stats, node);
    take_pool(&a->stats, node);
    cv_event_hub_count(a->cluster->events, &a->stats.events_emitted, &a->stats.event_receivers);
    pthread_mutex_lock(&a->cluster->lock);
    a->stats.checks_refused = a->cluster->checks.refused;
    pthread_mutex_unlock(&a->cluster->lock);
}

int covey_cluster_stats(covey_cluster *cluster, struct covey_cluster_stats *stats)
{
    struct asking asking = {.cluster = cluster};
    if (stats == NULL || stats->size < sizeof stats->size)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_loop_call(cv_cluster_host(cluster->server)->loop, ask_on_loop, &asking);
    if (error == 0)
        cv_config_give(stats, stats->size, &asking.stats, sizeof asking.stats);
    return error;
}
