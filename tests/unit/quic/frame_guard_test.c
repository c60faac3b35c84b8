#include "quic/frame_guard.h"

#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct stops {
    size_t count;
    int64_t id;
    uint64_t code;
};

static void on_stopped(void *user, int64_t stream_id, uint64_t code)
{
    struct stops *s = user;
    s->count++;
    s->id = stream_id;
    s->code = code;
}

static struct cv_frame_report walk(struct cv_frame_guard *g, struct stops *stops, uint8_t *payload,
                                   size_t size)
{
    static struct stops ignored;
    const struct cv_frame_guard_config config = {
        .overwrite = true, .stopped = on_stopped, .user = stops == NULL ? &ignored : stops};
    return cv_frame_guard_walk(g, &config, payload, size);
}

/* NEW_CONNECTION_ID with an id of 8 bytes; returns its size, 28. */
static size_t new_id(uint8_t *at, uint8_t sequence, uint8_t retire_prior_to)
{
    memset(at, 0xaa, 28);
    at[0] = 0x18;
    at[1] = sequence;
    at[2] = retire_prior_to;
    at[3] = 8;
    return 28;
}

static bool is_ping_and_padding(const uint8_t *frame, size_t size)
{
    for (size_t i = 1; i < size; i++) {
        if (frame[i] != 0)
            return false;
    }
    return frame[0] == 1;
}

/* The sequence that aborts ngtcp2 below 1.4: 1, then 2 that retires it, then 1 again. */
static void test_repetition_below_retired_is_overwritten(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[84];
    uint8_t before[84];
    (void)state;
    cv_frame_guard_init(&g);
    new_id(packet, 1, 0);
    new_id(packet + 28, 2, 2);
    new_id(packet + 56, 1, 0);
    memcpy(before, packet, sizeof(packet));
    assert_int_equal(walk(&g, NULL, packet, sizeof(packet)).guarded, 1);
    assert_memory_equal(packet, before, 56);
    assert_true(is_ping_and_padding(packet + 56, 28));
}

static void test_the_same_over_three_packets(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[28];
    (void)state;
    cv_frame_guard_init(&g);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 1, 0)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 2, 2)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 1, 0)).guarded, 1);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 1, 0)).guarded, 1);
}

static void test_number_0_is_known_from_the_handshake(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[56];
    (void)state;
    cv_frame_guard_init(&g);
    new_id(packet, 1, 1);
    new_id(packet + 28, 0, 0);
    assert_int_equal(walk(&g, NULL, packet, sizeof(packet)).guarded, 1);
}

/* A first one that is late must go through: RFC 9000 wants it retired explicitly. */
static void test_late_first_one_passes(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[28];
    (void)state;
    cv_frame_guard_init(&g);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 5, 5)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 3, 0)).guarded, 0);
    assert_int_equal(packet[0], 0x18);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 3, 0)).guarded, 1);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 4, 4)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 4, 4)).guarded, 1);
}

static void test_repetition_above_retired_passes(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[28];
    (void)state;
    cv_frame_guard_init(&g);
    for (int i = 0; i < 3; i++)
        assert_int_equal(walk(&g, NULL, packet, new_id(packet, 2, 2)).guarded, 0);
}

static void test_preferred_address_counts_as_seen(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[28];
    (void)state;
    cv_frame_guard_init(&g);
    cv_frame_guard_saw(&g, 1);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 2, 2)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 1, 0)).guarded, 1);
}

/* However many numbers with gaps come, memory stays bounded and no repetition passes. */
static void test_gaps_beyond_the_list(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[28];
    (void)state;
    cv_frame_guard_init(&g);
    for (uint8_t n = 3; n < 63; n += 2) {
        assert_int_equal(walk(&g, NULL, packet, new_id(packet, n, 0)).guarded, 0);
        assert_true(g.seen_count <= CV_FRAME_GUARD_SEEN_MAX);
    }
    (void)walk(&g, NULL, packet, new_id(packet, 63, 63));
    for (uint8_t n = 3; n < 63; n += 2)
        assert_int_equal(walk(&g, NULL, packet, new_id(packet, n, 0)).guarded, 1);
    /* of the gaps, those that the list still holds apart pass once */
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 62, 0)).guarded, 0);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 62, 0)).guarded, 1);
    assert_int_equal(walk(&g, NULL, packet, new_id(packet, 4, 0)).guarded, 1);
}

static void test_numbers_in_order_need_no_list(void **state)
{
    struct cv_frame_guard g;
    (void)state;
    cv_frame_guard_init(&g);
    cv_frame_guard_saw(&g, 2);
    cv_frame_guard_saw(&g, 3);
    assert_int_equal(g.seen_count, 2);
    cv_frame_guard_saw(&g, 1);
    assert_int_equal(g.seen_count, 0);
    assert_int_equal(g.seen_below, 4);
}

