#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <assert.h>

/* The table of bugs; tests/sim/planted_test.c runs them all. */

/* --- what the checks see of a record --- */

/* A failure is taken back without a word of the node. */
static void rises(const struct sim_node *o, struct sim_seen *seen)
{
    (void)o;
    if (seen->status.state == COVEY_NODE_FAILED)
        seen->status.state = COVEY_NODE_ALIVE;
}

static void runs_ahead(const struct sim_node *o, struct sim_seen *seen)
{
    if (seen->subject != o->index)
        seen->status.incarnation += 1000;
}

static void accuses_itself(const struct sim_node *o, struct sim_seen *seen)
{
    if (seen->subject == o->index)
        seen->status.state = COVEY_NODE_SUSPECT;
}

/* From failed at once to suspect, at a later incarnation. */
static void skips_alive(const struct sim_node *o, struct sim_seen *seen)
{
    if (seen->subject == SIM_NONE || o->views.pages == NULL || seen->subject == o->index)
        return;
    const struct sim_view *v = sim_views_at(&o->views, seen->subject);
    if (v->is_known && v->state == COVEY_NODE_FAILED && seen->status.state == COVEY_NODE_ALIVE)
        seen->status.state = COVEY_NODE_SUSPECT;
}

static void shares_an_address(const struct sim_node *o, struct sim_seen *seen)
{
    seen->address = o->address;
}

static void loses_a_version(const struct sim_node *o, struct sim_seen *seen)
{
    if (seen->subject != o->index)
        seen->version += 7;
}

static void gives_up_the_failed(const struct sim_node *o, struct sim_seen *seen)
{
    (void)o;
    seen->is_expected = seen->is_expected && seen->status.state != COVEY_NODE_FAILED;
}

/* --- what is believed at a deadline --- */

static void believes_in_the_dead(const struct sim_node *o, struct sim_view *view)
{
    if (o->index == 1 && view->state == COVEY_NODE_FAILED)
        view->state = COVEY_NODE_ALIVE;
}

static void believes_nobody(const struct sim_node *o, struct sim_view *view)
{
    if (o->index == 1 && o->sim->oracle.has_disturbance)
        view->state = COVEY_NODE_FAILED;
}

static void stays_behind(const struct sim_node *o, struct sim_view *view)
{
    if (o->index == 1)
        view->issue = 0;
}

static void keeps_old_tags(const struct sim_node *o, struct sim_view *view)
{
    if (o->index == 1)
        view->body = 0;
}

static void keeps_old_tags_after_faults(const struct sim_node *o, struct sim_view *view)
{
    if (o->sim->oracle.has_disturbance)
        keeps_old_tags(o, view);
}

/* Once the last one has started. */
static void forgets_all(const struct sim_node *o, struct sim_view *view)
{
    if (o->index == 1 && o->sim->up_count == o->sim->config.node_count)
        view->is_known = false;
}

/* --- what a node is told --- */

static bool hears_nothing(const struct sim_node *n, const struct cv_input *input)
{
    return n->index == 2 && n->joined != COVEY_NEVER && input->type == CV_INPUT_MESSAGE;
}

/* When nobody looks for a calm cluster any more. */
static bool falls_asleep(const struct sim_node *n, const struct cv_input *input)
{
    return hears_nothing(n, input) && n->sim->clock.now > 100 * COVEY_SECOND;
}

static bool is_put_out_by_clocks(const struct sim_node *n, const struct cv_input *input)
{
    return hears_nothing(n, input) && n->sim->oracle.faults[SIM_FAULT_CLOCK] > 0;
}

/* --- events --- */

static void joins_twice(struct cv_event *event)
{
    if (event->type == COVEY_EVENT_NODE_RECOVERED)
        event->type = COVEY_EVENT_NODE_JOINED;
}

static void fails_leavers(struct cv_event *event)
{
    if (event->type == COVEY_EVENT_NODE_LEFT)
        event->type = COVEY_EVENT_NODE_FAILED;
}

static void skips_suspicion(struct cv_event *event)
{
    if (event->type == COVEY_EVENT_PARTITION_DETECTED &&
        event->partition.state == CV_PARTITION_SUSPECT)
        event->partition.state = CV_PARTITION_PARTITIONED;
}

