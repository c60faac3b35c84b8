#include "quic/endpoint_internal.h"

#include "loops_fixture.h"

/* Several endpoints behind one address: what goes where. */

static void assert_ids_name_loop(const struct cv_quic_conn *c, unsigned loop)
{
    unsigned own = 0;
    for (size_t i = 0; i < CV_CONN_IDS_MAX; i++) {
        if (c->ids[i].size == 0)
            continue;
        uint8_t packet[32] = {0x40};
        memcpy(packet + 1, c->ids[i].bytes, c->ids[i].size);
        assert_int_equal(cv_route_loop(cv_slice_of(packet, sizeof packet), LOOPS), loop);
        own += c->ids[i].bytes[0] == loop;
    }
    assert_true(own >= 2); /* the first one and what NEW_CONNECTION_ID brought */
}

static void connect_many(enum kernel kernel)
{
    struct group g;
    uint64_t calls = 0;
    group_init(&g, kernel, 1);
    for (unsigned i = 0; i < 24; i++) {
        bool cluster = i % 4 == 0;
        uint64_t at_0 = g.loops[0].ready;
        assert_true(connect_one(&g, cluster ? CV_ALPN_ID_CLUSTER : CV_ALPN_ID_RPC));
        exchange(&g);
        assert_int_equal(g.loops[0].ready - at_0, cluster);
    }
    test_wire_run(&g.wire, COVEY_SECOND);
    for (unsigned i = 1; i < LOOPS; i++) {
        calls += g.loops[i].ready;
        assert_true(g.loops[i].ready >= 2);
        assert_ids_name_loop(g.loops[i].conn, i);
    }
    assert_int_equal(calls, 18);
    assert_ids_name_loop(g.loops[0].conn, 0);
    uint64_t given = 0;
    uint64_t taken = 0;
    for (unsigned i = 0; i < LOOPS; i++) {
        struct cv_quic_stats stats = stats_of(&g.loops[i]);
        given += stats.packets_handed_over;
        taken += stats.packets_taken_over;
        assert_int_equal(stats.packets_dropped, 0);
        assert_int_equal(stats.resets_sent, 0);
    }
    assert_int_equal(given, g.handed_over);
    assert_int_equal(taken, g.handed_over);
    assert_int_equal(g.handed_over > 0, kernel == BY_ADDRESS);
    group_fini(&g);
}

static void test_the_filter_finds_the_loops(void **state)
{
    (void)state;
    connect_many(BY_FILTER);
}

static void test_without_the_filter_packets_are_handed_over(void **state)
{
    (void)state;
    connect_many(BY_ADDRESS);
}

/* A NAT gives the client a new address: the connection stays on its loop. */
static void test_a_client_that_moves_stays_on_its_loop(void **state)
{
    (void)state;
    for (enum kernel kernel = BY_FILTER; kernel <= BY_ADDRESS; kernel++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            struct group g;
            group_init(&g, kernel, seed);
            assert_true(connect_one(&g, CV_ALPN_ID_RPC));
            exchange(&g);
            unsigned loop = loop_of_conn(&g);
            for (uint16_t port = 9000; port < 9004; port++) {
                g.client.port->address.port = port;
                exchange(&g);
                struct cv_address seen = cv_quic_conn_remote(g.loops[loop].conn);
                assert_int_equal(seen.port, port);
                test_wire_run(&g.wire, COVEY_SECOND);
            }
            assert_int_equal(loop_of_conn(&g), loop);
            assert_int_equal(g.loops[loop].fins, 5);
            assert_int_equal(g.client.closed, 0);
            assert_int_equal(g.handed_over > 0, kernel == BY_ADDRESS);
            assert_ids_name_loop(g.loops[loop].conn, loop);
            group_fini(&g);
        }
}

/* However wrong it is: handed over once, it stays. */
static void test_nothing_is_handed_over_twice(void **state)
{
    struct group g;
    (void)state;
    group_init(&g, BY_FILTER, 1);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t packet[100] = {0x40, (uint8_t)byte, 1, 2, 3};
        struct cv_datagram d = {.local = test_wire_address(0),
                                .remote = test_wire_address(3),
                                .handed_over = true,
                                .bytes = cv_slice_of(packet, byte % 2 == 0 ? 30 : 100)};
        for (unsigned i = 0; i < LOOPS; i++)
            cv_quic_endpoint_receive(g.loops[i].endpoint, &d, g.wire.now);
    }
    assert_int_equal(g.handed_over, 0);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(stats_of(&g.loops[i]).packets_taken_over, 256);
        assert_int_equal(stats_of(&g.loops[i]).packets_dropped, 256);
    }
    group_fini(&g);
}

/* Garbage of every first byte and size: it is handed over to another loop than this one or not at
 * all, and what was is at home there. */
