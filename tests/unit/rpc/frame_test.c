#include "rpc/frame.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <covey/error.h>

static struct cv_rpc_metadata room[CV_RPC_METADATA_COUNT_MAX];

#define SLICE(literal) cv_slice_of((literal), sizeof(literal) - 1)

static struct cv_slice header_bytes(const struct cv_rpc_header *header, uint8_t *memory,
                                    size_t size)
{
    struct cv_writer w;
    cv_writer_init(&w, memory, size);
    cv_rpc_header_write(&w, header);
    assert_true(cv_writer_ok(&w));
    assert_int_equal(cv_writer_size(&w), cv_rpc_header_size(header));
    return cv_writer_bytes(&w);
}

static struct cv_slice status_bytes(const struct cv_rpc_status *status, uint8_t *memory,
                                    size_t size)
{
    struct cv_writer w;
    cv_writer_init(&w, memory, size);
    cv_rpc_status_write(&w, status);
    assert_true(cv_writer_ok(&w));
    assert_int_equal(cv_writer_size(&w), cv_rpc_status_size(status));
    return cv_writer_bytes(&w);
}

static void assert_bytes(struct cv_slice a, struct cv_slice b)
{
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

static struct cv_slice body_of(struct cv_slice frame, enum cv_rpc_frame_type type)
{
    struct cv_rpc_frame_head head;
    assert_int_equal(cv_rpc_frame_head_read(frame, &head), 0);
    assert_int_equal(head.type, type);
    assert_int_equal(head.size + head.length, frame.size);
    return cv_slice_of(frame.data + head.size, (size_t)head.length);
}

/* The example of docs/PROTOCOL.md, byte by byte. */
static void documented_example(void **state)
{
    (void)state;
    static const uint8_t request[] = {0x40, 0x71, 0x01, 0x04, 0x80, 0x1e, 0x84, 0x80, 0x02,
                                      0x09, 'e',  'c',  'h',  'o',  '/',  's',  'a',  'y',
                                      '1',  0x03, 0x09, 0x05, 't',  'r',  'a',  'c',  'e',
                                      'a',  'b',  'c',  0x08, 'h',  'i'};
    static const uint8_t answer[] = {0x08, 'h', 'i', 0x02};
    static const uint8_t reply_metadata[] = {0x29, 0x03, 0x08, 0x04, 'n', 'o',
                                             'd',  'e',  'b',  '-',  '7'};
    static const uint8_t error[] = {0x32, 0x01, 0x01, 0x05, 0x02, 0x07, 'n',
                                    'o',  ' ',  'u',  's',  'e',  'r'};
    struct cv_rpc_metadata metadata = {cv_slice_text("trace"), cv_slice_text("abc")};
    struct cv_rpc_header header = {.method = cv_slice_text("echo/say1"),
                                   .has_timeout = true,
                                   .timeout_us = 2000000,
                                   .metadata = &metadata,
                                   .metadata_count = 1};
    uint8_t memory[64];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    cv_rpc_header_write(&w, &header);
    cv_rpc_message_write(&w, cv_slice_text("hi"));
    assert_bytes(cv_writer_bytes(&w), cv_slice_of(request, sizeof request));

    metadata = (struct cv_rpc_metadata){cv_slice_text("node"), cv_slice_text("b-7")};
    cv_writer_init(&w, memory, sizeof memory);
    cv_rpc_metadata_write(&w, &metadata, 1);
    assert_bytes(cv_writer_bytes(&w), cv_slice_of(reply_metadata, sizeof reply_metadata));

    struct cv_rpc_status status = {.code = COVEY_STATUS_OK};
    cv_writer_init(&w, memory, sizeof memory);
    cv_rpc_message_write(&w, cv_slice_text("hi"));
    cv_rpc_status_write(&w, &status);
    assert_bytes(cv_writer_bytes(&w), cv_slice_of(answer, sizeof answer));

    status =
        (struct cv_rpc_status){.code = COVEY_STATUS_NOT_FOUND, .message = cv_slice_text("no user")};
    assert_bytes(status_bytes(&status, memory, sizeof memory), cv_slice_of(error, sizeof error));
}

/* What is written in one pass is what is written frame by frame; or nothing is. */
static void whole_streams_fit_or_are_not_written(void **state)
{
    (void)state;
    uint8_t frames[128], memory[128];
    struct cv_rpc_metadata metadata = {cv_slice_text("k"), cv_slice_text("v")};
    struct cv_rpc_header header = {.method = cv_slice_text("m"),
                                   .has_timeout = true,
                                   .timeout_us = 70,
                                   .metadata = &metadata,
                                   .metadata_count = 1};
    struct cv_slice message = cv_slice_text("a message of more than sixteen bytes");
    struct cv_writer a, b;
    cv_writer_init(&a, frames, sizeof frames);
    cv_rpc_header_write(&a, &header);
    cv_rpc_message_write(&a, message);
    size_t size = cv_writer_size(&a);
    for (size_t left = 0; left <= size + 1; left++) {
        cv_writer_init(&b, memory, left);
        assert_int_equal(cv_rpc_request_write(&b, &header, message), left >= size);
        if (left < size)
            assert_true(cv_writer_ok(&b) && cv_writer_size(&b) == 0);
        else
            assert_bytes(cv_writer_bytes(&b), cv_writer_bytes(&a));
    }

    cv_writer_init(&b, memory, sizeof memory);
    assert_false(cv_rpc_request_write(&b, &header, cv_slice_of(memory, SIZE_MAX)));
}

static void head_of_every_size(void **state)
{
    (void)state;
    static const struct {
        struct cv_slice bytes;
        uint64_t length;
    } cases[] = {
        {{(const uint8_t *)"\x00", 1}, 0},
        {{(const uint8_t *)"\x3c", 1}, 15},
        {{(const uint8_t *)"\x40\x40", 2}, 16},
        {{(const uint8_t *)"\x80\x00\x40\x00", 4}, 4096},
        {{(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xfc", 8}, (UINT64_C(1) << 60) - 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cv_rpc_frame_head head = {0};
        for (size_t size = 0; size < cases[i].bytes.size; size++) {
            struct cv_slice part = cv_slice_of(cases[i].bytes.data, size);
            assert_int_equal(cv_rpc_frame_head_read(part, &head), COVEY_ERR_WOULD_BLOCK);
        }
        assert_int_equal(cv_rpc_frame_head_read(cases[i].bytes, &head), 0);
        assert_int_equal(head.type, CV_RPC_FRAME_MESSAGE);
        assert_true(head.length == cases[i].length);
        assert_int_equal(head.size, cases[i].bytes.size);
    }
    struct cv_rpc_frame_head head;
    assert_int_equal(cv_rpc_frame_head_read(SLICE("\x40\x01"), &head), COVEY_ERR_MALFORMED);
}

static void header_round_trip(void **state)
{
    (void)state;
    static const uint64_t timeouts[] = {0, 63, 64, 16384, UINT64_C(1) << 30, CV_VARINT_MAX};
    struct cv_rpc_metadata metadata[] = {{cv_slice_text("a"), cv_slice_text("")},
                                         {cv_slice_text("a"), SLICE("\0\xff")}};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        struct cv_rpc_header header = {.method = cv_slice_text("Az09._-/"),
                                       .has_timeout = true,
                                       .timeout_us = timeouts[i],
                                       .metadata = metadata,
                                       .metadata_count = 2};
        uint8_t memory[128];
        struct cv_slice frame = header_bytes(&header, memory, sizeof memory);
        struct cv_rpc_header read;
        assert_int_equal(cv_rpc_header_read(body_of(frame, CV_RPC_FRAME_HEADER), room, &read), 0);
        assert_true(cv_slice_equal(read.method, header.method));
        assert_true(read.has_timeout && read.timeout_us == timeouts[i]);
        assert_int_equal(read.metadata_count, 2);
        assert_true(cv_slice_equal(read.metadata[1].key, metadata[1].key));
        assert_true(cv_slice_equal(read.metadata[1].value, metadata[1].value));
        assert_int_equal(read.metadata[0].value.size, 0);
    }
}

static void names_of_texts(void **state)
{
    (void)state;
    char text[258];
    for (size_t size = 0; size < sizeof text - 1; size++) {
        memset(text, 'x', size);
        text[size] = 0;
        struct cv_slice name = cv_rpc_method_name(text);
        assert_int_equal(name.size, size <= CV_RPC_METHOD_SIZE_MAX ? size : 0);
        assert_int_equal(cv_rpc_method_name_valid(cv_slice_of(text, size)), name.size > 0);
    }
    for (unsigned c = 1; c < 256; c++) { /* in front, inside, at the end */
        for (size_t at = 0; at < 3; at++) {
            memcpy(text, "abc", 4);
            text[at] = (char)c;
            bool is_valid = cv_rpc_method_name_valid(cv_slice_of(text, 3));
            assert_int_equal(cv_rpc_method_name(text).size, is_valid ? 3 : 0);
        }
    }
}

static void header_check_bounds(void **state)
{
    (void)state;
    char text[257];
    memset(text, 'x', sizeof text);
    struct cv_rpc_header header = {.method = cv_slice_of(text, 255)};
    assert_int_equal(cv_rpc_header_check(&header, 9216), 0);
    header.method.size = 256;
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_INVALID_ARGUMENT);
    header.method.size = 0;
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_INVALID_ARGUMENT);
    header.method = cv_slice_text("a b");
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_INVALID_ARGUMENT);

    header.method = cv_slice_text("m");
    struct cv_rpc_metadata metadata[CV_RPC_METADATA_COUNT_MAX + 1];
    for (size_t i = 0; i < CV_RPC_METADATA_COUNT_MAX + 1; i++)
        metadata[i] = (struct cv_rpc_metadata){cv_slice_text("k"), {0}};
    header.metadata = metadata;
    header.metadata_count = CV_RPC_METADATA_COUNT_MAX;
    assert_int_equal(cv_rpc_header_check(&header, 9216), 0);
    header.metadata_count++;
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_TOO_LARGE);

    header.metadata_count = 1;
    metadata[0].key = cv_slice_of(text, 64);
    assert_int_equal(cv_rpc_header_check(&header, 9216), 0);
    metadata[0].key = cv_slice_of(text, 65);
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_INVALID_ARGUMENT);
    metadata[0].key = cv_slice_text("Upper");
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_INVALID_ARGUMENT);
    metadata[0].key = cv_slice_text("k");
    metadata[0].value = cv_slice_of(text, SIZE_MAX);
    assert_int_equal(cv_rpc_header_check(&header, 9216), COVEY_ERR_TOO_LARGE);

    /* 3 of the method, then tag, size and "\1k" before the value: exactly the limit and one more.
     */
    metadata[0].value = cv_slice_of(text, 50);
    assert_int_equal(cv_rpc_header_check(&header, 57), 0);
    assert_int_equal(cv_rpc_header_check(&header, 56), COVEY_ERR_TOO_LARGE);
}

