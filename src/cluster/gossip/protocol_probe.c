#include "cluster/gossip/protocol_internal.h"

/* The failure detector's probes: gossip/ping.h draws one. */

/* The next probe from `first` on that is not idle; CV_PROBES_MAX when there is none. Hardly ever is there
 * more than one, so the others are not even looked at. */
static size_t next_busy(const struct cv_gossip_protocol *p, size_t first)
{
    size_t i = first;
    while (i < CV_PROBES_MAX && (p->probing >> i & 1) == 0)
        i++;
    return i;
}

static struct cv_probe *probe_of(struct cv_gossip_protocol *p, const covey_node_id *target)
{
    for (size_t i = next_busy(p, 0); i < CV_PROBES_MAX; i = next_busy(p, i + 1)) {
        if (cv_node_id_equal(&p->probes[i].target, target))
            return &p->probes[i];
    }
    return NULL;
}

bool cv_gossip_protocol_waits_for(struct cv_gossip_protocol *p, const covey_node_id *id)
{
    return probe_of(p, id) != NULL || cv_owed_acks_waiting(&p->owed, NULL, id) != NULL;
}

static struct cv_probe *idle_probe(struct cv_gossip_protocol *p)
{
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        if ((p->probing >> i & 1) == 0)
            return &p->probes[i];
    }
    return NULL;
}

static uint32_t bit_of(const struct cv_gossip_protocol *p, const struct cv_probe *probe)
{
    return UINT32_C(1) << (probe - p->probes);
}

static void enter(struct cv_gossip_protocol *p, struct cv_probe *probe, enum cv_probe_phase phase,
                  covey_time timeout)
{
    probe->phase = phase;
    p->probing |= bit_of(p, probe);
    cv_heap_set(&p->heap, &probe->alarm.timer, p->now + timeout);
}

static void end(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    probe->phase = CV_PROBE_IDLE;
    p->probing &= ~bit_of(p, probe);
    cv_heap_clear(&p->heap, &probe->alarm.timer);
}

static covey_time scaled(const struct cv_gossip_protocol *p, covey_time time)
{
    return cv_local_health_scale(&p->health, time);
}

static void ping_directly(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    enter(p, probe, CV_PROBE_DIRECT, scaled(p, p->config.ack_timeout));
    cv_gossip_ping(p, &probe->target, probe->sequence, false);
    p->counters.probes_sent++;
}

/* Asks others, and tries once more ourselves on a stream, which survives lost packets. */
static void ping_indirectly(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    const struct cv_member *target = cv_node_registry_get(&p->registry, &probe->target);
    struct cv_member *relays[CV_RELAYS_MAX];
    size_t count =
        cv_gossip_protocol_select_random(p, &probe->target, relays, p->config.indirect_ping_count);
    enter(p, probe, CV_PROBE_INDIRECT, scaled(p, p->config.indirect_timeout));
    probe->relay_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        probe->relays[i] = relays[i]->body->id;
        cv_gossip_protocol_compose(p, &probe->relays[i],
                                   &(struct cv_message_head){.type = CV_MESSAGE_PING_REQ,
                                                             .sequence = probe->sequence,
                                                             .target = probe->target,
                                                             .address = target->body->address});
        cv_gossip_protocol_post(p, &probe->relays[i], false);
        p->counters.indirect_pings_sent++;
    }
    if (target->link == CV_LINK_UP)
        cv_gossip_ping(p, &probe->target, probe->sequence, true);
}

static void begin(struct cv_gossip_protocol *p, struct cv_probe *probe, struct cv_member *target)
{
    probe->target = target->body->id;
    probe->sequence = ++p->sequence;
    probe->relay_count = 0;
    probe->nacks = 0;
    probe->is_urgent = false;
    if (target->link == CV_LINK_UP)
        ping_directly(p, probe);
    else if (target->link == CV_LINK_DIALLING || cv_gossip_protocol_dial(p, target))
        enter(p, probe, CV_PROBE_DIALLING, p->config.protocol_period);
    else
        ping_indirectly(p, probe);
}

void cv_probing_start(struct cv_gossip_protocol *p)
{
    if (cv_timer_is_set(&p->tick.timer) || p->is_leaving)
        return;
    /* At a random point of the period, so that nodes started together do not probe together. */
    cv_heap_set(&p->heap, &p->tick.timer,
                p->now + cv_rand_below(&p->rand, p->config.protocol_period));
}

void cv_probing_tick(struct cv_gossip_protocol *p)
{
    struct cv_probe *probe = idle_probe(p);
    covey_node_id target;
    if (p->order.count == 0)
        return;
    cv_heap_set(&p->heap, &p->tick.timer, p->now + scaled(p, p->config.protocol_period));
    for (size_t i = 0; probe != NULL && i < p->order.count; i++) {
        if (!cv_probe_order_next(&p->order, &p->rand, &target) || probe_of(p, &target) != NULL)
            continue;
        begin(p, probe, cv_node_registry_get(&p->registry, &target));
        return;
    }
}

