#ifndef FUZZ_CORE_INVARIANTS_H
#define FUZZ_CORE_INVARIANTS_H

#include "core_driver.h"

/*
 * What must hold of a core between two steps, whatever its peers say. Numbers are those of the
 * project's list of invariants. Everything is found by a full scan.
 */

/* M3, M8, and that the digest sums up what is there. */
static inline void check_registry(const struct driver *d)
{
    const struct cv_node_registry *r = cv_membership_registry(d->m);
    const covey_node_id self = node_id(d->self);
    const struct cv_member *own = cv_node_registry_get(r, &self);
    bool has_left = d->m->state == CV_MEMBERSHIP_LEAVING || d->m->state == CV_MEMBERSHIP_LEFT;
    static struct cv_digest digest;
    size_t counts[4] = {0};
    digest = (struct cv_digest){.buckets = {0}};
    assert(own != NULL && own->state == (has_left ? COVEY_NODE_LEFT : COVEY_NODE_ALIVE));
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *member = cv_node_registry_at(r, i);
        counts[member->state]++;
        if (cv_member_is_live(member))
            cv_digest_add(&digest, member->body, member->incarnation);
        assert((member->trouble == NULL) == (member->state == COVEY_NODE_ALIVE));
        assert(cv_node_registry_get(r, cv_member_id(member)) == member);
        assert(cv_incarnation_compare(member->body->incarnation, member->incarnation) <= 0);
    }
    for (int state = 0; state < 4; state++)
        assert(cv_node_registry_count_state(r, (enum covey_node_state)state) == counts[state]);
    assert(counts[COVEY_NODE_ALIVE] + counts[COVEY_NODE_SUSPECT] <= r->members_max);
    /* We do not take ourselves out of the living for want of room among the gone. */
    assert(counts[COVEY_NODE_FAILED] + counts[COVEY_NODE_LEFT] <= r->members_max + has_left);
    assert(memcmp(&digest, &r->digest, sizeof(digest)) == 0);
}

/* Links as the driver sees them, and timers that must not be missing: nobody is forgotten. */
static inline void check_members(const struct driver *d)
{
    struct cv_gossip_protocol *g = &d->m->gossip;
    size_t connected = 0;
    for (size_t i = 0; i < cv_node_registry_count(&g->registry); i++) {
        const struct cv_member *member = cv_node_registry_at(&g->registry, i);
        const covey_node_id *id = cv_member_id(member);
        enum cv_member_link link = cv_links_peer(&g->links, id) != NULL  ? CV_LINK_UP
                                   : cv_links_is_dialling(&g->links, id) ? CV_LINK_DIALLING
                                                                         : CV_LINK_NONE;
        assert(member->link == (unsigned)link);
        assert(member->trouble == NULL || g->is_leaving ||
               cv_timer_is_set(&member->trouble->alarm.timer));
    }
    for (size_t i = 0; i < NUMBERS; i++)
        connected += d->is_connected[i];
    assert(cv_links_count(&g->links) == connected);
    for (size_t i = 0; i < connected; i++)
        assert(d->is_connected[node_number(&cv_links_at(&g->links, i)->id)]);
    assert(g->links.dial_count == d->dial_count);
    assert(g->outbox.ring.count == 0 && g->outbox.send_count == 0);
    assert(cv_gossip_queue_count(&g->queue) <= g->queue.count_max);
}

static inline bool is_other_live(const struct cv_gossip_protocol *g, const covey_node_id *id)
{
    const struct cv_member *member = cv_node_registry_get(&g->registry, id);
    return member != NULL && member != g->self && cv_member_is_live(member);
}

/* Each chosen one is watched, no one else, and the choice is that of one who begins anew; unless a
 * change is still to be followed, which has its time. */
