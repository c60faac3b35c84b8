#include "cluster/gossip/protocol_internal.h"

#include <assert.h>

/*
 * What a change of a member's state brings with it. Events of one member come in this order, for
 * ever: (joined (tags updated | failed, recovered)* failed? left)*.
 */

/* How long the connection to a gone member stays: its last words may still be under way. */
#define LINGER_PERIODS 2

void cv_gossip_protocol_emit(struct cv_gossip_protocol *p, enum covey_event_type type,
                             struct cv_member *m)
{
    struct cv_output output = {.type = CV_OUTPUT_EVENT};
    output.event = (struct cv_event){
        .type = type,
        .wall_ms = p->wall_ms,
        .node = m == NULL ? NULL : cv_cluster_node_retain(m->body),
        .state = m == NULL ? COVEY_NODE_ALIVE : m->state,
        .incarnation = m == NULL ? 0 : m->incarnation,
    };
    cv_outbox_put(&p->outbox, &output);
}

static void emit_joined(struct cv_gossip_protocol *p, struct cv_member *m)
{
    m->is_announced = true;
    m->tags_changed = false;
    cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_JOINED, m);
}

static void emit_left(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (!m->is_announced)
        return;
    m->is_announced = false;
    cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_LEFT, m);
}

static void emit_recovered(struct cv_gossip_protocol *p, struct cv_member *m)
{
    cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_RECOVERED, m);
    if (m->tags_changed)
        cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_TAGS_UPDATED, m);
    m->tags_changed = false;
}

static void emit_change(struct cv_gossip_protocol *p, struct cv_member *m,
                        enum covey_node_state before)
{
    enum covey_node_state after = m->state;
    if (after == COVEY_NODE_LEFT)
        emit_left(p, m);
    else if (after == COVEY_NODE_FAILED && m->is_announced && before != after)
        cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_FAILED, m);
    else if (cv_member_is_live(m) && !m->is_announced)
        emit_joined(p, m);
    else if (cv_member_is_live(m) && before == COVEY_NODE_FAILED)
        emit_recovered(p, m);
}

static covey_time suspicion_max(const struct cv_gossip_protocol *p)
{
    return p->config.suspicion_min * p->config.suspicion_max_factor;
}

/* How many others are to confirm a suspicion. One that does not notice must not keep the rest from
 * agreeing, so it is not all of those that could, the suspect and ourselves apart. Other suspects
 * count: one that hears nobody must not be left to judge by itself. */
static uint32_t confirmations_wanted(const struct cv_gossip_protocol *p)
{
    const size_t live = cv_node_registry_live_count(&p->registry);
    const size_t others = live > 2 ? live - 2 : 0;
    if (others < 2)
        return 0;
    return others - 1 < CV_CONFIRMATIONS ? (uint32_t)(others - 1) : CV_CONFIRMATIONS;
}

static void await_suspicion(struct cv_gossip_protocol *p, struct cv_member_trouble *t)
{
    cv_heap_set(&p->heap, &t->alarm.timer, cv_suspicion_deadline(&t->suspicion));
}

static void begin_suspicion(struct cv_gossip_protocol *p, struct cv_member *m)
{
    struct cv_member_trouble *t = m->trouble;
    cv_suspicion_begin(&t->suspicion, p->now, p->config.suspicion_min, suspicion_max(p),
                       confirmations_wanted(p), &t->accuser);
    await_suspicion(p, t);
    p->counters.suspicions++;
}

static void begin_hearsay(struct cv_gossip_protocol *p, struct cv_member *m)
{
    struct cv_member_trouble *t = m->trouble;
    cv_suspicion_begin_hearsay(&t->suspicion, p->now, suspicion_max(p), &t->accuser);
    await_suspicion(p, t);
}

static void clear_alarm(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (m->trouble != NULL)
        cv_heap_clear(&p->heap, &m->trouble->alarm.timer);
}

/* It counts for the size of the cluster: at once, or when there is a quorum to take it in. */
static void expect(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (m->is_expected)
        return;
    if (p->has_no_quorum) {
        p->deferred_joins++;
        return;
    }
    m->is_expected = true;
    p->expected_joins++;
}

void cv_member_unexpect(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (!m->is_expected)
        return;
    m->is_expected = false;
    p->expected_leaves++;
}

