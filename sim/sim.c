#include "sim_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define FNV_BASIS UINT64_C(14695981039346656037)

void *sim_allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct sim_config sim_config_default(uint64_t seed, size_t node_count)
{
    return (struct sim_config){
        .seed = seed,
        .node_count = node_count,
        .profile = CV_PROFILE_LAN,
        .delay_min = 500 * COVEY_MICROSECOND,
        .delay_max = 2 * COVEY_MILLISECOND,
        .dial_timeout = 5 * COVEY_SECOND,
        .idle_timeout = 120 * COVEY_SECOND,
        .steps_max = 50 * 1000 * 1000,
    };
}

/* The last four bytes of an id are its number, the others random: the order of ids is not the order
 * of numbers. */
static void init_node(struct sim *s, size_t index)
{
    struct sim_node *n = &s->nodes[index];
    cv_rand_bytes(&s->rand, n->id.bytes, sizeof(n->id.bytes) - 4);
    for (size_t i = 0; i < 4; i++)
        n->id.bytes[12 + i] = (uint8_t)(index >> (8 * (3 - i)));
    snprintf(n->name, sizeof(n->name), "n%zu", index);
    n->address = (struct cv_address){
        .ip = {10, (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index},
        .port = 4433,
        .family = 4};
    n->wake = sim_allocate(sizeof(*n->wake));
    n->wake->kind = SIM_WAKE;
    n->wake->node = index;
    n->views = sim_allocate(s->config.node_count * sizeof(*n->views));
    n->seeds = sim_allocate(s->config.node_count * sizeof(*n->seeds));
    n->death = (struct sim_death){COVEY_NEVER, COVEY_NEVER, COVEY_NEVER, COVEY_NEVER};
    n->spread = (struct sim_spread){COVEY_NEVER, COVEY_NEVER};
}

struct sim *sim_new(const struct sim_config *config)
{
    const uint64_t secret[2] = {config->seed, 0};
    struct sim *s = sim_allocate(sizeof(*s));
    s->config = *config;
    s->hash = FNV_BASIS;
    s->totals.healed_at = COVEY_NEVER;
    s->totals.whole_at = COVEY_NEVER;
    cv_rand_seed(&s->rand, config->seed);
    cv_heap_init(&s->heap, cv_alloc_default());
    cv_map_init(&s->connections, cv_alloc_default(), secret, SIZE_MAX / 64);
    s->nodes = sim_allocate(config->node_count * sizeof(*s->nodes));
    for (size_t i = 0; i < config->node_count; i++)
        init_node(s, i);
    if (cv_heap_reserve(&s->heap, config->node_count) != COVEY_OK)
        abort();
    return s;
}

static void free_node(struct sim *s, struct sim_node *n)
{
    sim_drop_waiting(s, n);
    if (n->membership != NULL)
        cv_membership_free(n->membership);
    free(n->wake);
    free(n->views);
    free(n->seeds);
}

void sim_free(struct sim *s)
{
    struct cv_timer *timer;
    while ((timer = cv_heap_expire(&s->heap, COVEY_NEVER)) != NULL) {
        struct sim_event *e = (struct sim_event *)timer;
        if (e->kind != SIM_WAKE)
            sim_event_free(s, e);
    }
    for (size_t i = 0; i < s->config.node_count; i++)
        free_node(s, &s->nodes[i]);
    sim_network_fini(s);
    cv_heap_fini(&s->heap);
    free(s->nodes);
    free(s->trace);
    free(s);
}

struct sim_event *sim_event_new(struct sim *s, enum sim_event_kind kind, size_t node, size_t size)
{
    struct sim_event *e = sim_allocate(sizeof(*e) + size);
    e->kind = kind;
    e->node = node;
    e->life = s->nodes[node].life;
    e->size = size;
    s->event_count++;
    if (cv_heap_reserve(&s->heap, s->event_count + s->config.node_count) != COVEY_OK)
        abort();
    return e;
}

void sim_event_at(struct sim *s, struct sim_event *e, covey_time time)
{
    cv_heap_set(&s->heap, &e->timer, time);
}

void sim_event_free(struct sim *s, struct sim_event *e)
{
    s->event_count--;
    free(e);
}

size_t sim_node_count(const struct sim *s)
{
    return s->config.node_count;
}

covey_time sim_now(const struct sim *s)
{
    return s->now;
}

const char *sim_violation(const struct sim *s)
{
    return s->violation[0] == '\0' ? NULL : s->violation;
}

/* Takes one event out and lets it happen; false when none is due. */
static bool run_one(struct sim *s, covey_time time)
{
    covey_time due = cv_heap_deadline(&s->heap);
    if (due > time || due == COVEY_NEVER || s->violation[0] != '\0')
        return false;
    assert(due >= s->now);
    s->now = due;
    sim_happen(s, (struct sim_event *)cv_heap_expire(&s->heap, due));
    return true;
}

bool sim_run_until(struct sim *s, covey_time time)
{
    while (run_one(s, time))
        ;
    if (s->violation[0] != '\0')
        return false;
    s->now = time;
    return true;
}

bool sim_run_for(struct sim *s, covey_time length)
{
    return sim_run_until(s, s->now + length);
}

bool sim_run_while_not(struct sim *s, bool (*is_done)(struct sim *s, void *user), void *user,
                       covey_time length)
{
    covey_time end = s->now + length;
    while (!is_done(s, user)) {
        if (run_one(s, end))
            continue;
        if (s->violation[0] == '\0')
            s->now = end;
        return false;
    }
    return s->violation[0] == '\0';
}
