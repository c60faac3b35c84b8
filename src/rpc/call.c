#include "rpc/call.h"

#include "rpc/conn.h"

#include <assert.h>

static struct cv_rpc_call *take_memory(struct cv_rpc_conn *rc)
{
    struct cv_rpc_shared *shared = rc->limits.shared;
    struct cv_rpc_call *call = LIST_FIRST(shared != NULL ? &shared->calls : &rc->pool);
    if (call == NULL)
        return cv_allocate(rc->alloc, sizeof *call);
    LIST_REMOVE(call, link);
    if (shared != NULL)
        shared->call_count--;
    else
        rc->pool_count--;
    return call;
}

static void give_to_others(struct cv_rpc_conn *rc, struct cv_rpc_call *call)
{
    struct cv_rpc_shared *shared = rc->limits.shared;
    if (shared->call_count >= CV_RPC_SHARED_COUNT_MAX) {
        cv_release(rc->alloc, call);
        return;
    }
    LIST_INSERT_HEAD(&shared->calls, call, link);
    shared->call_count++;
}

void cv_rpc_shared_init(struct cv_rpc_shared *shared)
{
    LIST_INIT(&shared->calls);
    shared->call_count = 0;
    shared->lent = 0;
    shared->used = 0;
}

void cv_rpc_shared_fini(struct cv_rpc_shared *shared, const struct cv_alloc *alloc)
{
    assert(shared->lent == 0);
    while (!LIST_EMPTY(&shared->calls)) {
        struct cv_rpc_call *call = LIST_FIRST(&shared->calls);
        LIST_REMOVE(call, link);
        cv_release(alloc, call);
    }
    shared->call_count = 0;
}

static void give_memory(struct cv_rpc_conn *rc, struct cv_rpc_call *call)
{
    if (rc->limits.shared != NULL) {
        give_to_others(rc, call);
        return;
    }
    LIST_INSERT_HEAD(&rc->pool, call, link);
    rc->pool_count++;
    while (rc->pool_count > CV_RPC_POOL_COUNT_MAX && rc->pool_count > rc->count)
        cv_release(rc->alloc, take_memory(rc));
}

/* Each member up to the two buffers, which are large and need no zeroes. */
static void init(struct cv_rpc_call *call, struct cv_rpc_conn *rc, bool is_client)
{
    memset(call, 0, offsetof(struct cv_rpc_call, send));
    call->conn = rc;
    call->deadline = COVEY_NEVER;
    call->state = is_client ? CV_RPC_CALL_RUNNING : CV_RPC_CALL_WAITING;
    call->is_client = is_client;
    call->released = true;
    call->closed = true;
    call->receiving = true;
    cv_rpc_receive_init(&call->receive, call->own_received);
    cv_rpc_send_init(&call->send, call->own_sent);
}

struct cv_rpc_call *cv_rpc_call_new(struct cv_rpc_conn *rc, bool is_client)
{
    if (cv_deadlines_reserve(&rc->timers, rc->count + 1) != 0)
        return NULL;
    struct cv_rpc_call *call = take_memory(rc);
    if (call == NULL)
        return NULL;
    init(call, rc, is_client);
    LIST_INSERT_HEAD(&rc->all, call, link);
    rc->count++;
    return call;
}

void cv_rpc_call_leave_unbound(struct cv_rpc_call *call)
{
    if (!call->is_unbound)
        return;
    call->is_unbound = false;
    TAILQ_REMOVE(&call->conn->unbound, call, unbound_link);
}

void cv_rpc_call_free(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    assert(rc->writing != call && rc->count > 0);
    cv_deadlines_clear(&rc->timers, &call->timer);
    cv_rpc_receive_fini(&call->receive, &rc->receive_memory);
    cv_rpc_send_fini(&call->send, &rc->send_memory);
    cv_rpc_call_leave_ready(call);
    if (call->is_starved)
        TAILQ_REMOVE(&rc->starved, call, starved_link);
    if (call->is_withheld)
        TAILQ_REMOVE(&rc->withheld, call, withheld_link);
    cv_rpc_call_leave_unbound(call);
    LIST_REMOVE(call, link);
    rc->count--;
    give_memory(rc, call);
}

void cv_rpc_call_settle(struct cv_rpc_call *call)
{
    if (call->released && call->closed) {
        assert(call->state == CV_RPC_CALL_OVER);
        cv_rpc_call_free(call);
    }
}

