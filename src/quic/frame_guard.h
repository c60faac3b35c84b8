#ifndef CV_QUIC_FRAME_GUARD_H
#define CV_QUIC_FRAME_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Looks at the decrypted frames of a 1-RTT packet before the QUIC library does, for what the
 * library cannot do itself.
 *
 * 1. ngtcp2 below 1.4 aborts the process when NEW_CONNECTION_ID arrives twice for a sequence number
 *    below retire_prior_to, which any peer past the handshake can send. RFC 9000 section 19.15
 * wants the repetition ignored, so it is overwritten by PING and PADDING: still ack-eliciting, and
 * of the same length.
 * 2. The library has no callback for STOP_SENDING that arrives.
 * 3. Frames that carry nothing for the application are counted, so that a flood of them can be cut.
 * 4. The library does not say whether anything that we sent is acknowledged.
 *
 * A pure function over bytes: it allocates nothing and never reads or writes outside of them.
 */

/* Sequence numbers kept one by one; below them all count as seen. An honest peer numbers its ids
 * one after the other and needs a few for reordering. */
#define CV_FRAME_GUARD_SEEN_MAX 16

struct cv_frame_guard {
    uint64_t acked_below;                   /* packets up to the newest that was acknowledged */
    uint64_t retire_prior_to;               /* the highest that the peer sent */
    uint64_t seen_below;                    /* every number below counts as seen */
    uint64_t seen[CV_FRAME_GUARD_SEEN_MAX]; /* and these, ascending */
    size_t seen_count;
};

/* What one packet held. */
struct cv_frame_report {
    size_t guarded; /* NEW_CONNECTION_ID frames that were overwritten */
    size_t control; /* frames about connection ids, paths, tokens, late CRYPTO, further ACKs */
    bool progress;  /* a packet was acknowledged that is newer than any before */
};

struct cv_frame_guard_config {
    bool overwrite; /* make repeated NEW_CONNECTION_ID frames harmless */
    /* STOP_SENDING was seen for a stream. */
    void (*stopped)(void *user, int64_t stream_id, uint64_t code);
    void *user;
};

/* The peer's first connection id has number 0 and is known from the handshake. */
void cv_frame_guard_init(struct cv_frame_guard *g);
/* A connection id that did not come in a frame (preferred address: number 1). */
void cv_frame_guard_saw(struct cv_frame_guard *g, uint64_t sequence);

/*
 * Walks the frames. Stops at the first one that it cannot take apart and leaves the rest as it is:
 * the library fails the connection at the same frame.
 */
struct cv_frame_report cv_frame_guard_walk(struct cv_frame_guard *g,
                                           const struct cv_frame_guard_config *config,
                                           uint8_t *payload, size_t size);

#endif
