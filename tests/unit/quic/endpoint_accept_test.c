#include "fixture.h"

/* Datagrams of strangers: new connections, tokens, limits, garbage. */

struct sniffed {
    uint64_t initials;
    uint8_t first_destination[CV_QUIC_CID_SIZE];
    uint8_t server_source[CV_QUIC_CID_SIZE];
};

/* Long header: flags, version, size of destination id, id, size of source id, id. */
static bool sniff(void *user, const struct test_wire_packet *packet)
{
    struct sniffed *s = user;
    struct cv_address server = test_wire_address(0);
    if ((packet->bytes[0] & 0x80) == 0)
        return true;
    assert_int_equal(packet->bytes[5], CV_QUIC_CID_SIZE);
    assert_int_equal(packet->bytes[22], CV_QUIC_CID_SIZE);
    if (!cv_address_equal(&packet->from, &server) && s->initials++ == 0)
        memcpy(s->first_destination, packet->bytes + 6, CV_QUIC_CID_SIZE);
    if (cv_address_equal(&packet->from, &server))
        memcpy(s->server_source, packet->bytes + 23, CV_QUIC_CID_SIZE);
    return true;
}

static void test_ids_carry_the_loop(void **state)
{
    bool other_loop = false;
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct net n;
        struct sniffed seen = {0};
        net_init(&n);
        cv_rand_seed(&n.client.rand, (uint64_t)i);
        net_start(&n);
        n.wire.filter = sniff;
        n.wire.filter_user = &seen;
        net_dial(&n, i == 0 ? CV_ALPN_ID_CLUSTER : CV_ALPN_ID_RPC, NULL);
        assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
        assert_int_equal(seen.server_source[0], 7);
        if (i == 0)
            assert_int_equal(seen.first_destination[0], 0);
        else
            other_loop = other_loop || seen.first_destination[0] != 0;
        net_fini(&n);
    }
    assert_true(other_loop);
}

static void test_not_accepting_endpoint_is_silent(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    struct cv_quic_config deaf = peer_config(&n.server, false);
    struct cv_quic_config client = peer_config(&n.client, false);
    peer_start(&n, &n.server, &deaf);
    peer_start(&n, &n.client, &client);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_int_equal(n.server.port->sent, 0);
    assert_true(stats_of(&n.server).packets_dropped > 0);
    net_fini(&n);
}

/* Those that nobody above knows yet hear of a server's end too. */
static void test_what_is_being_accepted_is_closed_in_the_end(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    net_start(&n);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    while (stats_of(&n.server).connections_accepted == 0)
        assert_true(test_wire_step(&n.wire, n.wire.now + LONG));
    assert_int_equal(n.server.ready, 0);
    cv_quic_endpoint_stop_accepting(n.server.endpoint);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, COVEY_SECOND));
    assert_int_equal(n.client.why.error, COVEY_ERR_CONNECTION_LOST);
    assert_true(n.client.why.by_peer);
    assert_int_equal(n.client.ready + n.server.ready, 0);
    /* and there is nobody for the next */
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 2, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    net_fini(&n);
}

static bool from_the_server_once(void *user, const struct test_wire_packet *packet)
{
    const struct cv_address server = test_wire_address(0);
    unsigned *flights = user;
    return !cv_address_equal(&packet->from, &server) || ++*flights <= 4;
}

/* The server's part of the handshake came, or some of it, and then nothing more. */
static void test_a_server_that_dies_before_it_confirms(void **state)
{
    struct net n;
    unsigned given_up = 0;
    (void)state;
    for (unsigned packets = 1; packets <= 4; packets++) {
        unsigned seen = 4 - packets;
        net_init(&n);
        net_start(&n);
        n.wire.filter = from_the_server_once;
        n.wire.filter_user = &seen;
        net_dial(&n, CV_ALPN_ID_RPC, NULL);
        test_wire_run(&n.wire, 6 * COVEY_SECOND);
        assert_int_equal(n.client.closed, n.client.ready == 0);
        if (n.client.closed)
            assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
        given_up += n.client.closed > 0;
        net_fini(&n);
    }
    assert_true(given_up >= 2);
}

static bool one_from_the_client(void *user, const struct test_wire_packet *packet)
{
    const struct cv_address server = test_wire_address(0);
    bool *was_sent = user;
    bool passes = cv_address_equal(&packet->from, &server) || !*was_sent;
    *was_sent |= !cv_address_equal(&packet->from, &server);
    return passes;
}

