#include "rpc/receive.h"

#include "base/prefetch.h"

#include <assert.h>
#include <covey/error.h>

/* Of a message that comes in many packets: each fetches the place of the next one. */
#define LARGE_SIZE 2048
/* For one without a text. */
#define STATUS_ROOM 16

void cv_rpc_receive_init(struct cv_rpc_receive *r, uint8_t *own)
{
    r->lent = (struct cv_slice){NULL, 0};
    cv_rpc_buffer_init(&r->buffer, own);
}

void cv_rpc_receive_fini(struct cv_rpc_receive *r, struct cv_rpc_memory *m)
{
    r->lent = (struct cv_slice){NULL, 0};
    cv_rpc_buffer_clear(&r->buffer, m);
}

/* One of the two is empty. */
static struct cv_slice bytes_of(const struct cv_rpc_receive *r)
{
    return r->lent.size > 0 ? r->lent : cv_rpc_buffer_bytes(&r->buffer);
}

bool cv_rpc_receive_has_memory(const struct cv_rpc_receive *r)
{
    return r->buffer.data != r->buffer.own;
}

size_t cv_rpc_receive_left(const struct cv_rpc_receive *r)
{
    return r->lent.size + cv_rpc_buffer_size(&r->buffer);
}

bool cv_rpc_receive_at_message(const struct cv_rpc_receive *r)
{
    struct cv_rpc_frame_head head;
    return cv_rpc_frame_head_read(bytes_of(r), &head) == 0 && head.type == CV_RPC_FRAME_MESSAGE;
}

static bool is_too_large(const struct cv_rpc_frame_head *head,
                         const struct cv_rpc_receive_limits *limits)
{
    size_t size_max =
        head->type == CV_RPC_FRAME_MESSAGE ? limits->message_size_max : limits->header_size_max;
    return head->length > size_max;
}

/* Up to which size the buffer may double: the whole first frame, once its length is known and was
 * found good, and a STATUS behind it, which often comes in the same packet. Behind a whole frame, which its user does not take yet, more of them may come: so it
 * grows by a quarter and is not copied again for each. */
static size_t expected_size(const struct cv_rpc_receive *r,
                            const struct cv_rpc_receive_limits *limits)
{
    struct cv_rpc_frame_head head;
    if (cv_rpc_frame_head_read(cv_rpc_buffer_bytes(&r->buffer), &head) != 0)
        return 0;
    if (is_too_large(&head, limits))
        return 0;
    size_t size = cv_rpc_buffer_size(&r->buffer), first = head.size + (size_t)head.length;
    return first > size ? first + STATUS_ROOM : size + size / 4;
}

/* Within `ahead_max` the whole frame gets its memory at once. */
static int reserve(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                   const struct cv_rpc_receive_limits *limits, size_t more)
{
    size_t expected = expected_size(r, limits), size = cv_rpc_buffer_size(&r->buffer);
    bool is_within = m->used <= limits->ahead_max && expected <= limits->ahead_max - m->used;
    if (is_within && expected > size + more &&
        cv_rpc_buffer_reserve(&r->buffer, m, expected - size, 0) == 0)
        return 0;
    return cv_rpc_buffer_reserve(&r->buffer, m, more, expected);
}

/* Behind what the buffer holds; nothing is lent. */
static int push(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                const struct cv_rpc_receive_limits *limits, struct cv_slice bytes)
{
    if (bytes.size == 0)
        return 0;
    cv_rpc_buffer_trim(&r->buffer, m);
    if (!cv_rpc_buffer_has_room(&r->buffer, bytes.size)) {
        int error = reserve(r, m, limits, bytes.size);
        if (error != 0)
            return error;
    }
    memcpy(cv_rpc_buffer_room(&r->buffer), bytes.data, bytes.size);
    cv_rpc_buffer_add(&r->buffer, bytes.size);
    if (cv_rpc_buffer_size(&r->buffer) >= LARGE_SIZE)
        cv_prefetch_to_write(cv_rpc_buffer_room(&r->buffer), bytes.size);
    return 0;
}

