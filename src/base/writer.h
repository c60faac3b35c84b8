#ifndef CV_BASE_WRITER_H
#define CV_BASE_WRITER_H

#include "base/slice.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define CV_VARINT_MAX ((UINT64_C(1) << 62) - 1)

/*
 * The one way to build bytes, into memory of the caller's. A writer never writes past its end; the
 * first overflow sticks and leaves the bytes before it as they are. The counterpart of cv_reader.
 */
struct cv_writer {
    uint8_t *begin;
    uint8_t *next;
    uint8_t *end;
    bool failed;
};

/* The small ones are inline: several times for each call. */

static inline void cv_writer_init(struct cv_writer *w, void *memory, size_t size)
{
    uint8_t *begin = memory;
    /* Even adding 0 to NULL is undefined. */
    uint8_t *end = size == 0 ? begin : begin + size;
    *w = (struct cv_writer){.begin = begin, .next = begin, .end = end};
}

/* How many bytes of room are left; 0 when the writer failed. */
static inline size_t cv_writer_left(const struct cv_writer *w)
{
    return w->failed ? 0 : (size_t)(w->end - w->next);
}

/* For who fills more than a field at once: where the room begins, of which there is cv_writer_left(); and how much
 * of it was filled. */
static inline uint8_t *cv_writer_room(struct cv_writer *w)
{
    return w->next;
}

static inline void cv_writer_add(struct cv_writer *w, size_t size)
{
    assert(size <= cv_writer_left(w));
    w->next += size;
}

void cv_write_u8(struct cv_writer *w, uint8_t value);
void cv_write_u16(struct cv_writer *w, uint16_t value);
void cv_write_u32(struct cv_writer *w, uint32_t value);
void cv_write_u64(struct cv_writer *w, uint64_t value);
void cv_write_long_varint(struct cv_writer *w, uint64_t value); /* cv_write_varint() of any size */

/* Fails for a value above CV_VARINT_MAX. */
static inline void cv_write_varint(struct cv_writer *w, uint64_t value)
{
    if (value < 64 && !w->failed && w->next != w->end)
        *w->next++ = (uint8_t)value;
    else
        cv_write_long_varint(w, value);
}

static inline void cv_write_bytes(struct cv_writer *w, struct cv_slice bytes)
{
    if (bytes.size == 0)
        return;
    if (bytes.size > cv_writer_left(w)) {
        w->failed = true;
        return;
    }
    memcpy(w->next, bytes.data, bytes.size);
    w->next += bytes.size;
}

/* A varint length, then the bytes: both or, on overflow, neither. */
void cv_write_prefixed(struct cv_writer *w, struct cv_slice bytes);

/* How many bytes were written before the first overflow. */
size_t cv_writer_size(const struct cv_writer *w);
bool cv_writer_ok(const struct cv_writer *w);
/* What was written; empty when the writer failed. */
struct cv_slice cv_writer_bytes(const struct cv_writer *w);
/* Goes back to an earlier cv_writer_size() and clears a failure: for "add it if it fits". */
void cv_writer_rewind(struct cv_writer *w, size_t size);

/* How many bytes the varint of `value` takes: 1, 2, 4 or 8. */
static inline size_t cv_varint_size(uint64_t value)
{
    if (value < UINT64_C(1) << 6)
        return 1;
    if (value < UINT64_C(1) << 14)
        return 2;
    return value < UINT64_C(1) << 30 ? 4 : 8;
}

#endif