static void malformed_headers(void **state)
{
    (void)state;
    static const struct cv_slice bodies[] = {
        {(const uint8_t *)"", 0},                          /* no method */
        {(const uint8_t *)"\x02\x00", 2},                  /* an empty one */
        {(const uint8_t *)"\x02\x01 ", 3},                 /* not a name */
        {(const uint8_t *)"\x02\x02m", 3},                 /* cut off */
        {(const uint8_t *)"\x02\x01mx", 4},                /* a byte too many */
        {(const uint8_t *)"\x02\x01m\x02\x01n", 6},        /* twice */
        {(const uint8_t *)"\x02\x01m\x01\x01\x05", 6},     /* out of order */
        {(const uint8_t *)"\x01\x00\x02\x01m", 5},         /* an empty timeout */
        {(const uint8_t *)"\x01\x02\x05\x05\x02\x01m", 7}, /* two numbers in one */
        {(const uint8_t *)"\x01\x02\x40\x05\x02\x01m", 7}, /* not the shortest form */
        {(const uint8_t *)"\x01\x01\x05\x01\x01\x05\x02\x01m", 9},
        {(const uint8_t *)"\x02\x01m\x03\x00", 5},      /* metadata without a key */
        {(const uint8_t *)"\x02\x01m\x03\x02\x00v", 7}, /* with an empty key */
        {(const uint8_t *)"\x02\x01m\x03\x02\x01K", 7}, /* a bad one */
        {(const uint8_t *)"\x02\x01m\x03\x02\x05k", 7}, /* one cut off */
        {(const uint8_t *)"\x02\x01m\x40\x03\x00", 6},  /* a tag in a longer form */
        {(const uint8_t *)"\x02\x01m\x09\xff\xff\xff\xff\xff\xff\xff\xff", 12}, /* a huge size */
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct cv_rpc_header header = {.timeout_us = 77};
        assert_int_equal(cv_rpc_header_read(bodies[i], room, &header), COVEY_ERR_MALFORMED);
        assert_int_equal(header.timeout_us, 77);
    }
}

