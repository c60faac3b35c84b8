#include "quic/endpoint_internal.h"

#include "fixture.h"

/* Streams: bytes, order, back-pressure, limits, endings. */

static void test_echo(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    n.client.inbox = calloc(1, 100);
    n.client.collects = true;
    struct cv_quic_stream *s = open_stream(&n.client);
    assert_false(cv_quic_stream_is_accepted(s));
    assert_ptr_equal(cv_quic_stream_conn(s), n.client.conn);
    cv_quic_stream_set_user(s, &n);
    assert_ptr_equal(cv_quic_stream_user(s), &n);
    assert_int_equal(cv_quic_stream_id(s), 0);
    write_text(s, "coo", true);
    assert_true(test_wire_wait(&n.wire, &n.client.fins, 1, LONG));
    assert_memory_equal(n.client.inbox, "coo", 4);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, 1, LONG));
    assert_int_equal(n.server.opened, 1);
    net_fini(&n);
}

static void test_unwritten_stream_is_invisible(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_text(""), false), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_text(""), true), COVEY_ERR_INVALID_ARGUMENT);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(n.server.opened, 0);
    write_text(s, "x", false);
    assert_true(test_wire_wait(&n.wire, &n.server.opened, 1, LONG));
    net_fini(&n);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    return bytes;
}

/* A head and what follows it: both, or, when there is no room for both, neither. */
static void test_head_and_body(void **state)
{
    enum { SIZE = 1024 * 1024 };
    struct net n;
    uint8_t *bytes = pattern(SIZE);
    (void)state;
    net_connect(&n);
    n.server.inbox = malloc(SIZE);
    n.server.collects = true;
    struct cv_quic_stream *s = open_stream(&n.client);
    struct cv_slice head = cv_slice_of(bytes, 3);
    assert_int_equal(cv_quic_stream_write_both(s, head, cv_slice_of(bytes + 3, SIZE - 2)),
                     COVEY_ERR_BUSY);
    assert_int_equal(cv_quic_stream_room(s), SIZE);
    assert_int_equal(cv_quic_stream_write_both(s, head, cv_slice_of(bytes + 3, SIZE - 3)), 0);
    assert_int_equal(cv_quic_stream_room(s), 0);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(NULL, 0), true), 0);
    assert_int_equal(cv_quic_stream_write_both(s, head, head), COVEY_ERR_STATE);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, LONG));
    assert_int_equal(n.server.received, SIZE);
    assert_memory_equal(n.server.inbox, bytes, SIZE);
    test_wire_run(&n.wire, COVEY_SECOND);

    s = open_stream(&n.client);
    n.client.alloc.fail_at = n.client.alloc.calls + 1;
    assert_int_equal(cv_quic_stream_write_both(s, head, cv_slice_of(bytes + 3, 1000)),
                     COVEY_ERR_NO_MEMORY);
    n.client.alloc.fail_at = 0;
    assert_int_equal(n.client.conn->buffered, 3);
    cv_quic_stream_reset(s, 1);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(n.client.conn->buffered, 0);
    free(bytes);
    net_fini(&n);
}

/* Bytes built in the stream's own memory arrive like others; it is lent while nothing is kept in it. */
static void test_bytes_built_in_place(void **state)
{
    struct net n;
    struct cv_writer w;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    n.client.inbox = calloc(1, 100);
    n.client.collects = true;
    struct cv_quic_stream *s = open_stream(&n.client);
    assert_true(cv_quic_stream_lend(s, &w));
    assert_int_equal(cv_writer_left(&w), CV_QUIC_STREAM_LENT_MAX);
    cv_quic_stream_take(s, &w, true); /* nothing was written: nothing happens */
    assert_true(cv_quic_stream_lend(s, &w));
    cv_write_bytes(&w, cv_slice_text("co"));
    cv_quic_stream_take(s, &w, false);
    assert_false(cv_quic_stream_lend(s, &w));
    assert_int_equal(cv_quic_stream_room(s), 1024 * 1024 - 2);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_true(cv_quic_stream_lend(s, &w));
    cv_write_bytes(&w, cv_slice_text("o"));
    cv_quic_stream_take(s, &w, true);
    assert_false(cv_quic_stream_lend(s, &w));
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG));
    assert_memory_equal(n.client.inbox, "coo", 4);

    s = open_stream(&n.client);
    cv_quic_stream_reset(s, 1);
    assert_false(cv_quic_stream_lend(s, &w));
    net_fini(&n);
}

