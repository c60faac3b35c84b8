#include "quic/stream_table.h"

#include "base/rand.h"
#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void put(struct cv_stream_table *t, int64_t id, struct cv_stream_entry *entry)
{
    assert_int_equal(cv_stream_table_reserve(t), 0);
    entry->id = id;
    cv_stream_table_put(t, entry);
}

static void test_empty(void **state)
{
    struct test_alloc a;
    struct cv_stream_table t;
    struct cv_stream_entry entry;
    (void)state;
    test_alloc_init(&a);
    cv_stream_table_init(&t, &a.alloc, 0);
    assert_null(cv_stream_table_get(&t, 0));
    assert_int_equal(a.calls, 0);
    put(&t, 0, &entry);
    assert_ptr_equal(cv_stream_table_get(&t, 0), &entry);
    assert_null(cv_stream_table_get(&t, 4));
    cv_stream_table_remove(&t, &entry);
    assert_null(cv_stream_table_get(&t, 0));
    cv_stream_table_fini(&t);
    test_alloc_assert_empty(&a);
}

/* Against a plain array, with every multiplier as bad as it gets: 1 makes all ids neighbours. */
static void test_like_an_array(void **state)
{
    static struct cv_stream_entry streams[1024];
    static const uint64_t multipliers[] = {1, 3, UINT64_C(0x9e3779b97f4a7c15), UINT64_MAX};
    (void)state;
    for (size_t m = 0; m < 4; m++) {
        struct test_alloc a;
        struct cv_stream_table t;
        struct cv_rand r;
        bool there[1024] = {false};
        size_t count = 0;
        cv_rand_seed(&r, m);
        test_alloc_init(&a);
        cv_stream_table_init(&t, &a.alloc, multipliers[m]);
        for (int step = 0; step < 20000; step++) {
            size_t i = (size_t)cv_rand_below(&r, step < 10000 ? 1024 : 40);
            int64_t id = (int64_t)i * 4;
            if (there[i]) {
                cv_stream_table_remove(&t, &streams[i]);
                count--;
            } else {
                put(&t, id, &streams[i]);
                count++;
            }
            there[i] = !there[i];
            size_t probe = (size_t)cv_rand_below(&r, 1024);
            assert_ptr_equal(cv_stream_table_get(&t, (int64_t)probe * 4),
                             there[probe] ? &streams[probe] : NULL);
            assert_int_equal(t.count, count);
        }
        for (size_t i = 0; i < 1024; i++)
            assert_ptr_equal(cv_stream_table_get(&t, (int64_t)i * 4),
                             there[i] ? &streams[i] : NULL);
        cv_stream_table_fini(&t);
        test_alloc_assert_empty(&a);
    }
}

static void test_no_memory_keeps_what_is_there(void **state)
{
    struct test_alloc a;
    struct cv_stream_table t;
    struct cv_stream_entry streams[64];
    int64_t id = 0;
    (void)state;
    test_alloc_init(&a);
    cv_stream_table_init(&t, &a.alloc, 12345);
    put(&t, id++, &streams[0]);
    a.fail_at = a.calls + 1;
    while (cv_stream_table_reserve(&t) == 0) {
        streams[id].id = id;
        cv_stream_table_put(&t, &streams[id]);
        id++;
    }
    for (int64_t i = 0; i < id; i++)
        assert_ptr_equal(cv_stream_table_get(&t, i), &streams[i]);
    put(&t, id, &streams[id]);
    cv_stream_table_fini(&t);
    test_alloc_assert_empty(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_like_an_array),
        cmocka_unit_test(test_no_memory_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
