/*
 * What calls cost in memory: nothing, once enough of them were made. The count is of everything that
 * a node allocates, the QUIC library's part too; the TLS library's own is out only during handshakes.
 */
#include "unit/node/fixture.h"

#define LONG     (30 * COVEY_SECOND)
#define INFLIGHT 64
#define KEPT     ((size_t)16 << 20)

static uint8_t body[1 << 20];

struct pair {
    struct net net;
    struct station *server;
    struct station *client;
    struct cv_link *link;
};

static void keep_memory(struct cv_node_config *config)
{
    config->memory_kept_max = KEPT;
}

static void pair_init(struct pair *p)
{
    net_init(&p->net);
    p->net.configure = keep_memory;
    p->server = net_add_named(&p->net, "server", CV_ROLE_MEMBER);
    p->client = net_add_named(&p->net, "client", CV_ROLE_CLIENT);
    p->server->echoes = true;
    assert_int_equal(cv_link_new(p->client->node, NULL, &p->link), 0);
    assert_int_equal(cv_link_dial(p->link, &p->server->port->address, 1, NULL, p->net.wire.now), 0);
    assert_true(test_wire_wait(&p->net.wire, &p->client->ready, 1, LONG));
}

static void start(const struct pair *p, size_t size)
{
    covey_time now = p->net.wire.now;
    struct cv_rpc_call *call;
    struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = now + LONG};
    assert_int_equal(cv_link_start(p->link, &start, now, &call), 0);
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = now,
                                .call = call,
                                .send = {.message = cv_slice_of(body, size), .end = true}};
    assert_int_equal(cv_link_step(p->link, &send), 0);
}

static void echo(struct pair *p, size_t count, size_t size)
{
    uint64_t target = p->client->statuses + count;
    for (size_t i = 0; i < count; i++)
        start(p, size);
    assert_true(test_wire_wait(&p->net.wire, &p->client->statuses, target, LONG));
    assert_int_equal(p->client->code, COVEY_STATUS_OK);
    assert_int_equal(p->client->reply_size, size);
}

static size_t allocations(const struct pair *p)
{
    return p->server->alloc.calls + p->client->alloc.calls;
}

/* Rounds of calls until they have what they need, then the same again. */
static size_t allocations_of(size_t count, size_t size, size_t rounds)
{
    struct pair p;
    pair_init(&p);
    for (size_t i = 0; i < rounds; i++)
        echo(&p, count, size);
    size_t before = allocations(&p);
    for (size_t i = 0; i < rounds; i++)
        echo(&p, count, size);
    size_t after = allocations(&p);
    net_fini(&p.net);
    return after - before;
}

static void a_small_call_allocates_nothing(void **state)
{
    (void)state;
    assert_int_equal(allocations_of(1, 64, 200), 0);
    assert_int_equal(allocations_of(INFLIGHT, 64, 40), 0);
}

static void nor_does_a_large_one(void **state)
{
    (void)state;
    assert_int_equal(allocations_of(4, 65536, 40), 0);
    assert_int_equal(allocations_of(1, sizeof body, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_call_allocates_nothing),
        cmocka_unit_test(nor_does_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
