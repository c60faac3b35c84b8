#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <assert.h>

/*
 * What must have come about by a time, when nothing disturbed the cluster meanwhile: M10 to M14,
 * G6, H2, T2. A deadline is an event like others, but nobody's; one that comes after a later fault
 * says nothing.
 *
 *     L  ceil(log2(N + 1))     T, A  protocol period, ack timeout     H  reconnect interval
 *     DA = 3 T + Smax + 3 L T         a crash is known
 *     X  = 1.25 H + 2 A + 3 L T       a cluster is whole again
 *
 * A failed node that can be reached is found by whoever tries it. A seed that is not alive is tried
 * each H by everybody whose seed it is, so X is what it says wherever one that runs is the seed of all
 * others. Otherwise it is one in H, by each other node, at random out of all that it holds for failed:
 * those that are really dead take turns away, and X grows by 1.25 H for each of them.
 */

struct times {
    covey_time period;   /* T */
    covey_time gossip;   /* 3 L T */
    covey_time ack;      /* A */
    covey_time interval; /* 1.25 H */
};

static struct times times_of(const struct sim *s)
{
    const struct cv_gossip_config *g = &s->core.gossip;
    return (struct times){
        .period = g->protocol_period,
        .gossip = cv_gossip_sends_max(3, s->config.node_count) * g->protocol_period,
        .ack = g->ack_timeout,
        .interval = s->core.reconnect_interval + s->core.reconnect_interval / 4,
    };
}

/* Longer when packets are lost: by (1 - p)^4. */
static covey_time with_loss(const struct sim *s, covey_time time)
{
    uint64_t rest = 1000 - s->graph.all.loss;
    for (int i = 0; i < 4; i++)
        time = time * 1000 / rest;
    return time;
}

/* Runs, and is a member. */
static bool is_member(const struct sim_node *n)
{
    return n->membership != NULL && !n->is_paused && !n->is_held && n->liar == NULL &&
           cv_membership_state(n->membership) == CV_MEMBERSHIP_JOINED;
}

static bool has_seed(const struct sim_node *n, size_t seed)
{
    for (size_t i = 0; i < n->seed_count; i++) {
        if (n->seeds[i] == seed)
            return true;
    }
    return false;
}

/* A member whom all others would find by themselves. */
static bool is_seed_of_all(const struct sim *s, const struct sim_node *seed)
{
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (n != seed && n->membership != NULL && !has_seed(n, seed->index))
            return false;
    }
    return true;
}

static bool has_meeting_point(const struct sim *s)
{
    for (size_t i = 0; i < s->config.node_count; i++) {
        if (is_member(&s->nodes[i]) && is_seed_of_all(s, &s->nodes[i]))
            return true;
    }
    return false;
}

static covey_time heal_time(const struct sim *s)
{
    const struct times t = times_of(s);
    size_t dead = 0;
    for (size_t i = 0; i < s->config.node_count; i++)
        dead += s->nodes[i].life > 0 && s->nodes[i].membership == NULL;
    if (has_meeting_point(s))
        dead = 0;
    covey_time time = t.interval * (1 + dead) + 2 * t.ack + t.gossip;
    /* A liar is kept out for a while, and what it accused others of must run its course. */
    if (s->oracle.faults[SIM_FAULT_LIE] > 0)
        time +=
            CV_QUARANTINE_TIME + s->core.gossip.suspicion_min * s->core.gossip.suspicion_max_factor;
    return with_loss(s, time);
}

static covey_time time_for(const struct sim *s, enum sim_deadline deadline)
{
    const struct times t = times_of(s);
    const struct cv_gossip_config *g = &s->core.gossip;
    switch (deadline) {
    case SIM_DEADLINE_DEATH:
        return 3 * t.period + g->suspicion_min * g->suspicion_max_factor + t.gossip;
    case SIM_DEADLINE_MISTAKE:
    case SIM_DEADLINE_CALM:
        return heal_time(s);
    case SIM_DEADLINE_JOIN:
        return t.ack + t.gossip;
    case SIM_DEADLINE_VIEW:
        return t.ack + t.gossip + s->core.sync_interval + s->core.sync_interval / 4;
    case SIM_DEADLINE_LEAVE:
    case SIM_DEADLINE_TAGS:
        return t.gossip;
    }
    return 0;
}

