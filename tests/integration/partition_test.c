/* Members whose datagrams to each other are dropped on the way, and pass again. */
#include "integration/udp_switch.h"
#include "integration/waiting.h"
#include "unit/api/members.h"

#define NODES    5
#define MAJORITY 3

struct lab {
    struct world world;
    struct udp_switch net;
    struct member members[NODES];
    covey_client *clients[NODES]; /* called past the switch */
    unsigned count;
};

static const char *const names[] = {"a", "b", "c", "d", "e"};

static void hello(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    covey_call_reply(call, "hello", 5);
}

static void start_member(struct lab *lab, unsigned number)
{
    struct member *m = &lab->members[number];
    const struct covey_method reads = {.name = "read", .handler = hello, .read_only = true};
    struct covey_server_config config;
    covey_identity *identity = world_identity(&lab->world, names[number], COVEY_ROLE_MEMBER);
    server_config_of(&lab->world, identity, &config);
    config.advertise = lab->net.addresses[number];
    assert_int_equal(covey_server_new(&config, &m->server), 0);
    covey_identity_free(identity);
    switch_plug(&lab->net, number, covey_server_address(m->server));
    assert_int_equal(covey_server_add_method(m->server, &reads), 0);
    serve(m->server, "write", hello, NULL);
    assert_int_equal(covey_server_start(m->server), 0);
    struct covey_cluster_config cluster = local_config();
    cluster.partition.grace = 3 * COVEY_SECOND;
    cluster.partition.read_only_on_partition = true;
    join(m, &cluster, number == 0 ? NULL : lab->net.addresses[0]);
    lab->clients[number] =
        world_client(&lab->world, covey_server_address(m->server), COVEY_ROLE_ADMIN);
}

static struct covey_cluster_stats counters_of(const struct lab *lab, unsigned number)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_stats(lab->members[number].cluster, &stats), 0);
    return stats;
}

static size_t alive_of(const struct lab *lab, unsigned number)
{
    return counters_of(lab, number).members_alive;
}

/* Until all know all. */
static void wait_all_alive(struct lab *lab)
{
    for (unsigned i = 0; i < lab->count; i++)
        AWAIT_LONG(alive_of(lab, i) == lab->count, "%s knows %zu of %u alive", names[i],
                   alive_of(lab, i), lab->count);
}

static void lab_init(struct lab *lab, unsigned count)
{
    world_init(&lab->world);
    lab->count = count;
    assert_true(switch_init(&lab->net, count));
    for (unsigned i = 0; i < count; i++)
        start_member(lab, i);
    wait_all_alive(lab);
}

static void lab_fini(struct lab *lab)
{
    for (unsigned i = 0; i < lab->count; i++) {
        assert_int_equal(covey_client_free(lab->clients[i]), 0);
        stop(&lab->members[i]);
    }
    switch_fini(&lab->net);
    world_fini(&lab->world);
}

/* Waits for the next edge of the partition, which must be to `state`. */
static void expect_edge(struct lab *lab, unsigned number, enum covey_partition_state state)
{
    struct covey_event event = {.size = sizeof event};
    do {
        int error = covey_event_receive(lab->members[number].events, LONG_DEADLINE, &event);
        if (error != 0)
            fail_msg("%s is never %s: %s", names[number], covey_partition_state_name(state),
                     covey_strerror(error));
    } while (event.type != COVEY_EVENT_PARTITION_DETECTED);
    if (event.partition->state != state)
        fail_msg("%s became %s before %s", names[number],
                 covey_partition_state_name(event.partition->state),
                 covey_partition_state_name(state));
}

/* What it was told up to now. One that has a quorum may doubt it for a moment, while a member is slow or
 * while those who come back still say that all others failed; it must not stand still. */
static void expect_no_partition(struct lab *lab, unsigned number)
{
    struct covey_event event = {.size = sizeof event};
    while (covey_event_receive(lab->members[number].events, 0, &event) == 0)
        if (event.type == COVEY_EVENT_PARTITION_DETECTED &&
            event.partition->state == COVEY_PARTITION_PARTITIONED)
            fail_msg("%s sees %u of %u", names[number], event.partition->alive,
                     event.partition->expected);
}

static struct covey_partition_status status_of(const struct member *m)
{
    struct covey_partition_status status = {.size = sizeof status};
    assert_int_equal(covey_cluster_partition(m->cluster, &status), 0);
    return status;
}

static void expect_writable(struct lab *lab, unsigned number)
{
    struct member *m = &lab->members[number];
    AWAIT_LONG(status_of(m).state == COVEY_PARTITION_HEALTHY, "%s is not healthy", names[number]);
    assert_false(status_of(m).read_only);
    expect_call(lab->clients[number], "write", COVEY_STATUS_OK, "");
    expect_call(lab->clients[number], "read", COVEY_STATUS_OK, "");
}

