#include "quic/frame_guard.h"

#include "base/reader.h"

#include <assert.h>
#include <string.h>

/* RFC 9000 section 19 and RFC 9221. */
enum frame_type {
    FRAME_PADDING = 0x00,
    FRAME_PING = 0x01,
    FRAME_ACK = 0x02,
    FRAME_ACK_ECN = 0x03,
    FRAME_RESET_STREAM = 0x04,
    FRAME_STOP_SENDING = 0x05,
    FRAME_CRYPTO = 0x06,
    FRAME_NEW_TOKEN = 0x07,
    FRAME_STREAM = 0x08, /* to 0x0f */
    FRAME_MAX_DATA = 0x10,
    FRAME_MAX_STREAM_DATA = 0x11,
    FRAME_MAX_STREAMS_BIDI = 0x12,
    FRAME_MAX_STREAMS_UNI = 0x13,
    FRAME_DATA_BLOCKED = 0x14,
    FRAME_STREAM_DATA_BLOCKED = 0x15,
    FRAME_STREAMS_BLOCKED_BIDI = 0x16,
    FRAME_STREAMS_BLOCKED_UNI = 0x17,
    FRAME_NEW_CONNECTION_ID = 0x18,
    FRAME_RETIRE_CONNECTION_ID = 0x19,
    FRAME_PATH_CHALLENGE = 0x1a,
    FRAME_PATH_RESPONSE = 0x1b,
    FRAME_CONNECTION_CLOSE = 0x1c,
    FRAME_CONNECTION_CLOSE_APP = 0x1d,
    FRAME_HANDSHAKE_DONE = 0x1e,
    FRAME_DATAGRAM = 0x30,
    FRAME_DATAGRAM_SIZED = 0x31
};

#define STREAM_BIT_OFFSET 0x04
#define STREAM_BIT_SIZE   0x02
#define STREAM_BITS       0x07
#define RESET_TOKEN_SIZE  16
#define PATH_DATA_SIZE    8

/* A varint in any of its forms: QUIC does not ask for the shortest one outside of frame types, and
 * what the library reads, the guard must read. */
static uint64_t read_long_number(struct cv_reader *r, uint64_t value)
{
    unsigned more = (1U << (value >> 6)) - 1;
    value &= 0x3f;
    for (; more > 0; more--)
        value = value << 8 | cv_read_u8(r);
    return value;
}

static inline uint64_t read_number(struct cv_reader *r)
{
    uint64_t value = cv_read_u8(r);
    if (value < 0x40)
        return value;
    if (value < 0x80)
        return (value & 0x3f) << 8 | cv_read_u8(r);
    return read_long_number(r, value);
}

/* The first two bits say how many bytes follow the first. */
static inline void skip_number(struct cv_reader *r)
{
    unsigned more = (1U << (cv_read_u8(r) >> 6)) - 1;
    if (more > 0)
        (void)cv_read_bytes(r, more);
}

static void skip_numbers(struct cv_reader *r, unsigned count)
{
    for (; count > 0; count--)
        skip_number(r);
}

static void skip_prefixed(struct cv_reader *r)
{
    (void)cv_read_bytes(r, read_number(r));
}

/* True when it acknowledges a packet newer than any before. */
static bool read_ack(struct cv_frame_guard *g, struct cv_reader *r, bool ecn)
{
    uint64_t largest = read_number(r);
    skip_numbers(r, 1);
    uint64_t ranges = read_number(r);
    skip_numbers(r, 1);
    for (; ranges > 0 && cv_reader_ok(r); ranges--)
        skip_numbers(r, 2);
    skip_numbers(r, ecn ? 3 : 0);
    if (!cv_reader_ok(r) || largest < g->acked_below)
        return false;
    g->acked_below = largest + 1;
    return true;
}

static void skip_stream(struct cv_reader *r, uint8_t type)
{
    skip_number(r);
    if ((type & STREAM_BIT_OFFSET) != 0)
        skip_number(r);
    if ((type & STREAM_BIT_SIZE) != 0)
        skip_prefixed(r);
    else
        (void)cv_read_rest(r);
}

void cv_frame_guard_init(struct cv_frame_guard *g)
{
    *g = (struct cv_frame_guard){.seen_below = 1};
}

static bool has_seen(const struct cv_frame_guard *g, uint64_t sequence)
{
    if (sequence < g->seen_below)
        return true;
    for (size_t i = 0; i < g->seen_count; i++) {
        if (g->seen[i] == sequence)
            return true;
    }
    return false;
}

static void drop_first_seen(struct cv_frame_guard *g)
{
    g->seen_below = g->seen[0] + 1;
    g->seen_count--;
    memmove(&g->seen[0], &g->seen[1], g->seen_count * sizeof(g->seen[0]));
}

void cv_frame_guard_saw(struct cv_frame_guard *g, uint64_t sequence)
{
    if (has_seen(g, sequence))
        return;
    /* A full list forgets gaps, never numbers: an id that is late by more than the list holds is
     * taken for a repetition. */
    if (g->seen_count == CV_FRAME_GUARD_SEEN_MAX)
        drop_first_seen(g);
    size_t at = g->seen_count;
    if (sequence >= g->seen_below) {
        for (; at > 0 && g->seen[at - 1] > sequence; at--)
            g->seen[at] = g->seen[at - 1];
        g->seen[at] = sequence;
        g->seen_count++;
    }
    while (g->seen_count > 0 && g->seen[0] <= g->seen_below)
        drop_first_seen(g);
}

