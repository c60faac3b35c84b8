#include "rpc/receive.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <covey/error.h>

static const struct cv_rpc_receive_limits limits = {.message_size_max = 100000,
                                                    .header_size_max = 1000};

static struct test_alloc memory;
static struct cv_rpc_memory m;
static struct cv_rpc_receive r;
static uint8_t own[CV_RPC_BUFFER_OWN_SIZE];

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&memory);
    m = (struct cv_rpc_memory){.alloc = &memory.alloc, .used_max = 1 << 20};
    cv_rpc_receive_init(&r, own);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_rpc_receive_fini(&r, &m);
    assert_int_equal(m.used, 0);
    test_alloc_assert_empty(&memory);
    return 0;
}

static int push(const void *bytes, size_t size)
{
    return cv_rpc_receive_push(&r, &m, &limits, cv_slice_of(bytes, size));
}

static enum cv_rpc_receive_result next(struct cv_rpc_frame *frame)
{
    return cv_rpc_receive_next(&r, &m, &limits, frame);
}

static void assert_frame(enum cv_rpc_frame_type type, const char *text)
{
    struct cv_rpc_frame frame;
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_FRAME);
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.body.size, strlen(text));
    assert_memory_equal(frame.body.data, text, strlen(text));
}

static void assert_nothing(void)
{
    struct cv_rpc_frame frame;
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_NOTHING);
}

/* Two messages, an empty one, a header, a status and two reserved frames between them. */
static const char stream[] = "\x08hi\x00\x07x\x03\x09me\x0cyou\x02";
#define STREAM_SIZE (sizeof stream - 1)

static void assert_stream_frames(void)
{
    assert_frame(CV_RPC_FRAME_MESSAGE, "hi");
    assert_frame(CV_RPC_FRAME_MESSAGE, "");
    assert_frame(CV_RPC_FRAME_HEADER, "me");
    assert_frame(CV_RPC_FRAME_MESSAGE, "you");
    assert_frame(CV_RPC_FRAME_STATUS, "");
    assert_nothing();
    assert_int_equal(cv_rpc_receive_left(&r), 0);
}

static void every_pair_of_cuts_gives_the_same(void **state)
{
    (void)state;
    for (size_t a = 0; a <= STREAM_SIZE; a++) {
        for (size_t b = a; b <= STREAM_SIZE; b++) {
            assert_int_equal(push(stream, a), 0);
            assert_int_equal(push(stream + a, b - a), 0);
            assert_int_equal(push(stream + b, STREAM_SIZE - b), 0);
            assert_stream_frames();
        }
    }
    assert_int_equal(memory.calls, 0);
}

static void single_bytes_give_the_same(void **state)
{
    (void)state;
    size_t frames = 0;
    for (size_t i = 0; i < STREAM_SIZE; i++) {
        struct cv_rpc_frame frame;
        assert_int_equal(push(stream + i, 1), 0);
        while (next(&frame) == CV_RPC_RECEIVE_FRAME)
            frames++;
    }
    assert_int_equal(frames, 5);
    assert_int_equal(cv_rpc_receive_left(&r), 0);
}

/* The head of a frame of `length` bytes. */
static size_t head(enum cv_rpc_frame_type type, uint64_t length, uint8_t *bytes)
{
    struct cv_writer w;
    cv_writer_init(&w, bytes, 8);
    cv_write_varint(&w, length << 2 | type);
    return cv_writer_size(&w);
}

static void sizes_at_the_bound(void **state)
{
    (void)state;
    static const struct {
        enum cv_rpc_frame_type type;
        uint64_t length;
        enum cv_rpc_receive_result result;
    } cases[] = {
        {CV_RPC_FRAME_MESSAGE, 100000, CV_RPC_RECEIVE_NOTHING},
        {CV_RPC_FRAME_MESSAGE, 100001, CV_RPC_RECEIVE_TOO_LARGE},
        {CV_RPC_FRAME_MESSAGE, (UINT64_C(1) << 60) - 1, CV_RPC_RECEIVE_TOO_LARGE},
        {CV_RPC_FRAME_HEADER, 1000, CV_RPC_RECEIVE_NOTHING},
        {CV_RPC_FRAME_HEADER, 1001, CV_RPC_RECEIVE_TOO_LARGE},
        {CV_RPC_FRAME_STATUS, 1001, CV_RPC_RECEIVE_TOO_LARGE},
        {CV_RPC_FRAME_RESERVED, 1000, CV_RPC_RECEIVE_NOTHING},
        {CV_RPC_FRAME_RESERVED, 1001, CV_RPC_RECEIVE_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[8];
        struct cv_rpc_frame frame;
        assert_int_equal(push(bytes, head(cases[i].type, cases[i].length, bytes)), 0);
        assert_int_equal(next(&frame), cases[i].result);
        assert_int_equal(next(&frame), cases[i].result);
        cv_rpc_receive_fini(&r, &m);
    }
    assert_int_equal(memory.calls, 0);
}

static void largest_message_grows_with_what_arrived(void **state)
{
    (void)state;
    uint8_t bytes[8];
    static uint8_t body[100000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7);
    assert_int_equal(push(bytes, head(CV_RPC_FRAME_MESSAGE, sizeof body, bytes)), 0);
    for (size_t i = 0; i < sizeof body; i += 10) {
        assert_nothing();
        assert_int_equal(push(body + i, 10), 0);
        assert_true(m.used <= 2 * (i + 14));
    }
    struct cv_rpc_frame frame;
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_FRAME);
    assert_int_equal(frame.body.size, sizeof body);
    assert_memory_equal(frame.body.data, body, sizeof body);
    assert_int_equal(m.used, sizeof body + 4 + 16); /* a status often follows */
    assert_nothing();
    assert_int_equal(m.used, 0);
    assert_true(memory.calls < 12);
}

