#ifndef CV_RPC_FRAME_H
#define CV_RPC_FRAME_H

#include "base/reader.h"
#include "base/writer.h"
#include "rpc/rpc.h"

#include <covey/export.h>

/*
 * The frames of a call's stream, as bytes: docs/PROTOCOL.md shows them.
 *
 *   frame   varint(length * 4 + type)  length bytes
 *   body of HEADER and STATUS: fields, each  varint(tag) varint(size) size bytes
 *     Tags never decrease; only HEADER's metadata comes more than once; unknown tags are skipped.
 *     HEADER  1 timeout, a varint of microseconds  2 method  3 metadata: varint(key size) key value
 *             The server's has metadata only.
 *     STATUS  1 code, a varint, left out for OK    2 message 3 details; empty ones are left out
 */
enum cv_rpc_frame_type {
    CV_RPC_FRAME_MESSAGE,
    CV_RPC_FRAME_HEADER,
    CV_RPC_FRAME_STATUS,
    CV_RPC_FRAME_RESERVED /* skipped */
};

struct cv_rpc_frame {
    enum cv_rpc_frame_type type;
    struct cv_slice body;
};

/* The varint before the body. */
struct cv_rpc_frame_head {
    enum cv_rpc_frame_type type;
    uint64_t length; /* of the body; below 2^60 */
    size_t size;     /* of the varint itself */
};

#define CV_RPC_METHOD_SIZE_MAX       255
#define CV_RPC_METADATA_KEY_SIZE_MAX 64
/* Bounds the array that a connection keeps for reading them, 32 bytes each. */
#define CV_RPC_METADATA_COUNT_MAX   64
#define CV_RPC_STATUS_TEXT_SIZE_MAX 1024
/* A STATUS of a code alone: what every call keeps room for. */
#define CV_RPC_STATUS_SIZE_MIN 4

/* 0; COVEY_ERR_WOULD_BLOCK when there are too few bytes to say; COVEY_ERR_MALFORMED when the varint
 * is not the shortest one. */
COVEY_MUST_USE int cv_rpc_frame_head_read(struct cv_slice bytes, struct cv_rpc_frame_head *head);

/* What goes before the bytes of a message. */
void cv_rpc_message_head_write(struct cv_writer *w, size_t message_size);
/* A whole MESSAGE frame, and its size. */
void cv_rpc_message_write(struct cv_writer *w, struct cv_slice message);
size_t cv_rpc_message_size(size_t message_size);

struct cv_rpc_header {
    struct cv_slice method;
    bool has_timeout;
    uint64_t timeout_us; /* 0: over already */
    const struct cv_rpc_metadata *metadata;
    size_t metadata_count;
};

bool cv_rpc_method_name_valid(struct cv_slice name);
/* The name that `text` is; empty when it is none. */
struct cv_slice cv_rpc_method_name(const char *text);
/* 0; COVEY_ERR_INVALID_ARGUMENT (method, keys); COVEY_ERR_TOO_LARGE: more metadata than
 * CV_RPC_METADATA_COUNT_MAX, or a body above `size_max`. */
COVEY_MUST_USE int cv_rpc_header_check(const struct cv_rpc_header *header, size_t size_max);
/* The whole frame of a header that passed the check, and its size. */
void cv_rpc_header_write(struct cv_writer *w, const struct cv_rpc_header *header);
size_t cv_rpc_header_size(const struct cv_rpc_header *header);
/* The whole stream of a call with one message. False, and nothing written, when it does not fit. */
bool cv_rpc_request_write(struct cv_writer *w, const struct cv_rpc_header *header,
                          struct cv_slice message);
/*
 * Reads a body; the slices borrow from it. `metadata` has room for CV_RPC_METADATA_COUNT_MAX.
 * 0 or COVEY_ERR_MALFORMED, then *header is unchanged.
 */
COVEY_MUST_USE int cv_rpc_header_read(struct cv_slice body, struct cv_rpc_metadata *metadata,
                                      struct cv_rpc_header *header);
/*
 * Writes a timeout that is not longer into the HEADER frame with a timeout at `frame`, made by
 * cv_rpc_header_write(). The frame may become shorter: it then begins later. Returns by how many
 * bytes.
 */
size_t cv_rpc_header_shorten(uint8_t *frame, size_t size, uint64_t timeout_us);

/* The HEADER of an answer: metadata alone. 0; COVEY_ERR_INVALID_ARGUMENT (keys);
 * COVEY_ERR_TOO_LARGE as for a header. */
COVEY_MUST_USE int cv_rpc_metadata_check(const struct cv_rpc_metadata *metadata, size_t count,
                                         size_t size_max);
/* The whole frame of metadata that passed the check, and its size. */
void cv_rpc_metadata_write(struct cv_writer *w, const struct cv_rpc_metadata *metadata,
                           size_t count);
size_t cv_rpc_metadata_size(const struct cv_rpc_metadata *metadata, size_t count);
/* Reads a body as cv_rpc_header_read() does. 0 or COVEY_ERR_MALFORMED, then *count is unchanged. */
COVEY_MUST_USE int cv_rpc_metadata_read(struct cv_slice body, struct cv_rpc_metadata *metadata,
                                        size_t *count);

/* What travels of a status message: UTF-8, and at most CV_RPC_STATUS_TEXT_SIZE_MAX bytes of it. */
struct cv_slice cv_rpc_status_text(struct cv_slice message);
/* The whole frame of a status whose message was cut, and the sizes. */
void cv_rpc_status_write(struct cv_writer *w, const struct cv_rpc_status *status);
size_t cv_rpc_status_size(const struct cv_rpc_status *status);
size_t cv_rpc_status_body_size(const struct cv_rpc_status *status);
/* Reads a body; the slices borrow from it. A number that is no status becomes UNKNOWN. 0 or
 * COVEY_ERR_MALFORMED, then *status is unchanged. */
COVEY_MUST_USE int cv_rpc_status_read(struct cv_slice body, struct cv_rpc_status *status);

#endif
