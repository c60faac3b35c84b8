/* RPC between whole nodes in virtual time. */
#include "node/internal.h"
#include "unit/node/fixture.h"

#define LONG (30 * COVEY_SECOND)

static struct cv_link *dial(struct net *n, struct station *from, const struct cv_address *to,
                            const covey_node_id *expected)
{
    struct cv_link *link;
    assert_int_equal(cv_link_new(from->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, to, 1, expected, n->wire.now), 0);
    return link;
}

static void call(struct net *n, struct cv_link *link, const char *text, covey_time timeout)
{
    struct cv_rpc_call *c;
    struct cv_rpc_start start = {
        .method = cv_slice_text("echo"),
        .deadline = timeout == COVEY_NEVER ? COVEY_NEVER : n->wire.now + timeout,
    };
    assert_int_equal(cv_link_start(link, &start, n->wire.now, &c), 0);
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = n->wire.now,
                                .call = c,
                                .send = {.message = cv_slice_text(text), .end = true}};
    assert_int_equal(cv_link_step(link, &send), 0);
}

/* Calls are taken before the connection is there, and answered in the end. */
static void an_early_call_is_answered(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    struct cv_link *link = dial(&n, client, &server->port->address, &server->id);
    call(&n, link, "coo", COVEY_NEVER);
    assert_int_equal(client->ready, 0);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(client->reply_size, 3);
    assert_memory_equal(client->reply, "coo", 3);
    assert_int_equal(client->ready, 1);
    assert_int_equal(server->calls, 1);
    net_fini(&n);
}

/* More calls than the peer allows streams: all are answered, none is refused. */
static void many_calls_wait_for_streams(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    struct cv_link *link = dial(&n, client, &server->port->address, NULL);
    for (int i = 0; i < 3000; i++)
        call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 3000, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(server->calls, 3000);
    net_fini(&n);
}

/* As many calls as one connection can have open. */
#define OPEN_CALLS 10000

static struct cv_rpc_call *held[OPEN_CALLS];
static uint64_t held_count;

static void hold_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_MESSAGE)
        held[held_count++] = event->call;
    on_call(user, link, event);
}

static void answer_held(struct station *s, struct cv_link *link)
{
    for (size_t i = 0; i < held_count; i++)
        finish_call(s, link, held[i]);
}

static void allow_open_calls(struct cv_node_config *config)
{
    config->quic_limits.streams_max = OPEN_CALLS;
    config->rpc_limits.calls_max = OPEN_CALLS;
    config->events.link.call = hold_call;
}

/* A server that answers none of ten thousand calls before it holds all of them. */
static void ten_thousand_calls_are_open_at_once(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = allow_open_calls;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address, NULL);
    for (int i = 0; i < OPEN_CALLS; i++)
        call(&n, link, "coo", LONG);
    assert_true(test_wire_wait(&n.wire, &held_count, OPEN_CALLS, LONG));
    assert_int_equal(client->statuses, 0);
    answer_held(server, TAILQ_FIRST(&server->node->links));
    assert_true(test_wire_wait(&n.wire, &client->statuses, OPEN_CALLS, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    net_fini(&n);
}

/* The first address is silent, the second is another node, the third is right. */
static void the_next_address_is_tried(void **state)
{
    (void)state;
    struct net n;
    struct cv_link *link;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *other = net_add_named(&n, "other", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    struct cv_address remotes[3] = {test_wire_address(7), other->port->address,
                                    server->port->address};
    assert_int_equal(cv_link_new(client->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, remotes, 3, &server->id, n.wire.now), 0);
    call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(other->calls, 0);
    assert_int_equal(client->closed, 0);
    net_fini(&n);
}

/* ---- an address that says that nothing was begun there ---- */

static struct station *unheard; /* what it sends once it is ready is lost, NULL: nothing is */
static bool status_not_started;

static bool lose_unheard(void *user, const struct test_wire_packet *packet)
{
    (void)user;
    return unheard == NULL || unheard->ready == 0 ||
           !cv_address_equal(&packet->from, &unheard->port->address);
}

static void note_not_started(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_STATUS)
        status_not_started = event->end.not_started;
    on_call(user, link, event);
}

static void note_statuses(struct cv_node_config *config)
{
    config->events.link.call = note_not_started;
}

/* The first address drains before the client is ready, the second begins the call and dies. */
static void what_one_address_says_does_not_count_for_the_next(void **state)
{
    (void)state;
    struct net n;
    struct cv_link *link;
    net_init(&n);
    struct station *first = net_add_named(&n, "first", CV_ROLE_MEMBER);
    struct station *second = net_add_named(&n, "second", CV_ROLE_MEMBER);
    n.configure = note_statuses;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_address remotes[2] = {first->port->address, second->port->address};
    n.wire.filter = lose_unheard;
    unheard = first;
    status_not_started = true;
    assert_int_equal(cv_link_new(client->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, remotes, 2, NULL, n.wire.now), 0);
    assert_true(test_wire_wait(&n.wire, &first->ready, 1, LONG));
    test_wire_flush(&n.wire);
    assert_int_equal(client->ready, 0);
    unheard = NULL;
    cv_node_drain(first->node);
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &second->calls, 1, LONG));
    assert_int_equal(first->calls, 0);
    station_kill(second);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    assert_false(status_not_started);
    net_fini(&n);
}

