#include "sim_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The nodes, and the driver of each: what a real node's loop does with the core. */

size_t sim_index(const covey_node_id *id)
{
    size_t index = 0;
    for (size_t i = 0; i < 4; i++)
        index = index << 8 | id->bytes[12 + i];
    return index;
}

bool sim_is_current(const struct sim *s, const struct sim_event *e)
{
    const struct sim_node *n = &s->nodes[e->node];
    return n->membership != NULL && n->life == e->life;
}

void sim_wait(struct sim_node *n, struct sim_event *e)
{
    e->next = NULL;
    if (n->waiting_first == NULL)
        n->waiting_first = e;
    else
        n->waiting_last->next = e;
    n->waiting_last = e;
}

void sim_drop_waiting(struct sim *s, struct sim_node *n)
{
    while (n->waiting_first != NULL) {
        struct sim_event *next = n->waiting_first->next;
        sim_event_free(s, n->waiting_first);
        n->waiting_first = next;
    }
    n->waiting_last = NULL;
}

static void resolve(struct sim *s, size_t node, const struct cv_output *output)
{
    struct sim_event *e = sim_event_new(s, SIM_RESOLVED, node, 0);
    e->number = output->resolve.resolve;
    e->peer = (size_t)strtoul(output->resolve.name + 1, NULL, 10);
    s->nodes[node].join_attempts++;
    sim_event_at(s, e, s->now + COVEY_MILLISECOND);
}

static const char *state_name(enum cv_membership_state state)
{
    static const char *const names[] = {"joining", "joined", "join failed", "leaving", "left"};
    return names[state];
}

static void take_state(struct sim *s, size_t node, const struct cv_output *output)
{
    struct sim_node *n = &s->nodes[node];
    sim_trace_line(s, "%s is %s", n->name, state_name(output->state.state));
    if (output->state.state == CV_MEMBERSHIP_JOIN_FAILED)
        n->join_error = output->state.error;
    if (output->state.state == CV_MEMBERSHIP_LEAVING)
        n->has_left = true;
}

static void take_output(struct sim *s, size_t node, const struct cv_output *output)
{
    switch (output->type) {
    case CV_OUTPUT_SEND:
        sim_check_send(s, node, output);
        sim_network_send(s, node, output);
        break;
    case CV_OUTPUT_DIAL:
        sim_network_dial(s, node, output);
        break;
    case CV_OUTPUT_CLOSE:
        sim_network_close(s, node, sim_index(&output->close.peer));
        break;
    case CV_OUTPUT_RESOLVE:
        resolve(s, node, output);
        break;
    case CV_OUTPUT_EVENT:
        sim_check_event(s, node, &output->event);
        cv_cluster_node_release(output->event.node);
        break;
    case CV_OUTPUT_STATE:
        take_state(s, node, output);
        break;
    }
}

static void drain(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    struct cv_output output;
    sim_check_node(s, node);
    while (cv_membership_poll(n->membership, &output))
        take_output(s, node, &output);
    covey_time deadline = cv_membership_deadline(n->membership);
    cv_heap_set(&s->heap, &n->wake->timer, deadline < s->now ? s->now : deadline);
}

static uint64_t wall_of(const struct sim *s, const struct sim_node *n)
{
    return SIM_WALL_MS + (uint64_t)n->clock_offset_ms + s->now / COVEY_MILLISECOND;
}

int sim_step(struct sim *s, size_t node, struct cv_input *input)
{
    struct sim_node *n = &s->nodes[node];
    input->now = s->now;
    input->wall_ms = wall_of(s, n);
    sim_hash_input(s, node, input);
    s->steps++;
    if (s->steps > s->config.steps_max)
        sim_fail(s, "no end after %zu steps", s->steps);
    int error = cv_membership_step(n->membership, input);
    drain(s, node);
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
    switch (e->kind) {
    case SIM_WAKE:
        sim_step(s, e->node, &time);
        return; /* the node's own, not to be freed */
    case SIM_RESOLVED:
        resolved(s, e);
        sim_event_free(s, e);
        break;
    case SIM_MESSAGE:
        sim_network_message(s, e);
        break;
    case SIM_HANDSHAKE:
        sim_network_handshake(s, e);
        break;
    case SIM_BREAK:
        sim_network_break(s, e);
        break;
    }
}

void sim_happen(struct sim *s, struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    if (e->kind != SIM_WAKE && !sim_is_current(s, e)) {
        sim_event_free(s, e);
        return;
    }
    if (n->is_paused && e->kind != SIM_WAKE)
        sim_wait(n, e);
    else if (!n->is_paused)
        happen_now(s, e);
}

void sim_set_seeds(struct sim *s, size_t node, const size_t *seeds, size_t count)
{
    struct sim_node *n = &s->nodes[node];
    assert(count <= s->config.node_count);
    n->seed_count = count;
    for (size_t i = 0; i < count; i++)
        n->seeds[i] = seeds[i];
}

