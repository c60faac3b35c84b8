#ifndef FUZZ_CORE_DRIVER_H
#define FUZZ_CORE_DRIVER_H

#include "core_parts.h"

/*
 * One core and its driver: what is asked of the driver is kept here until the target answers it,
 * and whatever the core says or asks for is held against its contract:
 *
 *   - a message goes to one who is connected, is within its limits and can be read (G1)
 *   - a dial or a resolve has a number of its own; nobody is dialled who is dialled or connected
 *   - a close is for one who is connected
 *   - events of a node follow (joined (tags_updated | failed recovered)* failed? left)* (E2)
 *   - states follow each other as they may
 *
 * core_invariants.h has what must hold between the steps.
 */

#define NUMBERS   256
#define RUNS_MAX  32 /* of health checks; more than that never end */
#define VIEWS_MAX (2 * CV_MEMBERS_PER_BLOCK)

struct pending_dial {
    uint32_t number;
    struct cv_address address;
    bool has_expected;
    covey_node_id expected;
};

/* What was known of a node when it changed last. */
struct core_view {
    bool is_known;
    covey_node_id id;
    struct cv_node_status status;
};

struct driver {
    struct memory memory;
    struct cv_membership *m;
    uint8_t self;
    covey_time now;
    uint64_t wall_ms;
    /* The latest incarnation that each node ever gave itself, by number; where all are honest nobody
     * knows a later one (M2). NULL: somebody lies. */
    uint64_t *issued;
    struct cv_registry_watcher watcher;
    struct core_view views[VIEWS_MAX]; /* by slot */
    enum cv_membership_state state;    /* the last that was said */
    bool is_connected[NUMBERS];
    bool is_joined[NUMBERS]; /* by the events */
    bool is_failed[NUMBERS];
    uint32_t sequences[NUMBERS]; /* of the last ping, or ping request, to this one */
    size_t dial_count;
    struct pending_dial dials[CV_DIALS_MAX];
    size_t resolve_count;
    uint32_t resolves[CV_SEEDS_MAX];
    size_t run_count;
    uint64_t runs[RUNS_MAX];
    /* Where the rest of an output goes. May be NULL. */
    void (*take)(struct driver *d, const struct cv_output *output);
    void *world;
    bool is_told; /* in a step that takes a message */
    size_t steps;
    uint64_t checked; /* this version of the registry */
    size_t herd;      /* peers that came in a bunch */
    size_t steps_due; /* steps of time after which there was more to do at once */
};

static inline bool is_numbered(const covey_node_id *id)
{
    const covey_node_id same = node_id(node_number(id));
    return covey_node_id_compare(id, &same) == 0;
}

/* ---- outputs ---- */

static inline void check_send(struct driver *d, const struct cv_output *output)
{
    static struct cv_message read;
    struct cv_slice bytes = output->send.bytes;
    size_t size_max =
        output->send.reliable ? CV_MAX_MESSAGE_SIZE : (size_t)CV_DATAGRAM_MESSAGE_SIZE;
    assert(is_numbered(&output->send.to) && d->is_connected[node_number(&output->send.to)]);
    assert(bytes.size > 0 && bytes.size <= size_max);
    int error = cv_message_read(bytes, &read);
    assert(error == COVEY_OK);
    (void)error;
    if (read.head.type == CV_MESSAGE_PING || read.head.type == CV_MESSAGE_PING_REQ)
        d->sequences[node_number(&output->send.to)] = read.head.sequence;
}

static inline void check_dial(struct driver *d, const struct cv_output *output)
{
    const covey_node_id self = node_id(d->self);
    assert(output->dial.dial != 0 && d->dial_count < CV_DIALS_MAX);
    assert(cv_address_is_usable(&output->dial.address));
    for (size_t i = 0; i < d->dial_count; i++) {
        const struct pending_dial *other = &d->dials[i];
        assert(other->number != output->dial.dial);
        assert(!output->dial.has_expected || !other->has_expected ||
               covey_node_id_compare(&other->expected, &output->dial.expected) != 0);
    }
    if (output->dial.has_expected) {
        const covey_node_id *expected = &output->dial.expected;
        assert(covey_node_id_compare(expected, &self) != 0);
        assert(!is_numbered(expected) || !d->is_connected[node_number(expected)]);
    }
    d->dials[d->dial_count] = (struct pending_dial){.number = output->dial.dial,
                                                    .address = output->dial.address,
                                                    .has_expected = output->dial.has_expected,
                                                    .expected = output->dial.expected};
    d->dial_count++;
}

