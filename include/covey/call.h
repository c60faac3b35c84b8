#ifndef COVEY_CALL_H
#define COVEY_CALL_H

#include <covey/error.h>
#include <covey/identity.h>
#include <covey/metadata.h>
#include <covey/status.h>

#include <stdbool.h>

COVEY_BEGIN

/*
 * The server's side of one call. A handler gets it and owns it until covey_call_finish() or
 * covey_call_reply(): it may return first and answer later, from any thread. Every call must be
 * finished, one that was cancelled too. All functions may be called from any thread; at most one
 * thread at a time receives, and one sends.
 */
typedef struct covey_call covey_call;

/*
 * The handler of a method that takes one message. Runs on a thread of the runtime's loops, where it
 * must not block, or, when the method is marked `blocking`, on a worker thread, where it may.
 * `request` is valid until it returns.
 */
typedef void (*covey_handler)(covey_call *call, const void *request, size_t size, void *user);

/*
 * The handler of a method whose clients send any number of messages, 0 among them: it runs when the
 * call begins, and gets them with covey_call_receive().
 */
typedef void (*covey_call_handler)(covey_call *call, void *user);

/* ---- receiving, for a covey_call_handler ---- */

/*
 * Takes the next message, valid until the next receive on the call or its end. Waits up to `timeout`
 * for it; 0 does not wait and is allowed on every thread. What is not taken is not read from the
 * client either: it can send 256 KiB ahead. Returns 0, or
 *   COVEY_ERR_CLOSED        the client sends no more: all its messages were taken
 *   COVEY_ERR_CANCELLED     the client is gone or the deadline passed: finish the call
 *   COVEY_ERR_TIMEOUT       nothing there yet; `ready` of covey_call_on_ready() will tell
 *   COVEY_ERR_WRONG_THREAD  waiting on a loop's thread
 */
COVEY_API COVEY_MUST_USE int covey_call_receive(covey_call *call, covey_time timeout,
                                                const void **message, size_t *size);

/* ---- sending ---- */

/*
 * What the client gets beside the messages. Once, before the first message; without it the answer
 * has none. The pairs are copied. 0, or
 *   COVEY_ERR_STATE             after the first message, or a second time
 *   COVEY_ERR_INVALID_ARGUMENT  a key
 *   COVEY_ERR_TOO_LARGE         see covey/metadata.h
 *   COVEY_ERR_CANCELLED, COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int
covey_call_send_metadata(covey_call *call, const struct covey_metadata *set, size_t count);

/*
 * Sends one message of the answer; the bytes are copied. Returns 0, or
 *   COVEY_ERR_BUSY       more than 256 KiB wait for the client to read: covey_call_wait_writable()
 *   COVEY_ERR_CANCELLED  the client is gone or the deadline passed: finish the call
 *   COVEY_ERR_TOO_LARGE  above the server's message_send_max
 *   COVEY_ERR_INVALID_ARGUMENT  NULL with a size
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_call_send(covey_call *call, const void *message, size_t size);

/*
 * Waits until there is room for a message; 0 as timeout does not wait. 0, COVEY_ERR_TIMEOUT,
 * COVEY_ERR_CANCELLED, COVEY_ERR_WRONG_THREAD when it would wait on a loop's thread.
 */
COVEY_API COVEY_MUST_USE int covey_call_wait_writable(covey_call *call, covey_time timeout);

/*
 * For who works on the loop's thread, where waiting is not allowed: `ready` runs there when a send
 * that said COVEY_ERR_BUSY or a receive that said COVEY_ERR_TIMEOUT may be tried again, and once
 * when the call is cancelled. Never for a call that is finished. Set it in the handler.
 */
typedef void (*covey_call_ready)(covey_call *call, void *user);
COVEY_API void covey_call_on_ready(covey_call *call, covey_call_ready ready, void *user);

/* Ends the call with a status; `text` may be NULL. A code that is none is UNKNOWN. The call must not
 * be used any more. */
COVEY_API void covey_call_finish(covey_call *call, enum covey_status_code code, const char *text);

/*
 * The same with details: bytes for programs, as an error's fields. When they and `text` take more
 * than 9 KiB on the wire, the client gets the code and text without them.
 */
COVEY_API void covey_call_finish_with(covey_call *call, enum covey_status_code code,
                                      const char *text, const void *details, size_t size);

/* One message and COVEY_STATUS_OK: the whole answer of a unary call. What cannot be sent ends it with
 * RESOURCE_EXHAUSTED. */
COVEY_API void covey_call_reply(covey_call *call, const void *message, size_t size);

/* ---- about the call ---- */

/* The method's name; valid until the call is finished, as all that follows. */
COVEY_API const char *covey_call_method(const covey_call *call);

/* True when nobody waits for the answer any more. */
COVEY_API bool covey_call_is_cancelled(const covey_call *call);
/* How long the client still waits; COVEY_NEVER without a deadline, 0 when it is past. Calls made for
 * this one inherit it: covey_call_options.parent. */
COVEY_API covey_time covey_call_time_left(const covey_call *call);

/* What the client sent beside its messages: `*count` pairs. */
COVEY_API const struct covey_metadata *covey_call_metadata(const covey_call *call, size_t *count);

/* Who calls, from its certificate. */
COVEY_API covey_node_id covey_call_peer_id(const covey_call *call);
COVEY_API const char *covey_call_peer_name(const covey_call *call);
COVEY_API enum covey_role covey_call_peer_role(const covey_call *call);
/* The certificate itself, DER. */
COVEY_API const void *covey_call_peer_certificate(const covey_call *call, size_t *size);
/* The DNS names, IP addresses and URIs in it, as text: `*count` of them, at most 16; names of more
 * than 255 characters are left out. */
COVEY_API const char *const *covey_call_peer_names(const covey_call *call, size_t *count);

COVEY_END

#endif