static inline void check_subjects(const struct driver *d)
{
    struct cv_gossip_protocol *g = &d->m->gossip;
    struct cv_watch_rings anew = g->rings;
    size_t used = 0;
    if (g->rings_changed) {
        assert(g->is_joining || cv_timer_is_set(&g->settle.timer));
        return;
    }
    cv_watch_rings_choose(&anew, &g->registry);
    assert(anew.chosen_count == g->rings.chosen_count);
    for (size_t i = 0; i < anew.chosen_count; i++)
        assert(covey_node_id_compare(&anew.chosen[i], &g->rings.chosen[i]) == 0);
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        const struct cv_watch *watch = &g->watches.subjects[i];
        if (!watch->is_used)
            continue;
        used++;
        assert(is_other_live(g, &watch->subject));
        assert(cv_watch_rings_misses(&g->rings, &watch->subject));
        assert(cv_timer_is_set(&watch->alarm.timer));
    }
    assert(used == g->rings.chosen_count && used <= g->config.watch_count);
}

static inline void check_watches(const struct driver *d)
{
    struct cv_gossip_protocol *g = &d->m->gossip;
    if (!g->is_leaving)
        check_subjects(d);
    assert(g->watches.watcher_count <= g->config.watch_count * CV_WATCHERS_PER_RING);
    for (size_t i = 0; i < g->watches.watcher_count; i++) {
        const covey_node_id *id = &g->watches.watchers[i].id;
        assert(is_other_live(g, id));
        for (size_t j = 0; j < i; j++)
            assert(covey_node_id_compare(id, &g->watches.watchers[j].id) != 0);
    }
    assert(g->watches.watcher_count == 0 || g->is_leaving || cv_timer_is_set(&g->heartbeat.timer));
}

/* In a full mesh everybody is probed, and probes go on; news that somebody could hear is told. */
static inline void check_protocol(const struct driver *d)
{
    struct cv_gossip_protocol *g = &d->m->gossip;
    size_t live = cv_node_registry_live_count(&g->registry);
    size_t listeners = 0;
    if (g->is_leaving)
        return;
    assert(!g->is_mesh || g->order.count == live - 1);
    assert(g->order.count == 0 || cv_timer_is_set(&g->tick.timer));
    for (size_t i = 0; i < cv_links_count(&g->links); i++)
        listeners += is_other_live(g, &cv_links_at(&g->links, i)->id);
    assert(cv_gossip_queue_count(&g->queue) == 0 || listeners == 0 ||
           d->m->state != CV_MEMBERSHIP_JOINED || cv_timer_is_set(&g->gossip.timer));
}

/* P2, P3, P4. */
static inline void check_partition(const struct driver *d)
{
    const struct cv_partition_detector *p = &d->m->partition.detector;
    const struct cv_node_registry *r = cv_membership_registry(d->m);
    const struct cv_partition_status status = cv_membership_partition(d->m);
    uint64_t expected = 0, alive = 0;
    const struct cv_member *lowest = NULL;
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *member = cv_node_registry_at(r, i);
        expected += member->is_expected;
        alive += member->is_expected && member->state == COVEY_NODE_ALIVE;
        /* Only without a quorum there are some who do not count. */
        assert(member->is_expected || !cv_member_is_live(member) ||
               (d->m->gossip.deferred_joins > 0 && d->m->gossip.has_no_quorum));
        if (member->is_expected &&
            (lowest == NULL ||
             covey_node_id_compare(cv_member_id(member), cv_member_id(lowest)) < 0))
            lowest = member;
    }
    assert(p->learnt == expected && expected >= 1);
    assert(status.expected == (p->set_by_hand != 0 ? p->set_by_hand : expected));
    assert(status.grace_remaining <= p->config.grace);
    assert(status.grace_remaining == 0 || status.state == CV_PARTITION_SUSPECT);
    if (d->m->state != CV_MEMBERSHIP_JOINED)
        return;
    bool is_tie = 2 * alive == status.expected;
    bool wins_tie = is_tie && p->config.tie_break && lowest->state == COVEY_NODE_ALIVE;
    bool has_quorum = 100 * alive > (uint64_t)p->config.quorum_percent * status.expected ||
                      (wins_tie && p->config.quorum_percent == 50);
    assert(status.alive == alive && status.state != CV_PARTITION_UNKNOWN);
    assert(status.minority == (2 * alive < status.expected || (is_tie && !wins_tie)));
    assert(has_quorum || status.state != CV_PARTITION_HEALTHY);
    assert(status.state == CV_PARTITION_HEALTHY || cv_timer_is_set(&d->m->partition.alarm.timer) ||
           (status.state == CV_PARTITION_PARTITIONED && !has_quorum));
}

