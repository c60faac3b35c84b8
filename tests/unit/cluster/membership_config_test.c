#include "unit/cluster/cluster_fixture.h"

#include "cluster/membership.h"

static void profiles_differ_in_times_only(void **state)
{
    (void)state;
    struct cv_membership_config lan, local, wan;
    cv_membership_config_init(&lan, CV_PROFILE_LAN);
    cv_membership_config_init(&local, CV_PROFILE_LOCAL);
    cv_membership_config_init(&wan, CV_PROFILE_WAN);
    assert_int_equal(lan.gossip.protocol_period, 1 * SEC);
    assert_int_equal(lan.gossip.suspicion_min, 3 * lan.gossip.protocol_period);
    assert_int_equal(local.gossip.suspicion_min, 3 * local.gossip.protocol_period);
    assert_int_equal(wan.gossip.suspicion_min, 4 * wan.gossip.protocol_period);
    assert_int_equal(local.gossip.indirect_ping_count, lan.gossip.indirect_ping_count);
    assert_int_equal(wan.join.attempts_max, 10);
}

/* DESIGN D19 and D20. */
static void the_defaults_are_the_documented_ones(void **state)
{
    (void)state;
    struct cv_membership_config config;
    cv_membership_config_init(&config, CV_PROFILE_LAN);
    assert_int_equal(config.gossip.ack_timeout, 500 * MS);
    assert_int_equal(config.gossip.indirect_timeout, 500 * MS);
    assert_int_equal(config.gossip.gossip_interval, 200 * MS);
    assert_int_equal(config.gossip.suspicion_max_factor, 6);
    assert_int_equal(config.gossip.gossip_fanout, 3);
    assert_int_equal(config.gossip.retransmit_factor, 3);
    assert_int_equal(config.join.backoff_min, 100 * MS);
    assert_int_equal(config.join.backoff_max, 10 * SEC);
    assert_int_equal(config.join.timeout, 120 * SEC);
    assert_int_equal(config.reconnect_interval, 10 * SEC);
    assert_int_equal(config.leave_timeout, 5 * SEC);
    assert_int_equal(config.members_max, 16384);
    assert_int_equal(config.tombstone_ttl, 86400 * SEC);
    assert_int_equal(config.seed_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_differ_in_times_only),
        cmocka_unit_test(the_defaults_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
