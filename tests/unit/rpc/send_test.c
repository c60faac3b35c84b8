#include "rpc/send.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <covey/error.h>

static struct test_alloc memory;
static struct cv_rpc_memory m;
static struct cv_rpc_send s;
static uint8_t own[CV_RPC_BUFFER_OWN_SIZE];
static uint8_t large[200000];

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&memory);
    m = (struct cv_rpc_memory){.alloc = &memory.alloc, .used_max = 1 << 20};
    cv_rpc_send_init(&s, own);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_rpc_send_fini(&s, &m);
    assert_int_equal(m.used, 0);
    test_alloc_assert_empty(&memory);
    return 0;
}

static void send_header(bool timeout)
{
    struct cv_rpc_header header = {
        .method = cv_slice_text("m"), .has_timeout = timeout, .timeout_us = 100};
    assert_int_equal(cv_rpc_send_header(&s, &m, &header), 0);
}

static int message(const char *text)
{
    return cv_rpc_send_message(&s, &m, cv_slice_text(text));
}

static void status(enum covey_status_code code, const char *text)
{
    struct cv_rpc_status st = {.code = code, .message = cv_slice_text(text)};
    cv_rpc_send_status(&s, &m, &st);
}

static void assert_next(const void *bytes, size_t size, bool fin)
{
    struct cv_slice got;
    bool got_fin;
    assert_true(cv_rpc_send_next(&s, &got, &got_fin));
    assert_int_equal(got.size, size);
    if (size > 0)
        assert_memory_equal(got.data, bytes, size);
    assert_int_equal(got_fin, fin);
}

static void assert_none(void)
{
    struct cv_slice got;
    bool fin;
    assert_false(cv_rpc_send_next(&s, &got, &fin));
}

static void small_frames_leave_as_one_piece(void **state)
{
    (void)state;
    assert_none();
    send_header(false);
    assert_int_equal(message("hi"), 0);
    assert_int_equal(message(""), 0);
    s.ended = true;
    assert_int_equal(cv_rpc_send_waiting(&s), 8);
    assert_next("\x0d\x02\x01m\x08hi\x00", 8, true);
    cv_rpc_send_taken(&s, &m);
    assert_true(s.done);
    assert_none();
    assert_int_equal(memory.calls, 0);
}

static void metadata_leaves_with_what_follows(void **state)
{
    (void)state;
    const struct cv_rpc_metadata entries[] = {{cv_slice_text("k"), cv_slice_text("v")},
                                              {cv_slice_text("k"), {0}}};
    assert_int_equal(cv_rpc_send_metadata(&s, &m, entries, 2), 0);
    assert_int_equal(message("hi"), 0);
    status(COVEY_STATUS_OK, "");
    assert_next("\x25\x03\x03\x01kv\x03\x02\x01k\x08hi\x02", 14, true);
}

static void an_end_alone_comes_after_bytes(void **state)
{
    (void)state;
    send_header(false);
    assert_next("\x0d\x02\x01m", 4, false);
    cv_rpc_send_taken(&s, &m);
    assert_none();
    s.ended = true;
    assert_next("", 0, true);
    cv_rpc_send_taken(&s, &m);
    assert_none();
}

static void large_messages_leave_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 13 >> 3);
    assert_int_equal(cv_rpc_send_message(&s, &m, cv_slice_of(large, sizeof large)), 0);
    status(COVEY_STATUS_OK, "");
    size_t whole = cv_rpc_message_size(sizeof large) + 1, got = 0;
    static uint8_t all[sizeof large + 8];
    while (!s.done) {
        struct cv_slice bytes;
        bool fin;
        assert_true(cv_rpc_send_next(&s, &bytes, &fin));
        assert_true(bytes.size <= CV_RPC_WRITE_SIZE_MAX);
        memcpy(all + got, bytes.data, bytes.size);
        got += bytes.size;
        assert_int_equal(fin, got == whole);
        cv_rpc_send_taken(&s, &m);
    }
    assert_int_equal(got, whole);
    assert_memory_equal(all + 4, large, sizeof large);
    assert_int_equal(all[whole - 1], 0x02);
    assert_int_equal(m.used, 0);
}

static void blocked_gives_nothing(void **state)
{
    (void)state;
    assert_int_equal(message("hi"), 0);
    s.blocked = true;
    assert_none();
    s.blocked = false;
    assert_next("\x08hi", 3, false);
}

