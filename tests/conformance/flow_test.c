/* Slow readers stop their senders and cost a bounded amount of memory; floods end the connection. */
#include "conformance/pair.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* What may be at one end for one stream in one direction: its window, what waits to be sent, the
 * transport's buffer, a message under construction; and as much again for growing buffers. */
#define STREAM_SHARE (2 * (256 * KIB + 256 * KIB + MIB + 64 * KIB))

static struct pair p;
static uint8_t bytes[3 * MIB];

static struct {
    size_t requests, answers, size;
} plan;

static void send_rest(struct record *r, size_t count)
{
    int error = 0;
    while (error == 0 && r->sent_messages < count)
        error = record_send(r, bytes, plan.size, r->is_client && r->sent_messages + 1 == count);
    if (error != 0)
        assert_int_equal(error, COVEY_ERR_BUSY);
}

/* Both send as much as they can from the begin; the server ends when all is done. */
static void pump(struct record *r, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_CALL || event->type == CV_RPC_EVENT_WRITABLE)
        send_rest(r, r->is_client ? plan.requests : plan.answers);
    if (!r->is_client && r->ends > 0 && r->sent_messages == plan.answers && !r->finished)
        assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}

static struct record *begin_pump(void)
{
    struct record *r = pair_call(&p, CLIENT, "pump", COVEY_NEVER);
    send_rest(r, plan.requests);
    return r;
}

/* All is quiet: nothing moves until somebody reads. */
static void settle(void)
{
    pair_run(&p, COVEY_SECOND);
    uint64_t before = p.messages[CLIENT] + p.messages[SERVER];
    pair_run(&p, COVEY_SECOND);
    assert_int_equal(p.messages[CLIENT] + p.messages[SERVER], before);
}

/* `side` reads as it likes: late at first, then whenever all is quiet, until the call is over. */
static void run_slow(uint64_t seed, size_t requests, size_t answers, size_t size)
{
    plan.requests = requests;
    plan.answers = answers;
    plan.size = size;
    pair_init(&p, seed, pump);
    pair_run(&p, COVEY_MILLISECOND);
    size_t idle[2] = {transport_memory(p.transport, CLIENT), transport_memory(p.transport, SERVER)};
    p.read_late[CLIENT] = p.read_late[SERVER] = true;
    struct record *r = begin_pump();
    settle();
    assert_int_equal(r->statuses, 0);
    struct record *server = pair_other(r);
    for (int side = 0; side < 2; side++)
        assert_true(transport_memory_peak(p.transport, side) < idle[side] + STREAM_SHARE);
    /* More than the limit was given to the user by one message at most. */
    assert_true(r->bytes <= 256 * KIB + size && server->bytes <= 256 * KIB + size);
    while (r->statuses == 0) {
        uint64_t before = p.messages[CLIENT] + p.messages[SERVER];
        record_read(r);
        if (!server->finished)
            record_read(server);
        settle();
        assert_true(r->statuses > 0 || p.messages[CLIENT] + p.messages[SERVER] > before);
    }
    assert_int_equal(r->code, COVEY_STATUS_OK);
    record_assert_received_all(r);
    record_assert_received_all(server);
    for (int side = 0; side < 2; side++)
        assert_true(transport_memory_peak(p.transport, side) < idle[side] + STREAM_SHARE);
    pair_fini(&p);
}

static void a_slow_server(void **state)
{
    (void)state;
    run_slow(1, 200, 0, 60000);
    run_slow(2, 1000, 1, 10000);
}

static void a_slow_client(void **state)
{
    (void)state;
    run_slow(1, 1, 200, 60000);
    run_slow(2, 1, 1000, 10000);
}

static void both_are_slow(void **state)
{
    (void)state;
    run_slow(1, 200, 200, 60000);
    run_slow(2, 1000, 1000, 10000);
}

/* One byte each on the wire: what they cost here counts. */
static void slow_readers_of_empty_messages(void **state)
{
    (void)state;
    run_slow(1, 20000, 20000, 0);
}

/* Many slow calls share what the connection may hold; once they read all goes on. */
static void many_slow_calls(void **state)
{
    (void)state;
    enum { CALLS = 60 };
    plan.requests = 10;
    plan.answers = 0;
    plan.size = 60000;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.limits[SERVER].receive_total_max = MIB;
    config.limits[SERVER].receive_lag_max = 0;
    pair_init_with(&p, &config, pump);
    p.read_late[SERVER] = true;
    struct record *r[CALLS];
    for (size_t i = 0; i < CALLS; i++)
        r[i] = begin_pump();
    settle();
    assert_true(p.messages[SERVER] * plan.size <= MIB + plan.size);
    /* One that is not whole yet of each call, which is at most doubled. */
    assert_true(transport_memory_peak(p.transport, SERVER) < 2 * CALLS * 60000 + STREAM_SHARE);
    while (p.statuses < CALLS) {
        uint64_t before = p.messages[SERVER];
        for (size_t i = 0; i < p.count[SERVER]; i++)
            if (!p.records[SERVER][i]->released)
                record_read(p.records[SERVER][i]);
        settle();
        assert_true(p.messages[SERVER] > before);
    }
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(r[i]->code, COVEY_STATUS_OK);
        record_assert_received_all(pair_other(r[i]));
    }
    pair_fini(&p);
}

