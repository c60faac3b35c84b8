#include "cluster/gossip/protocol_internal.h"

/* The failure detector's probes: gossip/ping.h draws one. */

static struct cv_probe *probe_of(struct cv_gossip_protocol *p, const covey_node_id *target)
{
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        struct cv_probe *probe = &p->probes[i];
        if (probe->phase != CV_PROBE_IDLE && covey_node_id_compare(&probe->target, target) == 0)
            return probe;
    }
    return NULL;
}

static struct cv_probe *idle_probe(struct cv_gossip_protocol *p)
{
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        if (p->probes[i].phase == CV_PROBE_IDLE)
            return &p->probes[i];
    }
    return NULL;
}

static void enter(struct cv_gossip_protocol *p, struct cv_probe *probe, enum cv_probe_phase phase,
                  covey_time timeout)
{
    probe->phase = phase;
    cv_heap_set(&p->heap, &probe->alarm.timer, p->now + timeout);
}

static void end(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    probe->phase = CV_PROBE_IDLE;
    cv_heap_clear(&p->heap, &probe->alarm.timer);
}

static void ping_directly(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    enter(p, probe, CV_PROBE_DIRECT, p->config.ack_timeout);
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
    enter(p, probe, CV_PROBE_INDIRECT, p->config.indirect_timeout);
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
    cv_heap_set(&p->heap, &p->tick.timer, p->now + p->config.protocol_period);
    for (size_t i = 0; probe != NULL && i < p->order.count; i++) {
        if (!cv_probe_order_next(&p->order, &p->rand, &target) || probe_of(p, &target) != NULL)
            continue;
        begin(p, probe, cv_node_registry_get(&p->registry, &target));
        return;
    }
}

void cv_probing_alarm(struct cv_gossip_protocol *p, struct cv_probe *probe)
{
    if (probe->phase != CV_PROBE_INDIRECT) {
        ping_indirectly(p, probe);
        return;
    }
    end(p, probe);
    p->counters.probes_failed++;
    cv_member_unanswered(p, cv_node_registry_get(&p->registry, &probe->target));
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
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        struct cv_probe *probe = &p->probes[i];
        if (!cv_probe_is_answered(probe, sequence, from))
            continue;
        bool is_relayed = cv_probe_is_relay(probe, sequence, from);
        end(p, probe);
        if (is_relayed)
            cv_link_doubt(p, cv_node_registry_get(&p->registry, &probe->target));
    }
}

void cv_probing_nack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence)
{
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        if (cv_probe_is_relay(&p->probes[i], sequence, from))
            p->counters.nacks_received++;
    }
}

void cv_probing_forget(struct cv_gossip_protocol *p, const covey_node_id *target)
{
    struct cv_probe *probe = probe_of(p, target);
    if (probe != NULL)
        end(p, probe);
}

void cv_probing_restart(struct cv_gossip_protocol *p)
{
    for (size_t i = 0; i < CV_PROBES_MAX; i++) {
        struct cv_probe *probe = &p->probes[i];
        if (probe->phase == CV_PROBE_IDLE)
            continue;
        begin(p, probe, cv_node_registry_get(&p->registry, &probe->target));
    }
}
