/* Membership over QUIC between whole nodes in virtual time. */
#include "cluster/gossip/message.h"
#include "node/internal.h"
#include "unit/node/fixture.h"

#define LONG (60 * COVEY_SECOND)

static size_t alive_count(const struct station *s)
{
    const struct cv_membership *m = cv_node_membership(s->node);
    return cv_node_registry_count_state(cv_membership_registry(m), COVEY_NODE_ALIVE);
}

static void all_join(struct net *n, size_t count)
{
    static const char *const names[NODES_MAX] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < count; i++) {
        struct station *s = net_add_named(n, names[i], CV_ROLE_MEMBER);
        station_join(s, i == 0 ? NULL : &n->stations[0]);
    }
    for (size_t i = 0; i < count; i++)
        assert_true(test_wire_wait(&n->wire, &n->stations[i].joined, count - 1, LONG));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(n->stations[i].state, CV_MEMBERSHIP_JOINED);
        assert_int_equal(alive_count(&n->stations[i]), count);
        assert_true(n->stations[i].changed > 0);
    }
}

static void five_form_and_miss_the_dead_one(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    all_join(&n, 5);
    test_wire_run(&n.wire, 60 * COVEY_SECOND);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(n.stations[i].failed, 0);
    station_kill(&n.stations[4]);
    for (size_t i = 0; i < 4; i++)
        assert_true(test_wire_wait(&n.wire, &n.stations[i].failed, 1, LONG));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(alive_count(&n.stations[i]), 4);
    net_fini(&n);
}

/* Two nodes that are each other's seed dial at the same moment: one cluster, one connection. */
static void crossing_joins_form_one_cluster(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *a = net_add_named(&n, "a", CV_ROLE_MEMBER);
    struct station *b = net_add_named(&n, "b", CV_ROLE_MEMBER);
    station_join(a, b);
    station_join(b, a);
    assert_true(test_wire_wait(&n.wire, &a->joined, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &b->joined, 1, LONG));
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    struct cv_quic_stats stats;
    cv_quic_endpoint_stats(cv_node_endpoint(a->node), &stats);
    assert_int_equal(stats.connections_open, 1);
    assert_int_equal(a->failed + b->failed, 0);
    net_fini(&n);
}

static void goodbye_is_not_failure(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    all_join(&n, 3);
    struct station *leaver = &n.stations[2];
    assert_int_equal(
        cv_node_command(leaver->node, CV_COMMAND_LEAVE, NULL, NULL, n.wire.now, TEST_WALL_MS), 0);
    assert_true(test_wire_wait(&n.wire, &n.stations[0].left, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &n.stations[1].left, 1, LONG));
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    assert_int_equal(leaver->state, CV_MEMBERSHIP_LEFT);
    assert_int_equal(n.stations[0].failed + n.stations[1].failed, 0);
    assert_int_equal(leaver->ended, 0);
    cv_node_disable_cluster(leaver->node);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(leaver->ended, 1);
    assert_null(cv_node_membership(leaver->node));
    net_fini(&n);
}

/* The cluster's protocol is for members: a client's certificate does not get in. */
static void a_client_cannot_join(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *seed = net_add_named(&n, "seed", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    station_join(seed, NULL);
    station_join(client, seed);
    while (client->state != CV_MEMBERSHIP_JOIN_FAILED)
        if (!test_wire_step(&n.wire, n.wire.now + 100 * COVEY_SECOND))
            break;
    assert_int_equal(client->state, CV_MEMBERSHIP_JOIN_FAILED);
    assert_int_equal(client->state_error, COVEY_ERR_REFUSED);
    assert_int_equal(seed->joined, 0);
    net_fini(&n);
}

/* A fifth of all datagrams lost: the streams repeat, the probes have other ways. */
static void loss_fails_nobody(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.wire.drop_percent = 20;
    all_join(&n, 4);
    test_wire_run(&n.wire, 120 * COVEY_SECOND);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(n.stations[i].failed, 0);
    net_fini(&n);
}

/* As the core of `from` would, were it not honest. */
static void send_to(struct station *from, const struct station *to,
                    const struct cv_message_head *head)
{
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    struct cv_gossip_conn *peer = cv_node_pool_use(from->node, &to->id);
    assert_non_null(peer);
    cv_message_begin(&mw, memory, sizeof memory, head);
    assert_int_equal(cv_quic_conn_send_datagram(peer->head.conn, cv_message_bytes(&mw)), 0);
}

/* Indirect pings of nodes that nobody knows, where nobody is: the core dials for few of them, and half of
 * the pool is left to others. */
static void a_peer_cannot_fill_the_pool(void **state)
{
    (void)state;
    struct net n;
    struct cv_pool_stats before, after;
    net_init(&n);
    all_join(&n, 2);
    test_wire_run(&n.wire, CV_RELAY_DIALS * CV_RELAY_PERIODS * COVEY_SECOND); /* they are earned */
    struct station *victim = &n.stations[0], *peer = &n.stations[1];
    victim->node->pool.config.dialled_max = 4;
    cv_node_pool_stats(victim->node, &before);
    for (uint8_t i = 1; i <= 8; i++) {
        const struct cv_message_head head = {
            .type = CV_MESSAGE_PING_REQ,
            .sequence = 1000U + i,
            .target = {.bytes = {i}},
            .address = {.ip = {10, 9, 9, i}, .port = 9, .family = 4},
        };
        send_to(peer, victim, &head);
    }
    test_wire_run(&n.wire, COVEY_SECOND);
    cv_node_pool_stats(victim->node, &after);
    assert_int_equal(after.dials - before.dials, 2);
    assert_int_equal(after.exhausted - before.exhausted, CV_RELAY_DIALS - 2);
    assert_int_equal(after.waiting, 2);
    assert_int_equal(after.evicted, 0);
    /* and that passes */
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    cv_node_pool_stats(victim->node, &after);
    assert_int_equal(after.dialled + after.waiting, 0);
    assert_int_equal(victim->failed + peer->failed, 0);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_form_and_miss_the_dead_one),
        cmocka_unit_test(crossing_joins_form_one_cluster),
        cmocka_unit_test(a_peer_cannot_fill_the_pool),
        cmocka_unit_test(goodbye_is_not_failure),
        cmocka_unit_test(a_client_cannot_join),
        cmocka_unit_test(loss_fails_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
