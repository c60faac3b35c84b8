#include "api/metadata.h"

#include "unit/api/fixture.h"

static void the_first_pair_with_a_key_is_found(void **state)
{
    (void)state;
    const struct covey_metadata set[] = {{"a", "1", 1}, {"b", "2", 1}, {"a", "3", 1}};
    assert_ptr_equal(covey_metadata_find(set, 3, "a"), &set[0]);
    assert_ptr_equal(covey_metadata_find(set, 3, "b"), &set[1]);
    assert_null(covey_metadata_find(set, 3, "c"));
    assert_null(covey_metadata_find(set, 1, "b"));
    assert_null(covey_metadata_find(NULL, 0, "a"));
}

static void a_set_is_borrowed(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0, 255, 0};
    const struct covey_metadata set[] = {{"key", bytes, sizeof bytes}, {"none", NULL, 0}};
    struct cv_rpc_metadata out[CV_RPC_METADATA_COUNT_MAX];
    assert_int_equal(cv_metadata_borrow(set, 2, out), 0);
    assert_int_equal(out[0].key.size, 3);
    assert_ptr_equal(out[0].key.data, set[0].key);
    assert_int_equal(out[0].value.size, sizeof bytes);
    assert_ptr_equal(out[0].value.data, bytes);
    assert_int_equal(out[1].value.size, 0);
    assert_int_equal(cv_metadata_borrow(NULL, 0, out), 0);
}

static void what_is_no_set_is_refused(void **state)
{
    (void)state;
    struct covey_metadata set[CV_RPC_METADATA_COUNT_MAX + 1];
    struct cv_rpc_metadata out[CV_RPC_METADATA_COUNT_MAX];
    for (size_t i = 0; i < CV_RPC_METADATA_COUNT_MAX + 1; i++)
        set[i] = (struct covey_metadata){"k", "v", 1};
    assert_int_equal(cv_metadata_borrow(set, CV_RPC_METADATA_COUNT_MAX, out), 0);
    assert_int_equal(cv_metadata_borrow(set, CV_RPC_METADATA_COUNT_MAX + 1, out),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(cv_metadata_borrow(NULL, 1, out), COVEY_ERR_INVALID_ARGUMENT);
    set[1].key = NULL;
    assert_int_equal(cv_metadata_borrow(set, 2, out), COVEY_ERR_INVALID_ARGUMENT);
    set[1] = (struct covey_metadata){"k", NULL, 1};
    assert_int_equal(cv_metadata_borrow(set, 2, out), COVEY_ERR_INVALID_ARGUMENT);
}

/* The texts get their NUL, the values stay as they are. */
static void a_copy_stands_alone(void **state)
{
    (void)state;
    static struct world w;
    char key[] = "key-x", value[] = {1, 0, 2};
    struct cv_rpc_metadata set[] = {{cv_slice_of(key, 5), cv_slice_of(value, 3)},
                                    {cv_slice_of("second!", 6), cv_slice_of(NULL, 0)}};
    struct cv_metadata copy;
    world_init(&w);
    assert_int_equal(cv_metadata_copy(w.runtime, set, 2, &copy), 0);
    memset(key, '?', sizeof key);
    memset(value, '?', sizeof value);
    assert_int_equal(copy.count, 2);
    assert_string_equal(copy.set[0].key, "key-x");
    assert_int_equal(copy.set[0].size, 3);
    assert_memory_equal(copy.set[0].value, "\1\0\2", 3);
    assert_string_equal(copy.set[1].key, "second");
    assert_int_equal(copy.set[1].size, 0);
    cv_metadata_clear(w.runtime, &copy);
    assert_null(copy.set);
    assert_int_equal(copy.count, 0);
    cv_metadata_clear(w.runtime, &copy);

    assert_int_equal(cv_metadata_copy(w.runtime, NULL, 0, &copy), 0);
    assert_null(copy.set);
    assert_int_equal(copy.count, 0);
    cv_metadata_clear(w.runtime, &copy);
    world_fini(&w);
}

/* More than a block of the pool. */
static void a_large_copy(void **state)
{
    (void)state;
    static struct world w;
    static unsigned char bytes[4000];
    struct cv_rpc_metadata set[] = {{cv_slice_text("a"), cv_slice_of(bytes, sizeof bytes)},
                                    {cv_slice_text("b"), cv_slice_of(bytes, sizeof bytes)}};
    struct cv_metadata copy;
    world_init(&w);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    assert_int_equal(cv_metadata_copy(w.runtime, set, 2, &copy), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(copy.set[i].size, sizeof bytes);
        assert_memory_equal(copy.set[i].value, bytes, sizeof bytes);
    }
    cv_metadata_clear(w.runtime, &copy);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_pair_with_a_key_is_found),
        cmocka_unit_test(a_set_is_borrowed),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(a_copy_stands_alone),
        cmocka_unit_test(a_large_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
