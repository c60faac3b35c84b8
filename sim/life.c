#include "sim_internal.h"

#include "cluster/body_table.h"

#include <assert.h>
#include <covey/error.h>
#include <stdio.h>
#include <stdlib.h>

/* Nodes that start, crash, pause and go on. */

static struct sim_event *own_event(const struct sim_node *n, enum sim_event_kind kind)
{
    struct sim_event *e = sim_allocate(1, sizeof(*e));
    e->kind = (uint8_t)kind;
    e->node = n->index;
    return e;
}

/* The last four bytes of an id are its number, the others random: the order of ids is not the order
 * of numbers. */
void sim_node_init(struct sim *s, uint32_t index)
{
    struct sim_node *n = &s->nodes[index];
    n->sim = s;
    n->index = index;
    n->joined = COVEY_NEVER;
    n->death = (struct sim_death){COVEY_NEVER, COVEY_NEVER, COVEY_NEVER, COVEY_NEVER};
    n->spread = (struct sim_spread){COVEY_NEVER, COVEY_NEVER};
    cv_rand_bytes(&s->rand, n->id.bytes, sizeof(n->id.bytes) - 4);
    for (uint32_t i = 0; i < 4; i++)
        n->id.bytes[12 + i] = (uint8_t)(index >> (8 * (3 - i)));
    s->ids[index] = n->id;
    snprintf(n->name, sizeof(n->name), "n%" PRIu32, index);
    n->address = (struct cv_address){
        .ip = {10, (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index},
        .port = 4433,
        .family = 4};
    n->wake = own_event(n, SIM_WAKE);
    n->free = own_event(n, SIM_FREE);
    sim_watch(n);
}

static void drop_waiting(struct sim *s, struct sim_node *n)
{
    while (n->waiting_first != NULL) {
        struct sim_event *next = n->waiting_first->next;
        sim_clock_free(&s->clock, n->waiting_first);
        n->waiting_first = next;
    }
    n->waiting_last = NULL;
}

void sim_node_fini(struct sim_node *n)
{
    drop_waiting(n->sim, n);
    sim_hold_drop(n->sim, n);
    sim_forget_snapshot(n);
    if (n->membership != NULL)
        cv_membership_free(n->membership);
    for (uint32_t i = 0; i < n->bodies.count; i++)
        cv_cluster_node_release(n->bodies.items[i]);
    sim_liar_free(n->liar);
    free(n->bodies.items);
    free(n->issues.items);
    free(n->wake);
    free(n->free);
    sim_views_fini(&n->views);
}

/* What each node says of itself when it first starts at time 0. */
void sim_make_known(struct sim *s)
{
    s->known = sim_allocate(s->config.node_count, sizeof(*s->known));
    for (size_t i = 0; i < s->config.node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        struct cv_record *known = &s->known[i];
        *known = (struct cv_record){.id = n->id, .status = {.incarnation = SIM_WALL_MS}};
        if (cv_cluster_node_new(cv_alloc_default(),
                                &(struct cv_cluster_node_config){.id = n->id,
                                                                 .incarnation = SIM_WALL_MS,
                                                                 .address = n->address,
                                                                 .name = cv_slice_text(n->name)},
                                &known->body) != COVEY_OK)
            abort();
        known->body = cv_body_table_intern(&s->bodies, known->body);
        sim_note_known(s, n, known);
    }
    const uint64_t secret[2] = {s->config.seed, 3};
    if (cv_roster_init(&s->roster, cv_alloc_default(), secret, s->known, s->config.node_count) !=
        COVEY_OK)
        abort();
}

void sim_set_seeds(struct sim *s, size_t node, const size_t *seeds, size_t count)
{
    struct sim_node *n = &s->nodes[node];
    assert(count <= SIM_SEEDS_MAX);
    n->seed_count = count;
    for (size_t i = 0; i < count; i++)
        n->seeds[i] = seeds[i];
}

void sim_set_clock(struct sim *s, size_t node, int64_t offset_ms)
{
    s->nodes[node].clock_offset_ms = offset_ms;
    sim_fault(s, SIM_FAULT_CLOCK);
}

static void new_core(struct sim *s, struct sim_node *n)
{
    struct cv_membership_config config = s->core;
    char texts[SIM_SEEDS_MAX][24];
    const char *seeds[SIM_SEEDS_MAX];
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
    config.wall_ms = sim_wall_of(s, n);
    config.watcher = &n->watcher;
    if (s->known != NULL && n->life == 1) {
        config.roster = &s->roster;
        config.hash_secret[0] = s->roster.table.secret[0];
        config.hash_secret[1] = s->roster.table.secret[1];
    }
    if (cv_membership_new(&config, s->clock.now, &n->membership) != COVEY_OK)
        abort();
}

void sim_start(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    assert(n->membership == NULL);
    sim_trace_line(s, "%s starts", n->name);
    if (n->life > 0)
        sim_fault(s, SIM_FAULT_RESTART);
    n->life++;
    n->has_left = false;
    n->join_error = COVEY_OK;
    n->join_attempts = 0;
    n->started = s->clock.now;
    n->joined = COVEY_NEVER;
    n->resumed = 0;
    n->busy_until = 0;
    n->run_count = 0;
    n->state = CV_MEMBERSHIP_JOINING;
    n->partition = CV_PARTITION_UNKNOWN;
    n->partition_since = s->clock.now;
    memset(n->tries, 0, sizeof(n->tries));
    sim_oracle_starts(s, n);
    n->is_starting = true;
    new_core(s, n);
    n->is_starting = false;
    s->up_count++;
    sim_oracle_started(s, n);
    sim_drain(s, n);
    sim_check_partition(s, n);
}

void sim_start_elsewhere(struct sim *s, size_t node)
{
    s->nodes[node].address.port++;
    sim_fault(s, SIM_FAULT_MOVE);
    sim_start(s, node);
}

void sim_crash(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    assert(n->membership != NULL);
    sim_trace_line(s, "%s crashes", n->name);
    sim_clock_clear(n->wake);
    sim_clock_clear(n->free);
    sim_stop_lying(s, node);
    drop_waiting(s, n);
    sim_hold_drop(s, n);
    sim_forget_snapshot(n);
    sim_forget_connections(s, n->index);
    s->up_count--;
    sim_oracle_crashed(s, n);
    cv_membership_free(n->membership);
    n->membership = NULL;
    n->own = NULL;
    n->is_paused = false;
    sim_oracle_is_gone(s);
}

void sim_pause(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    sim_trace_line(s, "%s is paused", n->name);
    sim_fault(s, SIM_FAULT_PAUSE);
    n->is_paused = true;
    n->paused = s->clock.now;
}

void sim_resume(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert(n->membership != NULL && n->is_paused);
    sim_trace_line(s, "%s goes on", n->name);
    n->is_paused = false;
    if (s->clock.now - n->paused > s->core.gossip.protocol_period)
        n->resumed = s->clock.now;
    sim_disturb(s);
    sim_oracle_healed(s);
    sim_catch_up(s, n);
    sim_step(s, n->index, &time);
}

bool sim_sleep(struct sim *s, covey_time length)
{
    size_t count = s->config.node_count;
    bool *sleeps = sim_allocate(count, sizeof(*sleeps));
    for (size_t i = 0; i < count; i++) {
        sleeps[i] = s->nodes[i].membership != NULL && !s->nodes[i].is_paused;
        if (sleeps[i])
            sim_pause(s, i);
    }
    bool is_well = sim_run_for(s, length);
    for (size_t i = 0; i < count && is_well; i++) {
        if (sleeps[i])
            sim_resume(s, i);
    }
    free(sleeps);
    return is_well && sim_violation(s) == NULL;
}

int sim_command(struct sim *s, size_t node, enum cv_command_type type, const char *key,
                const char *value)
{
    struct sim_node *n = &s->nodes[node];
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = type;
    input.command.key = key;
    input.command.value = value;
    enum cv_membership_state before = cv_membership_state(n->membership);
    if (type == CV_COMMAND_JOIN)
        memset(n->tries, 0, sizeof(n->tries));
    /* It is joining again, without a word. */
    if (type == CV_COMMAND_JOIN && before == CV_MEMBERSHIP_JOIN_FAILED)
        n->state = CV_MEMBERSHIP_JOINING;
    int error = sim_step(s, n->index, &input);
    bool leaves = before == CV_MEMBERSHIP_LEAVING || before == CV_MEMBERSHIP_LEFT;
    if (type == CV_COMMAND_LEAVE && leaves)
        sim_require(s, SIM_H4,
                    error == COVEY_ERR_STATE && !s->planted->leaves_twice &&
                        before == cv_membership_state(n->membership),
                    "%s left a second time", n->name);
    return error;
}

void sim_set_refusal(struct sim *s, size_t node, int error)
{
    struct sim_node *n = &s->nodes[node];
    sim_fault(s, SIM_FAULT_REFUSAL);
    s->oracle.refused_count += error != COVEY_OK;
    s->oracle.refused_count -= n->refusal != COVEY_OK;
    n->refusal = error;
}
