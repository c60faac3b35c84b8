#include "memberlist_internal.h"

#include <math.h>
#include <stdlib.h>

/* The door: what comes in, what goes out, and when. The rules are in memberlist_*.c. */

struct sim_memberlist_config sim_memberlist_config_lan(uint32_t node_count)
{
    return (struct sim_memberlist_config){
        .node_count = node_count,
        .name_size = 10,
        .probe_interval = COVEY_SECOND,
        .probe_timeout = 500 * COVEY_MILLISECOND,
        .indirect_checks = 3,
        .has_stream_pings = true,
        .suspicion_mult = 4,
        .suspicion_max_mult = 6,
        .awareness_max = 8,
        .gossip_nodes = 3,
        .gossip_interval = 200 * COVEY_MILLISECOND,
        .gossip_to_the_dead = 30 * COVEY_SECOND,
        .retransmit_mult = 4,
        .push_pull_interval = 30 * COVEY_SECOND,
        .packet_size = 1400,
        .has_compression = true,
    };
}

void *memberlist_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 4 : *capacity * 2;
    items = realloc(items, *capacity * size);
    if (items == NULL)
        abort();
    return items;
}

void memberlist_set_view(struct sim_memberlist *m, uint16_t subject, enum view_state state,
                         uint32_t incarnation)
{
    assert(incarnation <= INCARNATION_MAX);
    unsigned queued = m->views[subject] & VIEW_QUEUED;
    m->views[subject] = (uint16_t)(incarnation << 4 | queued | (unsigned)state);
}

void memberlist_put_change(struct sim_memberlist *m, uint16_t subject)
{
    m->packets =
        memberlist_grow(m->packets, m->packet_count, &m->packet_capacity, sizeof(*m->packets));
    m->packets[m->packet_count] = (struct packet){.is_change = true, .first = m->item_count};
    m->packet_count++;
    const struct sim_memberlist_item change = {
        .subject = subject,
        .incarnation = memberlist_incarnation(m, subject),
        .state = (uint8_t)sim_memberlist_state(m, subject),
    };
    memberlist_put_item(m, &change);
}

void memberlist_adjust_score(struct sim_memberlist *m, int delta)
{
    int score = (int)m->score + delta;
    int max = (int)m->config->awareness_max - 1;
    m->score = (uint32_t)(score < 0 ? 0 : score > max ? max : score);
}

struct sim_memberlist *sim_memberlist_new(const struct sim_memberlist_config *config, uint16_t self,
                                          covey_time now, uint64_t seed)
{
    assert(self < config->node_count && config->node_count <= SIM_MEMBERLIST_NODES_MAX);
    assert(config->suspicion_mult <= SIM_MEMBERLIST_ACCUSERS_MAX);
    assert(config->probe_interval > 0 && config->gossip_interval > 0);
    struct sim_memberlist *m = calloc(1, sizeof(*m));
    uint16_t *views = calloc(config->node_count, sizeof(*views));
    if (m == NULL || views == NULL)
        abort();
    *m = (struct sim_memberlist){
        .config = config,
        .now = now,
        .self = self,
        .views = views,
        .probe_tick = now + config->probe_interval,
        .gossip_tick = now + config->gossip_interval,
        .suspicion_end = COVEY_NEVER,
    };
    cv_rand_seed(&m->rand, seed);
    m->push_pull_at = now + cv_rand_below(&m->rand, config->push_pull_interval);
    memberlist_update(m);
    return m;
}

void sim_memberlist_free(struct sim_memberlist *m)
{
    free(m->views);
    free(m->list);
    free(m->relays);
    free(m->suspicions);
    free(m->deaths);
    free(m->queue);
    free(m->packets);
    free(m->items);
    free(m);
}

static void clear_outputs(struct sim_memberlist *m)
{
    m->packet_first = 0;
    m->packet_count = 0;
    m->item_count = 0;
}

void sim_memberlist_assume(struct sim_memberlist *m, uint32_t count)
{
    assert(count <= m->config->node_count && m->list_count == 1 && m->suspicion_count == 0);
    for (uint32_t i = 0; i < count; i++) {
        if (i == m->self)
            continue;
        memberlist_set_view(m, (uint16_t)i, VIEW_ALIVE, 1);
        memberlist_list_add(m, (uint16_t)i);
    }
    memberlist_list_shuffle(m);
    m->views[m->self] &= (uint16_t)~VIEW_QUEUED;
    m->queue_count = 0;
    clear_outputs(m);
}

void sim_memberlist_block(struct sim_memberlist *m, bool is_blocked)
{
    m->is_blocked = is_blocked;
    m->is_gossip_stuck = m->is_gossip_stuck && is_blocked;
}

/* --- time --- */

static covey_time next_tick(covey_time tick, covey_time interval, covey_time now)
{
    return tick + ((now - tick) / interval + 1) * interval;
}

static void gossip(struct sim_memberlist *m)
{
    uint16_t chosen[16];
    assert(m->config->gossip_nodes <= 16);
    uint32_t count = memberlist_choose(m, m->config->gossip_nodes, m->self, true, chosen);
    for (uint32_t i = 0; i < count; i++) {
        if (!memberlist_send_gossip(m, chosen[i]))
            return;
        m->is_gossip_stuck = m->is_blocked;
        if (m->is_gossip_stuck)
            return;
    }
}

static void advance_gossip(struct sim_memberlist *m)
{
    if (m->now < m->gossip_tick)
        return;
    m->gossip_tick = next_tick(m->gossip_tick, m->config->gossip_interval, m->now);
    if (m->queue_count > 0 && !m->is_gossip_stuck)
        gossip(m);
}