/* Who accepted waits as long as who dialled, but not when half of the places are taken. */
static void test_who_began_is_waited_for_unless_there_are_many(void **state)
{
    const unsigned handshakes_max[] = {4, 2};
    const unsigned patience_s[] = {15, 5};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct net n;
        bool was_sent = false;
        net_init(&n);
        struct cv_quic_config server = peer_config(&n.server, true);
        struct cv_quic_config client = peer_config(&n.client, false);
        server.limits.handshakes_max = handshakes_max[i];
        peer_start(&n, &n.server, &server);
        peer_start(&n, &n.client, &client);
        n.wire.filter = one_from_the_client;
        n.wire.filter_user = &was_sent;
        net_dial(&n, CV_ALPN_ID_CLUSTER, NULL);
        const covey_time start = n.wire.now;
        while (stats_of(&n.server).handshakes_failed == 0 && n.wire.now - start < LONG)
            (void)test_wire_step(&n.wire, n.wire.now + COVEY_SECOND);
        assert_int_equal((n.wire.now - start) / COVEY_SECOND, patience_s[i]);
        net_fini(&n);
    }
}

/* The same among members: the one that was heard is waited for, the silent one is not. */
static void test_a_member_that_answers_is_waited_for(void **state)
{
    const unsigned patience_s[] = {5, 15};
    (void)state;
    for (unsigned heard = 0; heard < 2; heard++) {
        struct net n;
        unsigned seen = heard ? 3 : 4;
        net_init(&n);
        net_start(&n);
        n.wire.filter = from_the_server_once;
        n.wire.filter_user = &seen;
        const covey_time start = n.wire.now;
        net_dial(&n, CV_ALPN_ID_CLUSTER, NULL);
        assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
        assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
        assert_int_equal((n.wire.now - start) / COVEY_SECOND, patience_s[heard]);
        assert_int_equal(stats_of(&n.client).handshakes_failed, 1);
        net_fini(&n);
    }
}

/* Puts the packet of `size` bytes from a stranger in front of the server and returns how many
 * packets it sent in answer. */
static uint64_t send_raw(struct net *n, const uint8_t *bytes, size_t size)
{
    struct cv_datagram d = {.local = test_wire_address(0),
                            .remote = test_wire_address(3),
                            .bytes = cv_slice_of(bytes, size)};
    uint64_t before = n->server.port->sent;
    cv_quic_endpoint_receive(n->server.endpoint, &d, n->wire.now);
    test_wire_flush(&n->wire);
    return n->server.port->sent - before;
}

struct recorded {
    uint8_t bytes[CV_DATAGRAM_SIZE_MAX];
    size_t size;
};

static bool record_first(void *user, const struct test_wire_packet *packet)
{
    struct recorded *r = user;
    if (r->size == 0) {
        r->size = packet->size;
        memcpy(r->bytes, packet->bytes, packet->size);
    }
    return false;
}

/* A client's first datagram, which does not reach anybody. */
static void record_initial(struct net *n, struct recorded *initial)
{
    *initial = (struct recorded){.size = 0};
    n->wire.filter = record_first;
    n->wire.filter_user = initial;
    net_dial(n, CV_ALPN_ID_RPC, NULL);
    test_wire_flush(&n->wire);
    n->wire.filter = NULL;
    assert_true(initial->size >= 1200);
}

/* A well-formed Initial header with a token that nobody gave out; the rest is noise. */
static void make_initial(struct net *n, uint8_t packet[1200], size_t destination_size,
                         size_t source_size, size_t token_size)
{
    struct cv_writer w;
    uint8_t noise[64];
    cv_rand_bytes(&n->wire.rand, packet, 1200);
    cv_rand_bytes(&n->wire.rand, noise, sizeof noise);
    cv_writer_init(&w, packet, 1200);
    cv_write_u8(&w, 0xc3);
    cv_write_u32(&w, 1);
    cv_write_u8(&w, (uint8_t)destination_size);
    cv_write_bytes(&w, cv_slice_of(noise, destination_size));
    cv_write_u8(&w, (uint8_t)source_size);
    cv_write_bytes(&w, cv_slice_of(noise, source_size));
    cv_write_prefixed(&w, cv_slice_of(noise, token_size));
    cv_write_varint(&w, cv_writer_left(&w) - 2);
    assert_true(cv_writer_ok(&w));
}

