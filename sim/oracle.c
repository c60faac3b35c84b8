#include "sim_internal.h"

#include "cluster/tags.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The truth, kept from what nodes say of themselves; and the bookkeeping of what others believe. */

static const char *const names[] = {
#define NAME(id, text) [SIM_##id] = #id,
    SIM_INVARIANTS(NAME)
#undef NAME
};

static const char *const texts[] = {
#define TEXT(id, text) [SIM_##id] = text,
    SIM_INVARIANTS(TEXT)
#undef TEXT
};

const char *sim_invariant_name(enum sim_invariant id)
{
    return names[id];
}

const char *sim_invariant_text(enum sim_invariant id)
{
    return texts[id];
}

uint64_t sim_invariant_checks(const struct sim *s, enum sim_invariant id)
{
    return s->oracle.checks[id];
}

enum sim_invariant sim_invariant_broken(const struct sim *s)
{
    return s->oracle.broken;
}

void sim_fail(struct sim *s, enum sim_invariant id, const char *format, ...)
{
    if (s->violation[0] != '\0')
        return;
    s->oracle.broken = id;
    int head = snprintf(s->violation, sizeof(s->violation),
                        "seed %" PRIu64 ", step %" PRIu64 ", %" PRIu64 " ms: %s: ", s->config.seed,
                        s->steps, s->clock.now / COVEY_MILLISECOND, names[id]);
    va_list args;
    va_start(args, format);
    vsnprintf(s->violation + head, sizeof(s->violation) - (size_t)head, format, args);
    va_end(args);
}

void sim_oracle_init(struct sim *s)
{
    size_t count = s->config.node_count;
    struct sim_oracle *o = &s->oracle;
    o->broken = SIM_INVARIANT_COUNT;
    o->told_by = SIM_NONE;
    o->healed_at = COVEY_NEVER;
    o->whole_at = COVEY_NEVER;
    o->has_disturbance = s->config.loss_permille > 0;
    for (size_t i = 0; i < SIM_VIEWS_PER_PAGE; i++)
        s->known_page.views[i] =
            (struct sim_view){.state = COVEY_NODE_ALIVE, .is_known = true, .is_joined = true};
    s->planted = &sim_planted_none;
    cv_rand_seed(&o->rand, s->config.seed ^ UINT64_C(0x100c));
    cv_rand_seed(&o->health_rand, s->config.seed ^ UINT64_C(0x4ea1));
    if (!sim_is_small(s))
        return;
    o->event_counts = sim_allocate(count * count * SIM_EVENT_TYPES, sizeof(*o->event_counts));
    o->sent = sim_allocate(count * count, sizeof(struct sim_sent));
    o->audience = sim_audience_new();
}

void sim_oracle_fini(struct sim *s)
{
    free(s->oracle.event_counts);
    free(s->oracle.sent);
    if (s->oracle.audience != NULL)
        sim_audience_free(s->oracle.audience);
}

/* --- who is who --- */

uint32_t sim_index_of(const covey_node_id *id)
{
    uint32_t index = 0;
    for (size_t i = 0; i < 4; i++)
        index = index << 8 | id->bytes[12 + i];
    return index;
}

struct sim_node *sim_node_of(struct sim *s, const covey_node_id *id)
{
    uint32_t index = sim_index_of(id);
    /* The node itself may be in no cache. */
    return index < s->config.node_count && cv_node_id_equal(&s->ids[index], id) ? &s->nodes[index]
                                                                                : NULL;
}

const struct sim_view *sim_view_of(const struct sim_node *o, const struct sim_node *subject)
{
    return sim_views_at(&o->views, subject->index);
}

struct sim_view *sim_view_edit(struct sim_node *o, const struct sim_node *subject)
{
    return sim_views_edit(&o->views, subject->index);
}