static void test_garbage_goes_one_step_at_most(void **state)
{
    struct group g;
    struct cv_rand rand;
    (void)state;
    group_init(&g, BY_ADDRESS, 1);
    cv_rand_seed(&rand, 9);
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t packet[1300];
        size_t size = 1 + (i % 5 == 0 ? cv_rand_below(&rand, 1300) : cv_rand_below(&rand, 60));
        cv_rand_bytes(&rand, packet, size);
        struct cv_datagram d = {.local = test_wire_address(0),
                                .remote = test_wire_address(3 + i % 2),
                                .bytes = cv_slice_of(packet, size)};
        d.remote.port = (uint16_t)i;
        group_receive(&g, &d, g.wire.now);
        group_turn(&g, &g.port->sink, g.wire.now);
    }
    assert_true(g.handed_over > 1000);
    assert_int_equal(g.handover_count, 0);
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(stats_of(&g.loops[i]).connections_accepted, 0);
    group_fini(&g);
}

static void test_loop_0_serves_calls_too(void **state)
{
    struct group g;
    (void)state;
    group_init(&g, BY_ORDER, 1);
    g.ordered = 0;
    assert_true(connect_one(&g, CV_ALPN_ID_RPC));
    exchange(&g);
    assert_int_equal(g.loops[0].ready, 1);
    assert_int_equal(cv_quic_conn_alpn(g.loops[0].conn), CV_ALPN_ID_RPC);
    group_fini(&g);
}

static void test_the_other_loops_do_not_speak_the_clusters_protocol(void **state)
{
    struct group g;
    (void)state;
    group_init(&g, BY_ORDER, 1);
    for (g.ordered = 1; g.ordered < LOOPS; g.ordered++) {
        uint64_t before = g.client.closed;
        dial(&g, CV_ALPN_ID_CLUSTER);
        assert_true(test_wire_wait(&g.wire, &g.client.closed, before + 1, COVEY_SECOND));
        assert_int_equal(g.client.why.error, COVEY_ERR_NO_PROTOCOL);
        assert_true(g.client.why.by_peer);
        assert_int_equal(g.loops[g.ordered].ready, 0);
    }
    assert_int_equal(g.client.ready, 0);
    group_fini(&g);
}

static void init_with_retries(struct group *g, uint64_t seed)
{
    group_init(g, BY_FILTER, seed);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct cv_quic_config config = loop_config_of(g, i);
        config.limits.handshakes_retry = 0;
        start_loop(g, i, &config);
    }
}

static void test_a_retry_leads_back_to_its_loop(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct group g;
        init_with_retries(&g, seed);
        assert_true(connect_one(&g, CV_ALPN_ID_RPC));
        exchange(&g);
        assert_int_equal(stats_of(&g.loops[loop_of_conn(&g)]).retries_sent, 1);
        assert_int_equal(g.handed_over, 0);
        group_fini(&g);
    }
}

/* One loop asks for the Retry, another gets the answer. */
static bool retry_at_1_answered_at_2(struct group *g)
{
    g->kernel = BY_ORDER;
    g->ordered = 1;
    dial(g, CV_ALPN_ID_RPC);
    uint64_t sent = g->port->sent;
    assert_true(test_wire_wait(&g->wire, &g->port->sent, sent + 1, LONG));
    assert_int_equal(stats_of(&g->loops[1]).retries_sent, 1);
    g->ordered = 2;
    return test_wire_wait(&g->wire, &g->client.ready, 1, 4 * COVEY_SECOND);
}

static void test_a_token_holds_on_every_loop(void **state)
{
    struct group g;
    (void)state;
    init_with_retries(&g, 1);
    assert_true(retry_at_1_answered_at_2(&g));
    assert_int_equal(g.loops[2].ready, 1);
    assert_int_equal(stats_of(&g.loops[2]).retries_sent, 0);
    group_fini(&g);
}

static void test_a_token_of_another_secret_does_not(void **state)
{
    struct group g;
    (void)state;
    init_with_retries(&g, 1);
    struct cv_quic_config config = loop_config_of(&g, 2);
    config.limits.handshakes_retry = 0;
    config.secret[0] ^= 1;
    start_loop(&g, 2, &config);
    assert_false(retry_at_1_answered_at_2(&g));
    group_fini(&g);
}

/* A loop lost its connections; its client is told by whichever loop gets the packet. */
static void test_a_reset_by_any_loop_is_believed(void **state)
{
    (void)state;
    for (unsigned teller = 0; teller < LOOPS; teller++) {
        struct group g;
        group_init(&g, BY_FILTER, 1);
        assert_true(connect_one(&g, CV_ALPN_ID_RPC));
        test_wire_run(&g.wire, COVEY_SECOND);
        unsigned loop = loop_of_conn(&g);
        struct cv_quic_config config = loop_config_of(&g, loop);
        start_loop(&g, loop, &config);
        g.kernel = BY_ORDER;
        g.ordered = teller;
        write_text(open_stream(&g.client), "is anybody there? somebody must be, I said", true);
        assert_true(test_wire_wait(&g.wire, &g.client.closed, 1, 2 * COVEY_SECOND));
        assert_int_equal(g.client.why.error, COVEY_ERR_CONNECTION_LOST);
        assert_int_equal(stats_of(&g.loops[teller]).resets_sent, 1);
        group_fini(&g);
    }
}