void sim_expect(struct sim *s, enum sim_deadline deadline, const struct sim_node *n,
                const struct sim_node *observer)
{
    /* Above SIM_SMALL nodes the end is looked at, and deaths, which are few. */
    if (!sim_is_small(s) && deadline != SIM_DEADLINE_DEATH)
        return;
    struct sim_event *e = sim_event_new(s, SIM_DEADLINE, n->index, 0);
    e->peer = observer == NULL ? SIM_NONE : observer->index;
    e->number = deadline;
    e->begun = s->clock.now;
    sim_clock_set(&s->clock, e, s->clock.now + time_for(s, deadline));
}

void sim_expect_calm(struct sim *s)
{
    if (s->oracle.is_calm_awaited)
        return;
    s->oracle.is_calm_awaited = sim_is_small(s);
    sim_expect(s, SIM_DEADLINE_CALM, &s->nodes[0], NULL);
}

/* --- what an observer believes --- */

static struct sim_view look(const struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    struct sim_view view = *sim_view_of(o, n);
    if (s->planted->view != NULL)
        s->planted->view(o, &view);
    return view;
}

static bool is_alive(const struct sim_view *v)
{
    return v->is_known && v->state == COVEY_NODE_ALIVE;
}

static bool is_lossless(const struct sim *s)
{
    const struct sim_link *all = &s->graph.all;
    return all->loss == 0 && all->message_loss == 0 && all->rate == 0 && all->reordering == 0 &&
           s->graph.set_count == 0 && sim_graph_is_whole(&s->graph);
}

/* True when the cluster had got over all faults by then, as far as time tells. */
static bool was_settled(const struct sim *s, covey_time then)
{
    return !s->oracle.has_disturbance || s->oracle.shaken + heal_time(s) <= then;
}

/* --- one node's deadlines --- */

/* M10: whoever ran all the time holds it for gone. */
static void check_death(struct sim *s, const struct sim_node *n, const struct sim_event *e)
{
    if (n->life != e->life || n->membership != NULL)
        return;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *o = &s->nodes[i];
        if (!is_member(o) || o->joined > e->begun)
            continue;
        const struct sim_view v = look(s, o, n);
        sim_require(s, SIM_M10,
                    !v.is_known || v.state == COVEY_NODE_FAILED || v.state == COVEY_NODE_LEFT,
                    "%s still holds %s for %s", o->name, n->name, covey_node_state_name(v.state));
    }
}

/* M11. */
static void check_mistake(struct sim *s, const struct sim_node *n, const struct sim_event *e)
{
    const struct sim_node *o = &s->nodes[e->peer];
    if (!is_member(n) || !is_member(o) || n->life != e->life)
        return;
    const struct sim_view v = look(s, o, n);
    sim_require(s, SIM_M11, v.is_known && v.state < COVEY_NODE_FAILED,
                "%s still holds %s for %s, which runs", o->name, n->name,
                covey_node_state_name(v.state));
}

/* Joined at about the same time: news of the one ran its course before the other could hear of it. */
static bool join_together(const struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    return n->joined < o->joined + time_for(s, SIM_DEADLINE_JOIN);
}

/* M14: members before it know it; and it knows them, once it has compared with one of them. Of two
 * that join together each knows the other by then. */
static void check_join(struct sim *s, const struct sim_node *n, const struct sim_event *e)
{
    bool is_view = e->number == SIM_DEADLINE_VIEW;
    if (!is_member(n) || n->life != e->life || n->seed_count == 0)
        return;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *o = &s->nodes[i];
        if (!is_member(o) || o->joined > n->joined || o == n)
            continue;
        const struct sim_view known = look(s, o, n);
        const struct sim_view knows = look(s, n, o);
        if (is_view || !join_together(s, o, n))
            sim_require(s, SIM_M14, is_alive(&known), "%s is not known to %s", n->name, o->name);
        if (is_view)
            sim_require(s, SIM_M14, is_alive(&knows), "%s does not know %s", n->name, o->name);
    }
}

/* H2. */
static void check_leave(struct sim *s, const struct sim_node *n, const struct sim_event *e)
{
    if (n->life != e->life || n->joined == COVEY_NEVER)
        return;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *o = &s->nodes[i];
        if (!is_member(o) || o == n || o->joined > e->begun)
            continue;
        const struct sim_view v = look(s, o, n);
        sim_require(s, SIM_H2, !v.is_known || v.state == COVEY_NODE_LEFT,
                    "%s holds %s for %s, which left", o->name, n->name,
                    covey_node_state_name(v.state));
    }
}

