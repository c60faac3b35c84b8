#include "sim_internal.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

/* The driver of each node: what a real node's loop does with the core. */

uint64_t sim_wall_of(const struct sim *s, const struct sim_node *n)
{
    return SIM_WALL_MS + (uint64_t)n->clock_offset_ms + s->clock.now / COVEY_MILLISECOND;
}

static void resolve(struct sim *s, struct sim_node *n, const struct cv_output *output)
{
    struct sim_event *e = sim_event_new(s, SIM_RESOLVED, n->index, 0);
    e->number = output->resolve.resolve;
    e->peer = (uint32_t)strtoul(output->resolve.name + 1, NULL, 10);
    n->join_attempts++;
    sim_check_attempt(s, n, e->peer);
    sim_clock_set(&s->clock, e, s->clock.now + COVEY_MILLISECOND);
}

static const char *state_name(enum cv_membership_state state)
{
    static const char *const names[] = {"joining", "joined", "join failed", "leaving", "left"};
    return names[state];
}

static void take_state(struct sim *s, struct sim_node *n, const struct cv_output *output)
{
    sim_trace_line(s, "%s is %s", n->name, state_name(output->state.state));
    sim_check_state(s, n, output->state.state);
    switch (output->state.state) {
    case CV_MEMBERSHIP_JOINED:
        n->joined = s->clock.now;
        sim_expect(s, SIM_DEADLINE_JOIN, n, NULL);
        sim_expect(s, SIM_DEADLINE_VIEW, n, NULL);
        break;
    case CV_MEMBERSHIP_JOIN_FAILED:
        n->join_error = output->state.error;
        break;
    case CV_MEMBERSHIP_LEAVING:
        n->has_left = true;
        sim_expect(s, SIM_DEADLINE_LEAVE, n, NULL);
        break;
    case CV_MEMBERSHIP_JOINING:
    case CV_MEMBERSHIP_LEFT:
        break;
    }
}

static void send(struct sim *s, struct sim_node *n, const struct cv_output *output)
{
    struct sim_node *to = sim_node_of(s, &output->send.to);
    sim_check_message(s, n, output);
    sim_queue_sent(s, output);
    n->messages_sent++;
    if (to != NULL)
        sim_message_send(s, n->index, to->index, output->send.bytes, output->send.reliable);
}

static void take_output(struct sim *s, struct sim_node *n, const struct cv_output *output)
{
    struct sim_node *peer;
    switch (output->type) {
    case CV_OUTPUT_SEND:
        send(s, n, output);
        break;
    case CV_OUTPUT_DIAL:
        sim_dial(s, n->index, output);
        break;
    case CV_OUTPUT_CLOSE:
        peer = sim_node_of(s, &output->close.peer);
        if (peer != NULL)
            sim_close(s, n->index, peer->index);
        break;
    case CV_OUTPUT_RESOLVE:
        resolve(s, n, output);
        break;
    case CV_OUTPUT_EVENT:
        sim_check_event(s, n, &output->event);
        cv_cluster_node_release(output->event.node);
        break;
    case CV_OUTPUT_RUN_CHECK:
        sim_run_check(s, n, output);
        break;
    case CV_OUTPUT_STATE:
        take_state(s, n, output);
        break;
    }
}

void sim_drain(struct sim *s, struct sim_node *n)
{
    struct cv_output output;
    while (cv_membership_poll(n->membership, &output))
        take_output(s, n, &output);
    sim_clock_set(&s->clock, n->wake, cv_membership_deadline(n->membership));
}

