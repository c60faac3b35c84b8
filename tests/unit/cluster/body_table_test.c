#include "unit/cluster/cluster_fixture.h"

#include "cluster/body_table.h"

static struct fixture {
    struct test_alloc t;
    struct cv_body_table table;
} f;

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&f.t);
    cv_body_table_init(&f.table, &f.t.alloc, fixture_secret);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_body_table_fini(&f.table);
    test_alloc_assert_empty(&f.t);
    return 0;
}

static struct cv_cluster_node *intern(uint32_t number, uint32_t version)
{
    return cv_body_table_intern(&f.table, body_of(&f.t.alloc, number, 1, version));
}

/* The same statement is kept once, another one apart. */
static void equal_bodies_are_one(void **state)
{
    (void)state;
    struct cv_cluster_node *a = intern(1, 0), *b = intern(1, 0), *c = intern(1, 1);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(cv_body_table_count(&f.table), 2);
    /* What is in the table may be given again. */
    assert_ptr_equal(cv_body_table_intern(&f.table, cv_cluster_node_retain(a)), a);
    cv_cluster_node_release(a);
    assert_int_equal(cv_body_table_count(&f.table), 2);
    cv_cluster_node_release(a);
    cv_cluster_node_release(b);
    cv_cluster_node_release(c);
}

/* A body outlives the table when somebody holds it. */
static void the_table_holds_one_reference(void **state)
{
    (void)state;
    struct cv_cluster_node *a = intern(1, 0);
    cv_body_table_fini(&f.table);
    cv_body_table_init(&f.table, &f.t.alloc, fixture_secret);
    assert_false(cv_cluster_node_is_shared(a));
    assert_int_equal(a->version, 0);
    cv_cluster_node_release(a);
}

/* Two that hash alike are not mixed up: the second one stays out. */
static void a_collision_is_no_sharing(void **state)
{
    (void)state;
    struct cv_cluster_node *a = intern(1, 0);
    struct cv_cluster_node *b = body_of(&f.t.alloc, 2, 1, 0);
    b->hash = a->hash;
    assert_ptr_equal(cv_body_table_intern(&f.table, b), b);
    assert_false(cv_cluster_node_is_shared(b));
    assert_int_equal(cv_body_table_count(&f.table), 1);
    cv_cluster_node_release(a);
    cv_cluster_node_release(b);
}

/* Those that nobody else holds go when there are many; the table follows what is in use. */
static void what_nobody_holds_is_swept(void **state)
{
    (void)state;
    static struct cv_cluster_node *held[100];
    for (uint32_t i = 0; i < 100; i++)
        held[i] = intern(i, 0);
    for (uint32_t i = 0; i < 10000; i++) {
        cv_cluster_node_release(intern(1000 + i % 60000, i));
        assert_true(cv_body_table_count(&f.table) <= 1024);
    }
    for (uint32_t i = 0; i < 100; i++) {
        struct cv_cluster_node *again = intern(i, 0);
        assert_ptr_equal(again, held[i]);
        cv_cluster_node_release(again);
    }
    for (uint32_t i = 0; i < 100; i++)
        cv_cluster_node_release(held[i]);
}

/* All in use: the bound moves on, and each is still found. */
static void what_is_held_stays(void **state)
{
    (void)state;
    static struct cv_cluster_node *held[5000];
    for (uint32_t i = 0; i < 5000; i++)
        held[i] = intern(i, 0);
    assert_int_equal(cv_body_table_count(&f.table), 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        struct cv_cluster_node *again = intern(i, 0);
        assert_ptr_equal(again, held[i]);
        cv_cluster_node_release(again);
        cv_cluster_node_release(held[i]);
    }
}

/* Without memory for the table a body is its owner's alone. */
static void without_memory_nothing_is_shared(void **state)
{
    (void)state;
    struct cv_cluster_node *a = body_of(&f.t.alloc, 1, 1, 0);
    f.t.fail_at = f.t.calls + 1;
    f.t.fail_all_after = true;
    assert_ptr_equal(cv_body_table_intern(&f.table, a), a);
    assert_false(cv_cluster_node_is_shared(a));
    assert_int_equal(cv_body_table_count(&f.table), 0);
    f.t.fail_at = 0;
    assert_ptr_equal(cv_body_table_intern(&f.table, a), a);
    assert_true(cv_cluster_node_is_shared(a));
    cv_cluster_node_release(a);
}

#define TABLE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(equal_bodies_are_one),      TABLE_TEST(the_table_holds_one_reference),
        TABLE_TEST(a_collision_is_no_sharing), TABLE_TEST(what_nobody_holds_is_swept),
        TABLE_TEST(what_is_held_stays),        TABLE_TEST(without_memory_nothing_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
