#include "rpc/conn.h"

#include "rpc/client.h"
#include "rpc/end.h"
#include "rpc/output.h"
#include "rpc/server.h"

#include <assert.h>
#include <covey/error.h>

void cv_rpc_limits_init(struct cv_rpc_limits *limits)
{
    *limits = (struct cv_rpc_limits){
        .message_send_max = 4u << 20,
        .message_receive_max = 4u << 20,
        .header_size_max = 9u << 10,
        .calls_max = 1024,
        .receive_buffer_max = 256u << 10,
        .receive_total_max = 8u << 20,
        .receive_lag_max = 4u << 10,
        .send_memory_max = 8u << 20,
        .receive_memory_max = 32u << 20,
        .header_timeout = 10 * COVEY_SECOND,
        .glitch_burst = 1000,
        .glitch_interval = COVEY_SECOND / 33,
    };
}

/* The most that one call's buffer ever takes in a direction whose largest message is this: what may
 * wait already and a frame of any type, with the head of each and a last STATUS. */
static size_t buffer_size_max(const struct cv_rpc_limits *limits, size_t message_size_max)
{
    return CV_RPC_SEND_WAITING_MAX + message_size_max + limits->header_size_max + 64;
}

static struct cv_rpc_memory memory_of(const struct cv_alloc *alloc, size_t used_max, size_t least)
{
    return (struct cv_rpc_memory){.alloc = alloc, .used_max = used_max > least ? used_max : least};
}

int cv_rpc_conn_new(const struct cv_alloc *alloc, const struct cv_rpc_limits *limits,
                    struct cv_rpc_conn **out)
{
    struct cv_rpc_conn *rc = cv_allocate(alloc, sizeof *rc);
    if (rc == NULL)
        return COVEY_ERR_NO_MEMORY;
    *rc = (struct cv_rpc_conn){
        .alloc = alloc,
        .limits = *limits,
        .receive_limits = {.message_size_max = limits->message_receive_max,
                           .header_size_max = limits->header_size_max,
                           .ahead_max = (size_t)limits->receive_ahead_max},
        .receive_memory = memory_of(alloc, limits->receive_memory_max,
                                    buffer_size_max(limits, limits->message_receive_max)),
        .send_memory = memory_of(alloc, limits->send_memory_max,
                                 buffer_size_max(limits, limits->message_send_max)),
    };
    cv_deadlines_init(&rc->timers, alloc);
    LIST_INIT(&rc->all);
    LIST_INIT(&rc->pool);
    TAILQ_INIT(&rc->ready);
    TAILQ_INIT(&rc->unbound);
    TAILQ_INIT(&rc->starved);
    TAILQ_INIT(&rc->withheld);
    cv_bucket_init(&rc->glitches, limits->glitch_burst, limits->glitch_interval, 0);
    *out = rc;
    return 0;
}

void cv_rpc_conn_free(struct cv_rpc_conn *rc)
{
    if (rc == NULL)
        return;
    while (!LIST_EMPTY(&rc->all))
        cv_rpc_call_free(LIST_FIRST(&rc->all));
    while (!LIST_EMPTY(&rc->pool)) {
        struct cv_rpc_call *call = LIST_FIRST(&rc->pool);
        LIST_REMOVE(call, link);
        cv_release(rc->alloc, call);
    }
    assert(rc->receive_memory.used == 0 && rc->send_memory.used == 0);
    cv_deadlines_fini(&rc->timers);
    cv_release(rc->alloc, rc);
}

void cv_rpc_conn_violated(struct cv_rpc_conn *rc)
{
    rc->stats.protocol_errors++;
    rc->close_due = true;
}

void cv_rpc_conn_glitch(struct cv_rpc_conn *rc)
{
    rc->stats.glitches++;
    if (cv_bucket_take(&rc->glitches, 1, rc->now) || rc->close_due)
        return;
    rc->close_due = true;
    rc->close_reason = CV_RPC_CLOSE_FLOOD;
}

/* ---- Inputs ---- */

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

/* The bytes cannot be kept: for the peer's share of memory, which is no error of ours, or for want
 * of any. */
static int on_data_refused(struct cv_rpc_call *call, int error)
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
    if (!call->receiving)
        return 0;
    int error = cv_rpc_receive_push(&call->receive, &rc->receive_memory, &rc->receive_limits,
                                    input->data.bytes);
    return error == 0 ? 0 : on_data_refused(call, error);
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

/* ---- Outputs ---- */

