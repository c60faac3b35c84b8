/* Whole calls between two ends over a transport that cuts and delays as it likes. */
#include "fixture.h"
#include "rig.h"

#define SEEDS 60

static struct rig rig;
static uint8_t large[4 << 20];

/* What the users of a test do; both sides send `count` messages of `size` bytes. */
static struct {
    size_t count, size;
    bool read_late; /* the server gives messages back only at the end */
} plan;

static size_t sent[2][RIG_STREAMS_MAX];

static void begin(uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    rig_init(&rig, seed);
    memset(sent, 0, sizeof sent);
}

static size_t *sent_by(int side, const struct rig_user *u)
{
    return &sent[side][u - rig.users[side]];
}

/* Sends until all is sent or the call is BUSY. True when all is sent. */
static bool send_plan(int side, struct rig_user *u)
{
    size_t *done = sent_by(side, u);
    while (*done < plan.count) {
        bool end = side == CLIENT && *done + 1 == plan.count;
        int error = rig_send(&rig, side, u, large, plan.size, end);
        if (error == COVEY_ERR_BUSY)
            return false;
        assert_int_equal(error, 0);
        (*done)++;
    }
    return true;
}

static void client_event(struct rig *r, struct rig_user *u, const struct cv_rpc_output *out)
{
    if (out->type == CV_RPC_EVENT_MESSAGE)
        rig_read(r, CLIENT, u, out->message.size);
    if (out->type == CV_RPC_EVENT_WRITABLE)
        (void)send_plan(CLIENT, u);
    if (out->type == CV_RPC_EVENT_STATUS)
        assert_int_equal(rig_do(r, CLIENT, u, CV_RPC_RELEASE), 0);
}

/* Sends back each message as it comes. */
static void echo(struct rig *r, int side, struct rig_user *u, const struct cv_rpc_output *out)
{
    if (side == CLIENT) {
        client_event(r, u, out);
        return;
    }
    if (out->type == CV_RPC_EVENT_MESSAGE) {
        assert_int_equal(rig_send(r, SERVER, u, out->message.data, out->message.size, false), 0);
        rig_read(r, SERVER, u, out->message.size);
    }
    if (out->type == CV_RPC_EVENT_END || out->type == CV_RPC_EVENT_CANCELLED)
        assert_int_equal(rig_finish(r, u, COVEY_STATUS_OK), 0);
}

static void run_echo(size_t calls, size_t count, size_t size, uint64_t seed)
{
    begin(seed);
    plan.count = count;
    plan.size = size;
    rig.on_event = echo;
    for (size_t i = 0; i < calls; i++)
        (void)send_plan(CLIENT, rig_start(&rig, COVEY_NEVER));
    rig_run(&rig);
    rig_assert_done(&rig);
    for (size_t i = 0; i < calls; i++) {
        const struct rig_user *client = &rig.users[CLIENT][i], *server = &rig.users[SERVER][i];
        assert_int_equal(client->code, COVEY_STATUS_OK);
        assert_int_equal(server->messages, count);
        assert_int_equal(client->messages, count);
        assert_int_equal(client->bytes, count * size);
        assert_true(client->sum == server->sum);
        assert_int_equal(server->ends, 1);
    }
    rig_fini(&rig);
}

static void unary(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_echo(20, 1, 64, seed);
}

static void both_ways(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_echo(5, 20, 300, seed);
}

static void empty_messages(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_echo(3, 50, 0, seed);
}

static void largest_message(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        run_echo(1, 1, sizeof large, seed);
}

/* Answers one message with many, as fast as the client reads. */
static void produce(struct rig *r, int side, struct rig_user *u, const struct cv_rpc_output *out)
{
    if (side == CLIENT) {
        if (out->type == CV_RPC_EVENT_MESSAGE)
            rig_read(r, CLIENT, u, out->message.size);
        if (out->type == CV_RPC_EVENT_STATUS)
            assert_int_equal(rig_do(r, CLIENT, u, CV_RPC_RELEASE), 0);
        return;
    }
    if (out->type == CV_RPC_EVENT_MESSAGE)
        rig_read(r, SERVER, u, out->message.size);
    if ((out->type == CV_RPC_EVENT_END || out->type == CV_RPC_EVENT_WRITABLE) &&
        send_plan(SERVER, u))
        assert_int_equal(rig_finish(r, u, COVEY_STATUS_OK), 0);
}

static void server_streaming(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        begin(seed);
        rig.piece_max = 20000;
        plan.count = 200;
        plan.size = 30000;
        rig.on_event = produce;
        for (int i = 0; i < 2; i++)
            assert_int_equal(rig_send(&rig, CLIENT, rig_start(&rig, COVEY_NEVER), "go", 2, true),
                             0);
        rig_run(&rig);
        rig_assert_done(&rig);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(rig.users[CLIENT][i].messages, 200);
            assert_int_equal(rig.users[CLIENT][i].bytes, 200 * 30000);
            assert_true(rig.users[SERVER][i].writables > 0);
        }
        rig_fini(&rig);
    }
}