/* FIN in a frame of its own, also when any of the frames is lost. */
static void test_fin_alone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct net n;
        net_connect(&n);
        cv_rand_seed(&n.wire.rand, seed);
        n.wire.drop_percent = 40;
        n.server.echoes = true;
        struct cv_quic_stream *s = open_stream(&n.client);
        write_text(s, "first", false);
        test_wire_flush(&n.wire);
        write_text(s, "", true);
        test_wire_flush(&n.wire);
        assert_int_equal(cv_quic_stream_write(s, cv_slice_text("x"), false), COVEY_ERR_STATE);
        if (!test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG))
            fail_msg("seed %llu: not closed", (unsigned long long)seed);
        assert_int_equal(n.client.received, 5);
        assert_int_equal(n.client.fins, 1);
        net_fini(&n);
    }
}

static void test_megabyte_with_loss(void **state)
{
    enum { SIZE = 1024 * 1024 };
    struct net n;
    uint8_t *bytes = pattern(SIZE);
    (void)state;
    net_connect(&n);
    n.wire.drop_percent = 5;
    n.wire.reorder_percent = 5;
    n.wire.duplicate_percent = 5;
    n.server.inbox = malloc(SIZE);
    n.server.collects = true;
    struct cv_quic_stream *s = open_stream(&n.client);
    assert_int_equal(cv_quic_stream_room(s), SIZE);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, SIZE), true), 0);
    assert_int_equal(cv_quic_stream_room(s), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, LONG));
    assert_int_equal(n.server.received, SIZE);
    assert_memory_equal(n.server.inbox, bytes, SIZE);
    free(bytes);
    net_fini(&n);
}

static void test_many_streams_at_once_arrive_whole(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    uint64_t packets = n.client.port->sent;
    for (int i = 0; i < 200; i++)
        write_text(open_stream(&n.client), "a call of some twenty or thirty bytes", true);
    test_wire_flush(&n.wire);
    /* calls of one turn share packets */
    assert_true(n.client.port->sent - packets <= 200 * 50 / 1200 + 3);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 200, LONG));
    assert_int_equal(n.client.received, 200 * strlen("a call of some twenty or thirty bytes"));
    net_fini(&n);
}

/* A reader that does not read stops the writer at the window; then at the send buffer. */
static void test_back_pressure(void **state)
{
    struct net n;
    struct cv_quic_limits limits;
    uint8_t *bytes = pattern(64 * 1024);
    uint64_t written = 0;
    (void)state;
    cv_quic_limits_init(&limits);
    net_connect(&n);
    n.server.keeps = true;
    struct cv_quic_stream *s = open_stream(&n.client);
    for (int turn = 0; turn < 100; turn++) {
        while (cv_quic_stream_write(s, cv_slice_of(bytes, 64 * 1024), false) == 0)
            written += 64 * 1024;
        test_wire_run(&n.wire, 20 * COVEY_MILLISECOND);
    }
    assert_int_equal(n.server.received, limits.stream_window);
    assert_int_equal(written, limits.stream_window + limits.send_buffer_max);
    assert_int_equal(cv_quic_stream_room(s), 0);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, 1), false), COVEY_ERR_BUSY);
    assert_int_equal(
        cv_quic_stream_write(s, cv_slice_of(bytes, (size_t)limits.send_buffer_max + 1), false),
        COVEY_ERR_TOO_LARGE);
    /* reading lets it go on, by as much as was read */
    n.client.writable = 0;
    cv_quic_stream_consume(n.server.stream, 200 * 1024, 200 * 1024);
    assert_true(test_wire_wait(&n.wire, &n.client.writable, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(n.server.received, limits.stream_window + 200 * 1024);
    assert_true(cv_quic_stream_room(s) >= 100 * 1024);
    free(bytes);
    net_fini(&n);
}

/* Nor can many streams together pass the connection's window. */
static void test_connection_window(void **state)
{
    struct net n;
    struct cv_quic_limits limits;
    uint8_t *bytes = pattern(256 * 1024);
    (void)state;
    cv_quic_limits_init(&limits);
    net_connect(&n);
    n.server.keeps = true;
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            cv_quic_stream_write(open_stream(&n.client), cv_slice_of(bytes, 256 * 1024), true), 0);
    test_wire_run(&n.wire, 10 * COVEY_SECOND);
    assert_int_equal(n.server.received, limits.connection_window);
    free(bytes);
    net_fini(&n);
}

