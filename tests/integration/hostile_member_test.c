#define _GNU_SOURCE
/* A member with a good certificate that sends what no member sends, over real sockets. */
#include "api/server.h"
#include "node/internal.h"
#include "unit/api/members.h"

/* More than a peer is forgiven at once, and no more than a connection's queue takes. */
#define NONSENSE_COUNT 200

struct order {
    struct cv_server_loop *loop;
    covey_node_id victim;
    struct cv_slice bytes;
    unsigned sent;
};

static void send_on_loop(void *user)
{
    struct order *o = user;
    struct cv_gossip_conn *peer;
    TAILQ_FOREACH (peer, &o->loop->host.node->peers, all) {
        if (!peer->is_ready ||
            covey_node_id_compare(&cv_quic_conn_peer(peer->head.conn)->id, &o->victim) != 0)
            continue;
        for (unsigned i = 0; i < NONSENSE_COUNT; i++)
            o->sent += cv_quic_conn_send_datagram(peer->head.conn, o->bytes) == 0;
    }
    cv_loop_again(o->loop->host.loop);
}

static struct covey_cluster_stats counters_of(const struct member *m)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_stats(m->cluster, &stats), 0);
    return stats;
}

/* Told, closed and counted; nobody else is touched by it. */
static void who_sends_nonsense_is_closed(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b, c;
    static const uint8_t nonsense[] = {0xff, 0x00, 0xff};
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    start(&w, &c, "c", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "c");
    wait_event(&b, COVEY_EVENT_NODE_JOINED, "c");
    struct order o = {.loop = &b.server->loops[0],
                      .victim = covey_cluster_self(a.cluster),
                      .bytes = cv_slice_of(nonsense, sizeof nonsense)};
    assert_int_equal(counters_of(&a).messages_malformed, 0);
    cv_server_call_loop(o.loop->host.loop, send_on_loop, &o);
    assert_true(o.sent >= NONSENSE_COUNT / 2);
    wait_event(&a, COVEY_EVENT_PEER_MISBEHAVED, "b");
    assert_in_range(counters_of(&a).messages_malformed, 50, 2 * NONSENSE_COUNT);
    /* the others go on, and no more is told than once */
    assert_int_equal(state_of(a.cluster, "c"), COVEY_NODE_ALIVE);
    assert_int_equal(covey_server_update_tag(c.server, "still", "here"), 0);
    wait_event(&a, COVEY_EVENT_NODE_TAGS_UPDATED, "c");
    struct covey_event event = {.size = sizeof event};
    while (covey_event_receive(a.events, 0, &event) == 0)
        assert_int_not_equal(event.type, COVEY_EVENT_PEER_MISBEHAVED);
    assert_int_equal(counters_of(&c).messages_malformed, 0);
    stop(&c);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_sends_nonsense_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