covey_time sim_memberlist_push_pull_time(const struct sim_memberlist_config *config, uint32_t n)
{
    if (n <= 32)
        return config->push_pull_interval;
    return ((uint64_t)ceil(log2((double)n) - log2(32)) + 1) * config->push_pull_interval;
}

static void push_pull(struct sim_memberlist *m)
{
    uint16_t peer;
    if (memberlist_choose(m, 1, m->self, false, &peer) == 1)
        memberlist_send_records(m, peer, SIM_MEMBERLIST_PUSH);
}

static void advance_push_pull(struct sim_memberlist *m)
{
    if (m->now < m->push_pull_at || m->is_blocked)
        return;
    if (m->is_push_pull_begun)
        push_pull(m);
    m->is_push_pull_begun = true;
    m->push_pull_at = m->now + sim_memberlist_push_pull_time(m->config, m->list_count);
}

static void advance(struct sim_memberlist *m)
{
    memberlist_suspicion_expire(m);
    memberlist_probe_advance(m);
    advance_push_pull(m);
    advance_gossip(m);
}

static covey_time earlier(covey_time a, covey_time b)
{
    return a < b ? a : b;
}

covey_time sim_memberlist_deadline(const struct sim_memberlist *m)
{
    covey_time t = earlier(m->suspicion_end, memberlist_probe_deadline(m));
    if (m->queue_count > 0 && !m->is_gossip_stuck)
        t = earlier(t, m->gossip_tick);
    return m->is_blocked ? t : earlier(t, m->push_pull_at);
}

/* --- input --- */

static void take_item(struct sim_memberlist *m, const struct sim_memberlist_item *item,
                      const struct sim_memberlist_input *input)
{
    switch ((enum sim_memberlist_kind)item->kind) {
    case SIM_MEMBERLIST_PING:
    case SIM_MEMBERLIST_INDIRECT_PING:
    case SIM_MEMBERLIST_ACK:
    case SIM_MEMBERLIST_NACK:
        memberlist_probe_message(m, item, input->peer, input->is_stream);
        break;
    case SIM_MEMBERLIST_SUSPECT_MESSAGE:
        memberlist_suspect(m, item->subject, item->incarnation, item->from);
        break;
    case SIM_MEMBERLIST_ALIVE_MESSAGE:
        memberlist_alive(m, item->subject, item->incarnation);
        break;
    case SIM_MEMBERLIST_DEAD_MESSAGE:
        memberlist_dead(m, item->subject, item->incarnation, item->from);
        break;
    case SIM_MEMBERLIST_PUSH:
        /* It answers with what it knew before it merges. */
        memberlist_send_records(m, input->peer, SIM_MEMBERLIST_PULL);
        break;
    case SIM_MEMBERLIST_PULL:
        break;
    case SIM_MEMBERLIST_RECORD:
        memberlist_merge(m, item);
        break;
    }
}

void sim_memberlist_step(struct sim_memberlist *m, const struct sim_memberlist_input *input)
{
    assert(input->now >= m->now && m->packet_first == m->packet_count);
    clear_outputs(m);
    m->now = input->now;
    advance(m);
    switch (input->type) {
    case SIM_MEMBERLIST_INPUT_TIME:
        break;
    case SIM_MEMBERLIST_INPUT_MESSAGE:
        for (size_t i = 0; i < input->count; i++)
            take_item(m, &input->items[i], input);
        break;
    case SIM_MEMBERLIST_INPUT_JOIN:
        memberlist_send_records(m, input->peer, SIM_MEMBERLIST_PUSH);
        break;
    case SIM_MEMBERLIST_INPUT_UPDATE:
        memberlist_update(m);
        break;
    case SIM_MEMBERLIST_INPUT_LEAVE:
        memberlist_leave(m);
        break;
    }
}

bool sim_memberlist_poll(struct sim_memberlist *m, struct sim_memberlist_output *output)
{
    if (m->packet_first == m->packet_count)
        return false;
    const struct packet *p = &m->packets[m->packet_first];
    const struct sim_memberlist_item *items = &m->items[p->first];
    m->packet_first++;
    if (p->is_change)
        *output = (struct sim_memberlist_output){
            .type = SIM_MEMBERLIST_OUTPUT_CHANGE,
            .subject = items->subject,
            .state = (enum sim_memberlist_state)items->state,
            .incarnation = items->incarnation,
        };
    else
        *output = (struct sim_memberlist_output){
            .type = SIM_MEMBERLIST_OUTPUT_SEND,
            .peer = p->peer,
            .is_stream = p->is_stream,
            .wire_size = p->wire_size,
            .items = items,
            .count = p->count,
        };
    return true;
}

/* --- what there is to see --- */

enum sim_memberlist_state sim_memberlist_state(const struct sim_memberlist *m, uint16_t subject)
{
    static const enum sim_memberlist_state states[] = {
        SIM_MEMBERLIST_UNKNOWN, SIM_MEMBERLIST_ALIVE, SIM_MEMBERLIST_SUSPECT, SIM_MEMBERLIST_DEAD,
        SIM_MEMBERLIST_LEFT,    SIM_MEMBERLIST_DEAD,  SIM_MEMBERLIST_LEFT};
    return states[memberlist_view(m, subject)];
}

uint16_t sim_memberlist_incarnation(const struct sim_memberlist *m, uint16_t subject)
{
    assert(subject < m->config->node_count);
    return memberlist_incarnation(m, subject);
}

uint32_t sim_memberlist_count(const struct sim_memberlist *m)
{
    return m->list_count;
}

uint32_t sim_memberlist_score(const struct sim_memberlist *m)
{
    return m->score;
}

size_t sim_memberlist_queued(const struct sim_memberlist *m)
{
    return m->queue_count;
}