static inline void check_resolve(struct driver *d, const struct cv_output *output)
{
    assert(d->resolve_count < CV_SEEDS_MAX && output->resolve.name != NULL);
    for (size_t i = 0; i < d->resolve_count; i++)
        assert(d->resolves[i] != output->resolve.resolve);
    d->resolves[d->resolve_count] = output->resolve.resolve;
    d->resolve_count++;
}

static inline void check_run(struct driver *d, const struct cv_output *output)
{
    for (size_t i = 0; i < d->run_count; i++)
        assert(d->runs[i] != output->check.run);
    if (d->run_count == RUNS_MAX)
        return;
    d->runs[d->run_count] = output->check.run;
    d->run_count++;
}

static inline void check_event(struct driver *d, const struct cv_event *event)
{
    if (event->node == NULL || !is_numbered(&event->node->id))
        return;
    bool *joined = &d->is_joined[node_number(&event->node->id)];
    bool *failed = &d->is_failed[node_number(&event->node->id)];
    switch (event->type) {
    case COVEY_EVENT_NODE_JOINED:
        assert(!*joined);
        *joined = true;
        *failed = false;
        break;
    case COVEY_EVENT_NODE_LEFT:
        assert(*joined);
        *joined = false;
        break;
    case COVEY_EVENT_NODE_FAILED:
        assert(*joined && !*failed);
        *failed = true;
        break;
    case COVEY_EVENT_NODE_RECOVERED:
        assert(*joined && *failed);
        *failed = false;
        break;
    case COVEY_EVENT_NODE_TAGS_UPDATED:
        assert(*joined && !*failed);
        break;
    case COVEY_EVENT_PARTITION_DETECTED:
    case COVEY_EVENT_HEALTH_CHECK_FAILED:
    case COVEY_EVENT_NODE_CONFLICT:
    case COVEY_EVENT_PEER_MISBEHAVED:
    case COVEY_EVENT_EVENTS_DROPPED:
    case COVEY_EVENT_LOOP_HELD_UP:
        break;
    }
}

/* That it is joining again after a failure is not said: who commands it knows. */
static inline void check_state(struct driver *d, enum cv_membership_state next, int error)
{
    bool is_over = d->state == CV_MEMBERSHIP_LEAVING || d->state == CV_MEMBERSHIP_LEFT;
    assert((error != COVEY_OK) == (next == CV_MEMBERSHIP_JOIN_FAILED));
    if (next == CV_MEMBERSHIP_LEFT)
        assert(d->state == CV_MEMBERSHIP_LEAVING);
    else
        assert(next != CV_MEMBERSHIP_JOINING && !is_over &&
               (next == CV_MEMBERSHIP_LEAVING || d->state != CV_MEMBERSHIP_JOINED));
    d->state = next;
}

static inline void take_one(struct driver *d, const struct cv_output *output)
{
    switch (output->type) {
    case CV_OUTPUT_SEND:
        check_send(d, output);
        break;
    case CV_OUTPUT_DIAL:
        check_dial(d, output);
        break;
    case CV_OUTPUT_CLOSE:
        assert(is_numbered(&output->close.peer));
        assert(d->is_connected[node_number(&output->close.peer)]);
        d->is_connected[node_number(&output->close.peer)] = false;
        break;
    case CV_OUTPUT_RESOLVE:
        check_resolve(d, output);
        break;
    case CV_OUTPUT_RUN_CHECK:
        check_run(d, output);
        break;
    case CV_OUTPUT_EVENT:
        check_event(d, &output->event);
        break;
    case CV_OUTPUT_STATE:
        check_state(d, output->state.state, output->state.error);
        break;
    }
    if (d->take != NULL)
        d->take(d, output);
    if (output->type == CV_OUTPUT_EVENT)
        cv_cluster_node_release(output->event.node);
}

