#include "cluster/gossip/protocol_internal.h"

#include <assert.h>
#include <covey/error.h>

/* Alarms that can be set at once, besides one for each member in trouble. */
#define ALARMS_MAX (CV_PROBES_MAX + CV_OWED_ACKS_MAX + CV_RINGS_MAX + 16)
/* Outputs that are no messages: of a step without updates (each of 64 seeds may be resolved, and
 * each member of a cluster that has just become small enough dialled), and of one update (events, a
 * dial, a close). */
#define OUTPUTS_OF_STEP   (64 + CV_FULL_MESH_MAX + 32)
#define OUTPUTS_OF_UPDATE 8
/* How many changes of whom to be connected with are followed at once; then it is one in each
 * protocol period. */
#define SETTLES_BURST 4

struct cv_cluster_node *cv_gossip_shared_body(const struct cv_gossip_protocol *p,
                                              struct cv_cluster_node *body)
{
    return p->bodies == NULL ? body : cv_body_table_intern(p->bodies, body);
}

static int reserve(struct cv_gossip_protocol *p, size_t updates)
{
    size_t troubles = p->registry.trouble_count + updates + CV_REGISTRY_CHANGES;
    int error = cv_node_registry_reserve(&p->registry, updates);
    if (error == COVEY_OK)
        error = cv_heap_reserve(&p->heap, ALARMS_MAX + troubles);
    if (error == COVEY_OK)
        error = cv_gossip_queue_reserve(&p->queue, updates + 2);
    if (error == COVEY_OK)
        error = cv_probe_order_reserve(&p->order, CV_FULL_MESH_MAX + CV_WARM_MAX + updates);
    if (error == COVEY_OK)
        error = cv_outbox_reserve(&p->outbox, OUTPUTS_OF_STEP + updates * OUTPUTS_OF_UPDATE);
    return error;
}

int cv_gossip_protocol_reserve(struct cv_gossip_protocol *p)
{
    return reserve(p, 0);
}

static int insert_self(struct cv_gossip_protocol *p, struct cv_cluster_node *body)
{
    int error = cv_node_registry_reserve(&p->registry, 1);
    if (error != COVEY_OK)
        return error;
    p->self = cv_node_registry_insert(
        &p->registry,
        &(struct cv_record){.id = body->id, .status.incarnation = body->incarnation, .body = body},
        p->now);
    assert(p->self != NULL);
    p->self->body_is_direct = true;
    return COVEY_OK;
}

int cv_gossip_protocol_init(struct cv_gossip_protocol *p,
                            const struct cv_gossip_protocol_config *config)
{
    *p = (struct cv_gossip_protocol){
        .alloc = config->alloc,
        .log = config->log,
        .config = config->gossip,
        .tombstone_ttl = config->tombstone_ttl,
        .bodies = config->bodies,
        .now = config->now,
        .wall_ms = config->wall_ms,
        .is_learning = true,
        .tick.kind = CV_ALARM_PROBE_TICK,
        .gossip.kind = CV_ALARM_GOSSIP,
        .heartbeat.kind = CV_ALARM_HEARTBEAT,
        .settle.kind = CV_ALARM_SETTLE,
        .mesh.kind = CV_ALARM_MESH,
        .is_mesh = true,
        .probe_z = cv_phi_accrual_z(config->gossip.phi_threshold / 2),
        .suspect_z = cv_phi_accrual_z(config->gossip.phi_threshold),
    };
    cv_local_health_init(&p->health, config->gossip.local_health_max);
    cv_watch_rings_init(&p->rings, &config->self->id, config->gossip.watch_count);
    cv_watches_init(&p->watches, config->gossip.watch_count);
    cv_rand_seed(&p->rand, config->seed);
    cv_heap_init(&p->heap, config->alloc);
    cv_node_registry_init(&p->registry, config->alloc, config->hash_secret, config->members_max);
    p->registry.watcher = config->watcher;
    cv_gossip_queue_init(&p->queue, config->alloc, config->hash_secret,
                         (size_t)config->members_max * 2);
    cv_links_init(&p->links, config->alloc, config->hash_secret);
    cv_outbox_init(&p->outbox, config->alloc);
    cv_probe_order_init(&p->order, config->alloc);
    cv_owed_acks_init(&p->owed);
    cv_news_init(p);
    cv_bucket_init(&p->settles, SETTLES_BURST, config->gossip.protocol_period, config->now);
    cv_relay_share_init(&p->relays, config->gossip.protocol_period, config->now);
    cv_bucket_init(&p->mesh_dials, CV_MESH_DIALS, config->gossip.protocol_period / CV_MESH_DIALS,
                   config->now);
    p->strangers = p->relays;
    for (size_t i = 0; i < CV_PROBES_MAX; i++)
        p->probes[i].alarm.kind = CV_ALARM_PROBE;
    int error = insert_self(p, config->self);
    return error != COVEY_OK ? error : cv_gossip_protocol_reserve(p);
}

