#define _POSIX_C_SOURCE 200809L
/* Balancers on a cluster's snapshots: a cluster of which there is only what they use, and a real one. */
#include "unit/cluster/cluster_fixture.h"

#include "api/cluster.h"
#include "unit/api/members.h"

#include <stdio.h>

struct fixture {
    struct test_alloc t;
    covey_runtime runtime;
    covey_cluster cluster;
    struct cv_node_registry registry;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    test_alloc_init(&f->t);
    f->runtime.alloc = f->t.alloc;
    f->cluster.runtime = &f->runtime;
    f->cluster.self = id_of(1);
    cv_node_registry_init(&f->registry, &f->t.alloc, fixture_secret, 20);
    assert_int_equal(cv_node_registry_reserve(&f->registry, 20), 0);
    assert_int_equal(cv_view_init(&f->cluster.view), 0);
    assert_int_equal(cv_balancer_hub_new(&f->runtime, &f->cluster.balancers), 0);
}

static void teardown(struct fixture *f)
{
    cv_balancer_hub_release(f->cluster.balancers);
    cv_view_fini(&f->cluster.view);
    cv_node_registry_fini(&f->registry);
    assert_int_equal(atomic_load(&f->runtime.users), 0);
    test_alloc_assert_empty(&f->t);
}

static void publish(struct fixture *f)
{
    assert_int_equal(cv_view_publish(&f->cluster.view, &f->t.alloc, &f->registry, true), 0);
    assert_true(cv_balancer_hub_show(f->cluster.balancers, f->cluster.view.newest, false));
}

static void insert(struct fixture *f, uint32_t number, enum covey_node_state node_state,
                   const char *role, const char *zone)
{
    const struct covey_tag tags[] = {{"role", role}, {"zone", zone}};
    struct cv_cluster_node *body = tagged_body(&f->t.alloc, number, 1, 0, tags, 2);
    const struct cv_record record = record_of(number, 1, node_state, body);
    assert_non_null(cv_node_registry_insert(&f->registry, &record, 0));
    cv_cluster_node_release(body);
}

static void populate(struct fixture *f)
{
    insert(f, 1, COVEY_NODE_ALIVE, "worker", "a"); /* this node */
    insert(f, 2, COVEY_NODE_ALIVE, "worker", "a");
    insert(f, 3, COVEY_NODE_ALIVE, "worker", "b");
    insert(f, 4, COVEY_NODE_ALIVE, "director", "a");
    insert(f, 5, COVEY_NODE_SUSPECT, "worker", "a");
    insert(f, 6, COVEY_NODE_FAILED, "worker", "a");
    insert(f, 7, COVEY_NODE_LEFT, "worker", "a");
    insert(f, 8, COVEY_NODE_ALIVE, "worker", "a");
}

static covey_balancer *balancer_of(struct fixture *f, const struct covey_selector *selector)
{
    struct covey_balancer_config config;
    covey_balancer *balancer;
    covey_balancer_config_init(&config);
    config.selector = *selector;
    assert_int_equal(covey_balancer_new(&f->cluster, &config, &balancer), 0);
    return balancer;
}

/* One round gives these, in this order. */
static void assert_round(covey_balancer *balancer, size_t count, const uint32_t *numbers)
{
    struct covey_pick pick;
    assert_int_equal(covey_balancer_count(balancer), count);
    for (size_t i = 0; i < count; i++) {
        char address[COVEY_ADDRESS_TEXT_SIZE];
        const covey_node_id id = id_of(numbers[i]);
        assert_int_equal(covey_balancer_pick(balancer, NULL, &pick), 0);
        assert_memory_equal(&pick.id, &id, sizeof id);
        snprintf(address, sizeof address, "10.0.0.%u:4433", numbers[i]);
        assert_string_equal(pick.address, address);
        covey_balancer_done(balancer, &pick);
    }
    if (count == 0)
        assert_int_equal(covey_balancer_pick(balancer, NULL, &pick), COVEY_ERR_NOT_FOUND);
}

static void selectors_choose_the_alive(void **state)
{
    (void)state;
    struct fixture f;
    const struct covey_tag worker[] = {{"role", "worker"}};
    const struct covey_tag both[] = {{"role", NULL}, {"zone", "a"}};
    const struct covey_tag in_b[] = {{"zone", "b"}, {"none", NULL}};
    const struct covey_tag role[] = {{"role", NULL}};
    const struct {
        struct covey_selector selector;
        size_t count;
        uint32_t numbers[6];
    } cases[] = {
        {{NULL, 0, NULL, 0, false}, 4, {2, 3, 4, 8}},
        {{NULL, 0, NULL, 0, true}, 5, {1, 2, 3, 4, 8}},
        {{worker, 1, NULL, 0, false}, 3, {2, 3, 8}},
        {{worker, 1, in_b, 2, true}, 3, {1, 2, 8}},
        {{both, 2, NULL, 0, false}, 3, {2, 4, 8}},
        {{NULL, 0, worker, 1, true}, 1, {4}},
        {{NULL, 0, role, 1, true}, 0, {0}},
    };
    setup(&f);
    populate(&f);
    publish(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        covey_balancer *balancer = balancer_of(&f, &cases[i].selector);
        assert_round(balancer, cases[i].count, cases[i].numbers);
        covey_balancer_free(balancer);
    }
    teardown(&f);
}

