/* Calls that end before they are done: deadlines, cancels, cuts, a server that drains. */
#include "conformance/pair.h"

static struct pair p;
static uint8_t bytes[20000];

static void hold(struct record *r, const struct cv_rpc_output *event)
{
    (void)r;
    (void)event;
}

static void hold_some(struct record *r, const struct cv_rpc_output *event)
{
    if (strcmp(r->name, "echo") == 0)
        pair_echo(r, event);
}

/* The connection is as good as before. */
static void assert_goes_on(void)
{
    struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    assert_int_equal(record_send(r, "hi", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    assert_int_equal(r->messages, 1);
    assert_false(transport_is_closed(p.transport));
}

/* ---- deadlines ---- */

static void a_slow_handler_times_out(void **state)
{
    (void)state;
    pair_init(&p, 1, hold_some);
    assert_goes_on();
    covey_time begin = transport_now(p.transport);
    struct record *r = pair_call(&p, CLIENT, "slow", 300 * COVEY_MILLISECOND);
    assert_int_equal(record_send(r, "hi", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_false(r->not_started);
    assert_true(transport_now(p.transport) - begin >= 300 * COVEY_MILLISECOND);
    assert_true(transport_now(p.transport) - begin < 310 * COVEY_MILLISECOND);
    pair_wait(&p, &p.cancels, 1);
    const struct record *server = pair_other(r);
    assert_int_equal(server->cancels, 1);
    /* What remained when the header came: never later than the client's own, up to the way. */
    assert_true(server->deadline >= begin + 300 * COVEY_MILLISECOND);
    assert_true(server->deadline < begin + 310 * COVEY_MILLISECOND);
    assert_goes_on();
    pair_fini(&p);
}

static void a_deadline_that_is_past(void **state)
{
    (void)state;
    pair_init(&p, 1, hold_some);
    struct record *r = pair_call(&p, CLIENT, "past", 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_true(r->not_started);
    assert_goes_on();
    assert_null(pair_other(r));
    pair_fini(&p);
}

/* ---- somebody gives up after each number of turns ---- */

static void talk(struct record *r, const struct cv_rpc_output *event)
{
    if (!r->is_client && event->type == CV_RPC_EVENT_CALL)
        assert_int_equal(record_send_metadata(r, NULL, 0), 0);
    pair_echo(r, event);
}

static struct record *begin_talk(uint64_t seed)
{
    pair_init(&p, seed, talk);
    struct record *r = pair_call(&p, CLIENT, "talk", COVEY_NEVER);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(record_send(r, bytes, i * 1000, i == 3), 0);
    return r;
}

static void turns(size_t count)
{
    covey_time limit = transport_now(p.transport) + COVEY_SECOND;
    for (size_t i = 0; i < count; i++)
        (void)transport_turn(p.transport, limit);
}

/* Does `end` after each number of turns until the call is over by itself. */
static void at_every_point(void (*end)(struct record *r))
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        bool answered = false;
        /* Pieces of some bytes make many points. */
        size_t pace = seed == 3 ? 37 : 1;
        for (size_t point = 0; !answered; point += pace) {
            assert_true(point < 100000);
            struct record *r = begin_talk(seed);
            turns(point);
            answered = r->statuses > 0;
            if (!answered)
                end(r);
            pair_run(&p, COVEY_SECOND);
            const struct record *server = pair_other(r);
            if (server != NULL)
                assert_int_equal(server->cancels + (server->finished && server->cancels == 0), 1);
            pair_fini(&p);
        }
    }
}

static void client_cancels(struct record *r)
{
    record_cancel(r);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_CANCELLED);
    assert_false(r->by_peer);
    /* Only what never left may claim that nobody heard of it. */
    pair_run(&p, COVEY_SECOND);
    if (r->not_started)
        assert_null(pair_other(r));
}

static void client_releases(struct record *r)
{
    record_release(r);
    r->statuses = 1; /* nobody wants to know */
}

static void server_cancels(struct record *r)
{
    struct record *server = pair_other(r);
    if (server != NULL && !server->finished) {
        record_cancel(server);
        assert_int_equal(record_finish(server, COVEY_STATUS_OK, ""), COVEY_ERR_STATE);
        server->finished = true;
        record_release(server);
    }
    pair_wait(&p, &r->statuses, 1);
    assert_true(r->by_peer);
    assert_true(r->code == COVEY_STATUS_ABORTED || r->code == COVEY_STATUS_OK);
}

static void server_releases(struct record *r)
{
    struct record *server = pair_other(r);
    if (server != NULL && !server->finished) {
        record_release(server);
        server->finished = true;
    }
    pair_wait(&p, &r->statuses, 1);
    assert_true(r->code == COVEY_STATUS_ABORTED || r->code == COVEY_STATUS_OK);
}

static void both_give_up(struct record *r)
{
    struct record *server = pair_other(r);
    record_cancel(r);
    if (server != NULL && !server->finished) {
        record_release(server);
        server->finished = true;
    }
}

static void connection_breaks(struct record *r)
{
    transport_cut(p.transport);
    pair_wait(&p, &r->statuses, 1);
    /* An answer that was there, though nobody had looked, counts. */
    assert_int_equal(r->code, r->by_peer ? COVEY_STATUS_OK : COVEY_STATUS_UNAVAILABLE);
    pair_run(&p, COVEY_SECOND);
    if (r->not_started)
        assert_null(pair_other(r));
}

static void the_client_cancels(void **state)
{
    (void)state;
    at_every_point(client_cancels);
}

static void the_client_lets_go(void **state)
{
    (void)state;
    at_every_point(client_releases);
}

static void the_server_cancels(void **state)
{
    (void)state;
    at_every_point(server_cancels);
}

static void the_server_lets_go(void **state)
{
    (void)state;
    at_every_point(server_releases);
}

static void both_give_up_at_once(void **state)
{
    (void)state;
    at_every_point(both_give_up);
}

static void the_connection_breaks(void **state)
{
    (void)state;
    at_every_point(connection_breaks);
}

/* ---- a stream that breaks off ---- */

static void a_cut_answer_is_no_end(void **state)
{
    (void)state;
    pair_init(&p, 1, hold_some);
    struct record *r = pair_call(&p, CLIENT, "cut", COVEY_NEVER);
    assert_int_equal(record_send(r, "hi", 2, true), 0);
    pair_wait(&p, &p.ends, 1);
    struct record *server = pair_other(r);
    for (int i = 0; i < 3; i++)
        assert_int_equal(record_send(server, bytes, 1000, false), 0);
    pair_wait(&p, &r->messages, 3);
    assert_int_equal(record_send(server, bytes, sizeof bytes, false), 0);
    transport_cut_stream(p.transport, SERVER, server->call);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_UNAVAILABLE);
    assert_false(r->by_peer || r->not_started);
    assert_int_equal(r->messages, 3);
    assert_int_equal(record_finish(server, COVEY_STATUS_OK, ""), 0);
    assert_goes_on();
    pair_fini(&p);
}

static void a_cut_request_is_no_end(void **state)
{
    (void)state;
    pair_init(&p, 1, hold_some);
    struct record *r = pair_call(&p, CLIENT, "cut", COVEY_NEVER);
    assert_int_equal(record_send(r, bytes, 1000, false), 0);
    pair_wait(&p, &p.messages[SERVER], 1);
    struct record *server = pair_other(r);
    transport_cut_stream(p.transport, CLIENT, r->call);
    pair_wait(&p, &p.cancels, 1);
    assert_int_equal(server->ends, 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_not_equal(r->code, COVEY_STATUS_OK);
    assert_goes_on();
    pair_fini(&p);
}

/* ---- a server that drains ---- */

static void drain(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        pair_init(&p, seed, hold_some);
        assert_goes_on();
        struct record *running = pair_call(&p, CLIENT, "long", COVEY_NEVER);
        assert_int_equal(record_send(running, "a", 1, false), 0);
        pair_wait(&p, &p.messages[SERVER], 2);
        transport_drain(p.transport, SERVER);
        assert_false(transport_peer_drains(p.transport, CLIENT));

        struct record *r[3];
        for (size_t i = 0; i < 3; i++) {
            r[i] = pair_call(&p, CLIENT, "echo", 10 * COVEY_SECOND);
            assert_int_equal(record_send(r[i], bytes, i * 1000, i > 0), 0);
        }
        pair_wait(&p, &p.statuses, 4);
        assert_true(transport_peer_drains(p.transport, CLIENT));
        assert_false(transport_peer_drains(p.transport, SERVER));
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(r[i]->code, COVEY_STATUS_UNAVAILABLE);
            assert_string_equal(r[i]->text, "the server takes no more calls");
            assert_true(r[i]->not_started && !r[i]->by_peer);
        }
        assert_int_equal(p.calls, 2);

        assert_int_equal(record_send(running, "b", 1, true), 0);
        pair_wait(&p, &p.ends, 2);
        struct record *server = pair_other(running);
        assert_int_equal(server->messages, 2);
        assert_int_equal(record_send(server, "c", 1, false), 0);
        assert_int_equal(record_finish(server, COVEY_STATUS_OK, ""), 0);
        pair_wait(&p, &running->statuses, 1);
        assert_int_equal(running->code, COVEY_STATUS_OK);
        assert_int_equal(running->messages, 1);

        /* The other way round calls go on. */
        struct record *back = pair_call(&p, SERVER, "echo", COVEY_NEVER);
        assert_int_equal(record_send(back, "hi", 2, true), 0);
        pair_wait(&p, &back->statuses, 1);
        assert_int_equal(back->code, COVEY_STATUS_OK);
        pair_fini(&p);
    }
}