static void expect_read_only(struct lab *lab, unsigned number)
{
    struct member *m = &lab->members[number];
    struct covey_partition_status status = status_of(m);
    assert_int_equal(status.state, COVEY_PARTITION_PARTITIONED);
    assert_true(status.minority && status.read_only);
    assert_int_equal(status.expected, NODES);
    assert_int_equal(status.alive, NODES - MAJORITY);
    expect_call(lab->clients[number], "write", COVEY_STATUS_UNAVAILABLE, "");
    expect_call(lab->clients[number], "read", COVEY_STATUS_OK, "");
    assert_int_equal(covey_cluster_update_tag(m->cluster, "side", "minority"),
                     COVEY_ERR_PARTITIONED);
}

/* While they come together some are short of a quorum: that is over, and what was told of it is read.
 * What the loop shows in one go with the status is there after it has answered once more. */
static void settle(struct lab *lab, unsigned number)
{
    const struct member *m = &lab->members[number];
    struct covey_event event = {.size = sizeof event};
    AWAIT_LONG(status_of(m).state == COVEY_PARTITION_HEALTHY && status_of(m).expected == NODES,
               "%s is not healthy", names[number]);
    (void)counters_of(lab, number);
    while (covey_event_receive(m->events, 0, &event) == 0)
        ;
    expect_writable(lab, number);
}

static void await_tag(struct lab *lab, unsigned number, const char *value)
{
    covey_cluster *cluster = lab->members[number].cluster;
    AWAIT_LONG(count_with_tag(cluster, "side", value) == 1, "%s has no side=%s", names[number],
               value);
}

static void a_minority_stands_still_until_the_cut_heals(void **state)
{
    (void)state;
    static struct lab lab;
    lab_init(&lab, NODES);
    for (unsigned i = 0; i < NODES; i++)
        settle(&lab, i);

    switch_split(&lab.net, MAJORITY, true);
    for (unsigned i = MAJORITY; i < NODES; i++) {
        expect_edge(&lab, i, COVEY_PARTITION_SUSPECT);
        expect_edge(&lab, i, COVEY_PARTITION_PARTITIONED);
        expect_read_only(&lab, i);
    }
    for (unsigned i = 0; i < MAJORITY; i++) {
        AWAIT_LONG(alive_of(&lab, i) == MAJORITY, "%s knows %zu alive", names[i],
                   alive_of(&lab, i));
        expect_writable(&lab, i);
        expect_no_partition(&lab, i);
    }
    assert_true(atomic_load(&lab.net.dropped) > 0);
    assert_int_equal(covey_cluster_update_tag(lab.members[0].cluster, "side", "majority"), 0);
    await_tag(&lab, 1, "majority");
    assert_int_equal(count_with_tag(lab.members[MAJORITY].cluster, "side", NULL), 0);

    switch_split(&lab.net, MAJORITY, false);
    for (unsigned i = MAJORITY; i < NODES; i++)
        expect_edge(&lab, i, COVEY_PARTITION_HEALTHY);
    wait_all_alive(&lab);
    for (unsigned i = 0; i < NODES; i++) {
        expect_writable(&lab, i);
        expect_no_partition(&lab, i);
        await_tag(&lab, i, "majority");
    }
    assert_int_equal(covey_cluster_update_tag(lab.members[NODES - 1].cluster, "side", "back"), 0);
    await_tag(&lab, 0, "back");
    lab_fini(&lab);
}

#define PINGS_THROUGH_OTHERS 30

/* Two that cannot hear each other and everybody else does: others answer for them, time after time. */
static void one_way_that_is_cut_fails_nobody(void **state)
{
    (void)state;
    static struct lab lab;
    lab_init(&lab, 4);
    switch_set(&lab.net, 0, 1, true);
    for (unsigned i = 0; i < 2; i++)
        AWAIT_LONG(counters_of(&lab, i).indirect_pings_sent >= PINGS_THROUGH_OTHERS,
                   "%s sent %llu pings through others", names[i],
                   (unsigned long long)counters_of(&lab, i).indirect_pings_sent);
    assert_true(atomic_load(&lab.net.dropped) > 0);
    struct covey_event event = {.size = sizeof event};
    for (unsigned i = 0; i < 4; i++) {
        while (covey_event_receive(lab.members[i].events, 0, &event) == 0)
            assert_int_not_equal(event.type, COVEY_EVENT_NODE_FAILED);
        assert_int_equal(counters_of(&lab, i).members_failed, 0);
    }
    switch_set(&lab.net, 0, 1, false);
    wait_all_alive(&lab);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minority_stands_still_until_the_cut_heals),
        cmocka_unit_test(one_way_that_is_cut_fails_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
