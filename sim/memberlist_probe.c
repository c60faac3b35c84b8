#include "memberlist_internal.h"

#include <string.h>

/*
 * One probe:
 *
 *     tick           500 ms                    interval * (score + 1)
 *      |--- ping ----->|--- 3 indirect pings ------------->|
 *                      |--- a ping over a stream --------->|  no ack: suspect
 *
 * An ack over datagrams, of whomever, ends it at once; one over the stream counts at the end.
 */

static bool is_probed(const struct sim_memberlist *m, uint16_t subject)
{
    return subject != m->self && !memberlist_is_gone(memberlist_view(m, subject));
}

/* The next of the round, or of the next round; false when there is nobody. */
static bool find_target(struct sim_memberlist *m, uint16_t *target)
{
    for (uint32_t checked = 0; checked < m->list_count;) {
        if (m->list_index >= m->list_count) {
            memberlist_begin_round(m);
            checked++;
            continue;
        }
        *target = m->list[m->list_index];
        m->list_index++;
        if (is_probed(m, *target))
            return true;
        checked++;
    }
    return false;
}

static void ping(struct sim_memberlist *m)
{
    const struct probe *p = &m->probe;
    const struct sim_memberlist_item item = {
        .kind = SIM_MEMBERLIST_PING, .seq = p->seq, .subject = p->target};
    const struct sim_memberlist_item accusation = {
        .kind = SIM_MEMBERLIST_SUSPECT_MESSAGE,
        .subject = p->target,
        .incarnation = p->incarnation,
        .from = m->self,
    };
    if (memberlist_view(m, p->target) == VIEW_ALIVE)
        memberlist_send(m, p->target, &item);
    else
        memberlist_send_pair(m, p->target, &item, &accusation);
}

static void begin(struct sim_memberlist *m)
{
    uint16_t target;
    if (!find_target(m, &target))
        return;
    m->last_seq++;
    m->probe = (struct probe){
        .is_running = true,
        .target = target,
        .incarnation = memberlist_incarnation(m, target),
        .seq = m->last_seq,
        .ask_at = m->now + m->config->probe_timeout,
        .end_at = m->now + m->config->probe_interval * (m->score + 1),
        .is_stuck = m->is_blocked,
    };
    ping(m);
}

static void begin_if_due(struct sim_memberlist *m)
{
    if (m->probe.is_running || !m->is_tick_waiting)
        return;
    m->is_tick_waiting = false;
    begin(m);
}

static void succeed(struct sim_memberlist *m)
{
    m->probe.is_running = false;
    memberlist_adjust_score(m, -1);
}

static void fail(struct sim_memberlist *m)
{
    const struct probe p = m->probe;
    m->probe.is_running = false;
    if (p.nacks_expected == 0)
        memberlist_adjust_score(m, 1);
    else if (p.nacks < p.nacks_expected)
        memberlist_adjust_score(m, (int)(p.nacks_expected - p.nacks));
    memberlist_suspect(m, p.target, p.incarnation, m->self);
}

static void ask_others(struct sim_memberlist *m)
{
    struct probe *p = &m->probe;
    uint16_t chosen[16];
    assert(m->config->indirect_checks <= 16);
    uint32_t count = memberlist_choose(m, m->config->indirect_checks, p->target, false, chosen);
    const struct sim_memberlist_item request = {
        .kind = SIM_MEMBERLIST_INDIRECT_PING, .seq = p->seq, .subject = p->target};
    const struct sim_memberlist_item direct = {
        .kind = SIM_MEMBERLIST_PING, .seq = p->seq, .subject = p->target};
    p->has_asked = true;
    p->nacks_expected = count;
    for (uint32_t i = 0; i < count; i++)
        memberlist_send(m, chosen[i], &request);
    if (m->config->has_stream_pings)
        memberlist_send_stream(m, p->target, true, &direct);
}

/* --- pings for others --- */

static void relay(struct sim_memberlist *m, const struct sim_memberlist_item *request,
                  uint16_t requester)
{
    m->last_seq++;
    m->relays = memberlist_grow(m->relays, m->relay_count, &m->relay_capacity, sizeof(*m->relays));
    m->relays[m->relay_count] = (struct relay){
        .seq = m->last_seq,
        .their_seq = request->seq,
        .requester = requester,
        .end_at = m->now + m->config->probe_timeout,
    };
    m->relay_count++;
    const struct sim_memberlist_item item = {
        .kind = SIM_MEMBERLIST_PING, .seq = m->last_seq, .subject = request->subject};
    memberlist_send(m, request->subject, &item);
}

