/* Unary calls, streams of the client's, of the server's and both, and who ends when. */
#include "conformance/pair.h"

#define SEEDS 4

static struct pair p;
static uint8_t bytes[40000];

/* What the two users do. */
static struct {
    size_t requests, answers, size;
    bool server_ends_early; /* after the first message that it gets */
} plan;

/* Sends until `count` are sent or there is no room; the client ends with its last. */
static void send_rest(struct record *r, size_t count)
{
    int error = 0;
    while (error == 0 && r->sent_messages < count)
        error = record_send(r, bytes, plan.size, r->is_client && r->sent_messages + 1 == count);
    if (error != 0)
        assert_int_equal(error, COVEY_ERR_BUSY);
}

/* The server answers when the client has ended. */
static void gather(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client) {
        if (event->type == CV_RPC_EVENT_WRITABLE)
            send_rest(r, plan.requests);
        return;
    }
    if (event->type == CV_RPC_EVENT_END || (event->type == CV_RPC_EVENT_WRITABLE && r->ends > 0)) {
        send_rest(r, plan.answers);
        if (r->sent_messages == plan.answers)
            assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
    }
}

static void run_gather(uint64_t seed, size_t requests, size_t answers, size_t size)
{
    plan.requests = requests;
    plan.answers = answers;
    plan.size = size;
    pair_init(&p, seed, gather);
    struct record *r[3];
    for (size_t i = 0; i < 3; i++) {
        r[i] = pair_call(&p, CLIENT, "gather", COVEY_NEVER);
        if (requests == 0)
            assert_int_equal(record_end(r[i]), 0);
        else
            send_rest(r[i], requests);
    }
    pair_wait(&p, &p.statuses, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(r[i]->code, COVEY_STATUS_OK);
        assert_true(r[i]->by_peer);
        assert_int_equal(r[i]->messages, answers);
        assert_int_equal(pair_other(r[i])->messages, requests);
        assert_int_equal(pair_other(r[i])->ends, 1);
        assert_int_equal(pair_other(r[i])->cancels, 0);
        record_assert_received_all(r[i]);
        record_assert_received_all(pair_other(r[i]));
    }
    pair_fini(&p);
}

static void the_four_kinds(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 100};
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++)
                run_gather(seed, counts[i], counts[j], 300);
}

static void empty_messages_are_messages(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_gather(seed, 1000, 1000, 0);
}

/* More than all windows and buffers together, both ways. */
static void long_streams(void **state)
{
    (void)state;
    run_gather(1, 300, 0, sizeof bytes);
    run_gather(1, 1, 300, sizeof bytes);
    run_gather(2, 300, 300, sizeof bytes);
}

/* ---- one message here, one there ---- */

static void ping_pong(struct record *r, const struct cv_rpc_output *event)
{
    if (!r->is_client) {
        pair_echo(r, event);
        return;
    }
    if (event->type != CV_RPC_EVENT_MESSAGE)
        return;
    assert_int_equal(r->last_size, r->messages - 1);
    if (r->messages < plan.requests)
        assert_int_equal(record_send(r, bytes, r->messages, false), 0);
    else
        assert_int_equal(record_end(r), 0);
}

static void each_message_is_answered_before_the_next(void **state)
{
    (void)state;
    plan.requests = 100;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        pair_init(&p, seed, ping_pong);
        struct record *r = pair_call(&p, CLIENT, "pong", COVEY_NEVER);
        assert_int_equal(record_send(r, bytes, 0, false), 0);
        pair_wait(&p, &r->statuses, 1);
        assert_int_equal(r->code, COVEY_STATUS_OK);
        assert_int_equal(r->messages, 100);
        record_assert_received_all(r);
        pair_fini(&p);
    }
}

/* ---- who ends when ---- */

enum moment { AT_BEGIN, AFTER_FIRST, AT_END, NEVER };

static enum moment client_ends, server_ends;

/* Both send three messages as soon as they can; each ends at its moment. */
static void send_three(struct record *r)
{
    for (int i = 0; i < 3; i++) {
        int error = record_send(r, bytes, 10, false);
        if (error != 0) { /* the server was faster */
            assert_int_equal(error, COVEY_ERR_STATE);
            assert_true(r->is_client);
        }
    }
}

