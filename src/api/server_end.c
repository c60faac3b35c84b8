/* The end of a server: its calls, its handlers, its loops, in this order. */
#include "api/cluster.h"
#include "api/server.h"
#include "io/clock.h"

#include <assert.h>

static void stop_on_loop(void *user)
{
    struct cv_server_loop *sl = user;
    cv_node_stop_accepting(sl->host.node);
}

/* Those that come now are refused in a way that lets their clients make them elsewhere. */
static void abandon_on_loop(void *user)
{
    struct cv_server_loop *sl = user;
    covey_call *call;
    cv_node_drain(sl->host.node);
    sl->is_closing = true;
    while ((call = TAILQ_FIRST(&sl->calls)) != NULL)
        cv_call_abandon(call);
}

static void close_on_loop(void *user)
{
    struct cv_server_loop *sl = user;
    covey_server *server = sl->server;
    assert(TAILQ_EMPTY(&sl->calls));
    if (server->handover != NULL)
        cv_handover_close(server->handover, (unsigned)(sl - server->loops));
    if (sl == server->loops)
        cv_server_watch_end(server);
    cv_loop_close_work(sl->host.loop);
    cv_host_close(&sl->host);
    if (sl == server->loops)
        cv_cluster_forget_questions(server);
}

/* For handlers on workers, which may ask a loop or wait for a call. */
static void wait_for_works(covey_server *server)
{
    bool has_threads = server->runtime->mode == COVEY_RUN_THREADS;
    pthread_mutex_lock(&server->lock);
    while (server->works > 0) {
        covey_time until = has_threads ? COVEY_NEVER : cv_clock_now() + COVEY_MILLISECOND;
        cv_condition_wait(&server->changed, &server->lock, until);
        pthread_mutex_unlock(&server->lock);
        cv_runtime_serve(server->runtime);
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
}

/* All stop to accept before one closes, or its clients would come back through another, and all handlers and
 * health checks have returned, for they may use the server; a check that waits for the cluster to be left
 * does so when it is shut down. The loop of membership goes last: the others' packets come
 * through its port too. */
void cv_server_close_all(covey_server *server)
{
    for (unsigned i = 0; i < server->loop_count; i++)
        cv_server_call_loop(server->loops[i].host.loop, stop_on_loop, &server->loops[i]);
    for (unsigned i = 0; i < server->loop_count; i++)
        cv_server_call_loop(server->loops[i].host.loop, abandon_on_loop, &server->loops[i]);
    wait_for_works(server);
    cv_cluster_shut_down(server);
    cv_cluster_wait_checks(covey_server_cluster(server));
    for (unsigned i = server->loop_count; i-- > 0;)
        cv_server_call_loop(server->loops[i].host.loop, close_on_loop, &server->loops[i]);
    cv_handover_free(server->handover);
    if (server->group != NULL)
        cv_port_group_close(server->group);
}