static void enter_live(struct cv_gossip_protocol *p, struct cv_member *m)
{
    m->left_is_direct = false;
    expect(p, m);
    /* One too many: whom to probe is chosen anew at the end of the step. */
    p->is_mesh = p->is_mesh && cv_warm_is_mesh(p);
    if (p->is_mesh)
        cv_probe_order_insert(&p->order, cv_member_id(m), &p->rand);
    if (cv_watch_rings_wants(&p->rings, cv_member_id(m)))
        p->rings_changed = true;
    p->warm_changed = true; /* a neighbour that is back the moment it went is no new one */
    cv_probing_start(p);
    if (p->is_mesh && m->link == CV_LINK_NONE)
        p->mesh_changed = true;
}

static void forget(struct cv_gossip_protocol *p, struct cv_member *m)
{
    emit_left(p, m);
    cv_member_unexpect(p, m);
    clear_alarm(p, m);
    cv_gossip_queue_remove(&p->queue, cv_member_id(m));
    cv_link_member(p, cv_member_id(m), NULL);
    cv_node_registry_remove(&p->registry, m);
}

/* When to let it go, or to look again whether it may be. */
static void linger(struct cv_gossip_protocol *p, struct cv_member *m)
{
    cv_heap_set(&p->heap, &m->trouble->alarm.timer,
                p->now + LINGER_PERIODS * p->config.protocol_period);
}

static void enter_gone(struct cv_gossip_protocol *p, struct cv_member *m)
{
    cv_probe_order_remove(&p->order, cv_member_id(m));
    cv_probing_forget(p, cv_member_id(m));
    if (cv_watch_rings_misses(&p->rings, cv_member_id(m)))
        p->rings_changed = true;
    cv_watching_unasked(p, cv_member_id(m));
    linger(p, m);
}

void cv_gossip_protocol_set_status(struct cv_gossip_protocol *p, struct cv_member *m,
                                   const struct cv_node_status *status)
{
    assert(m != p->self);
    enum covey_node_state before = (enum covey_node_state)m->state;
    bool was_live = cv_member_is_live(m);
    if (status->state == COVEY_NODE_ALIVE)
        clear_alarm(p, m);
    cv_node_registry_set_status(&p->registry, m, status, p->now);
    if (was_live && !cv_member_is_live(m))
        enter_gone(p, m);
    else if (!was_live && cv_member_is_live(m))
        enter_live(p, m);
    else if (before == COVEY_NODE_FAILED && status->state == COVEY_NODE_LEFT)
        linger(p, m); /* hearsay of it is still to settle */
    if (status->state == COVEY_NODE_SUSPECT)
        begin_suspicion(p, m);
    emit_change(p, m, before);
    struct cv_member *surplus = cv_node_registry_surplus(&p->registry, p->self, m);
    if (surplus != NULL)
        forget(p, surplus);
}

void cv_gossip_protocol_left(struct cv_gossip_protocol *p, struct cv_member *m)
{
    m->left_is_direct = true;
    cv_member_unexpect(p, m);
}

void cv_member_recalled(struct cv_gossip_protocol *p, struct cv_member *m)
{
    m->is_announced = true;
    enter_live(p, m);
}

void cv_member_adopted(struct cv_gossip_protocol *p, struct cv_member *m)
{
    m->is_announced = true;
    expect(p, m);
}

void cv_members_adopted(struct cv_gossip_protocol *p)
{
    p->rings_changed = true;
    p->warm_changed = true;
    cv_probing_start(p);
}

void cv_member_entered(struct cv_gossip_protocol *p, struct cv_member *m)
{
    /* Those that the others count as failed count for a newcomer too. */
    if (m->state == COVEY_NODE_FAILED)
        expect(p, m);
    if (!cv_member_is_live(m)) {
        enter_gone(p, m);
        return;
    }
    enter_live(p, m);
    if (m->state == COVEY_NODE_SUSPECT)
        begin_suspicion(p, m);
    emit_joined(p, m);
}

void cv_member_body_changed(struct cv_gossip_protocol *p, struct cv_member *m, bool tags_differ)
{
    const struct cv_peer *peer = cv_links_peer(&p->links, cv_member_id(m));
    /* It moved: what is connected is what it was before. */
    if (peer != NULL && !cv_address_equal(&peer->remote, &m->body->address) && !m->body_is_direct) {
        cv_gossip_protocol_close(p, cv_member_id(m));
        cv_warm_connect(p, m);
    }
    if (tags_differ && m->is_announced && cv_member_is_live(m))
        cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_TAGS_UPDATED, m);
    else if (tags_differ && m->is_announced)
        m->tags_changed = true;
}

