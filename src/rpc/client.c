#include "rpc/client.h"

#include "rpc/conn.h"
#include "rpc/end.h"
#include "rpc/plain.h"
#include "rpc/timeout.h"

#include <assert.h>
#include <covey/error.h>

static struct cv_rpc_header header_of(const struct cv_rpc_start *start, covey_time now)
{
    return (struct cv_rpc_header){
        .method = start->method,
        .has_timeout = start->deadline != COVEY_NEVER,
        .timeout_us = cv_rpc_timeout_left(start->deadline, now),
        .metadata = start->metadata,
        .metadata_count = start->metadata_count,
    };
}

/* The room of small headers is in the call; only large metadata can find the memory full. */
static int queue_header(struct cv_rpc_call *call, const struct cv_rpc_header *header)
{
    int error = cv_rpc_send_header(&call->send, &call->conn->send_memory, header);
    return error == COVEY_ERR_LIMIT ? COVEY_ERR_BUSY : error;
}

/* A small request goes straight to where the transport sends it from. Not one that is late already:
 * nobody is to hear of it. */
static bool write_start(struct cv_rpc_call *call, const struct cv_rpc_start *start,
                        const struct cv_rpc_header *header)
{
    struct cv_rpc_conn *rc = call->conn;
    if (start->room == NULL || start->message == NULL || header->timeout_us == 0 ||
        start->message->size > rc->limits.message_send_max ||
        (!cv_rpc_plain_request_write(start->room, header, *start->message) &&
         !cv_rpc_request_write(start->room, header, *start->message)))
        return false;
    cv_rpc_send_skip(&call->send);
    call->wrote = true;
    rc->stats.messages_sent++;
    return true;
}

/* What the call has to say at once. */
static int queue_start(struct cv_rpc_call *call, const struct cv_rpc_start *start,
                       const struct cv_rpc_header *header)
{
    if (write_start(call, start, header))
        return 0;
    int error = queue_header(call, header);
    if (error != 0 || start->message == NULL)
        return error;
    error = cv_rpc_conn_send(call, *start->message, true, NULL);
    return error == COVEY_ERR_BUSY ? 0 : error;
}

int cv_rpc_conn_start(struct cv_rpc_conn *rc, const struct cv_rpc_start *start, covey_time now,
                      struct cv_rpc_call **out)
{
    if (rc->lost)
        return COVEY_ERR_CLOSED;
    struct cv_rpc_header header = header_of(start, now);
    int error = start->is_checked ? 0 : cv_rpc_header_check(&header, rc->limits.header_size_max);
    if (error != 0)
        return error;
    struct cv_rpc_call *call = cv_rpc_call_new(rc, true);
    if (call == NULL)
        return COVEY_ERR_NO_MEMORY;
    error = queue_start(call, start, &header);
    if (error != 0) {
        cv_rpc_call_free(call);
        return error;
    }

    call->released = false;
    call->closed = start->stream == NULL;
    call->stream = start->stream;
    call->user = start->user;
    call->deadline = start->deadline;
    call->started_at = now;
    rc->now = now;
    rc->stats.calls_started++;
    cv_deadlines_set(&rc->timers, &call->timer, start->deadline, now);
    if (start->stream == NULL) {
        call->is_unbound = true;
        TAILQ_INSERT_TAIL(&rc->unbound, call, unbound_link);
    }
    if (!call->send.done)
        cv_rpc_call_wake(call);
    if (start->deadline <= now)
        cv_rpc_end_timeout(call);
    *out = call;
    return 0;
}

struct cv_rpc_call *cv_rpc_conn_unbound(const struct cv_rpc_conn *rc)
{
    return TAILQ_FIRST(&rc->unbound);
}

void cv_rpc_call_give_up(struct cv_rpc_call *call, enum covey_status_code code, const char *text)
{
    assert(call->is_unbound);
    cv_rpc_end_here(call, code, text, CV_RPC_CODE_CANCELLED);
}

void cv_rpc_call_bind(struct cv_rpc_call *call, void *stream, covey_time now)
{
    assert(call->is_client && call->closed && !call->conn->lost && stream != NULL);
    cv_rpc_call_leave_unbound(call);
    call->stream = stream;
    call->closed = false;
    call->conn->now = now;
    if (!call->send.done && call->deadline != COVEY_NEVER && now != call->started_at)
        cv_rpc_send_shorten(&call->send, cv_rpc_timeout_left(call->deadline, now));
    cv_rpc_call_wake(call);
}

static void fail(struct cv_rpc_call *call, const char *text)
{
    call->conn->stats.protocol_errors++;
    cv_rpc_end_here(call, COVEY_STATUS_INTERNAL, text, CV_RPC_CODE_PROTOCOL);
}

