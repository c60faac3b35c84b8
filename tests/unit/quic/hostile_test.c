#include "raw_peer.h"

/* What a peer with a certificate of the cluster can do to us, and must not. */

static void connect_raw(struct net *n, struct raw *r)
{
    net_init(n);
    net_start(n);
    raw_init(r, n, false, CV_ALPN_RPC);
    raw_run(r, 100 * COVEY_MILLISECOND);
    assert_true(r->confirmed);
    assert_int_equal(n->server.ready, 1);
}

static void fini(struct net *n, struct raw *r)
{
    raw_fini(r);
    net_fini(n);
}

/* NEW_CONNECTION_ID with 8 bytes that depend on the number. */
static size_t new_id(uint8_t *at, uint8_t sequence, uint8_t retire_prior_to)
{
    memset(at, sequence, 28);
    at[0] = 0x18;
    at[1] = sequence;
    at[2] = retire_prior_to;
    at[3] = 8;
    return 28;
}

static void expect_alive(struct net *n, struct raw *r)
{
    static const uint8_t stream[] = {0x0a, 0x40, 0x50, 0x02, 'h', 'i'};
    uint64_t opened = n->server.opened;
    raw_inject(r, stream, sizeof(stream));
    assert_int_equal(n->server.closed, 0);
    assert_int_equal(n->server.opened, opened + 1);
}

static void test_repeated_connection_id(void **state)
{
    struct net n;
    struct raw r;
    uint8_t frames[84];
    (void)state;
    connect_raw(&n, &r);
    new_id(frames, 10, 10);
    new_id(frames + 28, 5, 0);
    new_id(frames + 56, 5, 0);
    raw_inject(&r, frames, sizeof(frames));
    assert_int_equal(stats_of(&n.server).frames_guarded, CV_NGTCP2_GUARDS_IDS ? 0 : 1);
    expect_alive(&n, &r);
    fini(&n, &r);
}

static void test_repeated_connection_id_in_packets_of_their_own(void **state)
{
    struct net n;
    struct raw r;
    uint8_t frame[28];
    (void)state;
    connect_raw(&n, &r);
    raw_inject(&r, frame, new_id(frame, 10, 10));
    for (int i = 0; i < 10; i++)
        raw_inject(&r, frame, new_id(frame, 5, 0));
    /* the first id of all, known from the handshake */
    raw_inject(&r, frame, new_id(frame, 0, 0));
    assert_int_equal(stats_of(&n.server).frames_guarded, CV_NGTCP2_GUARDS_IDS ? 0 : 10);
    expect_alive(&n, &r);
    fini(&n, &r);
}

/* Behind a frame of a type that only the library knows, and with numbers longer than they need be.
 */
static void test_smuggled_connection_id(void **state)
{
    struct net n;
    struct raw r;
    uint8_t frames[200];
    (void)state;
    connect_raw(&n, &r);
    memcpy(frames, "\x2a\x04\x02hi", 5);
    size_t size = 5 + new_id(frames + 5, 10, 10);
    for (int i = 0; i < 2; i++) {
        memset(frames + size, 9, 32);
        memcpy(frames + size, "\x18\x40\x05\x80\x00\x00\x00\x08", 8);
        size += 32;
    }
    raw_inject(&r, frames, size);
    assert_int_equal(stats_of(&n.server).frames_guarded, CV_NGTCP2_GUARDS_IDS ? 0 : 1);
    fini(&n, &r);
}

/* Ids are retired as fast as they come, and nothing is ever acknowledged. */
static void test_retire_flood(void **state)
{
    struct net n;
    struct raw r;
    (void)state;
    connect_raw(&n, &r);
    size_t memory = n.server.alloc.outstanding;
    uint8_t sequence = 1;
    r.deaf = true;
    for (; n.server.closed == 0 && sequence < 60; sequence++) {
        uint8_t frame[] = {0x19, sequence};
        raw_inject(&r, frame, sizeof(frame));
        test_wire_run(&n.wire, 2 * COVEY_SECOND);
    }
    assert_int_equal(n.server.closed, 1);
    assert_int_equal(n.server.why.error, COVEY_ERR_PROTOCOL);
    assert_int_equal(stats_of(&n.server).connection_id_floods, 1);
    assert_true(sequence >= 20 && sequence <= 32);
    test_wire_run(&n.wire, LONG);
    assert_true(n.server.alloc.outstanding < memory);
    fini(&n, &r);
}