static void client_at(struct record *r, enum moment moment)
{
    if (moment != client_ends || r->step > 0)
        return;
    r->step = 1;
    int error = record_end(r);
    assert_true(error == 0 || error == COVEY_ERR_STATE);
}

static void server_at(struct record *r, enum moment moment)
{
    if (moment == server_ends && !r->finished)
        assert_int_equal(record_finish(r, COVEY_STATUS_ABORTED, "enough"), 0);
}

static void ends_at_its_moment(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client) {
        if (event->type == CV_RPC_EVENT_MESSAGE)
            client_at(r, r->messages == 1 ? AFTER_FIRST : r->messages == 3 ? AT_END : NEVER + 1);
        return;
    }
    if (event->type == CV_RPC_EVENT_CALL) {
        send_three(r);
        server_at(r, AT_BEGIN);
    } else if (event->type == CV_RPC_EVENT_MESSAGE) {
        server_at(r, r->messages == 1 ? AFTER_FIRST : NEVER + 1);
    } else if (event->type == CV_RPC_EVENT_END) {
        server_at(r, AT_END);
    }
}

/* The outcome is the server's whenever it says one, and all that it sent before arrives. */
static void half_closes_in_every_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (client_ends = AT_BEGIN; client_ends <= NEVER; client_ends++) {
            for (server_ends = AT_BEGIN; server_ends <= AT_END; server_ends++) {
                if (client_ends == NEVER && server_ends == AT_END)
                    continue; /* they would wait for each other */
                pair_init(&p, seed, ends_at_its_moment);
                struct record *r = pair_call(&p, CLIENT, "ends", COVEY_NEVER);
                send_three(r);
                client_at(r, AT_BEGIN);
                pair_wait(&p, &r->statuses, 1);
                assert_int_equal(r->code, COVEY_STATUS_ABORTED);
                assert_string_equal(r->text, "enough");
                assert_true(r->by_peer);
                assert_int_equal(r->messages, 3);
                record_assert_received_all(r);
                pair_fini(&p);
            }
        }
    }
}

/* The client goes on sending to a server that has finished: told at the latest by the status. */
static void finish_early(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client && event->type == CV_RPC_EVENT_WRITABLE)
        send_rest(r, plan.requests);
    if (!r->is_client && event->type == CV_RPC_EVENT_MESSAGE && r->messages == 3)
        assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}

static void the_server_needs_no_more(void **state)
{
    (void)state;
    plan.requests = 1000;
    plan.size = sizeof bytes;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        pair_init(&p, seed, finish_early);
        struct record *r = pair_call(&p, CLIENT, "early", COVEY_NEVER);
        p.keep_answered = true;
        send_rest(r, plan.requests);
        pair_wait(&p, &r->statuses, 1);
        assert_int_equal(r->code, COVEY_STATUS_OK);
        assert_true(r->sent_messages < 1000);
        assert_int_equal(record_send(r, "late", 4, false), COVEY_ERR_STATE);
        assert_int_equal(record_end(r), COVEY_ERR_STATE);
        record_release(r);
        pair_fini(&p);
    }
}

/* ---- a connection serves both ways ---- */

static void both_ends_call(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        pair_init(&p, seed, pair_echo);
        struct record *first = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
        assert_int_equal(record_send(first, "a", 1, false), 0);
        pair_wait(&p, &first->messages, 1);
        struct record *r[20];
        for (size_t i = 0; i < 20; i++) {
            r[i] = pair_call(&p, i % 2 == 0 ? SERVER : CLIENT, "echo", COVEY_NEVER);
            assert_int_equal(record_send(r[i], bytes, i * 100, true), 0);
        }
        assert_int_equal(record_end(first), 0);
        pair_wait(&p, &p.statuses, 21);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(r[i]->code, COVEY_STATUS_OK);
            assert_int_equal(r[i]->last_size, i * 100);
        }
        pair_fini(&p);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_kinds),
        cmocka_unit_test(empty_messages_are_messages),
        cmocka_unit_test(long_streams),
        cmocka_unit_test(each_message_is_answered_before_the_next),
        cmocka_unit_test(half_closes_in_every_order),
        cmocka_unit_test(the_server_needs_no_more),
        cmocka_unit_test(both_ends_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