static void test_without_overwriting_nothing_changes(void **state)
{
    struct cv_frame_guard g;
    struct stops stops = {0};
    const struct cv_frame_guard_config config = {.stopped = on_stopped, .user = &stops};
    uint8_t packet[56];
    uint8_t before[56];
    (void)state;
    cv_frame_guard_init(&g);
    new_id(packet, 1, 1);
    new_id(packet + 28, 0, 0);
    memcpy(before, packet, sizeof(packet));
    assert_int_equal(cv_frame_guard_walk(&g, &config, packet, sizeof(packet)).guarded, 0);
    assert_memory_equal(packet, before, sizeof(packet));
}

/* One frame of each kind. A repeated NEW_CONNECTION_ID behind it is found only when the walker
 * steps over exactly the frame. */
static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    size_t control;
    bool has_end; /* says itself where it ends */
} frames[] = {
#define FRAME(name, bytes, control, has_end)                                                       \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, control, has_end                                           \
    }
    FRAME("padding", "\x00\x00\x00", 0, true),
    FRAME("ping", "\x01", 0, true),
    FRAME("ack", "\x02\x05\x00\x00\x01", 0, true),
    FRAME("ack with ranges", "\x02\x40\x20\x01\x02\x01\x01\x02\x03\x04", 0, true),
    FRAME("ack ecn", "\x03\x05\x00\x00\x01\x01\x02\x03", 0, true),
    FRAME("reset stream", "\x04\x00\x07\x09", 0, true),
    FRAME("stop sending", "\x05\x04\x07", 0, true),
    FRAME("crypto", "\x06\x00\x02hi", 1, true),
    FRAME("new token", "\x07\x03tok", 1, true),
    FRAME("stream size", "\x0a\x00\x02hi", 0, true),
    FRAME("stream size fin", "\x0b\x00\x00", 0, true),
    FRAME("stream offset size", "\x0e\x00\x05\x02hi", 0, true),
    FRAME("stream offset size fin", "\x0f\x04\x05\x02hi", 0, true),
    FRAME("stream", "\x08\x00hi", 0, false),
    FRAME("stream fin", "\x09\x00hi", 0, false),
    FRAME("stream offset", "\x0c\x00\x05hi", 0, false),
    FRAME("stream offset fin", "\x0d\x00\x05hi", 0, false),
    FRAME("max data", "\x10\x44\x00", 0, true),
    FRAME("max stream data", "\x11\x00\x44\x00", 0, true),
    FRAME("max streams bidi", "\x12\x09", 0, true),
    FRAME("max streams uni", "\x13\x09", 0, true),
    FRAME("data blocked", "\x14\x09", 0, true),
    FRAME("stream data blocked", "\x15\x00\x09", 0, true),
    FRAME("streams blocked bidi", "\x16\x09", 0, true),
    FRAME("streams blocked uni", "\x17\x09", 0, true),
    FRAME("retire connection id", "\x19\x01", 1, true),
    FRAME("path challenge",
          "\x1a"
          "12345678",
          1, true),
    FRAME("path response",
          "\x1b"
          "12345678",
          1, true),
    FRAME("connection close",
          "\x1c\x0a\x06\x03"
          "why",
          0, true),
    FRAME("application close",
          "\x1d\x0a\x03"
          "why",
          0, true),
    FRAME("handshake done", "\x1e", 0, true),
    FRAME("datagram", "\x30hello", 0, false),
    FRAME("datagram size", "\x31\x05hello", 0, true),
    FRAME("long varints", "\x11\x40\x00\x80\x00\x00\x01", 0, true),
    FRAME("longest varint", "\x10\xc0\x00\x00\x00\x00\x00\x00\x07", 0, true),
    /* what the library takes for STREAM frames though they are none */
    FRAME("0x1f", "\x1f\x00\x00\x02hi", 0, true),
    FRAME("0x2a", "\x2a\x00\x02hi", 0, true),
    FRAME("0x8e", "\x8e\x00\x05\x02hi", 0, true),
#undef FRAME
};
#define FRAME_COUNT (sizeof(frames) / sizeof(frames[0]))

static void test_every_frame_is_stepped_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        struct cv_frame_guard g;
        uint8_t packet[128];
        cv_frame_guard_init(&g);
        cv_frame_guard_saw(&g, 1);
        g.retire_prior_to = 2;
        memcpy(packet, frames[i].bytes, frames[i].size);
        size_t size = frames[i].size + new_id(packet + frames[i].size, 1, 0);
        struct cv_frame_report report = walk(&g, NULL, packet, size);
        if (memcmp(packet, frames[i].bytes, frames[i].size) != 0 ||
            report.guarded != frames[i].has_end ||
            report.control != frames[i].control + frames[i].has_end)
            fail_msg("%s: guarded %zu, control %zu", frames[i].name, report.guarded,
                     report.control);
    }
}

/* Every beginning of every frame, in memory of exactly that size: sanitizers see any step too far.
 */
static void test_truncated_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        for (size_t size = 1; size <= frames[i].size; size++) {
            struct cv_frame_guard g;
            uint8_t *packet = malloc(size);
            assert_non_null(packet);
            cv_frame_guard_init(&g);
            memcpy(packet, frames[i].bytes, size);
            assert_int_equal(walk(&g, NULL, packet, size).guarded, 0);
            assert_memory_equal(packet, frames[i].bytes, size);
            free(packet);
        }
    }
}

