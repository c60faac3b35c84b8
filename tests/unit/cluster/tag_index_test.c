#include "unit/cluster/tag_fixture.h"

#include <stdlib.h>

static void build(struct cv_tag_index *x, const struct test_alloc *t, const struct tag_moment *m,
                  const struct cv_tag_index *previous)
{
    cv_tag_index_init(x, &t->alloc, fixture_secret, m->nodes, m->count);
    assert_int_equal(cv_tag_index_build(x, previous), COVEY_OK);
}

/* The postings are those of exactly the nodes that have the tag, by id. */
static void assert_finds(const struct cv_tag_index *x, const struct tag_moment *m, const char *key,
                         const char *value)
{
    const struct covey_tag tag = {.key = key, .value = value};
    struct cv_tag_range range = cv_tag_index_find(x, &tag);
    for (size_t i = 0; i < m->count; i++) {
        if (!node_has_tags(&m->nodes[i], &tag, 1))
            continue;
        assert_true(range.next < range.end);
        assert_int_equal(range.next->node, i);
        range.next++;
    }
    assert_ptr_equal(range.next, range.end);
}

static void assert_finds_all(const struct cv_tag_index *x, const struct tag_moment *m)
{
    for (size_t key = 0; key < TAG_KEYS; key++) {
        assert_finds(x, m, tag_keys[key], NULL);
        for (size_t value = 0; value < TAG_VALUES; value++)
            assert_finds(x, m, tag_keys[key], tag_values[value]);
    }
    assert_finds(x, m, "none", NULL);
    assert_finds(x, m, "role", "none");
    assert_finds(x, m, "", "");
}

/* T3: over a random history it finds what a scan finds, and is the same whether it was built from
 * the last one or from nothing. */
static void it_finds_what_a_scan_finds(void **state)
{
    (void)state;
    static struct tag_pool pool;
    static struct tag_moment moments[2];
    struct test_alloc t;
    struct cv_tag_index indexes[2], fresh;
    test_alloc_init(&t);
    tag_pool_init(&pool, 7);
    memset(moments, 0, sizeof moments);
    build(&indexes[0], &t, &moments[0], NULL);
    for (unsigned round = 1; round <= 500; round++) {
        struct tag_moment *now = &moments[round % 2];
        struct cv_tag_index *x = &indexes[round % 2], *previous = &indexes[(round + 1) % 2];
        *now = tag_moment_next(&pool, &moments[(round + 1) % 2]);
        build(x, &t, now, previous);
        build(&fresh, &t, now, NULL);
        assert_int_equal(x->count, fresh.count);
        assert_memory_equal(x->postings, fresh.postings, x->count * sizeof(*x->postings));
        assert_finds_all(x, now);
        cv_tag_index_fini(&fresh);
        cv_tag_index_fini(previous);
    }
    cv_tag_index_fini(&indexes[0]);
    test_alloc_assert_empty(&t);
}

static void one_of_another_secret_is_not_used(void **state)
{
    (void)state;
    static const uint64_t other[2] = {3, 4};
    static struct tag_pool pool;
    struct tag_moment m = {.count = 0};
    struct test_alloc t;
    struct cv_tag_index old, x;
    test_alloc_init(&t);
    tag_pool_init(&pool, 1);
    m = tag_moment_next(&pool, &m);
    assert_true(m.count > 2);
    build(&old, &t, &m, NULL);
    cv_tag_index_init(&x, &t.alloc, other, m.nodes, m.count);
    assert_int_equal(cv_tag_index_build(&x, &old), COVEY_OK);
    assert_finds_all(&x, &m);
    cv_tag_index_fini(&x);
    cv_tag_index_fini(&old);
    test_alloc_assert_empty(&t);
}

/* Each of its allocations fails once; then it is still empty, and finds nothing. */
static void without_memory_it_stays_empty(void **state)
{
    (void)state;
    static struct tag_pool pool;
    struct tag_moment m = {.count = 0};
    struct test_alloc t;
    struct cv_tag_index x;
    int error;
    size_t failures = 0;
    test_alloc_init(&t);
    tag_pool_init(&pool, 2);
    m = tag_moment_next(&pool, &m);
    cv_tag_index_init(&x, &t.alloc, fixture_secret, m.nodes, m.count);
    const struct covey_tag tag = {.key = "role", .value = NULL};
    do {
        const struct cv_tag_range none = cv_tag_index_find(&x, &tag);
        assert_ptr_equal(none.next, none.end);
        assert_int_equal(t.outstanding, 0);
        t.fail_at = t.calls + 1 + failures;
        error = cv_tag_index_build(&x, NULL);
    } while (error == COVEY_ERR_NO_MEMORY && ++failures);
    assert_int_equal(error, COVEY_OK);
    assert_int_equal(failures, 2);
    assert_finds_all(&x, &m);
    cv_tag_index_fini(&x);
    test_alloc_assert_empty(&t);
}

/* As many nodes as may be there, as many tags as one may have: the size that is promised. */
static void it_is_bounded(void **state)
{
    (void)state;
    enum { NODES = 16384 };
    static struct covey_node nodes[NODES];
    static char keys[COVEY_TAGS_MAX][4];
    static struct covey_tag tags[COVEY_TAGS_MAX];
    struct test_alloc t;
    struct cv_tag_index x, next;
    test_alloc_init(&t);
    for (unsigned i = 0; i < COVEY_TAGS_MAX; i++) {
        keys[i][0] = (char)('a' + i);
        tags[i] = (struct covey_tag){.key = keys[i], .value = "v"};
    }
    for (uint32_t i = 0; i < NODES; i++)
        nodes[i] = (struct covey_node){.id = id_of(i), .tag_count = COVEY_TAGS_MAX, .tags = tags};
    cv_tag_index_init(&x, &t.alloc, fixture_secret, nodes, NODES);
    assert_int_equal(cv_tag_index_build(&x, NULL), COVEY_OK);
    assert_int_equal(x.count * sizeof(*x.postings), NODES * 256);
    cv_tag_index_init(&next, &t.alloc, fixture_secret, nodes, NODES);
    assert_int_equal(cv_tag_index_build(&next, &x), COVEY_OK);
    assert_int_equal(next.count, x.count);
    assert_memory_equal(next.postings, x.postings, x.count * sizeof(*x.postings));
    for (unsigned i = 0; i < COVEY_TAGS_MAX; i++) {
        const struct cv_tag_range range = cv_tag_index_find(&next, &tags[i]);
        assert_int_equal(range.end - range.next, NODES);
        assert_int_equal(range.next[NODES - 1].node, NODES - 1);
    }
    cv_tag_index_fini(&x);
    cv_tag_index_fini(&next);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_a_scan_finds),
        cmocka_unit_test(one_of_another_secret_is_not_used),
        cmocka_unit_test(without_memory_it_stays_empty),
        cmocka_unit_test(it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