struct sim_seen sim_see(struct sim *s, const struct sim_node *o, const struct cv_member *m)
{
    const struct sim_node *n = sim_node_of(s, cv_member_id(m));
    struct sim_seen seen = {
        .subject = n == NULL ? SIM_NONE : n->index,
        .status = cv_member_status(m),
        .body = m->body,
        .address = m->body->address,
        .is_expected = m->is_expected,
        .body_incarnation = m->body->incarnation,
        .version = m->body->version,
    };
    if (s->planted->seen != NULL)
        s->planted->seen(o, &seen);
    return seen;
}

enum covey_node_state sim_see_state(struct sim *s, const struct sim_node *o,
                                    const struct cv_member *m)
{
    if (s->planted->seen != NULL)
        return sim_see(s, o, m).status.state;
    return (enum covey_node_state)m->state;
}

bool sim_can_reach(const struct sim *s, const struct sim_node *a, const struct sim_node *b)
{
    return a->membership != NULL && b->membership != NULL && !a->is_paused && !b->is_paused &&
           !a->is_held && !b->is_held && !sim_graph_is_cut(&s->graph, a->index, b->index) &&
           !sim_graph_is_cut(&s->graph, b->index, a->index);
}

/* --- what nodes said of themselves --- */

uint32_t sim_issue_find(const struct sim_issues *is, uint64_t incarnation)
{
    for (uint32_t i = is->count; i-- > 0;) {
        if (is->items[i].incarnation == incarnation)
            return i;
    }
    return SIM_NONE;
}

static bool is_same(const struct cv_cluster_node *a, const struct cv_cluster_node *b)
{
    return a == b || (cv_tags_equal(a, b) && cv_address_equal(&a->address, &b->address) &&
                      strcmp(a->name, b->name) == 0);
}

uint32_t sim_body_find(const struct sim_bodies *bs, const struct sim_seen *seen)
{
    for (uint32_t i = bs->count; i-- > 0;) {
        const struct cv_cluster_node *body = bs->items[i];
        if (body->incarnation == seen->body_incarnation && body->version == seen->version &&
            is_same(body, seen->body))
            return i;
    }
    return SIM_NONE;
}

/* --- changes of a registry --- */

/* One of the members that a node begins with: word for word what it was given, which is what its view
 * says. The rest of the checks would find nothing else. */
static bool is_as_known(const struct sim *s, const struct sim_node *o, const struct cv_member *m)
{
    const struct cv_record *known = &s->known[m->slot < s->config.node_count ? m->slot : 0];
    return m->body == known->body && m->incarnation == known->status.incarnation &&
           m->state == COVEY_NODE_ALIVE && m->trouble == NULL && m->slot != o->index;
}

/* It said something since the start. What all begin with is no news to anybody. */
static bool has_news(const struct sim *s, const struct sim_node *n)
{
    return n->bodies.count > (s->known == NULL ? 0 : 1);
}

static void note_body(struct sim *s, struct sim_node *n, const struct sim_view *before,
                      const struct sim_view *after)
{
    uint32_t last = n->bodies.count - 1;
    if (!has_news(s, n))
        return;
    bool showed = before->is_known && before->body == last;
    bool shows = after->is_known && after->body == last;
    n->shown_by += shows && !showed;
    n->shown_by -= showed && !shows;
    if (n->spread.at != COVEY_NEVER && n->spread.all == COVEY_NEVER &&
        n->shown_by + 1 >= s->up_count)
        n->spread.all = s->clock.now;
}

static void changed(void *user, const struct cv_member *m)
{
    struct sim_node *o = user;
    struct sim *s = o->sim;
    if (o->is_starting && o->begins_as_known && is_as_known(s, o, m)) {
        o->known_count++;
        s->oracle.checks[SIM_M2]++;
        s->oracle.checks[SIM_T1]++;
        return;
    }
    const struct sim_seen seen = sim_see(s, o, m);
    if (seen.subject == SIM_NONE) {
        s->oracle.strangers++;
        sim_require(s, SIM_M2, s->oracle.lies[SIM_LIE_STRANGER] > 0, "%s knows a stranger",
                    o->name);
    } else if (seen.subject == o->index) {
        o->own = m;
        sim_check_own(s, o, &seen);
    } else {
        sim_check_member(s, o, &seen);
    }
}

