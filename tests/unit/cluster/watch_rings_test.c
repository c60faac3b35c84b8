#include "unit/cluster/cluster_fixture.h"

#include "cluster/watch_rings.h"

#include <stdlib.h>

#define RINGS 5

/* A registry of nodes 0 to count - 1, as everybody has it. */
static struct fixture {
    struct test_alloc t;
    struct cv_node_registry r;
} f;

static struct cv_member *add(uint32_t number, enum covey_node_state state)
{
    struct cv_cluster_node *body = body_of(&f.t.alloc, number, 1, 0);
    struct cv_record record = record_of(number, 1, state, body);
    assert_int_equal(cv_node_registry_reserve(&f.r, 1), COVEY_OK);
    struct cv_member *m = cv_node_registry_insert(&f.r, &record, 0);
    assert_non_null(m);
    cv_cluster_node_release(body);
    return m;
}

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&f.t);
    cv_node_registry_init(&f.r, &f.t.alloc, fixture_secret, 4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_node_registry_fini(&f.r);
    test_alloc_assert_empty(&f.t);
    return 0;
}

static void choose(struct cv_watch_rings *r, uint32_t number, size_t rings)
{
    const covey_node_id id = id_of(number);
    cv_watch_rings_init(r, &id, rings);
    assert_int_equal(r->chosen_count, 0);
    cv_watch_rings_choose(r, &f.r);
}

static uint32_t number_of(const covey_node_id *id)
{
    return (uint32_t)id->bytes[0] << 8 | id->bytes[1];
}

/* Everybody watches w different others, and never itself; so each is watched by w on average. */
static void check_distribution(uint32_t count, uint32_t most)
{
    uint32_t *watchers = calloc(count, sizeof(*watchers));
    assert_non_null(watchers);
    size_t wanted = count - 1 < RINGS ? count - 1 : RINGS;
    for (uint32_t i = 0; i < count; i++) {
        struct cv_watch_rings r;
        choose(&r, i, RINGS);
        assert_int_equal(r.chosen_count, wanted);
        for (size_t k = 0; k < wanted; k++) {
            assert_int_not_equal(number_of(&r.chosen[k]), i);
            for (size_t j = 0; j < k; j++)
                assert_false(id_equal(&r.chosen[j], &r.chosen[k]));
            assert_true(cv_watch_rings_misses(&r, &r.chosen[k]));
            watchers[number_of(&r.chosen[k])]++;
        }
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += watchers[i];
        assert_true(watchers[i] >= 1 && watchers[i] <= most);
    }
    assert_int_equal(sum, count * wanted);
    free(watchers);
}

static void everybody_is_watched_by_some(void **state)
{
    static const uint32_t counts[] = {2, 3, 5, 6, 7, 50, 1000};
    (void)state;
    uint32_t known = 0;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        while (known < counts[i])
            add(known++, COVEY_NODE_ALIVE);
        /* In a cluster of w + 1 or fewer it is everybody. Above, never more than the 3w that a
         * subject takes. */
        check_distribution(counts[i], counts[i] <= RINGS + 1 ? counts[i] - 1 : 3 * RINGS);
    }
}

static void alone_there_is_nobody(void **state)
{
    (void)state;
    struct cv_watch_rings r;
    const covey_node_id other = id_of(1);
    add(0, COVEY_NODE_ALIVE);
    choose(&r, 0, RINGS);
    assert_int_equal(r.chosen_count, 0);
    assert_true(cv_watch_rings_wants(&r, &other));
    assert_false(cv_watch_rings_misses(&r, &other));
    choose(&r, 0, 0);
    add(1, COVEY_NODE_ALIVE);
    cv_watch_rings_choose(&r, &f.r);
    assert_int_equal(r.chosen_count, 0);
    assert_false(cv_watch_rings_wants(&r, &other));
}