void sim_set_clock(struct sim *s, size_t node, int64_t offset_ms)
{
    s->nodes[node].clock_offset_ms = offset_ms;
}

void sim_start(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    struct cv_membership_config config;
    char texts[16][24];
    const char *seeds[16];
    assert(n->membership == NULL && n->seed_count <= 16);
    cv_membership_config_init(&config, s->config.profile);
    for (size_t i = 0; i < n->seed_count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "n%zu:4433", n->seeds[i]);
        seeds[i] = texts[i];
    }
    config.id = n->id;
    config.name = n->name;
    config.address = n->address;
    config.seeds = seeds;
    config.seed_count = n->seed_count;
    config.seed = cv_rand_u64(&s->rand);
    config.hash_secret[0] = cv_rand_u64(&s->rand);
    config.hash_secret[1] = cv_rand_u64(&s->rand);
    config.wall_ms = wall_of(s, n);
    sim_trace_line(s, "%s starts", n->name);
    n->life++;
    n->has_left = false;
    n->join_error = COVEY_OK;
    n->join_attempts = 0;
    memset(n->views, 0, s->config.node_count * sizeof(*n->views));
    if (cv_membership_new(&config, s->now, &n->membership) != COVEY_OK)
        abort();
    sim_observe_start(s);
    drain(s, node);
}

void sim_start_elsewhere(struct sim *s, size_t node)
{
    s->nodes[node].address.port++;
    sim_start(s, node);
}

void sim_crash(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    assert(n->membership != NULL);
    sim_trace_line(s, "%s crashes", n->name);
    cv_heap_clear(&s->heap, &n->wake->timer);
    cv_membership_free(n->membership);
    n->membership = NULL;
    n->is_paused = false;
    sim_drop_waiting(s, n);
    sim_network_crash(s, node);
    sim_observe_crash(s, n);
}

void sim_pause(struct sim *s, size_t node)
{
    sim_trace_line(s, "%s is paused", s->nodes[node].name);
    s->nodes[node].is_paused = true;
}

void sim_resume(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert(n->membership != NULL && n->is_paused);
    sim_trace_line(s, "%s goes on", n->name);
    n->is_paused = false;
    struct sim_event *e = n->waiting_first;
    n->waiting_first = NULL;
    n->waiting_last = NULL;
    while (e != NULL) {
        struct sim_event *next = e->next;
        sim_happen(s, e);
        e = next;
    }
    sim_step(s, node, &time);
    sim_observe_heal(s);
}

int sim_command(struct sim *s, size_t node, enum cv_command_type type, const char *key,
                const char *value)
{
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = type;
    input.command.key = key;
    input.command.value = value;
    int error = sim_step(s, node, &input);
    if (error == COVEY_OK && (type == CV_COMMAND_TAG_SET || type == CV_COMMAND_TAG_REMOVE))
        sim_observe_tags(s, &s->nodes[node]);
    return error;
}

void sim_set_refusal(struct sim *s, size_t node, int error)
{
    s->nodes[node].refusal = error;
}

const struct cv_membership *sim_membership(const struct sim *s, size_t node)
{
    return s->nodes[node].membership;
}

const struct cv_member *sim_view(const struct sim *s, size_t observer, size_t subject)
{
    const struct cv_membership *m = s->nodes[observer].membership;
    if (m == NULL)
        return NULL;
    return cv_node_registry_get(cv_membership_registry(m), &s->nodes[subject].id);
}

bool sim_sees(const struct sim *s, size_t observer, size_t subject, enum covey_node_state state)
{
    const struct cv_member *m = sim_view(s, observer, subject);
    return m != NULL && m->record.status.state == state;
}

bool sim_all_alive(const struct sim *s)
{
    for (size_t o = 0; o < s->config.node_count; o++) {
        for (size_t i = 0; i < s->config.node_count; i++) {
            if (s->nodes[o].membership != NULL && s->nodes[i].membership != NULL &&
                !sim_sees(s, o, i, COVEY_NODE_ALIVE))
                return false;
        }
    }
    return true;
}

size_t sim_event_count(const struct sim *s, size_t observer, size_t subject,
                       enum covey_event_type type)
{
    return s->nodes[observer].views[subject].events[type];
}

size_t sim_event_total(const struct sim *s, enum covey_event_type type)
{
    size_t total = 0;
    for (size_t o = 0; o < s->config.node_count; o++) {
        for (size_t i = 0; i < s->config.node_count; i++)
            total += sim_event_count(s, o, i, type);
    }
    return total;
}

size_t sim_suspicion_total(const struct sim *s)
{
    return s->suspicion_total;
}

int sim_join_error(const struct sim *s, size_t node)
{
    return s->nodes[node].join_error;
}

size_t sim_join_attempts(const struct sim *s, size_t node)
{
    return s->nodes[node].join_attempts;
}