static void too_many_metadata_entries_are_malformed(void **state)
{
    (void)state;
    uint8_t body[3 + 4 * (CV_RPC_METADATA_COUNT_MAX + 1)];
    struct cv_writer w;
    cv_writer_init(&w, body, sizeof body);
    cv_write_bytes(&w, SLICE("\x02\x01m"));
    for (size_t i = 0; i < CV_RPC_METADATA_COUNT_MAX + 1; i++)
        cv_write_bytes(&w, SLICE("\x03\x02\x01k"));
    struct cv_rpc_header header;
    assert_int_equal(cv_rpc_header_read(cv_slice_of(body, sizeof body), room, &header),
                     COVEY_ERR_MALFORMED);
    assert_int_equal(cv_rpc_header_read(cv_slice_of(body, sizeof body - 4), room, &header), 0);
    assert_int_equal(header.metadata_count, CV_RPC_METADATA_COUNT_MAX);
}

static void metadata_round_trip(void **state)
{
    (void)state;
    uint8_t every[256];
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (uint8_t)i;
    const struct cv_rpc_metadata entries[] = {{cv_slice_text("k"), SLICE("\0\xff")},
                                              {cv_slice_text("a"), cv_slice_of(every, 256)},
                                              {cv_slice_text("k"), {0}}};
    for (size_t count = 0; count <= 3; count++) {
        uint8_t memory[300];
        struct cv_writer w;
        cv_writer_init(&w, memory, sizeof memory);
        cv_rpc_metadata_write(&w, entries, count);
        struct cv_slice frame = cv_writer_bytes(&w);
        assert_true(cv_writer_ok(&w));
        assert_int_equal(frame.size, cv_rpc_metadata_size(entries, count));
        size_t read = 99;
        assert_int_equal(cv_rpc_metadata_read(body_of(frame, CV_RPC_FRAME_HEADER), room, &read), 0);
        assert_int_equal(read, count);
        for (size_t i = 0; i < count; i++) {
            assert_bytes(room[i].key, entries[i].key);
            assert_true(cv_slice_equal(room[i].value, entries[i].value));
        }
    }
}

