#include "fixture.h"

/* What is written at once and what may wait: flush_small() and flush_lazily(). */

#define MS COVEY_MILLISECOND
/* Up to this much unsent a stream is a small one. */
#define SMALL_MAX ((size_t)16 * 1024)

/* Connected, and with nothing left to say on either side. */
static void net_connect_and_rest(struct net *n)
{
    net_connect(n);
    test_wire_run(&n->wire, COVEY_SECOND);
    assert_true(TAILQ_EMPTY(&n->wire.packets));
    assert_false(cv_quic_endpoint_is_dirty(n->client.endpoint));
    assert_false(cv_quic_endpoint_is_dirty(n->server.endpoint));
}

typedef void (*flush_function)(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                               covey_time now);

/* How many packets that wrote. */
static uint64_t flush_with(struct net *n, struct peer *p, flush_function flush)
{
    uint64_t before = p->port->sent;
    flush(p->endpoint, &p->port->sink, n->wire.now);
    return p->port->sent - before;
}

static uint64_t flush(struct net *n, struct peer *p)
{
    return flush_with(n, p, cv_quic_endpoint_flush);
}

static uint64_t flush_small(struct net *n, struct peer *p)
{
    return flush_with(n, p, cv_quic_endpoint_flush_small);
}

static uint64_t flush_lazily(struct net *n, struct peer *p)
{
    return flush_with(n, p, cv_quic_endpoint_flush_lazily);
}

/* Two packets come from the client, for which an acknowledgement is due. */
static void owe_acknowledgement(struct net *n, struct cv_quic_stream *s)
{
    for (int i = 0; i < 2; i++) {
        write_text(s, "coo", false);
        assert_int_equal(flush(n, &n->client), 1);
    }
    test_wire_arrive(&n->wire);
    assert_true(cv_quic_endpoint_is_dirty(n->server.endpoint));
}

/* What arrived was acknowledged: the send buffer has room again. */
static bool is_acknowledged(struct net *n)
{
    uint64_t before = n->client.writable;
    test_wire_arrive(&n->wire);
    return n->client.writable > before;
}

/* ---- flush_small ---- */

/* Answers leave between the packets of a burst. */
static void test_small_writes_answers_and_carries_on(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    n.server.echoes = true;
    for (int i = 0; i < 3; i++) {
        write_text(open_stream(&n.client), "coo", true);
        assert_int_equal(flush(&n, &n.client), 1);
    }
    for (uint64_t i = 1; i <= 3; i++) {
        test_wire_arrive_one(&n.wire);
        assert_int_equal(n.server.fins, i);
        assert_int_equal(flush_small(&n, &n.server), 1);
        assert_int_equal(flush_small(&n, &n.server), 0);
    }
    test_wire_arrive(&n.wire);
    assert_int_equal(n.client.fins, 3);
    assert_int_equal(n.client.received, 3 * strlen("coo"));
    /* Half of an answer, and the other half by flush(). */
    struct cv_quic_stream *s = open_stream(&n.client);
    n.server.echoes = false;
    write_text(s, "coo", true);
    assert_int_equal(flush(&n, &n.client), 1);
    test_wire_arrive(&n.wire);
    write_text(n.server.stream, "ro", false);
    assert_int_equal(flush_small(&n, &n.server), 1);
    write_text(n.server.stream, "coo", true);
    assert_int_equal(flush(&n, &n.server), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(n.client.fins, 4);
    assert_int_equal(n.client.received, 3 * strlen("coo") + strlen("rocoo"));
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 4, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, 4, LONG));
    net_fini(&n);
}

