#include "rpc/conn.h"

#include "base/prefetch.h"
#include "rpc/client.h"
#include "rpc/end.h"
#include "rpc/input.h"
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

/* What lies on the tray and is no whole frame, or is not wanted yet, goes into the call's own memory. False:
 * there is none, and the call was ended. */
static bool keep_lent(struct cv_rpc_call *call)
{
    struct cv_rpc_conn *rc = call->conn;
    if (call->receive.lent.size == 0)
        return true;
    int error = cv_rpc_receive_keep(&call->receive, &rc->receive_memory, &rc->receive_limits);
    if (error != 0)
        (void)cv_rpc_input_refused(call, error);
    return error == 0;
}

/* The next one's turn comes soon, and itself was fetched when the one before had its turn: now what it
 * names, the user's part of a client's call or the stream on which a server answers. */
static void fetch_next(const struct cv_rpc_call *call)
{
    const struct cv_rpc_call *next = TAILQ_NEXT(call, ready_link);
    if (next == NULL)
        return;
    cv_prefetch(next->is_client ? next->user : next->stream, CV_RPC_CALL_NEAR_SIZE);
    cv_prefetch(TAILQ_NEXT(next, ready_link), CV_RPC_CALL_NEAR_SIZE);
}

bool cv_rpc_conn_poll(struct cv_rpc_conn *rc, struct cv_rpc_output *output)
{
    assert(rc->writing == NULL);
    feed_starved(rc);
    do {
        struct cv_rpc_call *call;
        while ((call = TAILQ_FIRST(&rc->ready)) != NULL) {
            fetch_next(call);
            if (cv_rpc_call_output(call, output))
                return true;
            if (keep_lent(call))
                cv_rpc_call_leave_ready(call);
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
