#include "cluster/membership_internal.h"

#include "base/utf8.h"
#include "cluster/tags.h"

#include <assert.h>
#include <covey/error.h>

static bool is_gossip_valid(const struct cv_gossip_config *c)
{
    return c->protocol_period > 0 && c->ack_timeout > 0 && c->indirect_timeout > 0 &&
           c->gossip_interval > 0 && c->suspicion_min > 0 && c->suspicion_max_factor >= 1 &&
           c->indirect_ping_count <= CV_RELAYS_MAX && c->gossip_fanout >= 1 &&
           c->gossip_fanout <= CV_RELAYS_MAX && c->retransmit_factor >= 1 &&
           c->local_health_max <= CV_LOCAL_HEALTH_MAX && c->watch_count <= CV_RINGS_MAX &&
           c->heartbeat_interval > 0 && c->phi.sigma_min > 0 &&
           c->phi.sigma_min <= CV_PHI_TIME_MAX && c->phi.acceptable_pause <= CV_PHI_TIME_MAX &&
           c->phi_threshold > 0 && c->phi_threshold <= CV_PHI_MAX;
}

static bool is_partition_valid(const struct cv_partition_config *c)
{
    return c->quorum_percent >= 1 && c->quorum_percent <= 99 && c->grace > 0;
}

static bool is_name_valid(const char *name)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= COVEY_NODE_NAME_MAX &&
           cv_utf8_is_valid(cv_slice_text(name));
}

static bool is_roster_valid(const struct cv_membership_config *c)
{
    return c->roster == NULL ||
           (memcmp(c->roster->table.secret, c->hash_secret, sizeof(c->hash_secret)) == 0 &&
            cv_roster_find(c->roster, &c->id) != CV_MEMBER_TABLE_NONE);
}