/* Answers many messages with one. */
static void gather(struct rig *r, int side, struct rig_user *u, const struct cv_rpc_output *out)
{
    if (side == CLIENT) {
        client_event(r, u, out);
        return;
    }
    if (out->type == CV_RPC_EVENT_MESSAGE && !plan.read_late)
        rig_read(r, SERVER, u, out->message.size);
    if (out->type == CV_RPC_EVENT_END) {
        assert_int_equal(rig_send(r, SERVER, u, "ok", 2, false), 0);
        assert_int_equal(rig_finish(r, u, COVEY_STATUS_OK), 0);
    }
}

static void client_streaming(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        begin(seed);
        rig.piece_max = 20000;
        plan.count = 200;
        plan.size = 30000;
        rig.on_event = gather;
        struct rig_user *u = rig_start(&rig, COVEY_NEVER);
        (void)send_plan(CLIENT, u);
        rig_run(&rig);
        rig_assert_done(&rig);
        assert_int_equal(u->code, COVEY_STATUS_OK);
        assert_int_equal(u->bytes, 2);
        assert_int_equal(rig.users[SERVER][0].bytes, 200 * 30000);
        assert_true(u->writables > 0);
        rig_fini(&rig);
    }
}

/* The server holds what it got: the client is stopped by the window, not by an error, and goes on
 * when messages are given back. */
static void a_slow_reader_stops_the_sender(void **state)
{
    (void)state;
    begin(7);
    rig.piece_max = 20000;
    plan.count = 200;
    plan.size = 30000;
    plan.read_late = true;
    rig.on_event = gather;
    struct rig_user *u = rig_start(&rig, COVEY_NEVER);
    (void)send_plan(CLIENT, u);
    rig_run(&rig);
    struct rig_user *server = &rig.users[SERVER][0];
    assert_int_equal(u->statuses, 0);
    assert_true(server->bytes > (256u << 10) && server->bytes < 3 * RIG_WINDOW);
    for (size_t given = 0; server->ends == 0;) {
        assert_true(given < server->messages);
        while (given < server->messages && server->ends == 0) {
            rig_read(&rig, SERVER, server, plan.size);
            given++;
        }
        rig_run(&rig);
    }
    plan.read_late = false;
    rig_assert_done(&rig);
    assert_int_equal(u->code, COVEY_STATUS_OK);
    assert_int_equal(server->bytes, 200 * 30000);
    rig_fini(&rig);
}

/* ---- Something goes wrong after each number of turns ---- */

static void turns(size_t count)
{
    rig_poll(&rig, CLIENT);
    for (size_t i = 0; i < count; i++)
        (void)rig_turn(&rig);
}

static struct rig_user *start_echo(covey_time timeout)
{
    plan.count = 4;
    plan.size = 50;
    rig.on_event = echo;
    struct rig_user *u = rig_start(&rig, timeout);
    (void)send_plan(CLIENT, u);
    return u;
}

static void client_cancels_at_every_point(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        bool answered = false;
        for (size_t point = 0; !answered; point++) {
            begin(seed);
            rig.piece_max = 16;
            struct rig_user *u = start_echo(COVEY_NEVER);
            turns(point);
            answered = u->statuses > 0;
            if (!answered)
                assert_int_equal(rig_do(&rig, CLIENT, u, CV_RPC_CANCEL), 0);
            rig_run(&rig);
            rig_assert_done(&rig);
            assert_int_equal(u->code, answered ? COVEY_STATUS_OK : COVEY_STATUS_CANCELLED);
            rig_fini(&rig);
        }
    }
}

/* Ends with ABORTED where it can still say so. */
static void server_cancels_at_every_point(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        bool finished = false;
        for (size_t point = 0; !finished; point++) {
            begin(seed);
            rig.piece_max = 16;
            struct rig_user *u = start_echo(COVEY_NEVER);
            struct rig_user *server = &rig.users[SERVER][0];
            turns(point);
            finished = server->finished;
            bool cancelled = server->began && !finished;
            if (cancelled) {
                assert_int_equal(rig_do(&rig, SERVER, server, CV_RPC_CANCEL), 0);
                assert_int_equal(rig_do(&rig, SERVER, server, CV_RPC_RELEASE), 0);
            }
            rig_run(&rig);
            rig_assert_done(&rig);
            assert_int_equal(u->code, cancelled ? COVEY_STATUS_ABORTED : COVEY_STATUS_OK);
            rig_fini(&rig);
        }
    }
}

static void connection_is_lost_at_every_point(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        bool over = false;
        for (size_t point = 0; !over; point++) {
            begin(seed);
            rig.piece_max = 16;
            struct rig_user *u = start_echo(COVEY_NEVER);
            turns(point);
            over = rig.streams[0].closed;
            rig.streams[0].closed = true;
            cv_rpc_conn_lost(rig.ends[CLIENT], "gone");
            cv_rpc_conn_lost(rig.ends[SERVER], "gone");
            rig_run(&rig);
            rig_assert_done(&rig);
            assert_true(u->code == COVEY_STATUS_UNAVAILABLE || u->code == COVEY_STATUS_OK);
            assert_int_equal(cv_rpc_conn_deadline(rig.ends[CLIENT]) == COVEY_NEVER, 1);
            rig_fini(&rig);
        }
    }
}

