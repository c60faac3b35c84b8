#ifndef COVEY_CALL_H
#define COVEY_CALL_H

#include <covey/error.h>
#include <covey/identity.h>
#include <covey/status.h>

#include <stdbool.h>

COVEY_BEGIN

/*
 * The server's side of one call. A handler gets it and owns it until covey_call_finish() or
 * covey_call_reply(): it may return first and answer later, from any thread. Every call must be
 * finished, one that was cancelled too. All functions may be called from any thread, but not two at
 * once on the same call.
 */
typedef struct covey_call covey_call;

/* Runs on the runtime's thread: it must not block. `request` is valid until it returns. */
typedef void (*covey_handler)(covey_call *call, const void *request, size_t size, void *user);

/*
 * Sends one message of a server-streaming answer; the bytes are copied. Returns 0, or
 *   COVEY_ERR_BUSY       more than 256 KiB wait for the client to read; see
 * covey_call_wait_writable() COVEY_ERR_CANCELLED  the client is gone or the deadline passed: finish
 * the call COVEY_ERR_TOO_LARGE  above the largest message, 4 MiB COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_call_send(covey_call *call, const void *message, size_t size);

/*
 * Waits until there is room for a message. 0, COVEY_ERR_TIMEOUT, COVEY_ERR_CANCELLED,
 * COVEY_ERR_WRONG_THREAD on the runtime's thread.
 */
COVEY_API COVEY_MUST_USE int covey_call_wait_writable(covey_call *call, covey_time timeout);

/*
 * For who sends from the runtime's thread, where waiting is not allowed: `ready` runs there when a
 * send that said COVEY_ERR_BUSY may be tried again, and once when the call is cancelled. Set it in
 * the handler.
 */
typedef void (*covey_call_ready)(covey_call *call, void *user);
COVEY_API void covey_call_on_ready(covey_call *call, covey_call_ready ready, void *user);

/* Ends the call with a status; `text` may be NULL. The call must not be used any more. */
COVEY_API void covey_call_finish(covey_call *call, enum covey_status_code code, const char *text);

/* One message and COVEY_STATUS_OK: the whole answer of a unary call. */
COVEY_API void covey_call_reply(covey_call *call, const void *message, size_t size);

/* True when nobody waits for the answer any more. */
COVEY_API bool covey_call_is_cancelled(const covey_call *call);
/* How long the client still waits; COVEY_NEVER without a deadline, 0 when it is past. */
COVEY_API covey_time covey_call_time_left(const covey_call *call);

/* Who calls, from the certificate; valid until the call is finished. */
COVEY_API covey_node_id covey_call_peer_id(const covey_call *call);
COVEY_API const char *covey_call_peer_name(const covey_call *call);
COVEY_API enum covey_role covey_call_peer_role(const covey_call *call);

COVEY_END

#endif
