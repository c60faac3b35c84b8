#include "base/map.h"

#include "base/rand.h"
#include "support/test_alloc.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENTRY_COUNT 300
#define SEED        UINT64_C(20240611)

struct entry {
    char key[8];
    bool in_map;
};

static const uint64_t secret[2] = {1, 2};
static struct entry entries[ENTRY_COUNT];

static void init(struct test_alloc *t, struct cv_map *m, size_t count_max)
{
    test_alloc_init(t);
    cv_map_init(m, &t->alloc, secret, count_max);
    for (int i = 0; i < ENTRY_COUNT; i++) {
        entries[i] = (struct entry){
            .key = {'k', (char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10)}};
    }
}

static void fini(const struct test_alloc *t, struct cv_map *m)
{
    cv_map_fini(m);
    test_alloc_assert_empty(t);
}

static struct cv_slice key_of(size_t i)
{
    return cv_slice_text(entries[i].key);
}

static int put(struct cv_map *m, size_t i)
{
    int error = cv_map_put(m, key_of(i), &entries[i]);
    if (error == 0)
        entries[i].in_map = true;
    return error;
}

static void *remove_entry(struct cv_map *m, size_t i)
{
    entries[i].in_map = false;
    return cv_map_remove(m, key_of(i));
}

static void assert_matches(const struct cv_map *m)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        assert_ptr_equal(cv_map_get(m, key_of(i)), entries[i].in_map ? &entries[i] : NULL);
        count += entries[i].in_map;
    }
    assert_int_equal(m->count, count);
    assert_true(m->count <= m->used && m->used <= m->slot_count);
}

static void empty_map_holds_nothing(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    size_t cursor = 0;
    init(&t, &m, 10);
    assert_matches(&m);
    assert_null(cv_map_remove(&m, key_of(0)));
    assert_null(cv_map_next(&m, &cursor));
    assert_int_equal(t.calls, 0);
    fini(&t, &m);
}

static void entries_come_back(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, ENTRY_COUNT);
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        assert_int_equal(put(&m, i), 0);
        assert_matches(&m);
    }
    for (size_t i = 0; i < ENTRY_COUNT; i += 2)
        assert_ptr_equal(remove_entry(&m, i), &entries[i]);
    assert_matches(&m);
    assert_null(cv_map_remove(&m, key_of(0)));
    assert_matches(&m);
    fini(&t, &m);
}

static void second_entry_of_a_key_is_refused(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    int other;
    init(&t, &m, 1);
    assert_int_equal(put(&m, 0), 0);
    assert_int_equal(cv_map_put(&m, key_of(0), &other), COVEY_ERR_EXISTS);
    assert_matches(&m);
    fini(&t, &m);
}

static void keys_are_bytes_of_any_size(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    static uint8_t bytes[300];
    int values[5];
    const struct cv_slice keys[5] = {
        {0},
        cv_slice_of(bytes, 1),
        cv_slice_of(bytes, 2),
        cv_slice_of(bytes, 299),
        cv_slice_of(bytes, 300),
    };
    init(&t, &m, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(cv_map_put(&m, keys[i], &values[i]), 0);
    for (size_t i = 0; i < 5; i++)
        assert_ptr_equal(cv_map_get(&m, keys[i]), &values[i]);
    fini(&t, &m);
}

static void bound_holds(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(put(&m, i), 0);
    assert_int_equal(put(&m, 3), COVEY_ERR_LIMIT);
    assert_int_equal(cv_map_put(&m, key_of(1), &t), COVEY_ERR_EXISTS);
    assert_matches(&m);
    assert_non_null(remove_entry(&m, 1));
    assert_int_equal(put(&m, 3), 0);
    assert_matches(&m);
    fini(&t, &m);

    init(&t, &m, 0);
    assert_int_equal(put(&m, 0), COVEY_ERR_LIMIT);
    assert_int_equal(t.calls, 0);
    fini(&t, &m);
}

static void reserve_knows_its_limits(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, 10);
    assert_int_equal(cv_map_reserve(&m, 0), 0);
    assert_int_equal(t.calls, 0);
    assert_int_equal(cv_map_reserve(&m, 11), COVEY_ERR_LIMIT);
    assert_int_equal(cv_map_reserve(&m, SIZE_MAX), COVEY_ERR_LIMIT);
    assert_int_equal(put(&m, 0), 0);
    assert_int_equal(cv_map_reserve(&m, 10), COVEY_ERR_LIMIT);
    assert_int_equal(cv_map_reserve(&m, 9), 0);
    assert_matches(&m);
    fini(&t, &m);

    init(&t, &m, SIZE_MAX);
    assert_int_equal(cv_map_reserve(&m, SIZE_MAX), COVEY_ERR_NO_MEMORY);
    assert_int_equal(cv_map_reserve(&m, SIZE_MAX / 64), COVEY_ERR_NO_MEMORY);
    assert_int_equal(t.calls, 0);
    fini(&t, &m);
}

