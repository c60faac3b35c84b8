#include "quic/endpoint_internal.h"

#include "fixture.h"

/* In which order streams are written, and in how large pieces packets leave. */

#define TURN_SIZE ((size_t)16 * 1024)
#define BODY_SIZE ((size_t)64 * 1024)
#define STREAMS   3
#define LOG_MAX   1000

/* A sink in front of the client's own that writes down, for each packet, of which stream it was. */
struct log {
    struct test_wire_port *port;
    struct cv_quic_stream *streams[STREAMS];
    size_t unsent[STREAMS];
    unsigned count;
    unsigned order[LOG_MAX];
    bool is_bulk;
    bool was_bulk[LOG_MAX];
};

static size_t unsent_of(const struct log *log, unsigned i)
{
    return log->streams[i] == NULL ? 0 : cv_send_buffer_unsent(&log->streams[i]->out);
}

static uint8_t *log_reserve(void *user, size_t size_max)
{
    const struct log *log = user;
    return log->port->sink.reserve(log->port->sink.user, size_max);
}

static void log_commit(void *user, const struct cv_address *local, const struct cv_address *remote,
                       uint8_t ecn, size_t size)
{
    struct log *log = user;
    assert_true(log->count < LOG_MAX);
    log->was_bulk[log->count] = log->is_bulk;
    /* the stream that the packet ends with */
    log->order[log->count] = STREAMS;
    for (unsigned i = 0; i < STREAMS; i++) {
        if (unsent_of(log, i) < log->unsent[i])
            log->order[log->count] = i;
        log->unsent[i] = unsent_of(log, i);
    }
    log->count++;
    log->port->sink.commit(log->port->sink.user, local, remote, ecn, size);
}

static void log_bulk(void *user, bool is_bulk)
{
    struct log *log = user;
    log->is_bulk = is_bulk;
}

static void flush_logged(struct net *n, struct log *log)
{
    const struct cv_datagram_sink sink = {
        .reserve = log_reserve, .commit = log_commit, .bulk = log_bulk, .user = log};
    for (unsigned i = 0; i < STREAMS; i++)
        log->unsent[i] = unsent_of(log, i);
    log->count = 0;
    cv_quic_endpoint_flush(n->client.endpoint, &sink, n->wire.now);
}

static struct cv_quic_stream *write_size(struct net *n, size_t size)
{
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct cv_quic_stream *s = open_stream(&n->client);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, size), true), 0);
    free(bytes);
    return s;
}

/* Connected, at rest, and with a congestion window that takes all bodies at once. */
static void net_connect_wide(struct net *n, struct log *log)
{
    net_connect(n);
    for (uint64_t i = 1; i <= 4; i++) {
        (void)write_size(n, 4 * BODY_SIZE);
        assert_true(test_wire_wait(&n->wire, &n->server.fins, i, LONG));
    }
    test_wire_run(&n->wire, COVEY_SECOND);
    assert_true(ngtcp2_conn_get_cwnd_left(n->client.conn->native) > (STREAMS + 1) * BODY_SIZE);
    *log = (struct log){.port = n->client.port};
}

/* A large body has a turn of many packets, then the next one has, and a small message waits for no more than
 * a turn of each. */
static void test_large_bodies_take_turns(void **state)
{
    struct net n;
    struct log log;
    (void)state;
    net_connect_wide(&n, &log);
    log.streams[0] = write_size(&n, BODY_SIZE);
    log.streams[1] = write_size(&n, BODY_SIZE);
    log.streams[2] = write_size(&n, 100);
    flush_logged(&n, &log);
    unsigned per_turn = (unsigned)(TURN_SIZE / CV_QUIC_PACKET_SIZE_MAX) + 2;
    unsigned turns = 1, in_turn = 1, small_at = LOG_MAX;
    for (unsigned i = 1; i < log.count; i++) {
        if (log.order[i] == 2)
            small_at = i;
        in_turn = log.order[i] == log.order[i - 1] ? in_turn + 1 : 1;
        turns += in_turn == 1;
        assert_true(in_turn <= per_turn || log.unsent[0] + log.unsent[1] == 0);
    }
    /* four turns each; the small one's is within a packet of another, or ends one */
    assert_in_range(turns, 8, 10);
    assert_int_equal(unsent_of(&log, 2), 0);
    assert_true(small_at == LOG_MAX || small_at <= 2 * per_turn);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 4 + STREAMS, LONG));
    net_fini(&n);
}

/* What a stream wrote before it had nothing more to write is not taken from its next turn. */
static void test_a_turn_begins_anew(void **state)
{
    static const uint8_t bytes[BODY_SIZE];
    struct net n;
    struct log log;
    (void)state;
    net_connect_wide(&n, &log);
    log.streams[0] = open_stream(&n.client);
    const struct cv_slice before = cv_slice_of(bytes, TURN_SIZE / 4 * 3);
    assert_int_equal(cv_quic_stream_write(log.streams[0], before, false), 0);
    flush_logged(&n, &log);
    assert_int_equal(unsent_of(&log, 0), 0);
    test_wire_run(&n.wire, COVEY_SECOND);
    const struct cv_slice body = cv_slice_of(bytes, BODY_SIZE);
    assert_int_equal(cv_quic_stream_write(log.streams[0], body, true), 0);
    log.streams[1] = write_size(&n, BODY_SIZE);
    flush_logged(&n, &log);
    unsigned first = 0;
    while (first < log.count && log.order[first] == 0)
        first++;
    assert_in_range(first, TURN_SIZE / CV_QUIC_PACKET_SIZE_MAX,
                    TURN_SIZE / CV_QUIC_PACKET_SIZE_MAX + 2);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 4 + 2, LONG));
    net_fini(&n);
}

/* The end of a large body leaves in as large pieces as its begin; small ones alone do not. */
static void test_bulk_lasts_to_the_end_of_a_write(void **state)
{
    struct net n;
    struct log log;
    (void)state;
    net_connect_wide(&n, &log);
    log.streams[0] = write_size(&n, BODY_SIZE);
    log.streams[1] = write_size(&n, 1000);
    flush_logged(&n, &log);
    assert_true(log.count > BODY_SIZE / CV_QUIC_PACKET_SIZE_MAX);
    for (unsigned i = 0; i < log.count; i++)
        assert_true(log.was_bulk[i]);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 4 + 2, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    log.streams[0] = write_size(&n, 1000);
    log.streams[1] = write_size(&n, TURN_SIZE);
    flush_logged(&n, &log);
    assert_true(log.count > TURN_SIZE / CV_QUIC_PACKET_SIZE_MAX);
    for (unsigned i = 0; i < log.count; i++)
        assert_false(log.was_bulk[i]);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_bodies_take_turns),
        cmocka_unit_test(test_a_turn_begins_anew),
        cmocka_unit_test(test_bulk_lasts_to_the_end_of_a_write),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
