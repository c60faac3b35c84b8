/* What a link's user sends straight into its streams. */
#include "node/internal.h"
#include "unit/node/fixture.h"

#define LONG (30 * COVEY_SECOND)

static struct cv_link *dial(struct net *n, struct station *from, const struct cv_address *to)
{
    struct cv_link *link;
    assert_int_equal(cv_link_new(from->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, to, 1, NULL, n->wire.now), 0);
    return link;
}

static void reply_at_once(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    struct station *s = user;
    struct cv_rpc_input release = {
        .type = CV_RPC_RELEASE, .now = s->port->wire->now, .call = event->call};
    if (event->type != CV_RPC_EVENT_MESSAGE) {
        on_call(user, link, event);
        return;
    }
    assert_int_equal(cv_link_reply(link, event->call, event->message, s->port->wire->now), 0);
    cv_link_step(link, &release);
}

static void set_reply_at_once(struct cv_node_config *config)
{
    config->events.link.call = reply_at_once;
}

static int start_whole(struct net *n, struct cv_link *link, struct cv_slice message,
                       struct cv_rpc_call **call)
{
    struct cv_rpc_start start = {
        .method = cv_slice_text("echo"), .deadline = COVEY_NEVER, .message = &message};
    return cv_link_start(link, &start, n->wire.now, call);
}

/* On a link that is ready a small call has its stream, and all of it is there, when start() returns. */
static void small_calls_are_written_at_once(void **state)
{
    static uint8_t bytes[1000];
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_reply_at_once;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    assert_int_equal(start_whole(&n, link, cv_slice_text("early"), &c), 0);
    assert_null(cv_rpc_call_stream(c));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_memory_equal(client->reply, "early", 5);

    assert_int_equal(start_whole(&n, link, cv_slice_text("small"), &c), 0);
    assert_non_null(cv_rpc_call_stream(c));
    assert_int_equal(cv_quic_stream_write(cv_rpc_call_stream(c), cv_slice_text("x"), false),
                     COVEY_ERR_STATE);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_memory_equal(client->reply, "small", 5);

    /* What does not fit waits for its turn. */
    assert_int_equal(start_whole(&n, link, cv_slice_of(bytes, sizeof bytes), &c), 0);
    assert_null(cv_rpc_call_stream(c));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 3, LONG));
    assert_int_equal(client->reply_size, sizeof bytes);
    assert_int_equal(client->refused, 0);
    net_fini(&n);
}

static void send_at_once(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    struct station *s = user;
    if (event->type != CV_RPC_EVENT_MESSAGE) {
        on_call(user, link, event);
        return;
    }
    assert_int_equal(cv_link_send(link, event->call, event->message, false, s->port->wire->now), 0);
    finish_call(s, link, event->call);
}

static void set_send_at_once(struct cv_node_config *config)
{
    config->events.link.call = send_at_once;
}

static uint64_t sum_received;

static void sum_message(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_MESSAGE)
        for (size_t i = 0; i < event->message.size; i++)
            sum_received = sum_received * 31 + event->message.data[i];
    on_call(user, link, event);
}

static void set_sum(struct cv_node_config *config)
{
    config->events.link.call = sum_message;
}

/* Around the sizes from which on a message is not copied twice, and beyond a stream's send buffer. */
static void large_messages_arrive_whole(void **state)
{
    static const size_t sizes[] = {4095, 4096, 70000, (1 << 20) - 5, 1 << 20, 3 << 20};
    static uint8_t bytes[3 << 20];
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_send_at_once;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = set_sum;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t sum = 0;
        for (size_t at = 0; at < sizes[i]; at++)
            sum = sum * 31 + bytes[at];
        sum_received = 0;
        assert_int_equal(start_whole(&n, link, cv_slice_of(bytes, sizes[i]), &c), 0);
        assert_true(test_wire_wait(&n.wire, &client->statuses, i + 1, LONG));
        assert_int_equal(client->reply_size, sizes[i]);
        assert_true(sum_received == sum);
    }
    assert_int_equal(client->refused, 0);
    net_fini(&n);
}

/* Memory that is missing half-way ends the call, and nothing else. */
static void a_large_message_without_memory_ends_its_call(void **state)
{
    static uint8_t bytes[70000];
    (void)state;
    struct net n;
    net_init(&n);
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = COVEY_NEVER};
    struct cv_rpc_call *c;
    assert_int_equal(cv_link_start(link, &start, n.wire.now, &c), 0);
    assert_true(test_wire_wait(&n.wire, &server->calls, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    client->alloc.fail_at = client->alloc.calls + 3;
    int error = cv_link_send(link, c, cv_slice_of(bytes, sizeof bytes), true, n.wire.now);
    assert_true(client->alloc.calls >= client->alloc.fail_at);
    client->alloc.fail_at = 0;
    assert_int_equal(error, 0);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->refused, 1);
    assert_int_equal(start_whole(&n, link, cv_slice_text("coo"), &c), 0);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    net_fini(&n);
}

/* More at once than there are streams: they are served in the order in which they were made. */
static void small_calls_wait_for_streams_in_order(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_reply_at_once;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    do
        assert_int_equal(start_whole(&n, link, cv_slice_text("x"), &c), 0);
    while (cv_rpc_call_stream(c) != NULL);
    struct cv_rpc_call *last;
    assert_int_equal(start_whole(&n, link, cv_slice_text("last"), &last), 0);
    assert_ptr_equal(cv_rpc_conn_unbound(link->rpc), c);
    uint64_t count = cv_rpc_conn_count(link->rpc);
    assert_true(test_wire_wait(&n.wire, &client->statuses, count, LONG));
    assert_int_equal(client->reply_size, 4);
    net_fini(&n);
}

