/*
 * Tells that a loop of a server's makes no turns.
 *
 * Each finds out by itself, before its next turn, that there was none for long. Loops with threads
 * of their own do not wait for that: the loop of membership, on which nothing of the user's runs,
 * looks at the others once in the time that is allowed, twice when it is awake anyway, so that one
 * that never goes on is told of, too. Events are published on that loop, so what the others find
 * out they leave for it, and it finds that at its next look.
 */
#include "api/cluster.h"
#include "api/server.h"

#include "io/clock.h"

static unsigned index_of(const struct cv_server_loop *sl)
{
    return (unsigned)(sl - sl->server->loops);
}

static void warn(const struct cv_server_loop *sl, struct cv_log_limit *limit, covey_time now,
                 covey_time held_up, bool goes_on)
{
    uint64_t suppressed;
    const unsigned index = index_of(sl);
    if (!cv_log_limit_pass(limit, now, COVEY_SECOND, &suppressed))
        return;
    const unsigned long long ms = held_up / COVEY_MILLISECOND, more = suppressed;
    if (index == 0)
        cv_log_line(&sl->server->runtime->log, CV_LOG_WARNING,
                    "no turn was made for %llu ms: members may take this node for dead "
                    "(%llu more not shown)",
                    ms, more);
    else
        cv_log_line(&sl->server->runtime->log, CV_LOG_WARNING,
                    "loop %u %s no turn for %llu ms: its calls wait (%llu more not shown)", index,
                    goes_on ? "has made" : "made", ms, more);
}

/* The loop of membership. */
static void tell(const struct cv_server_loop *sl, covey_time held_up, bool goes_on)
{
    covey_server *server = sl->server;
    covey_cluster *cluster = covey_server_cluster(server);
    if (cluster == NULL || cv_node_membership(cv_cluster_host(server)->node) == NULL)
        return;
    const struct cv_event event = {.type = COVEY_EVENT_LOOP_HELD_UP,
                                   .wall_ms = cv_clock_wall_ms(),
                                   .held_up = held_up,
                                   .goes_on = goes_on,
                                   .loop = index_of(sl)};
    cv_event_hub_publish(cluster->events, &event);
    cv_cluster_publish_now(cluster);
}

/* The longest of those that were not told yet. */
static void leave_to_tell(struct cv_server_loop *sl, covey_time held_up)
{
    uint64_t before = atomic_load(&sl->was_held_up);
    while (before < held_up && !atomic_compare_exchange_weak(&sl->was_held_up, &before, held_up))
        ;
}

void cv_server_on_turn(void *user)
{
    struct cv_server_loop *sl = user;
    covey_time held_up = cv_loop_held_up(sl->host.loop);
    if (held_up < sl->server->runtime->watchdog)
        return;
    cv_count_up(&sl->counters.held_up);
    warn(sl, &sl->held_up_logged, cv_loop_now(sl->host.loop), held_up, false);
    if (index_of(sl) == 0)
        tell(sl, held_up, false);
    else
        leave_to_tell(sl, held_up);
}

/* ---- from outside ---- */

/* How long it is late; *from is since when. */
static covey_time lateness(const struct cv_loop *loop, covey_time now, covey_time *from)
{
    *from = cv_loop_late_from(loop);
    return now > *from ? now - *from : 0;
}

int cv_server_find_held_up(const covey_server *server)
{
    const covey_time now = cv_clock_now();
    covey_time from;
    for (unsigned i = 0; i < server->loop_count; i++) {
        if (lateness(server->runtime->loops[i], now, &from) >= server->runtime->watchdog)
            return (int)i;
    }
    return -1;
}

static void look_at(covey_server *server, unsigned index, covey_time now)
{
    struct cv_server_loop *sl = &server->loops[index];
    covey_time from;
    const covey_time was_held_up = atomic_exchange(&sl->was_held_up, 0);
    if (was_held_up > 0)
        tell(sl, was_held_up, false);
    const covey_time late = lateness(server->runtime->loops[index], now, &from);
    if (late < server->runtime->watchdog || from == sl->told_from)
        return;
    sl->told_from = from;
    warn(sl, &server->watch.logged, now, late, true);
    tell(sl, late, true);
}

static void watch_turn(void *user, covey_time now)
{
    covey_server *server = user;
    if (now - server->watch.looked_at < server->runtime->watchdog / 2)
        return;
    server->watch.looked_at = now;
    for (unsigned i = 1; i < server->loop_count; i++)
        look_at(server, i, cv_clock_now());
}

static covey_time watch_deadline(void *user)
{
    const covey_server *server = user;
    const covey_time pause = server->runtime->watchdog;
    return pause < COVEY_NEVER - server->watch.looked_at ? server->watch.looked_at + pause
                                                         : COVEY_NEVER;
}

void cv_server_watch_begin(covey_server *server)
{
    struct cv_server_watch *watch = &server->watch;
    struct cv_loop *loop = cv_cluster_host(server)->loop;
    if (watch->is_on || server->loop_count == 1 || server->runtime->watchdog == COVEY_NEVER)
        return;
    watch->is_on = true;
    watch->task =
        (struct cv_loop_task){.turn = watch_turn, .deadline = watch_deadline, .user = server};
    cv_loop_add(loop, &watch->task);
}

void cv_server_watch_end(covey_server *server)
{
    if (server->watch.is_on)
        cv_loop_remove(cv_cluster_host(server)->loop, &server->watch.task);
    server->watch.is_on = false;
}