static void metadata_check_bounds(void **state)
{
    (void)state;
    struct cv_rpc_metadata entries[CV_RPC_METADATA_COUNT_MAX + 1];
    for (size_t i = 0; i < CV_RPC_METADATA_COUNT_MAX + 1; i++)
        entries[i] = (struct cv_rpc_metadata){cv_slice_text("k"), {0}};
    assert_int_equal(cv_rpc_metadata_check(NULL, 0, 0), 0);
    assert_int_equal(cv_rpc_metadata_check(entries, CV_RPC_METADATA_COUNT_MAX, 256), 0);
    assert_int_equal(cv_rpc_metadata_check(entries, CV_RPC_METADATA_COUNT_MAX, 255),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(cv_rpc_metadata_check(entries, CV_RPC_METADATA_COUNT_MAX + 1, 9216),
                     COVEY_ERR_TOO_LARGE);
    entries[1].key = cv_slice_text("K");
    assert_int_equal(cv_rpc_metadata_check(entries, 1, 9216), 0);
    assert_int_equal(cv_rpc_metadata_check(entries, 2, 9216), COVEY_ERR_INVALID_ARGUMENT);
    entries[0].value = cv_slice_of("", SIZE_MAX);
    assert_int_equal(cv_rpc_metadata_check(entries, 1, 9216), COVEY_ERR_TOO_LARGE);
}

static void malformed_metadata(void **state)
{
    (void)state;
    static const struct cv_slice bodies[] = {
        {(const uint8_t *)"\x01\x01\x05", 3},              /* a timeout is the client's */
        {(const uint8_t *)"\x02\x01m", 3},                 /* and so is a method */
        {(const uint8_t *)"\x03\x00", 2},                  /* no key */
        {(const uint8_t *)"\x03\x02\x01K", 4},             /* a bad one */
        {(const uint8_t *)"\x03\x03\x01k", 4},             /* cut off */
        {(const uint8_t *)"\x04\x00\x03\x02\x01k", 6},     /* out of order */
        {(const uint8_t *)"\x03\x02\x01k\x40\x04\x00", 7}, /* a tag in a longer form */
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        size_t count = 77;
        assert_int_equal(cv_rpc_metadata_read(bodies[i], room, &count), COVEY_ERR_MALFORMED);
        assert_int_equal(count, 77);
    }
    uint8_t body[4 * (CV_RPC_METADATA_COUNT_MAX + 1)];
    for (size_t i = 0; i < sizeof body; i += 4)
        memcpy(body + i, "\x03\x02\x01k", 4);
    size_t count = 0;
    assert_int_equal(cv_rpc_metadata_read(cv_slice_of(body, sizeof body), room, &count),
                     COVEY_ERR_MALFORMED);
    assert_int_equal(cv_rpc_metadata_read(cv_slice_of(body, sizeof body - 4), room, &count), 0);
    assert_int_equal(count, CV_RPC_METADATA_COUNT_MAX);
    assert_int_equal(cv_rpc_metadata_read(SLICE("\x00\x01x\x03\x02\x01k\x05\x00"), room, &count),
                     0);
    assert_int_equal(count, 1);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct cv_rpc_header header;
    assert_int_equal(
        cv_rpc_header_read(SLICE("\x00\x01x\x02\x01m\x04\x00\x04\x01y\x41\x00\x00"), room, &header),
        0);
    assert_int_equal(header.method.size, 1);
    assert_false(header.has_timeout);
    struct cv_rpc_status status;
    assert_int_equal(cv_rpc_status_read(SLICE("\x00\x01x\x01\x01\x05\x07\x01y\x07\x00"), &status),
                     0);
    assert_int_equal(status.code, COVEY_STATUS_NOT_FOUND);
}

/* A shorter timeout may take fewer bytes, and then the frame's own length fewer too. */
static void header_shorten_equals_a_new_header(void **state)
{
    (void)state;
    static const uint64_t timeouts[] = {CV_VARINT_MAX, UINT64_C(1) << 30, 16384, 64, 63, 0};
    char value[80];
    memset(value, 'v', sizeof value);
    for (size_t size = 0; size < sizeof value; size++) {
        for (size_t i = 0; i < 6; i++) {
            for (size_t j = i; j < 6; j++) {
                struct cv_rpc_metadata metadata = {cv_slice_text("k"), cv_slice_of(value, size)};
                struct cv_rpc_header header = {.method = cv_slice_text("m"),
                                               .has_timeout = true,
                                               .timeout_us = timeouts[i],
                                               .metadata = &metadata,
                                               .metadata_count = 1};
                uint8_t memory[128], wanted[128];
                struct cv_slice frame = header_bytes(&header, memory, sizeof memory);
                size_t saved = cv_rpc_header_shorten(memory, frame.size, timeouts[j]);
                header.timeout_us = timeouts[j];
                assert_bytes(cv_slice_of(memory + saved, frame.size - saved),
                             header_bytes(&header, wanted, sizeof wanted));
            }
        }
    }
}

static void status_round_trip(void **state)
{
    (void)state;
    for (int code = COVEY_STATUS_OK; code <= COVEY_STATUS_UNAUTHENTICATED; code++) {
        struct cv_rpc_status status = {.code = (enum covey_status_code)code,
                                       .message = cv_slice_text(code % 2 ? "text" : ""),
                                       .details = cv_slice_text(code % 3 ? "details" : "")};
        uint8_t memory[64];
        struct cv_slice frame = status_bytes(&status, memory, sizeof memory);
        struct cv_rpc_status read;
        assert_int_equal(cv_rpc_status_read(body_of(frame, CV_RPC_FRAME_STATUS), &read), 0);
        assert_int_equal(read.code, code);
        assert_true(cv_slice_equal(read.message, status.message));
        assert_true(cv_slice_equal(read.details, status.details));
    }
    struct cv_rpc_status least = {.code = COVEY_STATUS_UNAUTHENTICATED};
    assert_int_equal(cv_rpc_status_size(&least), CV_RPC_STATUS_SIZE_MIN);
}

static void unknown_status_numbers_are_unknown(void **state)
{
    (void)state;
    struct cv_rpc_status status;
    assert_int_equal(cv_rpc_status_read(SLICE("\x01\x01\x10"), &status), 0);
    assert_int_equal(status.code, COVEY_STATUS_UNAUTHENTICATED);
    assert_int_equal(cv_rpc_status_read(SLICE("\x01\x01\x11"), &status), 0);
    assert_int_equal(status.code, COVEY_STATUS_UNKNOWN);
    assert_int_equal(cv_rpc_status_read(SLICE("\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff"), &status),
                     0);
    assert_int_equal(status.code, COVEY_STATUS_UNKNOWN);
}

static void malformed_statuses(void **state)
{
    (void)state;
    static const struct cv_slice bodies[] = {
        {(const uint8_t *)"\x01\x01\x00", 3},             /* OK has no field */
        {(const uint8_t *)"\x01\x00", 2},                 /* no number */
        {(const uint8_t *)"\x01\x01\x05\x01\x01\x05", 6}, /* twice */
        {(const uint8_t *)"\x02\x00", 2},                 /* empty fields are left out */
        {(const uint8_t *)"\x03\x00", 2},
        {(const uint8_t *)"\x02\x01\xff", 3},          /* no UTF-8 */
        {(const uint8_t *)"\x02\x01t\x01\x01\x05", 6}, /* out of order */
        {(const uint8_t *)"\x02\x05t", 3},             /* cut off */
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct cv_rpc_status status = {.code = COVEY_STATUS_ABORTED};
        assert_int_equal(cv_rpc_status_read(bodies[i], &status), COVEY_ERR_MALFORMED);
        assert_int_equal(status.code, COVEY_STATUS_ABORTED);
    }
}

static void status_texts_are_cut(void **state)
{
    (void)state;
    char text[CV_RPC_STATUS_TEXT_SIZE_MAX + 1];
    memset(text, 'x', sizeof text);
    assert_int_equal(cv_rpc_status_text(cv_slice_of(text, sizeof text - 1)).size, 1024);
    assert_int_equal(cv_rpc_status_text(cv_slice_of(text, sizeof text)).size, 1024);
    memcpy(text + 1023, "\xc3\xa9", 2); /* a character across the bound */
    assert_int_equal(cv_rpc_status_text(cv_slice_of(text, sizeof text)).size, 1023);
    assert_int_equal(cv_rpc_status_text(SLICE("ab\xff"
                                              "cd"))
                         .size,
                     2);

    /* One that is too long is not ours, and a peer's is refused. */
    uint8_t body[3 + sizeof text];
    struct cv_writer w;
    cv_writer_init(&w, body, sizeof body);
    memset(text, 'x', sizeof text);
    cv_write_varint(&w, 2);
    cv_write_prefixed(&w, cv_slice_of(text, sizeof text));
    struct cv_rpc_status status;
    assert_int_equal(cv_rpc_status_read(cv_writer_bytes(&w), &status), COVEY_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_example),
        cmocka_unit_test(whole_streams_fit_or_are_not_written),
        cmocka_unit_test(head_of_every_size),
        cmocka_unit_test(header_round_trip),
        cmocka_unit_test(names_of_texts),
        cmocka_unit_test(header_check_bounds),
        cmocka_unit_test(malformed_headers),
        cmocka_unit_test(too_many_metadata_entries_are_malformed),
        cmocka_unit_test(metadata_round_trip),
        cmocka_unit_test(metadata_check_bounds),
        cmocka_unit_test(malformed_metadata),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(header_shorten_equals_a_new_header),
        cmocka_unit_test(status_round_trip),
        cmocka_unit_test(unknown_status_numbers_are_unknown),
        cmocka_unit_test(malformed_statuses),
        cmocka_unit_test(status_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