int cv_gossip_protocol_recall(struct cv_gossip_protocol *p, const struct cv_record *known,
                              size_t count)
{
    p->is_mesh = count < CV_FULL_MESH_MAX || p->rings.ring_count == 0;
    int error = cv_node_registry_reserve_alive(&p->registry, count);
    if (error != COVEY_OK)
        return error;
    for (size_t i = 0; i < count; i++) {
        if (known[i].body == NULL || known[i].status.state != COVEY_NODE_ALIVE)
            return COVEY_ERR_INVALID_ARGUMENT;
        if (cv_node_registry_get(&p->registry, &known[i].id) != NULL)
            continue;
        error = p->is_mesh ? reserve(p, 1) : COVEY_OK;
        if (error != COVEY_OK)
            return error;
        struct cv_member *m = cv_node_registry_insert(&p->registry, &known[i], p->now);
        if (m != NULL)
            cv_member_recalled(p, m);
    }
    cv_warm_settle(p);
    return COVEY_OK;
}

/* One by one where there are few, because then each of them is dialled, or when not all have room. */
static bool is_adoptable(const struct cv_gossip_protocol *p, const struct cv_roster *roster)
{
    return roster->count > CV_FULL_MESH_MAX && p->rings.ring_count > 0 && !p->has_no_quorum &&
           roster->count <= p->registry.members_max;
}

int cv_gossip_protocol_adopt(struct cv_gossip_protocol *p, const struct cv_roster *roster)
{
    if (!is_adoptable(p, roster))
        return cv_gossip_protocol_recall(p, roster->records, roster->count);
    int error = cv_node_registry_adopt(&p->registry, roster, &p->self);
    if (error != COVEY_OK)
        return error;
    p->is_mesh = false;
    for (size_t i = 1; i < roster->count; i++)
        cv_member_adopted(p, cv_node_registry_at(&p->registry, i));
    cv_members_adopted(p);
    cv_warm_settle(p);
    return COVEY_OK;
}

void cv_gossip_protocol_fini(struct cv_gossip_protocol *p)
{
    cv_probe_order_fini(&p->order);
    cv_outbox_fini(&p->outbox);
    cv_links_fini(&p->links);
    cv_gossip_queue_fini(&p->queue);
    cv_node_registry_fini(&p->registry);
    cv_heap_fini(&p->heap);
}

void cv_gossip_protocol_stop(struct cv_gossip_protocol *p)
{
    struct cv_heap *heap = &p->heap;
    cv_heap_clear(heap, &p->gossip.timer);
    cv_heap_clear(heap, &p->settle.timer);
    cv_watching_stop(p);
    cv_probing_stop(p);
    for (size_t i = 0; i < CV_OWED_ACKS_MAX; i++)
        cv_heap_clear(heap, &p->owed.acks[i].alarm.timer);
    for (size_t i = 0; i < cv_node_registry_count(&p->registry); i++) {
        struct cv_member_trouble *trouble = cv_node_registry_at(&p->registry, i)->trouble;
        if (trouble != NULL)
            cv_heap_clear(heap, &trouble->alarm.timer);
    }
}

/* A body that tells us something; hearsay never replaces one of the same age. */
static bool is_newer_body(const struct cv_member *m, const struct cv_cluster_node *body,
                          bool is_direct)
{
    int order = cv_body_compare(body, m->body);
    return order > 0 || (order == 0 && is_direct && !m->body_is_direct);
}

/* Finds all of whom the message speaks. */
static void look_up(const struct cv_gossip_protocol *p, const struct cv_message *message,
                    struct cv_update_plan *plan)
{
    const covey_node_id *ids[CV_MAX_UPDATES_PER_MESSAGE];
    uint64_t hashes[CV_MAX_UPDATES_PER_MESSAGE];
    for (size_t i = 0; i < message->update_count; i++) {
        ids[i] = &message->updates[i].id;
        hashes[i] = cv_node_registry_hash(&p->registry, ids[i]);
    }
    /* One secret for both. */
    cv_gossip_queue_prefetch(&p->queue, hashes, message->update_count);
    cv_node_registry_get_all(&p->registry, ids, hashes, message->update_count, plan->members);
}

static int prepare_body(struct cv_gossip_protocol *p, const covey_node_id *from,
                        const struct cv_update *u, const struct cv_member *m,
                        struct cv_cluster_node **out)
{
    if (!u->has_body || m == p->self)
        return COVEY_OK;
    struct cv_cluster_node age = {.incarnation = u->body_incarnation, .version = u->version};
    bool is_direct = cv_node_id_equal(&u->id, from);
    if (m != NULL && !is_newer_body(m, &age, is_direct))
        return COVEY_OK;
    int error = cv_update_body(p->alloc, u, out);
    if (error == COVEY_OK)
        *out = cv_gossip_shared_body(p, *out);
    return error;
}

static int prepare_self(struct cv_gossip_protocol *p, const struct cv_message *message,
                        struct cv_cluster_node **out)
{
    const struct cv_update *told;
    uint64_t incarnation;
    if (!cv_self_told(p, message, &told) ||
        !cv_self_needs_body(p, message->head.type, told, &incarnation))
        return COVEY_OK;
    const struct cv_cluster_node *body = p->self->body;
    return cv_gossip_protocol_new_self(p, incarnation, 0, body->tags, body->tag_count, out);
}

