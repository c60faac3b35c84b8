#include "sim_internal.h"

#include "cluster/incarnation.h"

/* One observer's record of another node, after each change of it: M1, M2, M5, M9, M11, M15, FD4,
 * T1. */

/* The number of an incarnation that is heard of a node: one that it had, or a liar's. */
static uint32_t issue_of(struct sim *s, const struct sim_node *o, struct sim_node *n,
                         uint64_t incarnation)
{
    struct sim_issues *is = &n->issues;
    uint32_t issue = sim_issue_find(is, incarnation);
    sim_require(s, SIM_M2, issue != SIM_NONE || s->oracle.faults[SIM_FAULT_LIE] > 0,
                "%s: %s never had incarnation %" PRIu64, o->name, n->name, incarnation);
    if (issue != SIM_NONE)
        return issue;
    if (is->count == is->capacity) {
        is->capacity = is->capacity == 0 ? 4 : is->capacity * 2;
        is->items = sim_reallocate(is->items, is->capacity, sizeof(*is->items));
    }
    is->items[is->count] = (struct sim_issue){.incarnation = incarnation, .is_forged = true};
    is->count++;
    return is->count - 1;
}

/* The number of a body, which must be the owner's. A liar's keeps the number that it had before. */
static uint32_t body_of(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                        const struct sim_seen *seen, uint32_t before)
{
    uint32_t body = sim_body_find(&n->bodies, seen);
    bool is_true = body != SIM_NONE;
    sim_require(s, SIM_T1, is_true || s->oracle.lies[SIM_LIE_ADDRESS] > 0,
                "%s has a body (%" PRIu64 ", %" PRIu32 ") of %s that is not its own", o->name,
                seen->body_incarnation, seen->version, n->name);
    return is_true ? body : before;
}

static void check_body(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                       const struct sim_view *before, const struct sim_view *after)
{
    if (!before->is_known || before->body == after->body || s->oracle.lies[SIM_LIE_ADDRESS] > 0)
        return;
    const struct cv_cluster_node *was = n->bodies.items[before->body];
    const struct cv_cluster_node *is = n->bodies.items[after->body];
    sim_require(s, SIM_T1, cv_body_compare(is, was) >= 0, "%s: the body of %s went back", o->name,
                n->name);
}

/* Whether the state may follow: at the same incarnation upwards, at a later one as in the table. */
static bool is_legal(const struct sim_view *before, const struct sim_view *after, int order)
{
    static const unsigned later[] = {
#define BIT(state) (1u << COVEY_NODE_##state)
        [COVEY_NODE_ALIVE] = BIT(ALIVE) | BIT(SUSPECT) | BIT(FAILED) | BIT(LEFT),
        [COVEY_NODE_SUSPECT] = BIT(ALIVE) | BIT(SUSPECT) | BIT(FAILED) | BIT(LEFT),
        [COVEY_NODE_FAILED] = BIT(ALIVE) | BIT(FAILED) | BIT(LEFT),
        [COVEY_NODE_LEFT] = BIT(ALIVE) | BIT(LEFT),
#undef BIT
    };
    return order == 0 || (later[before->state] >> after->state & 1u) != 0;
}

static void check_edge(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                       const struct sim_view *before, const struct sim_view *after)
{
    const struct sim_issue *was = &n->issues.items[before->issue];
    const struct sim_issue *is = &n->issues.items[after->issue];
    int order = cv_incarnation_compare(is->incarnation, was->incarnation);
    sim_require(s, SIM_M1, order > 0 || (order == 0 && after->state >= before->state),
                "%s: %s went from %" PRIu64 " %s to %" PRIu64 " %s", o->name, n->name,
                was->incarnation, covey_node_state_name(before->state), is->incarnation,
                covey_node_state_name(after->state));
    sim_require(s, SIM_M5, is_legal(before, after, order), "%s: %s went from %s to %s", o->name,
                n->name, covey_node_state_name(before->state), covey_node_state_name(after->state));
    bool returns = before->state == COVEY_NODE_LEFT && after->state != COVEY_NODE_LEFT;
    sim_require(s, SIM_M5, !returns || !was->is_left || is->life > was->life || is->is_forged,
                "%s: %s left and is %s again", o->name, n->name,
                covey_node_state_name(after->state));
}