void cv_gossip_protocol_probe(struct cv_gossip_protocol *p, struct cv_member *m)
{
    struct cv_probe *probe = idle_probe(p);
    if (probe != NULL && !p->is_leaving && probe_of(p, cv_member_id(m)) == NULL)
        begin(p, probe, m);
}

/* A datagram, the stream and others' help at once; one under way gets the help now. */
void cv_probing_urgent(struct cv_gossip_protocol *p, struct cv_member *target)
{
    struct cv_probe *probe = probe_of(p, cv_member_id(target));
    if (probe == NULL) {
        cv_gossip_protocol_probe(p, target);
        probe = probe_of(p, cv_member_id(target));
    }
    if (probe == NULL)
        return;
    probe->is_urgent = true;
    if (probe->phase == CV_PROBE_DIRECT)
        ping_indirectly(p, probe);
}

bool cv_probing_is_urgent(struct cv_gossip_protocol *p, const covey_node_id *target)
{
    const struct cv_probe *probe = probe_of(p, target);
    return probe != NULL && probe->is_urgent;
}

/* What an unanswered probe says of ourselves: those who were asked should have said at least that
 * they got no answer either. */
static void doubt_ourselves(struct cv_gossip_protocol *p, const struct cv_probe *probe)
{
    uint32_t missing = cv_probe_missing_nacks(probe);
    if (probe->relay_count == 0)
        cv_local_health_note(&p->health, CV_LOCAL_HEALTH_PROBE_FAILED);
    for (uint32_t i = 0; i < missing; i++)
        cv_local_health_note(&p->health, CV_LOCAL_HEALTH_NACK_MISSING);
}

void cv_probing_alarm(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    if (probe->phase != CV_PROBE_INDIRECT) {
        ping_indirectly(p, probe);
        return;
    }
    end(p, probe);
    p->counters.probes_failed++;
    doubt_ourselves(p, probe);
    struct cv_member *target = cv_node_registry_get(&p->registry, &probe->target);
    struct cv_watch *watch = cv_watches_subject(&p->watches, &probe->target);
    if (probe->is_urgent && watch != NULL && watch->is_heard)
        cv_watching_probed(p, &probe->target, false);
    else
        cv_member_unanswered(p, target);
}

void cv_probing_connected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_probe *probe = probe_of(p, peer);
    if (probe != NULL && probe->phase == CV_PROBE_DIALLING)
        ping_directly(p, probe);
}

void cv_probing_link_lost(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_probe *probe = probe_of(p, peer);
    if (probe != NULL && probe->phase != CV_PROBE_INDIRECT)
        ping_indirectly(p, probe);
}

void cv_probing_ack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence)
{
    for (size_t i = next_busy(p, 0); i < CV_PROBES_MAX; i = next_busy(p, i + 1)) {
        struct cv_probe *probe = &p->probes[i];
        if (!cv_probe_is_answered(probe, sequence, from))
            continue;
        bool is_relayed = cv_probe_is_relay(probe, sequence, from);
        end(p, probe);
        cv_local_health_note(&p->health, CV_LOCAL_HEALTH_PROBE_OK);
        cv_watching_probed(p, &probe->target, true);
        if (is_relayed)
            cv_link_doubt(p, cv_node_registry_get(&p->registry, &probe->target));
    }
}

void cv_probing_nack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence)
{
    for (size_t i = next_busy(p, 0); i < CV_PROBES_MAX; i = next_busy(p, i + 1)) {
        if (cv_probe_nack(&p->probes[i], sequence, from))
            p->counters.nacks_received++;
    }
}

void cv_probing_forget(struct cv_gossip_protocol *p, const covey_node_id *target)
{
    struct cv_probe *probe = probe_of(p, target);
    if (probe != NULL)
        end(p, probe);
}

void cv_probing_stop(struct cv_gossip_protocol *p)
{
    cv_heap_clear(&p->heap, &p->tick.timer);
    for (size_t i = next_busy(p, 0); i < CV_PROBES_MAX; i = next_busy(p, i + 1))
        end(p, &p->probes[i]);
}

void cv_probing_restart(struct cv_gossip_protocol *p)
{
    for (size_t i = next_busy(p, 0); i < CV_PROBES_MAX; i = next_busy(p, i + 1)) {
        struct cv_probe *probe = &p->probes[i];
        begin(p, probe, cv_node_registry_get(&p->registry, &probe->target));
    }
}
