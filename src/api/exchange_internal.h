#ifndef CV_API_EXCHANGE_INTERNAL_H
#define CV_API_EXCHANGE_INTERNAL_H

#include "api/exchange.h"

/* Between the two halves of an exchange: exchange.c, on the loop's thread, and exchange_user.c. */

/* What a user may have waiting in one call, beyond what the RPC layer and the stream hold. */
#define CV_EXCHANGE_QUEUED_MAX ((size_t)256 * 1024)
/* An empty message waits too: each counts with this much beside its bytes. */
#define CV_EXCHANGE_MESSAGE_COST 64

/* A larger answer is sent like any message: in few pieces, not in one with its status. */
#define CV_EXCHANGE_REPLY_MAX ((size_t)4 * 1024)

/* A copy; NULL without memory. */
struct cv_exchange_message *cv_exchange_message_new(struct cv_exchange *x, struct cv_slice bytes);
/* NULL is allowed. */
void cv_exchange_message_free(struct cv_exchange *x, struct cv_exchange_message *m);

/* With the lock held, as the next two. A mail for service(), unless one is on its way. */
void cv_exchange_post_locked(struct cv_exchange *x);
/* Wakes who waits. */
void cv_exchange_changed_locked(struct cv_exchange *x);
/* A receive would not have to wait. */
bool cv_exchange_has_something(const struct cv_exchange *x);
/* A reference of this thread's, beside the user's. */
void cv_exchange_retain_locked(struct cv_exchange *x);
/* Gives the lock and one reference back: the exchange may be gone after it. */
void cv_exchange_release_and_unlock(struct cv_exchange *x);

/* The loop's thread: cv_exchange_leave(). No lock is needed: what it writes is read there only. */
void cv_exchange_leave_here(struct cv_exchange *x);
/* The loop's thread: straight through. COVEY_ERR_BUSY: it has to wait after all. */
COVEY_MUST_USE int cv_exchange_send_now(struct cv_exchange *x, struct cv_slice message);
COVEY_MUST_USE int cv_exchange_metadata_now(struct cv_exchange *x,
                                            const struct cv_rpc_metadata *set, size_t count);
/* The loop's thread: kind->end(), once, when nothing waits any more. */
void cv_exchange_end_now(struct cv_exchange *x);

#endif
