#ifndef CV_RPC_RECEIVE_H
#define CV_RPC_RECEIVE_H

#include "rpc/buffer.h"
#include "rpc/frame.h"

/*
 * The receiving half of a stream: bytes in any pieces go in, whole frames come out, and the same
 * ones for every way of cutting the bytes. A length is judged before memory is taken for it, and
 * memory grows with what arrived, to at most twice that, not with what was announced; but for the
 * first `ahead_max` bytes of a connection, which spare a large body the copies from place to place.
 */
struct cv_rpc_receive {
    struct cv_slice lent;        /* what is read where it lies; the buffer is then empty */
    struct cv_rpc_buffer buffer; /* begins with the head of a frame */
};

struct cv_rpc_receive_limits {
    size_t message_size_max;
    size_t header_size_max; /* of every other frame */
    size_t ahead_max; /* up to this much of the memory is taken for frames whose length came */
};

enum cv_rpc_receive_result {
    CV_RPC_RECEIVE_NOTHING, /* no whole frame is there */
    CV_RPC_RECEIVE_FRAME,
    CV_RPC_RECEIVE_TOO_LARGE,
    CV_RPC_RECEIVE_MALFORMED
};

/* `own`: as for cv_rpc_buffer_init(). */
void cv_rpc_receive_init(struct cv_rpc_receive *r, uint8_t *own);
/* Leaves an empty one that may be used again. */
void cv_rpc_receive_fini(struct cv_rpc_receive *r, struct cv_rpc_memory *m);

/* Copies bytes. 0, COVEY_ERR_LIMIT (the memory's used_max) or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_rpc_receive_push(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                                       const struct cv_rpc_receive_limits *limits,
                                       struct cv_slice bytes);
/* The same without a copy, when nothing waits before them: they stay where they are until keep(). False:
 * push them. */
bool cv_rpc_receive_lend(struct cv_rpc_receive *r, struct cv_rpc_memory *m, struct cv_slice bytes);
/* Copies what is left of the bytes that were lent, if any. Errors as push(); they are then gone. */
COVEY_MUST_USE int cv_rpc_receive_keep(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                                       const struct cv_rpc_receive_limits *limits);
/* Takes the next frame; its body is valid until the next push, next, keep or fini. Frames of the reserved
 * type are skipped. After TOO_LARGE and MALFORMED the same comes again. */
enum cv_rpc_receive_result cv_rpc_receive_next(struct cv_rpc_receive *r, struct cv_rpc_memory *m,
                                               const struct cv_rpc_receive_limits *limits,
                                               struct cv_rpc_frame *frame);
/*
 * Takes the next frame when it is of this type, is there as a whole, and is the last thing that came.
 * What next() gave before stays valid.
 */
bool cv_rpc_receive_last(struct cv_rpc_receive *r, const struct cv_rpc_receive_limits *limits,
                         enum cv_rpc_frame_type type, struct cv_slice *body);
/*
 * The memory of the frame that next() just gave changes hands, with `body` in it and at least one
 * byte behind that may be overwritten: the caller releases it with the memory's allocator. NULL, and
 * nothing changed, when the body is to be copied instead: it is small, shares its memory with much
 * that follows, or fills it to the last byte.
 */
void *cv_rpc_receive_take(struct cv_rpc_receive *r, struct cv_rpc_memory *m, struct cv_slice body);
/* Whether what waits begins with a MESSAGE, be it whole or not. */
bool cv_rpc_receive_at_message(const struct cv_rpc_receive *r);
/* It holds memory beside its own. */
bool cv_rpc_receive_has_memory(const struct cv_rpc_receive *r);
/* How many bytes wait that are no whole frame, or were not asked for yet. */
size_t cv_rpc_receive_left(const struct cv_rpc_receive *r);

#endif