int sim_step(struct sim *s, uint32_t node, struct cv_input *input)
{
    struct sim_node *n = &s->nodes[node];
    input->now = s->clock.now;
    input->wall_ms = sim_wall_of(s, n);
    sim_hash_input(s, node, input);
    s->steps++;
    sim_require(s, SIM_X2, s->steps + s->planted->steps <= s->config.steps_max,
                "no end after %zu steps", s->config.steps_max);
    if (s->planted->is_deaf != NULL && s->planted->is_deaf(n, input)) {
        s->oracle.told_by = SIM_NONE;
        return COVEY_OK;
    }
    struct sim_told told = sim_told_before(s, n, input);
    sim_queue_before(s, n);
    sim_detector_before(s, n);
    if (s->planted->meddle != NULL)
        s->planted->meddle(n, input);
    int error = cv_membership_step(n->membership, input);
    if (error == COVEY_OK)
        sim_check_answer(s, n, &told);
    s->oracle.told_by = SIM_NONE;
    sim_drain(s, n);
    sim_check_queue(s, n);
    sim_check_detector(s, n, input);
    sim_check_partition(s, n);
    return error;
}

static void resolved(struct sim *s, struct sim_event *e)
{
    struct cv_input input = {.type = CV_INPUT_RESOLVED};
    input.resolved.resolve = e->number;
    input.resolved.addresses = &s->nodes[e->peer].address;
    input.resolved.count = 1;
    sim_step(s, e->node, &input);
}

static void happen_now(struct sim *s, struct sim_event *e)
{
    struct cv_input time = {.type = CV_INPUT_TIME};
    switch ((enum sim_event_kind)e->kind) {
    case SIM_WAKE:
        sim_step(s, e->node, &time);
        return; /* the node's own, not to be freed */
    case SIM_RESOLVED:
        resolved(s, e);
        sim_clock_free(&s->clock, e);
        break;
    case SIM_MESSAGE:
        sim_message_event(s, e);
        break;
    case SIM_HANDSHAKE:
        sim_dial_event(s, e);
        break;
    case SIM_BREAK:
        sim_break_event(s, e);
        break;
    case SIM_CHECKED:
        sim_checked_event(s, e);
        sim_clock_free(&s->clock, e);
        break;
    case SIM_LIE:
        sim_lie_event(s, e);
        break;
    case SIM_FREE:
    case SIM_IDLE:
    case SIM_DEADLINE:
        assert(false); /* no input of a node's */
        break;
    }
}

static bool is_current(const struct sim_node *n, const struct sim_event *e)
{
    return n->membership != NULL && n->life == e->life;
}

static bool is_busy(const struct sim *s, const struct sim_node *n)
{
    return s->clock.now < n->busy_until;
}

/* What comes first is taken first, once the node runs and has time. */
static void wait(struct sim *s, struct sim_node *n, struct sim_event *e)
{
    e->next = NULL;
    if (n->waiting_first == NULL)
        n->waiting_first = e;
    else
        n->waiting_last->next = e;
    n->waiting_last = e;
    if (is_busy(s, n) && !n->free->is_set)
        sim_clock_set(&s->clock, n->free, n->busy_until);
}

void sim_catch_up(struct sim *s, struct sim_node *n)
{
    while (n->waiting_first != NULL && !n->is_paused && !is_busy(s, n)) {
        struct sim_event *e = n->waiting_first;
        n->waiting_first = e->next;
        happen_now(s, e);
    }
    if (n->waiting_first != NULL && !n->is_paused)
        sim_clock_set(&s->clock, n->free, n->busy_until);
}

/* Its own events: a deadline that comes too early is put off. */
static void happen_own(struct sim *s, struct sim_node *n, struct sim_event *e)
{
    if (n->is_paused)
        return;
    if (e->kind == SIM_FREE)
        sim_catch_up(s, n);
    else if (is_busy(s, n))
        sim_clock_set(&s->clock, e, n->busy_until);
    else
        happen_now(s, e);
}

void sim_happen(struct sim *s, struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    if (e->kind == SIM_IDLE)
        sim_idle_event(s, e);
    else if (e->kind == SIM_DEADLINE)
        sim_deadline_event(s, e);
    else if (e->kind == SIM_WAKE || e->kind == SIM_FREE)
        happen_own(s, n, e);
    else if (!is_current(n, e))
        sim_clock_free(&s->clock, e);
    else if (n->is_held && e->kind == SIM_MESSAGE && e->tries == 0)
        sim_hold_received(n, e);
    else if (n->is_paused || is_busy(s, n) || n->waiting_first != NULL)
        wait(s, n, e);
    else
        happen_now(s, e);
}