int cv_rpc_receive_push(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                        const struct cv_rpc_receive_limits *limits, struct cv_slice bytes)
{
    int error = r->lent.size > 0 ? cv_rpc_receive_keep(r, m, limits) : 0;
    return error != 0 ? error : push(r, m, limits, bytes);
}

bool cv_rpc_receive_lend(struct cv_rpc_receive *r, struct cv_rpc_memory *m, struct cv_slice bytes)
{
    cv_rpc_buffer_trim(&r->buffer, m);
    if (cv_rpc_receive_left(r) > 0)
        return false;
    r->lent = bytes;
    return true;
}

int cv_rpc_receive_keep(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                        const struct cv_rpc_receive_limits *limits)
{
    struct cv_slice left = r->lent;
    r->lent = (struct cv_slice){NULL, 0};
    return push(r, m, limits, left);
}

/* What the first frame is. */
static enum cv_rpc_receive_result look(struct cv_slice bytes,
                                       const struct cv_rpc_receive_limits *limits,
                                       struct cv_rpc_frame_head *head)
{
    if (bytes.size == 0)
        return CV_RPC_RECEIVE_NOTHING;
    int error = cv_rpc_frame_head_read(bytes, head);
    if (error != 0)
        return error == COVEY_ERR_MALFORMED ? CV_RPC_RECEIVE_MALFORMED : CV_RPC_RECEIVE_NOTHING;
    if (is_too_large(head, limits))
        return CV_RPC_RECEIVE_TOO_LARGE;
    return head->length > bytes.size - head->size ? CV_RPC_RECEIVE_NOTHING : CV_RPC_RECEIVE_FRAME;
}

/* So much off the front. */
static void drop(struct cv_rpc_receive *r, size_t size)
{
    if (r->lent.size > 0)
        r->lent = cv_slice_of(r->lent.data + size, r->lent.size - size);
    else
        cv_rpc_buffer_take(&r->buffer, size);
}

static enum cv_rpc_receive_result take(struct cv_rpc_receive *r,
                                       const struct cv_rpc_receive_limits *limits,
                                       struct cv_rpc_frame *frame)
{
    struct cv_slice bytes = bytes_of(r);
    struct cv_rpc_frame_head head;
    enum cv_rpc_receive_result result = look(bytes, limits, &head);
    if (result != CV_RPC_RECEIVE_FRAME)
        return result;
    size_t length = (size_t)head.length;
    *frame = (struct cv_rpc_frame){.type = head.type,
                                   .body = cv_slice_of(bytes.data + head.size, length)};
    drop(r, head.size + length);
    return CV_RPC_RECEIVE_FRAME;
}

bool cv_rpc_receive_last(struct cv_rpc_receive *r, const struct cv_rpc_receive_limits *limits,
                         enum cv_rpc_frame_type type, struct cv_slice *body)
{
    struct cv_slice bytes = bytes_of(r);
    struct cv_rpc_frame_head head;
    if (look(bytes, limits, &head) != CV_RPC_RECEIVE_FRAME || head.type != type ||
        head.size + (size_t)head.length != bytes.size)
        return false;
    *body = cv_slice_of(bytes.data + head.size, (size_t)head.length);
    drop(r, bytes.size);
    return true;
}

enum cv_rpc_receive_result cv_rpc_receive_next(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                                               const struct cv_rpc_receive_limits *limits,
                                               struct cv_rpc_frame *frame)
{
    cv_rpc_buffer_trim(&r->buffer, m);
    enum cv_rpc_receive_result result;
    do {
        result = take(r, limits, frame);
    } while (result == CV_RPC_RECEIVE_FRAME && frame->type == CV_RPC_FRAME_RESERVED);
    return result;
}

void *cv_rpc_receive_take(struct cv_rpc_receive *r, struct cv_rpc_memory *m, struct cv_slice body)
{
    return cv_rpc_buffer_detach(&r->buffer, m, body.size); /* NULL for what was lent */
}