static void flood(const uint8_t *frame, size_t size, bool is_flood)
{
    struct net n;
    struct raw r;
    uint8_t frames[900];
    size_t count = sizeof(frames) / size;
    connect_raw(&n, &r);
    for (size_t i = 0; i < count; i++)
        memcpy(frames + i * size, frame, size);
    for (size_t sent = 0; sent < 1300 && n.server.closed == 0; sent += count)
        raw_inject(&r, frames, count * size);
    assert_int_equal(n.server.closed, is_flood);
    assert_int_equal(stats_of(&n.server).control_floods, is_flood);
    if (is_flood) {
        assert_int_equal(n.server.why.error, COVEY_ERR_PROTOCOL);
        raw_run(&r, 100 * COVEY_MILLISECOND);
        assert_true(r.ended);
        assert_int_equal(r.close.error_code, NGTCP2_PROTOCOL_VIOLATION);
    }
    fini(&n, &r);
}

static void test_control_frame_floods(void **state)
{
    (void)state;
    flood((const uint8_t *)"\x1a"
                           "12345678",
          9, true);                                  /* PATH_CHALLENGE */
    flood((const uint8_t *)"\x06\x00\x00", 3, true); /* CRYPTO without bytes */
    flood((const uint8_t *)"\x01", 1, false);        /* PING */
}

static void test_many_acks_in_a_packet(void **state)
{
    struct net n;
    struct raw r;
    uint8_t frames[900];
    (void)state;
    connect_raw(&n, &r);
    for (size_t i = 0; i < 180; i++)
        memcpy(frames + i * 5, "\x02\x00\x00\x00\x00", 5);
    for (int i = 0; i < 10 && n.server.closed == 0; i++)
        raw_inject(&r, frames, sizeof(frames));
    assert_int_equal(n.server.closed, 1);
    assert_int_equal(stats_of(&n.server).control_floods, 1);
    fini(&n, &r);
}

/* Acknowledging what was never sent. */
static void test_optimistic_ack(void **state)
{
    static const uint8_t ack[] = {0x02, 0x7f, 0xff, 0x00, 0x00, 0x00};
    struct net n;
    struct raw r;
    (void)state;
    connect_raw(&n, &r);
    raw_inject(&r, ack, sizeof(ack));
    assert_int_equal(n.server.closed, 1);
    assert_int_equal(n.server.why.error, COVEY_ERR_PROTOCOL);
    fini(&n, &r);
}

static void test_frames_against_the_rules(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } frames[] = {
        {"\x20", 1},                          /* no such frame */
        {"\x1e", 1},                          /* HANDSHAKE_DONE from a client */
        {"\x07\x01x", 3},                     /* NEW_TOKEN from a client */
        {"\x0a\x02\x01x", 4},                 /* a unidirectional stream */
        {"\x0a\x01\x01x", 4},                 /* a stream of the server's own */
        {"\x0a\x80\x01\x00\x00\x01x", 7},     /* far above the stream limit */
        {"\x0e\x00\x80\x10\x00\x00\x01x", 8}, /* far above the window */
        {"\x05\x01\x00", 3},                  /* STOP_SENDING for what does not exist */
        {"\x11\x01\x00", 3},                  /* MAX_STREAM_DATA likewise */
        {"\x18\x02\x03\x08"
         "12345678abcdefghijklmnop",
         28}, /* retires more than it brings */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct net n;
        struct raw r;
        connect_raw(&n, &r);
        raw_inject(&r, (const uint8_t *)frames[i].bytes, frames[i].size);
        if (n.server.closed != 1 || n.server.why.error != COVEY_ERR_PROTOCOL)
            fail_msg("frame %zu: closed %llu, error %d", i, (unsigned long long)n.server.closed,
                     n.server.why.error);
        assert_false(n.server.why.by_peer);
        assert_true(n.server.why.code != 0);
        fini(&n, &r);
    }
}

static void test_stop_sending_in_the_packet_that_opens(void **state)
{
    static const uint8_t frames[] = {0x05, 0x08, 0x2a, 0x0a, 0x08, 0x02, 'h', 'i'};
    struct net n;
    struct raw r;
    (void)state;
    connect_raw(&n, &r);
    raw_inject(&r, frames, sizeof(frames));
    assert_int_equal(n.server.opened, 1);
    assert_int_equal(n.server.stops, 1);
    assert_int_equal(n.server.stop_code, 0x2a);
    assert_int_equal(n.server.received, 2);
    fini(&n, &r);
}

