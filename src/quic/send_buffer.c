#include "quic/send_buffer.h"

#include <assert.h>
#include <covey/error.h>

/* Large enough to make allocations rare, small enough that acknowledged memory comes back soon. With its head
 * the largest is a power of two, of which allocators waste nothing. */
#define CHUNK_SIZE_MIN 1024
#define CHUNK_SIZE_MAX (16384 - sizeof(struct cv_send_chunk))

void cv_send_buffer_init(struct cv_send_buffer *b, const struct cv_alloc *alloc)
{
    b->alloc = alloc;
    b->begin = b->unsent = b->end = 0;
    b->first = b->last = b->sending = NULL;
    b->inline_chunk =
        (struct cv_send_chunk){.bytes = b->inline_bytes, .capacity = CV_SEND_INLINE_SIZE};
}

static void release_chunk(const struct cv_send_buffer *b, struct cv_send_chunk *chunk)
{
    if (chunk != &b->inline_chunk)
        cv_release(b->alloc, chunk);
}

static void release_chunks(const struct cv_send_buffer *b, struct cv_send_chunk *chunk)
{
    while (chunk != NULL) {
        struct cv_send_chunk *next = chunk->next;
        release_chunk(b, chunk);
        chunk = next;
    }
}

void cv_send_buffer_fini(struct cv_send_buffer *b)
{
    release_chunks(b, b->first);
    b->first = b->last = b->sending = NULL;
    b->begin = b->unsent = b->end;
}

static struct cv_send_chunk *new_chunk(const struct cv_alloc *alloc, size_t size)
{
    if (size < CHUNK_SIZE_MIN)
        size = CHUNK_SIZE_MIN;
    if (size > CHUNK_SIZE_MAX)
        size = CHUNK_SIZE_MAX;
    struct cv_send_chunk *chunk = cv_allocate(alloc, sizeof(*chunk) + size);
    if (chunk != NULL)
        *chunk =
            (struct cv_send_chunk){.bytes = (uint8_t *)(chunk + 1), .capacity = (uint32_t)size};
    return chunk;
}

/* Empty chunks for `size` bytes. The buffer's own memory is the first one while nothing else is
 * kept, since the order of the chain is the order of the stream. */
static int new_chunks(struct cv_send_buffer *b, size_t size, struct cv_send_chunk **out)
{
    struct cv_send_chunk *first = NULL;
    struct cv_send_chunk **link = &first;
    if (b->first == NULL && size <= CV_SEND_INLINE_SIZE) {
        b->inline_chunk.next = NULL;
        b->inline_chunk.size = 0;
        *out = &b->inline_chunk;
        return COVEY_OK;
    }
    while (size > 0) {
        struct cv_send_chunk *chunk = new_chunk(b->alloc, size);
        if (chunk == NULL) {
            release_chunks(b, first);
            return COVEY_ERR_NO_MEMORY;
        }
        *link = chunk;
        link = &chunk->next;
        size -= size < chunk->capacity ? size : chunk->capacity;
    }
    *out = first;
    return COVEY_OK;
}

static size_t room_in(const struct cv_send_chunk *chunk)
{
    return chunk == NULL ? 0 : chunk->capacity - chunk->size;
}

/* Copies what fits into a chunk of the chain and returns how much that was. */
static size_t fill(struct cv_send_buffer *b, struct cv_send_chunk *chunk, struct cv_slice bytes)
{
    size_t size = bytes.size < room_in(chunk) ? bytes.size : room_in(chunk);
    if (size == 0)
        return 0;
    memcpy(chunk->bytes + chunk->size, bytes.data, size);
    if (chunk->size == 0)
        chunk->offset = b->end;
    chunk->size += (uint32_t)size;
    b->end += size;
    if (b->sending == NULL)
        b->sending = chunk;
    return size;
}

int cv_send_buffer_append(struct cv_send_buffer *b, struct cv_slice bytes)
{
    size_t room = room_in(b->last);
    struct cv_send_chunk *chunk = NULL;
    if (bytes.size > room) {
        int error = new_chunks(b, bytes.size - room, &chunk);
        if (error != COVEY_OK)
            return error;
    }
    size_t done = b->last == NULL ? 0 : fill(b, b->last, bytes);
    if (chunk != NULL) {
        if (b->last == NULL)
            b->first = chunk;
        else
            b->last->next = chunk;
    }
    for (; chunk != NULL; chunk = chunk->next) {
        done += fill(b, chunk, cv_slice_of(bytes.data + done, bytes.size - done));
        b->last = chunk;
    }
    assert(done == bytes.size);
    return COVEY_OK;
}

uint8_t *cv_send_buffer_lend(struct cv_send_buffer *b)
{
    return b->first == NULL ? b->inline_bytes : NULL;
}

void cv_send_buffer_take(struct cv_send_buffer *b, size_t size)
{
    struct cv_send_chunk *chunk = &b->inline_chunk;
    assert(b->first == NULL && size > 0 && size <= CV_SEND_INLINE_SIZE);
    chunk->next = NULL;
    chunk->offset = b->end;
    chunk->size = (uint32_t)size;
    b->first = b->last = b->sending = chunk;
    b->end += size;
}

size_t cv_send_buffer_next(const struct cv_send_buffer *b, struct cv_slice pieces[2])
{
    const struct cv_send_chunk *chunk = b->sending;
    if (chunk == NULL)
        return 0;
    size_t skip = (size_t)(b->unsent - chunk->offset);
    assert(skip < chunk->size);
    pieces[0] = cv_slice_of(chunk->bytes + skip, chunk->size - skip);
    if (chunk->next == NULL)
        return 1;
    pieces[1] = cv_slice_of(chunk->next->bytes, chunk->next->size);
    return 2;
}

void cv_send_buffer_sent(struct cv_send_buffer *b, size_t size)
{
    assert(size <= b->end - b->unsent);
    b->unsent += size;
    while (b->sending != NULL && b->unsent - b->sending->offset >= b->sending->size)
        b->sending = b->sending->next;
}

void cv_send_buffer_acked(struct cv_send_buffer *b, uint64_t offset)
{
    assert(offset <= b->unsent);
    if (offset <= b->begin)
        return;
    b->begin = offset;
    while (b->first != NULL && b->first->offset + b->first->size <= offset) {
        struct cv_send_chunk *chunk = b->first;
        b->first = chunk->next;
        if (b->first == NULL)
            b->last = NULL;
        release_chunk(b, chunk);
    }
}

size_t cv_send_buffer_size(const struct cv_send_buffer *b)
{
    return (size_t)(b->end - b->begin);
}

size_t cv_send_buffer_unsent(const struct cv_send_buffer *b)
{
    return (size_t)(b->end - b->unsent);
}