/* Bytes that were never consumed come back when their stream ends, however it ends. */
static void test_unread_bytes_do_not_starve_the_connection(void **state)
{
    struct net n;
    uint8_t *bytes = pattern(200 * 1024);
    (void)state;
    net_connect(&n);
    n.server.keeps = true;
    for (uint64_t i = 0; i < 30; i++) {
        uint64_t received = n.server.received;
        struct cv_quic_stream *s = open_stream(&n.client);
        assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, 200 * 1024), i % 3 == 0), 0);
        assert_true(test_wire_wait(&n.wire, &n.server.received, received + 200 * 1024, LONG));
        if (i % 3 == 0)
            cv_quic_stream_reset(n.server.stream, 1);
        else if (i % 3 == 1)
            cv_quic_stream_reset(s, 1);
        if (i % 3 == 2)
            cv_quic_stream_stop(n.server.stream, 1);
        if (n.server.stream != NULL)
            cv_quic_stream_reset(n.server.stream, 1);
        cv_quic_stream_stop(s, 1);
        if (!test_wire_wait(&n.wire, &n.server.stream_closed, i + 1, LONG))
            fail_msg("stream %llu does not end", (unsigned long long)i);
    }
    free(bytes);
    net_fini(&n);
}

static void test_streams_up_to_the_limit_and_beyond(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    uint64_t opened = 0;
    for (int wave = 0; opened < 2000; wave++) {
        struct cv_quic_stream *s = NULL;
        int error = 0;
        while (opened < 2000 && (error = cv_quic_conn_open(n.client.conn, &s)) == 0) {
            write_text(s, "x", true);
            opened++;
        }
        if (wave == 0) {
            assert_int_equal(opened, 1024);
            assert_int_equal(error, COVEY_ERR_LIMIT);
        }
        if (opened < 2000)
            assert_true(test_wire_wait(&n.wire, &n.client.available, n.client.available + 1, LONG));
    }
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 2000, LONG));
    assert_int_equal(n.server.opened, 2000);
    net_fini(&n);
}

/* Nobody asked: nobody is told. */
static void test_streams_available_only_when_refused_before(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    for (int i = 0; i < 500; i++)
        write_text(open_stream(&n.client), "x", true);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 500, LONG));
    assert_int_equal(n.client.available, 0);
    net_fini(&n);
}

static void test_a_small_limit_is_given_back_too(void **state)
{
    struct net n;
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.streams_max = 1;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    n.server.echoes = true;
    for (uint64_t i = 0; i < 10; i++) {
        struct cv_quic_stream *s = NULL;
        struct cv_quic_stream *second = NULL;
        assert_int_equal(cv_quic_conn_open(n.client.conn, &s), 0);
        assert_int_equal(cv_quic_conn_open(n.client.conn, &second), COVEY_ERR_LIMIT);
        write_text(s, "x", true);
        assert_true(test_wire_wait(&n.wire, &n.client.available, i + 1, LONG));
    }
    net_fini(&n);
}

/* A peer that keeps most of its streams open, and opens and ends others, one after the other. */
static void open_short_ones(uint32_t max, uint32_t kept)
{
    struct net n;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.limits.streams_max = max;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    n.server.echoes = true;
    for (uint32_t i = 0; i < kept; i++)
        write_text(open_stream(&n.client), "x", false);
    for (uint64_t i = 1; i <= 200; i++) {
        struct cv_quic_stream *s = NULL;
        if (cv_quic_conn_open(n.client.conn, &s) != 0)
            fail_msg("%u of %u are open: no short one after %llu", kept, max,
                     (unsigned long long)i - 1);
        write_text(s, "x", true);
        assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, i, LONG));
        test_wire_run(&n.wire, 10 * COVEY_MILLISECOND);
    }
    assert_int_equal(n.client.stream_closed, 200);
    net_fini(&n);
}

