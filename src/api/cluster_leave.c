/* Leaving, the long way and the short one, from any thread. */
#include "api/cluster.h"

#include "io/clock.h"

/* The whole of shutting down; the core's part is shorter. */
#define SHUTDOWN_TIME (250 * COVEY_MILLISECOND)

/* False when it has not by then. */
static bool wait_until_left(covey_cluster *cluster, covey_time deadline)
{
    bool in_time = true;
    pthread_mutex_lock(&cluster->lock);
    while (in_time && cluster->state != CV_MEMBERSHIP_LEFT)
        in_time = cv_condition_wait(&cluster->changed, &cluster->lock, deadline);
    bool has = cluster->state == CV_MEMBERSHIP_LEFT;
    pthread_mutex_unlock(&cluster->lock);
    return has;
}

/* 0 also when it is on its way or gone already. */
static int begin(covey_cluster *cluster, enum cv_command_type type)
{
    const struct cv_input input = {.command = {.type = type}};
    int error = cv_cluster_command(cluster, &input);
    return error == COVEY_ERR_STATE ? 0 : error;
}

int covey_cluster_leave(covey_cluster *cluster)
{
    if (cv_runtime_is_loop_thread(cluster->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error = begin(cluster, CV_COMMAND_LEAVE);
    if (error == 0)
        (void)wait_until_left(cluster, COVEY_NEVER);
    return error;
}

/* ---- without waiting ---- */

static void run_mail(struct cv_mail *mail, bool cancelled)
{
    struct cv_leave_mail *order = (struct cv_leave_mail *)(void *)mail;
    covey_cluster *cluster = order->cluster;
    const enum cv_command_type type = order->type;
    atomic_store(&order->is_posted, false); /* from here on it may be written and posted again */
    if (!cancelled)
        (void)begin(cluster, type); /* in the turn: at once */
}

static void order(covey_cluster *cluster, struct cv_leave_mail *mail, enum cv_command_type type)
{
    struct cv_loop *loop = cv_cluster_host(cluster->server)->loop;
    if (cv_loop_in_turn(loop)) {
        (void)begin(cluster, type);
        return;
    }
    if (atomic_exchange(&mail->is_posted, true))
        return;
    mail->mail = (struct cv_mail){.run = run_mail};
    mail->cluster = cluster;
    mail->type = type;
    cv_loop_post_sure(loop, &mail->mail);
}

void covey_cluster_leave_async(covey_cluster *cluster)
{
    order(cluster, &cluster->leave_mail, CV_COMMAND_LEAVE);
}

/* ---- at once ---- */

int covey_cluster_shutdown_immediate(covey_cluster *cluster)
{
    covey_time deadline = cv_deadline_after(SHUTDOWN_TIME);
    order(cluster, &cluster->shutdown_mail, CV_COMMAND_SHUTDOWN);
    if (cv_runtime_is_loop_thread(cluster->runtime))
        return 0;
    return wait_until_left(cluster, deadline) ? 0 : COVEY_ERR_TIMEOUT;
}

void cv_cluster_wait_for_change(covey_cluster *cluster)
{
    if (!cv_loop_is_current(cluster->runtime->loop)) {
        cv_condition_wait(&cluster->changed, &cluster->lock, COVEY_NEVER);
        return;
    }
    cv_condition_wait(&cluster->changed, &cluster->lock, cv_clock_now() + COVEY_MILLISECOND);
    pthread_mutex_unlock(&cluster->lock);
    cv_runtime_serve(cluster->runtime);
    pthread_mutex_lock(&cluster->lock);
}

/* The turns are this thread's to make. */
static void serve_until_left(covey_cluster *cluster)
{
    covey_time deadline = cv_deadline_after(SHUTDOWN_TIME);
    pthread_mutex_lock(&cluster->lock);
    while (cluster->state != CV_MEMBERSHIP_LEFT && cv_time_left(deadline) > 0)
        cv_cluster_wait_for_change(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

static void end_on_loop(void *user)
{
    cv_cluster_end(user);
}

/* What is not done by then is done without asking anybody. */
void cv_cluster_shut_down(covey_server *server)
{
    covey_cluster *cluster = covey_server_cluster(server);
    if (cluster == NULL)
        return;
    if (!cv_loop_is_current(server->runtime->loop)) {
        (void)covey_cluster_shutdown_immediate(cluster);
    } else {
        (void)begin(cluster, CV_COMMAND_SHUTDOWN);
        serve_until_left(cluster);
    }
    cv_server_call_loop(cv_cluster_host(server)->loop, end_on_loop, server);
}
