#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
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
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, NULL, &s), COVEY_OK);
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
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, NULL, &s), COVEY_ERR_NO_MEMORY);
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, NULL, &s), COVEY_OK);
    assert_int_equal(cv_snapshot_count(s), 0);
    cv_snapshot_release(s);
    cv_node_registry_fini(&r);
    test_alloc_assert_empty(&t);
}

/* The one with the tag among those that are Alive. */
static const struct covey_node *only_with(const struct cv_snapshot *s, const char *key,
                                          const char *value)
{
    struct cv_tag_query query;
    cv_snapshot_with_tag(s, key, value, &query);
    const struct covey_node *node = cv_tag_query_next(&query);
    assert_null(cv_tag_query_next(&query));
    return node;
}

static struct cv_member *insert_tagged(struct cv_node_registry *r, struct test_alloc *t,
                                       uint32_t number, const char *value)
{
    const struct covey_tag tag = {.key = "role", .value = value};
    struct cv_cluster_node *body = tagged_body(&t->alloc, number, 1, 0, &tag, 1);
    struct cv_record record = record_of(number, 4, COVEY_NODE_ALIVE, body);
    assert_int_equal(cv_node_registry_reserve(r, 1), COVEY_OK);
    struct cv_member *m = cv_node_registry_insert(r, &record, 0);
    cv_cluster_node_release(body);
    return m;
}

/* Each snapshot answers for its own moment, the next one built from it. */
static void tags_are_those_of_the_moment(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_node_registry r;
    struct cv_snapshot *first, *second;
    struct cv_tag_query query;
    test_alloc_init(&t);
    cv_node_registry_init(&r, &t.alloc, fixture_secret, 10);
    struct cv_member *m = insert_tagged(&r, &t, 2, "worker");
    insert_tagged(&r, &t, 1, "director");
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, NULL, &first), COVEY_OK);

    const struct covey_tag changed = {.key = "role", .value = "idle"};
    struct cv_cluster_node *body = tagged_body(&t.alloc, 2, 1, 1, &changed, 1);
    cv_node_registry_set_body(&r, m, body, true);
    cv_cluster_node_release(body);
    insert(&r, &t, 3, COVEY_NODE_SUSPECT);
    assert_int_equal(cv_snapshot_new(&t.alloc, &r, first, &second), COVEY_OK);
    cv_node_registry_fini(&r);

    assert_ptr_equal(only_with(first, "role", "worker"), cv_snapshot_at(first, 1));
    assert_null(only_with(first, "role", "idle"));
    assert_null(only_with(second, "role", "worker"));
    assert_ptr_equal(only_with(second, "role", "idle"), cv_snapshot_at(second, 1));
    cv_snapshot_with_all_tags(second, NULL, 0, &query);
    assert_ptr_equal(cv_tag_query_next(&query), cv_snapshot_at(second, 0));
    assert_ptr_equal(cv_tag_query_next(&query), cv_snapshot_at(second, 1));
    assert_null(cv_tag_query_next(&query));

    assert_true(cv_snapshot_is_last(first));
    cv_snapshot_retain(first);
    assert_false(cv_snapshot_is_last(first));
    cv_snapshot_release(first);
    cv_snapshot_release(first);
    assert_ptr_equal(only_with(second, "role", "director"), cv_snapshot_at(second, 0));
    cv_snapshot_release(second);
    test_alloc_assert_empty(&t);
}

/* Members come, change and go at random; each snapshot, made with the one before it, is that of the
 * registry, and says of tags what a scan says. */
static void each_is_made_from_the_last(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_node_registry r;
    struct cv_snapshot *last = NULL, *s;
    struct cv_tag_query query;
    struct cv_rand rand;
    uint32_t inserted = 0;
    test_alloc_init(&t);
    cv_rand_seed(&rand, 3);
    cv_node_registry_init(&r, &t.alloc, fixture_secret, 40);
    for (int round = 0; round < 1000; round++) {
        const size_t count = cv_node_registry_count(&r);
        const uint64_t dice = cv_rand_below(&rand, 4);
        if (dice == 0 && count > 0)
            cv_node_registry_remove(&r, cv_node_registry_at(&r, cv_rand_below(&rand, count)));
        else if (dice < 3 && count < 40)
            insert_tagged(&r, &t, inserted++ * 7919 % 65536, dice == 1 ? "worker" : "director");
        assert_int_equal(cv_snapshot_new(&t.alloc, &r, last, &s), COVEY_OK);
        cv_snapshot_release(last);
        last = s;

        assert_int_equal(cv_snapshot_count(s), cv_node_registry_count(&r));
        cv_snapshot_with_tag(s, "role", "worker", &query);
        for (size_t i = 0; i < cv_snapshot_count(s); i++) {
            const struct covey_node *node = cv_snapshot_at(s, i);
            assert_true(i == 0 ||
                        covey_node_id_compare(&cv_snapshot_at(s, i - 1)->id, &node->id) < 0);
            assert_non_null(cv_node_registry_get(&r, &node->id));
            const struct cv_record record = cv_snapshot_record(s, i);
            assert_true(id_equal(&record.id, &node->id));
            if (strcmp(covey_node_tag(node, "role"), "worker") == 0)
                assert_ptr_equal(cv_tag_query_next(&query), node);
        }
        assert_null(cv_tag_query_next(&query));
    }
    cv_snapshot_release(last);
    cv_node_registry_fini(&r);
    test_alloc_assert_empty(&t);
}

/* Whichever allocation fails, nothing is left of it. */
static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_node_registry r;
    struct cv_snapshot *s;
    int error = COVEY_ERR_NO_MEMORY;
    size_t failures = 0;
    test_alloc_init(&t);
    cv_node_registry_init(&r, &t.alloc, fixture_secret, 10);
    insert_tagged(&r, &t, 1, "worker");
    const size_t outstanding = t.outstanding;
    for (; error == COVEY_ERR_NO_MEMORY; failures++) {
        assert_int_equal(t.outstanding, outstanding);
        t.fail_at = t.calls + 1 + failures;
        error = cv_snapshot_new(&t.alloc, &r, NULL, &s);
    }
    assert_int_equal(error, COVEY_OK);
    assert_int_equal(failures, 5);
    cv_snapshot_release(s);
    cv_node_registry_fini(&r);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_those_of_the_moment),
        cmocka_unit_test(each_is_made_from_the_last),
        cmocka_unit_test(without_memory_there_is_none),
        cmocka_unit_test(it_is_the_moment),
        cmocka_unit_test(one_of_nobody_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
