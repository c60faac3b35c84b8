#ifndef COVEY_STREAM_H
#define COVEY_STREAM_H

#include <covey/client.h>

COVEY_BEGIN

/*
 * The client's side of a streaming call: any number of messages in either direction. All functions
 * may be called from any thread; at most one thread at a time receives, and one sends. A stream may
 * outlive its client, not its runtime.
 *
 *   server streaming   covey_client_stream(): one request; receive until COVEY_ERR_CLOSED
 *   client streaming   covey_client_open(), send, then covey_stream_finish() for the one answer
 *   bidirectional      covey_client_open(), send and receive in any order, covey_stream_end()
 */
typedef struct covey_stream covey_stream;

/*
 * Begins a call. Does not wait for the connection: what is sent meanwhile waits, bounded. Errors as
 * covey_client_call_async(). A stream is not made again by the library: only the caller knows what
 * its messages did. `options` may be NULL.
 */
COVEY_API COVEY_MUST_USE int covey_client_open(covey_client *client, const char *method,
                                               const struct covey_call_options *options,
                                               covey_stream **out);

/* Begins a call, sends one request and ends the client's side. */
COVEY_API COVEY_MUST_USE int covey_client_stream(covey_client *client, const char *method,
                                                 const void *request, size_t size,
                                                 const struct covey_call_options *options,
                                                 covey_stream **out);

/*
 * Sends one message; the bytes are copied. 0, or
 *   COVEY_ERR_BUSY       more than 256 KiB wait for the server to read: covey_stream_wait_writable()
 *   COVEY_ERR_CLOSED     the call is over: covey_stream_status() says how
 *   COVEY_ERR_STATE      after covey_stream_end()
 *   COVEY_ERR_TOO_LARGE  above the client's message_send_max
 *   COVEY_ERR_INVALID_ARGUMENT  NULL with a size
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_stream_send(covey_stream *stream, const void *message,
                                               size_t size);
/* Waits until there is room for a message; 0 as timeout does not wait. 0, COVEY_ERR_TIMEOUT,
 * COVEY_ERR_CLOSED, COVEY_ERR_WRONG_THREAD when it would wait on a loop's thread. */
COVEY_API COVEY_MUST_USE int covey_stream_wait_writable(covey_stream *stream, covey_time timeout);
/* No more messages come from the client. Twice is once. */
COVEY_API void covey_stream_end(covey_stream *stream);

/*
 * Takes the next message, valid until the next receive. Waits up to `timeout`; 0 does not wait and is
 * allowed on every thread. 0, or
 *   COVEY_ERR_CLOSED        the call is over: covey_stream_status() says how
 *   COVEY_ERR_TIMEOUT       nothing there yet; `ready` of covey_stream_on_ready() will tell
 *   COVEY_ERR_WRONG_THREAD  waiting on a loop's thread
 */
COVEY_API COVEY_MUST_USE int covey_stream_receive(covey_stream *stream, covey_time timeout,
                                                  const void **message, size_t *size);

/*
 * Ends the client's side and waits for the answer of a client-streaming call: one message with the
 * outcome, as covey_client_call() gives them. 0 with *reply filled (clear it), once; or *reply is
 * empty and
 *   COVEY_ERR_TIMEOUT       the call goes on: it may be tried again
 *   COVEY_ERR_NO_MEMORY     the answer is lost
 *   COVEY_ERR_WRONG_THREAD  waiting on a loop's thread; a timeout of 0 does not wait
 */
COVEY_API COVEY_MUST_USE int covey_stream_finish(covey_stream *stream, covey_time timeout,
                                                 struct covey_reply *reply);

/*
 * For who works on the loop's thread: `ready` runs there when a send that said COVEY_ERR_BUSY or a
 * receive that said COVEY_ERR_TIMEOUT may be tried again, and when the call is over. It may free the
 * stream. The one set before is not called any more once covey_stream_on_ready() or
 * covey_stream_free() was called on the loop's thread, or has returned on another (there they wait
 * for a `ready` that runs). NULL is none.
 */
typedef void (*covey_stream_ready)(covey_stream *stream, void *user);
COVEY_API void covey_stream_on_ready(covey_stream *stream, covey_stream_ready ready, void *user);

/* Code and message of a call that is over; valid as long as the stream. Before that code is
 * UNKNOWN. */
COVEY_API enum covey_status_code covey_stream_status(const covey_stream *stream,
                                                     const char **message);
/* The details of the status; NULL and 0 when there are none. Valid as long as the stream. */
COVEY_API const void *covey_stream_details(const covey_stream *stream, size_t *size);
/* What the server sent beside its messages, complete once a message came or the call is over. Valid
 * as long as the stream. */
COVEY_API const struct covey_metadata *covey_stream_metadata(const covey_stream *stream,
                                                             size_t *count);
/* Ends the call if it is not over; the server sees it cancelled. */
COVEY_API void covey_stream_cancel(covey_stream *stream);
/* Cancels if need be and frees. NULL is allowed. */
COVEY_API void covey_stream_free(covey_stream *stream);

/*
 * A server-streaming call whose messages are handed to functions. They run on the loop's thread and
 * must not block.
 */
struct covey_stream_handler {
    void (*message)(const void *message, size_t size, void *user);
    void (*end)(const struct covey_reply *reply, void *user); /* exactly once, the last */
    void *user;
};
COVEY_API COVEY_MUST_USE int covey_client_stream_async(covey_client *client, const char *method,
                                                       const void *request, size_t size,
                                                       const struct covey_call_options *options,
                                                       const struct covey_stream_handler *handler);

COVEY_END

#endif
