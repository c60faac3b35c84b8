#include "rpc/server.h"

#include "rpc/conn.h"
#include "rpc/end.h"
#include "rpc/plain.h"
#include "rpc/timeout.h"

#include <assert.h>
#include <covey/error.h>

struct cv_rpc_call *cv_rpc_server_accept(struct cv_rpc_conn *rc, void *stream)
{
    struct cv_rpc_call *call = cv_rpc_call_new(rc, false);
    if (call == NULL)
        return NULL;
    call->stream = stream;
    call->closed = false;
    call->accepted_at = rc->now;
    if (rc->draining) {
        rc->stats.calls_rejected++;
        cv_rpc_end_gone(call, CV_RPC_CODE_REFUSED);
        return call;
    }
    rc->stats.calls_accepted++;
    cv_rpc_call_wake(call);
    return call;
}

/* A frame that is not what it must be. */
static void fail(struct cv_rpc_call *call, const char *text)
{
    call->conn->stats.protocol_errors++;
    cv_rpc_conn_glitch(call->conn);
    cv_rpc_end_here(call, COVEY_STATUS_INVALID_ARGUMENT, text, CV_RPC_CODE_PROTOCOL);
}

/* A frame that must not come at all. */
static void violate(struct cv_rpc_call *call, const char *text)
{
    cv_rpc_conn_violated(call->conn);
    cv_rpc_end_here(call, COVEY_STATUS_INVALID_ARGUMENT, text, CV_RPC_CODE_PROTOCOL);
}

/* The call is the user's from here on. */
static void begin(struct cv_rpc_call *call, const struct cv_rpc_header *header,
                  struct cv_rpc_output *out)
{
    struct cv_rpc_conn *rc = call->conn;
    if (header->has_timeout)
        call->deadline = cv_rpc_timeout_deadline(header->timeout_us, rc->now);
    /* Clears the timer that waited for the header when there is no deadline. */
    cv_deadlines_set(&rc->timers, &call->timer, call->deadline, rc->now);
    call->state = CV_RPC_CALL_RUNNING;
    call->released = false;
    rc->executing++;
    out->type = CV_RPC_EVENT_CALL;
    out->begin.method = header->method;
    out->begin.deadline = call->deadline;
    out->begin.metadata = header->metadata;
    out->begin.metadata_count = header->metadata_count;
    out->begin.is_whole = false;
}

static bool take_header(struct cv_rpc_call *call, struct cv_slice body, struct cv_rpc_output *out)
{
    struct cv_rpc_conn *rc = call->conn;
    struct cv_rpc_header header;
    if (cv_rpc_header_read(body, rc->metadata, &header) != 0) {
        fail(call, "the header is malformed");
        return false;
    }
    if (header.has_timeout && header.timeout_us == 0) {
        rc->stats.deadlines_exceeded++;
        cv_rpc_end_here(call, COVEY_STATUS_DEADLINE_EXCEEDED, "the deadline passed",
                        CV_RPC_CODE_DEADLINE);
        return false;
    }
    if (rc->executing >= rc->limits.calls_max) {
        rc->stats.calls_refused++;
        cv_rpc_end_here(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "too many calls", CV_RPC_CODE_DONE);
        return false;
    }
    begin(call, &header, out);
    return true;
}

bool cv_rpc_server_request(struct cv_rpc_call *call, struct cv_slice bytes,
                           struct cv_rpc_output *out)
{
    const struct cv_rpc_conn *rc = call->conn;
    struct cv_rpc_header header;
    struct cv_slice message;
    if (call->state != CV_RPC_CALL_WAITING || rc->executing >= rc->limits.calls_max ||
        rc->limits.header_size_max < CV_RPC_PLAIN_HEADER_SIZE_MAX ||
        !cv_rpc_plain_request_read(bytes, &header, &message) ||
        message.size > rc->limits.message_receive_max ||
        (header.has_timeout && header.timeout_us == 0))
        return false;
    begin(call, &header, out);
    out->begin.is_whole = true;
    out->begin.message = message;
    return true;
}

