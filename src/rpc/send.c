#include "rpc/send.h"

#include <assert.h>

void cv_rpc_send_init(struct cv_rpc_send *s, uint8_t *own)
{
    cv_rpc_buffer_init(&s->buffer, own);
    s->ended = false;
    s->done = false;
    s->blocked = false;
}

void cv_rpc_send_fini(struct cv_rpc_send *s, struct cv_rpc_memory *m)
{
    cv_rpc_buffer_clear(&s->buffer, m);
}

size_t cv_rpc_send_waiting(const struct cv_rpc_send *s)
{
    return cv_rpc_buffer_size(&s->buffer);
}

/* Room for a frame and, after it, for the smallest STATUS. */
static int reserve(struct cv_rpc_send *s, struct cv_rpc_memory *m, size_t size)
{
    assert(!s->ended && !s->done);
    size += CV_RPC_STATUS_SIZE_MIN;
    if (cv_rpc_buffer_has_room(&s->buffer, size))
        return 0;
    return cv_rpc_buffer_reserve(&s->buffer, m, size, CV_RPC_SEND_WAITING_MAX);
}

static struct cv_writer begin(struct cv_rpc_send *s, size_t size)
{
    struct cv_writer w;
    cv_writer_init(&w, cv_rpc_buffer_room(&s->buffer), size);
    return w;
}

static void commit(struct cv_rpc_send *s, const struct cv_writer *w, size_t size)
{
    assert(cv_writer_bytes(w).size == size);
    cv_rpc_buffer_add(&s->buffer, size);
}

int cv_rpc_send_header(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                       const struct cv_rpc_header *header)
{
    size_t size = cv_rpc_header_size(header);
    int error = reserve(s, m, size);
    if (error != 0)
        return error;
    struct cv_writer w = begin(s, size);
    cv_rpc_header_write(&w, header);
    commit(s, &w, size);
    return 0;
}

int cv_rpc_send_metadata(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                         const struct cv_rpc_metadata *metadata, size_t count)
{
    size_t size = cv_rpc_metadata_size(metadata, count);
    int error = reserve(s, m, size);
    if (error != 0)
        return error;
    struct cv_writer w = begin(s, size);
    cv_rpc_metadata_write(&w, metadata, count);
    commit(s, &w, size);
    return 0;
}

int cv_rpc_send_message(struct cv_rpc_send *s, struct cv_rpc_memory *m, struct cv_slice message)
{
    size_t size = cv_rpc_message_size(message.size);
    int error = reserve(s, m, size);
    if (error != 0)
        return error;
    struct cv_writer w = begin(s, size);
    cv_rpc_message_write(&w, message);
    commit(s, &w, size);
    return 0;
}

int cv_rpc_send_message_rest(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                             struct cv_slice message, struct cv_rpc_direct *direct)
{
    assert(cv_rpc_send_waiting(s) == 0 && direct->size_max > sizeof direct->head);
    struct cv_writer head;
    cv_writer_init(&head, direct->head, sizeof direct->head);
    cv_rpc_message_head_write(&head, message.size);
    size_t body_max = direct->size_max - cv_writer_size(&head);
    size_t body_size = message.size < body_max ? message.size : body_max;
    size_t rest_size = message.size - body_size;
    int error = reserve(s, m, rest_size);
    if (error != 0)
        return error;
    if (rest_size > 0)
        memcpy(cv_rpc_buffer_room(&s->buffer), message.data + body_size, rest_size);
    cv_rpc_buffer_add(&s->buffer, rest_size);
    direct->head_size = cv_writer_size(&head);
    direct->body = cv_slice_of(message.data, body_size);
    return 0;
}

void cv_rpc_send_status(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                        const struct cv_rpc_status *status)
{
    assert(!s->ended && !s->done);
    struct cv_rpc_status bare = {.code = status->code};
    size_t size = cv_rpc_status_size(status);
    if (cv_rpc_buffer_reserve(&s->buffer, m, size, 0) != 0) {
        status = &bare;
        size = cv_rpc_status_size(status);
        int error = cv_rpc_buffer_reserve(&s->buffer, m, size, 0);
        assert(error == 0);
    }
    struct cv_writer w = begin(s, size);
    cv_rpc_status_write(&w, status);
    commit(s, &w, size);
    s->ended = true;
}

void cv_rpc_send_shorten(struct cv_rpc_send *s, uint64_t timeout_us)
{
    struct cv_rpc_buffer *b = &s->buffer;
    cv_rpc_buffer_take(
        b, cv_rpc_header_shorten(b->data + b->begin, cv_rpc_buffer_size(b), timeout_us));
}

void cv_rpc_send_skip(struct cv_rpc_send *s)
{
    assert(!s->ended && !s->done && cv_rpc_send_waiting(s) == 0);
    s->ended = true;
    s->done = true;
}

void cv_rpc_send_drop(struct cv_rpc_send *s, struct cv_rpc_memory *m)
{
    cv_rpc_buffer_fini(&s->buffer, m);
    s->ended = true;
    s->done = true;
    s->blocked = false;
}

bool cv_rpc_send_next(struct cv_rpc_send *s, struct cv_slice *bytes, bool *fin)
{
    size_t waiting = cv_rpc_send_waiting(s);
    if (s->done || s->blocked || (waiting == 0 && !s->ended))
        return false;
    *bytes = cv_rpc_buffer_bytes(&s->buffer);
    if (waiting > CV_RPC_WRITE_SIZE_MAX)
        bytes->size = CV_RPC_WRITE_SIZE_MAX;
    *fin = s->ended && bytes->size == waiting;
    s->piece_size = bytes->size;
    s->piece_fin = *fin;
    return true;
}

void cv_rpc_send_taken(struct cv_rpc_send *s, struct cv_rpc_memory *m)
{
    cv_rpc_buffer_take(&s->buffer, s->piece_size);
    cv_rpc_buffer_trim(&s->buffer, m);
    s->done = s->piece_fin;
}