/* Who is suspected is watched all the more; who is gone is not. */
static void the_live_are_watched(void **state)
{
    (void)state;
    struct cv_watch_rings r;
    const covey_node_id suspect = id_of(1), failed = id_of(2), left = id_of(3);
    add(0, COVEY_NODE_ALIVE);
    add(1, COVEY_NODE_SUSPECT);
    add(2, COVEY_NODE_FAILED);
    add(3, COVEY_NODE_LEFT);
    choose(&r, 0, RINGS);
    assert_int_equal(r.chosen_count, 1);
    assert_true(cv_watch_rings_misses(&r, &suspect));
    assert_false(cv_watch_rings_misses(&r, &failed));
    assert_false(cv_watch_rings_misses(&r, &left));
}

/* By the ids alone: not by who asks, nor by the order in which it heard of them. */
static void the_order_of_arrival_does_not_matter(void **state)
{
    (void)state;
    struct cv_watch_rings first, second;
    for (uint32_t i = 0; i < 60; i++)
        add(i, COVEY_NODE_ALIVE);
    choose(&first, 7, RINGS);
    teardown(state);
    setup(state);
    for (uint32_t i = 60; i-- > 0;)
        add(i, COVEY_NODE_ALIVE);
    choose(&second, 7, RINGS);
    assert_memory_equal(first.chosen, second.chosen, sizeof(first.chosen));
    assert_memory_equal(first.distances, second.distances, sizeof(first.distances));
}

/* All implementations must agree, so the places are pinned: w = 5 among nodes 0 to 19. */
static void the_places_are_those_of_the_protocol(void **state)
{
    (void)state;
    struct cv_watch_rings r;
    for (uint32_t i = 0; i < 20; i++)
        add(i, COVEY_NODE_ALIVE);
    choose(&r, 0, RINGS);
    /* mix(mix(ring + 1) ^ mix(high ^ mix(low))), counted by a program of a few lines apart from
     * this code. */
    static const uint32_t expected[RINGS] = {14, 16, 18, 2, 13};
    for (size_t i = 0; i < RINGS; i++)
        assert_int_equal(number_of(&r.chosen[i]), expected[i]);
}

static bool is_same(const struct cv_watch_rings *a, const struct cv_watch_rings *b)
{
    return a->chosen_count == b->chosen_count &&
           memcmp(a->chosen, b->chosen, a->chosen_count * sizeof(a->chosen[0])) == 0;
}

/* Asking whether a choice is to be made anew says exactly when it would be another one: here with
 * every newcomer and every goodbye of some hundred nodes, for three observers. */
static void wants_and_misses_are_exact(void **state)
{
    (void)state;
    struct cv_watch_rings before, after;
    size_t changes = 0;
    add(0, COVEY_NODE_ALIVE);
    for (uint32_t i = 1; i < 300; i++) {
        const covey_node_id id = id_of(i * 7919 % 65536);
        for (size_t rings = 0; rings <= CV_RINGS_MAX; rings += 4) {
            choose(&before, 0, rings);
            struct cv_member *m = add(i * 7919 % 65536, COVEY_NODE_ALIVE);
            after = before;
            cv_watch_rings_choose(&after, &f.r);
            assert_int_equal(cv_watch_rings_wants(&before, &id), !is_same(&before, &after));
            changes += !is_same(&before, &after);
            cv_node_registry_remove(&f.r, m);
            struct cv_watch_rings again = after;
            cv_watch_rings_choose(&again, &f.r);
            assert_int_equal(cv_watch_rings_misses(&after, &id), !is_same(&after, &again));
            assert_true(is_same(&before, &again));
        }
        add(i * 7919 % 65536, COVEY_NODE_ALIVE);
    }
    assert_true(changes > 20 && changes < 300);
}

#define RINGS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RINGS_TEST(everybody_is_watched_by_some),
        RINGS_TEST(alone_there_is_nobody),
        RINGS_TEST(the_live_are_watched),
        RINGS_TEST(the_order_of_arrival_does_not_matter),
        RINGS_TEST(the_places_are_those_of_the_protocol),
        RINGS_TEST(wants_and_misses_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