static void test_short_streams_beside_many_open_ones(void **state)
{
    (void)state;
    open_short_ones(1024, 970);
    open_short_ones(1024, 1023);
    open_short_ones(256, 200);
    open_short_ones(256, 255);
}

static void test_reset(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    write_text(s, "half of", false);
    assert_true(test_wire_wait(&n.wire, &n.server.opened, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    cv_quic_stream_reset(s, 77);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_text("x"), false), COVEY_ERR_STATE);
    assert_int_equal(cv_quic_stream_room(s), 0);
    cv_quic_stream_reset(s, 78); /* once is enough */
    assert_true(test_wire_wait(&n.wire, &n.server.resets, 1, LONG));
    assert_int_equal(n.server.reset_code, 77);
    /* the other direction is alive */
    write_text(n.server.stream, "answer", true);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG));
    assert_int_equal(n.client.received, 6);
    assert_int_equal(n.server.stops + n.client.stops + n.client.resets, 0);
    net_fini(&n);
}

static void test_stop(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    write_text(s, "question", true);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, LONG));
    write_text(n.server.stream, "a long answer", false);
    assert_true(test_wire_wait(&n.wire, &n.client.received, 13, LONG));
    /* cancelled after the whole request was acknowledged: only STOP_SENDING can say it */
    test_wire_run(&n.wire, COVEY_SECOND);
    cv_quic_stream_stop(s, 88);
    write_text(n.server.stream, "not heard", false);
    assert_true(test_wire_wait(&n.wire, &n.server.stops, 1, LONG));
    assert_int_equal(n.server.stop_code, 88);
    assert_int_equal(cv_quic_stream_write(n.server.stream, cv_slice_text("x"), false),
                     COVEY_ERR_STATE);
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 1, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, 1, LONG));
    assert_int_equal(n.client.received, 13);
    assert_int_equal(n.client.resets, 0);
    assert_int_equal(n.server.stops, 1);
    net_fini(&n);
}

/* A call that is given up in the turn in which it was made, and in the next: it ends on both sides,
 * whatever the network loses. */
static void test_cancel_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net n;
        net_connect(&n);
        cv_rand_seed(&n.wire.rand, seed);
        n.wire.drop_percent = seed <= 2 ? 0 : 30;
        for (int i = 0; i < 60; i++) {
            struct cv_quic_stream *s = open_stream(&n.client);
            write_text(s, "never mind", i % 3 == 0);
            if (i % 2 == 0)
                test_wire_flush(&n.wire);
            if (i % 5 != 0)
                cv_quic_stream_stop(s, 1);
            cv_quic_stream_reset(s, 1);
        }
        if (!test_wire_wait(&n.wire, &n.client.stream_closed, 60, LONG))
            fail_msg("seed %llu: %llu closed", (unsigned long long)seed,
                     (unsigned long long)n.client.stream_closed);
        test_wire_run(&n.wire, LONG);
        assert_int_equal(n.server.stream_closed, n.server.opened);
        assert_int_equal(n.client.closed + n.server.closed, 0);
        net_fini(&n);
    }
}

static void cancel_on_data(void *user, struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    struct peer *p = user;
    (void)fin;
    p->received += bytes.size;
    cv_quic_stream_stop(s, 5);
    cv_quic_stream_reset(s, 6);
}