/* Hearsay that a node failed which was just heard counts as a suspicion. */
static void check_hearsay(struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    if (s->oracle.told_by == SIM_NONE || s->oracle.told_by == n->index || o->is_starting)
        return;
    const struct sim_connection *c = sim_connection_find(&s->connections, o->index, n->index);
    /* What a liar sends may not have been read. */
    if (!sim_connection_is_up(c, o->index) || n->liar != NULL)
        return;
    covey_time silence = s->clock.now - c->told[sim_connection_side(c, o->index)];
    bool was_heard = silence < 2 * s->core.gossip.protocol_period;
    /* The core learns of a message when it takes it, which may be after a pause. */
    sim_require(s, SIM_M5, !was_heard || n->is_paused || o->resumed > 0,
                "%s: %s failed by hearsay, though it was heard", o->name, n->name);
}

/* A node that was not scheduled listens before it accuses. */
static void check_accusation(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                             const struct sim_seen *seen)
{
    const struct cv_gossip_config *g = &s->core.gossip;
    bool is_own = cv_node_id_equal(&seen->status.accuser, &o->id);
    if (!is_own || o->resumed == 0 || s->oracle.told_by != SIM_NONE)
        return;
    covey_time wait = seen->status.state == COVEY_NODE_SUSPECT ? g->ack_timeout : g->suspicion_min;
    sim_require(s, SIM_FD4, s->clock.now >= o->resumed + wait + s->planted->impatience,
                "%s was paused and accuses %s at once", o->name, n->name);
}

/* No fault, no chance, no suspicion; but clocks may have jumped. */
bool sim_is_quiet(const struct sim *s)
{
    return !s->oracle.has_disturbance && s->graph.all.delay_max < s->core.gossip.ack_timeout / 4;
}

enum sim_invariant sim_quiet_invariant(const struct sim *s)
{
    return s->oracle.faults[SIM_FAULT_CLOCK] > 0 ? SIM_M15 : SIM_M9;
}

static void check_quiet(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                        enum covey_node_state state)
{
    /* One that left before it had joined tells nobody. */
    if (!sim_is_quiet(s) || n->has_left)
        return;
    sim_require(s, sim_quiet_invariant(s), state == COVEY_NODE_ALIVE || state == COVEY_NODE_LEFT,
                "%s holds %s for %s", o->name, n->name, covey_node_state_name(state));
}

static void check_change(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                         const struct sim_view *before, const struct sim_view *after,
                         const struct sim_seen *seen)
{
    enum covey_node_state state = seen->status.state;
    check_quiet(s, o, n, state);
    if (state == COVEY_NODE_SUSPECT || state == COVEY_NODE_FAILED)
        check_accusation(s, o, n, seen);
    if (!before->is_known)
        return;
    check_edge(s, o, n, before, after);
    if (state == COVEY_NODE_FAILED && before->state == COVEY_NODE_ALIVE)
        check_hearsay(s, o, n);
}

void sim_check_member(struct sim *s, struct sim_node *o, const struct sim_seen *seen)
{
    struct sim_node *n = &s->nodes[seen->subject];
    struct sim_view *view = sim_view_edit(o, n);
    const struct sim_view before = *view;
    struct sim_view after = before;
    after.issue = issue_of(s, o, n, seen->status.incarnation) & SIM_ISSUES_MAX;
    after.body = body_of(s, o, n, seen, before.body) & SIM_ISSUES_MAX;
    after.state = (unsigned)seen->status.state & 3u;
    after.is_known = true;
    after.is_expected = seen->is_expected;
    sim_require(s, SIM_P3,
                after.state != COVEY_NODE_FAILED || !before.is_expected || after.is_expected,
                "%s does not expect %s any more, which failed", o->name, n->name);
    check_body(s, o, n, &before, &after);
    if (!before.is_known || before.issue != after.issue || before.state != after.state)
        check_change(s, o, n, &before, &after, seen);
    *view = after;
    sim_oracle_note(s, o, n, &before, &after);
}

void sim_check_removed(struct sim *s, struct sim_node *o, const struct sim_seen *seen)
{
    struct sim_node *n = &s->nodes[seen->subject];
    struct sim_view *view = sim_view_edit(o, n);
    const struct sim_view before = *view;
    struct sim_view after = before;
    after.is_known = false;
    after.is_expected = false; /* one that was forgotten counts for nothing */
    sim_require(s, SIM_M1, before.state == COVEY_NODE_FAILED || before.state == COVEY_NODE_LEFT,
                "%s forgot %s, which is %s", o->name, n->name, covey_node_state_name(before.state));
    *view = after;
    /* Told of again it is news again. */
    if (s->oracle.sent != NULL)
        s->oracle.sent[(size_t)o->index * s->config.node_count + n->index].count = 0;
    sim_oracle_note(s, o, n, &before, &after);
}