static void release_plan(struct cv_update_plan *plan)
{
    for (size_t i = 0; i < CV_MAX_UPDATES_PER_MESSAGE; i++)
        cv_cluster_node_release(plan->bodies[i]);
    cv_cluster_node_release(plan->self);
    *plan = (struct cv_update_plan){.self = NULL};
}

int cv_gossip_protocol_prepare(struct cv_gossip_protocol *p, const covey_node_id *from,
                               const struct cv_message *message, struct cv_update_plan *plan)
{
    *plan = (struct cv_update_plan){.self = NULL};
    int error = reserve(p, message->update_count);
    if (error == COVEY_OK)
        error = prepare_self(p, message, &plan->self);
    look_up(p, message, plan);
    for (size_t i = 0; i < message->update_count && error == COVEY_OK; i++)
        error = prepare_body(p, from, &message->updates[i], plan->members[i], &plan->bodies[i]);
    if (error != COVEY_OK)
        release_plan(plan);
    return error;
}

int cv_gossip_protocol_begin(struct cv_gossip_protocol *p, covey_time now, uint64_t wall_ms)
{
    assert(now >= p->now);
    covey_time deadline = cv_heap_deadline(&p->heap);
    bool late = deadline < now && now - deadline > p->config.heartbeat_interval / 2;
    if (late && deadline != p->overdue) {
        int error = cv_gossip_protocol_reserve(p);
        if (error != COVEY_OK)
            return error;
    }
    p->now = now;
    p->wall_ms = wall_ms;
    if (late && deadline != p->overdue) {
        p->overdue = deadline;
        cv_links_catch_up(&p->links, now, now - deadline);
        cv_probing_restart(p);
        cv_suspicions_restart(p);
        cv_watching_restart(p);
    }
    return COVEY_OK;
}

void cv_gossip_protocol_message(struct cv_gossip_protocol *p, const covey_node_id *from,
                                const struct cv_message *message)
{
    const struct cv_message_head *head = &message->head;
    const struct cv_update *told;
    switch (head->type) {
    case CV_MESSAGE_PING:
        if (!cv_node_id_equal(&head->target, cv_member_id(p->self)))
            break;
        cv_gossip_protocol_compose(
            p, from, &(struct cv_message_head){.type = CV_MESSAGE_ACK, .sequence = head->sequence});
        if (cv_self_told(p, message, &told))
            cv_gossip_protocol_add(p, p->self);
        cv_gossip_protocol_post(p, from, false);
        break;
    case CV_MESSAGE_ACK:
        cv_probing_ack(p, from, head->sequence);
        cv_relay_ack(p, from, head->sequence);
        break;
    case CV_MESSAGE_NACK:
        cv_probing_nack(p, from, head->sequence);
        break;
    case CV_MESSAGE_PING_REQ:
        cv_relay_request(p, from, head);
        break;
    case CV_MESSAGE_WATCH:
        cv_watching_asked(p, from);
        break;
    case CV_MESSAGE_UNWATCH:
        cv_watching_unasked(p, from);
        break;
    case CV_MESSAGE_HEARTBEAT:
        cv_watching_heard(p, from, head->sequence);
        break;
    case CV_MESSAGE_GOSSIP:
    case CV_MESSAGE_JOIN:
    case CV_MESSAGE_JOIN_ACK:
    case CV_MESSAGE_LEAVE:
    case CV_MESSAGE_LEAVE_ACK:
    case CV_MESSAGE_SYNC:
    case CV_MESSAGE_SYNC_BUCKETS:
    case CV_MESSAGE_SYNC_RECORDS:
    case CV_MESSAGE_SYNC_ANSWER:
        break;
    }
}

bool cv_gossip_protocol_alarm(struct cv_gossip_protocol *p, struct cv_alarm *alarm)
{
    switch (alarm->kind) {
    case CV_ALARM_PROBE_TICK:
        cv_probing_tick(p);
        return true;
    case CV_ALARM_PROBE:
        cv_probing_alarm(p, (struct cv_probe *)alarm);
        return true;
    case CV_ALARM_RELAY:
        cv_relay_alarm(p, (struct cv_owed_ack *)alarm);
        return true;
    case CV_ALARM_GOSSIP:
        cv_gossip_spread(p);
        return true;
    case CV_ALARM_HEARTBEAT:
        cv_watching_beat(p);
        return true;
    case CV_ALARM_WATCH:
        cv_watching_alarm(p, (struct cv_watch *)alarm);
        return true;
    case CV_ALARM_SETTLE:
        return true; /* at the end of the step */
    case CV_ALARM_MESH:
        cv_warm_connect_mesh(p);
        return true;
    case CV_ALARM_MEMBER:
        cv_member_alarm(p, ((struct cv_member_trouble *)alarm)->member);
        return true;
    case CV_ALARM_RECONNECT:
    case CV_ALARM_JOIN:
    case CV_ALARM_JOIN_END:
    case CV_ALARM_LEAVE:
    case CV_ALARM_SYNC:
    case CV_ALARM_CHECK:
    case CV_ALARM_PARTITION:
        break;
    }
    return false;
}