static inline void drain(struct driver *d)
{
    struct cv_output output;
    while (cv_membership_poll(d->m, &output))
        take_one(d, &output);
}

/* ---- changes of the registry: each single one ---- */

/* M1 and M5, in words of their own. */
static inline bool may_become(const struct cv_node_status *from, const struct cv_node_status *to)
{
    int order = cv_incarnation_compare(to->incarnation, from->incarnation);
    bool was_gone = from->state == COVEY_NODE_FAILED || from->state == COVEY_NODE_LEFT;
    if (order < 0 || (order == 0 && to->state < from->state))
        return false;
    /* The gone come back as alive, and who left does not fail. */
    if (was_gone && to->state == COVEY_NODE_SUSPECT)
        return false;
    return from->state != COVEY_NODE_LEFT || to->state != COVEY_NODE_FAILED;
}

static inline void note_issued(const struct driver *d, uint64_t incarnation)
{
    if (d->issued == NULL)
        return;
    if (d->issued[d->self] == 0 || cv_incarnation_compare(incarnation, d->issued[d->self]) > 0)
        d->issued[d->self] = incarnation;
}

static inline void member_changed(void *user, const struct cv_member *member)
{
    struct driver *d = user;
    const covey_node_id self = node_id(d->self);
    assert(member->slot < VIEWS_MAX);
    struct core_view *view = &d->views[member->slot];
    const struct cv_node_status status = cv_member_status(member);
    bool is_new = !view->is_known;
    assert(is_new || covey_node_id_compare(&view->id, cv_member_id(member)) == 0);
    assert(is_new || may_become(&view->status, &status));
    uint8_t number = node_number(cv_member_id(member));
    if (covey_node_id_compare(cv_member_id(member), &self) == 0) {
        assert(!is_accusation(status.state)); /* M3 */
        note_issued(d, status.incarnation);
    } else if (!d->is_told && d->m != NULL && d->m->gossip.is_leaving &&
               is_accusation(status.state)) {
        /* Who leaves accuses nobody by itself. */
        assert((!is_new && view->status.state == status.state &&
                view->status.incarnation == status.incarnation) ||
               covey_node_id_compare(&status.accuser, &self) != 0);
    }
    assert(d->issued == NULL || cv_incarnation_compare(status.incarnation, d->issued[number]) <= 0);
    *view = (struct core_view){.is_known = true, .id = *cv_member_id(member), .status = status};
}

static inline void member_removed(void *user, const struct cv_member *member)
{
    struct driver *d = user;
    const covey_node_id self = node_id(d->self);
    assert(member->slot < VIEWS_MAX && d->views[member->slot].is_known);
    assert(covey_node_id_compare(cv_member_id(member), &self) != 0);
    assert(!cv_member_is_live(member));
    d->views[member->slot].is_known = false;
}

/* ---- the life of a core ---- */

/* Fails only when memory does. The config's watcher and memory are the driver's. */
static inline int driver_start(struct driver *d, struct cv_membership_config *config)
{
    memset(d->views, 0, sizeof(d->views));
    d->watcher = (struct cv_registry_watcher){
        .changed = member_changed, .removed = member_removed, .user = d};
    d->state = CV_MEMBERSHIP_JOINING;
    d->m = NULL;
    config->alloc = &d->memory.alloc;
    config->watcher = &d->watcher;
    config->wall_ms = d->wall_ms;
    int error = cv_membership_new(config, d->now, &d->m);
    if (error != COVEY_OK)
        return error;
    for (size_t i = 0; i < cv_node_registry_count(cv_membership_registry(d->m)); i++) {
        const struct cv_member *m = cv_node_registry_at(cv_membership_registry(d->m), i);
        d->is_joined[node_number(cv_member_id(m))] = m->is_announced;
    }
    return COVEY_OK;
}

static inline void driver_end(struct driver *d)
{
    cv_membership_free(d->m);
    d->m = NULL;
    assert(d->memory.out == 0);
}

/* Takes a pending dial out. */
static inline struct pending_dial driver_take_dial(struct driver *d, size_t index)
{
    struct pending_dial dial = d->dials[index];
    d->dial_count--;
    for (size_t i = index; i < d->dial_count; i++)
        d->dials[i] = d->dials[i + 1];
    return dial;
}

#endif
