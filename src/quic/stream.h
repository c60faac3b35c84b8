#ifndef CV_QUIC_STREAM_H
#define CV_QUIC_STREAM_H

#include "base/slice.h"
#include "base/writer.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One bidirectional stream of a connection. It belongs to the connection and is valid until its
 * stream_closed callback returns. Bytes written are copied and kept until the peer acknowledged
 * them: a small message in the stream itself, larger ones in a chain of chunks.
 */
struct cv_quic_stream;
struct cv_quic_conn;

void *cv_quic_stream_user(const struct cv_quic_stream *s);
void cv_quic_stream_set_user(struct cv_quic_stream *s, void *user);
struct cv_quic_conn *cv_quic_stream_conn(const struct cv_quic_stream *s);
int64_t cv_quic_stream_id(const struct cv_quic_stream *s);
/* True when the peer opened it. */
bool cv_quic_stream_is_accepted(const struct cv_quic_stream *s);

/*
 * Appends bytes, and with `fin` ends our side. The first write must carry bytes. All or nothing:
 * 0; COVEY_ERR_BUSY when the bytes do not fit into the send buffer now (stream_writable follows);
 * COVEY_ERR_STATE when our side ended or was reset; COVEY_ERR_INVALID_ARGUMENT for a first write
 * without bytes; COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_quic_stream_write(struct cv_quic_stream *s, struct cv_slice bytes, bool fin);
/* The same for a head and what follows it, without `fin`; neither is empty. After COVEY_ERR_NO_MEMORY the
 * head may have been added: all that can be done then is to reset the stream. */
COVEY_MUST_USE int cv_quic_stream_write_both(struct cv_quic_stream *s, struct cv_slice head,
                                             struct cv_slice body);
/* How many bytes a write may carry now. */
size_t cv_quic_stream_room(const struct cv_quic_stream *s);
/*
 * The same for a few bytes, built where they stay: `w` gets memory of the stream's own, at most
 * CV_QUIC_STREAM_LENT_MAX bytes, until the next function that writes to the stream. Returns false when there is none:
 * bytes are kept already, or nothing may be written now. What was put into `w`, if anything, is sent by take().
 */
#define CV_QUIC_STREAM_LENT_MAX 256
bool cv_quic_stream_lend(struct cv_quic_stream *s, struct cv_writer *w);
void cv_quic_stream_take(struct cv_quic_stream *s, const struct cv_writer *w, bool fin);

/* Gives received bytes back to the flow control windows, `size` to the stream's and `connection` to
 * the connection's (RFC 9000 section 4.1): they were read, or may wait without being in the way of
 * other streams. */
void cv_quic_stream_consume(struct cv_quic_stream *s, size_t size, size_t connection);

/* Ends our sending side at once; what is not yet acknowledged is dropped (RESET_STREAM). A stream
 * of ours of which nothing was acknowledged is stopped as well: the peer may not know it, and would
 * not answer on it. */
void cv_quic_stream_reset(struct cv_quic_stream *s, uint64_t code);
/* Asks the peer to send no more (STOP_SENDING); neither stream_data nor stream_reset comes after
 * it. */
void cv_quic_stream_stop(struct cv_quic_stream *s, uint64_t code);

#endif
