/* What a user has membership do. */
#include "api/cluster.h"
#include "io/clock.h"

/* In a turn. */
static int take(struct cv_cluster_order *order)
{
    covey_cluster *cluster = order->cluster;
    const struct cv_host *host = cv_cluster_host(cluster->server);
    int error =
        cv_node_input(host->node, &order->input, cv_loop_now(host->loop), cv_clock_wall_ms());
    if (order->input.command.type == CV_COMMAND_CHECK_REMOVE)
        cv_cluster_publish_health(cluster);
    if (error != 0 || order->input.command.type != CV_COMMAND_JOIN)
        return error;
    /* Who waits now waits for the outcome of this attempt. */
    pthread_mutex_lock(&cluster->lock);
    cluster->state = CV_MEMBERSHIP_JOINING;
    cluster->next_state.is_set = false;
    pthread_mutex_unlock(&cluster->lock);
    return 0;
}

/* ---- on the loop's own thread: shown at once ---- */

static void take_now(void *user)
{
    struct cv_cluster_order *order = user;
    order->error = take(order);
    if (order->error == 0)
        cv_cluster_publish_now(order->cluster);
}

/* ---- on another: shown at the end of the turn ---- */

static void finish(struct cv_cluster_order *order, int error)
{
    covey_cluster *cluster = order->cluster;
    pthread_mutex_lock(&cluster->lock);
    order->error = error;
    order->is_done = true;
    pthread_cond_broadcast(&cluster->changed);
    pthread_mutex_unlock(&cluster->lock);
}

static void run_mail(struct cv_mail *mail, bool cancelled)
{
    struct cv_cluster_order *order = (struct cv_cluster_order *)(void *)mail;
    int error = cancelled ? COVEY_ERR_CLOSED : take(order);
    if (error == 0)
        STAILQ_INSERT_TAIL(&order->cluster->orders, order, entry);
    else
        finish(order, error);
}

static int post(struct cv_loop *loop, struct cv_cluster_order *order)
{
    covey_cluster *cluster = order->cluster;
    order->mail = (struct cv_mail){.run = run_mail};
    int error = cv_loop_post(loop, &order->mail);
    if (error != 0)
        return error;
    pthread_mutex_lock(&cluster->lock);
    while (!order->is_done)
        cv_condition_wait(&cluster->changed, &cluster->lock, COVEY_NEVER);
    pthread_mutex_unlock(&cluster->lock);
    return order->error;
}

int cv_cluster_command(covey_cluster *cluster, const struct cv_input *input)
{
    struct cv_loop *loop = cv_cluster_host(cluster->server)->loop;
    struct cv_cluster_order order = {.cluster = cluster, .input = *input};
    order.input.type = CV_INPUT_COMMAND;
    if (!cv_loop_is_current(loop))
        return post(loop, &order);
    int error = cv_loop_call(loop, take_now, &order);
    return error != 0 ? error : order.error;
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
