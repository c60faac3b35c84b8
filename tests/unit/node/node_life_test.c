/* Connections of whole nodes are replaced in time: by their age, and when certificates and CAs
 * change. */
#include "unit/node/fixture.h"

#define MINUTE (60 * COVEY_SECOND)
#define LONG   (60 * COVEY_SECOND)

/* ---- calls ---- */

static struct cv_link *dial(struct net *n, struct station *from, const struct station *to)
{
    struct cv_link *link;
    assert_int_equal(cv_link_new(from->node, NULL, &link), 0);
    assert_int_equal(cv_link_dial(link, &to->port->address, 1, &to->id, n->wire.now), 0);
    return link;
}

static struct cv_rpc_call *start(struct net *n, struct cv_link *link)
{
    struct cv_rpc_call *c;
    struct cv_rpc_start start = {.method = cv_slice_text("echo"), .deadline = COVEY_NEVER};
    assert_int_equal(cv_link_start(link, &start, n->wire.now, &c), 0);
    return c;
}

static void send(struct net *n, struct cv_link *link, struct cv_rpc_call *call)
{
    struct cv_rpc_input send = {.type = CV_RPC_SEND,
                                .now = n->wire.now,
                                .call = call,
                                .send = {.message = cv_slice_text("coo"), .end = true}};
    assert_int_equal(cv_link_step(link, &send), 0);
}

/* A client with a link to a server, whose connections live that long. */
static void begin(struct net *n, covey_time client_age, covey_time server_age,
                  struct station **client, struct station **server)
{
    net_init(n);
    n->age_max = server_age;
    *server = net_add_named(n, "server", CV_ROLE_MEMBER);
    n->age_max = client_age;
    *client = net_add_named(n, "client", CV_ROLE_CLIENT);
    (*server)->echoes = true;
    (*client)->link = dial(n, *client, *server);
    assert_true(test_wire_wait(&n->wire, &(*server)->ready, 1, LONG));
    assert_true(test_wire_wait(&n->wire, &(*client)->ready, 1, LONG));
}

static void an_idle_link_that_retires_is_closed(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, MINUTE, MINUTE, &client, &server);
    covey_time before = n.wire.now;
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, MINUTE));
    assert_in_range(n.wire.now - before, 39 * COVEY_SECOND, 50 * COVEY_SECOND);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(client->retiring, 1);
    assert_int_equal(client->closed_error, 0);
    assert_int_equal(server->closed, 1);
    assert_int_equal(server->closed_error, 0);
    assert_int_equal(server->retiring, 0);
    net_fini(&n);
}

/* It lives on for the call that it has, and takes another; then it goes. */
static void a_retiring_link_waits_for_its_calls(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, MINUTE, MINUTE, &client, &server);
    struct cv_link *link = client->link;
    struct cv_rpc_call *call = start(&n, link);
    assert_true(test_wire_wait(&n.wire, &client->retiring, 1, MINUTE));
    assert_null(client->link);
    test_wire_run(&n.wire, 5 * COVEY_SECOND);
    assert_int_equal(client->closed, 0);
    send(&n, link, start(&n, link));
    assert_true(test_wire_wait(&n.wire, &client->statuses, 1, COVEY_SECOND));
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(client->closed, 0);
    send(&n, link, call);
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, COVEY_SECOND));
    assert_int_equal(client->statuses, 2);
    assert_int_equal(client->refused, 0);
    assert_int_equal(client->closed_error, 0);
    net_fini(&n);
}

static void at_its_end_a_link_is_cut(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, MINUTE, MINUTE, &client, &server);
    start(&n, client->link);
    covey_time before = n.wire.now;
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, 2 * MINUTE));
    assert_in_range(n.wire.now - before, 59 * COVEY_SECOND, 61 * COVEY_SECOND);
    assert_int_equal(client->statuses, 1);
    assert_int_equal(client->code, COVEY_STATUS_UNAVAILABLE);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(server->cancelled, 1);
    net_fini(&n);
}