bool cv_rpc_client_status(struct cv_rpc_call *call, struct cv_slice body, struct cv_rpc_output *out)
{
    struct cv_rpc_status status;
    if (cv_rpc_status_read(body, &status) != 0) {
        fail(call, "the server's status is malformed");
        return false;
    }
    /* The outcome stands, whatever follows it. */
    if (cv_rpc_receive_left(&call->receive) > 0)
        cv_rpc_conn_violated(call->conn);
    cv_rpc_end_answered(call);
    out->type = CV_RPC_EVENT_STATUS;
    out->end.status = status;
    out->end.has_message = false;
    out->end.by_peer = true;
    out->end.not_started = false;
    return true;
}

bool cv_rpc_client_answer(struct cv_rpc_call *call, struct cv_slice bytes,
                          struct cv_rpc_output *out)
{
    struct cv_slice message;
    if (!cv_rpc_reply_read(bytes, &message) ||
        message.size > call->conn->limits.message_receive_max)
        return false;
    call->answer_begun = true;
    cv_rpc_end_answered(call);
    out->type = CV_RPC_EVENT_STATUS;
    out->end.status = (struct cv_rpc_status){.code = COVEY_STATUS_OK};
    out->end.has_message = true;
    out->end.message = message;
    out->end.by_peer = true;
    out->end.not_started = false;
    return true;
}

static void violate(struct cv_rpc_call *call, const char *text)
{
    cv_rpc_conn_violated(call->conn);
    cv_rpc_end_here(call, COVEY_STATUS_INTERNAL, text, CV_RPC_CODE_PROTOCOL);
}

static bool take_metadata(struct cv_rpc_call *call, struct cv_slice body, struct cv_rpc_output *out)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->answer_begun) {
        violate(call, "the server's metadata came twice or after a message");
        return false;
    }
    size_t count;
    if (cv_rpc_metadata_read(body, rc->metadata, &count) != 0) {
        fail(call, "the server's metadata is malformed");
        return false;
    }
    call->answer_begun = true;
    out->type = CV_RPC_EVENT_METADATA;
    out->metadata.entries = rc->metadata;
    out->metadata.count = count;
    return true;
}

bool cv_rpc_client_frame(struct cv_rpc_call *call, const struct cv_rpc_frame *frame,
                         struct cv_rpc_output *out)
{
    switch (frame->type) {
    case CV_RPC_FRAME_MESSAGE:
        call->answer_begun = true;
        out->type = CV_RPC_EVENT_MESSAGE;
        out->message = frame->body;
        return true;
    case CV_RPC_FRAME_STATUS:
        return cv_rpc_client_status(call, frame->body, out);
    case CV_RPC_FRAME_HEADER:
        return take_metadata(call, frame->body, out);
    case CV_RPC_FRAME_RESERVED: /* never handed out */
        break;
    }
    return false;
}

static enum covey_status_code status_of_reset(uint64_t code)
{
    switch (code) {
    case CV_RPC_CODE_CANCELLED:
        return COVEY_STATUS_CANCELLED;
    case CV_RPC_CODE_DEADLINE:
        return COVEY_STATUS_DEADLINE_EXCEEDED;
    case CV_RPC_CODE_PROTOCOL:
        return COVEY_STATUS_INTERNAL;
    default:
        return COVEY_STATUS_UNAVAILABLE;
    }
}

/* A server that says so of a call that it began to answer is not believed. */
void cv_rpc_client_none_begun(struct cv_rpc_call *call)
{
    call->refused = !call->answer_begun && cv_rpc_receive_left(&call->receive) == 0;
}

static void take_reset(struct cv_rpc_call *call)
{
    if (call->peer_code == CV_RPC_CODE_REFUSED)
        cv_rpc_client_none_begun(call);
    if (call->refused)
        call->conn->peer_drains = true;
    cv_rpc_end_here(call, status_of_reset(call->peer_code),
                    call->refused ? "the server takes no more calls" : "the server reset the call",
                    CV_RPC_CODE_CANCELLED);
}

static const char *lost_text(const struct cv_rpc_call *call)
{
    return call->conn->lost ? call->conn->lost_text : "the stream is lost";
}

void cv_rpc_client_end(struct cv_rpc_call *call)
{
    switch (call->peer_end) {
    case CV_RPC_PEER_OPEN:
        return;
    case CV_RPC_PEER_FIN:
        fail(call, "the answer ended without a status");
        return;
    case CV_RPC_PEER_RESET:
        take_reset(call);
        return;
    case CV_RPC_PEER_LOST:
        cv_rpc_end_here(call, COVEY_STATUS_UNAVAILABLE, lost_text(call), CV_RPC_CODE_CANCELLED);
        return;
    }
}