/* From inside the callback, with more of the stream behind it in the same packet. */
static void test_stop_and_reset_inside_a_callback(void **state)
{
    struct net n;
    uint8_t *bytes = pattern(200 * 1024);
    (void)state;
    net_init(&n);
    struct cv_quic_config server = peer_config(&n.server, true);
    struct cv_quic_config client = peer_config(&n.client, false);
    server.events.stream_data = cancel_on_data;
    peer_start(&n, &n.server, &server);
    peer_start(&n, &n.client, &client);
    net_dial(&n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n.wire, &n.client.ready, 1, LONG));
    n.wire.reorder_percent = 30;
    /* more than the connection's window in all */
    for (uint64_t i = 0; i < 30; i++) {
        struct cv_quic_stream *s = open_stream(&n.client);
        assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, 200 * 1024), false), 0);
        if (!test_wire_wait(&n.wire, &n.client.stops, i + 1, LONG))
            fail_msg("stream %llu is not stopped", (unsigned long long)i);
        assert_int_equal(n.client.stop_code, 5);
    }
    assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, 30, LONG));
    assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, 30, LONG));
    assert_int_equal(n.client.reset_code, 6);
    free(bytes);
    net_fini(&n);
}

static void test_both_sides_open(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.client.echoes = true;
    write_text(open_stream(&n.server), "from the server", true);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, LONG));
    assert_int_equal(n.client.opened, 1);
    assert_int_equal(n.server.received, strlen("from the server"));
    assert_true(test_wire_wait(&n.wire, &n.server.stream_closed, 1, LONG));
    net_fini(&n);
}

static void test_streams_end_with_their_connection(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    for (int i = 0; i < 10; i++)
        write_text(open_stream(&n.client), "open", false);
    assert_true(test_wire_wait(&n.wire, &n.server.opened, 10, LONG));
    cv_quic_conn_close(n.client.conn, 3);
    struct cv_quic_stream *s = NULL;
    assert_int_equal(cv_quic_conn_open(n.client.conn, &s), COVEY_ERR_STATE);
    assert_int_equal(n.client.stream_closed + n.client.closed, 0);
    test_wire_flush(&n.wire);
    assert_int_equal(n.client.stream_closed, 10);
    assert_int_equal(n.client.closed, 1);
    assert_true(test_wire_wait(&n.wire, &n.server.closed, 1, LONG));
    assert_int_equal(n.server.stream_closed, 10);
    net_fini(&n);
}

/* ---- what all streams of a connection have buffered ---- */

#define TOTAL_MAX    ((uint64_t)256 * 1024)
#define FIRST_MAX    ((size_t)64 * 1024)
#define SMALL_WINDOW ((uint64_t)16 * 1024)
#define SHARED       4

/* Streams of a server that may buffer 256 KiB, to a client that takes 16 KiB of each, and no more
 * before it reads. */
struct shared {
    struct net n;
    struct cv_quic_stream *streams[SHARED];
    struct cv_quic_stream *clients[SHARED];
    uint64_t writable[SHARED];
    uint8_t *bytes;
};

static void count_writable(void *user, struct cv_quic_stream *s)
{
    uint64_t *count = cv_quic_stream_user(s);
    (void)user;
    ++*count;
}

static void shared_begin(struct shared *t)
{
    *t = (struct shared){.bytes = pattern((size_t)TOTAL_MAX)};
    struct net *n = &t->n;
    net_init(n);
    struct cv_quic_config server = peer_config(&n->server, true);
    struct cv_quic_config client = peer_config(&n->client, false);
    server.limits.send_total_max = TOTAL_MAX;
    server.events.stream_writable = count_writable;
    client.limits.stream_window = SMALL_WINDOW;
    peer_start(n, &n->server, &server);
    peer_start(n, &n->client, &client);
    net_dial(n, CV_ALPN_ID_RPC, NULL);
    assert_true(test_wire_wait(&n->wire, &n->client.ready, 1, LONG));
    n->client.keeps = true;
    for (size_t i = 0; i < SHARED; i++) {
        t->clients[i] = open_stream(&n->client);
        write_text(t->clients[i], "x", true);
        assert_true(test_wire_wait(&n->wire, &n->server.opened, i + 1, LONG));
        t->streams[i] = n->server.stream;
        cv_quic_stream_set_user(t->streams[i], &t->writable[i]);
    }
}

static void shared_end(struct shared *t)
{
    free(t->bytes);
    net_fini(&t->n);
}

static int shared_write(struct shared *t, size_t index, size_t size)
{
    return cv_quic_stream_write(t->streams[index], cv_slice_of(t->bytes, size), false);
}

