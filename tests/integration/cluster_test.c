/* Clusters of real servers in one process over loopback. */
#include "unit/api/fixture.h"

#include <stdio.h>
#include <unistd.h>

#define NODES_MAX 20
/* A cluster may form beside other tests. */
#define FORM_DEADLINE (60 * COVEY_SECOND)

struct member {
    covey_server *server;
    covey_cluster *cluster;
    covey_event_receiver *events;
    char name[16];
};

static void start(struct world *w, struct member *m, unsigned number, const char *seed)
{
    struct covey_cluster_config config;
    covey_cluster_config_init(&config);
    snprintf(m->name, sizeof m->name, "n%u", number);
    m->server = world_server(w, m->name);
    assert_int_equal(covey_server_start(m->server), 0);
    assert_int_equal(covey_server_enable_cluster(m->server, &config, &seed, seed != NULL), 0);
    m->cluster = covey_server_cluster(m->server);
    assert_int_equal(covey_server_cluster_events(m->server, &m->events), 0);
}

static void stop(struct member *m)
{
    covey_event_receiver_free(m->events);
    assert_int_equal(covey_server_free(m->server), 0);
}

static size_t count_alive(const struct member *m)
{
    covey_node_list *list;
    size_t alive = 0;
    assert_int_equal(covey_cluster_members(m->cluster, &list), 0);
    for (size_t i = 0; i < covey_node_list_count(list); i++)
        alive += covey_node_list_at(list, i)->state == COVEY_NODE_ALIVE;
    covey_node_list_free(list);
    return alive;
}

/* Waits until it knows so many alive; nobody may have failed. Some may have come before its receiver. */
static void wait_alive(struct member *m, size_t wanted)
{
    struct covey_event event = {.size = sizeof event};
    while (count_alive(m) < wanted) {
        int error = covey_event_receive(m->events, FORM_DEADLINE, &event);
        if (error != 0)
            fail_msg("%s knows %zu of %zu: %s", m->name, count_alive(m), wanted,
                     covey_strerror(error));
        assert_int_not_equal(event.type, COVEY_EVENT_NODE_FAILED);
    }
}

static void form(struct world *w, struct member *members, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        start(w, &members[i], i, i == 0 ? NULL : covey_server_address(members[0].server));
    for (unsigned i = 0; i < count; i++)
        wait_alive(&members[i], count);
}

static void three_five_and_twenty_form(void **state)
{
    (void)state;
    static const unsigned counts[] = {3, 5, NODES_MAX};
    for (size_t i = 0; i < 3; i++) {
        static struct world w;
        struct member members[NODES_MAX];
        world_init(&w);
        form(&w, members, counts[i]);
        for (unsigned j = 0; j < counts[i]; j++)
            stop(&members[j]);
        world_fini(&w);
    }
}

/* ---- joins that fail ---- */

#define FAILING 50

static void fifty_joins_that_fail_leave_nothing(void **state)
{
    (void)state;
    static struct world w;
    struct covey_cluster_config config;
    covey_server *servers[FAILING];
    char address[64], name[16];
    const char *seed = address;
    world_init(&w);
    absent_address(address, sizeof address);
    covey_cluster_config_init(&config);
    config.join_attempts = 3;
    for (unsigned i = 0; i < FAILING; i++) {
        snprintf(name, sizeof name, "n%u", i);
        servers[i] = world_server(&w, name);
        assert_int_equal(covey_server_start(servers[i]), 0);
        assert_int_equal(covey_server_enable_cluster(servers[i], &config, &seed, 1), 0);
    }
    for (unsigned i = 0; i < FAILING; i++) {
        covey_cluster *cluster = covey_server_cluster(servers[i]);
        assert_int_equal(covey_cluster_wait_joined(cluster, FORM_DEADLINE),
                         COVEY_ERR_NO_SEEDS_REACHABLE);
        assert_int_equal(covey_server_free(servers[i]), 0);
    }
    world_fini(&w);
}

/* ---- a handler that does not return ---- */

#define HANDLER_S 5

static void sleep_long(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    sleep(HANDLER_S);
    covey_call_reply(call, "", 0);
}

/* It holds up a loop for calls, for longer than a dead node is given; membership has its own. */
static void a_handler_that_sleeps_makes_nobody_suspect_its_node(void **state)
{
    (void)state;
    static struct world w;
    struct member members[3];
    const struct covey_method method = {.name = "sleep", .handler = sleep_long};
    struct covey_call_options options;
    struct covey_reply reply;
    struct covey_event event = {.size = sizeof event};
    world_init(&w);
    form(&w, members, 3);
    assert_int_equal(covey_server_add_method(members[2].server, &method), 0);
    covey_client *client =
        world_client(&w, covey_server_address(members[2].server), COVEY_ROLE_CLIENT);
    covey_call_options_init(&options);
    assert_int_equal(covey_client_call(client, "sleep", "", 0, &options, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    covey_reply_clear(&reply);
    covey_client_free(client);
    for (size_t i = 0; i < 3; i++)
        while (covey_event_receive(members[i].events, 0, &event) == 0) {
            assert_int_not_equal(event.type, COVEY_EVENT_NODE_FAILED);
            assert_int_not_equal(event.type, COVEY_EVENT_HEALTH_CHECK_FAILED);
        }
    for (size_t i = 0; i < 3; i++)
        stop(&members[i]);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_five_and_twenty_form),
        cmocka_unit_test(fifty_joins_that_fail_leave_nothing),
        cmocka_unit_test(a_handler_that_sleeps_makes_nobody_suspect_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