/* G6: in a quiet cluster everybody has it. */
static void check_tags(struct sim *s, const struct sim_node *n, const struct sim_event *e)
{
    if (!is_member(n) || n->life != e->life || s->oracle.stirred > e->begun || n->joined > e->begun)
        return;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *o = &s->nodes[i];
        if (!is_member(o) || o->joined > e->begun || o == n)
            continue;
        const struct sim_view v = look(s, o, n);
        sim_require(s, SIM_G6, v.is_known && v.body + 1u >= n->bodies.count,
                    "%s has old tags of %s", o->name, n->name);
    }
}

/* --- calm --- */

/* M12. */
static void check_pair(struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    const struct sim_view v = look(s, o, n);
    bool may_suspect = s->graph.all.loss > 0;
    bool is_seen = may_suspect ? v.is_known && v.state < COVEY_NODE_FAILED : is_alive(&v);
    sim_require(s, SIM_M12, is_seen, "%s holds %s for %s", o->name, n->name,
                v.is_known ? covey_node_state_name(v.state) : "unknown");
}

/* M13, T2: about one that runs all have its own last word. */
static void check_agreement(struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    const struct sim_view v = look(s, o, n);
    const struct sim_issue *issue = &n->issues.items[v.issue];
    const struct sim_seen own = sim_see(s, n, n->own);
    sim_require(s, SIM_M13, issue->incarnation == n->own->incarnation,
                "%s knows an old incarnation of %s", o->name, n->name);
    sim_require(s, SIM_T2, v.body == sim_body_find(&n->bodies, &own), "%s has old tags of %s",
                o->name, n->name);
}

static bool is_fair(const struct sim *s)
{
    const struct sim_link *all = &s->graph.all;
    return all->loss < 500 && all->message_loss == 0 && all->rate == 0 && s->graph.set_count == 0 &&
           sim_graph_is_whole(&s->graph) && s->oracle.refused_count == 0 &&
           s->oracle.liar_count == 0;
}

/* How long nothing has happened. */
static covey_time calm_for(const struct sim *s)
{
    covey_time last = s->oracle.stirred;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (is_member(n) && n->joined > last)
            last = n->joined;
    }
    return s->clock.now - last;
}

void sim_check_calm(struct sim *s)
{
    covey_time calm = calm_for(s);
    bool is_settled = is_lossless(s) && calm >= 2 * heal_time(s);
    if (!is_fair(s) || calm < heal_time(s))
        return;
    for (size_t a = 0; a < s->config.node_count; a++) {
        for (size_t b = 0; b < s->config.node_count; b++) {
            const struct sim_node *o = &s->nodes[a];
            const struct sim_node *n = &s->nodes[b];
            if (a == b || !is_member(o) || !is_member(n))
                continue;
            check_pair(s, o, n);
            if (is_settled && sim_violation(s) == NULL)
                check_agreement(s, o, n);
        }
    }
}

/* Looks at X, and at 2 X, after the last that happened. */
static void check_calm(struct sim *s, struct sim_event *e)
{
    covey_time heal = heal_time(s);
    covey_time calm = calm_for(s);
    sim_check_calm(s);
    if (calm >= 2 * heal) {
        s->oracle.is_calm_awaited = false;
        sim_clock_free(&s->clock, e);
        return;
    }
    covey_time next = calm < heal ? heal : 2 * heal;
    sim_clock_set(&s->clock, e, s->clock.now + next - calm);
}

void sim_deadline_event(struct sim *s, struct sim_event *e)
{
    const struct sim_node *n = &s->nodes[e->node];
    /* Others may crash while a death becomes known. */
    covey_time last = e->number == SIM_DEADLINE_DEATH ? s->oracle.disturbed : s->oracle.shaken;
    bool is_undisturbed = last <= e->begun;
    bool is_quiet = is_undisturbed && is_lossless(s) && s->oracle.refused_count == 0 &&
                    s->oracle.liar_count == 0;
    if (e->number == SIM_DEADLINE_CALM) {
        check_calm(s, e);
        return;
    }
    if (e->number == SIM_DEADLINE_MISTAKE && is_undisturbed && is_fair(s))
        check_mistake(s, n, e);
    else if (e->number == SIM_DEADLINE_DEATH && is_quiet)
        check_death(s, n, e);
    else if ((e->number == SIM_DEADLINE_JOIN || e->number == SIM_DEADLINE_VIEW) && is_quiet &&
             was_settled(s, e->begun))
        check_join(s, n, e);
    else if (e->number == SIM_DEADLINE_LEAVE && is_quiet && was_settled(s, e->begun))
        check_leave(s, n, e);
    else if (e->number == SIM_DEADLINE_TAGS && is_quiet && was_settled(s, e->begun))
        check_tags(s, n, e);
    sim_clock_free(&s->clock, e);
}
