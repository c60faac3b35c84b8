#ifndef CV_RPC_SEND_H
#define CV_RPC_SEND_H

#include "rpc/buffer.h"
#include "rpc/frame.h"

/*
 * The sending half of a stream: frames go in, bytes in pieces come out. The last piece carries the
 * FIN, and small frames that wait together leave as one piece. Room for a STATUS of a code alone is
 * always kept, so that a call can be answered without memory.
 */
struct cv_rpc_send {
    bool ended;   /* no frame follows what waits */
    bool done;    /* the FIN was taken, or nothing can be sent any more */
    bool blocked; /* the transport had no room */
    bool piece_fin;
    size_t piece_size; /* what cv_rpc_send_next() gave last */
    struct cv_rpc_buffer buffer;
};

/* The most that one write carries: well below a stream's send buffer in the transport, 1 MiB, which
 * takes a write wholly or not at all. */
#define CV_RPC_WRITE_SIZE_MAX ((size_t)64 << 10)

/* What may wait before the sender is told to wait: the transport's stream window, so that there is
 * a whole window to send when the peer opens it. */
#define CV_RPC_SEND_WAITING_MAX ((size_t)256 << 10)

/* `own`: as for cv_rpc_buffer_init(). */
void cv_rpc_send_init(struct cv_rpc_send *s, uint8_t *own);
void cv_rpc_send_fini(struct cv_rpc_send *s, struct cv_rpc_memory *m);

/* Add a frame: 0, COVEY_ERR_LIMIT (the memory's used_max) or COVEY_ERR_NO_MEMORY. Not after the
 * end. */
COVEY_MUST_USE int cv_rpc_send_header(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                                      const struct cv_rpc_header *header);
COVEY_MUST_USE int cv_rpc_send_metadata(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                                        const struct cv_rpc_metadata *metadata, size_t count);
COVEY_MUST_USE int cv_rpc_send_message(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                                       struct cv_slice message);
/* The same for a message of which the transport takes the first bytes itself: only the rest is added.
 * Nothing waits, and direct->size_max is above sizeof direct->head. */
COVEY_MUST_USE int cv_rpc_send_message_rest(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                                            struct cv_slice message, struct cv_rpc_direct *direct);
/* Adds the STATUS, whose message was cut, and ends. Cannot fail: without memory the message and the
 * details are left out.
 */
void cv_rpc_send_status(struct cv_rpc_send *s, struct cv_rpc_memory *m,
                        const struct cv_rpc_status *status);
/* Writes a timeout that is not longer into the HEADER, of which nothing was written yet. */
void cv_rpc_send_shorten(struct cv_rpc_send *s, uint64_t timeout_us);
/* All was written past this, with the FIN: nothing waits, and nothing follows. */
void cv_rpc_send_skip(struct cv_rpc_send *s);
/* Forgets what waits: nothing is sent any more. */
void cv_rpc_send_drop(struct cv_rpc_send *s, struct cv_rpc_memory *m);

size_t cv_rpc_send_waiting(const struct cv_rpc_send *s);
/* The next piece, valid until the next function that changes `s`; false when there is none or the
 * transport is full. */
bool cv_rpc_send_next(struct cv_rpc_send *s, struct cv_slice *bytes, bool *fin);
/* The transport took the piece that cv_rpc_send_next() gave. */
void cv_rpc_send_taken(struct cv_rpc_send *s, struct cv_rpc_memory *m);

#endif
