#include "sim_internal.h"

/* E2: events of one node follow (joined (tags_updated | failed recovered)* failed? left)*. H2: a
 * node that left is not told of as failed. */

/* True when the automaton allows the event; moves it on. */
static bool may_come(struct sim_view *view, enum covey_event_type type)
{
    bool joined = view->is_joined;
    bool failed = view->is_failed;
    switch (type) {
    case COVEY_EVENT_NODE_JOINED:
        view->is_joined = true;
        view->is_failed = false;
        return !joined;
    case COVEY_EVENT_NODE_LEFT:
        view->is_joined = false;
        view->is_failed = false;
        return joined;
    case COVEY_EVENT_NODE_FAILED:
        view->is_failed = true;
        return joined && !failed;
    case COVEY_EVENT_NODE_RECOVERED:
        view->is_failed = false;
        return joined && failed;
    case COVEY_EVENT_NODE_TAGS_UPDATED:
        return joined && !failed;
    case COVEY_EVENT_PARTITION_DETECTED:
    case COVEY_EVENT_HEALTH_CHECK_FAILED:
    case COVEY_EVENT_NODE_CONFLICT:
    case COVEY_EVENT_PEER_MISBEHAVED:
    case COVEY_EVENT_EVENTS_DROPPED:
    case COVEY_EVENT_LOOP_HELD_UP:
        break;
    }
    return true;
}

static void count(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                  enum covey_event_type type)
{
    size_t pair = (size_t)o->index * s->config.node_count + n->index;
    if (s->oracle.event_counts != NULL)
        s->oracle.event_counts[pair * SIM_EVENT_TYPES + type]++;
}

void sim_check_event(struct sim *s, struct sim_node *o, const struct cv_event *told)
{
    struct cv_event event = *told;
    if (s->planted->event != NULL)
        s->planted->event(&event);
    s->oracle.event_total[event.type]++;
    sim_audience_publish(s, &event);
    struct sim_node *n = event.node == NULL ? NULL : sim_node_of(s, &event.node->id);
    if (event.type == COVEY_EVENT_PARTITION_DETECTED)
        sim_check_partition_event(s, o, &event);
    if (n == NULL) {
        sim_trace_line(s, "%s tells %s", o->name, covey_event_name(event.type));
        return;
    }
    sim_trace_line(s, "%s tells %s %s", o->name, covey_event_name(event.type), n->name);
    count(s, o, n, event.type);
    sim_require(s, SIM_E2, may_come(sim_view_edit(o, n), event.type),
                "%s told %s of %s out of order", o->name, covey_event_name(event.type), n->name);
    bool said_goodbye = n->has_left && n->joined != COVEY_NEVER && !s->oracle.has_disturbance;
    sim_require(s, SIM_H2, event.type != COVEY_EVENT_NODE_FAILED || !said_goodbye,
                "%s told that %s failed, which left", o->name, n->name);
}
