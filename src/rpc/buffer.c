#include "rpc/buffer.h"

#include <covey/error.h>

void cv_rpc_buffer_init(struct cv_rpc_buffer *b, uint8_t *own)
{
    *b = (struct cv_rpc_buffer){.capacity = CV_RPC_BUFFER_OWN_SIZE};
    b->own = own;
    b->data = own;
}

void cv_rpc_buffer_fini(struct cv_rpc_buffer *b, struct cv_rpc_memory *m)
{
    if (b->data != b->own) {
        assert(m->used >= b->capacity);
        m->used -= b->capacity;
        cv_release(m->alloc, b->data);
    }
    cv_rpc_buffer_init(b, b->own);
}

static size_t next_capacity(const struct cv_rpc_buffer *b, size_t need, size_t expected,
                            size_t room)
{
    size_t capacity = b->capacity * 2;
    if (capacity > expected)
        capacity = expected;
    return capacity > need && capacity <= room ? capacity : need;
}

/* A new place for the contents; the old one is released after the copy, so `m` is charged with the
 * difference. */
static int move(struct cv_rpc_buffer *b, struct cv_rpc_memory *m, size_t need, size_t expected)
{
    size_t held = b->data == b->own ? 0 : b->capacity;
    assert(m->used >= held && m->used <= m->used_max);
    size_t used = m->used - held;
    size_t room = m->used_max - used;
    if (need > room)
        return COVEY_ERR_LIMIT;
    size_t capacity = next_capacity(b, need, expected, room);
    uint8_t *data = cv_allocate(m->alloc, capacity);
    if (data == NULL)
        return COVEY_ERR_NO_MEMORY;

    size_t size = b->end - b->begin;
    memcpy(data, b->data + b->begin, size);
    if (held > 0)
        cv_release(m->alloc, b->data);
    m->used = used + capacity;
    b->data = data;
    b->begin = 0;
    b->end = size;
    b->capacity = capacity;
    return 0;
}

int cv_rpc_buffer_reserve(struct cv_rpc_buffer *b, struct cv_rpc_memory *m, size_t more,
                          size_t expected)
{
    assert(b->begin <= b->end && b->end <= b->capacity);
    if (cv_rpc_buffer_has_room(b, more))
        return 0;
    size_t size = b->end - b->begin;
    if (more > SIZE_MAX - size)
        return COVEY_ERR_LIMIT;
    if (more > b->capacity - size)
        return move(b, m, size + more, expected);
    memmove(b->data, b->data + b->begin, size);
    b->begin = 0;
    b->end = size;
    return 0;
}

void *cv_rpc_buffer_detach(struct cv_rpc_buffer *b, struct cv_rpc_memory *m, size_t size)
{
    uint8_t *data = b->data;
    size_t left = cv_rpc_buffer_size(b);
    if (data == b->own || left > CV_RPC_BUFFER_OWN_SIZE || b->begin == b->capacity ||
        size < b->capacity / 2)
        return NULL;
    assert(m->used >= b->capacity);
    m->used -= b->capacity;
    memcpy(b->own, data + b->begin, left);
    cv_rpc_buffer_init(b, b->own);
    b->end = left;
    return data;
}