static void test_small_leaves_acknowledgements(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    owe_acknowledgement(&n, open_stream(&n.client));
    assert_int_equal(flush_small(&n, &n.server), 0);
    assert_true(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_int_equal(flush(&n, &n.server), 1);
    assert_false(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_true(is_acknowledged(&n));
    net_fini(&n);
}

static void answer_of_size(struct net *n, size_t size)
{
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    write_text(open_stream(&n->client), "coo", true);
    assert_int_equal(flush(n, &n->client), 1);
    test_wire_arrive(&n->wire);
    assert_int_equal(cv_quic_stream_write(n->server.stream, cv_slice_of(bytes, size), true), 0);
    free(bytes);
}

static void test_small_leaves_bulk_data(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    answer_of_size(&n, SMALL_MAX + 1);
    assert_int_equal(flush_small(&n, &n.server), 0);
    assert_true(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_true(flush(&n, &n.server) > 1);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG));
    assert_int_equal(n.client.received, SMALL_MAX + 1);
    answer_of_size(&n, SMALL_MAX);
    assert_true(flush_small(&n, &n.server) > 1);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 2, LONG));
    assert_int_equal(n.client.received, SMALL_MAX + 1 + SMALL_MAX);
    net_fini(&n);
}

/* What is no answer is flush()'s: goodbyes among it. */
static void test_small_leaves_the_end(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    answer_of_size(&n, 3);
    cv_quic_conn_close(n.server.conn, 5);
    assert_int_equal(flush_small(&n, &n.server), 0);
    assert_int_equal(n.server.closed, 0);
    assert_true(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_int_equal(flush(&n, &n.server), 1);
    assert_int_equal(n.server.closed, 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(flush(&n, &n.client), 0);
    assert_int_equal(n.client.why.code, 5);
    net_fini(&n);
}

enum { CONNECTIONS = 10 };

static void connect_several(struct net *n, struct cv_quic_conn *conns[CONNECTIONS])
{
    net_connect_and_rest(n);
    conns[0] = n->client.conn;
    for (uint64_t i = 1; i < CONNECTIONS; i++) {
        conns[i] = net_dial(n, CV_ALPN_ID_RPC, NULL);
        assert_true(test_wire_wait(&n->wire, &n->client.ready, i + 1, LONG));
    }
    test_wire_run(&n->wire, COVEY_SECOND);
    assert_int_equal(n->server.ready, CONNECTIONS);
    assert_false(cv_quic_endpoint_is_dirty(n->server.endpoint));
}

static struct cv_quic_stream *open_on(struct cv_quic_conn *c)
{
    struct cv_quic_stream *s = NULL;
    assert_int_equal(cv_quic_conn_open(c, &s), 0);
    return s;
}

/* One that has nothing for flush_small() stands before, another behind the one that has. */
static void test_small_picks_one_of_several(void **state)
{
    struct net n;
    struct cv_quic_conn *conns[CONNECTIONS];
    (void)state;
    connect_several(&n, conns);
    struct cv_quic_stream *before = open_on(conns[3]);
    struct cv_quic_stream *behind = open_on(conns[5]);
    owe_acknowledgement(&n, before);
    n.server.echoes = true;
    write_text(open_on(conns[4]), "coo", true);
    assert_int_equal(flush(&n, &n.client), 1);
    test_wire_arrive(&n.wire);
    n.server.echoes = false;
    owe_acknowledgement(&n, behind);
    assert_int_equal(flush_small(&n, &n.server), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(n.client.received, strlen("coo"));
    assert_true(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_int_equal(flush(&n, &n.server), 2);
    assert_false(cv_quic_endpoint_is_dirty(n.server.endpoint));
    net_fini(&n);
}

/* More than it looks at: none is lost, and the last ones come first. */
static void test_small_loses_no_connection(void **state)
{
    struct net n;
    struct cv_quic_conn *conns[CONNECTIONS];
    uint64_t written = 0;
    (void)state;
    connect_several(&n, conns);
    n.server.echoes = true;
    for (int i = 0; i < CONNECTIONS; i++)
        write_text(open_on(conns[i]), "coo", true);
    assert_int_equal(flush(&n, &n.client), CONNECTIONS);
    test_wire_arrive(&n.wire);
    while (cv_quic_endpoint_is_dirty(n.server.endpoint)) {
        uint64_t now = flush_small(&n, &n.server);
        assert_in_range(now, 1, CONNECTIONS - 1);
        written += now;
    }
    assert_int_equal(written, CONNECTIONS);
    test_wire_arrive(&n.wire);
    assert_int_equal(n.client.fins, CONNECTIONS);
    net_fini(&n);
}

/* ---- flush_lazily ---- */

static void test_lazily_puts_off_an_acknowledgement(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    owe_acknowledgement(&n, open_stream(&n.client));
    assert_int_equal(flush_lazily(&n, &n.server), 0);
    assert_false(cv_quic_endpoint_is_dirty(n.server.endpoint));
    covey_time deadline = cv_quic_endpoint_deadline(n.server.endpoint);
    assert_in_range(deadline, n.wire.now + 1, n.wire.now + MS);
    n.wire.now = deadline;
    cv_quic_endpoint_expire(n.server.endpoint, n.wire.now);
    assert_int_equal(flush(&n, &n.server), 1);
    assert_true(is_acknowledged(&n));
    net_fini(&n);
}

/* What comes meanwhile does not make it later. */
static void test_lazily_waits_from_the_first_time_on(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    n.wire.delay = MS / 4;
    struct cv_quic_stream *s = open_stream(&n.client);
    owe_acknowledgement(&n, s);
    covey_time end = n.wire.now + MS;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flush_lazily(&n, &n.server), 0);
        assert_in_range(cv_quic_endpoint_deadline(n.server.endpoint), n.wire.now + 1, end);
        owe_acknowledgement(&n, s);
    }
    assert_int_equal(flush_lazily(&n, &n.server), 0);
    assert_true(cv_quic_endpoint_deadline(n.server.endpoint) <= end);
    net_fini(&n);
}

static void test_lazily_an_acknowledgement_goes_with_data(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    owe_acknowledgement(&n, open_stream(&n.client));
    assert_int_equal(flush_lazily(&n, &n.server), 0);
    write_text(n.server.stream, "ro", false);
    assert_true(cv_quic_endpoint_is_dirty(n.server.endpoint));
    assert_int_equal(flush(&n, &n.server), 1);
    assert_true(is_acknowledged(&n));
    assert_int_equal(n.client.received, strlen("ro"));
    assert_int_equal(flush(&n, &n.server), 0);
    net_fini(&n);
}

static void send_data(struct net *n)
{
    write_text(n->server.stream, "ro", false);
}

static void send_end(struct net *n)
{
    write_text(n->server.stream, "ro", true);
}

static void send_reset(struct net *n)
{
    cv_quic_stream_reset(n->server.stream, 7);
}

static void send_stop(struct net *n)
{
    cv_quic_stream_stop(n->server.stream, 8);
}

static void send_datagram(struct net *n)
{
    assert_int_equal(cv_quic_conn_send_datagram(n->server.conn, cv_slice_text("hawk")), 0);
}

static void send_close(struct net *n)
{
    cv_quic_conn_close(n->server.conn, 9);
}

/* What the client has heard, as one number for each kind. */
struct heard {
    uint64_t received, fins, resets, stops, datagrams, closed;
};

static struct heard heard_by(const struct peer *p)
{
    return (struct heard){.received = p->received,
                          .fins = p->fins,
                          .resets = p->resets,
                          .stops = p->stops,
                          .datagrams = p->datagrams,
                          .closed = p->closed};
}

/* Whatever is no acknowledgement leaves at once, whether or not one was put off before. */
static void test_lazily_puts_off_nothing_else(void **state)
{
    static const struct {
        void (*send)(struct net *n);
        struct heard heard;
    } kinds[] = {{send_data, {.received = 2}},      {send_end, {.received = 2, .fins = 1}},
                 {send_reset, {.resets = 1}},       {send_stop, {.stops = 1}},
                 {send_datagram, {.datagrams = 1}}, {send_close, {.closed = 1}}};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct net n;
        net_connect_and_rest(&n);
        owe_acknowledgement(&n, open_stream(&n.client));
        if (i % 2 == 1)
            assert_int_equal(flush_lazily(&n, &n.server), 0);
        kinds[i / 2].send(&n);
        assert_int_equal(flush_lazily(&n, &n.server), 1);
        test_wire_arrive(&n.wire);
        (void)flush(&n, &n.client);
        struct heard heard = heard_by(&n.client);
        assert_memory_equal(&heard, &kinds[i / 2].heard, sizeof heard);
        net_fini(&n);
    }
}

/* The peer stopped a stream: the reset that answers it is not put off. */
static void test_lazily_answers_a_stop(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    owe_acknowledgement(&n, s);
    write_text(n.server.stream, "ro", false);
    assert_int_equal(flush(&n, &n.server), 1);
    test_wire_arrive(&n.wire);
    cv_quic_stream_stop(s, 8);
    assert_int_equal(flush(&n, &n.client), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(n.server.stops, 1);
    assert_int_equal(flush_lazily(&n, &n.server), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(n.server.stop_code, 8);
    net_fini(&n);
}

/* Nothing of a handshake waits, nor does the word that it is over: no timer is needed for it. */
static void test_lazily_puts_off_no_handshake(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    net_start(&n);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    covey_time begun = n.wire.now;
    while (n.client.ready == 0) {
        uint64_t packets = flush_lazily(&n, &n.client) + flush_lazily(&n, &n.server);
        assert_true(packets > 0);
        test_wire_arrive(&n.wire);
    }
    assert_int_equal(n.server.ready, 1);
    assert_in_range(n.wire.now - begun, n.wire.delay, 10 * n.wire.delay);
    net_fini(&n);
}

/* Whatever the next flushes are, the time that an acknowledgement may take is over once. */
static void test_lazily_puts_off_only_once(void **state)
{
    struct net n;
    (void)state;
    net_connect_and_rest(&n);
    owe_acknowledgement(&n, open_stream(&n.client));
    assert_int_equal(flush_lazily(&n, &n.server), 0);
    n.wire.now += MS;
    cv_quic_endpoint_expire(n.server.endpoint, n.wire.now);
    assert_int_equal(flush_lazily(&n, &n.server), 1);
    assert_true(is_acknowledged(&n));
    net_fini(&n);
}

/* What a timer wants sent is no acknowledgement: here probes, after a packet was lost. */
static void test_lazily_puts_off_no_timer(void **state)
{
    struct net n;
    uint64_t sent = 0;
    (void)state;
    net_connect_and_rest(&n);
    write_text(open_stream(&n.client), "coo", true);
    assert_int_equal(flush(&n, &n.client), 1);
    test_wire_fini(&n.wire);
    TAILQ_INIT(&n.wire.packets);
    /* The timer of a path's MTU or of a longer silence may come first. */
    for (int i = 0; i < 3 && sent == 0; i++) {
        n.wire.now = cv_quic_endpoint_deadline(n.client.endpoint);
        cv_quic_endpoint_expire(n.client.endpoint, n.wire.now);
        sent = flush_lazily(&n, &n.client);
    }
    assert_true(sent > 0);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_writes_answers_and_carries_on),
        cmocka_unit_test(test_small_leaves_acknowledgements),
        cmocka_unit_test(test_small_leaves_bulk_data),
        cmocka_unit_test(test_small_leaves_the_end),
        cmocka_unit_test(test_small_picks_one_of_several),
        cmocka_unit_test(test_small_loses_no_connection),
        cmocka_unit_test(test_lazily_puts_off_an_acknowledgement),
        cmocka_unit_test(test_lazily_waits_from_the_first_time_on),
        cmocka_unit_test(test_lazily_an_acknowledgement_goes_with_data),
        cmocka_unit_test(test_lazily_puts_off_nothing_else),
        cmocka_unit_test(test_lazily_answers_a_stop),
        cmocka_unit_test(test_lazily_puts_off_no_handshake),
        cmocka_unit_test(test_lazily_puts_off_only_once),
        cmocka_unit_test(test_lazily_puts_off_no_timer),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
