/* The built-in methods that tell how a member is: api/status_wire.h has their answers. */
#include "api/server_status.h"
#include "api/cluster.h"
#include "api/status_wire.h"

#include "io/clock.h"

#include <stdio.h>

/* What fills a writer, or says why not. */
typedef int (*writing)(struct cv_writer *w, covey_cluster *cluster);

static void answer(covey_call *call, covey_server *server, writing write)
{
    uint8_t bytes[CV_STATUS_SIZE_MAX];
    struct cv_writer w;
    covey_cluster *cluster = covey_server_cluster(server);
    if (cluster == NULL) {
        covey_call_finish(call, COVEY_STATUS_FAILED_PRECONDITION, "this server is in no cluster");
        return;
    }
    cv_writer_init(&w, bytes, sizeof bytes);
    int error = write(&w, cluster);
    if (error == 0)
        covey_call_reply(call, bytes, cv_writer_size(&w));
    else
        covey_call_finish(call, COVEY_STATUS_INTERNAL, covey_strerror(error));
}

static int write_partition(struct cv_writer *w, covey_cluster *cluster)
{
    struct covey_partition_status status = {.size = sizeof status};
    int error = covey_cluster_partition(cluster, &status);
    if (error == 0)
        cv_partition_write(w, &status);
    return error;
}

static int write_health(struct cv_writer *w, covey_cluster *cluster)
{
    struct covey_health_status status = {.size = sizeof status};
    struct covey_check_health checks[COVEY_CHECKS_MAX] = {{.size = sizeof checks[0]}};
    int error = covey_cluster_health(cluster, &status, checks, COVEY_CHECKS_MAX);
    if (error == 0)
        cv_health_write(w, &status, checks, cv_clock_now());
    return error;
}

static int write_stats(struct cv_writer *w, covey_cluster *cluster)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    int error = covey_cluster_stats(cluster, &stats);
    if (error == 0)
        cv_stats_write(w, &stats);
    return error;
}

void cv_server_tell_partition(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    answer(call, user, write_partition);
}

void cv_server_tell_health(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    answer(call, user, write_health);
}

void cv_server_tell_stats(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    answer(call, user, write_stats);
}

/* One that is held up would hold up this worker, and the next ones that ask. */
static bool is_refused_for_a_loop(covey_call *call, const covey_server *server)
{
    char text[64];
    const int held_up = cv_server_find_held_up(server);
    if (held_up < 0)
        return false;
    (void)snprintf(text, sizeof text, "loop %d of this server is held up", held_up);
    covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, text);
    return true;
}

/* One at a time waits for the loops: who asks may take no more than one worker. */
void cv_server_tell_server_stats(covey_call *call, const void *request, size_t size, void *user)
{
    uint8_t bytes[CV_STATUS_SIZE_MAX];
    covey_server *server = user;
    struct covey_server_stats stats = {.size = sizeof stats};
    struct cv_writer w;
    (void)request;
    (void)size;
    if (is_refused_for_a_loop(call, server))
        return;
    if (atomic_exchange(&server->is_asked, true)) {
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED,
                          "this server is being asked the same already");
        return;
    }
    int error = covey_server_stats(server, &stats);
    atomic_store(&server->is_asked, false);
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_server_stats_write(&w, &stats);
    if (error == 0)
        covey_call_reply(call, bytes, cv_writer_size(&w));
    else
        covey_call_finish(call, COVEY_STATUS_INTERNAL, covey_strerror(error));
}
