#include "rpc/input.h"

#include "rpc/client.h"
#include "rpc/conn.h"
#include "rpc/end.h"
#include "rpc/server.h"

#include <assert.h>
#include <covey/error.h>
#include <string.h>

/* ---- time, and the transport ---- */

static int on_time(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)input;
    struct cv_deadline *timer;
    while ((timer = cv_deadlines_expire(&rc->timers, rc->now)) != NULL) {
        void *call = (char *)timer - offsetof(struct cv_rpc_call, timer);
        cv_rpc_end_timeout(call);
    }
    return 0;
}

static int on_accepted(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    *input->accepted.call = NULL;
    if (rc->lost)
        return COVEY_ERR_CLOSED;
    struct cv_rpc_call *call = cv_rpc_server_accept(rc, input->accepted.stream);
    if (call == NULL)
        return COVEY_ERR_NO_MEMORY;
    *input->accepted.call = call;
    return 0;
}

int cv_rpc_input_refused(struct cv_rpc_call *call, int error)
{
    if (error == COVEY_ERR_LIMIT)
        call->conn->stats.memory_refused++;
    cv_rpc_end_here(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory", CV_RPC_CODE_CANCELLED);
    return error == COVEY_ERR_LIMIT ? 0 : error;
}

static void leave_to_close(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    size_t size = call->owed_connection;
    if (size > CV_RPC_LEFT_TO_CLOSE || rc->left_to_close + size > CV_RPC_LEFT_TO_CLOSE_TOTAL)
        return;
    rc->left_to_close += size;
    call->left_to_close = size;
    call->owed = call->owed_connection = 0;
}

/* Not behind what waits in the call's buffer. A call that has something on the tray is ready. */
static bool put_on_tray(struct cv_rpc_call *call, struct cv_slice bytes)
{
    struct cv_rpc_conn *rc = call->conn;
    struct cv_rpc_shared *shared = rc->limits.shared;
    if (shared == NULL || bytes.size == 0)
        return false;
    if (shared->lent == 0)
        shared->used = 0;
    uint8_t *place = shared->tray + shared->used;
    if (bytes.size > sizeof shared->tray - shared->used || call->is_lent ||
        !cv_rpc_receive_lend(&call->receive, &rc->receive_memory, cv_slice_of(place, bytes.size)))
        return false;
    memcpy(place, bytes.data, bytes.size);
    shared->used += bytes.size;
    shared->lent++;
    call->is_lent = true;
    return true;
}

static int on_data(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    assert(!call->closed && call->peer_end == CV_RPC_PEER_OPEN);
    call->owed += input->data.bytes.size;
    call->owed_connection += input->data.bytes.size;
    if (input->data.fin) {
        cv_rpc_call_peer_ended(call, CV_RPC_PEER_FIN);
        leave_to_close(call);
    }
    cv_rpc_call_wake(call);
    if (!call->receiving || put_on_tray(call, input->data.bytes))
        return 0;
    int error = cv_rpc_receive_push(&call->receive, &rc->receive_memory, &rc->receive_limits,
                                    input->data.bytes);
    return error == 0 ? 0 : cv_rpc_input_refused(call, error);
}

/* A client looks at what came before the reset first: the status may be there. */
static int on_reset(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    (void)rc;
    if (call->peer_end != CV_RPC_PEER_OPEN)
        return 0;
    cv_rpc_call_peer_ended(call, CV_RPC_PEER_RESET);
    call->peer_code = input->reset.code;
    cv_rpc_call_wake(call);
    if (!call->is_client)
        cv_rpc_server_reset(call);
    return 0;
}

static int on_stopped(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    (void)rc;
    call->reset_due = false;
    if (call->is_client)
        cv_rpc_call_drop_send(call);
    else
        cv_rpc_server_stopped(call);
    return 0;
}

static int on_writable(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    input->call->send.blocked = false;
    cv_rpc_call_wake(input->call);
    return 0;
}

static int on_closed(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    cv_rpc_end_closed(input->call);
    return 0;
}

/* ---- the user ---- */

/* The connection's memory for sending is full: the call waits with the others for room. */
static int starve(struct cv_rpc_call *call)
{
    if (!call->is_starved)
        TAILQ_INSERT_TAIL(&call->conn->starved, call, starved_link);
    call->is_starved = true;
    call->writable_due = true;
    return COVEY_ERR_BUSY;
}

static bool may_send(const struct cv_rpc_call *call)
{
    return call->state == CV_RPC_CALL_RUNNING && !call->send.ended;
}

static int on_send_metadata(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    const struct cv_rpc_metadata *entries = input->send_metadata.entries;
    size_t count = input->send_metadata.count;
    assert(!call->is_client);
    if (!may_send(call) || call->answer_begun)
        return COVEY_ERR_STATE;
    int error = cv_rpc_metadata_check(entries, count, rc->limits.header_size_max);
    if (error != 0)
        return error;
    error = cv_rpc_send_metadata(&call->send, &rc->send_memory, entries, count);
    if (error != 0)
        return error == COVEY_ERR_LIMIT ? starve(call) : error;
    call->answer_begun = true;
    cv_rpc_call_wake(call);
    return 0;
}

/* The transport takes what it can at once, when nothing waits before it. */
static int queue_message(struct cv_rpc_call *call, struct cv_slice message,
                         struct cv_rpc_direct *direct)
{
    struct cv_rpc_memory *m = &call->conn->send_memory;
    bool is_first = !call->closed && !call->send.blocked && cv_rpc_send_waiting(&call->send) == 0;
    if (direct == NULL || !is_first || direct->size_max <= sizeof direct->head)
        return cv_rpc_send_message(&call->send, m, message);
    int error = cv_rpc_send_message_rest(&call->send, m, message, direct);
    call->wrote = call->wrote || error == 0;
    return error;
}

int cv_rpc_conn_send(struct cv_rpc_call *call, struct cv_slice message, bool end,
                     struct cv_rpc_direct *direct)
{
    struct cv_rpc_conn *rc = call->conn;
    assert(call->is_client || !end);
    if (!may_send(call))
        return COVEY_ERR_STATE;
    if (message.size > rc->limits.message_send_max)
        return COVEY_ERR_TOO_LARGE;
    if (cv_rpc_send_waiting(&call->send) > CV_RPC_SEND_WAITING_MAX) {
        call->writable_due = true;
        return COVEY_ERR_BUSY;
    }
    int error = queue_message(call, message, direct);
    if (error != 0)
        return error == COVEY_ERR_LIMIT ? starve(call) : error;
    if (!call->is_client)
        call->answer_begun = true;
    call->send.ended = end;
    call->writable_due = call->writable_due && !end;
    rc->stats.messages_sent++;
    cv_rpc_call_wake(call);
    return 0;
}

static int on_send(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    return cv_rpc_conn_send(input->call, input->send.message, input->send.end, input->send.direct);
}

static int on_end(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    (void)rc;
    assert(call->is_client);
    if (!may_send(call))
        return COVEY_ERR_STATE;
    call->send.ended = true;
    call->writable_due = false;
    cv_rpc_call_wake(call);
    return 0;
}

static int on_finish(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    assert(!input->call->is_client);
    return cv_rpc_server_finish(input->call, &input->finish);
}

static int on_reply(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    assert(!input->call->is_client);
    return cv_rpc_server_reply(input->call, input->reply.message, input->reply.room);
}

static int on_cancel(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    (void)rc;
    cv_rpc_end_cancelled(input->call);
    return 0;
}

void cv_rpc_conn_given_back(struct cv_rpc_call *call, size_t size)
{
    assert(call->held >= size && call->conn->held >= size);
    call->held -= size;
    call->conn->held -= size;
}

static int on_read(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    (void)rc;
    cv_rpc_conn_given_back(call, input->read.size + CV_RPC_MESSAGE_COST);
    if (call->owed > 0 || cv_rpc_receive_left(&call->receive) > 0)
        cv_rpc_call_wake(call);
    return 0;
}

static int on_release(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    struct cv_rpc_call *call = input->call;
    assert(!call->released);
    cv_rpc_end_cancelled(call);
    call->state = CV_RPC_CALL_OVER;
    call->event_due = false;
    call->released = true;
    cv_rpc_conn_given_back(call, call->held);
    if (!call->is_client)
        rc->executing--;
    cv_rpc_call_rest(call);
    cv_rpc_call_settle(call);
    return 0;
}

/* One for each type. A table, not a switch: each is a function by itself, with no more to save and to give
 * back than it needs. */
static int (*const handlers[])(struct cv_rpc_conn *rc, const struct cv_rpc_input *input) = {
    [CV_RPC_TIME] = on_time,
    [CV_RPC_STREAM_ACCEPTED] = on_accepted,
    [CV_RPC_STREAM_DATA] = on_data,
    [CV_RPC_STREAM_RESET] = on_reset,
    [CV_RPC_STREAM_STOPPED] = on_stopped,
    [CV_RPC_STREAM_WRITABLE] = on_writable,
    [CV_RPC_STREAM_CLOSED] = on_closed,
    [CV_RPC_SEND_METADATA] = on_send_metadata,
    [CV_RPC_SEND] = on_send,
    [CV_RPC_END] = on_end,
    [CV_RPC_FINISH] = on_finish,
    [CV_RPC_REPLY] = on_reply,
    [CV_RPC_CANCEL] = on_cancel,
    [CV_RPC_READ] = on_read,
    [CV_RPC_RELEASE] = on_release,
};

int cv_rpc_conn_step(struct cv_rpc_conn *rc, const struct cv_rpc_input *input)
{
    assert(rc->writing == NULL && input->type < sizeof handlers / sizeof handlers[0]);
    rc->now = input->now;
    return handlers[input->type](rc, input);
}
