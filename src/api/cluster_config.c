/* A user's configuration of membership as the core's. */
#include "api/cluster.h"

#include "io/clock.h"
#include "io/entropy.h"

static const struct covey_cluster_config defaults = {
    .size = sizeof(struct covey_cluster_config),
    .profile = COVEY_PROFILE_LAN,
    .join_attempts = 10,
};

void covey_cluster_config_init_sized(struct covey_cluster_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

int cv_cluster_config_take(struct covey_cluster_config *own,
                           const struct covey_cluster_config *callers)
{
    *own = defaults;
    return cv_config_take(own, sizeof *own, callers);
}

static enum cv_profile profile_of(enum covey_profile profile)
{
    switch (profile) {
    case COVEY_PROFILE_LOCAL:
        return CV_PROFILE_LOCAL;
    case COVEY_PROFILE_WAN:
        return CV_PROFILE_WAN;
    default:
        return CV_PROFILE_LAN;
    }
}

/* 0 leaves what is there. */
static void take_time(covey_time *own, covey_time callers)
{
    if (callers != 0)
        *own = callers;
}

static void take_partition(struct cv_membership_config *own,
                           const struct covey_partition_config *callers)
{
    if (callers->quorum_percent != 0)
        own->partition.quorum_percent = callers->quorum_percent;
    take_time(&own->partition.grace, callers->grace);
    own->partition.tie_break = callers->tie_break;
    own->partition.read_only_on_partition = callers->read_only_on_partition;
    own->expected_size = callers->expected_size;
}

void cv_cluster_config_of(struct cv_membership_config *own,
                          const struct covey_cluster_config *callers)
{
    cv_membership_config_init(own, profile_of(callers->profile));
    take_time(&own->gossip.protocol_period, callers->gossip.protocol_period);
    take_time(&own->gossip.ack_timeout, callers->gossip.ack_timeout);
    take_time(&own->gossip.indirect_timeout, callers->gossip.indirect_timeout);
    take_time(&own->gossip.gossip_interval, callers->gossip.gossip_interval);
    take_time(&own->join.timeout, callers->join_timeout);
    take_time(&own->leave_timeout, callers->leave_timeout);
    own->partition.settle = own->gossip.protocol_period;
    take_partition(own, &callers->partition);
    own->tags = callers->tags;
    own->tag_count = callers->tag_count;
    own->join.attempts_max = callers->join_attempts;
    own->wall_ms = cv_clock_wall_ms();
    cv_entropy(NULL, &own->seed, sizeof own->seed);
    cv_entropy(NULL, own->hash_secret, sizeof own->hash_secret);
}