/* The first bytes of a message of 100,000: then all its memory, or not. */
static void memory_taken_ahead_is_bounded(void **state)
{
    (void)state;
    static const size_t ahead[] = {100004 + 16, 100004 + 15, 0};
    for (size_t i = 0; i < 3; i++) {
        struct cv_rpc_receive_limits with = limits;
        static uint8_t bytes[300];
        with.ahead_max = ahead[i];
        size_t size = head(CV_RPC_FRAME_MESSAGE, 100000, bytes);
        struct cv_slice first = cv_slice_of(bytes, size), more = cv_slice_of(bytes, 300);
        assert_int_equal(cv_rpc_receive_push(&r, &m, &with, first), 0);
        assert_int_equal(m.used, 0);
        assert_int_equal(cv_rpc_receive_push(&r, &m, &with, more), 0);
        assert_int_equal(m.used, i == 0 ? 100004 + 16 : 512);
        cv_rpc_receive_fini(&r, &m);
    }
}

/* Without memory for all of it there is enough for what came. */
static void memory_taken_ahead_is_no_need(void **state)
{
    (void)state;
    struct cv_rpc_receive_limits with = limits;
    static uint8_t bytes[300];
    with.ahead_max = 1 << 20;
    size_t size = head(CV_RPC_FRAME_MESSAGE, 100000, bytes);
    assert_int_equal(cv_rpc_receive_push(&r, &m, &with, cv_slice_of(bytes, size)), 0);
    memory.fail_at = memory.calls + 1;
    assert_int_equal(cv_rpc_receive_push(&r, &m, &with, cv_slice_of(bytes, 300)), 0);
    assert_int_equal(m.used, 512);
}

static void a_message_is_taken_with_its_memory(void **state)
{
    (void)state;
    static uint8_t body[1000];
    uint8_t bytes[8];
    struct cv_rpc_frame frame;
    memset(body, 'b', sizeof body);
    assert_int_equal(push(bytes, head(CV_RPC_FRAME_MESSAGE, sizeof body, bytes)), 0);
    assert_int_equal(push(body, sizeof body), 0);
    assert_int_equal(push("\x0cyou", 4), 0);
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_FRAME);
    void *taken = cv_rpc_receive_take(&r, &m, frame.body);
    assert_non_null(taken);
    assert_int_equal(m.used, 0);
    *(uint8_t *)(uintptr_t)(frame.body.data + frame.body.size) = 0;
    assert_memory_equal(frame.body.data, body, sizeof body);
    assert_frame(CV_RPC_FRAME_MESSAGE, "you");
    assert_nothing();
    cv_release(&memory.alloc, taken);
}

static void longer_forms_are_malformed(void **state)
{
    (void)state;
    struct cv_rpc_frame frame;
    assert_int_equal(push("\x00\x40", 2), 0);
    assert_frame(CV_RPC_FRAME_MESSAGE, "");
    assert_nothing();
    assert_int_equal(push("\x08", 1), 0);
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_MALFORMED);
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_MALFORMED);
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    static uint8_t body[300];
    assert_int_equal(push("\x44\xb0", 2), 0); /* 300 bytes */
    memory.fail_at = memory.calls + 1;
    assert_int_equal(push(body, 300), COVEY_ERR_NO_MEMORY);
    m.used_max = 301;
    assert_int_equal(push(body, 300), COVEY_ERR_LIMIT);
    m.used_max = 302;
    assert_int_equal(push(body, 300), 0);
    struct cv_rpc_frame frame;
    assert_int_equal(next(&frame), CV_RPC_RECEIVE_FRAME);
    assert_int_equal(frame.body.size, 300);
}

/* Frames that nobody takes are not copied again for each that follows. */
static void whole_frames_pile_up_without_many_copies(void **state)
{
    (void)state;
    static uint8_t frame[2 + 1000] = {0x4f, 0xa0};
    for (int i = 0; i < 200; i++) {
        struct cv_slice bytes = cv_slice_of(frame, sizeof frame);
        assert_int_equal(cv_rpc_receive_push(&r, &m, &limits, bytes), 0);
        assert_true(4 * m.used <= 5 * cv_rpc_receive_left(&r));
    }
    assert_true(memory.calls <= 30);
    cv_rpc_receive_fini(&r, &m);
}

static void at_message(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool is_message;
    } cases[] = {{"", 0, false},     {"\x08", 1, true},        {"\x08hi", 3, true},
                 {"\x41", 1, false}, {"\x40", 1, false},       {"\x40\x40", 2, true},
                 {"\x02", 1, false}, {"\x03\x08hi", 4, false}, {"\x40\x00", 2, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cv_slice bytes = cv_slice_of(cases[i].bytes, cases[i].size);
        assert_int_equal(cv_rpc_receive_push(&r, &m, &limits, bytes), 0);
        assert_int_equal(cv_rpc_receive_at_message(&r), cases[i].is_message);
        cv_rpc_receive_fini(&r, &m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_pair_of_cuts_gives_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(single_bytes_give_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_at_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(largest_message_grows_with_what_arrived, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_taken_ahead_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_taken_ahead_is_no_need, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_is_taken_with_its_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(longer_forms_are_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_frames_pile_up_without_many_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(at_message, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