/* Whatever fills the buffer, to the byte: a status of a code alone needs no memory. */
static void there_is_always_room_for_a_status(void **state)
{
    (void)state;
    for (size_t size = 0; size < 600; size++) {
        cv_rpc_send_init(&s, own);
        memory.fail_all_after = false;
        memory.fail_at = 0;
        assert_int_equal(cv_rpc_send_message(&s, &m, cv_slice_of(large, size)), 0);
        size_t before = cv_rpc_send_waiting(&s);
        memory.fail_at = memory.calls + 1;
        memory.fail_all_after = true;
        status(COVEY_STATUS_UNAUTHENTICATED, "some words about why");
        size_t added = cv_rpc_send_waiting(&s) - before;
        assert_true(added == 4 || added == 27);
        assert_true(s.ended);
        cv_rpc_send_fini(&s, &m);
    }
    memory.fail_at = 0;
}

static void the_limit_spares_the_status(void **state)
{
    (void)state;
    m.used_max = 400; /* less than twice the inline bytes */
    assert_int_equal(cv_rpc_send_message(&s, &m, cv_slice_of(large, 394)), 0);
    assert_int_equal(message("more"), COVEY_ERR_LIMIT);
    assert_int_equal(cv_rpc_send_waiting(&s), 396);
    status(COVEY_STATUS_ABORTED, "text");
    assert_int_equal(cv_rpc_send_waiting(&s), 400);
}

static void shorten_keeps_what_follows(void **state)
{
    (void)state;
    send_header(true);
    assert_int_equal(message("hi"), 0);
    assert_next("\x1d\x01\x02\x40\x64\x02\x01m\x08hi", 11, false);
    cv_rpc_send_shorten(&s, 5);
    assert_next("\x19\x01\x01\x05\x02\x01m\x08hi", 10, false);
}

static void drop_forgets_and_ends(void **state)
{
    (void)state;
    assert_int_equal(cv_rpc_send_message(&s, &m, cv_slice_of(large, 5000)), 0);
    s.blocked = true;
    cv_rpc_send_drop(&s, &m);
    assert_int_equal(m.used, 0);
    assert_true(s.done && s.ended && !s.blocked);
    assert_none();
}

/* What the transport does not take itself waits, with room for a status behind it. */
static void the_rest_of_a_message_waits(void **state)
{
    (void)state;
    struct cv_slice message = cv_slice_of(large, 5000), bytes;
    bool fin;
    for (size_t size_max = 9; size_max <= 5003; size_max += 2497) {
        struct cv_rpc_direct direct = {.size_max = size_max};
        assert_int_equal(cv_rpc_send_message_rest(&s, &m, message, &direct), 0);
        assert_int_equal(direct.head_size, 4);
        assert_memory_equal(direct.head, "\x80\0\x4e\x20", 4);
        assert_ptr_equal(direct.body.data, large);
        assert_int_equal(direct.body.size, size_max - 4);
        assert_true(cv_rpc_send_next(&s, &bytes, &fin));
        assert_int_equal(bytes.size, 5004 - size_max);
        assert_memory_equal(bytes.data, large + size_max - 4, bytes.size);
        cv_rpc_send_taken(&s, &m);
    }
    struct cv_rpc_direct direct = {.size_max = 5004};
    assert_int_equal(cv_rpc_send_message_rest(&s, &m, message, &direct), 0);
    assert_int_equal(direct.body.size, 5000);
    assert_none();

    direct = (struct cv_rpc_direct){.size_max = 9};
    memory.fail_at = memory.calls + 1;
    assert_int_equal(cv_rpc_send_message_rest(&s, &m, message, &direct), COVEY_ERR_NO_MEMORY);
    assert_int_equal(direct.head_size, 0);
    assert_none();
}

static void skip_ends_with_nothing_waiting(void **state)
{
    (void)state;
    cv_rpc_send_skip(&s);
    assert_true(s.done && s.ended && !s.blocked);
    assert_int_equal(cv_rpc_send_waiting(&s), 0);
    assert_none();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_frames_leave_as_one_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_leaves_with_what_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_alone_comes_after_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(large_messages_leave_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(blocked_gives_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_always_room_for_a_status, setup, teardown),
        cmocka_unit_test_setup_teardown(the_limit_spares_the_status, setup, teardown),
        cmocka_unit_test_setup_teardown(shorten_keeps_what_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(drop_forgets_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(the_rest_of_a_message_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(skip_ends_with_nothing_waiting, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
