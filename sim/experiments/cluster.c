#include "cluster.h"

#include <math.h>
#include <stdio.h>

struct sim_config cluster_config(uint64_t seed, uint32_t nodes)
{
    struct sim_config config = sim_config_default(seed, nodes);
    config.has_full_views = true;
    config.steps_max = SIZE_MAX / 4; /* virtual time is the bound */
    config.events_max = 40 * 1000 * 1000;
    return config;
}

struct sim_link cluster_link(void)
{
    const struct sim_config config = sim_config_default(1, 1);
    return (struct sim_link){.delay_min = config.delay_min, .delay_max = config.delay_max};
}

struct sim *cluster_new(const struct sim_config *config)
{
    struct sim *s = sim_new(config);
    for (size_t i = 0; i < config->node_count; i++)
        sim_start(s, i);
    sim_run_for(s, CLUSTER_SETTLE);
    return s;
}

bool cluster_end(struct sim *s)
{
    const char *violation = sim_violation(s);
    if (violation != NULL)
        fprintf(stderr, "experiments: an invariant broke: %s\n", violation);
    sim_free(s);
    return violation == NULL;
}

bool cluster_is_whole(struct sim *s, void *unused)
{
    (void)unused;
    return sim_all_alive(s);
}

double cluster_ms(covey_time begin, covey_time end)
{
    return end == COVEY_NEVER ? INFINITY : (double)(end - begin) / (double)COVEY_MILLISECOND;
}
