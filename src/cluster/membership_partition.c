#include "cluster/membership_internal.h"

/*
 * How large the cluster is meant to be, and whether we still see enough of it. A member counts from
 * when it is first known alive until it has left: by its own word at once, by hearsay when it has
 * not taken that back for as long as a suspicion may last, so that a forged goodbye moves no quorum
 * (docs/decisions/0009). A failed one counts until it is forgotten.
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

void cv_partition_update(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_partition_detector *d = &m->partition.detector;
    bool is_resized = g->expected_joins > 0 || g->expected_leaves > 0;
    for (; g->expected_joins > 0; g->expected_joins--)
        cv_partition_detector_joined(d);
    for (; g->expected_leaves > 0; g->expected_leaves--)
        cv_partition_detector_left(d);
    uint64_t version = cv_node_registry_version(&g->registry);
    if (m->state != CV_MEMBERSHIP_JOINED || (version == m->partition.version && !is_resized))
        return;
    m->partition.version = version;
    size_t alive = cv_node_registry_count_state(&g->registry, COVEY_NODE_ALIVE);
    bool lowest = d->config.tie_break && holds_lowest_id(&g->registry);
    bool was_unknown = d->state == CV_PARTITION_UNKNOWN;
    bool has_changed = cv_partition_detector_update(d, g->now, (uint32_t)alive, lowest);
    /* That all is well at first is no news. */
    tell(m, has_changed && !(was_unknown && d->state == CV_PARTITION_HEALTHY));
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
