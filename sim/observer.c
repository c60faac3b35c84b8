#include "sim_internal.h"

#include "cluster/incarnation.h"

/* What became of crashes, tags and partitions, by the views that the checker keeps. */

static bool runs(const struct sim_node *n)
{
    return n->membership != NULL;
}

static const struct sim_view *view_of(const struct sim *s, const struct sim_node *o,
                                      const struct sim_node *n)
{
    return &o->views[n - s->nodes];
}

static bool holds_failed(const struct sim_view *v)
{
    return v->is_known && v->state == COVEY_NODE_FAILED;
}

static bool shows(const struct sim_view *v, const struct sim_node *n)
{
    int order = cv_incarnation_compare(v->body_incarnation, n->spread_incarnation);
    return v->is_known && (order > 0 || (order == 0 && v->version >= n->spread_version));
}

static bool holds_alive(const struct sim_view *v)
{
    return v->is_known && v->state == COVEY_NODE_ALIVE;
}

static size_t count_up(const struct sim *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->config.node_count; i++)
        count += runs(&s->nodes[i]);
    return count;
}

static void finish(struct sim *s, struct sim_node *n, size_t up)
{
    if (!runs(n) && n->death.at != COVEY_NEVER && n->death.all_failed == COVEY_NEVER &&
        n->failed_by == up && up > 0)
        n->death.all_failed = s->now;
    if (runs(n) && n->spread.at != COVEY_NEVER && n->spread.all == COVEY_NEVER &&
        n->shown_by + 1 == up)
        n->spread.all = s->now;
}

/* Who runs has changed. */
static void recount(struct sim *s)
{
    size_t up = count_up(s);
    s->has_wrong_count = false;
    for (size_t i = 0; i < s->config.node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        if (n->death.at == COVEY_NEVER && n->spread.at == COVEY_NEVER)
            continue;
        n->failed_by = 0;
        n->shown_by = 0;
        for (size_t o = 0; o < s->config.node_count; o++) {
            const struct sim_node *observer = &s->nodes[o];
            if (o == i || !runs(observer))
                continue;
            n->failed_by += holds_failed(view_of(s, observer, n));
            n->shown_by += shows(view_of(s, observer, n), n);
        }
        finish(s, n, up);
    }
}

void sim_observe_start(struct sim *s)
{
    recount(s);
}

void sim_observe_crash(struct sim *s, struct sim_node *n)
{
    n->death = (struct sim_death){s->now, COVEY_NEVER, COVEY_NEVER, COVEY_NEVER};
    recount(s);
}

void sim_observe_tags(struct sim *s, struct sim_node *n)
{
    const struct cv_node_registry *registry = cv_membership_registry(n->membership);
    const struct cv_cluster_node *body = cv_node_registry_get(registry, &n->id)->record.body;
    n->spread = (struct sim_spread){s->now, COVEY_NEVER};
    n->spread_incarnation = body->incarnation;
    n->spread_version = body->version;
    recount(s);
}

/* --- partitions --- */

static void count_wrong(struct sim *s)
{
    s->wrong_count = 0;
    s->has_wrong_count = true;
    for (size_t o = 0; o < s->config.node_count; o++) {
        for (size_t i = 0; i < s->config.node_count; i++) {
            if (o != i && runs(&s->nodes[o]) && runs(&s->nodes[i]))
                s->wrong_count += !holds_alive(&s->nodes[o].views[i]);
        }
    }
}

static void look_whether_whole(struct sim *s)
{
    if (s->totals.healed_at == COVEY_NEVER || s->totals.whole_at != COVEY_NEVER)
        return;
    if (!s->has_wrong_count)
        count_wrong(s);
    if (s->wrong_count == 0)
        s->totals.whole_at = s->now;
}

void sim_observe_heal(struct sim *s)
{
    s->totals.healed_at = s->now;
    s->totals.whole_at = COVEY_NEVER;
    look_whether_whole(s);
}

/* --- changes --- */

static bool can_be_reached(const struct sim *s, const struct sim_node *o, const struct sim_node *n)
{
    size_t from = (size_t)(o - s->nodes);
    size_t to = (size_t)(n - s->nodes);
    return runs(n) && !n->is_paused && !sim_is_cut(s, from, to) && !sim_is_cut(s, to, from);
}

static void count_failure(struct sim *s, const struct sim_node *o, struct sim_node *n)
{
    s->totals.failures++;
    s->totals.false_failed += can_be_reached(s, o, n);
    if (!runs(n) && n->death.first_failed == COVEY_NEVER)
        n->death.first_failed = s->now;
}

void sim_observe_change(struct sim *s, struct sim_node *o, struct sim_node *n,
                        const struct sim_view *before, const struct cv_node_status *after)
{
    const struct sim_view *now = view_of(s, o, n);
    if (after->state == COVEY_NODE_FAILED && !holds_failed(before))
        count_failure(s, o, n);
    if (after->state == COVEY_NODE_SUSPECT && !runs(n) && n->death.first_suspect == COVEY_NEVER)
        n->death.first_suspect = s->now;
    n->failed_by += holds_failed(now);
    n->failed_by -= holds_failed(before);
    n->shown_by += shows(now, n);
    n->shown_by -= shows(before, n);
    if (s->has_wrong_count && runs(n)) {
        s->wrong_count += holds_alive(before);
        s->wrong_count -= holds_alive(now);
    }
    finish(s, n, count_up(s));
    look_whether_whole(s);
    if (s->change != NULL && (!before->is_known || before->state != after->state))
        s->change(s->change_user, (size_t)(o - s->nodes), (size_t)(n - s->nodes),
                  before->is_known ? &before->state : NULL, &after->state);
}

void sim_on_change(struct sim *s, sim_change_fn change, void *user)
{
    s->change = change;
    s->change_user = user;
}

struct sim_death sim_death(const struct sim *s, size_t node)
{
    return s->nodes[node].death;
}

struct sim_spread sim_tag_spread(const struct sim *s, size_t node)
{
    return s->nodes[node].spread;
}

struct sim_totals sim_totals(const struct sim *s)
{
    struct sim_totals totals = s->totals;
    totals.steps = s->steps;
    totals.suspicions = s->suspicion_total;
    totals.violations = s->violation[0] != '\0';
    totals.hash = s->hash;
    return totals;
}
