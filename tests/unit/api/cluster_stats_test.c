#define _POSIX_C_SOURCE 200809L

/* Counters, asked for here and through a client. */
#include "api/cluster.h"
#include "unit/api/calling.h"
#include "unit/api/members.h"

static struct covey_cluster_stats counters_of(covey_cluster *cluster)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_stats(cluster, &stats), 0);
    return stats;
}

static void counters_count(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b;
    world_init(&w);
    start(&w, &a, "a", NULL);
    assert_int_equal(counters_of(a.cluster).members_alive, 1);
    assert_int_equal(counters_of(a.cluster).connections, 0);
    assert_int_equal(counters_of(a.cluster).event_receivers, 1);
    start(&w, &b, "b", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    AWAIT(counters_of(a.cluster).heartbeats_received > 2 &&
          counters_of(a.cluster).heartbeats_sent > 2);
    struct covey_cluster_stats stats = counters_of(a.cluster);
    assert_int_equal(stats.members_alive, 2);
    assert_int_equal(stats.members_failed, 0);
    assert_int_equal(stats.connections, 1);
    assert_true(stats.messages_sent > 0 && stats.messages_received > 0 && stats.probes_sent > 0);
    assert_true(stats.updates_applied > 0);
    assert_int_equal(stats.events_emitted, 1);
    assert_int_equal(stats.messages_malformed + stats.messages_oversized + stats.messages_shed, 0);
    assert_int_equal(stats.outputs_shed + stats.gossip_shed + stats.members_refused, 0);
    stop(&b);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "b");
    assert_int_equal(counters_of(a.cluster).members_left, 1);
    assert_int_equal(counters_of(a.cluster).members_alive, 1);
    assert_int_equal(counters_of(a.cluster).events_emitted, 2);
    assert_int_equal(covey_cluster_leave(a.cluster), 0);
    assert_int_equal(counters_of(a.cluster).members_alive, 0);
    stop(&a);
    world_fini(&w);
}

/* Each of the core's counters is found in one public counter. */
static void no_counter_of_the_core_is_left_out(void **state)
{
    (void)state;
    union {
        uint64_t words[offsetof(struct cv_membership_stats, local_health) / sizeof(uint64_t)];
        struct cv_membership_stats stats;
    } core = {.stats = {.local_health = 7}};
    struct covey_cluster_stats public = {.size = sizeof public};
    const size_t count = sizeof core.words / sizeof *core.words;
    uint64_t sum = 0, all = core.stats.local_health;
    for (size_t i = 0; i < count; i++) {
        core.words[i] = UINT64_C(1) << (i + 3);
        all += core.words[i];
    }
    cv_cluster_take_core_stats(&public, &core.stats);
#define X(number, name, text) sum += public.name;
    COVEY_CLUSTER_COUNTERS(X)
#undef X
    assert_int_equal(sum, all);
}

static enum covey_check_status degraded(char *message, size_t size, void *user)
{
    (void)user;
    snprintf(message, size, "so so");
    return COVEY_CHECK_DEGRADED;
}

static void others_can_ask(void **state)
{
    (void)state;
    static struct world w;
    struct member a;
    struct covey_reply reply;
    struct covey_partition_status partition = {.size = sizeof partition};
    struct covey_health_status health = {.size = sizeof health};
    struct covey_check_health checks[2] = {{.size = sizeof checks[0]}};
    struct covey_cluster_stats stats = {.size = sizeof stats};
    world_init(&w);
    a.server = world_server(&w, "a");
    assert_int_equal(covey_server_start(a.server), 0);
    covey_client *client = world_client(&w, covey_server_address(a.server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_admin_partition(client, TEST_DEADLINE, &partition, &reply),
                     COVEY_ERR_REFUSED);
    assert_int_equal(reply.code, COVEY_STATUS_FAILED_PRECONDITION);
    covey_reply_clear(&reply);
    const struct covey_cluster_config config = local_config();
    join(&a, &config, NULL);

    assert_int_equal(covey_admin_partition(client, TEST_DEADLINE, &partition, &reply), 0);
    covey_reply_clear(&reply);
    assert_int_equal(partition.state, COVEY_PARTITION_HEALTHY);
    assert_int_equal(partition.alive, 1);
    assert_int_equal(partition.quorum, 1);
    struct covey_health_check check;
    covey_health_check_init(&check);
    check.name = "mood";
    check.run = degraded;
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), 0);
    AWAIT(covey_admin_health(client, TEST_DEADLINE, &health, checks, 2, NULL) == 0 &&
          health.overall == COVEY_CHECK_DEGRADED);
    assert_int_equal(health.check_count, 1);
    assert_string_equal(checks[0].name, "mood");
    assert_string_equal(checks[0].message, "so so");
    assert_true(checks[0].since > 0);
    assert_int_equal(covey_admin_stats(client, TEST_DEADLINE, &stats, NULL), 0);
    assert_int_equal(stats.members_alive, 1);
    assert_int_equal(stats.event_receivers, 1);

    /* a caller of an earlier version has a shorter struct */
    stats.size = offsetof(struct covey_cluster_stats, members_suspect);
    stats.members_suspect = 77;
    assert_int_equal(covey_admin_stats(client, TEST_DEADLINE, &stats, NULL), 0);
    assert_int_equal(stats.members_suspect, 77);
    stats.size = 0;
    assert_int_equal(covey_admin_stats(client, TEST_DEADLINE, &stats, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_stats(a.cluster, &stats), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_stats(a.cluster, NULL), COVEY_ERR_INVALID_ARGUMENT);
    covey_client_free(client);
    stop(&a);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_count),
        cmocka_unit_test(no_counter_of_the_core_is_left_out),
        cmocka_unit_test(others_can_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
