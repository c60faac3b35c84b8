#ifndef UNIT_API_MEMBERS_H
#define UNIT_API_MEMBERS_H

#include "unit/api/fixture.h"

/* Servers of one process that are members of a cluster, over loopback. */

struct member {
    covey_server *server;
    covey_cluster *cluster;
    covey_event_receiver *events;
};

static inline struct covey_cluster_config local_config(void)
{
    struct covey_cluster_config config;
    covey_cluster_config_init(&config);
    config.profile = COVEY_PROFILE_LOCAL;
    return config;
}

/* Enables the cluster on m->server, which runs; waits until it has joined. */
static inline void join(struct member *m, const struct covey_cluster_config *config,
                        const char *seed)
{
    assert_int_equal(covey_server_enable_cluster(m->server, config, &seed, seed != NULL), 0);
    m->cluster = covey_server_cluster(m->server);
    assert_non_null(m->cluster);
    assert_int_equal(covey_server_cluster_events(m->server, &m->events), 0);
    assert_int_equal(covey_cluster_wait_joined(m->cluster, TEST_DEADLINE), 0);
}

static inline void start(struct world *w, struct member *m, const char *name, const char *seed)
{
    const struct covey_cluster_config config = local_config();
    m->server = world_server(w, name);
    assert_int_equal(covey_server_start(m->server), 0);
    join(m, &config, seed);
}

static inline void stop(struct member *m)
{
    covey_event_receiver_free(m->events);
    assert_int_equal(covey_server_free(m->server), 0);
}

/* Waits for an event of `type` about `name`; others before it are skipped. */
static inline void wait_event(struct member *m, enum covey_event_type type, const char *name)
{
    struct covey_event event = {.size = sizeof event};
    for (;;) {
        int error = covey_event_receive(m->events, TEST_DEADLINE, &event);
        if (error != 0)
            fail_msg("no %s about %s: %s", covey_event_name(type), name, covey_strerror(error));
        if (event.type == type && event.node != NULL && strcmp(event.node->name, name) == 0)
            return;
    }
}

static inline size_t count_with_tag(covey_cluster *cluster, const char *key, const char *value)
{
    covey_node_list *list;
    assert_int_equal(covey_cluster_nodes_with_tag(cluster, key, value, &list), 0);
    size_t count = covey_node_list_count(list);
    covey_node_list_free(list);
    return count;
}

static inline enum covey_node_state state_of(covey_cluster *cluster, const char *name)
{
    covey_node_list *list;
    enum covey_node_state state = (enum covey_node_state)99;
    assert_int_equal(covey_cluster_members(cluster, &list), 0);
    for (size_t i = 0; i < covey_node_list_count(list); i++)
        if (strcmp(covey_node_list_at(list, i)->name, name) == 0)
            state = covey_node_list_at(list, i)->state;
    assert_null(covey_node_list_at(list, covey_node_list_count(list)));
    covey_node_list_free(list);
    return state;
}

#endif
