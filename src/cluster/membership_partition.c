#include "cluster/membership_internal.h"

/*
 * How large the cluster is meant to be, and whether we still see enough of it
 * (docs/decisions/0009). A member counts from when it is first known alive until it has left: by its
 * own word at once, by hearsay when it has not taken that back for as long as a suspicion may last,
 * so that a forged goodbye moves no quorum. A failed one counts until it is forgotten. Who comes
 * while we have no quorum counts for nothing until we have one again: a minority must not grow into
 * a majority by taking in new members.
 */

void cv_partition_init(struct cv_membership *m, const struct cv_membership_config *config)
{
    cv_partition_detector_init(&m->partition.detector, &config->partition);
    cv_partition_detector_set_expected(&m->partition.detector, config->expected_size);
    m->partition.alarm.kind = CV_ALARM_PARTITION;
    m->gossip.self->is_expected = true;
}

static void tell(struct cv_membership *m, bool has_changed)
{
    struct cv_gossip_protocol *g = &m->gossip;
    if (has_changed) {
        struct cv_output output = {.type = CV_OUTPUT_EVENT};
        output.event.type = COVEY_EVENT_PARTITION_DETECTED;
        output.event.wall_ms = g->wall_ms;
        output.event.partition = cv_membership_partition(m);
        cv_outbox_put(&g->outbox, &output);
    }
    cv_heap_set(&g->heap, &m->partition.alarm.timer,
                cv_partition_detector_deadline(&m->partition.detector));
}

/* True when nobody expected has a lower id than all who are alive. */
static bool holds_lowest_id(const struct cv_node_registry *r)
{
    const struct cv_member *lowest = NULL;
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *member = cv_node_registry_at(r, i);
        if (member->is_expected &&
            (lowest == NULL ||
             covey_node_id_compare(cv_member_id(member), cv_member_id(lowest)) < 0))
            lowest = member;
    }
    return lowest != NULL && lowest->state == COVEY_NODE_ALIVE;
}

/* Tells the detector who joined and who left; false when nobody did. */
static bool resize(struct cv_gossip_protocol *g, struct cv_partition_detector *d)
{
    bool resized = g->expected_joins > 0 || g->expected_leaves > 0;
    for (; g->expected_joins > 0; g->expected_joins--)
        cv_partition_detector_joined(d);
    for (; g->expected_leaves > 0; g->expected_leaves--)
        cv_partition_detector_left(d);
    return resized;
}

/* The alive members that count. */
static uint32_t count_alive(const struct cv_gossip_protocol *g)
{
    const struct cv_node_registry *r = &g->registry;
    uint32_t count = 0;
    if (g->deferred_joins == 0)
        return (uint32_t)cv_node_registry_count_state(r, COVEY_NODE_ALIVE);
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *member = cv_node_registry_at(r, i);
        count += member->is_expected && member->state == COVEY_NODE_ALIVE;
    }
    return count;
}

/* There is a quorum to take in those who came while there was none. */
static void count_deferred(struct cv_gossip_protocol *g)
{
    for (size_t i = 0; i < cv_node_registry_count(&g->registry); i++) {
        struct cv_member *member = cv_node_registry_at(&g->registry, i);
        if (member->is_expected || !cv_member_is_live(member))
            continue;
        member->is_expected = true;
        g->expected_joins++;
    }
    g->deferred_joins = 0;
}

static void judge(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_partition_detector *d = &m->partition.detector;
    bool was_unknown = d->state == CV_PARTITION_UNKNOWN;
    bool lowest = d->config.tie_break && holds_lowest_id(&g->registry);
    bool has_changed = cv_partition_detector_update(d, g->now, count_alive(g), lowest);
    /* A size that was set by hand needs everybody who comes. */
    g->has_no_quorum = !d->has_quorum && d->set_by_hand == 0;
    /* That all is well at first is no news. */
    tell(m, has_changed && !(was_unknown && d->state == CV_PARTITION_HEALTHY));
}

void cv_partition_update(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_partition_detector *d = &m->partition.detector;
    uint64_t version = cv_node_registry_version(&g->registry);
    bool resized = resize(g, d);
    if (m->state != CV_MEMBERSHIP_JOINED || (version == m->partition.version && !resized))
        return;
    m->partition.version = version;
    judge(m);
    if (g->has_no_quorum || g->deferred_joins == 0)
        return;
    count_deferred(g);
    resize(g, d);
    judge(m);
}

void cv_partition_alarm(struct cv_membership *m)
{
    tell(m, cv_partition_detector_tick(&m->partition.detector, m->gossip.now));
}

void cv_partition_expect(struct cv_membership *m, uint32_t size)
{
    cv_partition_detector_set_expected(&m->partition.detector, size);
    m->partition.version = 0;
}

struct cv_partition_status cv_membership_partition(const struct cv_membership *m)
{
    return cv_partition_detector_status(&m->partition.detector, m->gossip.now);
}