static void adopted(void *user, const struct cv_node_registry *r)
{
    for (size_t i = 0; i < cv_node_registry_count(r); i++)
        changed(user, cv_node_registry_at(r, i));
}

static void removed(void *user, const struct cv_member *m)
{
    struct sim_node *o = user;
    const struct sim_seen seen = sim_see(o->sim, o, m);
    if (seen.subject != SIM_NONE)
        sim_check_removed(o->sim, o, &seen);
}

void sim_watch(struct sim_node *n)
{
    n->watcher = (struct cv_registry_watcher){
        .changed = changed, .removed = removed, .adopted = adopted, .user = n};
}

/* --- who is wrong about whom --- */

static bool is_wrong(const struct sim_view *v)
{
    return !v->is_known || v->state != COVEY_NODE_ALIVE;
}

/* How many pairs with this node, of those that run, do not hold each other for alive. */
static size_t count_wrong(const struct sim *s, const struct sim_node *n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < s->config.node_count; i++) {
        const struct sim_node *other = &s->nodes[i];
        if (other->membership == NULL || other == n)
            continue;
        wrong += is_wrong(sim_view_of(n, other)) + is_wrong(sim_view_of(other, n));
    }
    return wrong;
}

static void count_all_wrong(struct sim *s)
{
    size_t twice = 0;
    for (size_t i = 0; i < s->config.node_count; i++) {
        if (s->nodes[i].membership != NULL)
            twice += count_wrong(s, &s->nodes[i]);
    }
    s->oracle.wrong_count = twice / 2;
    s->oracle.has_wrong_count = true;
}

static void note_whole(struct sim *s)
{
    if (s->oracle.healed_at != COVEY_NEVER && s->oracle.whole_at == COVEY_NEVER &&
        s->oracle.has_wrong_count && s->oracle.wrong_count == 0)
        s->oracle.whole_at = s->clock.now;
}

bool sim_all_alive(struct sim *s)
{
    if (!s->oracle.has_wrong_count)
        count_all_wrong(s);
    return s->oracle.wrong_count == 0;
}

void sim_oracle_healed(struct sim *s)
{
    s->oracle.healed_at = s->clock.now;
    s->oracle.whole_at = COVEY_NEVER;
    sim_all_alive(s);
    note_whole(s);
}

/* Members known from the start are no news: no event tells of them. */
static void announce_known(const struct sim *s, struct sim_node *n)
{
    for (size_t i = 0; i < s->config.node_count && !n->begins_as_known; i++) {
        struct sim_view *view = sim_view_edit(n, &s->nodes[i]);
        view->is_joined = view->is_known;
    }
}

/* In a large cluster that starts with full views, where each pair has its price, a node's views begin
 * as what it is given. One that watches nobody does not adopt the roster, and takes its members one by
 * one. */
void sim_oracle_starts(struct sim *s, struct sim_node *n)
{
    n->known_count = 0;
    n->begins_as_known = s->known != NULL && n->life == 1 && !sim_is_small(s) &&
                         s->core.gossip.watch_count > 0 && s->planted->seen == NULL &&
                         s->oracle.change == NULL;
    sim_views_reset(&n->views, s->config.node_count, n->begins_as_known ? &s->known_page : NULL);
    if (n->begins_as_known)
        *sim_view_edit(n, n) = (struct sim_view){.is_known = false};
}

void sim_oracle_started(struct sim *s, struct sim_node *n)
{
    struct sim_oracle *o = &s->oracle;
    assert(n->own != NULL);
    assert(!n->begins_as_known || n->known_count + 1 == s->config.node_count);
    n->shown_by = 0;
    if (s->known != NULL && n->life == 1)
        announce_known(s, n);
    if (o->has_wrong_count)
        o->wrong_count += count_wrong(s, n);
    o->stirred = s->clock.now;
    sim_expect_calm(s);
}

/* What it believed does not count any more. */
static void forget_views(struct sim *s, const struct sim_node *o)
{
    for (size_t i = 0; i < s->config.node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        const struct sim_view *v = sim_view_of(o, n);
        n->failed_by -= v->is_known && v->state == COVEY_NODE_FAILED;
        n->shown_by -= v->is_known && has_news(s, n) && v->body + 1u == n->bodies.count;
    }
}