static void end_relay(struct sim_memberlist *m, size_t place, enum sim_memberlist_kind kind)
{
    const struct relay r = m->relays[place];
    const struct sim_memberlist_item item = {.kind = (uint8_t)kind, .seq = r.their_seq};
    m->relay_count--;
    memmove(&m->relays[place], &m->relays[place + 1],
            (m->relay_count - place) * sizeof(*m->relays));
    memberlist_send(m, r.requester, &item);
}

/* --- inputs --- */

static void take_ack(struct sim_memberlist *m, uint32_t seq, bool is_stream)
{
    if (m->probe.is_running && m->probe.seq == seq) {
        if (is_stream) {
            m->probe.has_stream_ack = true;
            return;
        }
        succeed(m);
        begin_if_due(m);
        return;
    }
    for (size_t i = 0; i < m->relay_count; i++) {
        if (m->relays[i].seq == seq) {
            end_relay(m, i, SIM_MEMBERLIST_ACK);
            return;
        }
    }
}

void memberlist_probe_message(struct sim_memberlist *m, const struct sim_memberlist_item *item,
                              uint16_t peer, bool is_stream)
{
    const struct sim_memberlist_item ack = {.kind = SIM_MEMBERLIST_ACK, .seq = item->seq};
    if (item->kind == SIM_MEMBERLIST_PING && item->subject != m->self)
        return;
    if (item->kind == SIM_MEMBERLIST_PING && is_stream)
        memberlist_send_stream(m, peer, false, &ack);
    else if (item->kind == SIM_MEMBERLIST_PING)
        memberlist_send(m, peer, &ack);
    else if (item->kind == SIM_MEMBERLIST_INDIRECT_PING)
        relay(m, item, peer);
    else if (item->kind == SIM_MEMBERLIST_ACK)
        take_ack(m, item->seq, is_stream);
    else if (m->probe.is_running && m->probe.seq == item->seq)
        m->probe.nacks++;
}

/* It was blocked where it sends. After a ping it waits for the answer from now on, but for the end of
 * its time, which may be over. */
static void go_on(struct sim_memberlist *m)
{
    struct probe *p = &m->probe;
    p->is_stuck = false;
    if (!p->has_asked)
        p->ask_at = m->now + m->config->probe_timeout;
    if (!p->has_asked && p->ask_at > p->end_at)
        p->ask_at = p->end_at;
}

static void advance_probe(struct sim_memberlist *m)
{
    struct probe *p = &m->probe;
    if (p->is_running && p->is_stuck && !m->is_blocked)
        go_on(m);
    if (p->is_running && p->is_stuck)
        return;
    if (p->is_running && !p->has_asked && m->now >= p->ask_at) {
        ask_others(m);
        p->is_stuck = m->is_blocked;
    }
    if (!p->is_running || p->is_stuck || m->now < p->end_at)
        return;
    if (p->has_stream_ack)
        succeed(m);
    else
        fail(m);
}

void memberlist_probe_advance(struct sim_memberlist *m)
{
    const covey_time interval = m->config->probe_interval;
    while (m->relay_count > 0 && m->now >= m->relays[0].end_at)
        end_relay(m, 0, SIM_MEMBERLIST_NACK);
    if (m->now >= m->probe_tick) {
        m->is_tick_waiting = true;
        m->probe_tick += ((m->now - m->probe_tick) / interval + 1) * interval;
    }
    advance_probe(m);
    begin_if_due(m);
}

covey_time memberlist_probe_deadline(const struct sim_memberlist *m)
{
    const struct probe *p = &m->probe;
    covey_time t = m->probe_tick;
    bool waits = p->is_running && !p->is_stuck;
    if (waits && !p->has_asked && p->ask_at < t)
        t = p->ask_at;
    if (waits && p->end_at < t)
        t = p->end_at;
    if (m->relay_count > 0 && m->relays[0].end_at < t)
        t = m->relays[0].end_at;
    return t;
}
