#ifndef CV_QUIC_SEND_BUFFER_H
#define CV_QUIC_SEND_BUFFER_H

#include "base/alloc.h"
#include "base/slice.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What a stream sends, copied and kept until the peer acknowledged it. Bytes never move while they
 * are kept: the QUIC library points into them for as long as they may have to be sent again.
 *
 *      begin                unsent               end        offsets in the stream
 *        |  sent, not acked   |  not yet sent     |
 *        +-------+------------+---------+---------+
 *        | chunk |    chunk             |  chunk  |         first -> ... -> last
 *        +-------+----------------------+---------+
 *
 * A small message lies in memory of the buffer itself, so that a call allocates nothing; what does
 * not fit lies in chunks, each freed as soon as all of it is acknowledged.
 */
#define CV_SEND_INLINE_SIZE 256

struct cv_send_chunk {
    struct cv_send_chunk *next;
    uint64_t offset; /* of its first byte in the stream */
    uint8_t *bytes;
    uint32_t size;
    uint32_t capacity;
};

struct cv_send_buffer {
    const struct cv_alloc *alloc;
    uint64_t begin;
    uint64_t unsent;
    uint64_t end;
    struct cv_send_chunk *first;
    struct cv_send_chunk *last;
    struct cv_send_chunk *sending; /* holds the byte at `unsent`; NULL when all is sent */
    struct cv_send_chunk inline_chunk;
    uint8_t inline_bytes[CV_SEND_INLINE_SIZE];
};

void cv_send_buffer_init(struct cv_send_buffer *b, const struct cv_alloc *alloc);
/* The bytes must not be in use by anybody any more. */
void cv_send_buffer_fini(struct cv_send_buffer *b);

/* Copies all of `bytes` to the end. 0; COVEY_ERR_NO_MEMORY: nothing changed. */
COVEY_MUST_USE int cv_send_buffer_append(struct cv_send_buffer *b, struct cv_slice bytes);

/* The buffer's own memory, CV_SEND_INLINE_SIZE bytes to be filled in place; NULL while bytes are kept.
 * Valid until the next append. */
uint8_t *cv_send_buffer_lend(struct cv_send_buffer *b);
/* The first `size` bytes of what was lent, at least one, go to the end. */
void cv_send_buffer_take(struct cv_send_buffer *b, size_t size);

/* The next bytes to be sent, in at most two pieces; returns how many pieces. They stay where they
 * are until acknowledged. */
size_t cv_send_buffer_next(const struct cv_send_buffer *b, struct cv_slice pieces[2]);
/* The first `size` bytes of the unsent ones were sent. */
void cv_send_buffer_sent(struct cv_send_buffer *b, size_t size);
/* All bytes before `offset` in the stream are acknowledged; they were sent. */
void cv_send_buffer_acked(struct cv_send_buffer *b, uint64_t offset);

/* Bytes kept: unsent, or sent and not acknowledged. */
size_t cv_send_buffer_size(const struct cv_send_buffer *b);
size_t cv_send_buffer_unsent(const struct cv_send_buffer *b);

#endif