/* Calls whose readers sleep hold up no other, though they have more under way than the connection's
 * window: one that is quick and large goes on. */
static void slow_calls_and_a_quick_one(void **state)
{
    (void)state;
    enum { SLOW = 8 };
    struct record *slow[SLOW];
    plan.requests = 200;
    plan.answers = 0;
    plan.size = 60000;
    pair_init(&p, 1, pump);
    p.read_late[SERVER] = true;
    for (size_t i = 0; i < SLOW; i++)
        slow[i] = begin_pump();
    settle();
    plan.requests = 1;
    plan.size = 3 * MIB;
    struct record *quick = begin_pump();
    pair_wait(&p, &quick->statuses, 1);
    assert_int_equal(quick->code, COVEY_STATUS_OK);
    for (size_t i = 0; i < SLOW; i++) {
        assert_int_equal(slow[i]->statuses, 0);
        record_cancel(slow[i]);
    }
    pair_fini(&p);
}

/* ---- floods ---- */

static void hold(struct record *r, const struct cv_rpc_output *event)
{
    (void)r;
    (void)event;
}

/* Opened, seen and cancelled, again and again: the handlers that run are bounded while nobody has
 * returned, and the connection ends when the budget is used up. */
static void rapid_resets(void **state)
{
    (void)state;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.limits[SERVER].calls_max = 100;
    pair_init_with(&p, &config, hold);
    p.keep_cancelled = true;
    size_t begun = 0;
    while (!transport_is_closed(p.transport) && begun < 5000) {
        struct record *r[50];
        uint64_t answered = p.statuses;
        for (size_t i = 0; i < 50; i++, begun++)
            assert_int_equal(record_end(r[i] = pair_call(&p, CLIENT, "rapid", COVEY_NEVER)), 0);
        pair_run(&p, 5 * COVEY_MILLISECOND);
        for (size_t i = 0; i < 50; i++)
            if (r[i]->statuses == 0)
                record_cancel(r[i]);
        pair_wait(&p, &p.statuses, answered + 50);
        pair_run(&p, 5 * COVEY_MILLISECOND);
        assert_true(p.calls <= 100);
    }
    /* The first 100 are held until the end, cancelled as they are: all others were refused. */
    assert_int_equal(p.calls, 100);
    assert_false(transport_is_closed(p.transport));
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(record_finish(p.records[SERVER][i], COVEY_STATUS_OK, ""), 0);
    p.keep_cancelled = false;

    while (!transport_is_closed(p.transport)) {
        assert_true(begun < 10000);
        struct record *r[50];
        uint64_t answered = p.statuses;
        for (size_t i = 0; i < 50; i++, begun++)
            assert_int_equal(record_end(r[i] = pair_call(&p, CLIENT, "rapid", COVEY_NEVER)), 0);
        pair_run(&p, 5 * COVEY_MILLISECOND);
        for (size_t i = 0; i < 50; i++)
            if (r[i]->statuses == 0)
                record_cancel(r[i]);
        pair_wait(&p, &p.statuses, answered + 50);
        pair_run(&p, 5 * COVEY_MILLISECOND);
    }
    assert_true(p.cancels > 1000 && p.cancels < 1200);
    assert_true(transport_memory_peak(p.transport, SERVER) < 8 * MIB);
    pair_fini(&p);
}

/* Cancels of calls that lived a while, as an honest client's time-outs are, never close. */
static void slow_cancels(void **state)
{
    (void)state;
    pair_init(&p, 1, hold);
    for (uint64_t i = 1; i <= 40; i++) {
        struct record *r[100];
        for (size_t k = 0; k < 100; k++)
            assert_int_equal(record_end(r[k] = pair_call(&p, CLIENT, "late", COVEY_NEVER)), 0);
        pair_run(&p, 1100 * COVEY_MILLISECOND);
        for (size_t k = 0; k < 100; k++)
            record_cancel(r[k]);
        pair_wait(&p, &p.cancels, 100 * i);
        assert_false(transport_is_closed(p.transport));
    }
    assert_int_equal(p.cancels, 4000);
    pair_fini(&p);
}

int main(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13 >> 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_server),   cmocka_unit_test(a_slow_client),
        cmocka_unit_test(both_are_slow),   cmocka_unit_test(slow_readers_of_empty_messages),
        cmocka_unit_test(many_slow_calls), cmocka_unit_test(slow_calls_and_a_quick_one),
        cmocka_unit_test(rapid_resets),    cmocka_unit_test(slow_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
