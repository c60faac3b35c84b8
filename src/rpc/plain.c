#include "rpc/plain.h"

#include <assert.h>

/* Of the tags of a HEADER. */
#define TIMEOUT 1
#define METHOD  2

/* What a varint of one byte holds. */
#define BYTE_MAX 63

/* A STATUS of OK: a frame without a body, at the end. */
#define STATUS_OK_SIZE 1

/* ---- building: room was made sure of ---- */

static inline uint8_t *put_number(uint8_t *at, uint64_t value, size_t size)
{
    static const uint8_t marks[] = {[1] = 0, [2] = 0x40, [4] = 0x80, [8] = 0xc0};
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    at[0] |= marks[size];
    return at + size;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    if (value <= BYTE_MAX) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value < UINT64_C(1) << 14)
        return put_number(at, value, 2);
    return value < UINT64_C(1) << 30 ? put_number(at, value, 4) : put_number(at, value, 8);
}

static uint8_t *put_bytes(uint8_t *at, struct cv_slice bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static inline uint8_t *put_head(uint8_t *at, enum cv_rpc_frame_type type, size_t length)
{
    return put_varint(at, (uint64_t)length << 2 | type);
}

static uint8_t *put_header(uint8_t *at, const struct cv_rpc_header *header, size_t timeout_size)
{
    const size_t name_size = header->method.size;
    at = put_head(at, CV_RPC_FRAME_HEADER,
                  (timeout_size == 0 ? 0 : 2 + timeout_size) + 2 + name_size);
    if (timeout_size > 0) {
        *at++ = TIMEOUT;
        *at++ = (uint8_t)timeout_size;
        at = put_varint(at, header->timeout_us);
    }
    *at++ = METHOD;
    *at++ = (uint8_t)name_size;
    return put_bytes(at, header->method);
}

/* Two heads and the rest of the header. */
#define AROUND_MAX (2 + CV_RPC_PLAIN_HEADER_SIZE_MAX + 8)

bool cv_rpc_plain_request_write(struct cv_writer *w, const struct cv_rpc_header *header,
                                struct cv_slice message)
{
    const size_t left = cv_writer_left(w);
    if (header->metadata_count > 0 || header->method.size > BYTE_MAX || message.size > left ||
        left - message.size < AROUND_MAX)
        return false;
    const size_t timeout_size = header->has_timeout ? cv_varint_size(header->timeout_us) : 0;
    uint8_t *begin = cv_writer_room(w);
    uint8_t *at = put_header(begin, header, timeout_size);
    at = put_head(at, CV_RPC_FRAME_MESSAGE, message.size);
    at = put_bytes(at, message);
    cv_writer_add(w, (size_t)(at - begin));
    return true;
}

bool cv_rpc_reply_write(struct cv_writer *w, struct cv_slice message)
{
    const size_t left = cv_writer_left(w);
    if (message.size > left || cv_rpc_message_size(message.size) + STATUS_OK_SIZE > left)
        return false;
    uint8_t *begin = cv_writer_room(w);
    uint8_t *at = put_head(begin, CV_RPC_FRAME_MESSAGE, message.size);
    at = put_bytes(at, message);
    at = put_head(at, CV_RPC_FRAME_STATUS, 0);
    cv_writer_add(w, (size_t)(at - begin));
    return true;
}

/* ---- reading ---- */

static bool read_head(struct cv_reader *r, enum cv_rpc_frame_type type, uint64_t *length)
{
    uint64_t value = cv_read_varint(r);
    *length = value >> 2;
    return (value & 3) == type;
}

/* The body of a HEADER of `size` bytes, which are there. */
static bool read_header(struct cv_reader *r, size_t size, struct cv_rpc_header *header)
{
    const size_t left = cv_reader_left(r) - size; /* behind it */
    uint8_t tag = cv_read_u8(r);
    if (tag == TIMEOUT) {
        const size_t timeout_size = cv_read_u8(r), before = cv_reader_left(r);
        header->has_timeout = true;
        header->timeout_us = cv_read_varint(r);
        if (before - cv_reader_left(r) != timeout_size)
            return false;
        tag = cv_read_u8(r);
    }
    const uint8_t name_size = cv_read_u8(r);
    if (tag != METHOD || name_size > BYTE_MAX || cv_reader_left(r) != left + name_size)
        return false;
    header->method = cv_read_bytes(r, name_size);
    return cv_rpc_method_name_valid(header->method);
}

bool cv_rpc_plain_request_read(struct cv_slice bytes, struct cv_rpc_header *header,
                               struct cv_slice *message)
{
    struct cv_rpc_header read = {.has_timeout = false};
    struct cv_reader r;
    uint64_t size;
    cv_reader_init(&r, bytes);
    if (!read_head(&r, CV_RPC_FRAME_HEADER, &size) || size > CV_RPC_PLAIN_HEADER_SIZE_MAX ||
        size >= cv_reader_left(&r) || !read_header(&r, (size_t)size, &read) ||
        !read_head(&r, CV_RPC_FRAME_MESSAGE, &size) || size != cv_reader_left(&r) ||
        !cv_reader_ok(&r))
        return false;
    *header = read;
    *message = cv_read_bytes(&r, size);
    return true;
}

bool cv_rpc_reply_read(struct cv_slice bytes, struct cv_slice *message)
{
    struct cv_reader r;
    uint64_t size;
    cv_reader_init(&r, bytes);
    if (!read_head(&r, CV_RPC_FRAME_MESSAGE, &size) || !cv_reader_ok(&r) ||
        cv_reader_left(&r) == 0 || size != cv_reader_left(&r) - STATUS_OK_SIZE)
        return false;
    const struct cv_slice read = cv_read_bytes(&r, size);
    if (cv_read_u8(&r) != CV_RPC_FRAME_STATUS)
        return false;
    *message = read;
    return true;
}
