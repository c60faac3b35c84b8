/* What a user has membership do. */
#include "api/cluster.h"
#include "io/clock.h"

struct commanding {
    covey_cluster *cluster;
    struct cv_input input;
    int error;
};

static void command_on_loop(void *user)
{
    struct commanding *c = user;
    covey_cluster *cluster = c->cluster;
    const struct cv_host *host = cv_cluster_host(cluster->server);
    c->error = cv_node_input(host->node, &c->input, cv_loop_now(host->loop), cv_clock_wall_ms());
    if (c->error != 0)
        return;
    cv_cluster_publish(cluster->server); /* what the caller changed he sees when this returns */
    if (c->input.command.type != CV_COMMAND_JOIN)
        return;
    /* Who waits now waits for the outcome of this attempt. */
    pthread_mutex_lock(&cluster->lock);
    cluster->state = CV_MEMBERSHIP_JOINING;
    pthread_mutex_unlock(&cluster->lock);
}

int cv_cluster_command(covey_cluster *cluster, const struct cv_input *input)
{
    struct commanding c = {.cluster = cluster, .input = *input};
    c.input.type = CV_INPUT_COMMAND;
    int error = cv_loop_call(cv_cluster_host(cluster->server)->loop, command_on_loop, &c);
    return error != 0 ? error : c.error;
}

static int command(covey_cluster *cluster, enum cv_command_type type, const char *key,
                   const char *value)
{
    const struct cv_input input = {.command = {.type = type, .key = key, .value = value}};
    return cv_cluster_command(cluster, &input);
}

int covey_cluster_update_tag(covey_cluster *cluster, const char *key, const char *value)
{
    if (key == NULL || value == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return command(cluster, CV_COMMAND_TAG_SET, key, value);
}

int covey_cluster_remove_tag(covey_cluster *cluster, const char *key)
{
    if (key == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return command(cluster, CV_COMMAND_TAG_REMOVE, key, NULL);
}

int covey_server_update_tag(covey_server *server, const char *key, const char *value)
{
    covey_cluster *cluster = covey_server_cluster(server);
    return cluster == NULL ? COVEY_ERR_STATE : covey_cluster_update_tag(cluster, key, value);
}

int covey_cluster_expect_size(covey_cluster *cluster, uint32_t size)
{
    const struct cv_input input = {.command = {.type = CV_COMMAND_EXPECT, .size = size}};
    return cv_cluster_command(cluster, &input);
}

int covey_cluster_rejoin(covey_cluster *cluster)
{
    return command(cluster, CV_COMMAND_JOIN, NULL, NULL);
}
