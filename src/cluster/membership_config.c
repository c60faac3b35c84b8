#include "cluster/membership.h"

static const struct cv_gossip_config gossip_of_profile[] = {
    [CV_PROFILE_LAN] = {.protocol_period = COVEY_SECOND,
                        .ack_timeout = 500 * COVEY_MILLISECOND,
                        .indirect_timeout = 500 * COVEY_MILLISECOND,
                        .gossip_interval = 200 * COVEY_MILLISECOND,
                        .suspicion_min = 3 * COVEY_SECOND,
                        .heartbeat_interval = COVEY_SECOND,
                        .phi = {.sigma_min = 100 * COVEY_MILLISECOND}},
    [CV_PROFILE_LOCAL] = {.protocol_period = 200 * COVEY_MILLISECOND,
                          .ack_timeout = 100 * COVEY_MILLISECOND,
                          .indirect_timeout = 100 * COVEY_MILLISECOND,
                          .gossip_interval = 50 * COVEY_MILLISECOND,
                          .suspicion_min = 600 * COVEY_MILLISECOND,
                          .heartbeat_interval = 200 * COVEY_MILLISECOND,
                          .phi = {.sigma_min = 20 * COVEY_MILLISECOND}},
    [CV_PROFILE_WAN] = {.protocol_period = 3 * COVEY_SECOND,
                        .ack_timeout = 1500 * COVEY_MILLISECOND,
                        .indirect_timeout = 1500 * COVEY_MILLISECOND,
                        .gossip_interval = 500 * COVEY_MILLISECOND,
                        .suspicion_min = 12 * COVEY_SECOND,
                        .heartbeat_interval = 3 * COVEY_SECOND,
                        .phi = {.sigma_min = 300 * COVEY_MILLISECOND}},
};

void cv_membership_config_init(struct cv_membership_config *config, enum cv_profile profile)
{
    *config = (struct cv_membership_config){
        .alloc = cv_alloc_default(),
        .gossip = gossip_of_profile[profile],
        .join = {.attempts_max = 10,
                 .backoff_min = 100 * COVEY_MILLISECOND,
                 .backoff_max = 10 * COVEY_SECOND,
                 .timeout = 120 * COVEY_SECOND},
        .reconnect_interval = 10 * COVEY_SECOND,
        .sync_interval = 30 * COVEY_SECOND,
        .partition = {.quorum_percent = 50, .grace = 30 * COVEY_SECOND},
        .leave_timeout = 5 * COVEY_SECOND,
        .members_max = 16384,
        .tombstone_ttl = 24 * 3600 * COVEY_SECOND,
    };
    config->partition.settle = config->gossip.protocol_period;
    config->gossip.suspicion_max_factor = 6;
    config->gossip.indirect_ping_count = 3;
    config->gossip.gossip_fanout = 3;
    config->gossip.retransmit_factor = 3;
    config->gossip.local_health_max = CV_LOCAL_HEALTH_MAX;
    config->gossip.watch_count = 5;
    config->gossip.phi_threshold = 8;
}