bool cv_rpc_server_frame(struct cv_rpc_call *call, const struct cv_rpc_frame *frame,
                         struct cv_rpc_output *out)
{
    bool waiting = call->state == CV_RPC_CALL_WAITING;
    if (waiting && frame->type == CV_RPC_FRAME_HEADER)
        return take_header(call, frame->body, out);
    if (waiting) {
        violate(call, "the first frame is no header");
        return false;
    }
    if (frame->type != CV_RPC_FRAME_MESSAGE) {
        violate(call, "a frame that a client must not send here");
        return false;
    }
    out->type = CV_RPC_EVENT_MESSAGE;
    out->message = frame->body;
    return true;
}

/* Streams that open and send no header, or a byte of it now and then, end by a timer. It is set
 * here and not in accept because the header is nearly always in the stream's first bytes. */
static void await_header(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->state == CV_RPC_CALL_WAITING && !cv_deadline_is_set(&call->timer))
        cv_deadlines_set(&rc->timers, &call->timer, rc->now + rc->limits.header_timeout, rc->now);
}

bool cv_rpc_server_end(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (call->peer_end == CV_RPC_PEER_OPEN) {
        await_header(call);
        return false;
    }
    assert(call->peer_end == CV_RPC_PEER_FIN);
    if (call->state == CV_RPC_CALL_WAITING || cv_rpc_receive_left(&call->receive) > 0) {
        fail(call, "the request ended inside a frame or without a header");
        return false;
    }
    cv_rpc_call_stop(call, CV_RPC_CODE_DONE);
    out->type = CV_RPC_EVENT_END;
    return true;
}

/* Cancels that come later are an honest client's time-outs, and cannot be rapid: until then each has
 * held one of the streams that a peer may open. */
#define RAPID_CANCEL COVEY_SECOND

void cv_rpc_server_reset(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->state > CV_RPC_CALL_RUNNING)
        return;
    rc->stats.calls_cancelled++;
    if (rc->now - call->accepted_at < RAPID_CANCEL)
        cv_rpc_conn_glitch(rc);
    cv_rpc_end_gone(call, CV_RPC_CODE_CANCELLED);
}

void cv_rpc_server_stopped(struct cv_rpc_call *call)
{
    cv_rpc_call_drop_send(call);
    cv_rpc_server_reset(call);
}

int cv_rpc_server_finish(struct cv_rpc_call *call, const struct cv_rpc_status *status)
{
    if (call->state == CV_RPC_CALL_CANCELLED) {
        call->state = CV_RPC_CALL_OVER;
        call->event_due = false;
        return 0;
    }
    if (call->state != CV_RPC_CALL_RUNNING)
        return COVEY_ERR_STATE;
    struct cv_rpc_status cut = *status;
    cut.message = cv_rpc_status_text(status->message);
    /* Whatever the details' size, the sum must not wrap around: they are judged first. */
    size_t size_max = call->conn->limits.header_size_max;
    if (cut.details.size > size_max || cv_rpc_status_body_size(&cut) > size_max)
        return COVEY_ERR_TOO_LARGE;
    cv_rpc_end_finished(call, &cut);
    return 0;
}

/* A small answer before which nothing waits goes straight to where the transport sends it from. */
static bool write_reply(struct cv_rpc_call *call, struct cv_slice message, struct cv_writer *room)
{
    struct cv_rpc_conn *rc = call->conn;
    if (room == NULL || call->state != CV_RPC_CALL_RUNNING || call->send.ended ||
        cv_rpc_send_waiting(&call->send) > 0 || message.size > rc->limits.message_send_max ||
        !cv_rpc_reply_write(room, message))
        return false;
    cv_rpc_send_skip(&call->send);
    call->wrote = true;
    rc->stats.messages_sent++;
    return true;
}

int cv_rpc_server_reply(struct cv_rpc_call *call, struct cv_slice message, struct cv_writer *room)
{
    static const struct cv_rpc_status ok = {.code = COVEY_STATUS_OK};
    if (write_reply(call, message, room)) {
        cv_rpc_end_replied(call);
        return 0;
    }
    int error = cv_rpc_conn_send(call, message, false, NULL);
    if (error == 0)
        cv_rpc_end_finished(call, &ok);
    return error;
}
