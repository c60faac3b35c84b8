#include "unit/cluster/tag_fixture.h"

#include "cluster/tag_query.h"

#include <stdio.h>

struct fixture {
    struct test_alloc t;
    struct tag_pool pool;
    struct tag_moment moment;
    struct cv_tag_index index;
};

static void setup(struct fixture *f, uint64_t seed)
{
    const struct tag_moment nobody = {.count = 0};
    test_alloc_init(&f->t);
    tag_pool_init(&f->pool, seed);
    f->moment = tag_moment_next(&f->pool, &nobody);
    for (int i = 0; i < 10; i++)
        f->moment = tag_moment_next(&f->pool, &f->moment);
    cv_tag_index_init(&f->index, &f->t.alloc, fixture_secret, f->moment.nodes, f->moment.count);
    assert_int_equal(cv_tag_index_build(&f->index, NULL), COVEY_OK);
}

static void teardown(struct fixture *f)
{
    cv_tag_index_fini(&f->index);
    test_alloc_assert_empty(&f->t);
}

/* No more than have the rarest of the tags: what the walk costs. */
static void assert_is_short(const struct fixture *f, const struct covey_tag *tags, size_t count,
                            size_t count_max)
{
    for (size_t i = 0; i < count; i++) {
        size_t have = 0;
        for (size_t k = 0; k < f->moment.count; k++)
            have += node_has_tags(&f->moment.nodes[k], &tags[i], 1);
        assert_true(count_max <= have);
    }
}

/* Says how many there were. */
static size_t assert_walks(const struct fixture *f, const struct covey_tag *tags, size_t count)
{
    struct cv_tag_query q;
    size_t found = 0;
    cv_tag_query_init(&q, &f->index, tags, count);
    const size_t count_max = cv_tag_query_count_max(&q);
    assert_is_short(f, tags, count, count_max);
    for (size_t i = 0; i < f->moment.count; i++) {
        const struct covey_node *node = &f->moment.nodes[i];
        if (!node_has_tags(node, tags, count))
            continue;
        assert_true(cv_tag_query_count_max(&q) > 0);
        assert_ptr_equal(cv_tag_query_next(&q), node);
        found++;
    }
    assert_null(cv_tag_query_next(&q));
    assert_null(cv_tag_query_next(&q));
    assert_true(found <= count_max);
    assert_true(count != 1 || found == count_max);
    return found;
}

/* T3 for up to five tags, of which some are asked for twice. */
static void it_finds_what_a_scan_finds(void **state)
{
    (void)state;
    static struct fixture f;
    size_t found[6] = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        setup(&f, seed);
        for (int round = 0; round < 500; round++) {
            struct covey_tag tags[5];
            const size_t count = (size_t)cv_rand_below(&f.pool.rand, 6);
            for (size_t i = 0; i < count; i++) {
                tags[i] = tag_pool_tag(&f.pool);
                if (cv_rand_below(&f.pool.rand, 2) == 0)
                    tags[i].value = NULL;
            }
            found[count] += assert_walks(&f, tags, count);
        }
        teardown(&f);
    }
    for (size_t i = 0; i < 6; i++)
        assert_true(found[i] > 0);
}

static void nobody_has_what_no_tag_can_be(void **state)
{
    (void)state;
    static struct fixture f;
    char text[COVEY_TAG_VALUE_MAX + 2] = {0};
    memset(text, 'x', COVEY_TAG_VALUE_MAX + 1);
    setup(&f, 3);
    const struct covey_tag tags[] = {{"role", NULL}, {text, NULL}, {"role", text}, {"", NULL}};
    assert_true(assert_walks(&f, &tags[0], 1) > 0);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(assert_walks(&f, &tags[i], 1), 0);
        assert_int_equal(assert_walks(&f, tags, i + 1), 0);
    }
    teardown(&f);
}

/* A node with all the tags that one can have; asked for all of them, keys and values, and once more;
 * and for one more than that. */
static void there_is_a_limit_of_what_one_can_have(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_tag_index x;
    struct cv_tag_query q;
    char keys[COVEY_TAGS_MAX][4];
    struct covey_tag tags[COVEY_TAGS_MAX], asked[2 * COVEY_TAGS_MAX + 1];
    struct covey_node nodes[2] = {{.id = id_of(1), .tag_count = COVEY_TAGS_MAX, .tags = tags},
                                  {.id = id_of(2), .tag_count = 1}};
    const struct covey_tag other = {.key = "other", .value = "v"};
    nodes[1].tags = &other;
    for (unsigned i = 0; i < COVEY_TAGS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%02u", i);
        tags[i] = (struct covey_tag){.key = keys[i], .value = "v"};
        asked[i] = tags[i];
        asked[COVEY_TAGS_MAX + i] = (struct covey_tag){.key = keys[i], .value = NULL};
    }
    test_alloc_init(&t);
    cv_tag_index_init(&x, &t.alloc, fixture_secret, nodes, 2);
    assert_int_equal(cv_tag_index_build(&x, NULL), COVEY_OK);
    asked[2 * COVEY_TAGS_MAX] = tags[3];
    cv_tag_query_init(&q, &x, asked, 2 * COVEY_TAGS_MAX + 1);
    assert_ptr_equal(cv_tag_query_next(&q), &nodes[0]);
    assert_null(cv_tag_query_next(&q));
    asked[2 * COVEY_TAGS_MAX] = other;
    cv_tag_query_init(&q, &x, asked, 2 * COVEY_TAGS_MAX + 1);
    assert_int_equal(cv_tag_query_count_max(&q), 0);
    assert_null(cv_tag_query_next(&q));
    cv_tag_index_fini(&x);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_a_scan_finds),
        cmocka_unit_test(nobody_has_what_no_tag_can_be),
        cmocka_unit_test(there_is_a_limit_of_what_one_can_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
