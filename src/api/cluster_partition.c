/* The partition status as other threads see it, and read-only mode, which follows from it. */
#include "api/cluster.h"
#include "io/clock.h"

_Static_assert((int)COVEY_PARTITION_UNKNOWN == (int)CV_PARTITION_UNKNOWN &&
                   (int)COVEY_PARTITION_HEALTHY == (int)CV_PARTITION_HEALTHY &&
                   (int)COVEY_PARTITION_SUSPECT == (int)CV_PARTITION_SUSPECT &&
                   (int)COVEY_PARTITION_PARTITIONED == (int)CV_PARTITION_PARTITIONED,
               "the public states have the numbers of the core's");

const char *covey_partition_state_name(enum covey_partition_state state)
{
    switch (state) {
    case COVEY_PARTITION_UNKNOWN:
        return "unknown";
    case COVEY_PARTITION_HEALTHY:
        return "healthy";
    case COVEY_PARTITION_SUSPECT:
        return "suspect";
    case COVEY_PARTITION_PARTITIONED:
        return "partitioned";
    }
    return "?";
}

struct covey_partition_status cv_partition_view(const struct cv_partition_status *from)
{
    return (struct covey_partition_status){
        .size = sizeof(struct covey_partition_status),
        .state = (enum covey_partition_state)from->state,
        .grace_remaining = from->grace_remaining,
        .alive = from->alive,
        .expected = from->expected,
        .quorum = from->quorum,
        .minority = from->minority,
        .read_only = from->read_only,
    };
}

void cv_cluster_publish_partition(covey_cluster *cluster, const struct cv_partition_status *status)
{
    pthread_mutex_lock(&cluster->lock);
    cluster->partition = *status;
    pthread_mutex_unlock(&cluster->lock);
    /* Calls look at nothing else, and need no order with it. */
    atomic_store_explicit(&cluster->server->is_read_only, status->read_only, memory_order_relaxed);
}

int covey_cluster_partition(covey_cluster *cluster, struct covey_partition_status *status)
{
    if (status == NULL || status->size < sizeof status->size)
        return COVEY_ERR_INVALID_ARGUMENT;
    pthread_mutex_lock(&cluster->lock);
    const struct cv_partition_status last = cluster->partition;
    pthread_mutex_unlock(&cluster->lock);
    struct covey_partition_status full = cv_partition_view(&last);
    if (last.grace_ends != COVEY_NEVER && last.state == CV_PARTITION_SUSPECT)
        full.grace_remaining = cv_time_left(last.grace_ends);
    cv_config_give(status, status->size, &full, sizeof full);
    return 0;
}