/* The client reads all that came on a stream, again and again, until no more comes. */
static void shared_read(struct shared *t, size_t index)
{
    for (uint64_t left = 2 * TOTAL_MAX; left > 0; left -= SMALL_WINDOW) {
        cv_quic_stream_consume(t->clients[index], (size_t)SMALL_WINDOW, (size_t)SMALL_WINDOW);
        test_wire_run(&t->n.wire, 100 * COVEY_MILLISECOND);
    }
}

static void test_streams_share_what_is_buffered(void **state)
{
    struct shared t;
    (void)state;
    shared_begin(&t);
    assert_int_equal(cv_quic_stream_room(t.streams[0]), TOTAL_MAX);
    assert_int_equal(shared_write(&t, 0, 200 * 1024), 0);
    assert_int_equal(cv_quic_stream_room(t.streams[0]), 56 * 1024);
    assert_int_equal(shared_write(&t, 0, 56 * 1024 + 1), COVEY_ERR_BUSY);
    /* one with nothing there may always write some, and no more than that */
    for (size_t i = 1; i < SHARED; i++) {
        assert_int_equal(cv_quic_stream_room(t.streams[i]), FIRST_MAX);
        assert_int_equal(shared_write(&t, i, FIRST_MAX + 1), COVEY_ERR_BUSY);
        assert_int_equal(shared_write(&t, i, FIRST_MAX), 0);
        assert_int_equal(cv_quic_stream_room(t.streams[i]), 0);
        assert_int_equal(shared_write(&t, i, 1), COVEY_ERR_BUSY);
    }
    assert_int_equal(shared_write(&t, 0, 1), COVEY_ERR_BUSY);
    /* a client's bytes are another connection end's */
    struct cv_quic_stream *s = open_stream(&t.n.client);
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(t.bytes, (size_t)TOTAL_MAX), true), 0);
    shared_end(&t);
}

/* Nothing of its own is on its way any more, so nothing of its own could tell it. */
static void test_a_busy_stream_hears_when_others_made_room(void **state)
{
    struct shared t;
    (void)state;
    shared_begin(&t);
    assert_int_equal(shared_write(&t, 1, 1000), 0);
    test_wire_run(&t.n.wire, COVEY_SECOND);
    assert_int_equal(shared_write(&t, 0, (size_t)TOTAL_MAX), 0);
    test_wire_run(&t.n.wire, COVEY_SECOND);
    assert_int_equal(t.n.server.conn->buffered, TOTAL_MAX - SMALL_WINDOW);
    t.writable[1] = t.writable[2] = 0;
    assert_int_equal(shared_write(&t, 1, 100 * 1024), COVEY_ERR_BUSY);
    assert_int_equal(shared_write(&t, 1, 100 * 1024), COVEY_ERR_BUSY);
    while (t.n.server.conn->buffered > TOTAL_MAX / 2) {
        assert_int_equal(t.writable[1], 0);
        cv_quic_stream_consume(t.clients[0], 1000, 1000);
        test_wire_run(&t.n.wire, 100 * COVEY_MILLISECOND);
    }
    assert_int_equal(t.writable[1], 1);
    assert_int_equal(shared_write(&t, 1, 100 * 1024), 0);
    assert_int_equal(t.writable[2], 0); /* it was told nothing, and is told nothing */
    shared_end(&t);
}

static void test_a_busy_stream_hears_when_others_are_reset(void **state)
{
    struct shared t;
    (void)state;
    shared_begin(&t);
    assert_int_equal(shared_write(&t, 0, (size_t)TOTAL_MAX), 0);
    test_wire_run(&t.n.wire, COVEY_SECOND);
    assert_int_equal(shared_write(&t, 1, 100 * 1024), COVEY_ERR_BUSY);
    cv_quic_stream_reset(t.streams[0], 1);
    assert_true(test_wire_wait(&t.n.wire, &t.writable[1], 1, LONG));
    assert_int_equal(shared_write(&t, 1, 100 * 1024), 0);
    shared_end(&t);
}

