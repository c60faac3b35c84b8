/* Where the user makes the turns: tells that there was none for long. */
#include "api/cluster.h"
#include "api/server.h"

#include "io/clock.h"

static void warn(struct cv_server_loop *sl, covey_time held_up)
{
    uint64_t suppressed;
    struct cv_loop *loop = sl->host.loop;
    if (!cv_log_limit_pass(&sl->held_up_logged, cv_loop_now(loop), COVEY_SECOND, &suppressed))
        return;
    cv_log_line(&sl->server->runtime->log, CV_LOG_WARNING,
                "no turn was made for %llu ms: members may take this node for dead "
                "(%llu more not shown)",
                (unsigned long long)(held_up / COVEY_MILLISECOND), (unsigned long long)suppressed);
}

static void tell(struct cv_server_loop *sl, covey_time held_up)
{
    covey_cluster *cluster = covey_server_cluster(sl->server);
    if (cluster == NULL || cv_node_membership(sl->host.node) == NULL)
        return;
    const struct cv_event event = {
        .type = COVEY_EVENT_LOOP_HELD_UP, .wall_ms = cv_clock_wall_ms(), .held_up = held_up};
    cv_event_hub_publish(cluster->events, &event);
    cv_cluster_publish_now(cluster);
}

void cv_server_on_turn(void *user)
{
    struct cv_server_loop *sl = user;
    covey_time held_up = cv_loop_held_up(sl->host.loop);
    if (held_up < sl->server->runtime->watchdog)
        return;
    cv_count_up(&sl->counters.held_up);
    warn(sl, held_up);
    tell(sl, held_up);
}