static void hides_a_partition(struct cv_event *event)
{
    if (event->type == COVEY_EVENT_PARTITION_DETECTED)
        event->type = COVEY_EVENT_EVENTS_DROPPED;
}

/* --- the core itself --- */

/* Whatever a watched node says counts as a heartbeat. */
static void counts_every_word(struct sim_node *n, const struct cv_input *input)
{
    struct cv_watches *w = &n->membership->gossip.watches;
    if (input->type != CV_INPUT_MESSAGE || input->message.bytes.data[0] != CV_MESSAGE_ACK)
        return;
    struct cv_watch *watch = cv_watches_subject(w, &input->message.from);
    if (watch != NULL && watch->is_heard)
        cv_phi_accrual_heartbeat(&watch->phi, input->now, 1);
}

/* It forgives a silence of an interval. */
static void dozes(struct sim_node *n, const struct cv_input *input)
{
    struct cv_watches *w = &n->membership->gossip.watches;
    (void)input;
    for (size_t i = 0; i < CV_RINGS_MAX; i++)
        w->subjects[i].phi.config.acceptable_pause = n->sim->core.gossip.heartbeat_interval;
}

/* A check that does not answer is well. */
static void trusts_the_silent(struct sim_node *n, const struct cv_input *input)
{
    struct cv_health_checker *checker = n->membership->checks.checker;
    (void)input;
    for (uint32_t i = 0; checker != NULL && i < checker->count; i++) {
        if (checker->checks[i].phase == CV_CHECK_HANGING)
            checker->checks[i].health.status = COVEY_CHECK_HEALTHY;
    }
}

/* --- what waits to be told --- */

/* News of every second node is urgent, and the queue does not know it. */
static void has_favourites(struct cv_queued_update *update)
{
    bool is_one = (update->record.id.bytes[15] & 1) != 0;
    update->priority = is_one ? CV_PRIORITY_CRITICAL : CV_PRIORITY_LOW;
}

static void prefers_the_old(struct cv_queued_update *update)
{
    update->sequence = UINT64_MAX - update->sequence;
}

/* What is heard later stands. */
static struct cv_record believes_the_last(const struct cv_record *a, const struct cv_record *b)
{
    struct cv_record merged = cv_record_merge(a, b);
    if (a->status.incarnation == b->status.incarnation)
        merged.status = b->status;
    return merged;
}

/* Deaf to all that would end it. */
static bool leaves_for_ever(const struct sim_node *n, const struct cv_input *input)
{
    return cv_membership_state(n->membership) == CV_MEMBERSHIP_LEAVING &&
           input->type != CV_INPUT_COMMAND;
}

/* --- sides --- */

static void is_always_small(const struct sim_node *n, struct cv_partition_status *status)
{
    (void)n;
    status->minority = true;
}

const struct sim_planted sim_planted_none = {.text = "nothing"};

