#include "rpc/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <covey/error.h>

/* Whatever is written or read in one pass is compared with what rpc/frame.h makes of it. */

static uint8_t name[CV_RPC_METHOD_SIZE_MAX];
static uint8_t text[20000];

static int setup(void **state)
{
    (void)state;
    memset(name, 'm', sizeof name);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)i;
    return 0;
}

static void assert_bytes(struct cv_slice a, struct cv_slice b)
{
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

/* ---- frame by frame ---- */

static struct cv_slice request_frames(const struct cv_rpc_header *header, struct cv_slice message,
                                      uint8_t *memory, size_t size)
{
    struct cv_writer w;
    cv_writer_init(&w, memory, size);
    cv_rpc_header_write(&w, header);
    cv_rpc_message_write(&w, message);
    assert_true(cv_writer_ok(&w));
    return cv_writer_bytes(&w);
}

static struct cv_slice reply_frames(struct cv_slice message, uint8_t *memory, size_t size)
{
    const struct cv_rpc_status ok = {.code = COVEY_STATUS_OK};
    struct cv_writer w;
    cv_writer_init(&w, memory, size);
    cv_rpc_message_write(&w, message);
    cv_rpc_status_write(&w, &ok);
    assert_true(cv_writer_ok(&w));
    return cv_writer_bytes(&w);
}

/* Takes a frame off the front. */
static bool next(struct cv_slice *bytes, enum cv_rpc_frame_type type, struct cv_slice *body)
{
    struct cv_rpc_frame_head head;
    if (cv_rpc_frame_head_read(*bytes, &head) != 0 || head.type != type ||
        head.length > bytes->size - head.size)
        return false;
    *body = cv_slice_of(bytes->data + head.size, (size_t)head.length);
    *bytes = cv_slice_of(body->data + body->size, bytes->size - head.size - body->size);
    return true;
}

static bool read_request(struct cv_slice bytes, struct cv_rpc_header *header,
                         struct cv_slice *message)
{
    static struct cv_rpc_metadata metadata[CV_RPC_METADATA_COUNT_MAX];
    struct cv_slice body;
    return next(&bytes, CV_RPC_FRAME_HEADER, &body) &&
           cv_rpc_header_read(body, metadata, header) == 0 &&
           next(&bytes, CV_RPC_FRAME_MESSAGE, message) && bytes.size == 0;
}

static bool read_reply(struct cv_slice bytes, struct cv_slice *message)
{
    struct cv_rpc_status status;
    struct cv_slice body;
    return next(&bytes, CV_RPC_FRAME_MESSAGE, message) &&
           next(&bytes, CV_RPC_FRAME_STATUS, &body) && bytes.size == 0 &&
           cv_rpc_status_read(body, &status) == 0 && status.code == COVEY_STATUS_OK &&
           status.message.size == 0 && status.details.size == 0;
}

/* ---- tests ---- */

static const uint64_t timeouts[] = {0,
                                    1,
                                    63,
                                    64,
                                    (1 << 14) - 1,
                                    1 << 14,
                                    30000000,
                                    (1 << 30) - 1,
                                    UINT64_C(1) << 30,
                                    CV_VARINT_MAX};
static const size_t sizes[] = {0, 1, 15, 16, 63, 64, 4095, 4096, 16383, 16384};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void check_request(const struct cv_rpc_header *header, struct cv_slice message)
{
    static uint8_t frames[sizeof text + 512], memory[sizeof text + 512];
    struct cv_slice expected = request_frames(header, message, frames, sizeof frames);
    struct cv_rpc_header read;
    struct cv_slice read_message;
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    bool is_plain = header->method.size <= 63;
    assert_int_equal(cv_rpc_plain_request_write(&w, header, message), is_plain);
    assert_int_equal(cv_rpc_plain_request_read(expected, &read, &read_message), is_plain);
    if (!is_plain) {
        assert_int_equal(cv_writer_size(&w), 0);
        return;
    }
    assert_bytes(cv_writer_bytes(&w), expected);
    assert_bytes(read.method, header->method);
    assert_bytes(read_message, message);
    assert_int_equal(read.has_timeout, header->has_timeout);
    assert_int_equal(read.timeout_us, header->timeout_us);
    assert_int_equal(read.metadata_count, 0);
}

static void requests_are_those_of_frames(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 65; size += size < 60 ? 3 : 1) {
        for (size_t m = 0; m < COUNT(sizes); m++) {
            struct cv_rpc_header header = {.method = cv_slice_of(name, size)};
            check_request(&header, cv_slice_of(text, sizes[m]));
            header.has_timeout = true;
            for (size_t t = 0; t < COUNT(timeouts); t++) {
                header.timeout_us = timeouts[t];
                check_request(&header, cv_slice_of(text, sizes[m]));
            }
        }
    }
}