static void test_truncated_connection_id(void **state)
{
    (void)state;
    for (size_t size = 1; size < 28; size++) {
        struct cv_frame_guard g;
        uint8_t frame[28];
        uint8_t *packet = malloc(size);
        assert_non_null(packet);
        cv_frame_guard_init(&g);
        g.retire_prior_to = 2;
        new_id(frame, 0, 0);
        memcpy(packet, frame, size);
        assert_int_equal(walk(&g, NULL, packet, size).guarded, 0);
        assert_memory_equal(packet, frame, size);
        free(packet);
    }
}

static void test_unknown_frame_ends_the_walk(void **state)
{
    static const uint8_t unknown[] = {0x20, 0x27, 0x32, 0x40, 0x80, 0xc0, 0xf7};
    (void)state;
    for (size_t i = 0; i < sizeof(unknown); i++) {
        struct cv_frame_guard g;
        uint8_t packet[29];
        uint8_t before[29];
        cv_frame_guard_init(&g);
        g.retire_prior_to = 2;
        packet[0] = unknown[i];
        new_id(packet + 1, 0, 0);
        memcpy(before, packet, sizeof(packet));
        assert_int_equal(walk(&g, NULL, packet, sizeof(packet)).guarded, 0);
        assert_memory_equal(packet, before, sizeof(packet));
    }
}

static void test_huge_lengths(void **state)
{
    static const char *const packets[] = {
        "\x06\x00\xff\xff\xff\xff\xff\xff\xff\xff",     /* CRYPTO */
        "\x31\xff\xff\xff\xff\xff\xff\xff\xff",         /* DATAGRAM */
        "\x0a\x00\xff\xff\xff\xff\xff\xff\xff\xff",     /* STREAM */
        "\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", /* ACK ranges */
        "\x1c\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        struct cv_frame_guard g;
        uint8_t packet[16];
        size_t size = i == 1 ? 9 : i < 3 ? 10 : 11;
        memcpy(packet, packets[i], size);
        cv_frame_guard_init(&g);
        assert_int_equal(walk(&g, NULL, packet, size).guarded, 0);
        assert_memory_equal(packet, packets[i], size);
    }
}

static void test_stop_sending_is_reported(void **state)
{
    struct cv_frame_guard g;
    struct stops stops = {0};
    uint8_t packet[] = {0x05, 0x04, 0x09, 0x01, 0x05, 0x40, 0x08, 0x41, 0x00, 0x05, 0x00};
    (void)state;
    cv_frame_guard_init(&g);
    (void)walk(&g, &stops, packet, sizeof(packet)); /* the third is cut off */
    assert_int_equal(stops.count, 2);
    assert_int_equal(stops.id, 8);
    assert_int_equal(stops.code, 256);
}

static void test_further_acks_count_as_control(void **state)
{
    struct cv_frame_guard g;
    uint8_t packet[50];
    (void)state;
    cv_frame_guard_init(&g);
    for (size_t i = 0; i < 10; i++)
        memcpy(packet + i * 5, "\x02\x05\x00\x00\x01", 5);
    assert_int_equal(walk(&g, NULL, packet, 5).control, 0);
    assert_int_equal(walk(&g, NULL, packet, 50).control, 9);
}

/* Walking what a walk left, from the same state as before, finds nothing to change. */
static void test_idempotent(void **state)
{
    struct cv_frame_guard g;
    struct cv_frame_guard again;
    uint8_t packet[112];
    uint8_t after[112];
    (void)state;
    cv_frame_guard_init(&g);
    again = g;
    for (size_t i = 0; i < 4; i++)
        new_id(packet + 28 * i, (uint8_t)(i % 2 + 1), (uint8_t)(i % 2 * 2));
    assert_int_equal(walk(&g, NULL, packet, sizeof(packet)).guarded, 1);
    memcpy(after, packet, sizeof(packet));
    assert_int_equal(walk(&again, NULL, packet, sizeof(packet)).guarded, 0);
    assert_memory_equal(packet, after, sizeof(packet));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetition_below_retired_is_overwritten),
        cmocka_unit_test(test_the_same_over_three_packets),
        cmocka_unit_test(test_number_0_is_known_from_the_handshake),
        cmocka_unit_test(test_late_first_one_passes),
        cmocka_unit_test(test_repetition_above_retired_passes),
        cmocka_unit_test(test_preferred_address_counts_as_seen),
        cmocka_unit_test(test_gaps_beyond_the_list),
        cmocka_unit_test(test_numbers_in_order_need_no_list),
        cmocka_unit_test(test_without_overwriting_nothing_changes),
        cmocka_unit_test(test_every_frame_is_stepped_over),
        cmocka_unit_test(test_truncated_frames),
        cmocka_unit_test(test_truncated_connection_id),
        cmocka_unit_test(test_unknown_frame_ends_the_walk),
        cmocka_unit_test(test_huge_lengths),
        cmocka_unit_test(test_stop_sending_is_reported),
        cmocka_unit_test(test_further_acks_count_as_control),
        cmocka_unit_test(test_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