/* Every size of both ids, with and without a token: RFC 9000 section 7.2 wants at least 8 bytes. */
static void test_ids_of_every_size(void **state)
{
    struct net n;
    uint8_t packet[1200];
    (void)state;
    net_init(&n);
    net_start(&n);
    for (size_t destination = 0; destination <= 20; destination++)
        for (size_t source = 0; source <= 20; source++)
            for (size_t token = 0; token <= 40; token += 20) {
                make_initial(&n, packet, destination, source, token);
                assert_true(send_raw(&n, packet, sizeof packet) <= 1);
                assert_true(destination >= 8 || stats_of(&n.server).connections_accepted == 0);
            }
    test_wire_run(&n.wire, LONG);
    assert_int_equal(n.server.ready, 0);
    assert_int_equal(stats_of(&n.server).connections_open, 0);
    net_fini(&n);
}

static void test_garbage_changes_nothing(void **state)
{
    struct net n;
    struct recorded initial;
    uint8_t garbage[1500];
    (void)state;
    net_init(&n);
    net_start(&n);
    record_initial(&n, &initial);
    size_t memory = n.server.alloc.outstanding;
    uint64_t count = 0;
    for (size_t size = 0; size < 1200; size++, count++)
        assert_int_equal(send_raw(&n, initial.bytes, size), 0);
    for (size_t at = 100; at < 1200; at += 50, count++) {
        initial.bytes[at] ^= 1;
        assert_int_equal(send_raw(&n, initial.bytes, initial.size), 0);
        initial.bytes[at] ^= 1;
    }
    for (int i = 0; i < 2000; i++, count++) {
        size_t size = 1 + cv_rand_below(&n.wire.rand, sizeof(garbage));
        cv_rand_bytes(&n.wire.rand, garbage, size);
        garbage[0] |= 0x80;
        memcpy(garbage + 1, "\0\0\0\1", size > 5 ? 4 : 0);
        assert_true(send_raw(&n, garbage, size) <= 1);
    }
    struct cv_quic_stats stats = stats_of(&n.server);
    assert_int_equal(stats.packets_received, count);
    assert_int_equal(stats.packets_dropped + stats.version_negotiations_sent, count);
    assert_int_equal(stats.connections_accepted, 0);
    assert_int_equal(stats.handshakes_open, 0);
    /* only the tables grew */
    assert_true(n.server.alloc.outstanding <= memory + 3);
    /* and the true one is still good */
    assert_true(send_raw(&n, initial.bytes, initial.size) > 0);
    assert_int_equal(stats_of(&n.server).handshakes_open, 1);
    net_fini(&n);
}

static void test_version_negotiation(void **state)
{
    struct net n;
    struct recorded initial;
    (void)state;
    net_init(&n);
    net_start(&n);
    record_initial(&n, &initial);
    memcpy(initial.bytes + 1, "\xfa\xce\xb0\x0c", 4);
    assert_int_equal(send_raw(&n, initial.bytes, 1199), 0);
    assert_int_equal(send_raw(&n, initial.bytes, initial.size), 1);
    const struct test_wire_packet *answer = TAILQ_FIRST(&n.wire.packets);
    assert_non_null(answer);
    assert_memory_equal(answer->bytes + 1, "\0\0\0\0", 4);
    assert_memory_equal(answer->bytes + 39, "\0\0\0\1", 4);
    /* the ids are swapped */
    assert_memory_equal(answer->bytes + 6, initial.bytes + 23, CV_QUIC_CID_SIZE);
    assert_memory_equal(answer->bytes + 23, initial.bytes + 6, CV_QUIC_CID_SIZE);
    assert_int_equal(stats_of(&n.server).version_negotiations_sent, 1);
    /* a version negotiation is not answered with another */
    memcpy(initial.bytes + 1, "\0\0\0\0", 4);
    assert_int_equal(send_raw(&n, initial.bytes, initial.size), 0);
    net_fini(&n);
}

static void test_retry_above_the_threshold(void **state)
{
    struct net n;
    struct recorded initial;
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.handshakes_retry = 1;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    record_initial(&n, &initial);
    assert_true(send_raw(&n, initial.bytes, initial.size) > 0); /* below: taken */
    assert_int_equal(stats_of(&n.server).handshakes_open, 1);
    n.client.closed = 0;
    net_dial(&n, CV_ALPN_ID_CLUSTER, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, 2 * COVEY_SECOND));
    assert_int_equal(stats_of(&n.server).retries_sent, 1);
    assert_int_equal(n.server.ready, 1);
    net_fini(&n);
}