/* The server's connections live shorter: it closes when the answers have gone, and not before. */
static void a_server_lets_its_answers_out(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, 60 * MINUTE, MINUTE, &client, &server);
    struct cv_link *link = client->link;
    struct cv_rpc_call *call = start(&n, link);
    assert_true(test_wire_wait(&n.wire, &server->retiring, 1, MINUTE));
    assert_int_equal(client->closed, 0);
    send(&n, link, call);
    assert_true(test_wire_wait(&n.wire, &client->closed, 1, 3 * COVEY_SECOND));
    assert_int_equal(client->statuses, 1);
    assert_int_equal(client->refused, 0);
    assert_int_equal(client->reply_size, 3);
    assert_int_equal(client->retiring, 0);
    assert_int_equal(client->closed_error, 0);
    net_fini(&n);
}

/* Calls without pause for `duration`, each on the link of its time. */
static void load(struct net *n, struct station *client, const struct station *server,
                 covey_time duration)
{
    covey_time limit = n->wire.now + duration;
    while (n->wire.now < limit) {
        if (client->link == NULL)
            client->link = dial(n, client, server);
        send(n, client->link, start(n, client->link));
        test_wire_run(&n->wire, 10 * COVEY_MILLISECOND);
    }
}

static void no_call_is_lost_when_links_change(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, MINUTE, MINUTE, &client, &server);
    load(&n, client, server, 5 * MINUTE);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_int_equal(client->statuses, 5 * 60 * 100);
    assert_int_equal(client->refused, 0);
    assert_in_range(client->ready, 6, 8);
    assert_int_equal(station_stats(client).connections_aged, 0);
    assert_int_equal(station_stats(server).connections_aged, 0);
    net_fini(&n);
}

static void a_links_certificate_can_be_read(void **state)
{
    (void)state;
    struct net n;
    struct station *client, *server;
    begin(&n, MINUTE, MINUTE, &client, &server);
    struct cv_identity identity;
    struct cv_slice der = cv_link_peer_der(client->link);
    assert_int_equal(cv_identity_from_der(&identity, der), 0);
    assert_memory_equal(&identity.id, &server->id, sizeof server->id);
    struct cv_link *next;
    assert_int_equal(cv_link_new(client->node, NULL, &next), 0);
    assert_int_equal(cv_link_peer_der(next).size, 0);
    assert_false(cv_link_is_retiring(next));
    net_fini(&n);
}

/* ---- gossip ---- */

/* Those of dials that crossed and were given up. */
static uint64_t failed_at_join[NODES_MAX];

static void all_join(struct net *n, const struct cv_pki_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct station *s = net_add(n, &pairs[i]);
        station_join(s, i == 0 ? NULL : &n->stations[0]);
    }
    for (size_t i = 0; i < count; i++)
        assert_true(test_wire_wait(&n->wire, &n->stations[i].joined, count - 1, LONG));
    test_wire_run(&n->wire, COVEY_SECOND); /* the word that they were given up is on its way */
    for (size_t i = 0; i < count; i++)
        failed_at_join[i] = station_stats(&n->stations[i]).handshakes_failed;
}

static void issue(const struct test_pki *ca, const char *name, uint64_t life_ms,
                  const struct cv_pki_pair *old, struct cv_pki_pair *out)
{
    struct cv_pki_issue_config config = test_pki_issue_config(ca, name, CV_ROLE_MEMBER);
    config.not_after_ms = TEST_WALL_MS + life_ms;
    if (old != NULL)
        config.key_pem = old->key_pem;
    assert_int_equal(cv_pki_issue(&config, out), 0);
}

static const char *const names[NODES_MAX] = {"a", "b", "c", "d", "e"};

static void assert_nobody_failed(const struct net *n, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct station *s = &n->stations[i];
        struct cv_node_stats glue;
        cv_node_stats(s->node, &glue);
        assert_int_equal(s->failed + s->recovered + s->left, 0);
        assert_int_equal(glue.gossip_shed, 0);
        assert_int_equal(station_stats(s).connections_aged, 0);
        assert_int_equal(station_stats(s).connections_expired, 0);
        assert_int_equal(station_stats(s).handshakes_failed, failed_at_join[i]);
        struct cv_membership_stats membership;
        cv_membership_stats(cv_node_membership(s->node), &membership);
        assert_int_equal(membership.probes_failed, 0);
        assert_int_equal(membership.suspicions, 0);
    }
}

