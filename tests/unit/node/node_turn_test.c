/* The parts of a turn, and a small one in the middle of receiving. */
#include "node/internal.h"
#include "rpc/call.h"
#include "unit/node/fixture.h"

#define LONG (30 * COVEY_SECOND)

static struct cv_link *dial(struct net *n, struct station *from, const struct station *to)
{
    struct cv_link *link;
    assert_int_equal(cv_link_new(from->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, &to->port->address, 1, &to->id, n->wire.now), 0);
    return link;
}

static void call(struct net *n, struct cv_link *link, const char *text, covey_time timeout)
{
    struct cv_rpc_call *c;
    struct cv_slice message = cv_slice_text(text);
    struct cv_rpc_start start = {
        .method = cv_slice_text("echo"), .deadline = n->wire.now + timeout, .message = &message};
    assert_int_equal(cv_link_start(link, &start, n->wire.now, &c), 0);
}

/* A server and a client that are connected and have nothing left to say. */
static struct cv_link *connect_and_rest(struct net *n, struct station **server,
                                        struct station **client)
{
    net_init(n);
    *server = net_add_named(n, "server", CV_ROLE_MEMBER);
    *client = net_add_named(n, "client", CV_ROLE_CLIENT);
    (*server)->echoes = true;
    struct cv_link *link = dial(n, *client, *server);
    assert_true(test_wire_wait(&n->wire, &(*client)->ready, 1, LONG));
    test_wire_run(&n->wire, COVEY_SECOND);
    assert_true(TAILQ_EMPTY(&n->wire.packets));
    return link;
}

/* These say how many packets were written. */
static uint64_t turn(struct net *n, struct station *s)
{
    uint64_t before = s->port->sent;
    station_turn(s, &s->port->sink, n->wire.now);
    return s->port->sent - before;
}

static uint64_t act(struct net *n, struct station *s)
{
    uint64_t before = s->port->sent;
    cv_node_act(s->node, n->wire.now, TEST_WALL_MS + n->wire.now / COVEY_MILLISECOND);
    return s->port->sent - before;
}

static uint64_t write_out(struct station *s, bool lazily)
{
    uint64_t before = s->port->sent;
    cv_node_write(s->node, &s->port->sink, lazily);
    return s->port->sent - before;
}

static uint64_t answer(struct net *n, struct station *s)
{
    uint64_t before = s->port->sent;
    cv_node_answer(s->node, &s->port->sink, n->wire.now);
    return s->port->sent - before;
}

/* Two packets with a call each: the first is answered before the second is read. */
static void calls_are_answered_between_packets(void **state)
{
    (void)state;
    struct net n;
    struct station *server;
    struct station *client;
    struct cv_link *link = connect_and_rest(&n, &server, &client);
    for (int i = 0; i < 2; i++) {
        call(&n, link, "coo", LONG);
        assert_int_equal(turn(&n, client), 1);
    }
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(server->calls, i - 1);
        test_wire_arrive_one(&n.wire);
        assert_int_equal(answer(&n, server), 1);
        assert_int_equal(server->calls, i);
    }
    test_wire_arrive(&n.wire);
    (void)turn(&n, client);
    assert_int_equal(client->statuses, 2);
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_memory_equal(client->reply, "coo", 3);
    /* Whatever it left undone, calls go on. */
    call(&n, link, "roo", LONG);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 3, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_memory_equal(client->reply, "roo", 3);
    net_fini(&n);
}

/* A call that the server's user holds has no answer: nothing is written before the turn. */
static void an_acknowledgement_is_no_answer(void **state)
{
    (void)state;
    struct net n;
    struct station *server;
    struct station *client;
    struct cv_link *link = connect_and_rest(&n, &server, &client);
    server->echoes = false;
    for (int i = 0; i < 2; i++) {
        call(&n, link, "coo", LONG);
        assert_int_equal(turn(&n, client), 1);
        test_wire_arrive(&n.wire);
        assert_int_equal(answer(&n, server), 0);
    }
    assert_int_equal(server->calls, 2);
    assert_int_equal(cv_node_deadline(server->node), 0);
    assert_int_equal(turn(&n, server), 1);
    net_fini(&n);
}

/* In every turn of both nodes. */
static void act_and_write(void *user, const struct cv_datagram_sink *sink, covey_time now)
{
    struct station *s = user;
    uint64_t before = s->port->sent;
    cv_node_act(s->node, now, TEST_WALL_MS + now / COVEY_MILLISECOND);
    assert_int_equal(s->port->sent, before);
    cv_node_write(s->node, sink, false);
}

static void a_turn_may_be_made_in_two_halves(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->wire_station.turn = client->wire_station.turn = act_and_write;
    server->echoes = true;
    struct cv_link *link = dial(&n, client, server);
    call(&n, link, "coo", LONG);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    server->echoes = false; /* and timers: this one is never answered */
    call(&n, link, "coo", COVEY_SECOND);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_int_equal(client->code, COVEY_STATUS_DEADLINE_EXCEEDED);
    net_fini(&n);
}

