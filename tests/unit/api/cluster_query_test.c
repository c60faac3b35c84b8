#define _POSIX_C_SOURCE 200809L
#include "unit/cluster/cluster_fixture.h"

#include "api/cluster.h"

/* A cluster of which there is only what queries use. */
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
    cv_node_registry_init(&f->registry, &f->t.alloc, fixture_secret, 10);
    assert_int_equal(cv_node_registry_reserve(&f->registry, 10), 0);
    assert_int_equal(cv_view_init(&f->cluster.view), 0);
}

static void teardown(struct fixture *f)
{
    cv_view_fini(&f->cluster.view);
    cv_node_registry_fini(&f->registry);
    assert_int_equal(atomic_load(&f->runtime.users), 0);
    test_alloc_assert_empty(&f->t);
}

static void insert(struct fixture *f, uint32_t number, enum covey_node_state node_state,
                   const char *role)
{
    const struct covey_tag tags[] = {{"available", "true"}, {"role", role}};
    struct cv_cluster_node *body = tagged_body(&f->t.alloc, number, 1, 0, tags, 2);
    const struct cv_record record = record_of(number, 1, node_state, body);
    assert_non_null(cv_node_registry_insert(&f->registry, &record, 0));
    cv_cluster_node_release(body);
}

static void publish(struct fixture *f)
{
    insert(f, 4, COVEY_NODE_ALIVE, "worker");
    insert(f, 3, COVEY_NODE_FAILED, "worker");
    insert(f, 2, COVEY_NODE_ALIVE, "director");
    insert(f, 1, COVEY_NODE_ALIVE, "worker");
    assert_int_equal(cv_view_publish(&f->cluster.view, &f->t.alloc, &f->registry, false), 0);
}

/* These and no others, and frees the list. */
static void assert_lists(covey_node_list *list, size_t count, const uint32_t *numbers)
{
    assert_int_equal(covey_node_list_count(list), count);
    for (size_t i = 0; i < count; i++) {
        const covey_node_id id = id_of(numbers[i]);
        assert_true(id_equal(&covey_node_list_at(list, i)->id, &id));
    }
    assert_null(covey_node_list_at(list, count));
    covey_node_list_free(list);
}

static void queries_select_the_alive(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    const struct covey_tag both[] = {{"role", "worker"}, {"available", NULL}};
    setup(&f);
    publish(&f);
    const covey_node_id self = covey_cluster_self(&f.cluster);
    assert_true(id_equal(&self, &f.cluster.self));
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", "worker", &list), 0);
    assert_lists(list, 2, (const uint32_t[]){1, 4});
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", NULL, &list), 0);
    assert_lists(list, 3, (const uint32_t[]){1, 2, 4});
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", "none", &list), 0);
    assert_lists(list, 0, NULL);
    assert_int_equal(covey_cluster_nodes_with_all_tags(&f.cluster, both, 2, &list), 0);
    assert_lists(list, 2, (const uint32_t[]){1, 4});
    assert_int_equal(covey_cluster_nodes_with_all_tags(&f.cluster, NULL, 0, &list), 0);
    assert_lists(list, 3, (const uint32_t[]){1, 2, 4});
    assert_int_equal(covey_cluster_members(&f.cluster, &list), 0);
    assert_lists(list, 4, (const uint32_t[]){1, 2, 3, 4});
    teardown(&f);
}

static void before_the_first_publication_nobody_is_there(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    setup(&f);
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", NULL, &list), 0);
    assert_lists(list, 0, NULL);
    assert_int_equal(covey_cluster_members(&f.cluster, &list), 0);
    assert_lists(list, 0, NULL);
    teardown(&f);
}

static void a_key_is_needed(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list = NULL;
    const struct covey_tag tags[] = {{"role", NULL}, {NULL, "worker"}};
    setup(&f);
    publish(&f);
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, NULL, "worker", &list),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_nodes_with_all_tags(&f.cluster, tags, 2, &list),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_nodes_with_all_tags(&f.cluster, NULL, 1, &list),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_null(list);
    teardown(&f);
}

/* A query allocates once, and is an error without that. */
static void a_query_allocates_once(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    setup(&f);
    publish(&f);
    f.t.fail_at = f.t.calls + 1;
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", NULL, &list),
                     COVEY_ERR_NO_MEMORY);
    f.t.fail_at = f.t.calls + 1;
    assert_int_equal(covey_cluster_members(&f.cluster, &list), COVEY_ERR_NO_MEMORY);
    const size_t calls = f.t.calls;
    assert_int_equal(covey_cluster_nodes_with_tag(&f.cluster, "role", NULL, &list), 0);
    assert_int_equal(f.t.calls, calls + 1);
    covey_node_list_free(list);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_select_the_alive),
        cmocka_unit_test(before_the_first_publication_nobody_is_there),
        cmocka_unit_test(a_key_is_needed),
        cmocka_unit_test(a_query_allocates_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