/* Acknowledged, reset by us, stopped by the peer: of none is anything counted for ever. */
static void test_what_is_buffered_is_counted_to_its_end(void **state)
{
    struct shared t;
    (void)state;
    shared_begin(&t);
    const struct cv_quic_conn *c = t.n.server.conn;
    for (size_t i = 0; i < SHARED; i++)
        assert_int_equal(shared_write(&t, i, FIRST_MAX), 0);
    assert_int_equal(c->buffered, SHARED * FIRST_MAX);
    test_wire_run(&t.n.wire, COVEY_SECOND);
    assert_int_equal(c->buffered, SHARED * (FIRST_MAX - SMALL_WINDOW));
    shared_read(&t, 0);
    assert_int_equal(c->buffered, (SHARED - 1) * (FIRST_MAX - SMALL_WINDOW));
    write_text(t.streams[1], "", true);
    shared_read(&t, 1);
    assert_int_equal(c->buffered, (SHARED - 2) * (FIRST_MAX - SMALL_WINDOW));
    cv_quic_stream_reset(t.streams[2], 1);
    cv_quic_stream_stop(t.clients[3], 1);
    test_wire_run(&t.n.wire, COVEY_SECOND);
    assert_int_equal(t.n.server.stream_closed, 3);
    assert_int_equal(c->buffered, 0);
    shared_end(&t);
}

static void test_write_without_memory(void **state)
{
    struct net n;
    uint8_t *bytes = pattern(1000);
    (void)state;
    net_connect(&n);
    struct cv_quic_stream *s = open_stream(&n.client);
    n.client.alloc.calls = 0;
    n.client.alloc.fail_at = 1;
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, 1000), true), COVEY_ERR_NO_MEMORY);
    n.client.alloc.fail_at = 0;
    assert_int_equal(cv_quic_stream_write(s, cv_slice_of(bytes, 1000), true), 0);
    assert_true(test_wire_wait(&n.wire, &n.server.fins, 1, LONG));
    assert_int_equal(n.server.received, 1000);
    free(bytes);
    net_fini(&n);
}

static void test_unary_calls_allocate_nothing_of_ours(void **state)
{
    struct net n;
    (void)state;
    net_connect(&n);
    n.server.echoes = true;
    for (uint64_t i = 1; i <= 20; i++) {
        write_text(open_stream(&n.client), "warm", true);
        assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, i, LONG));
    }
    size_t outstanding = n.client.alloc.outstanding + n.server.alloc.outstanding;
    for (uint64_t i = 21; i <= 60; i++) {
        write_text(open_stream(&n.client), "warm", true);
        assert_true(test_wire_wait(&n.wire, &n.client.stream_closed, i, LONG));
    }
    /* the library's own pools are all that may have grown */
    assert_true(n.client.alloc.outstanding + n.server.alloc.outstanding <= outstanding + 8);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_unwritten_stream_is_invisible),
        cmocka_unit_test(test_head_and_body),
        cmocka_unit_test(test_bytes_built_in_place),
        cmocka_unit_test(test_fin_alone),
        cmocka_unit_test(test_megabyte_with_loss),
        cmocka_unit_test(test_many_streams_at_once_arrive_whole),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_connection_window),
        cmocka_unit_test(test_unread_bytes_do_not_starve_the_connection),
        cmocka_unit_test(test_streams_up_to_the_limit_and_beyond),
        cmocka_unit_test(test_streams_available_only_when_refused_before),
        cmocka_unit_test(test_a_small_limit_is_given_back_too),
        cmocka_unit_test(test_short_streams_beside_many_open_ones),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_cancel_at_once),
        cmocka_unit_test(test_stop_and_reset_inside_a_callback),
        cmocka_unit_test(test_both_sides_open),
        cmocka_unit_test(test_streams_end_with_their_connection),
        cmocka_unit_test(test_streams_share_what_is_buffered),
        cmocka_unit_test(test_a_busy_stream_hears_when_others_made_room),
        cmocka_unit_test(test_a_busy_stream_hears_when_others_are_reset),
        cmocka_unit_test(test_what_is_buffered_is_counted_to_its_end),
        cmocka_unit_test(test_write_without_memory),
        cmocka_unit_test(test_unary_calls_allocate_nothing_of_ours),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
