#include "sim_internal.h"

#include "cluster/body_table.h"

#include <assert.h>
#include <stdlib.h>

#define FNV_BASIS UINT64_C(14695981039346656037)

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
        .handshake_cpu = SIM_HANDSHAKE_CPU,
        .steps_max = 50 * 1000 * 1000,
        .events_max = 4 * 1000 * 1000,
    };
}

struct sim *sim_new(const struct sim_config *config)
{
    const uint64_t secret[2] = {config->seed, 0};
    const struct sim_link all = {.delay_min = config->delay_min,
                                 .delay_max = config->delay_max,
                                 .loss = config->loss_permille};
    struct sim *s = sim_allocate(1, sizeof(*s));
    assert(config->node_count > 0 && config->node_count < SIM_NONE);
    s->config = *config;
    s->hash = FNV_BASIS;
    cv_membership_config_init(&s->core, config->profile);
    s->core.bodies = &s->bodies;
    sim_arena_init(&s->arena);
    if (!sim_is_small(s))
        s->core.alloc = &s->arena.alloc;
    if (config->is_always_well)
        s->core.gossip.local_health_max = 0;
    if (config->is_unwatched)
        s->core.gossip.watch_count = 0;
    if (config->is_hasty)
        s->core.gossip.suspicion_max_factor = 1;
    cv_rand_seed(&s->rand, config->seed);
    sim_clock_init(&s->clock, config->events_max);
    sim_graph_init(&s->graph, config->node_count, &all, config->seed);
    sim_connections_init(&s->connections, config->node_count, config->seed);
    cv_body_table_init(&s->bodies, cv_alloc_default(), secret);
    s->nodes = sim_allocate(config->node_count, sizeof(*s->nodes));
    s->ids = sim_allocate(config->node_count, sizeof(*s->ids));
    for (uint32_t i = 0; i < config->node_count; i++)
        sim_node_init(s, i);
    sim_oracle_init(s);
    if (config->has_full_views)
        sim_make_known(s);
    return s;
}

static void drop_events(struct sim *s)
{
    struct sim_event *e;
    while ((e = sim_clock_take(&s->clock)) != NULL) {
        if (e->kind != SIM_WAKE && e->kind != SIM_FREE)
            sim_clock_free(&s->clock, e);
    }
}

void sim_free(struct sim *s)
{
    drop_events(s);
    for (size_t i = 0; i < s->config.node_count; i++)
        sim_node_fini(&s->nodes[i]);
    for (size_t i = 0; s->known != NULL && i < s->config.node_count; i++)
        cv_cluster_node_release(s->known[i].body);
    sim_oracle_fini(s);
    sim_connections_fini(&s->connections);
    sim_graph_fini(&s->graph);
    sim_clock_fini(&s->clock);
    cv_body_table_fini(&s->bodies);
    if (s->known != NULL)
        cv_roster_fini(&s->roster);
    sim_address_book_fini(&s->addresses);
    free(s->known);
    free(s->ids);
    free(s->nodes);
    free(s->trace);
    sim_arena_fini(&s->arena);
    free(s);
}

bool sim_is_small(const struct sim *s)
{
    return s->config.node_count <= SIM_SMALL;
}

struct sim_event *sim_event_new(struct sim *s, enum sim_event_kind kind, uint32_t node, size_t size)
{
    struct sim_event *e = sim_clock_new(&s->clock, kind, size);
    sim_require(s, SIM_X2, e != NULL, "more than %zu events are under way", s->config.events_max);
    /* The run ends before anything of it matters; but it ends in order. */
    if (e == NULL) {
        s->clock.event_count_max++;
        e = sim_clock_new(&s->clock, kind, size);
    }
    e->node = node;
    e->life = s->nodes[node].life;
    return e;
}

covey_time sim_now(const struct sim *s)
{
    return s->clock.now;
}

size_t sim_node_count(const struct sim *s)
{
    return s->config.node_count;
}

const char *sim_violation(const struct sim *s)
{
    return s->violation[0] == '\0' ? NULL : s->violation;
}

static bool is_broken(const struct sim *s)
{
    return s->violation[0] != '\0';
}

/* Takes one event out and lets it happen; false when none is due. */
static bool run_one(struct sim *s, covey_time end)
{
    struct sim_event *e = is_broken(s) ? NULL : sim_clock_next(&s->clock, end);
    if (e == NULL)
        return false;
    s->events++;
    sim_look_ahead(s);
    sim_happen(s, e);
    if (sim_is_small(s) && s->clock.now >= s->oracle.next_scan) {
        s->oracle.next_scan = s->clock.now + COVEY_SECOND;
        sim_check_scan(s);
    }
    return true;
}

bool sim_run_until(struct sim *s, covey_time time)
{
    while (run_one(s, time))
        ;
    if (is_broken(s))
        return false;
    s->clock.now = time;
    return true;
}

bool sim_run_for(struct sim *s, covey_time length)
{
    return sim_run_until(s, s->clock.now + length);
}

bool sim_run_while_not(struct sim *s, bool (*is_done)(struct sim *s, void *user), void *user,
                       covey_time length)
{
    covey_time end = s->clock.now + length;
    while (!is_done(s, user)) {
        if (run_one(s, end))
            continue;
        if (!is_broken(s))
            s->clock.now = end;
        return false;
    }
    return !is_broken(s);
}

void sim_check_end(struct sim *s)
{
    if (is_broken(s))
        return;
    sim_check_scan(s);
    sim_check_calm(s);
    sim_audience_end(s);
}