/* A handler that says nothing: the client's deadline, or the server's, ends the call on both sides,
 * whichever comes first. */
static void silent(struct rig *r, int side, struct rig_user *u, const struct cv_rpc_output *out)
{
    if (side == CLIENT)
        client_event(r, u, out);
    else if (out->type == CV_RPC_EVENT_CANCELLED)
        assert_int_equal(rig_finish(r, u, COVEY_STATUS_OK), 0);
}

static void let_time_pass(int side, covey_time length)
{
    rig.now += length;
    assert_int_equal(rig_step(&rig, side, (struct cv_rpc_input){.type = CV_RPC_TIME}), 0);
}

static void deadline_on_either_side(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(seed);
        rig.on_event = silent;
        struct rig_user *u = rig_start(&rig, 5 * MS);
        assert_int_equal(rig_send(&rig, CLIENT, u, "hi", 2, seed % 4 < 2), 0);
        rig_run(&rig);
        struct rig_user *server = &rig.users[SERVER][0];
        assert_int_equal(server->messages, 1);
        int first = seed % 2 ? CLIENT : SERVER;
        covey_time deadline = cv_rpc_conn_deadline(rig.ends[first]);
        assert_true(deadline == rig.now + 5 * MS);
        let_time_pass(first, 5 * MS);
        rig_run(&rig);
        assert_int_equal(u->code, COVEY_STATUS_DEADLINE_EXCEEDED);
        assert_int_equal(server->cancels, 1);
        rig_assert_done(&rig);
        let_time_pass(1 - first, 5 * MS);
        rig_fini(&rig);
    }
}

/* Those above the limit get an answer, all others run. */
static void calls_above_the_limit(void **state)
{
    (void)state;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.calls_max = 8;
    rig_init_limits(&rig, 11, &limits);
    rig.on_event = silent;
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(rig_send(&rig, CLIENT, rig_start(&rig, MS), "hi", 2, true), 0);
    rig_run(&rig);
    size_t refused = 0;
    for (size_t i = 0; i < 20; i++)
        refused += rig.users[CLIENT][i].code == COVEY_STATUS_RESOURCE_EXHAUSTED;
    assert_int_equal(refused, 12);
    let_time_pass(CLIENT, MS);
    rig_run(&rig);
    rig_assert_done(&rig);
    rig_fini(&rig);
}

/* ---- A request cut at every two places ---- */

static void feed_cut(struct end *e, const char *bytes, size_t size, size_t a, size_t b)
{
    struct cv_rpc_call *call = accept_stream(e, &stream_1);
    size_t cuts[] = {0, a, b, size};
    for (size_t i = 0; i < 3; i++) {
        struct cv_rpc_output out;
        bool fin = i == 2;
        assert_int_equal(data(e, call, bytes + cuts[i], cuts[i + 1] - cuts[i], fin), 0);
        while (cv_rpc_conn_poll(e->rc, &out)) {
            if (out.type != CV_RPC_STREAM_CONSUME) /* only their sum is the same */
                end_log_output(e, &out);
        }
    }
}

static void every_cut_of_a_request_is_equal(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *trace;
    } cases[] = {
        {"\x29\x01\x01\x05\x02\x01m\x03\x02\x01k\x08hi\x00\x03\x08yo", 19,
         "call(m) in 5 us key(k) value() message(hi) message() message(yo) end "},
        {"\x0d\x02\x01m\x08hi\x81\x00\x00\x04zzz", 14, "call(m) message(hi) cancelled write"},
        {"\x0d\x02\x01m\x08hi\x08y", 9, "call(m) message(hi) cancelled write"},
        {"\x0d\x02\x01m\x08hi\x02zzzz", 12, "call(m) message(hi) cancelled write"},
        {"\x0d\x02\x01 \x08hi", 7, "write"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t a = 0; a <= cases[i].size; a++) {
            for (size_t b = a; b <= cases[i].size; b++) {
                struct end e;
                end_init(&e);
                feed_cut(&e, cases[i].bytes, cases[i].size, a, b);
                assert_memory_equal(e.trace, cases[i].trace, strlen(cases[i].trace));
                end_fini(&e);
            }
        }
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 31 >> 4);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary),
        cmocka_unit_test(both_ways),
        cmocka_unit_test(empty_messages),
        cmocka_unit_test(largest_message),
        cmocka_unit_test(server_streaming),
        cmocka_unit_test(client_streaming),
        cmocka_unit_test(a_slow_reader_stops_the_sender),
        cmocka_unit_test(client_cancels_at_every_point),
        cmocka_unit_test(server_cancels_at_every_point),
        cmocka_unit_test(connection_is_lost_at_every_point),
        cmocka_unit_test(deadline_on_either_side),
        cmocka_unit_test(calls_above_the_limit),
        cmocka_unit_test(every_cut_of_a_request_is_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