static size_t alive_count(const struct station *s)
{
    const struct cv_membership *m = cv_node_membership(s->node);
    return cv_node_registry_count_state(cv_membership_registry(m), COVEY_NODE_ALIVE);
}

static uint64_t retired(const struct net *n, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += station_stats(&n->stations[i]).connections_retired;
    return sum;
}

/* Every connection is dialled anew before its end, and nobody is even suspected for it. */
static void gossip_goes_on_over_new_connections(void **state)
{
    (void)state;
    struct net n;
    struct cv_pki_pair pairs[4];
    net_init(&n);
    n.age_max = MINUTE;
    for (size_t i = 0; i < 4; i++)
        issue(&n.pki, names[i], 365 * TEST_DAY_MS, NULL, &pairs[i]);
    all_join(&n, pairs, 4);
    test_wire_run(&n.wire, 10 * MINUTE);
    assert_nobody_failed(&n, 4);
    /* Six pairs, twelve times. */
    assert_in_range(retired(&n, 4), 6 * 10, 6 * 15);
    for (size_t i = 0; i < 4; i++)
        assert_in_range(station_stats(&n.stations[i]).connections_open, 3, 6);
    net_fini(&n);
}

/* The successor cannot be dialled: the old one serves until its end, and then the core dials. */
static bool drop_initials(void *user, const struct test_wire_packet *packet)
{
    (void)user;
    return (packet->bytes[0] & 0xf0) != 0xc0;
}

static void a_failed_successor_costs_nothing_before_the_end(void **state)
{
    (void)state;
    struct net n;
    struct cv_pki_pair pairs[2];
    net_init(&n);
    n.age_max = MINUTE;
    for (size_t i = 0; i < 2; i++)
        issue(&n.pki, names[i], 365 * TEST_DAY_MS, NULL, &pairs[i]);
    all_join(&n, pairs, 2);
    n.wire.filter = drop_initials;
    test_wire_run(&n.wire, 58 * COVEY_SECOND);
    assert_true(retired(&n, 2) >= 2);
    assert_int_equal(n.stations[0].failed + n.stations[1].failed, 0);
    n.wire.filter = NULL;
    test_wire_run(&n.wire, 2 * MINUTE);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(n.stations[i].failed, 0);
        assert_int_equal(station_stats(&n.stations[i]).connections_open, 1);
    }
    net_fini(&n);
}

/* Whatever allocation fails when a successor is made: nothing leaks, and gossip goes on. */
static void a_successor_without_memory_is_done_without(void **state)
{
    (void)state;
    struct cv_pki_pair pairs[2];
    struct net n;
    net_init(&n);
    for (size_t i = 0; i < 2; i++)
        issue(&n.pki, names[i], 365 * TEST_DAY_MS, NULL, &pairs[i]);
    const struct test_pki pki = n.pki;
    net_fini(&n);
    /* Who dialled retires between 40 and 50 s. The same seeds have it at the same time again; k = 0
     * finds out when. */
    size_t retires_at = 0;
    for (size_t k = 0; k <= 12; k++) {
        net_init(&n);
        n.pki = pki;
        n.age_max = MINUTE;
        all_join(&n, pairs, 2);
        for (size_t ms = 0; retired(&n, 2) == 0; ms++) {
            for (size_t i = 0; i < 2 && k > 0 && ms + 2 >= retires_at; i++)
                n.stations[i].alloc.fail_at = n.stations[i].alloc.calls + k;
            test_wire_run(&n.wire, COVEY_MILLISECOND);
            retires_at = k == 0 ? ms : retires_at;
            assert_true(ms < 60 * 1000);
        }
        for (size_t i = 0; i < 2; i++)
            n.stations[i].alloc.fail_at = 0;
        test_wire_run(&n.wire, 2 * MINUTE);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(n.stations[i].failed, 0);
            assert_int_equal(alive_count(&n.stations[i]), 2);
        }
        net_fini(&n);
    }
}

