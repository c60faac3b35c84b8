#include "sim_internal.h"

#include "cluster/incarnation.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/*
 * What must hold after every step of every node. The oracle is the simulator: it knows who runs and
 * what each node ever said of itself. Numbers are those of the project's list of invariants.
 *
 *  M1  what an observer knows of a node never goes back
 *  M2  nobody knows a later incarnation of a node than it gave itself
 *  M3  a node holds itself for alive until it leaves, for left afterwards
 *  M5  states change along legal edges
 *  M8  counts agree with a full scan
 *  E2  events of one node follow (joined (tags_updated | failed recovered)* failed? left)*
 *  G1  a message is within its limits and has one encoding
 */

void sim_fail(struct sim *s, const char *format, ...)
{
    if (s->violation[0] != '\0')
        return;
    int head = snprintf(s->violation, sizeof(s->violation),
                        "seed %" PRIu64 ", step %zu, %" PRIu64 " ms: ", s->config.seed, s->steps,
                        s->now / COVEY_MILLISECOND);
    va_list args;
    va_start(args, format);
    vsnprintf(s->violation + head, sizeof(s->violation) - (size_t)head, format, args);
    va_end(args);
}

static void check_own(struct sim *s, struct sim_node *n, const struct cv_node_status *own)
{
    enum cv_membership_state state = cv_membership_state(n->membership);
    bool leaves = state == CV_MEMBERSHIP_LEAVING || state == CV_MEMBERSHIP_LEFT;
    if (own->state != (leaves ? COVEY_NODE_LEFT : COVEY_NODE_ALIVE))
        sim_fail(s, "M3: %s holds itself for %s", n->name, covey_node_state_name(own->state));
    if (!n->has_issued || cv_incarnation_compare(own->incarnation, n->issued) > 0)
        n->issued = own->incarnation;
    n->has_issued = true;
}

static bool is_legal(const struct sim_view *before, const struct cv_node_status *after)
{
    int order = cv_incarnation_compare(after->incarnation, before->incarnation);
    if (order == 0)
        return after->state >= before->state;
    /* A later incarnation begins alive; what came of it may have been learnt in the same step. */
    return order > 0;
}

static void note_change(struct sim *s, const struct sim_node *o, const struct sim_node *n,
                        const struct sim_view *before, enum covey_node_state after)
{
    if (after == COVEY_NODE_SUSPECT)
        s->suspicion_total++;
    sim_trace_line(s, "%s: %s %s -> %s", o->name, n->name,
                   before->is_known ? covey_node_state_name(before->state) : "unknown",
                   covey_node_state_name(after));
}

static void check_view(struct sim *s, struct sim_node *o, const struct cv_member *m)
{
    size_t subject = sim_index(&m->record.id);
    struct sim_node *n = &s->nodes[subject];
    struct sim_view *view = &o->views[subject];
    const struct sim_view before = *view;
    const struct cv_node_status *now = &m->record.status;
    s->totals.checks++;
    if (view->is_known && !is_legal(view, now))
        sim_fail(s, "M1, M5: %s: %s went from %" PRIu64 " %s to %" PRIu64 " %s", o->name, n->name,
                 view->incarnation, covey_node_state_name(view->state), now->incarnation,
                 covey_node_state_name(now->state));
    if (!n->has_issued || cv_incarnation_compare(now->incarnation, n->issued) > 0)
        sim_fail(s, "M2: %s: %s never had incarnation %" PRIu64, o->name, n->name,
                 now->incarnation);
    if (view->is_known && view->state == COVEY_NODE_LEFT && now->state != COVEY_NODE_LEFT &&
        n->has_left && view->incarnation == n->issued)
        sim_fail(s, "M5: %s: %s left and is %s again", o->name, n->name,
                 covey_node_state_name(now->state));
    if (!view->is_known || view->state != now->state)
        note_change(s, o, n, view, now->state);
    view->is_known = true;
    view->incarnation = now->incarnation;
    view->state = now->state;
    const struct cv_cluster_node *body = m->record.body;
    view->body_incarnation = body == NULL ? 0 : body->incarnation;
    view->version = body == NULL ? 0 : body->version;
    if (!before.is_known || before.state != now->state ||
        before.body_incarnation != view->body_incarnation || before.version != view->version)
        sim_observe_change(s, o, n, &before, now);
}

static void check_counts(struct sim *s, const struct sim_node *o,
                         const struct cv_node_registry *registry)
{
    size_t counts[4] = {0};
    for (size_t i = 0; i < cv_node_registry_count(registry); i++)
        counts[cv_node_registry_at(registry, i)->record.status.state]++;
    for (int state = 0; state < 4; state++) {
        size_t said = cv_node_registry_count_state(registry, (enum covey_node_state)state);
        if (said != counts[state])
            sim_fail(s, "M8: %s counts %zu %s, there are %zu", o->name, said,
                     covey_node_state_name((enum covey_node_state)state), counts[state]);
    }
}

void sim_check_node(struct sim *s, size_t node)
{
    struct sim_node *o = &s->nodes[node];
    const struct cv_node_registry *registry = cv_membership_registry(o->membership);
    const struct cv_member *own = cv_node_registry_get(registry, &o->id);
    s->totals.checks += 2; /* of itself and of the counts */
    check_own(s, o, &own->record.status);
    for (size_t i = 0; i < cv_node_registry_count(registry); i++) {
        const struct cv_member *m = cv_node_registry_at(registry, i);
        if (m != own)
            check_view(s, o, m);
    }
    check_counts(s, o, registry);
}

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
        break;
    }
    return true;
}

void sim_check_event(struct sim *s, size_t node, const struct cv_event *event)
{
    struct sim_node *o = &s->nodes[node];
    s->totals.checks++;
    if (event->node == NULL) {
        sim_trace_line(s, "%s tells %s", o->name, covey_event_name(event->type));
        return;
    }
    size_t subject = sim_index(&event->node->id);
    sim_trace_line(s, "%s tells %s %s", o->name, covey_event_name(event->type),
                   s->nodes[subject].name);
    o->views[subject].events[event->type]++;
    if (!may_come(&o->views[subject], event->type))
        sim_fail(s, "E2: %s told %s of %s out of order", o->name, covey_event_name(event->type),
                 s->nodes[subject].name);
}

static bool is_canonical(struct cv_slice bytes)
{
    static struct cv_message m;
    uint8_t copy[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    if (cv_message_read(bytes, &m) != COVEY_OK)
        return false;
    cv_message_begin(&mw, copy, sizeof(copy), &m.head);
    for (size_t i = 0; i < m.update_count; i++) {
        struct cv_record record = {.id = m.updates[i].id, .status = m.updates[i].status};
        if (m.updates[i].has_body &&
            cv_update_body(cv_alloc_default(), &m.updates[i], &record.body) != COVEY_OK)
            return false;
        bool added = cv_message_add(&mw, &record);
        cv_cluster_node_release(record.body);
        if (!added)
            return false;
    }
    return cv_slice_equal(cv_message_bytes(&mw), bytes);
}

void sim_check_send(struct sim *s, size_t node, const struct cv_output *output)
{
    struct cv_slice bytes = output->send.bytes;
    s->totals.checks++;
    size_t size_max =
        output->send.reliable ? CV_MAX_MESSAGE_SIZE : (size_t)CV_DATAGRAM_MESSAGE_SIZE;
    if (bytes.size == 0 || bytes.size > size_max || !is_canonical(bytes))
        sim_fail(s, "G1: %s sent a bad message of %zu bytes", s->nodes[node].name, bytes.size);
}
