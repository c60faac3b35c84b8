#include "rpc/buffer.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <covey/error.h>

struct fixture {
    struct test_alloc memory;
    struct cv_rpc_memory m;
    struct cv_rpc_buffer b;
    uint8_t own[CV_RPC_BUFFER_OWN_SIZE];
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&f.memory);
    f.m = (struct cv_rpc_memory){.alloc = &f.memory.alloc, .used_max = 4096};
    cv_rpc_buffer_init(&f.b, f.own);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_rpc_buffer_fini(&f.b, &f.m);
    assert_int_equal(f.m.used, 0);
    test_alloc_assert_empty(&f.memory);
    return 0;
}

/* Appends `size` bytes that count on from `first`. */
static int append(size_t size, size_t expected, uint8_t first)
{
    int error = cv_rpc_buffer_reserve(&f.b, &f.m, size, expected);
    if (error != 0)
        return error;
    for (size_t i = 0; i < size; i++)
        cv_rpc_buffer_room(&f.b)[i] = (uint8_t)(first + i);
    cv_rpc_buffer_add(&f.b, size);
    return 0;
}

static void assert_counts_from(uint8_t first, size_t size)
{
    struct cv_slice bytes = cv_rpc_buffer_bytes(&f.b);
    assert_int_equal(bytes.size, size);
    assert_int_equal(cv_rpc_buffer_size(&f.b), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes.data[i], (uint8_t)(first + i));
}

static void small_contents_take_no_memory(void **state)
{
    (void)state;
    assert_int_equal(append(CV_RPC_BUFFER_OWN_SIZE, 0, 0), 0);
    assert_counts_from(0, CV_RPC_BUFFER_OWN_SIZE);
    assert_int_equal(f.memory.calls, 0);
    assert_int_equal(append(1, 0, 0), 0);
    assert_counts_from(0, CV_RPC_BUFFER_OWN_SIZE + 1);
    assert_int_equal(f.memory.calls, 1);
    assert_int_equal(f.m.used, CV_RPC_BUFFER_OWN_SIZE + 1);
}

static void taken_room_is_used_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(append(100, 0, (uint8_t)i), 0);
        assert_counts_from((uint8_t)i, 100);
        cv_rpc_buffer_take(&f.b, 99);
        assert_counts_from((uint8_t)(i + 99), 1);
        cv_rpc_buffer_take(&f.b, 1);
    }
    assert_int_equal(append(200, 0, 0), 0);
    cv_rpc_buffer_take(&f.b, 150);
    assert_int_equal(append(206, 0, 200), 0);
    assert_counts_from(150, 256);
    assert_int_equal(f.memory.calls, 0);
}

static void growth_doubles_up_to_what_is_expected(void **state)
{
    (void)state;
    assert_int_equal(append(256, 0, 0), 0);
    assert_int_equal(append(1, 2000, 0), 0);
    assert_int_equal(f.m.used, 512);
    assert_int_equal(append(256, 2000, 1), 0);
    assert_int_equal(f.m.used, 1024);
    assert_int_equal(append(512, 1500, 1), 0);
    assert_int_equal(f.m.used, 1500);
    assert_counts_from(0, 1025);
    assert_int_equal(append(1000, 1500, 1), 0);
    assert_int_equal(f.m.used, 2025);
}

/* Where doubling is above the limit, what is needed may still be below it. */
static void growth_respects_the_limit(void **state)
{
    (void)state;
    f.m.used_max = 400;
    assert_int_equal(append(300, 1000, 0), 0);
    assert_int_equal(f.m.used, 300);
    assert_int_equal(append(100, 1000, 44), 0);
    assert_int_equal(f.m.used, 400);
    assert_counts_from(0, 400);
    assert_int_equal(append(1, 1000, 0), COVEY_ERR_LIMIT);
}

static void trim_gives_back_only_when_empty(void **state)
{
    (void)state;
    assert_int_equal(append(300, 0, 0), 0);
    cv_rpc_buffer_take(&f.b, 299);
    cv_rpc_buffer_trim(&f.b, &f.m);
    assert_int_equal(f.m.used, 300);
    assert_counts_from((uint8_t)299, 1);
    cv_rpc_buffer_take(&f.b, 1);
    cv_rpc_buffer_trim(&f.b, &f.m);
    assert_int_equal(f.m.used, 0);
    assert_int_equal(f.memory.outstanding, 0);
}

static void limit_and_lack_of_memory_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(append(4096, 0, 7), 0);
    assert_int_equal(append(1, 0, 0), COVEY_ERR_LIMIT);
    assert_int_equal(append(SIZE_MAX, SIZE_MAX, 0), COVEY_ERR_LIMIT);
    assert_counts_from(7, 4096);
    cv_rpc_buffer_take(&f.b, 4000);
    f.memory.fail_at = f.memory.calls + 1;
    assert_int_equal(append(4000, 0, (uint8_t)(7 + 4096)), 0);
    assert_counts_from((uint8_t)(7 + 4000), 4096);
    cv_rpc_buffer_fini(&f.b, &f.m);
    assert_int_equal(append(300, 0, 0), COVEY_ERR_NO_MEMORY);
    assert_counts_from(0, 0);
    assert_int_equal(f.m.used, 0);
}

static void memory_changes_hands(void **state)
{
    (void)state;
    assert_int_equal(append(600, 0, 0), 0);
    assert_int_equal(append(100, 701, 88), 0);
    cv_rpc_buffer_take(&f.b, 690);
    const uint8_t *taken = cv_rpc_buffer_bytes(&f.b).data - 690;
    uint8_t *memory = cv_rpc_buffer_detach(&f.b, &f.m, 690);
    assert_ptr_equal(memory, taken);
    assert_int_equal(f.m.used, 0);
    assert_counts_from((uint8_t)690, 10);
    memset(memory, 0xff, 691);
    assert_counts_from((uint8_t)690, 10);
    assert_int_equal(append(4, 0, (uint8_t)700), 0);
    assert_counts_from((uint8_t)690, 14);
    cv_release(&f.memory.alloc, memory);
}

static void memory_stays_where_a_copy_is_better(void **state)
{
    (void)state;
    assert_int_equal(append(CV_RPC_BUFFER_OWN_SIZE, 0, 0), 0);
    cv_rpc_buffer_take(&f.b, CV_RPC_BUFFER_OWN_SIZE);
    assert_null(cv_rpc_buffer_detach(&f.b, &f.m, CV_RPC_BUFFER_OWN_SIZE)); /* in itself */
    assert_int_equal(append(600, 0, 0), 0);
    cv_rpc_buffer_take(&f.b, 600);
    assert_null(cv_rpc_buffer_detach(&f.b, &f.m, 600)); /* no byte behind */
    assert_int_equal(append(CV_RPC_BUFFER_OWN_SIZE + 1, 0, 88), 0);
    size_t used = f.m.used;
    assert_null(cv_rpc_buffer_detach(&f.b, &f.m, 600)); /* much behind */
    cv_rpc_buffer_take(&f.b, 1);
    assert_null(cv_rpc_buffer_detach(&f.b, &f.m, used / 2 - 1)); /* small beside its memory */
    assert_int_equal(f.m.used, used);
    assert_counts_from(89, CV_RPC_BUFFER_OWN_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_contents_take_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(taken_room_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(growth_doubles_up_to_what_is_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_changes_hands, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_stays_where_a_copy_is_better, setup, teardown),
        cmocka_unit_test_setup_teardown(growth_respects_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(trim_gives_back_only_when_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(limit_and_lack_of_memory_change_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
