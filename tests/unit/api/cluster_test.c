/* Membership through the public API: a few servers in one process over loopback. */
#include "unit/api/members.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

static void members_find_each_other(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b, c;
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    start(&w, &c, "c", covey_server_address(b.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "c");
    wait_event(&b, COVEY_EVENT_NODE_JOINED, "c");
    assert_int_equal(state_of(a.cluster, "a"), COVEY_NODE_ALIVE);

    /* tags reach the others; a query sees what the event told */
    assert_int_equal(covey_server_update_tag(c.server, "role", "worker"), 0);
    wait_event(&a, COVEY_EVENT_NODE_TAGS_UPDATED, "c");
    assert_int_equal(count_with_tag(a.cluster, "role", "worker"), 1);
    assert_int_equal(count_with_tag(a.cluster, "role", NULL), 1);
    assert_int_equal(count_with_tag(a.cluster, "role", "director"), 0);
    assert_int_equal(covey_cluster_update_tag(c.cluster, "", "x"), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_remove_tag(c.cluster, "none"), COVEY_ERR_NOT_FOUND);
    assert_int_equal(covey_cluster_remove_tag(c.cluster, "role"), 0);
    wait_event(&a, COVEY_EVENT_NODE_TAGS_UPDATED, "c");
    assert_int_equal(count_with_tag(a.cluster, "role", NULL), 0);

    /* goodbye is not failure; receivers of the one that left reach their end */
    assert_int_equal(covey_cluster_leave(c.cluster), 0);
    assert_int_equal(covey_cluster_leave(c.cluster), 0);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "c");
    wait_event(&b, COVEY_EVENT_NODE_LEFT, "c");
    assert_int_equal(state_of(a.cluster, "c"), COVEY_NODE_LEFT);
    struct covey_event event = {.size = sizeof event};
    int error;
    while ((error = covey_event_receive(c.events, TEST_DEADLINE, &event)) == 0)
        ;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    assert_int_equal(covey_cluster_update_tag(c.cluster, "k", "v"), COVEY_ERR_STATE);
    assert_int_equal(covey_cluster_wait_joined(c.cluster, 0), COVEY_ERR_CLOSED);
    assert_int_equal(covey_server_disable_cluster(c.server), 0);
    assert_null(covey_server_cluster(c.server));
    assert_int_equal(covey_server_disable_cluster(c.server), COVEY_ERR_STATE);

    /* freed without leave: told all the same */
    stop(&b);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "b");
    stop(&c);
    stop(&a);
    world_fini(&w);
}

static void what_cannot_be_enabled_is_refused(void **state)
{
    (void)state;
    static struct world w;
    struct covey_cluster_config config;
    const char *seed = "no port here";
    covey_node_id other = {.bytes = {1}};
    world_init(&w);
    covey_server *server = world_server(&w, "server");
    covey_cluster_config_init(&config);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), COVEY_ERR_STATE);
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, &seed, 1), COVEY_ERR_ADDRESS);
    config.node_id = &other;
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0),
                     COVEY_ERR_WRONG_IDENTITY);
    config.node_id = NULL;
    struct covey_tag empty = {.key = "", .value = "x"};
    config.tags = &empty;
    config.tag_count = 1;
    assert_true(covey_server_enable_cluster(server, &config, NULL, 0) != 0);
    config.tag_count = 0;
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), COVEY_ERR_EXISTS);
    assert_int_equal(covey_server_free(server), 0);

    /* a wildcard cannot be told to others */
    struct covey_server_config any;
    covey_identity *identity = world_identity(&w, "any", COVEY_ROLE_MEMBER);
    covey_server_config_init(&any);
    any.runtime = w.runtime;
    any.identity = identity;
    any.listen = "0.0.0.0:0";
    assert_int_equal(covey_server_new(&any, &server), 0);
    covey_identity_free(identity);
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), COVEY_ERR_ADDRESS);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* A seed that is not there: an error after the attempts, and a second try is possible. */
static void an_unreachable_seed_is_an_error(void **state)
{
    (void)state;
    static struct world w;
    struct covey_cluster_config config;
    struct member late;
    char address[64];
    const char *seed = address;
    world_init(&w);
    absent_address(address, sizeof address);
    covey_server *server = world_server(&w, "server");
    assert_int_equal(covey_server_start(server), 0);
    covey_cluster_config_init(&config);
    config.profile = COVEY_PROFILE_LOCAL;
    config.join_attempts = 2;
    assert_int_equal(covey_server_enable_cluster(server, &config, &seed, 1), 0);
    covey_cluster *cluster = covey_server_cluster(server);
    assert_int_equal(covey_cluster_wait_joined(cluster, TEST_DEADLINE),
                     COVEY_ERR_NO_SEEDS_REACHABLE);

    /* the seed comes at that address, and joining again succeeds */
    struct covey_server_config at;
    covey_identity *identity = world_identity(&w, "late", COVEY_ROLE_MEMBER);
    covey_server_config_init(&at);
    at.runtime = w.runtime;
    at.identity = identity;
    at.listen = address;
    assert_int_equal(covey_server_new(&at, &late.server), 0);
    covey_identity_free(identity);
    assert_int_equal(covey_server_start(late.server), 0);
    assert_int_equal(covey_server_enable_cluster(late.server, &config, NULL, 0), 0);
    assert_int_equal(covey_cluster_rejoin(cluster), 0);
    assert_int_equal(covey_cluster_wait_joined(cluster, TEST_DEADLINE), 0);
    assert_int_equal(covey_server_free(server), 0);
    assert_int_equal(covey_server_free(late.server), 0);
    world_fini(&w);
}

