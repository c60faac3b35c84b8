#include "rpc/output.h"

#include "rpc/client.h"
#include "rpc/conn.h"
#include "rpc/end.h"
#include "rpc/server.h"

#include <assert.h>

static bool next_due_event(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (!call->event_due)
        return false;
    call->event_due = false;
    if (!call->is_client) {
        out->type = CV_RPC_EVENT_CANCELLED;
        return true;
    }
    out->type = CV_RPC_EVENT_STATUS;
    out->end.status =
        (struct cv_rpc_status){.code = call->code, .message = cv_slice_text(call->text)};
    out->end.has_message = false;
    out->end.by_peer = false;
    out->end.not_started = !call->answer_begun && (call->refused || !call->wrote);
    return true;
}

/* The users hold so much that this call gets no further message and its peer no window. */
static bool is_full(const struct cv_rpc_call *call)
{
    const struct cv_rpc_conn *rc = call->conn;
    return call->held > rc->limits.receive_buffer_max || cv_rpc_conn_is_full(rc);
}

/* For want of room for this call alone its own READ wakes it. */
static void withhold(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->is_withheld || !cv_rpc_conn_is_full(rc))
        return;
    TAILQ_INSERT_TAIL(&rc->withheld, call, withheld_link);
    call->is_withheld = true;
}

static void too_large(struct cv_rpc_call *call)
{
    call->conn->stats.frames_too_large++;
    cv_rpc_end_here(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "a frame is too large",
                    CV_RPC_CODE_CANCELLED);
}

static void malformed(struct cv_rpc_call *call)
{
    call->conn->stats.protocol_errors++;
    if (!call->is_client)
        cv_rpc_conn_glitch(call->conn);
    cv_rpc_end_here(call, call->is_client ? COVEY_STATUS_INTERNAL : COVEY_STATUS_INVALID_ARGUMENT,
                    "a frame is malformed", CV_RPC_CODE_PROTOCOL);
}

/* A message goes to the user. */
static void hold(struct cv_rpc_call *call, size_t size)
{
    call->held += size + CV_RPC_MESSAGE_COST;
    call->conn->held += size + CV_RPC_MESSAGE_COST;
    call->conn->stats.messages_received++;
}

static bool take_frame(struct cv_rpc_call *call, const struct cv_rpc_frame *frame,
                       struct cv_rpc_output *out)
{
    bool made = call->is_client ? cv_rpc_client_frame(call, frame, out)
                                : cv_rpc_server_frame(call, frame, out);
    if (made && out->type == CV_RPC_EVENT_MESSAGE)
        hold(call, out->message.size);
    return made;
}

static bool take_end(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (!call->is_client)
        return cv_rpc_server_end(call, out);
    cv_rpc_client_end(call);
    return false;
}

/* To the EVENT_CALL in *out, when the rest of the request came with the header. */
static void add_request(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    const struct cv_rpc_conn *rc = call->conn;
    if (call->peer_end != CV_RPC_PEER_FIN || is_full(call) ||
        !cv_rpc_receive_last(&call->receive, &rc->receive_limits, CV_RPC_FRAME_MESSAGE,
                             &out->begin.message))
        return;
    out->begin.is_whole = true;
    hold(call, out->begin.message.size);
    cv_rpc_call_stop(call, CV_RPC_CODE_DONE);
}

/* Makes the EVENT_MESSAGE in *out an EVENT_STATUS, when that came with it. One that is wrong is told
 * apart. */
static void add_status(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    const struct cv_slice message = out->message;
    struct cv_slice body;
    if (!cv_rpc_receive_last(&call->receive, &call->conn->receive_limits, CV_RPC_FRAME_STATUS,
                             &body))
        return;
    if (cv_rpc_client_status(call, body, out)) {
        out->end.has_message = true;
        out->end.message = message;
    }
}

static void add_rest(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (out->type == CV_RPC_EVENT_CALL)
        add_request(call, out);
    else if (call->is_client && out->type == CV_RPC_EVENT_MESSAGE)
        add_status(call, out);
}

/* Looks at what was received. True with an event in *out; false when there is none, or when the
 * call was ended: then call->receiving says so. */