static void replies_are_those_of_frames(void **state)
{
    (void)state;
    static uint8_t frames[sizeof text + 16], memory[sizeof text + 16];
    struct cv_slice read;
    struct cv_writer w;
    for (size_t m = 0; m < COUNT(sizes); m++) {
        struct cv_slice message = cv_slice_of(text, sizes[m]);
        struct cv_slice expected = reply_frames(message, frames, sizeof frames);
        for (size_t left = expected.size - 2; left <= expected.size + 1; left++) {
            cv_writer_init(&w, memory, left);
            bool fits = left >= expected.size;
            assert_int_equal(cv_rpc_reply_write(&w, message), fits);
            assert_bytes(cv_writer_bytes(&w), fits ? expected : cv_slice_of(memory, 0));
        }
        assert_true(cv_rpc_reply_read(expected, &read));
        assert_bytes(read, message);
    }
    cv_writer_init(&w, memory, sizeof memory);
    assert_false(cv_rpc_reply_write(&w, cv_slice_of(memory, SIZE_MAX)));
}

static void what_may_not_fit_is_not_written(void **state)
{
    (void)state;
    uint8_t frames[256], memory[256];
    const struct cv_rpc_header header = {
        .method = cv_slice_of(name, 63), .has_timeout = true, .timeout_us = CV_VARINT_MAX};
    struct cv_slice message = cv_slice_of(text, 100);
    size_t size = request_frames(&header, message, frames, sizeof frames).size;
    struct cv_writer w;
    bool is_written = false;
    for (size_t left = 0; left <= sizeof memory; left++) {
        cv_writer_init(&w, memory, left);
        is_written = cv_rpc_plain_request_write(&w, &header, message);
        assert_true(cv_writer_ok(&w));
        assert_int_equal(cv_writer_size(&w), is_written ? size : 0);
    }
    assert_true(is_written);
    cv_writer_init(&w, memory, sizeof memory);
    assert_false(cv_rpc_plain_request_write(&w, &header, cv_slice_of(memory, SIZE_MAX)));
}

static void other_forms_are_left_alone(void **state)
{
    (void)state;
    uint8_t frames[256];
    struct cv_rpc_metadata metadata = {cv_slice_text("k"), cv_slice_text("v")};
    const struct cv_rpc_header with_metadata = {
        .method = cv_slice_text("m"), .metadata = &metadata, .metadata_count = 1};
    struct cv_rpc_header header;
    struct cv_slice message = cv_slice_text("x");
    struct cv_writer w;
    cv_writer_init(&w, frames, sizeof frames);
    assert_false(cv_rpc_plain_request_write(&w, &with_metadata, message));
    struct cv_slice bytes = request_frames(&with_metadata, message, frames, sizeof frames);
    assert_false(cv_rpc_plain_request_read(bytes, &header, &message));

    const struct cv_rpc_status failed = {.code = COVEY_STATUS_ABORTED};
    cv_writer_init(&w, frames, sizeof frames);
    cv_rpc_message_write(&w, message);
    cv_rpc_status_write(&w, &failed);
    assert_false(cv_rpc_reply_read(cv_writer_bytes(&w), &message));
}

/* Whatever a peer sends: what is taken here is taken frame by frame, and means the same. */
static void check_any(struct cv_slice bytes)
{
    struct cv_rpc_header a = {.timeout_us = 7}, b;
    struct cv_slice message = cv_slice_text("unchanged"), other;
    if (cv_rpc_plain_request_read(bytes, &a, &message)) {
        assert_true(read_request(bytes, &b, &other));
        assert_bytes(a.method, b.method);
        assert_bytes(message, other);
        assert_int_equal(a.has_timeout, b.has_timeout);
        assert_int_equal(a.timeout_us, b.timeout_us);
        assert_int_equal(b.metadata_count, 0);
    } else {
        assert_int_equal(a.timeout_us, 7);
        assert_int_equal(message.size, 9);
    }
    if (cv_rpc_reply_read(bytes, &message)) {
        assert_true(read_reply(bytes, &other));
        assert_bytes(message, other);
    }
}

/* Each byte is made each other one, and it is cut off and lengthened everywhere. */
static void check_mutations(struct cv_slice bytes)
{
    uint8_t memory[256];
    assert_true(bytes.size < sizeof memory);
    memset(memory, 0, sizeof memory);
    memcpy(memory, bytes.data, bytes.size);
    for (size_t size = 0; size <= bytes.size + 1; size++)
        check_any(cv_slice_of(memory, size));
    for (size_t at = 0; at < bytes.size; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memory[at] = (uint8_t)value;
            check_any(cv_slice_of(memory, bytes.size));
        }
        memory[at] = bytes.data[at];
    }
}

static void nothing_is_taken_that_frames_would_not_be(void **state)
{
    (void)state;
    uint8_t frames[256];
    for (size_t size = 1; size <= 16; size *= 4) {
        struct cv_rpc_header header = {.method = cv_slice_of(name, size)};
        check_mutations(
            request_frames(&header, cv_slice_of(text, size * 4 - 4), frames, sizeof frames));
        header.has_timeout = true;
        for (size_t t = 0; t < COUNT(timeouts); t++) {
            header.timeout_us = timeouts[t];
            check_mutations(
                request_frames(&header, cv_slice_of(text, size * 4 - 4), frames, sizeof frames));
        }
        check_mutations(reply_frames(cv_slice_of(text, size * 4 - 4), frames, sizeof frames));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_those_of_frames),
        cmocka_unit_test(replies_are_those_of_frames),
        cmocka_unit_test(what_may_not_fit_is_not_written),
        cmocka_unit_test(other_forms_are_left_alone),
        cmocka_unit_test(nothing_is_taken_that_frames_would_not_be),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
