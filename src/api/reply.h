#ifndef CV_API_REPLY_H
#define CV_API_REPLY_H

#include "api/runtime.h"
#include "base/slice.h"

#include <covey/client.h>

/*
 * Making the replies that users get. What a reply points to is one block, its owner, which retains
 * the runtime; a reply of constants has none.
 */

/* OK, and nothing else. */
void cv_reply_init(struct covey_reply *reply);
/* A status with a constant text. Cannot fail. */
void cv_reply_set_constant(struct covey_reply *reply, enum covey_status_code code,
                           const char *text);
/* A status with a copy of `text`, which is left out when there is no memory. `reply` is empty. */
void cv_reply_set_status(struct covey_reply *reply, covey_runtime *runtime,
                         enum covey_status_code code, struct cv_slice text);
/* OK with a copy of `data`. `reply` is empty. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_reply_set_data(struct covey_reply *reply, covey_runtime *runtime,
                                     struct cv_slice data);
/* Moves what `from` holds; `from` is empty after it. `to` is empty before. */
void cv_reply_move(struct covey_reply *to, struct covey_reply *from);

#endif