static bool next_received(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    struct cv_rpc_conn *rc = call->conn;
    struct cv_rpc_frame frame;
    if (is_full(call) && cv_rpc_receive_at_message(&call->receive)) {
        withhold(call);
        return false;
    }
    switch (cv_rpc_receive_next(&call->receive, &rc->receive_memory, &rc->receive_limits, &frame)) {
    case CV_RPC_RECEIVE_FRAME:
        return take_frame(call, &frame, out);
    case CV_RPC_RECEIVE_NOTHING:
        return take_end(call, out);
    case CV_RPC_RECEIVE_TOO_LARGE:
        too_large(call);
        return false;
    case CV_RPC_RECEIVE_MALFORMED:
        malformed(call);
        return false;
    }
    return false;
}

/* What nearly every call is: all that the peer says came at once, in few bytes. Else, or when it is not just that,
 * it is looked at frame by frame. */
static bool next_plain(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    const struct cv_slice bytes = call->receive.lent;
    if (bytes.size == 0 || call->peer_end != CV_RPC_PEER_FIN || !call->conn->limits.tells_whole ||
        is_full(call))
        return false;
    if (call->is_client) {
        if (!cv_rpc_client_answer(call, bytes, out))
            return false;
        hold(call, out->end.message.size);
    } else {
        if (!cv_rpc_server_request(call, bytes, out))
            return false;
        hold(call, out->begin.message.size);
        cv_rpc_call_stop(call, CV_RPC_CODE_DONE);
    }
    call->receive.lent = (struct cv_slice){NULL, 0};
    return true;
}

static bool next_event(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (call->receiving && next_plain(call, out))
        return true;
    if (call->receiving && next_received(call, out)) {
        if (call->conn->limits.tells_whole)
            add_rest(call, out);
        return true;
    }
    if (!call->receiving)
        cv_rpc_receive_fini(&call->receive, &call->conn->receive_memory);
    return next_due_event(call, out);
}

/*
 * Window is given back for all that arrived, so that a message of any allowed size can be
 * completed, as long as the user keeps up with whole messages. A user who does not read one call
 * holds up its stream only; the connection is held up when the users of all calls hold too much.
 * Nothing more comes for a call whose receiving ended: what it owes goes back at once.
 */
static bool next_consume(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    const struct cv_rpc_conn *rc = call->conn;
    if (call->owed_connection == 0 && call->owed == 0)
        return false;
    assert(!call->closed);
    bool holds_stream = call->receiving && is_full(call);
    bool holds_connection = call->receiving && cv_rpc_conn_is_full(rc);
    if (holds_stream)
        withhold(call);
    out->type = CV_RPC_STREAM_CONSUME;
    out->consume.size = holds_stream ? 0 : call->owed;
    out->consume.connection = holds_connection ? 0 : call->owed_connection;
    call->owed -= out->consume.size;
    call->owed_connection -= out->consume.connection;
    return out->consume.size > 0 || out->consume.connection > 0;
}

static bool next_write(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (call->closed || !cv_rpc_send_next(&call->send, &out->write.bytes, &out->write.fin))
        return false;
    out->type = CV_RPC_STREAM_WRITE;
    call->conn->writing = call;
    return true;
}

static bool next_signal(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (call->closed)
        return false;
    if (call->reset_due) {
        call->reset_due = false;
        out->type = CV_RPC_STREAM_DO_RESET;
        out->reset.code = call->reset_code;
        return true;
    }
    if (call->stop_due) {
        call->stop_due = false;
        out->type = CV_RPC_STREAM_DO_STOP;
        out->stop.code = call->stop_code;
        return true;
    }
    return false;
}

/* At half, so that a sender does not wake up for each write. */
static bool next_writable(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    if (!call->writable_due || call->is_starved ||
        cv_rpc_send_waiting(&call->send) > CV_RPC_SEND_WAITING_MAX / 2)
        return false;
    call->writable_due = false;
    out->type = CV_RPC_EVENT_WRITABLE;
    return true;
}

bool cv_rpc_call_output(struct cv_rpc_call *call, struct cv_rpc_output *out)
{
    out->call = call;
    out->stream = call->stream;
    return next_event(call, out) || next_consume(call, out) || next_write(call, out) ||
           next_signal(call, out) || next_writable(call, out);
}