static void test_wrong_token_is_dropped(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.handshakes_retry = 0;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    test_wire_flush(&n.wire);         /* Initial */
    n.wire.delay = 11 * COVEY_SECOND; /* the token is too old when it comes back */
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_true(stats_of(&n.server).retries_sent > 0);
    assert_int_equal(stats_of(&n.server).connections_accepted, 0);
    net_fini(&n);
}

static void test_limits_on_accepting(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.connections_max = 2;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    for (int i = 0; i < 3; i++)
        net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.closed, 1, LONG));
    assert_int_equal(n.client.why.error, COVEY_ERR_TIMEOUT);
    assert_int_equal(n.client.ready, 2);
    assert_int_equal(n.server.ready, 2);
    cv_quic_conn_close(n.client.conn, 0);
    assert_true(test_wire_wait(&n.wire, &n.server.closed, 1, LONG));
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 3, LONG));
    net_fini(&n);
}

static void test_handshakes_in_flight_are_limited(void **state)
{
    struct net n;
    struct recorded initial;
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.handshakes_max = 3;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    for (uint64_t i = 0; i < 5; i++) {
        record_initial(&n, &initial);
        uint64_t sent = send_raw(&n, initial.bytes, initial.size);
        assert_int_equal(sent > 0, i < 3);
        /* three times what came, and no more */
        assert_true(sent * 1452 <= 3 * 1452);
    }
    assert_int_equal(stats_of(&n.server).handshakes_open, 3);
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    assert_int_equal(stats_of(&n.server).handshakes_open, 0);
    assert_int_equal(n.server.closed, 0);
    net_fini(&n);
}

/* RFC 9000 section 8.1, as bytes: a client that is never heard again. */
static void test_amplification_is_at_most_three(void **state)
{
    struct net n;
    struct recorded initial;
    (void)state;
    net_init(&n);
    net_start(&n);
    record_initial(&n, &initial);
    send_raw(&n, initial.bytes, initial.size);
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    assert_true(n.server.port->sent_bytes > 0);
    assert_true(n.server.port->sent_bytes <= 3 * initial.size);
    net_fini(&n);
}

static void test_strangers_get_a_small_reset(void **state)
{
    struct net n;
    uint8_t packet[1200];
    (void)state;
    net_init(&n);
    net_start(&n);
    cv_rand_bytes(&n.wire.rand, packet, sizeof(packet));
    packet[0] = 0x40;
    for (size_t size = 1; size < 200; size++) {
        uint64_t bytes = n.server.port->sent_bytes;
        uint64_t sent = send_raw(&n, packet, size);
        assert_true(sent <= 1);
        assert_true(sent == 0 || n.server.port->sent_bytes - bytes < size);
    }
    /* however many come, few are answered */
    for (int i = 0; i < 1000; i++)
        send_raw(&n, packet, sizeof(packet));
    uint64_t resets = stats_of(&n.server).resets_sent;
    assert_true(resets > 0 && resets <= 64);
    n.wire.now += COVEY_SECOND;
    assert_int_equal(send_raw(&n, packet, sizeof(packet)), 1);
    /* the other side of the same two endpoints does not serve: silence */
    struct cv_datagram d = {.local = test_wire_address(1),
                            .remote = test_wire_address(3),
                            .bytes = cv_slice_of(packet, sizeof(packet))};
    cv_quic_endpoint_receive(n.client.endpoint, &d, n.wire.now);
    test_wire_flush(&n.wire);
    assert_int_equal(n.client.port->sent, 0);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_carry_the_loop),
        cmocka_unit_test(test_not_accepting_endpoint_is_silent),
        cmocka_unit_test(test_what_is_being_accepted_is_closed_in_the_end),
        cmocka_unit_test(test_a_server_that_dies_before_it_confirms),
        cmocka_unit_test(test_a_member_that_answers_is_waited_for),
        cmocka_unit_test(test_who_began_is_waited_for_unless_there_are_many),
        cmocka_unit_test(test_ids_of_every_size),
        cmocka_unit_test(test_garbage_changes_nothing),
        cmocka_unit_test(test_version_negotiation),
        cmocka_unit_test(test_retry_above_the_threshold),
        cmocka_unit_test(test_wrong_token_is_dropped),
        cmocka_unit_test(test_limits_on_accepting),
        cmocka_unit_test(test_handshakes_in_flight_are_limited),
        cmocka_unit_test(test_amplification_is_at_most_three),
        cmocka_unit_test(test_strangers_get_a_small_reset),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
