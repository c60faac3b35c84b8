#include "unit/cluster/cluster_fixture.h"

#include "cluster/snapshot.h"

static void insert(struct cv_node_registry *r, struct test_alloc *t, uint32_t number,
                   enum covey_node_state state)
{
    struct cv_cluster_node *body = body_of(&t->alloc, number, 1, 0);
    struct cv_record record = record_of(number, 4, state, body);
    assert_int_equal(cv_node_registry_reserve(r, 1), COVEY_OK);
    assert_non_null(cv_node_registry_insert(r, &record, 0));
    cv_cluster_node_release(body);
}

/* It outlives the registry and does not change with it. */
static void it_is_the_moment(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_node_registry r;
    struct cv_snapshot *s;
    test_alloc_init(&t);
    cv_node_registry_init(&r, &t.alloc, fixture_secret, 10);
    insert(&r, &t, 3, COVEY_NODE_ALIVE);
    insert(&r, &t, 1, COVEY_NODE_FAILED);
    insert(&r, &t, 2, COVEY_NODE_SUSPECT);
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, &s), COVEY_OK);
    cv_node_registry_fini(&r);
    assert_ptr_equal(cv_snapshot_retain(s), s);
    cv_snapshot_release(s);
    assert_int_equal(cv_snapshot_count(s), 3);
    for (uint32_t i = 0; i < 3; i++) {
        covey_node_id id = id_of(i + 1);
        assert_true(id_equal(&cv_snapshot_at(s, i)->id, &id));
        assert_int_equal(cv_snapshot_at(s, i)->incarnation, 4);
    }
    assert_int_equal(cv_snapshot_at(s, 0)->state, COVEY_NODE_FAILED);
    assert_string_equal(cv_snapshot_at(s, 2)->address, "10.0.0.3:4433");
    cv_snapshot_release(s);
    cv_snapshot_release(NULL);
    test_alloc_assert_empty(&t);
}

static void one_of_nobody_is_empty(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_node_registry r;
    struct cv_snapshot *s;
    test_alloc_init(&t);
    cv_node_registry_init(&r, &t.alloc, fixture_secret, 10);
    t.fail_at = t.calls + 1;
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, &s), COVEY_ERR_NO_MEMORY);
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, &s), COVEY_OK);
    assert_int_equal(cv_snapshot_count(s), 0);
    cv_snapshot_release(s);
    cv_node_registry_fini(&r);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_moment),
        cmocka_unit_test(one_of_nobody_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