/* Streams that are reset before anything of them was seen cost nothing and come to nobody. */
static void test_rapid_reset(void **state)
{
    struct net n;
    struct raw r;
    (void)state;
    connect_raw(&n, &r);
    size_t memory = n.server.alloc.outstanding;
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t frames[50 * 7];
        for (uint32_t k = 0; k < 50; k++) {
            uint32_t id = (i * 50 + k) * 4;
            uint8_t frame[] = {0x04,
                               (uint8_t)(0x80 | id >> 24),
                               (uint8_t)(id >> 16),
                               (uint8_t)(id >> 8),
                               (uint8_t)id,
                               0x00,
                               0x00};
            memcpy(frames + k * 7, frame, 7);
        }
        raw_inject(&r, frames, sizeof(frames));
    }
    assert_int_equal(n.server.opened + n.server.resets + n.server.closed, 0);
    assert_true(n.server.alloc.outstanding <= memory + 4);
    fini(&n, &r);
}

static void test_unknown_protocol_is_refused(void **state)
{
    struct net n;
    struct raw r;
    (void)state;
    net_init(&n);
    net_start(&n);
    raw_init(&r, &n, false, "covey-song/1");
    raw_run(&r, 200 * COVEY_MILLISECOND);
    assert_true(r.ended);
    assert_int_equal(r.close.error_code, 0x178);
    assert_int_equal(n.server.ready + n.server.closed, 0);
    assert_int_equal(stats_of(&n.server).handshakes_failed, 1);
    fini(&n, &r);
}

/* TLS has nothing more to say to a server after the handshake, and the server has nothing left that would
 * listen. */
static void test_tls_after_the_handshake(void **state)
{
    static const uint8_t key_update[] = {0x06, 0, 5, 24, 0, 0, 1, 0};
    struct net n;
    struct raw r;
    (void)state;
    connect_raw(&n, &r);
    expect_alive(&n, &r);
    raw_inject(&r, key_update, sizeof(key_update));
    assert_int_equal(n.server.closed, 1);
    assert_true(r.ended);
    assert_int_equal(r.close.error_code, 0x100 | 10);
    fini(&n, &r);
}

/* A server may send tickets; what else it may not say does no harm either. */
static void test_tickets_that_nobody_wants(void **state)
{
    static const uint8_t ticket[] = {0x06, 0x40, 0x00, 5, 4, 0, 0, 1, 0};
    struct net n;
    struct raw r;
    (void)state;
    net_init(&n);
    net_start(&n);
    raw_init(&r, &n, true, CV_ALPN_RPC);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    raw_run(&r, 200 * COVEY_MILLISECOND); /* its own library sends some at once */
    assert_int_equal(n.client.ready, 1);
    for (int i = 0; i < 20; i++)
        raw_inject(&r, ticket, sizeof(ticket));
    raw_run(&r, 200 * COVEY_MILLISECOND);
    assert_int_equal(n.client.closed, 0);
    fini(&n, &r);
}

static void test_server_without_our_protocol(void **state)
{
    struct net n;
    struct raw r;
    (void)state;
    net_init(&n);
    net_start(&n);
    raw_init(&r, &n, true, "covey-song/1");
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    raw_run(&r, 200 * COVEY_MILLISECOND);
    assert_int_equal(n.client.closed, 1);
    assert_int_equal(n.client.ready, 0);
    assert_int_equal(n.client.why.error, COVEY_ERR_NO_PROTOCOL);
    fini(&n, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_connection_id),
        cmocka_unit_test(test_repeated_connection_id_in_packets_of_their_own),
        cmocka_unit_test(test_smuggled_connection_id),
        cmocka_unit_test(test_retire_flood),
        cmocka_unit_test(test_control_frame_floods),
        cmocka_unit_test(test_many_acks_in_a_packet),
        cmocka_unit_test(test_optimistic_ack),
        cmocka_unit_test(test_frames_against_the_rules),
        cmocka_unit_test(test_stop_sending_in_the_packet_that_opens),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_unknown_protocol_is_refused),
        cmocka_unit_test(test_server_without_our_protocol),
        cmocka_unit_test(test_tls_after_the_handshake),
        cmocka_unit_test(test_tickets_that_nobody_wants),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
