#ifndef CV_RPC_BUFFER_H
#define CV_RPC_BUFFER_H

#include "base/alloc.h"
#include "base/slice.h"

#include <assert.h>
#include <covey/export.h>

/* What the buffers of one direction of a connection hold beyond their inline bytes, and may hold.
 */
struct cv_rpc_memory {
    const struct cv_alloc *alloc;
    size_t used;
    size_t used_max;
};

/* A small call needs no allocation: a header of a usual method name and a message of 64 bytes fit into what
 * it has itself. */
#define CV_RPC_BUFFER_OWN_SIZE 256

/*
 * Bytes that come in at the end and go out at the front, contiguous.
 *
 *   data   begin          end      capacity
 *     | gone | what it holds | room |
 *
 * Its first memory is its owner's, who keeps it away from what is looked at more often.
 */
struct cv_rpc_buffer {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
    uint8_t *own; /* CV_RPC_BUFFER_OWN_SIZE bytes of the owner's */
};

/* `own`: CV_RPC_BUFFER_OWN_SIZE bytes that stay where they are. */
void cv_rpc_buffer_init(struct cv_rpc_buffer *b, uint8_t *own);
/* Leaves an empty buffer that may be used again. */
void cv_rpc_buffer_fini(struct cv_rpc_buffer *b, struct cv_rpc_memory *m);

/* The small ones are inline: each call of a method passes through them a dozen times. */

static inline size_t cv_rpc_buffer_size(const struct cv_rpc_buffer *b)
{
    return b->end - b->begin;
}

/* What it holds, valid until the next reserve, trim or fini. */
static inline struct cv_slice cv_rpc_buffer_bytes(const struct cv_rpc_buffer *b)
{
    return cv_slice_of(b->data + b->begin, b->end - b->begin);
}

/* Whether `more` bytes fit without a reserve. */
static inline bool cv_rpc_buffer_has_room(const struct cv_rpc_buffer *b, size_t more)
{
    return more <= b->capacity - b->end;
}

/*
 * Makes room for `more` bytes at the end. When it must grow it doubles, but not beyond `expected`
 * bytes in all where those suffice. Returns 0, COVEY_ERR_LIMIT (m->used_max) or
 * COVEY_ERR_NO_MEMORY; on error the contents are unchanged.
 */
COVEY_MUST_USE int cv_rpc_buffer_reserve(struct cv_rpc_buffer *b, struct cv_rpc_memory *m,
                                         size_t more, size_t expected);

/* Where the room begins; `used` says how much of it was filled. */
static inline uint8_t *cv_rpc_buffer_room(struct cv_rpc_buffer *b)
{
    return b->data + b->end;
}

static inline void cv_rpc_buffer_add(struct cv_rpc_buffer *b, size_t used)
{
    assert(used <= b->capacity - b->end);
    b->end += used;
}

/* Takes `size` bytes off the front. They stay readable until the next reserve, trim or fini. */
static inline void cv_rpc_buffer_take(struct cv_rpc_buffer *b, size_t size)
{
    assert(size <= b->end - b->begin);
    b->begin += size;
}

/*
 * The allocated memory changes hands with the bytes that were taken last, and at least one byte
 * behind them that may be overwritten; what the buffer holds it keeps. NULL, and nothing changed,
 * when there is no such byte, when the buffer holds more than fits in itself, or when `size` is less
 * than half of the memory.
 */
void *cv_rpc_buffer_detach(struct cv_rpc_buffer *b, struct cv_rpc_memory *m, size_t size);

/* Forgets what it holds and gives allocated memory back. */
static inline void cv_rpc_buffer_clear(struct cv_rpc_buffer *b, struct cv_rpc_memory *m)
{
    b->begin = 0;
    b->end = 0;
    if (b->data != b->own)
        cv_rpc_buffer_fini(b, m);
}

/* Gives allocated memory back when the buffer is empty. */
static inline void cv_rpc_buffer_trim(struct cv_rpc_buffer *b, struct cv_rpc_memory *m)
{
    if (b->begin == b->end)
        cv_rpc_buffer_clear(b, m);
}

#endif