/* The whole frame becomes PING and PADDING. */
static void overwrite(uint8_t *frame, size_t size)
{
    memset(frame, FRAME_PADDING, size);
    frame[0] = FRAME_PING;
}

/* Takes NEW_CONNECTION_ID apart; true when it repeats one that is retired. */
static bool read_connection_id(struct cv_frame_guard *g, struct cv_reader *r)
{
    uint64_t sequence = read_number(r);
    uint64_t retire_prior_to = read_number(r);
    (void)cv_read_bytes(r, cv_read_u8(r));
    (void)cv_read_bytes(r, RESET_TOKEN_SIZE);
    if (!cv_reader_ok(r))
        return false;
    bool repeats = sequence < g->retire_prior_to && has_seen(g, sequence);
    cv_frame_guard_saw(g, sequence);
    if (retire_prior_to > g->retire_prior_to)
        g->retire_prior_to = retire_prior_to;
    return repeats;
}

static void read_stop(const struct cv_frame_guard_config *config, struct cv_reader *r)
{
    uint64_t stream_id = read_number(r);
    uint64_t code = read_number(r);
    if (cv_reader_ok(r))
        config->stopped(config->user, (int64_t)stream_id, code);
}

static bool is_control(uint8_t type)
{
    switch (type) {
    case FRAME_CRYPTO:
    case FRAME_NEW_TOKEN:
    case FRAME_NEW_CONNECTION_ID:
    case FRAME_RETIRE_CONNECTION_ID:
    case FRAME_PATH_CHALLENGE:
    case FRAME_PATH_RESPONSE:
        return true;
    default:
        return false;
    }
}

/* Steps over a frame that is not looked at. */
static void skip_frame(struct cv_reader *r, uint8_t type)
{
    switch (type) {
    case FRAME_PADDING:
    case FRAME_PING:
    case FRAME_HANDSHAKE_DONE:
        return;
    case FRAME_RESET_STREAM:
        skip_numbers(r, 3);
        return;
    case FRAME_CRYPTO:
        skip_numbers(r, 1);
        skip_prefixed(r);
        return;
    case FRAME_NEW_TOKEN:
        skip_prefixed(r);
        return;
    case FRAME_MAX_STREAM_DATA:
    case FRAME_STREAM_DATA_BLOCKED:
        skip_numbers(r, 2);
        return;
    case FRAME_MAX_DATA:
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
    case FRAME_DATA_BLOCKED:
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI:
    case FRAME_RETIRE_CONNECTION_ID:
        skip_numbers(r, 1);
        return;
    case FRAME_PATH_CHALLENGE:
    case FRAME_PATH_RESPONSE:
        (void)cv_read_bytes(r, PATH_DATA_SIZE);
        return;
    case FRAME_CONNECTION_CLOSE:
    case FRAME_CONNECTION_CLOSE_APP:
        skip_numbers(r, type == FRAME_CONNECTION_CLOSE ? 2 : 1);
        skip_prefixed(r);
        return;
    case FRAME_DATAGRAM:
        (void)cv_read_rest(r);
        return;
    case FRAME_DATAGRAM_SIZED:
        skip_prefixed(r);
        return;
    default:
        /* The library takes every other type with this bit for STREAM, also 0x28 or 0x88. A frame
         * behind such a one would be missed if the guard stopped here. */
        if ((type & FRAME_STREAM) != 0)
            skip_stream(r, type);
        else
            cv_reader_fail(r);
    }
}

/* One frame behind its type. True when it is to be overwritten. */
static bool read_frame(struct cv_frame_guard *g, const struct cv_frame_guard_config *config,
                       struct cv_reader *r, uint8_t type, struct cv_frame_report *report)
{
    bool repeats = false;
    switch (type) {
    case FRAME_ACK:
    case FRAME_ACK_ECN:
        report->progress = read_ack(g, r, type == FRAME_ACK_ECN) || report->progress;
        break;
    case FRAME_NEW_CONNECTION_ID:
        repeats = read_connection_id(g, r);
        break;
    case FRAME_STOP_SENDING:
        read_stop(config, r);
        break;
    default:
        if ((type & ~STREAM_BITS) == FRAME_STREAM) /* nearly all are */
            skip_stream(r, type);
        else
            skip_frame(r, type);
    }
    return repeats && config->overwrite;
}

struct cv_frame_report cv_frame_guard_walk(struct cv_frame_guard *g,
                                           const struct cv_frame_guard_config *config,
                                           uint8_t *payload, size_t size)
{
    struct cv_frame_report report = {0};
    size_t acks = 0;
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(payload, size));
    while (cv_reader_left(&r) > 0) {
        size_t begin = size - cv_reader_left(&r);
        uint8_t type = cv_read_u8(&r);
        bool is_harmful = read_frame(g, config, &r, type, &report);
        if (!cv_reader_ok(&r))
            break;
        acks += type == FRAME_ACK || type == FRAME_ACK_ECN;
        report.control += is_control(type);
        if (is_harmful) {
            overwrite(payload + begin, size - cv_reader_left(&r) - begin);
            report.guarded++;
        }
    }
    report.control += acks > 1 ? acks - 1 : 0;
    return report;
}
