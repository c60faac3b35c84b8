#include "rpc/end.h"

#include "rpc/conn.h"

#include <assert.h>

/* The server's user holds a call that is RUNNING; nobody but us knows one that is WAITING. */
static void end_for_server_user(struct cv_rpc_call *call)
{
    call->event_due = call->state == CV_RPC_CALL_RUNNING;
    call->state = call->event_due ? CV_RPC_CALL_CANCELLED : CV_RPC_CALL_OVER;
    cv_rpc_call_wake(call);
}

static void end_client(struct cv_rpc_call *call, uint64_t stream_code)
{
    assert(call->is_client && call->state == CV_RPC_CALL_RUNNING);
    call->state = CV_RPC_CALL_OVER;
    cv_rpc_call_leave_unbound(call);
    cv_deadlines_clear(&call->conn->timers, &call->timer);
    cv_rpc_call_stop(call, stream_code);
    cv_rpc_call_reset(call, stream_code);
}

static void send_status(struct cv_rpc_call *call, const struct cv_rpc_status *status)
{
    cv_rpc_send_status(&call->send, &call->conn->send_memory, status);
    call->writable_due = false;
    cv_rpc_call_wake(call);
}

void cv_rpc_end_here(struct cv_rpc_call *call, enum covey_status_code code, const char *text,
                     uint64_t stream_code)
{
    if (call->is_client) {
        call->code = code;
        call->text = text;
        call->event_due = true;
        end_client(call, stream_code);
        return;
    }
    struct cv_rpc_status status = {.code = code, .message = cv_slice_text(text)};
    send_status(call, &status);
    cv_rpc_call_stop(call, stream_code);
    end_for_server_user(call);
}

void cv_rpc_end_answered(struct cv_rpc_call *call)
{
    end_client(call, CV_RPC_CODE_DONE);
}

static void end_finished(struct cv_rpc_call *call)
{
    assert(!call->is_client && call->state == CV_RPC_CALL_RUNNING);
    cv_rpc_call_stop(call, CV_RPC_CODE_DONE);
    call->state = CV_RPC_CALL_OVER;
}

void cv_rpc_end_finished(struct cv_rpc_call *call, const struct cv_rpc_status *status)
{
    send_status(call, status);
    end_finished(call);
}

void cv_rpc_end_replied(struct cv_rpc_call *call)
{
    call->writable_due = false;
    cv_rpc_call_sent(call);
    end_finished(call);
}

void cv_rpc_end_gone(struct cv_rpc_call *call, uint64_t stream_code)
{
    assert(!call->is_client && call->state <= CV_RPC_CALL_RUNNING);
    cv_rpc_call_stop(call, stream_code);
    cv_rpc_call_reset(call, stream_code);
    end_for_server_user(call);
}

void cv_rpc_end_cancelled(struct cv_rpc_call *call)
{
    if (call->state != CV_RPC_CALL_RUNNING)
        return;
    call->conn->stats.calls_cancelled++;
    if (call->is_client) {
        cv_rpc_end_here(call, COVEY_STATUS_CANCELLED, "cancelled", CV_RPC_CODE_CANCELLED);
        return;
    }
    struct cv_rpc_status status = {.code = COVEY_STATUS_ABORTED,
                                   .message = cv_slice_text("ended by the server")};
    cv_rpc_end_finished(call, &status);
}

static void end_at_deadline(struct cv_rpc_call *call)
{
    call->conn->stats.deadlines_exceeded++;
    if (!call->is_client && call->send.blocked)
        cv_rpc_end_gone(call, CV_RPC_CODE_DEADLINE);
    else
        cv_rpc_end_here(call, COVEY_STATUS_DEADLINE_EXCEEDED, "the deadline passed",
                        CV_RPC_CODE_DEADLINE);
}

void cv_rpc_end_timeout(struct cv_rpc_call *call)
{
    if (call->state == CV_RPC_CALL_WAITING)
        cv_rpc_end_here(call, COVEY_STATUS_DEADLINE_EXCEEDED, "no header came",
                        CV_RPC_CODE_DEADLINE);
    else if (call->state == CV_RPC_CALL_RUNNING)
        end_at_deadline(call);
    else /* a server's answer that the client did not fetch in time */
        cv_rpc_call_reset(call, CV_RPC_CODE_DEADLINE);
}

void cv_rpc_end_closed(struct cv_rpc_call *call)
{
    cv_rpc_call_detach(call);
    if (!call->is_client && call->state <= CV_RPC_CALL_RUNNING) {
        call->conn->stats.calls_cancelled += call->state == CV_RPC_CALL_RUNNING;
        cv_rpc_end_gone(call, CV_RPC_CODE_CANCELLED);
    }
    cv_rpc_call_settle(call);
}