/* With the snapshot, not when somebody looks. */
static void snapshots_are_followed(void **state)
{
    (void)state;
    struct fixture f;
    const struct covey_selector all = {.all = NULL};
    struct covey_balancer_stats stats = {.size = sizeof stats};
    setup(&f);
    covey_balancer *balancer = balancer_of(&f, &all);
    assert_round(balancer, 0, NULL); /* nothing was published yet */
    populate(&f);
    publish(&f);
    assert_round(balancer, 4, (const uint32_t[]){2, 3, 4, 8});
    insert(&f, 9, COVEY_NODE_ALIVE, "worker", "a");
    assert_int_equal(covey_balancer_count(balancer), 4);
    publish(&f);
    assert_round(balancer, 5, (const uint32_t[]){9, 2, 3, 4, 8}); /* after 8 */
    assert_true(cv_balancer_hub_show(f.cluster.balancers, NULL, false));
    assert_round(balancer, 0, NULL); /* left */
    covey_balancer_stats(balancer, &stats);
    assert_int_equal(stats.updates, 4);
    assert_int_equal(stats.picks_in_vain, 2);
    assert_int_equal(stats.nodes, 0);
    covey_balancer_free(balancer);
    teardown(&f);
}

static void a_key_has_its_member(void **state)
{
    (void)state;
    struct fixture f;
    const struct covey_selector all = {.all = NULL};
    struct covey_pick pick, again;
    setup(&f);
    populate(&f);
    publish(&f);
    covey_balancer *one = balancer_of(&f, &all);
    covey_balancer *other = balancer_of(&f, &all);
    for (uint32_t key = 0; key < 100; key++) {
        assert_int_equal(covey_balancer_pick_for(one, &key, sizeof key, NULL, &pick), 0);
        assert_int_equal(covey_balancer_pick_for(other, &key, sizeof key, NULL, &again), 0);
        assert_memory_equal(&pick.id, &again.id, sizeof pick.id);
        assert_int_equal(covey_balancer_pick_for(one, &key, sizeof key, &pick.id, &again), 0);
        assert_memory_not_equal(&pick.id, &again.id, sizeof pick.id);
    }
    assert_int_equal(covey_balancer_pick_for(one, NULL, 1, NULL, &pick),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_balancer_pick_for(one, NULL, 0, NULL, &pick), 0);
    covey_balancer_free(one);
    covey_balancer_free(other);
    teardown(&f);
}

static void what_cannot_be_made_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_balancer_config config;
    covey_balancer *balancer = NULL;
    const struct covey_tag no_key[] = {{"role", "worker"}, {NULL, "x"}};
    setup(&f);
    const struct covey_selector bad[] = {
        {.all = no_key, .all_count = 2},
        {.none = no_key, .none_count = 2},
        {.all = NULL, .all_count = 1},
        {.all = no_key, .all_count = COVEY_SELECTOR_TAGS_MAX + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        covey_balancer_config_init(&config);
        config.selector = bad[i];
        assert_int_equal(covey_balancer_new(&f.cluster, &config, &balancer),
                         COVEY_ERR_INVALID_ARGUMENT);
    }
    covey_balancer_config_init(&config);
    config.nodes_max = 0;
    assert_int_equal(covey_balancer_new(&f.cluster, &config, &balancer),
                     COVEY_ERR_INVALID_ARGUMENT);
    config.nodes_max = 131073;
    assert_int_equal(covey_balancer_new(&f.cluster, &config, &balancer),
                     COVEY_ERR_INVALID_ARGUMENT);
    config.nodes_max = 1;
    config.policy = (enum covey_balance_policy)4;
    assert_int_equal(covey_balancer_new(&f.cluster, &config, &balancer),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_balancer_new(NULL, NULL, &balancer), COVEY_ERR_INVALID_ARGUMENT);
    for (size_t n = 1; n <= 12; n++) { /* itself, its selector, its table */
        f.t.fail_at = f.t.calls + n;
        assert_int_equal(covey_balancer_new(&f.cluster, NULL, &balancer), COVEY_ERR_NO_MEMORY);
    }
    f.t.fail_at = 0;
    assert_int_equal(covey_balancer_new(&f.cluster, NULL, &balancer), 0);
    covey_balancer_free(balancer);
    covey_balancer_free(NULL);
    teardown(&f);
}

static void there_are_at_most_so_many(void **state)
{
    (void)state;
    struct fixture f;
    covey_balancer *balancers[COVEY_BALANCERS_MAX], *one_more;
    setup(&f);
    for (size_t i = 0; i < COVEY_BALANCERS_MAX; i++)
        assert_int_equal(covey_balancer_new(&f.cluster, NULL, &balancers[i]), 0);
    assert_int_equal(covey_balancer_new(&f.cluster, NULL, &one_more), COVEY_ERR_LIMIT);
    covey_balancer_free(balancers[0]);
    assert_int_equal(covey_balancer_new(&f.cluster, NULL, &balancers[0]), 0);
    for (size_t i = 0; i < COVEY_BALANCERS_MAX; i++)
        covey_balancer_free(balancers[i]);
    teardown(&f);
}

