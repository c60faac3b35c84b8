/*
 * Decrypted packets of one connection, one after the other, each a two-byte size and its frames.
 * Every packet lies in memory of its own size, so that a step outside of it is seen. The guard
 * never makes it longer or shorter, only overwrites by PING and PADDING, reports what it did, and
 * has nothing to do when it looks at its own work from the same state.
 */
#include "quic/frame_guard.h"

#include "base/reader.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_stopped(void *user, int64_t stream_id, uint64_t code)
{
    size_t *stops = user;
    assert(stream_id >= 0);
    assert(code >> 62 == 0);
    *stops += 1;
}

static struct cv_frame_report walk(struct cv_frame_guard *g, uint8_t *payload, size_t size)
{
    size_t stops = 0;
    const struct cv_frame_guard_config config = {
        .overwrite = true, .stopped = on_stopped, .user = &stops};
    struct cv_frame_report report = cv_frame_guard_walk(g, &config, payload, size);
    /* The smallest NEW_CONNECTION_ID, STOP_SENDING and control frame take 20, 3 and 2 bytes. */
    assert(report.guarded * 20 <= size);
    assert(stops * 3 <= size);
    assert(report.control * 2 <= size);
    assert(g->seen_count <= CV_FRAME_GUARD_SEEN_MAX);
    for (size_t i = 0; i < g->seen_count; i++)
        assert(g->seen[i] > (i == 0 ? g->seen_below : g->seen[i - 1]));
    return report;
}

static size_t changes(const uint8_t *before, const uint8_t *after, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (before[i] == after[i])
            continue;
        assert(after[i] <= 1);
        count++;
    }
    return count;
}

static void try_packet(struct cv_frame_guard *g, struct cv_slice packet)
{
    struct cv_frame_guard again = *g;
    uint8_t *payload = malloc(packet.size);
    if (payload == NULL)
        return;
    memcpy(payload, packet.data, packet.size);
    struct cv_frame_report report = walk(g, payload, packet.size);
    assert((changes(packet.data, payload, packet.size) > 0) == (report.guarded > 0));
    struct cv_frame_report second = walk(&again, payload, packet.size);
    assert(second.guarded == 0);
    assert(second.control <= report.control);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_frame_guard g;
    struct cv_reader r;
    cv_frame_guard_init(&g);
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) > 2) {
        uint16_t left = cv_read_u16(&r);
        struct cv_slice packet =
            cv_read_bytes(&r, left < cv_reader_left(&r) ? left : cv_reader_left(&r));
        if (packet.size > 0)
            try_packet(&g, packet);
    }
    return 0;
}