/* The other way round: loop 0 dialled a member, which came back without its memory. Its reset names
 * no loop of ours. */
static void test_a_reset_by_a_peer_reaches_loop_0(void **state)
{
    (void)state;
    uint64_t handed_over = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct group g;
        struct cv_quic_conn *c = NULL;
        group_init(&g, BY_FILTER, seed);
        struct cv_quic_config member = peer_config(&g.client, true);
        cv_quic_endpoint_free(g.client.endpoint);
        start_client(&g, &member);
        struct cv_quic_dial to = {.remote = test_wire_address(1), .alpn = CV_ALPN_ID_CLUSTER};
        assert_int_equal(cv_quic_endpoint_dial(g.loops[0].endpoint, &to, g.wire.now, &c), 0);
        assert_true(test_wire_wait(&g.wire, &g.loops[0].ready, 1, LONG));
        test_wire_run(&g.wire, COVEY_SECOND);
        cv_quic_endpoint_free(g.client.endpoint);
        start_client(&g, &member);
        assert_int_equal(g.handed_over, 0);
        write_text(open_stream(&g.loops[0]), "is anybody there? somebody must be, I said", true);
        assert_true(test_wire_wait(&g.wire, &g.loops[0].closed, 1, 100 * COVEY_MILLISECOND));
        assert_int_equal(g.loops[0].why.error, COVEY_ERR_CONNECTION_LOST);
        assert_true(g.loops[0].why.by_peer);
        handed_over += g.handed_over;
        group_fini(&g);
    }
    assert_true(handed_over > 0);
}

/* Without anybody to hand over to an endpoint takes what comes. */
static void test_nobody_to_hand_over_to(void **state)
{
    struct group g;
    (void)state;
    group_init(&g, BY_ADDRESS, 1);
    g.client.port->address.port = 4000 + LOOPS + 1; /* socket 1 */
    for (unsigned i = 0; i < LOOPS; i++) {
        struct cv_quic_config config = loop_config_of(&g, i);
        config.hand_over = NULL;
        start_loop(&g, i, &config);
    }
    assert_true(connect_one(&g, CV_ALPN_ID_RPC));
    exchange(&g);
    assert_int_equal(loop_of_conn(&g), 1);
    assert_int_equal(stats_of(&g.loops[1]).packets_handed_over, 0);
    group_fini(&g);
}

/* What a client chooses: loop 0 for gossip, any other byte for calls. */
static bool see_first_id(void *user, const struct test_wire_packet *packet)
{
    uint64_t *hits = user;
    hits[packet->bytes[6]]++;
    return false;
}

static void test_first_ids_of_dials(void **state)
{
    struct group g;
    uint64_t hits[256] = {0};
    unsigned different = 0;
    (void)state;
    group_init(&g, BY_FILTER, 1);
    g.wire.filter = see_first_id;
    g.wire.filter_user = hits;
    for (unsigned i = 0; i < 200; i++) {
        dial(&g, CV_ALPN_ID_RPC);
        cv_quic_endpoint_flush(g.client.endpoint, &g.client.port->sink, g.wire.now);
    }
    assert_int_equal(hits[0], 0);
    for (unsigned byte = 0; byte < 256; byte++)
        different += hits[byte] > 0;
    assert_true(different > 100);
    dial(&g, CV_ALPN_ID_CLUSTER);
    cv_quic_endpoint_flush(g.client.endpoint, &g.client.port->sink, g.wire.now);
    assert_int_equal(hits[0], 1);
    group_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_filter_finds_the_loops),
        cmocka_unit_test(test_without_the_filter_packets_are_handed_over),
        cmocka_unit_test(test_a_client_that_moves_stays_on_its_loop),
        cmocka_unit_test(test_nothing_is_handed_over_twice),
        cmocka_unit_test(test_garbage_goes_one_step_at_most),
        cmocka_unit_test(test_loop_0_serves_calls_too),
        cmocka_unit_test(test_the_other_loops_do_not_speak_the_clusters_protocol),
        cmocka_unit_test(test_a_retry_leads_back_to_its_loop),
        cmocka_unit_test(test_a_token_holds_on_every_loop),
        cmocka_unit_test(test_a_token_of_another_secret_does_not),
        cmocka_unit_test(test_a_reset_by_any_loop_is_believed),
        cmocka_unit_test(test_a_reset_by_a_peer_reaches_loop_0),
        cmocka_unit_test(test_nobody_to_hand_over_to),
        cmocka_unit_test(test_first_ids_of_dials),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