/* Some packets long, so that an acknowledgement is due at once. */
#define LONG_TEXT_SIZE 3000

/* The client has its answer, and acted on it. */
static struct cv_link *call_and_act(struct net *n, struct station **server, struct station **client)
{
    char text[LONG_TEXT_SIZE + 1] = "";
    memset(text, 'o', LONG_TEXT_SIZE);
    struct cv_link *link = connect_and_rest(n, server, client);
    call(n, link, text, LONG);
    assert_in_range(turn(n, *client), 2, 4);
    test_wire_arrive(&n->wire);
    assert_in_range(turn(n, *server), 2, 4);
    test_wire_arrive(&n->wire);
    assert_int_equal(act(n, *client), 0);
    assert_int_equal((*client)->statuses, 1);
    assert_int_equal((*client)->reply_size, LONG_TEXT_SIZE);
    return link;
}

static void who_says_no_more_acknowledges_the_answer(void **state)
{
    (void)state;
    struct net n;
    struct station *server;
    struct station *client;
    call_and_act(&n, &server, &client);
    assert_int_equal(write_out(client, false), 1);
    net_fini(&n);
}

/* A call counts until its answer is acknowledged. */
static size_t count_calls(const struct station *s)
{
    const struct cv_link *link = TAILQ_FIRST(&s->node->links);
    return cv_rpc_conn_count(link->rpc);
}

static void an_acknowledgement_goes_with_the_next_call(void **state)
{
    (void)state;
    struct net n;
    struct station *server;
    struct station *client;
    struct cv_link *link = call_and_act(&n, &server, &client);
    assert_int_equal(write_out(client, true), 0);
    assert_in_range(cv_node_deadline(client->node), n.wire.now + 1, n.wire.now + COVEY_MILLISECOND);
    assert_int_equal(count_calls(server), 1);
    call(&n, link, "coo", LONG);
    assert_int_equal(turn(&n, client), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(act(&n, server), 0);
    assert_int_equal(server->calls, 2);
    assert_int_equal(count_calls(server), 1);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_memory_equal(client->reply, "coo", 3);
    net_fini(&n);
}

/* And by itself when there is none. */
static void an_acknowledgement_waits_for_no_call_for_long(void **state)
{
    (void)state;
    struct net n;
    struct station *server;
    struct station *client;
    call_and_act(&n, &server, &client);
    assert_int_equal(write_out(client, true), 0);
    n.wire.now = cv_node_deadline(client->node);
    assert_int_equal(turn(&n, client), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(act(&n, server), 0);
    assert_int_equal(count_calls(server), 0);
    net_fini(&n);
}

/* More than the answers between packets may be. */
#define BULK_SIZE 17000

static struct cv_rpc_call *held;

static void hold_message(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_MESSAGE)
        held = event->call;
    else
        on_call(user, link, event);
}

static void hold_messages(struct cv_node_config *config)
{
    config->events.link.call = hold_message;
}

/* The answer waits behind a large one for the end of the turn; the close waits for it in turn. */
static void who_broke_a_rule_is_told_before_the_close(void **state)
{
    (void)state;
    struct net n;
    struct cv_rpc_call *broken;
    uint8_t large[BULK_SIZE] = {0};
    static const uint8_t second_header[1] = {CV_RPC_FRAME_HEADER}; /* an empty one */
    net_init(&n);
    n.configure = hold_messages;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, server);
    call(&n, link, "coo", LONG);
    struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = COVEY_NEVER};
    assert_int_equal(cv_link_start(link, &start, n.wire.now, &broken), 0);
    assert_true(test_wire_wait(&n.wire, &server->calls, 2, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_non_null(held);
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = n.wire.now,
                                .call = held,
                                .send = {.message = cv_slice_of(large, sizeof large)}};
    struct cv_link *accepted = TAILQ_FIRST(&server->node->links);
    assert_int_equal(cv_link_step(accepted, &send), 0);
    assert_int_equal(cv_quic_stream_write(broken->stream, cv_slice_of(second_header, 1), false), 0);
    assert_int_equal(turn(&n, client), 1);
    test_wire_arrive(&n.wire);
    assert_int_equal(answer(&n, server), 0);
    assert_true(accepted->is_closing);
    assert_true(turn(&n, server) > 0);
    assert_int_equal(client->statuses, 0);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_INVALID_ARGUMENT);
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, LONG));
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_between_packets),
        cmocka_unit_test(an_acknowledgement_is_no_answer),
        cmocka_unit_test(a_turn_may_be_made_in_two_halves),
        cmocka_unit_test(who_says_no_more_acknowledges_the_answer),
        cmocka_unit_test(an_acknowledgement_goes_with_the_next_call),
        cmocka_unit_test(an_acknowledgement_waits_for_no_call_for_long),
        cmocka_unit_test(who_broke_a_rule_is_told_before_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