static int check_config(const struct cv_membership_config *config)
{
    const struct cv_join_config *join = &config->join;
    if (!is_name_valid(config->name) || !cv_address_is_usable(&config->address) ||
        !is_gossip_valid(&config->gossip) || !is_partition_valid(&config->partition) ||
        config->members_max == 0 || config->members_max > CV_MEMBERS_MAX ||
        config->seed_count > CV_SEEDS_MAX || config->reconnect_interval == 0 ||
        !is_roster_valid(config) || join->backoff_min == 0 ||
        join->backoff_max < join->backoff_min || join->timeout == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    for (size_t i = 0; i < config->seed_count; i++) {
        char host[256];
        uint16_t port;
        if (cv_address_split(config->seeds[i], host, sizeof(host), &port) != COVEY_OK)
            return COVEY_ERR_ADDRESS;
    }
    return COVEY_OK;
}

static int new_self(const struct cv_membership_config *config, struct cv_cluster_node **out)
{
    struct cv_tags tags;
    int error = cv_tags_collect(config->tags, config->tag_count, &tags);
    if (error != COVEY_OK)
        return error;
    return cv_cluster_node_new(config->alloc,
                               &(struct cv_cluster_node_config){
                                   .id = config->id,
                                   .incarnation = config->wall_ms,
                                   .address = config->address,
                                   .name = cv_slice_text(config->name),
                                   .tags = tags.items,
                                   .tag_count = tags.count,
                               },
                               out);
}

static int init_gossip(struct cv_membership *m, const struct cv_membership_config *config,
                       covey_time now)
{
    struct cv_gossip_protocol_config gossip = {
        .alloc = config->alloc,
        .log = config->log,
        .gossip = config->gossip,
        .members_max = config->members_max,
        .tombstone_ttl = config->tombstone_ttl,
        .seed = config->seed,
        .hash_secret = {config->hash_secret[0], config->hash_secret[1]},
        .now = now,
        .wall_ms = config->wall_ms,
        .bodies = config->bodies,
        .watcher = config->watcher,
    };
    int error = new_self(config, &gossip.self);
    if (error != COVEY_OK)
        return error;
    error = cv_gossip_protocol_init(&m->gossip, &gossip);
    cv_cluster_node_release(gossip.self);
    if (error != COVEY_OK)
        cv_gossip_protocol_fini(&m->gossip);
    return error;
}

int cv_membership_new(const struct cv_membership_config *config, covey_time now,
                      struct cv_membership **out)
{
    int error = check_config(config);
    if (error != COVEY_OK)
        return error;
    struct cv_membership *m = cv_allocate_zeroed(config->alloc, 1, sizeof(*m));
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    m->alloc = config->alloc;
    m->log = config->log;
    m->reconnect_interval = config->reconnect_interval;
    m->reconnect.kind = CV_ALARM_RECONNECT;
    m->leave.timeout = config->leave_timeout;
    m->leave.alarm.kind = CV_ALARM_LEAVE;
    cv_sync_init(m, config->sync_interval);
    cv_transfers_init(m);
    cv_checks_init(m);
    error = init_gossip(m, config, now);
    if (error != COVEY_OK)
        goto fail_gossip;
    cv_partition_init(m, config);
    error = cv_seeds_init(m, config->seeds, config->seed_count);
    if (error != COVEY_OK)
        goto fail_seeds;
    cv_join_init(m, &config->join);
    if (config->roster != NULL)
        error = cv_gossip_protocol_adopt(&m->gossip, config->roster);
    else
        error = cv_gossip_protocol_recall(&m->gossip, config->known, config->known_count);
    if (error != COVEY_OK)
        goto fail_known;
    if (cv_node_registry_live_count(&m->gossip.registry) > 1)
        cv_join_skip(m);
    else
        cv_join_start(m);
    cv_partition_update(m);
    *out = m;
    return COVEY_OK;

fail_known:
    cv_seeds_fini(m);
fail_seeds:
    cv_gossip_protocol_fini(&m->gossip);
fail_gossip:
    cv_release(config->alloc, m);
    return error;
}

void cv_membership_free(struct cv_membership *m)
{
    cv_checks_fini(m);
    cv_transfers_fini(m);
    cv_join_fini(m);
    cv_seeds_fini(m);
    cv_gossip_protocol_fini(&m->gossip);
    cv_release(m->alloc, m);
}

covey_time cv_membership_jitter(struct cv_membership *m, covey_time time)
{
    return time - time / 4 + cv_rand_below(&m->gossip.rand, time / 2 + 1);
}

void cv_membership_enter(struct cv_membership *m, enum cv_membership_state state, int error)
{
    struct cv_output output = {.type = CV_OUTPUT_STATE};
    output.state.state = state;
    output.state.error = error;
    m->state = state;
    cv_outbox_put(&m->gossip.outbox, &output);
}

static void ring(struct cv_membership *m, struct cv_alarm *alarm)
{
    if (cv_gossip_protocol_alarm(&m->gossip, alarm))
        return;
    switch (alarm->kind) {
    case CV_ALARM_RECONNECT:
        cv_membership_reconnect(m);
        break;
    case CV_ALARM_JOIN:
        cv_join_alarm(m);
        break;
    case CV_ALARM_JOIN_END:
        cv_join_end(m);
        break;
    case CV_ALARM_LEAVE:
        cv_leave_finish(m);
        break;
    case CV_ALARM_SYNC:
        cv_sync_alarm(m);
        break;
    case CV_ALARM_CHECK:
        cv_checks_alarm(m);
        break;
    case CV_ALARM_PARTITION:
        cv_partition_alarm(m);
        break;
    case CV_ALARM_PROBE_TICK:
    case CV_ALARM_PROBE:
    case CV_ALARM_RELAY:
    case CV_ALARM_GOSSIP:
    case CV_ALARM_HEARTBEAT:
    case CV_ALARM_WATCH:
    case CV_ALARM_SETTLE:
    case CV_ALARM_MESH:
    case CV_ALARM_MEMBER:
        break;
    }
}

static int ring_alarms(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    while (cv_heap_deadline(&g->heap) <= g->now) {
        int error = cv_gossip_protocol_reserve(g);
        if (error != COVEY_OK)
            return error;
        ring(m, (struct cv_alarm *)cv_heap_expire(&g->heap, g->now));
    }
    return COVEY_OK;
}

static int take(struct cv_membership *m, const struct cv_input *input)
{
    switch (input->type) {
    case CV_INPUT_TIME:
        return ring_alarms(m);
    case CV_INPUT_MESSAGE:
        return cv_membership_message(m, &input->message.from, input->message.bytes);
    case CV_INPUT_COMMAND:
        return cv_membership_command(m, input);
    case CV_INPUT_CONNECTED:
        return cv_membership_connected(m, input);
    case CV_INPUT_DISCONNECTED:
        cv_membership_disconnected(m, &input->disconnected.peer);
        break;
    case CV_INPUT_DIAL_FAILED:
        cv_membership_dial_failed(m, input->dial_failed.dial, input->dial_failed.error);
        break;
    case CV_INPUT_RESOLVED:
        cv_seeds_resolved(m, input);
        break;
    case CV_INPUT_CHECK_RESULT:
        cv_checks_result(m, input);
        break;
    }
    return COVEY_OK;
}

int cv_membership_step(struct cv_membership *m, const struct cv_input *input)
{
    struct cv_gossip_protocol *g = &m->gossip;
    if (m->state == CV_MEMBERSHIP_LEFT)
        return input->type == CV_INPUT_COMMAND ? COVEY_ERR_STATE : COVEY_OK;
    int error = cv_gossip_protocol_begin(g, input->now, input->wall_ms);
    if (error == COVEY_OK)
        error = cv_gossip_protocol_reserve(g);
    const bool is_command = error == COVEY_OK && input->type == CV_INPUT_COMMAND;
    if (error == COVEY_OK)
        error = take(m, input);
    /* One that began alone may be met by those who knew it in its last life. */
    if (m->state == CV_MEMBERSHIP_JOINED && cv_node_registry_live_count(&g->registry) > 1)
        g->is_learning = false;
    cv_partition_update(m);
    cv_gossip_protocol_finish(g);
    /* Too much waits to be polled: as good as no memory. Not so the limit that a command met. */
    return error == COVEY_ERR_LIMIT && !is_command ? COVEY_ERR_NO_MEMORY : error;
}

bool cv_membership_poll(struct cv_membership *m, struct cv_output *output)
{
    return cv_outbox_poll(&m->gossip.outbox, output) || cv_transfers_poll(m, output);
}

covey_time cv_membership_deadline(const struct cv_membership *m)
{
    return cv_heap_deadline(&m->gossip.heap);
}

enum cv_membership_state cv_membership_state(const struct cv_membership *m)
{
    return m->state;
}

bool cv_membership_keeps(struct cv_membership *m, const covey_node_id *id)
{
    return cv_node_registry_get(&m->gossip.registry, id) != NULL &&
           cv_gossip_protocol_is_warm(&m->gossip, id);
}

bool cv_membership_wants(struct cv_membership *m, const covey_node_id *id)
{
    return cv_gossip_protocol_is_warm(&m->gossip, id) ||
           cv_gossip_protocol_waits_for(&m->gossip, id);
}

const struct cv_node_registry *cv_membership_registry(const struct cv_membership *m)
{
    return &m->gossip.registry;
}

void cv_membership_digest(const struct cv_membership *m, uint8_t root[CV_DIGEST_ROOT_SIZE])
{
    cv_digest_root(&m->gossip.registry.digest, root);
}

void cv_membership_stats(const struct cv_membership *m, struct cv_membership_stats *out)
{
    const struct cv_gossip_counters *c = &m->gossip.counters;
    *out = (struct cv_membership_stats){
        .messages_received = c->messages_received,
        .messages_sent = m->gossip.outbox.sent + m->chunks_sent,
        .messages_malformed = c->messages_malformed,
        .messages_shed = c->messages_shed,
        .updates_applied = c->updates_applied,
        .updates_refused = c->updates_refused,
        .probes_sent = c->probes_sent,
        .probes_failed = c->probes_failed,
        .indirect_pings_sent = c->indirect_pings_sent,
        .nacks_received = c->nacks_received,
        .heartbeats_sent = c->heartbeats_sent,
        .heartbeats_received = c->heartbeats_received,
        .watchers_refused = c->watchers_refused,
        .silences = c->silences,
        .syncs_sent = m->sync.sent,
        .syncs_differing = m->sync.differing,
        .answers_shed = m->answers_shed,
        .lists_shed = m->lists_shed,
        .suspicions = c->suspicions,
        .refutations = c->refutations,
        .pushes_delayed = c->pushes_delayed,
        .relays_shed = c->relays_shed,
        .outputs_shed = m->gossip.outbox.shed,
        .members_refused = m->gossip.registry.refused,
        .gossip_shed = m->gossip.queue.shed,
        .local_health = m->gossip.health.score,
    };
}
