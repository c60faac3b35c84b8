#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/member_table.h"

#define COUNT 5000

static covey_node_id ids[COUNT];

static const covey_node_id *id_at(const void *owner, uint32_t number)
{
    return &((const covey_node_id *)owner)[number];
}

static void setup(struct test_alloc *t, struct cv_member_table *table)
{
    for (uint32_t i = 0; i < COUNT; i++)
        ids[i] = id_of(i);
    test_alloc_init(t);
    cv_member_table_init(table, &t->alloc, fixture_secret, id_at, ids);
}

/* Any sequence of puts and removals leaves exactly those that were put and not removed. */
static void it_is_a_map(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_member_table table;
    static bool is_in[COUNT];
    struct cv_rand rand;
    setup(&t, &table);
    cv_rand_seed(&rand, 1);
    assert_int_equal(cv_member_table_get(&table, &ids[0]), CV_MEMBER_TABLE_NONE);
    for (size_t step = 0; step < 40000; step++) {
        /* At first it grows, then it shrinks. */
        size_t bound = step < 20000 ? COUNT : COUNT / 50;
        uint32_t number = (uint32_t)cv_rand_below(&rand, bound);
        assert_int_equal(cv_member_table_get(&table, &ids[number]),
                         is_in[number] ? number : CV_MEMBER_TABLE_NONE);
        if (is_in[number]) {
            cv_member_table_remove(&table, &ids[number]);
        } else {
            assert_int_equal(cv_member_table_reserve(&table, 1), COVEY_OK);
            cv_member_table_put(&table, number);
        }
        is_in[number] = !is_in[number];
    }
    size_t count = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        count += is_in[i];
        assert_int_equal(cv_member_table_get(&table, &ids[i]), is_in[i] ? i : CV_MEMBER_TABLE_NONE);
    }
    assert_int_equal(table.count, count);
    cv_member_table_fini(&table);
    test_alloc_assert_empty(&t);
}

/* With the hash at hand it finds the same; what is guessed without asking for ids is hardly ever another
 * member, and never one when there is none. */
static void a_hash_finds_the_same(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_member_table table;
    size_t wrong = 0;
    setup(&t, &table);
    uint64_t hash = cv_member_table_hash(&table, &ids[0]);
    cv_member_table_prefetch(&table, hash);
    assert_int_equal(cv_member_table_guess(&table, hash), CV_MEMBER_TABLE_NONE);
    assert_int_equal(cv_member_table_get_hashed(&table, hash, &ids[0]), CV_MEMBER_TABLE_NONE);
    assert_int_equal(cv_member_table_reserve(&table, COUNT), COVEY_OK);
    for (uint32_t i = 0; i < COUNT; i += 2)
        cv_member_table_put(&table, i);
    for (uint32_t i = 0; i < COUNT; i++) {
        hash = cv_member_table_hash(&table, &ids[i]);
        cv_member_table_prefetch(&table, hash);
        const uint32_t there = i % 2 == 0 ? i : CV_MEMBER_TABLE_NONE;
        assert_int_equal(cv_member_table_get_hashed(&table, hash, &ids[i]), there);
        const uint32_t guess = cv_member_table_guess(&table, hash);
        assert_true(guess == CV_MEMBER_TABLE_NONE || guess % 2 == 0);
        wrong += guess != there;
    }
    assert_true(wrong < COUNT / 100);
    cv_member_table_fini(&table);
    test_alloc_assert_empty(&t);
}

static void a_reserve_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_member_table table;
    setup(&t, &table);
    assert_int_equal(cv_member_table_reserve(&table, 12), COVEY_OK);
    for (uint32_t i = 0; i < 12; i++)
        cv_member_table_put(&table, i);
    t.fail_at = t.calls + 1;
    assert_int_equal(cv_member_table_reserve(&table, 1), COVEY_ERR_NO_MEMORY);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(cv_member_table_get(&table, &ids[i]), i);
    cv_member_table_fini(&table);
    test_alloc_assert_empty(&t);
}

/* What a registry of many nodes can afford: at most 11 bytes for each. */
static void it_is_small(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_member_table table;
    setup(&t, &table);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(cv_member_table_reserve(&table, 1), COVEY_OK);
        cv_member_table_put(&table, i);
    }
    assert_true(table.capacity * sizeof(*table.entries) <= 11 * COUNT);
    cv_member_table_fini(&table);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_map),
        cmocka_unit_test(a_hash_finds_the_same),
        cmocka_unit_test(a_reserve_that_fails_changes_nothing),
        cmocka_unit_test(it_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
