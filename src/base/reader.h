#ifndef CV_BASE_READER_H
#define CV_BASE_READER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The one way to take bytes apart. A reader never reads past its end; the first failure sticks:
 * every later read returns 0 or an empty slice and changes nothing, so a parser reads all its
 * fields and asks once. Numbers are big-endian; a varint is QUIC's (RFC 9000 section 16) and must
 * be in its shortest form, so that each value has one encoding.
 */
struct cv_reader {
    const uint8_t *next; /* `end` when it failed, so that nothing is left */
    const uint8_t *end;
    bool failed;
};

/* The small ones are inline: several times for each call and packet. */

static inline void cv_reader_init(struct cv_reader *r, struct cv_slice bytes)
{
    /* Even adding 0 to NULL is undefined. */
    const uint8_t *end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
    *r = (struct cv_reader){.next = bytes.data, .end = end};
}

/* How many bytes are left; 0 when the reader failed, so that a loop over what is left ends. */
static inline size_t cv_reader_left(const struct cv_reader *r)
{
    return (size_t)(r->end - r->next);
}

/* Makes the reader fail, for a value that is well-formed but not allowed. */
static inline void cv_reader_fail(struct cv_reader *r)
{
    r->failed = true;
    r->next = r->end;
}

/* True when nothing failed. */
static inline bool cv_reader_ok(const struct cv_reader *r)
{
    return !r->failed;
}

/* True when nothing failed and nothing is left: trailing bytes are an error. */
static inline bool cv_reader_done(const struct cv_reader *r)
{
    return !r->failed && r->next == r->end;
}

static inline uint8_t cv_read_u8(struct cv_reader *r)
{
    if (cv_reader_left(r) > 0)
        return *r->next++;
    cv_reader_fail(r);
    return 0;
}

uint16_t cv_read_u16(struct cv_reader *r);
uint32_t cv_read_u32(struct cv_reader *r);
uint64_t cv_read_u64(struct cv_reader *r);
uint64_t cv_read_long_varint(struct cv_reader *r); /* cv_read_varint() for any size */

static inline uint64_t cv_read_varint(struct cv_reader *r)
{
    if (cv_reader_left(r) > 0 && *r->next < 64)
        return *r->next++;
    return cv_read_long_varint(r);
}

/* The next `size` bytes, borrowed from what the reader reads. */
static inline struct cv_slice cv_read_bytes(struct cv_reader *r, uint64_t size)
{
    if (size > cv_reader_left(r)) {
        cv_reader_fail(r);
        size = 0;
    }
    if (size == 0)
        return (struct cv_slice){0};
    struct cv_slice bytes = cv_slice_of(r->next, (size_t)size);
    r->next += size;
    return bytes;
}

/* A varint length of at most `size_max`, then that many bytes. */
static inline struct cv_slice cv_read_prefixed(struct cv_reader *r, size_t size_max)
{
    uint64_t size = cv_read_varint(r);
    if (size > size_max)
        cv_reader_fail(r);
    return cv_read_bytes(r, size);
}

/* All that is left. */
struct cv_slice cv_read_rest(struct cv_reader *r);

#endif