void cv_rpc_call_wake(struct cv_rpc_call *call)
{
    if (call->is_ready)
        return;
    TAILQ_INSERT_TAIL(&call->conn->ready, call, ready_link);
    call->is_ready = true;
}

void cv_rpc_call_leave_ready(struct cv_rpc_call *call)
{
    if (!call->is_ready)
        return;
    TAILQ_REMOVE(&call->conn->ready, call, ready_link);
    call->is_ready = false;
    if (call->is_lent)
        call->conn->limits.shared->lent--;
    call->is_lent = false;
}

static bool is_signal_due(const struct cv_rpc_call *call)
{
    return call->event_due || call->reset_due || call->stop_due || call->writable_due ||
           call->owed > 0 || call->owed_connection > 0;
}

/* One that is not received any more gives its memory back in poll(). */
static bool is_receive_due(const struct cv_rpc_call *call)
{
    if (!call->receiving)
        return cv_rpc_receive_has_memory(&call->receive);
    return call->peer_end != CV_RPC_PEER_OPEN || cv_rpc_receive_left(&call->receive) > 0;
}

void cv_rpc_call_rest(struct cv_rpc_call *call)
{
    if (!call->is_ready || !call->send.done || is_signal_due(call) || is_receive_due(call))
        return;
    cv_rpc_call_leave_ready(call);
}

void cv_rpc_call_stop(struct cv_rpc_call *call, uint64_t code)
{
    if (call->receiving && call->peer_end == CV_RPC_PEER_OPEN) {
        call->stop_due = true;
        call->stop_code = code;
    }
    /* The buffer stays until the next poll(): an output may point into it. */
    call->receiving = false;
    cv_rpc_call_wake(call);
}

void cv_rpc_call_peer_ended(struct cv_rpc_call *call, enum cv_rpc_peer_end how)
{
    assert(call->peer_end == CV_RPC_PEER_OPEN && how != CV_RPC_PEER_OPEN);
    call->peer_end = how;
    call->stop_due = false;
}

void cv_rpc_call_drop_send(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->is_starved)
        TAILQ_REMOVE(&rc->starved, call, starved_link);
    call->is_starved = false;
    call->writable_due = false;
    cv_rpc_send_drop(&call->send, &rc->send_memory);
    cv_rpc_call_sent(call);
}

void cv_rpc_call_sent(struct cv_rpc_call *call)
{
    assert(call->send.done);
    if (!call->is_client)
        cv_deadlines_clear(&call->conn->timers, &call->timer);
}

void cv_rpc_call_reset(struct cv_rpc_call *call, uint64_t code)
{
    if (call->send.done)
        return;
    cv_rpc_call_drop_send(call);
    call->reset_due = true;
    call->reset_code = code;
    cv_rpc_call_wake(call);
}

void cv_rpc_call_detach(struct cv_rpc_call *call)
{
    cv_rpc_call_leave_unbound(call);
    call->stream = NULL;
    call->closed = true;
    call->reset_due = false;
    call->owed = call->owed_connection = 0;
    call->conn->left_to_close -= call->left_to_close;
    call->left_to_close = 0;
    if (!call->send.done)
        cv_rpc_call_drop_send(call);
    if (call->peer_end == CV_RPC_PEER_OPEN)
        cv_rpc_call_peer_ended(call, CV_RPC_PEER_LOST);
    cv_rpc_call_wake(call);
}

void *cv_rpc_call_take_message(struct cv_rpc_call *call, struct cv_slice message)
{
    return cv_rpc_receive_take(&call->receive, &call->conn->receive_memory, message);
}

void *cv_rpc_call_user(const struct cv_rpc_call *call)
{
    return call->user;
}

void cv_rpc_call_set_user(struct cv_rpc_call *call, void *user)
{
    call->user = user;
}

void *cv_rpc_call_stream(const struct cv_rpc_call *call)
{
    return call->stream;
}

bool cv_rpc_call_is_carried(const struct cv_rpc_call *call)
{
    return !call->is_client && !call->closed && call->state == CV_RPC_CALL_OVER &&
           call->send.done && !call->reset_due && call->peer_end == CV_RPC_PEER_FIN &&
           call->owed == 0 && call->owed_connection == 0;
}

covey_time cv_rpc_call_deadline(const struct cv_rpc_call *call)
{
    return call->deadline;
}

bool cv_rpc_call_is_client(const struct cv_rpc_call *call)
{
    return call->is_client;
}