/* Lets those that wait for memory try again once the largest message fits. */
static void feed_starved(struct cv_rpc_conn *rc)
{
    const struct cv_rpc_memory *m = &rc->send_memory;
    size_t least = buffer_size_max(&rc->limits, rc->limits.message_send_max);
    if (TAILQ_EMPTY(&rc->starved) || m->used > m->used_max - least)
        return;
    while (!TAILQ_EMPTY(&rc->starved)) {
        struct cv_rpc_call *call = TAILQ_FIRST(&rc->starved);
        TAILQ_REMOVE(&rc->starved, call, starved_link);
        call->is_starved = false;
        cv_rpc_call_wake(call);
    }
}

/* Lets the next of those go on that wait until users hold less. One by one: it may fill up what was
 * given back. */
static bool feed_withheld(struct cv_rpc_conn *rc)
{
    struct cv_rpc_call *call = TAILQ_FIRST(&rc->withheld);
    if (call == NULL || cv_rpc_conn_is_full(rc))
        return false;
    TAILQ_REMOVE(&rc->withheld, call, withheld_link);
    call->is_withheld = false;
    cv_rpc_call_wake(call);
    return true;
}

/* After all else: the answers that the violation drew are written by then. */
static bool next_close(struct cv_rpc_conn *rc, struct cv_rpc_output *out)
{
    if (!rc->close_due || rc->close_told || rc->lost)
        return false;
    rc->close_told = true;
    *out = (struct cv_rpc_output){.type = CV_RPC_DO_CLOSE, .close = {rc->close_reason}};
    return true;
}

bool cv_rpc_conn_poll(struct cv_rpc_conn *rc, struct cv_rpc_output *output)
{
    assert(rc->writing == NULL);
    feed_starved(rc);
    do {
        struct cv_rpc_call *call;
        while ((call = TAILQ_FIRST(&rc->ready)) != NULL) {
            if (cv_rpc_call_output(call, output))
                return true;
            TAILQ_REMOVE(&rc->ready, call, ready_link);
            call->is_ready = false;
        }
    } while (feed_withheld(rc));
    return next_close(rc, output);
}

void cv_rpc_conn_written(struct cv_rpc_conn *rc, struct cv_rpc_call *call, bool taken)
{
    assert(rc->writing == call);
    rc->writing = NULL;
    if (!taken) {
        call->send.blocked = true;
        return;
    }
    call->wrote = true;
    cv_rpc_send_taken(&call->send, &rc->send_memory);
    if (call->send.done) {
        cv_rpc_call_sent(call);
        cv_rpc_call_rest(call);
    }
}

covey_time cv_rpc_conn_deadline(const struct cv_rpc_conn *rc)
{
    return cv_deadlines_next(&rc->timers);
}

void cv_rpc_conn_none_begun(struct cv_rpc_conn *rc)
{
    rc->none_begun = true;
}

void cv_rpc_conn_lost(struct cv_rpc_conn *rc, const char *text)
{
    assert(rc->writing == NULL);
    rc->lost = true;
    rc->lost_text = text;
    struct cv_rpc_call *next;
    for (struct cv_rpc_call *call = LIST_FIRST(&rc->all); call != NULL; call = next) {
        next = LIST_NEXT(call, link);
        if (rc->none_begun && call->is_client)
            cv_rpc_client_none_begun(call);
        cv_rpc_end_closed(call);
    }
}

void cv_rpc_conn_drain(struct cv_rpc_conn *rc)
{
    rc->draining = true;
}

bool cv_rpc_conn_peer_drains(const struct cv_rpc_conn *rc)
{
    return rc->peer_drains;
}

size_t cv_rpc_conn_count(const struct cv_rpc_conn *rc)
{
    return rc->count;
}

void cv_rpc_conn_stats(const struct cv_rpc_conn *rc, struct cv_rpc_stats *out)
{
    *out = rc->stats;
}

void cv_rpc_stats_add(struct cv_rpc_stats *sum, const struct cv_rpc_stats *stats)
{
    sum->calls_started += stats->calls_started;
    sum->calls_accepted += stats->calls_accepted;
    sum->calls_refused += stats->calls_refused;
    sum->calls_rejected += stats->calls_rejected;
    sum->calls_cancelled += stats->calls_cancelled;
    sum->deadlines_exceeded += stats->deadlines_exceeded;
    sum->messages_sent += stats->messages_sent;
    sum->messages_received += stats->messages_received;
    sum->protocol_errors += stats->protocol_errors;
    sum->glitches += stats->glitches;
    sum->frames_too_large += stats->frames_too_large;
    sum->memory_refused += stats->memory_refused;
}