static void a_small_call_without_memory_is_none(void **state)
{
    (void)state;
    bool done = false;
    for (size_t i = 1; !done; i++) {
        struct net n;
        struct cv_rpc_call *c;
        net_init(&n);
        n.configure = set_reply_at_once;
        struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
        n.configure = NULL;
        struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
        struct cv_link *link = dial(&n, client, &server->port->address);
        assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
        assert_true(i < 20);
        client->alloc.fail_at = client->alloc.calls + i;
        int error = start_whole(&n, link, cv_slice_text("coo"), &c);
        done = client->alloc.calls < client->alloc.fail_at;
        client->alloc.fail_at = 0;
        assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY);
        uint64_t count = error == 0 ? 2 : 1;
        assert_int_equal(start_whole(&n, link, cv_slice_text("coo"), &c), 0);
        assert_true(test_wire_wait(&n.wire, &client->statuses, count, LONG));
        assert_int_equal(client->refused, 0);
        net_fini(&n);
    }
}

static bool drop_from(void *user, const struct test_wire_packet *packet)
{
    const struct station *s = user;
    return !cv_address_equal(&packet->from, &s->port->address);
}

/* Its memory is there for the next one before the answer has arrived. The link is not: it waits for that. */
static void an_answered_call_leaves_its_stream(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_reply_at_once;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    n.wire.filter = drop_from;
    n.wire.filter_user = server;
    assert_int_equal(start_whole(&n, link, cv_slice_text("coo"), &c), 0);
    assert_true(test_wire_wait(&n.wire, &server->calls, 1, LONG));
    struct cv_link *accepted = TAILQ_FIRST(&server->node->links);
    assert_int_equal(cv_rpc_conn_count(accepted->rpc), 0);
    assert_true(cv_quic_conn_has_streams(accepted->head.conn));
    cv_link_retire(accepted);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(server->closed, 0);
    n.wire.filter = NULL;
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_memory_equal(client->reply, "coo", 3);
    assert_true(test_wire_wait(&n.wire, &server->closed, 1, LONG));
    net_fini(&n);
}

/* Its client is dead, and nothing says so: as soon noticed as if the call went on. */
static void an_answer_that_nobody_takes_ends_the_link(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_reply_at_once;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    assert_true(test_wire_wait(&n.wire, &client->ready, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(start_whole(&n, link, cv_slice_text("coo"), &c), 0);
    n.wire.filter = drop_from;
    n.wire.filter_user = server;
    assert_true(test_wire_wait(&n.wire, &server->calls, 1, LONG));
    n.wire.filter_user = client;
    test_wire_run(&n.wire, 20 * COVEY_SECOND);
    assert_int_equal(server->closed, 1);
    net_fini(&n);
}

/* Sends for as long as there is room, and again when there is some. */
#define PUMPED_MAX 10000
static struct {
    struct cv_link *link;
    struct cv_rpc_call *call;
    unsigned count;
} pumped;

static void pump(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    static uint8_t bytes[16 * 1024];
    struct station *s = user;
    if (event->type == CV_RPC_EVENT_MESSAGE) {
        pumped.link = link;
        pumped.call = event->call;
    } else if (event->type != CV_RPC_EVENT_WRITABLE) {
        on_call(user, link, event);
        return;
    }
    while (pumped.count < PUMPED_MAX &&
           cv_link_send(link, event->call, cv_slice_of(bytes, sizeof bytes), false,
                        s->port->wire->now) == 0)
        pumped.count++;
}

static void set_pump(struct cv_node_config *config)
{
    config->events.link.call = pump;
}

/* The peer's last words make room and end the connection: what is written then goes nowhere, and who sends as long
 * as there is room comes to an end before the link's end is told. */
static void what_has_ended_has_no_room(void **state)
{
    (void)state;
    struct net n;
    net_init(&n);
    n.configure = set_pump;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server->port->address);
    struct cv_rpc_call *c;
    memset(&pumped, 0, sizeof pumped);
    assert_int_equal(start_whole(&n, link, cv_slice_text("go"), &c), 0);
    assert_true(test_wire_wait(&n.wire, &server->calls, 1, LONG));
    assert_true(pumped.count > 0 && pumped.count < PUMPED_MAX);

    struct cv_rpc_input writable = {
        .type = CV_RPC_STREAM_WRITABLE, .now = n.wire.now, .call = pumped.call};
    cv_quic_conn_close(pumped.link->head.conn, CV_CLOSE_DONE);
    assert_int_equal(cv_link_step(pumped.link, &writable), 0);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_true(pumped.count < PUMPED_MAX);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_calls_are_written_at_once),
        cmocka_unit_test(large_messages_arrive_whole),
        cmocka_unit_test(a_large_message_without_memory_ends_its_call),
        cmocka_unit_test(small_calls_wait_for_streams_in_order),
        cmocka_unit_test(a_small_call_without_memory_is_none),
        cmocka_unit_test(an_answered_call_leaves_its_stream),
        cmocka_unit_test(an_answer_that_nobody_takes_ends_the_link),
        cmocka_unit_test(what_has_ended_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