/* ---- a connection that is lost ---- */

static void all_calls_hear_of_the_loss(void **state)
{
    (void)state;
    pair_init(&p, 1, hold);
    p.keep_cancelled = true;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(record_end(pair_call(&p, CLIENT, "held", COVEY_NEVER)), 0);
    pair_wait(&p, &p.ends, 10);
    struct record *server = p.records[SERVER][3];
    assert_int_equal(record_finish(server, COVEY_STATUS_OK, ""), 0);
    pair_wait(&p, &p.statuses, 1);
    transport_cut(p.transport);
    pair_wait(&p, &p.statuses, 10);
    pair_wait(&p, &p.cancels, 9);
    for (size_t i = 0; i < 10; i++) {
        const struct record *r = p.records[CLIENT][i];
        bool answered = r->number == server->number;
        assert_int_equal(r->code, answered ? COVEY_STATUS_OK : COVEY_STATUS_UNAVAILABLE);
        assert_false(r->not_started);
    }
    for (size_t i = 0; i < 10; i++)
        if (!p.records[SERVER][i]->finished)
            assert_int_equal(record_finish(p.records[SERVER][i], COVEY_STATUS_OK, ""), 0);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_handler_times_out),
        cmocka_unit_test(a_deadline_that_is_past),
        cmocka_unit_test(the_client_cancels),
        cmocka_unit_test(the_client_lets_go),
        cmocka_unit_test(the_server_cancels),
        cmocka_unit_test(the_server_lets_go),
        cmocka_unit_test(both_give_up_at_once),
        cmocka_unit_test(the_connection_breaks),
        cmocka_unit_test(a_cut_answer_is_no_end),
        cmocka_unit_test(a_cut_request_is_no_end),
        cmocka_unit_test(drain),
        cmocka_unit_test(all_calls_hear_of_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
