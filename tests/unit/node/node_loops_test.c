/* Two nodes of one server behind one address: loop 0 for the cluster, loop 1 for calls. Whatever
 * comes arrives at loop 0, as by a kernel that does not know better. */
#include "node/internal.h"
#include "unit/node/fixture.h"

#define LONG        (30 * COVEY_SECOND)
#define LOOPS       2
#define WAITING_MAX 64

static const uint8_t secret[32] = "the secret that both nodes share";

struct server {
    struct station *loops[LOOPS];
    struct test_wire_station station;
    struct test_wire_packet waiting[WAITING_MAX];
    size_t waiting_count;
    uint64_t handed_over;
    bool all_to_0; /* whatever its ids say */
};

static void on_hand_over(void *user, unsigned loop, const struct cv_datagram *d)
{
    struct server *server = user;
    assert_int_equal(loop, 1);
    assert_true(server->waiting_count < WAITING_MAX);
    struct test_wire_packet *packet = &server->waiting[server->waiting_count++];
    packet->from = d->remote;
    packet->to = d->local;
    packet->size = d->bytes.size;
    memcpy(packet->bytes, d->bytes.data, d->bytes.size);
    server->handed_over++;
}

static void server_receive(void *user, const struct cv_datagram *d, covey_time now)
{
    struct server *server = user;
    struct cv_datagram first = *d;
    first.handed_over = server->all_to_0;
    station_receive(server->loops[0], &first, now);
    for (size_t i = 0; i < server->waiting_count; i++) {
        const struct test_wire_packet *packet = &server->waiting[i];
        struct cv_datagram handed = {.local = packet->to,
                                     .remote = packet->from,
                                     .handed_over = true,
                                     .bytes = cv_slice_of(packet->bytes, packet->size)};
        station_receive(server->loops[1], &handed, now);
    }
    server->waiting_count = 0;
}

static void server_turn(void *user, const struct cv_datagram_sink *sink, covey_time now)
{
    struct server *server = user;
    for (int i = 0; i < LOOPS; i++)
        station_turn(server->loops[i], sink, now);
}

static covey_time server_deadline(void *user)
{
    struct server *server = user;
    covey_time first = station_deadline(server->loops[0]);
    covey_time second = station_deadline(server->loops[1]);
    return first < second ? first : second;
}

static void start_loop(struct server *server, uint8_t loop)
{
    struct station *s = server->loops[loop];
    struct cv_node_config config = station_config(s);
    cv_node_free(s->node);
    config.local = server->loops[0]->port->address;
    config.loop = loop;
    config.loop_count = LOOPS;
    config.hand_over = on_hand_over;
    config.hand_over_user = server;
    config.secret = secret;
    assert_int_equal(cv_node_new(&config, &s->node), 0);
}

static void server_init(struct server *server, struct net *n)
{
    struct cv_pki_pair pair;
    *server = (struct server){.station = {server_receive, server_turn, server_deadline, server}};
    test_pki_issue(&n->pki, "server", CV_ROLE_MEMBER, &pair);
    for (uint8_t i = 0; i < LOOPS; i++) {
        server->loops[i] = net_add(n, &pair);
        server->loops[i]->port->station = NULL;
        server->loops[i]->echoes = true;
        start_loop(server, i);
    }
    server->loops[0]->port->station = &server->station;
}

static void call(struct net *n, struct cv_link *link)
{
    struct cv_rpc_call *c;
    struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = COVEY_NEVER};
    assert_int_equal(cv_link_start(link, &start, n->wire.now, &c), 0);
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = n->wire.now,
                                .call = c,
                                .send = {.message = cv_slice_text("coo"), .end = true}};
    assert_int_equal(cv_link_step(link, &send), 0);
}

static struct cv_link *dial(struct net *n, struct station *from, const struct server *server)
{
    struct cv_link *link;
    struct station *to = server->loops[0];
    assert_int_equal(cv_link_new(from->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, &to->port->address, 1, &to->id, n->wire.now), 0);
    return link;
}