static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_address nowhere = test_wire_address(7);
    struct cv_link *link = dial(&n, client, &nowhere, NULL);
    call(&n, link, "coo", COVEY_NEVER);
    call(&n, link, "coo", COVEY_SECOND);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    assert_string_equal(client->text, covey_strerror(COVEY_ERR_TIMEOUT));
    assert_int_equal(client->closed, 1);
    assert_int_equal(client->closed_error, COVEY_ERR_TIMEOUT);
    net_fini(&n);
}

/* An ICMP message ends a dial that heard nothing at once, and no other connection. */
static void unreachable_is_believed_by_dials_only(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    struct cv_link *link = dial(&n, client, &server->port->address, NULL);
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    struct cv_address nowhere = test_wire_address(7);
    struct cv_link *lost = dial(&n, client, &nowhere, NULL);
    call(&n, lost, "coo", COVEY_NEVER);
    covey_time before = n.wire.now;
    cv_node_unreachable(client->node, &server->port->address, n.wire.now);
    cv_node_unreachable(client->node, &nowhere, n.wire.now);
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, LONG));
    assert_int_equal(client->closed_error, COVEY_ERR_UNREACHABLE);
    assert_true(n.wire.now - before < COVEY_SECOND);
    call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    net_fini(&n);
}

/* The server says goodbye while it holds calls: clients hear, its own handlers too. */
static void closing_ends_calls_on_both_sides(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address, NULL);
    for (int i = 0; i < 5; i++)
        call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &server->calls, 5, LONG));
    assert_int_equal(client->statuses, 0);
    cv_node_close(server->node);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 5, LONG));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(server->cancelled, 5);
    assert_int_equal(client->closed, 1);
    net_fini(&n);
}

/* A server that is cut off: keep-alive finds out, because a call is open. */
static void a_silent_server_ends_open_calls(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address, NULL);
    call(&n, link, "coo", COVEY_NEVER);
    assert_true(test_wire_wait(&n.wire, &server->calls, 1, LONG));
    /* alive and silent: the call stays open for as long as it takes */
    test_wire_run(&n.wire, 600 * COVEY_SECOND);
    assert_int_equal(client->statuses, 0);
    station_kill(server);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, 16 * COVEY_SECOND));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    net_fini(&n);
}

/* Dead without calls: the idle timeout ends the link, and it is freed. */
static void an_idle_link_goes(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    dial(&n, client, &server->port->address, NULL);
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    test_wire_run(&n.wire, 200 * COVEY_SECOND);
    assert_int_equal(client->closed, 1);
    assert_int_equal(client->closed_error, COVEY_ERR_TIMEOUT);
    net_fini(&n);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    bool done = false;
    for (size_t i = 1; !done && i < 400; i++) {
        struct net n;
        net_init(&n);
        struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
        struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
        struct cv_link *link;
        struct cv_rpc_call *c;
        struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = COVEY_NEVER};
        server->echoes = true;
        client->alloc.fail_at = client->alloc.calls + i;
        done = cv_link_new(client->node, NULL, &link) == 0 &&
               cv_link_dial(link, &server->port->address, 1, NULL, n.wire.now) == 0 &&
               cv_link_start(link, &start, n.wire.now, &c) == 0;
        if (done) { /* it has an outcome, whatever failed */
            struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                        .now = n.wire.now,
                                        .call = c,
                                        .send = {.message = cv_slice_text("coo"), .end = true}};
            if (cv_link_step(link, &send) == 0)
                assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
            test_wire_run(&n.wire, LONG);
        }
        done = client->alloc.calls < client->alloc.fail_at;
        client->alloc.fail_at = 0;
        net_fini(&n); /* asserts that nothing is left */
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_early_call_is_answered),
        cmocka_unit_test(many_calls_wait_for_streams),
        cmocka_unit_test(ten_thousand_calls_are_open_at_once),
        cmocka_unit_test(the_next_address_is_tried),
        cmocka_unit_test(what_one_address_says_does_not_count_for_the_next),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(unreachable_is_believed_by_dials_only),
        cmocka_unit_test(closing_ends_calls_on_both_sides),
        cmocka_unit_test(a_silent_server_ends_open_calls),
        cmocka_unit_test(an_idle_link_goes),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