/* The lowest ids are chosen from; the others are counted. */
static void more_than_fit_are_left_out(void **state)
{
    (void)state;
    struct fixture f;
    struct covey_balancer_config config;
    struct covey_balancer_stats stats = {.size = sizeof stats};
    covey_balancer *balancer;
    setup(&f);
    populate(&f);
    publish(&f);
    covey_balancer_config_init(&config);
    config.nodes_max = 3;
    assert_int_equal(covey_balancer_new(&f.cluster, &config, &balancer), 0);
    assert_round(balancer, 3, (const uint32_t[]){2, 3, 4});
    covey_balancer_stats(balancer, &stats);
    assert_int_equal(stats.nodes, 3);
    assert_int_equal(stats.nodes_left_out, 1);
    covey_balancer_free(balancer);
    teardown(&f);
}

/* ---- a real cluster ---- */

static covey_balancer *workers_of(const struct member *m)
{
    static const struct covey_tag worker = {"role", "worker"};
    struct covey_balancer_config config;
    covey_balancer *balancer;
    covey_balancer_config_init(&config);
    config.selector.all = &worker;
    config.selector.all_count = 1;
    assert_int_equal(covey_balancer_new(m->cluster, &config, &balancer), 0);
    return balancer;
}

/* Who hears of a change finds it when he picks. A member that lies about its tags changes its own
 * standing and nobody else's. */
static void tags_are_followed_at_once(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b, c;
    struct covey_pick pick;
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    start(&w, &c, "c", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "c");
    covey_balancer *workers = workers_of(&a);
    assert_int_equal(covey_balancer_pick(workers, NULL, &pick), COVEY_ERR_NOT_FOUND);
    assert_int_equal(covey_server_update_tag(c.server, "role", "worker"), 0);
    wait_event(&a, COVEY_EVENT_NODE_TAGS_UPDATED, "c");
    assert_int_equal(covey_balancer_pick(workers, NULL, &pick), 0);
    const covey_node_id id = covey_cluster_self(c.cluster);
    assert_memory_equal(&pick.id, &id, sizeof id);
    assert_string_equal(pick.address, covey_server_address(c.server));
    assert_int_equal(covey_server_update_tag(b.server, "role", "worker"), 0);
    wait_event(&a, COVEY_EVENT_NODE_TAGS_UPDATED, "b");
    assert_int_equal(covey_balancer_count(workers), 2);
    stop(&b);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "b");
    assert_int_equal(covey_balancer_count(workers), 1);
    stop(&c);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "c");
    assert_int_equal(covey_balancer_pick(workers, NULL, &pick), COVEY_ERR_NOT_FOUND);
    stop(&a); /* outlives its cluster, with a pick that was not given back */
    assert_int_equal(covey_balancer_count(workers), 0);
    assert_int_equal(covey_runtime_free(w.runtime), COVEY_ERR_STATE);
    covey_balancer_done(workers, &pick);
    covey_balancer_free(workers);
    world_fini(&w);
}

struct order {
    struct cv_follower follower;
    unsigned *shown; /* so far, to all */
    unsigned place;
};

static void take_place(struct cv_follower *follower, const struct cv_snapshot *snapshot)
{
    struct order *o = (struct order *)(void *)follower; /* its first member */
    (void)snapshot;
    o->place = (*o->shown)++;
}

static struct cv_snapshot *take_newest(void *user)
{
    return cv_cluster_snapshot(user);
}

/* In whichever order they came. */
static void balancers_are_shown_it_before_clients(void **state)
{
    (void)state;
    struct fixture f;
    unsigned shown = 0;
    struct order orders[4];
    setup(&f);
    for (size_t i = 0; i < 4; i++) {
        const enum cv_follower_kind kind = i % 2 == 0 ? CV_FOLLOWER_CLIENT : CV_FOLLOWER_BALANCER;
        orders[i] = (struct order){.follower = {.kind = kind, .show = take_place}, .shown = &shown};
        assert_int_equal(
            cv_balancer_hub_join(f.cluster.balancers, &orders[i].follower, take_newest, &f.cluster),
            0);
    }
    shown = 0;
    publish(&f);
    assert_int_equal(shown, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(orders[i].place >= 2, i % 2 == 0);
        cv_balancer_hub_leave(f.cluster.balancers, &orders[i].follower);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_choose_the_alive),
        cmocka_unit_test(snapshots_are_followed),
        cmocka_unit_test(a_key_has_its_member),
        cmocka_unit_test(what_cannot_be_made_is_refused),
        cmocka_unit_test(there_are_at_most_so_many),
        cmocka_unit_test(more_than_fit_are_left_out),
        cmocka_unit_test(tags_are_followed_at_once),
        cmocka_unit_test(balancers_are_shown_it_before_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