static void receivers_are_independent(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b;
    covey_event_receiver *clone;
    struct covey_event event = {.size = sizeof event};
    world_init(&w);
    start(&w, &a, "a", NULL);
    assert_int_equal(covey_event_receive(a.events, 0, &event), COVEY_ERR_TIMEOUT);
    struct pollfd fd = {.fd = covey_event_receiver_fd(a.events), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
    start(&w, &b, "b", covey_server_address(a.server));
    assert_int_equal(poll(&fd, 1, 20000), 1);
    assert_int_equal(covey_event_receiver_clone(a.events, &clone), 0);
    assert_int_equal(covey_event_receive(a.events, 0, &event), 0);
    assert_int_equal(event.type, COVEY_EVENT_NODE_JOINED);
    assert_string_equal(event.node->name, "b");
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_int_equal(covey_event_receive(clone, 0, &event), 0);
    assert_int_equal(event.type, COVEY_EVENT_NODE_JOINED);
    assert_int_equal(covey_event_receiver_dropped(clone), 0);
    stop(&b);
    assert_int_equal(covey_server_free(a.server), 0);
    /* they outlive the cluster and see its end */
    int error;
    while ((error = covey_event_receive(clone, TEST_DEADLINE, &event)) == 0)
        ;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    covey_event_receiver_free(clone);
    covey_event_receiver_free(a.events);
    world_fini(&w);
}

/* ---- many writers and readers ---- */

#define WRITERS COVEY_TAGS_MAX

struct writer {
    covey_cluster *cluster;
    unsigned number;
};

static void *write_tags(void *user)
{
    const struct writer *me = user;
    char key[16], value[16];
    snprintf(key, sizeof key, "k%u", me->number);
    for (unsigned i = 0; i <= 100; i++) {
        snprintf(value, sizeof value, "%u", i);
        assert_int_equal(covey_cluster_update_tag(me->cluster, key, value), 0);
        covey_node_list *list;
        assert_int_equal(covey_cluster_nodes_with_tag(me->cluster, key, NULL, &list), 0);
        covey_node_list_free(list);
    }
    return NULL;
}

static void tags_from_many_threads_are_all_kept(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b;
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.cluster = a.cluster, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_tags, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    struct covey_tag last[WRITERS];
    char keys[WRITERS][16];
    for (unsigned i = 0; i < WRITERS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i);
        last[i] = (struct covey_tag){.key = keys[i], .value = "100"};
    }
    for (;;) { /* until b has the last of each; every change comes with an event */
        covey_node_list *list;
        struct covey_event event = {.size = sizeof event};
        assert_int_equal(covey_cluster_nodes_with_all_tags(b.cluster, last, WRITERS, &list), 0);
        size_t count = covey_node_list_count(list);
        covey_node_list_free(list);
        if (count == 1)
            break;
        assert_int_equal(covey_event_receive(b.events, TEST_DEADLINE, &event), 0);
    }
    stop(&b);
    stop(&a);
    world_fini(&w);
}

/* ---- order ---- */

static unsigned shown_value(covey_cluster *cluster, const char *key)
{
    covey_node_list *list;
    assert_int_equal(covey_cluster_nodes_with_tag(cluster, key, NULL, &list), 0);
    const char *value =
        covey_node_list_count(list) == 0 ? "0" : covey_node_tag(covey_node_list_at(list, 0), key);
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    covey_node_list_free(list);
    return number;
}

static void *count_up(void *user)
{
    char value[16];
    for (unsigned i = 1; i <= 500; i++) {
        snprintf(value, sizeof value, "%u", i);
        assert_int_equal(covey_cluster_update_tag(user, "n", value), 0);
        assert_int_equal(shown_value(user, "n"), i); /* he sees what he did */
    }
    return NULL;
}

/* Who has an event finds what it tells, or what came after it, when he looks. */
static void what_an_event_tells_is_there(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b;
    pthread_t thread;
    struct covey_event event = {.size = sizeof event};
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    assert_int_equal(state_of(a.cluster, "b"), COVEY_NODE_ALIVE);
    assert_int_equal(pthread_create(&thread, NULL, count_up, b.cluster), 0);
    unsigned told = 0;
    while (told < 500) {
        int error = covey_event_receive(a.events, TEST_DEADLINE, &event);
        if (error != 0)
            fail_msg("nothing after %u: %s", told, covey_strerror(error));
        if (event.type != COVEY_EVENT_NODE_TAGS_UPDATED)
            continue;
        told = (unsigned)strtoul(covey_node_tag(event.node, "n"), NULL, 10);
        assert_true(shown_value(a.cluster, "n") >= told);
    }
    pthread_join(thread, NULL);
    stop(&b);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "b");
    assert_int_equal(state_of(a.cluster, "b"), COVEY_NODE_LEFT);
    stop(&a);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_find_each_other),
        cmocka_unit_test(what_cannot_be_enabled_is_refused),
        cmocka_unit_test(an_unreachable_seed_is_an_error),
        cmocka_unit_test(receivers_are_independent),
        cmocka_unit_test(tags_from_many_threads_are_all_kept),
        cmocka_unit_test(what_an_event_tells_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
