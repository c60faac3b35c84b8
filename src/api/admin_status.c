/* How a member is, asked from elsewhere. */
#include "api/admin_call.h"
#include "api/client.h"
#include "api/cluster.h"
#include "api/status_wire.h"

#include "io/clock.h"

#include <covey/admin.h>

/* What takes a whole answer apart into `out`. */
typedef int (*reading)(struct cv_slice answer, void *out);

static int ask(covey_client *client, covey_time timeout, const char *method, reading read,
               void *out, struct covey_reply *reply)
{
    struct covey_reply said;
    if (reply != NULL)
        cv_admin_init_reply(reply);
    int error = cv_admin_call(client, timeout, method, (struct cv_slice){NULL, 0}, &said);
    if (error != 0)
        return error;
    if (said.code == COVEY_STATUS_OK)
        error = read(cv_slice_of(said.data, said.size), out);
    int verdict = cv_admin_judge(&said, reply);
    return verdict != 0 ? verdict : error;
}

static bool is_sized(const void *out)
{
    size_t size;
    if (out == NULL)
        return false;
    memcpy(&size, out, sizeof size);
    return size >= sizeof size;
}

static int read_partition(struct cv_slice answer, void *out)
{
    return cv_partition_read(answer, out);
}

int covey_admin_partition(covey_client *client, covey_time timeout,
                          struct covey_partition_status *status, struct covey_reply *reply)
{
    struct covey_partition_status full;
    if (!is_sized(status))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = ask(client, timeout, "covey.cluster.partition", read_partition, &full, reply);
    if (error == 0)
        cv_config_give(status, status->size, &full, sizeof full);
    return error;
}

struct health {
    struct covey_health_status status;
    struct covey_check_health checks[COVEY_CHECKS_MAX];
};

static int read_health(struct cv_slice answer, void *out)
{
    struct health *health = out;
    return cv_health_read(answer, cv_clock_now(), &health->status, health->checks);
}

int covey_admin_health(covey_client *client, covey_time timeout, struct covey_health_status *status,
                       struct covey_check_health *checks, size_t count, struct covey_reply *reply)
{
    struct health full;
    if (!is_sized(status) || (count > 0 && !is_sized(checks)))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = ask(client, timeout, "covey.cluster.health", read_health, &full, reply);
    if (error != 0)
        return error;
    cv_config_give(status, status->size, &full.status, sizeof full.status);
    cv_checks_give(checks, count, full.checks, full.status.check_count);
    return 0;
}

static int read_stats(struct cv_slice answer, void *out)
{
    return cv_stats_read(answer, out);
}

int covey_admin_stats(covey_client *client, covey_time timeout, struct covey_cluster_stats *stats,
                      struct covey_reply *reply)
{
    struct covey_cluster_stats full;
    if (!is_sized(stats))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = ask(client, timeout, "covey.cluster.stats", read_stats, &full, reply);
    if (error == 0)
        cv_config_give(stats, stats->size, &full, sizeof full);
    return error;
}

static int read_server_stats(struct cv_slice answer, void *out)
{
    return cv_server_stats_read(answer, out);
}

int covey_admin_server_stats(covey_client *client, covey_time timeout,
                             struct covey_server_stats *stats, struct covey_reply *reply)
{
    struct covey_server_stats full;
    if (!is_sized(stats))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = ask(client, timeout, "covey.server.stats", read_server_stats, &full, reply);
    if (error == 0)
        cv_config_give(stats, stats->size, &full, sizeof full);
    return error;
}