static void accuse(struct cv_gossip_protocol *p, struct cv_member *m, enum covey_node_state state)
{
    struct cv_node_status status = {
        .incarnation = m->incarnation, .state = state, .accuser = p->self->body->id};
    cv_gossip_protocol_set_status(p, m, &status);
    struct cv_record record = cv_member_record(m);
    record.body = NULL;
    cv_gossip_protocol_broadcast(p, CV_PRIORITY_CRITICAL, &record);
}

void cv_member_confirmed(struct cv_gossip_protocol *p, struct cv_member *m,
                         const covey_node_id *accuser)
{
    assert(m->state == COVEY_NODE_SUSPECT);
    struct cv_member_trouble *t = m->trouble;
    if (t->suspicion.is_hearsay) {
        t->accuser = *accuser;
        begin_suspicion(p, m);
    } else if (!cv_suspicion_confirm(&t->suspicion, accuser)) {
        return;
    }
    await_suspicion(p, t);
    struct cv_record record = {.id = m->body->id, .status = cv_member_status(m)};
    record.status.accuser = *accuser;
    cv_gossip_protocol_broadcast(p, CV_PRIORITY_CRITICAL, &record);
}

void cv_member_rumoured(struct cv_gossip_protocol *p, struct cv_member *m)
{
    assert(m->state == COVEY_NODE_SUSPECT);
    begin_hearsay(p, m);
    if (m->link == CV_LINK_UP && !p->is_leaving)
        cv_gossip_protocol_probe(p, m);
}

void cv_member_doubted(struct cv_gossip_protocol *p, struct cv_member *m)
{
    struct cv_suspicion *s = &m->trouble->suspicion;
    if (s->max == s->min)
        return;
    cv_suspicion_shorten(s);
    await_suspicion(p, m->trouble);
    if (m->link == CV_LINK_UP && !p->is_leaving)
        cv_gossip_protocol_probe(p, m);
}

void cv_member_unanswered(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (m->state == COVEY_NODE_ALIVE)
        accuse(p, m, COVEY_NODE_SUSPECT);
    else if (m->state == COVEY_NODE_SUSPECT)
        cv_member_confirmed(p, m, cv_member_id(p->self));
    /* Only the newest word about a node is told. Others' accusations come within milliseconds, and
     * would take the place of ours before anybody had it: the suspicion would want a confirmation. */
    p->push_next = p->now;
}

/* A new full time for the suspect, and a chance to use it. */
static void restart_suspicion(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (m->trouble->suspicion.is_hearsay)
        begin_hearsay(p, m);
    else
        begin_suspicion(p, m);
    if (m->link == CV_LINK_UP)
        cv_gossip_ping(p, cv_member_id(m), ++p->sequence, false);
    else
        cv_probe_order_hasten(&p->order, cv_member_id(m));
}

void cv_suspicions_restart(struct cv_gossip_protocol *p)
{
    for (size_t i = 0; i < cv_node_registry_count(&p->registry); i++) {
        struct cv_member *m = cv_node_registry_at(&p->registry, i);
        if (m->state == COVEY_NODE_SUSPECT)
            restart_suspicion(p, m);
    }
}

/* A gone member: its connection goes, what was said of it settles, and in the end it is
 * forgotten. */
static void let_go(struct cv_gossip_protocol *p, struct cv_member *m)
{
    covey_time end = m->trouble->since + p->tombstone_ttl;
    covey_time settled = m->trouble->since + suspicion_max(p);
    if (m->link == CV_LINK_UP)
        cv_gossip_protocol_close(p, cv_member_id(m));
    if (m->state == COVEY_NODE_LEFT && p->now >= settled)
        cv_member_unexpect(p, m);
    bool is_unsettled = m->state == COVEY_NODE_LEFT && m->is_expected;
    if (p->now >= end)
        forget(p, m);
    else
        cv_heap_set(&p->heap, &m->trouble->alarm.timer,
                    is_unsettled && settled < end ? settled : end);
}

/* It lives but does not refute: it may not know the incarnation that we suspect it at, from a life
 * before. Joining with it again tells it. */
static void give_more_time(struct cv_gossip_protocol *p, struct cv_member *m)
{
    restart_suspicion(p, m);
    cv_gossip_protocol_ask(p, cv_member_id(m));
}

void cv_member_alarm(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (!cv_member_is_live(m))
        let_go(p, m);
    else if (p->is_leaving)
        return; /* no longer ours to settle */
    else if (m->trouble->heard > m->trouble->suspicion.start)
        give_more_time(p, m);
    else
        accuse(p, m, COVEY_NODE_FAILED);
}