/* Certificates end, and were renewed in time: no connection ends with them. */
static void renewed_certificates_keep_the_cluster(void **state)
{
    (void)state;
    struct net n;
    struct cv_pki_pair pairs[3];
    struct cv_pki_pair renewed[3];
    net_init(&n);
    for (size_t i = 0; i < 3; i++) {
        issue(&n.pki, names[i], 5 * 60000, NULL, &pairs[i]);
        issue(&n.pki, names[i], 365 * TEST_DAY_MS, &pairs[i], &renewed[i]);
    }
    all_join(&n, pairs, 3);
    for (size_t i = 0; i < 3; i++) {
        test_wire_run(&n.wire, 20 * COVEY_SECOND);
        station_reload(&n.stations[i], n.pki.ca.cert_pem, &renewed[i]);
    }
    test_wire_run(&n.wire, 20 * MINUTE);
    assert_nobody_failed(&n, 3);
    net_fini(&n);
}

/* They were not renewed: at the end nobody talks to anybody, and each says why. */
static void expired_certificates_end_the_cluster(void **state)
{
    (void)state;
    struct net n;
    struct cv_pki_pair pairs[2];
    net_init(&n);
    for (size_t i = 0; i < 2; i++)
        issue(&n.pki, names[i], 2 * 60000, NULL, &pairs[i]);
    all_join(&n, pairs, 2);
    test_wire_run(&n.wire, 118 * COVEY_SECOND - n.wire.now);
    assert_int_equal(n.stations[0].failed + n.stations[1].failed, 0);
    assert_int_equal(station_stats(&n.stations[0]).connections_open, 1);
    test_wire_run(&n.wire, 3 * COVEY_SECOND);
    for (size_t i = 0; i < 2; i++)
        assert_true(station_stats(&n.stations[i]).connections_expired > 0);
    assert_true(test_wire_wait(&n.wire, &n.stations[0].failed, 1, LONG));
    assert_true(cv_tls_refusals(n.stations[0].tls)->expired +
                    cv_tls_refusals(n.stations[1].tls)->expired >
                0);
    net_fini(&n);
}

/*
 * CA -> CA + CA' -> certificates of CA' -> CA' in a cluster that runs, with calls without pause: no
 * call fails, nobody is missed, and a minute later no connection is left of the old CA.
 */
static void a_ca_is_replaced_under_load(void **state)
{
    (void)state;
    struct net n;
    struct test_pki next;
    struct cv_pki_pair olds[3];
    struct cv_pki_pair news[3];
    static char both[2 * CV_PEM_SIZE_MAX];
    net_init(&n);
    n.age_max = MINUTE;
    test_pki_init(&next, "flock");
    snprintf(both, sizeof both, "%s%s", n.pki.ca.cert_pem, next.ca.cert_pem);
    for (size_t i = 0; i < 3; i++) {
        issue(&n.pki, names[i], 365 * TEST_DAY_MS, NULL, &olds[i]);
        issue(&next, names[i], 300 * TEST_DAY_MS, &olds[i], &news[i]);
    }
    all_join(&n, olds, 3);
    struct station *client = &n.stations[1];
    struct station *server = &n.stations[2];
    server->echoes = true;
    const struct {
        const char *ca;
        const struct cv_pki_pair *pairs;
    } steps[] = {{both, olds}, {both, news}, {next.ca.cert_pem, news}};
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < 3; i++) {
            station_reload(&n.stations[i], steps[step].ca, &steps[step].pairs[i]);
            load(&n, client, server, 5 * COVEY_SECOND);
        }
        load(&n, client, server, MINUTE);
    }
    test_wire_run(&n.wire, 2 * MINUTE);
    assert_true(client->statuses > 100 * 200);
    assert_int_equal(client->refused, 0);
    assert_nobody_failed(&n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(cv_tls_refusals(n.stations[i].tls)->untrusted, 0);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_link_that_retires_is_closed),
        cmocka_unit_test(a_retiring_link_waits_for_its_calls),
        cmocka_unit_test(at_its_end_a_link_is_cut),
        cmocka_unit_test(a_server_lets_its_answers_out),
        cmocka_unit_test(no_call_is_lost_when_links_change),
        cmocka_unit_test(a_links_certificate_can_be_read),
        cmocka_unit_test(gossip_goes_on_over_new_connections),
        cmocka_unit_test(a_failed_successor_costs_nothing_before_the_end),
        cmocka_unit_test(a_successor_without_memory_is_done_without),
        cmocka_unit_test(renewed_certificates_keep_the_cluster),
        cmocka_unit_test(expired_certificates_end_the_cluster),
        cmocka_unit_test(a_ca_is_replaced_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
