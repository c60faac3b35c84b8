#ifndef CV_API_REPLY_H
#define CV_API_REPLY_H

#include "api/metadata.h"
#include "rpc/rpc.h"

#include <covey/client.h>

/*
 * Making the replies that users get. What a reply points to is a chain of blocks, its owner, each of
 * which retains the runtime; a reply of constants has none.
 */

/* OK, and nothing else. */
void cv_reply_init(struct covey_reply *reply);
/* A status with a constant text; `reply` holds nothing. Cannot fail. */
void cv_reply_set_constant(struct covey_reply *reply, enum covey_status_code code,
                           const char *text);
/* Sets the outcome, with copies of text and details, which are left out when there is no memory.
 * An answer that is there stays for OK and is left out for other codes; metadata stays. */
void cv_reply_set_status(struct covey_reply *reply, covey_runtime *runtime,
                         const struct cv_rpc_status *status);
/* The answer, copied. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_reply_set_data(struct covey_reply *reply, covey_runtime *runtime,
                                     struct cv_slice data);
/* The same, not copied: it lies in `memory` of the pool's buffers, with a byte behind it, which
 * is taken on success. */
COVEY_MUST_USE int cv_reply_take_data(struct covey_reply *reply, covey_runtime *runtime,
                                      struct cv_slice data, void *memory);
/* The same, copied into `room`, which holds a byte more than `data` and lives as long as the reply. */
void cv_reply_lend_data(struct covey_reply *reply, uint8_t *room, struct cv_slice data);
/* 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_reply_set_metadata(struct covey_reply *reply, covey_runtime *runtime,
                                         const struct cv_rpc_metadata *set, size_t count);
/* Frees what it holds; it is not looked at after this. */
static inline void cv_reply_drop(struct covey_reply *reply)
{
    if (reply->owner != NULL)
        covey_reply_clear(reply);
}
/* Moves what `from` holds; `from` is empty after it. `to` is empty before. */
void cv_reply_move(struct covey_reply *to, struct covey_reply *from);

#endif
