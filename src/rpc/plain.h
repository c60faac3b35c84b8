#ifndef CV_RPC_PLAIN_H
#define CV_RPC_PLAIN_H

#include "rpc/frame.h"

/*
 * All that a small call says, in each direction, as nearly all calls say it: in one pass. The bytes are those
 * of rpc/frame.h, where a call of any other form is built and read frame by frame.
 *
 *   request   HEADER(timeout or none, method of up to 63 bytes, no metadata) MESSAGE
 *   reply     MESSAGE STATUS(OK)
 */

/* No HEADER of that form has a longer body. */
#define CV_RPC_PLAIN_HEADER_SIZE_MAX 75

/* False, and nothing written: it is of another form, or there may be too little room. */
bool cv_rpc_plain_request_write(struct cv_writer *w, const struct cv_rpc_header *header,
                                struct cv_slice message);
/* Reads all of a stream; the slices borrow from it. False, and nothing changed: it is of another form, of which
 * it may be malformed, or the method is no name. */
bool cv_rpc_plain_request_read(struct cv_slice bytes, struct cv_rpc_header *header,
                               struct cv_slice *message);

/* The same for a reply. It is written wherever it fits. */
bool cv_rpc_reply_write(struct cv_writer *w, struct cv_slice message);
bool cv_rpc_reply_read(struct cv_slice bytes, struct cv_slice *message);

#endif