static inline void check_core_fully(struct driver *d)
{
    uint64_t version = cv_node_registry_version(cv_membership_registry(d->m));
    if (version != d->checked)
        check_registry(d);
    d->checked = version;
    check_members(d);
    check_watches(d);
    check_protocol(d);
    check_partition(d);
    assert(d->m->state != CV_MEMBERSHIP_LEFT || cv_membership_deadline(d->m) == COVEY_NEVER);
}

/* With more members less often: the scans take their time. */
static inline void check_core(struct driver *d)
{
    size_t known = cv_node_registry_count(cv_membership_registry(d->m));
    size_t often = known <= 8 ? 1 : known;
    d->steps++;
    if (d->steps % often == 0)
        check_core_fully(d);
    assert(d->m->gossip.outbox.ring.count == 0 && d->m->transfer_count == 0);
}

/* ---- a step ---- */

/* What a refused input must leave as it is. */
struct core_mark {
    uint64_t version;
    size_t count;
    enum cv_membership_state state;
    uint32_t expected;
    size_t queued;
    uint64_t probes;
};

static inline struct core_mark core_mark(const struct driver *d)
{
    return (struct core_mark){
        .version = cv_node_registry_version(cv_membership_registry(d->m)),
        .count = cv_node_registry_count(cv_membership_registry(d->m)),
        .state = d->m->state,
        .expected = d->m->partition.detector.learnt,
        .queued = cv_gossip_queue_count(&d->m->gossip.queue),
        .probes = d->m->gossip.counters.probes_sent,
    };
}

static inline void check_unchanged(const struct core_mark *before, const struct core_mark *after,
                                   int error)
{
    assert(before->version == after->version && before->count == after->count);
    assert(before->expected == after->expected);
    /* The last seed may have been closed for nonsense. */
    assert(before->state == after->state ||
           (error == COVEY_ERR_MALFORMED && after->state == CV_MEMBERSHIP_JOIN_FAILED));
}

/* Takes the input; the outputs wait. */
static inline int driver_try(struct driver *d, struct cv_input *input)
{
    const struct core_mark before = core_mark(d);
    input->now = d->now;
    input->wall_ms = d->wall_ms;
    d->is_told = input->type == CV_INPUT_MESSAGE;
    int error = cv_membership_step(d->m, input);
    const struct core_mark after = core_mark(d);
    assert(error == COVEY_OK || input->type == CV_INPUT_COMMAND || error == COVEY_ERR_NO_MEMORY ||
           (error == COVEY_ERR_MALFORMED && input->type == CV_INPUT_MESSAGE));
    /* One of several alarms may have rung before the memory ended. */
    if (error != COVEY_OK && input->type != CV_INPUT_TIME)
        check_unchanged(&before, &after, error);
    /* Who leaves probes nobody. */
    if (before.state == CV_MEMBERSHIP_LEAVING)
        assert(after.probes == before.probes);
    /* What a step brought about may be due at once, but not again and again. */
    bool is_due = cv_membership_deadline(d->m) <= d->now && input->type == CV_INPUT_TIME;
    d->steps_due = is_due && error == COVEY_OK ? d->steps_due + 1 : 0;
    assert(d->steps_due < 4);
    return error;
}

static inline int driver_step(struct driver *d, struct cv_input *input)
{
    int error = driver_try(d, input);
    drain(d);
    check_core(d);
    return error;
}

#endif
