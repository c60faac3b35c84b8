#include "transport/connection_pool.h"

#include "support/test_alloc.h"

#include <covey/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t secret[2] = {1, 2};

static covey_node_id id_of(uint8_t first)
{
    return (covey_node_id){.bytes = {first}};
}

struct side {
    struct test_alloc memory;
    struct cv_connection_pool pool;
};

static void side_init(struct side *s, uint8_t self, size_t max)
{
    covey_node_id id = id_of(self);
    test_alloc_init(&s->memory);
    cv_connection_pool_init(&s->pool, &s->memory.alloc, &id, secret, max);
}

static void side_fini(struct side *s)
{
    cv_connection_pool_fini(&s->pool);
    test_alloc_assert_empty(&s->memory);
}

static enum cv_pool_verdict offer(struct side *s, uint8_t peer, char *connection, bool accepted,
                                  covey_time now, void **loser)
{
    covey_node_id id = id_of(peer);
    enum cv_pool_verdict verdict;
    assert_int_equal(
        cv_connection_pool_add(&s->pool, &id, connection, accepted, now, &verdict, loser), 0);
    return verdict;
}

static void one_connection_for_each_peer(void **state)
{
    (void)state;
    struct side s;
    char a, b;
    void *loser;
    side_init(&s, 5, 10);
    assert_int_equal(offer(&s, 1, &a, false, 0, &loser), CV_POOL_ADDED);
    assert_int_equal(offer(&s, 2, &b, true, 0, &loser), CV_POOL_ADDED);
    assert_null(loser);
    covey_node_id one = id_of(1), two = id_of(2), three = id_of(3);
    assert_ptr_equal(cv_connection_pool_get(&s.pool, &one), &a);
    assert_ptr_equal(cv_connection_pool_get(&s.pool, &two), &b);
    assert_null(cv_connection_pool_get(&s.pool, &three));
    assert_false(cv_connection_pool_remove(&s.pool, &one, &b));
    assert_true(cv_connection_pool_remove(&s.pool, &one, &a));
    assert_false(cv_connection_pool_remove(&s.pool, &one, &a));
    assert_int_equal(cv_connection_pool_count(&s.pool), 1);
    side_fini(&s);
}

/* Both ends of two crossing connections keep the same one, in whatever order they see them. */
static void crossing_dials_agree(void **state)
{
    (void)state;
    char by_low, by_high; /* who dialled */
    for (int order = 0; order < 4; order++) {
        struct side low, high;
        void *loser;
        side_init(&low, 1, 10);
        side_init(&high, 2, 10);
        covey_node_id low_id = id_of(1), high_id = id_of(2);
        if (order & 1) {
            offer(&low, 2, &by_low, false, 0, &loser);
            offer(&low, 2, &by_high, true, 1, &loser);
        } else {
            offer(&low, 2, &by_high, true, 0, &loser);
            offer(&low, 2, &by_low, false, 1, &loser);
        }
        if (order & 2) {
            offer(&high, 1, &by_low, true, 0, &loser);
            offer(&high, 1, &by_high, false, 1, &loser);
        } else {
            offer(&high, 1, &by_high, false, 0, &loser);
            offer(&high, 1, &by_low, true, 1, &loser);
        }
        assert_ptr_equal(cv_connection_pool_get(&low.pool, &high_id), &by_low);
        assert_ptr_equal(cv_connection_pool_get(&high.pool, &low_id), &by_low);
        side_fini(&low);
        side_fini(&high);
    }
}

static void after_a_crossing_the_newer_one_stays(void **state)
{
    (void)state;
    struct side s;
    char old, new;
    void *loser;
    side_init(&s, 1, 10);
    offer(&s, 2, &old, false, 0, &loser);
    /* at 1 s the peer has restarted and dials us; we have the lower id */
    assert_int_equal(offer(&s, 2, &new, true, CV_POOL_CROSSING - 1, &loser), CV_POOL_KEPT);
    assert_null(loser);
    assert_int_equal(offer(&s, 2, &new, true, CV_POOL_CROSSING, &loser), CV_POOL_REPLACED);
    assert_ptr_equal(loser, &old);
    side_fini(&s);
}

static void a_second_one_from_the_same_side_replaces(void **state)
{
    (void)state;
    struct side s;
    char old, new;
    void *loser;
    side_init(&s, 1, 10);
    offer(&s, 2, &old, true, 0, &loser);
    assert_int_equal(offer(&s, 2, &new, true, 1, &loser), CV_POOL_REPLACED);
    assert_ptr_equal(loser, &old);
    covey_node_id two = id_of(2);
    assert_false(cv_connection_pool_remove(&s.pool, &two, &old));
    assert_ptr_equal(cv_connection_pool_get(&s.pool, &two), &new);
    side_fini(&s);
}

static void the_bound_holds(void **state)
{
    (void)state;
    struct side s;
    char a, b, c;
    void *loser;
    side_init(&s, 9, 2);
    offer(&s, 1, &a, true, 0, &loser);
    offer(&s, 2, &b, true, 0, &loser);
    covey_node_id three = id_of(3);
    enum cv_pool_verdict verdict;
    assert_int_equal(cv_connection_pool_add(&s.pool, &three, &c, true, 0, &verdict, &loser),
                     COVEY_ERR_LIMIT);
    assert_int_equal(cv_connection_pool_count(&s.pool), 2);
    assert_int_equal(offer(&s, 2, &c, true, 1, &loser), CV_POOL_REPLACED);
    side_fini(&s);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        struct side s;
        char a;
        void *loser;
        side_init(&s, 9, 10);
        s.memory.fail_at = n;
        covey_node_id one = id_of(1);
        enum cv_pool_verdict verdict;
        assert_int_equal(cv_connection_pool_add(&s.pool, &one, &a, true, 0, &verdict, &loser),
                         COVEY_ERR_NO_MEMORY);
        assert_int_equal(cv_connection_pool_count(&s.pool), 0);
        assert_null(cv_connection_pool_get(&s.pool, &one));
        side_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_for_each_peer),
        cmocka_unit_test(crossing_dials_agree),
        cmocka_unit_test(after_a_crossing_the_newer_one_stays),
        cmocka_unit_test(a_second_one_from_the_same_side_replaces),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