static void calls_are_served_by_their_loop_and_gossip_by_loop_0(void **state)
{
    (void)state;
    struct net n;
    struct server server;
    net_init(&n);
    server_init(&server, &n);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct station *member = net_add_named(&n, "member", CV_ROLE_MEMBER);
    station_join(server.loops[0], NULL);
    station_join(member, server.loops[0]);
    assert_true(test_wire_wait(&n.wire, &member->joined, 1, LONG));
    assert_int_equal(server.handed_over, 0);
    call(&n, dial(&n, client, &server));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(server.loops[0]->calls, 0);
    assert_int_equal(server.loops[1]->calls, 1);
    assert_true(server.handed_over > 0);
    net_fini(&n);
}

static void only_loop_0_has_a_cluster(void **state)
{
    (void)state;
    struct net n;
    struct server server;
    struct cv_membership_config config;
    net_init(&n);
    server_init(&server, &n);
    cv_membership_config_init(&config, CV_PROFILE_LOCAL);
    config.address = server.loops[0]->port->address;
    config.wall_ms = TEST_WALL_MS;
    assert_int_equal(cv_node_enable_cluster(server.loops[1]->node, &config, n.wire.now),
                     COVEY_ERR_STATE);
    assert_null(cv_node_membership(server.loops[1]->node));
    assert_int_equal(cv_node_enable_cluster(server.loops[0]->node, &config, n.wire.now), 0);
    net_fini(&n);
}

/* A node that begins anew with the same secret can tell the old one's clients. */
static void the_secret_is_the_servers(void **state)
{
    (void)state;
    struct net n;
    struct server server;
    net_init(&n);
    server_init(&server, &n);
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    struct cv_link *link = dial(&n, client, &server);
    call(&n, link);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    test_wire_run(&n.wire, COVEY_SECOND);
    start_loop(&server, 1);
    call(&n, link);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, COVEY_SECOND));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    net_fini(&n);
}

static bool is_not_started;

static void note_not_started(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_STATUS)
        is_not_started = event->end.not_started;
    on_call(user, link, event);
}

static void note_statuses(struct cv_node_config *config)
{
    config->events.link.call = note_not_started;
}

/* Who comes there with calls is sent away, and told that he may make them again; members stay. */
static void loop_0_takes_no_calls(void **state)
{
    (void)state;
    struct net n;
    struct server server;
    net_init(&n);
    server_init(&server, &n);
    n.configure = note_statuses;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    n.configure = NULL;
    struct station *member = net_add_named(&n, "member", CV_ROLE_MEMBER);
    server.all_to_0 = true;
    is_not_started = false;
    call(&n, dial(&n, client, &server));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    assert_true(is_not_started);
    assert_int_equal(client->closed, 1);
    assert_int_equal(server.handed_over, 0);
    assert_int_equal(server.loops[0]->ready + server.loops[0]->calls, 0);
    assert_true(TAILQ_EMPTY(&server.loops[0]->node->links));
    station_join(server.loops[0], NULL);
    station_join(member, server.loops[0]);
    assert_true(test_wire_wait(&n.wire, &member->joined, 1, LONG));
    server.all_to_0 = false;
    call(&n, dial(&n, client, &server));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 2, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(server.loops[0]->calls, 0);
    assert_int_equal(server.loops[1]->calls, 1);
    net_fini(&n);
}

static void be_alone(struct cv_node_config *config)
{
    config->loop = 0;
    config->loop_count = 1;
}

static void a_loop_0_without_others_takes_calls(void **state)
{
    (void)state;
    struct net n;
    struct cv_link *link;
    net_init(&n);
    n.configure = be_alone;
    struct station *server = net_add_named(&n, "server", CV_ROLE_MEMBER);
    n.configure = NULL;
    struct station *client = net_add_named(&n, "client", CV_ROLE_CLIENT);
    server->echoes = true;
    assert_int_equal(cv_link_new(client->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, &server->port->address, 1, &server->id, n.wire.now), 0);
    call(&n, link);
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, LONG));
    assert_int_equal(client->code, COVEY_STATUS_OK);
    assert_int_equal(server->calls, 1);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_served_by_their_loop_and_gossip_by_loop_0),
        cmocka_unit_test(only_loop_0_has_a_cluster),
        cmocka_unit_test(loop_0_takes_no_calls),
        cmocka_unit_test(a_loop_0_without_others_takes_calls),
        cmocka_unit_test(the_secret_is_the_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