/* From tables in many states, with removals in between: reserved puts ask for no memory. */
static void reserved_puts_need_no_memory(void **state)
{
    (void)state;
    for (size_t before = 0; before < 40; before++) {
        for (size_t more = 1; more < 40; more++) {
            struct test_alloc t;
            struct cv_map m;
            init(&t, &m, ENTRY_COUNT);
            for (size_t i = 0; i < before; i++)
                assert_int_equal(put(&m, i), 0);
            for (size_t i = 0; i < before / 2; i++)
                assert_non_null(remove_entry(&m, i));
            assert_int_equal(cv_map_reserve(&m, more), 0);
            size_t calls = t.calls;
            for (size_t i = 0; i < more; i++) {
                assert_int_equal(put(&m, 100 + i), 0);
                if (i % 3 == 0)
                    assert_non_null(remove_entry(&m, 100 + i));
            }
            assert_int_equal(t.calls, calls);
            assert_matches(&m);
            fini(&t, &m);
        }
    }
}

static void lack_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, ENTRY_COUNT);
    size_t failures = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        t.fail_at = t.calls + 1;
        struct cv_map before = m;
        int error = put(&m, i);
        if (error != 0) {
            failures++;
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            assert_memory_equal(&m, &before, sizeof m);
            assert_matches(&m);
            t.fail_at = 0;
            assert_int_equal(put(&m, i), 0);
        }
    }
    assert_true(failures >= 5);
    assert_matches(&m);
    fini(&t, &m);
}

/* Deleted slots are used again: the table does not grow however long entries come and go. */
static void many_cycles_do_not_grow_the_table(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(put(&m, i), 0);
    size_t slot_count = m.slot_count;
    assert_in_range(slot_count, 64, 256);
    for (size_t i = 0; i < 100000; i++) {
        assert_non_null(remove_entry(&m, i % ENTRY_COUNT));
        assert_int_equal(put(&m, (i + 50) % ENTRY_COUNT), 0);
    }
    assert_matches(&m);
    assert_true(m.slot_count <= 128);
    /* A rebuild pays for at least a quarter of the table's puts. */
    assert_true(t.calls < 10 + 100000 / (m.slot_count / 4));
    assert_int_equal(t.outstanding, 1);
    fini(&t, &m);
}

/* A key that comes and goes takes its old slot: nothing is used up. */
static void deleted_slot_is_taken_again(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    init(&t, &m, 4);
    assert_int_equal(put(&m, 0), 0);
    for (int i = 0; i < 100; i++) {
        assert_non_null(remove_entry(&m, 0));
        assert_int_equal(put(&m, 0), 0);
        assert_int_equal(m.used, 1);
    }
    assert_int_equal(t.calls, 1);
    fini(&t, &m);
}

static void random_operations_match_a_model(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    struct cv_rand r;
    init(&t, &m, 200);
    cv_rand_seed(&r, SEED);
    print_message("seed %llu\n", (unsigned long long)SEED);
    for (int step = 0; step < 5000; step++) {
        size_t i = (size_t)cv_rand_below(&r, ENTRY_COUNT);
        bool was_in_map = entries[i].in_map;
        if (cv_rand_below(&r, 5) < 3) {
            int expected = was_in_map ? COVEY_ERR_EXISTS : m.count == 200 ? COVEY_ERR_LIMIT : 0;
            assert_int_equal(put(&m, i), expected);
        } else {
            assert_ptr_equal(remove_entry(&m, i), was_in_map ? &entries[i] : NULL);
        }
        if (step % 16 == 0)
            assert_matches(&m);
    }
    assert_matches(&m);
    fini(&t, &m);
}

static void iteration_sees_each_value_once(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    size_t seen[ENTRY_COUNT] = {0}, cursor = 0;
    struct entry *e;
    init(&t, &m, ENTRY_COUNT);
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        assert_int_equal(put(&m, i), 0);
    assert_non_null(remove_entry(&m, 7));
    while ((e = cv_map_next(&m, &cursor)) != NULL)
        seen[e - entries]++;
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        assert_int_equal(seen[i], i != 7);
    assert_null(cv_map_next(&m, &cursor));
    fini(&t, &m);
}

static void iteration_may_remove_what_it_returned(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_map m;
    size_t cursor = 0, count = 0;
    struct entry *e;
    init(&t, &m, ENTRY_COUNT);
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        assert_int_equal(put(&m, i), 0);
    while ((e = cv_map_next(&m, &cursor)) != NULL) {
        count++;
        assert_ptr_equal(remove_entry(&m, (size_t)(e - entries)), e);
    }
    assert_int_equal(count, ENTRY_COUNT);
    assert_matches(&m);
    fini(&t, &m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map_holds_nothing),
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(second_entry_of_a_key_is_refused),
        cmocka_unit_test(keys_are_bytes_of_any_size),
        cmocka_unit_test(bound_holds),
        cmocka_unit_test(reserve_knows_its_limits),
        cmocka_unit_test(reserved_puts_need_no_memory),
        cmocka_unit_test(lack_of_memory_changes_nothing),
        cmocka_unit_test(many_cycles_do_not_grow_the_table),
        cmocka_unit_test(deleted_slot_is_taken_again),
        cmocka_unit_test(random_operations_match_a_model),
        cmocka_unit_test(iteration_sees_each_value_once),
        cmocka_unit_test(iteration_may_remove_what_it_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