void sim_oracle_crashed(struct sim *s, struct sim_node *n)
{
    struct sim_oracle *o = &s->oracle;
    /* A process that ends after its goodbye is no fault. */
    if (cv_membership_state(n->membership) != CV_MEMBERSHIP_LEFT)
        sim_fault(s, SIM_FAULT_CRASH);
    if (o->has_wrong_count)
        o->wrong_count -= count_wrong(s, n);
    forget_views(s, n);
    n->death = (struct sim_death){s->clock.now, COVEY_NEVER, COVEY_NEVER, COVEY_NEVER};
    if (!n->has_left)
        sim_expect(s, SIM_DEADLINE_DEATH, n, NULL);
}

/* When all who run hold the dead for failed. */
static void note_all_failed(struct sim *s, struct sim_node *n)
{
    struct sim_death *d = &n->death;
    if (n->membership == NULL && d->at != COVEY_NEVER && d->all_failed == COVEY_NEVER &&
        n->failed_by >= s->up_count)
        d->all_failed = s->clock.now;
}

void sim_oracle_is_gone(struct sim *s)
{
    for (size_t i = 0; i < s->config.node_count; i++)
        note_all_failed(s, &s->nodes[i]);
}

static void note_death(struct sim *s, struct sim_node *n, enum covey_node_state state)
{
    struct sim_death *d = &n->death;
    if (n->membership != NULL || d->at == COVEY_NEVER)
        return;
    if (state == COVEY_NODE_SUSPECT && d->first_suspect == COVEY_NEVER)
        d->first_suspect = s->clock.now;
    if (state == COVEY_NODE_FAILED && d->first_failed == COVEY_NEVER)
        d->first_failed = s->clock.now;
    note_all_failed(s, n);
}

static void note_failed(struct sim *s, struct sim_node *o, struct sim_node *n)
{
    s->oracle.failures++;
    if (!sim_can_reach(s, o, n) || n->has_left)
        return;
    s->oracle.false_failed++;
    sim_expect(s, SIM_DEADLINE_MISTAKE, n, o);
}

void sim_on_change(struct sim *s, sim_change_fn change, void *user)
{
    s->oracle.change = change;
    s->oracle.change_user = user;
}

static void tell_change(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                        const struct sim_view *before, const struct sim_view *after)
{
    enum covey_node_state was = before->state;
    enum covey_node_state is = after->state;
    if (s->oracle.change != NULL)
        s->oracle.change(s->oracle.change_user, o->index, n->index, before->is_known ? &was : NULL,
                         after->is_known ? &is : NULL);
}

void sim_oracle_note(struct sim *s, struct sim_node *o, struct sim_node *n,
                     const struct sim_view *before, const struct sim_view *after)
{
    bool was_failed = before->is_known && before->state == COVEY_NODE_FAILED;
    bool is_failed = after->is_known && after->state == COVEY_NODE_FAILED;
    n->failed_by += is_failed && !was_failed;
    n->failed_by -= was_failed && !is_failed;
    if (s->oracle.has_wrong_count && n->membership != NULL && !o->is_starting) {
        s->oracle.wrong_count += is_wrong(after) && !is_wrong(before);
        s->oracle.wrong_count -= is_wrong(before) && !is_wrong(after);
        note_whole(s);
    }
    note_body(s, n, before, after);
    if (before->is_known == after->is_known && before->state == after->state)
        return;
    s->oracle.suspicions += after->is_known && after->state == COVEY_NODE_SUSPECT;
    if (is_failed)
        note_failed(s, o, n);
    note_death(s, n, after->state);
    tell_change(s, o, n, before, after);
    sim_trace_line(s, "%s: %s %s -> %s", o->name, n->name,
                   before->is_known ? covey_node_state_name(before->state) : "unknown",
                   after->is_known ? covey_node_state_name(after->state) : "unknown");
}