static const struct sim_planted bugs[] = {
    {"a failure is taken back at the same incarnation", SIM_M1, SIM_RUN_STORMY, .seen = rises},
    {"an incarnation is counted up by others", SIM_M2, SIM_RUN_QUIET, .seen = runs_ahead},
    {"a node suspects itself", SIM_M3, SIM_RUN_QUIET, .seen = accuses_itself},
    {"a node does not refute", SIM_M4, SIM_RUN_STORMY, .is_stubborn = true},
    {"from failed to suspect", SIM_M5, SIM_RUN_STORMY, .seen = skips_alive},
    {"what is heard last stands", SIM_M6, SIM_RUN_QUIET, .merge = believes_the_last},
    {"all are at one address", SIM_M7, SIM_RUN_QUIET, .seen = shares_an_address},
    {"a state is counted twice", SIM_M8, SIM_RUN_QUIET, .counted = 1},
    {"a node hears no messages", SIM_M9, SIM_RUN_QUIET, .is_deaf = hears_nothing},
    {"a death is never noticed", SIM_M10, SIM_RUN_STORMY, .view = believes_in_the_dead},
    {"a node is silent for ever on a network that works", SIM_M11, SIM_RUN_LOSSY,
     .is_deaf = falls_asleep},
    {"a partition never heals", SIM_M12, SIM_RUN_STORMY, .view = believes_nobody},
    {"a refutation does not reach one", SIM_M13, SIM_RUN_STORMY, .view = stays_behind},
    {"a newcomer is not told of", SIM_M14, SIM_RUN_LATE, .view = forgets_all},
    {"a node hears no messages when clocks jump", SIM_M15, SIM_RUN_CLOCKS,
     .is_deaf = is_put_out_by_clocks},
    {"a message of another type than it was written as", SIM_G1, SIM_RUN_QUIET, .message_flip = 16},
    {"an update is sent too often", SIM_G2, SIM_RUN_QUIET, .repeats = 40},
    {"a queue has more than there are nodes", SIM_G3, SIM_RUN_QUIET, .queued = 1000},
    {"what is urgent waits", SIM_G4, SIM_RUN_CHATTY, .waiting = has_favourites},
    {"old news goes first", SIM_G5, SIM_RUN_CHATTY, .waiting = prefers_the_old},
    {"tags do not reach one", SIM_G6, SIM_RUN_QUIET, .view = keeps_old_tags},
    {"a message is a thousand times as long", SIM_G7, SIM_RUN_QUIET, .inflation = 1000},
    {"a paused node accuses at once", SIM_FD4, SIM_RUN_STORMY, .impatience = 120 * COVEY_SECOND},
    {"an answer counts as a heartbeat", SIM_FD2, SIM_RUN_QUIET, .meddle = counts_every_word},
    {"a silence is forgiven", SIM_FD3, SIM_RUN_QUIET, .meddle = dozes},
    {"phi is not a number", SIM_FD1, SIM_RUN_QUIET, .is_phi_lost = true},
    {"health is counted without end", SIM_FD5, SIM_RUN_QUIET, .ailment = 9},
    {"a check that hangs is well", SIM_FD7, SIM_RUN_CHECKED, .meddle = trusts_the_silent},
    {"both sides have the majority", SIM_P1, SIM_RUN_STORMY, .claims_quorum = true},
    {"no grace", SIM_P2, SIM_RUN_STORMY, .event = skips_suspicion},
    {"who failed is not expected", SIM_P3, SIM_RUN_STORMY, .seen = gives_up_the_failed},
    {"a minority is what is none", SIM_P4, SIM_RUN_QUIET, .partition = is_always_small},
    {"nobody is told of a partition", SIM_P6, SIM_RUN_STORMY, .event = hides_a_partition},
    {"an event is not counted", SIM_E1, SIM_RUN_QUIET, .is_event_uncounted = true},
    {"a subscriber is told of too many losses", SIM_E3, SIM_RUN_CHATTY, .overstated = 1},
    {"a recovery is told as a join", SIM_E2, SIM_RUN_STORMY, .event = joins_twice},
    {"a body that its owner never had", SIM_T1, SIM_RUN_QUIET, .seen = loses_a_version},
    {"old tags stay for ever", SIM_T2, SIM_RUN_STORMY, .view = keeps_old_tags_after_faults},
    {"who leaves is told of as failed", SIM_H2, SIM_RUN_QUIET, .event = fails_leavers},
    {"leaving does not end", SIM_H1, SIM_RUN_QUIET, .is_deaf = leaves_for_ever},
    {"a query finds a node twice", SIM_T3, SIM_RUN_QUIET, .answers = 1},
    {"a snapshot shows a node twice", SIM_T3, SIM_RUN_QUIET, .shown = 1},
    {"attempts to join do not end", SIM_B1, SIM_RUN_QUIET, .attempts = 20},
    {"leaving again is leaving", SIM_H4, SIM_RUN_QUIET, .leaves_twice = true},
    {"no end", SIM_X2, SIM_RUN_QUIET, .steps = SIZE_MAX / 2},
};

size_t sim_planted_count(void)
{
    return sizeof(bugs) / sizeof(bugs[0]);
}

const struct sim_planted *sim_planted_at(size_t index)
{
    assert(index < sim_planted_count());
    return &bugs[index];
}

const char *sim_planted_text(const struct sim_planted *p)
{
    return p->text;
}

enum sim_invariant sim_planted_invariant(const struct sim_planted *p)
{
    return p->invariant;
}

enum sim_planted_run sim_planted_run(const struct sim_planted *p)
{
    return p->run;
}

void sim_plant(struct sim *s, const struct sim_planted *p)
{
    s->planted = p;
}
