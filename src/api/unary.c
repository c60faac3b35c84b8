#include "api/unary_internal.h"

#include "base/prefetch.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* A call that no server begins is passed on at most so often. */
#define REFUSALS_MAX 5

/* The heap's room for the timers of one call: its own and one for each attempt. */
#define TIMERS(client) (1 + (client)->retry.attempts + REFUSALS_MAX)

static void open_attempt(struct cv_unary *u, covey_time pause);

/* ---- the end ---- */

static void free_attempt(struct cv_attempt *a)
{
    struct cv_unary *u = a->unary;
    LIST_REMOVE(a, entry);
    cv_reply_drop(&a->answer);
    if (a != &u->first)
        cv_pool_give(&u->client->runtime->pool, a, sizeof *a);
}

static void close_attempt(struct cv_attempt *a)
{
    cv_client_request_end(&a->request);
    free_attempt(a);
}

static void close_others(struct cv_unary *u, const struct cv_attempt *but)
{
    struct cv_attempt *next;
    for (struct cv_attempt *a = LIST_FIRST(&u->open); a != NULL; a = next) {
        next = LIST_NEXT(a, entry);
        if (a != but)
            close_attempt(a);
    }
}

static void tell_interceptors(const struct cv_unary *u, enum covey_status_code code, bool is_begun)
{
    const struct cv_draft_end end = {
        .begun = u->begun,
        .method = u->wish.header.method,
        .code = code,
        .messages_sent = is_begun,
        .messages_received = code == COVEY_STATUS_OK,
    };
    cv_draft_tell_end(u->client, &end);
}

static void end_hedging(struct cv_unary *u)
{
    if (u->hedge_after > 0)
        cv_client_loop_set(u->client->shared, &u->timer, COVEY_NEVER);
}

static void drop_last(struct cv_unary *u)
{
    if (u->has_last)
        cv_reply_drop(&u->last);
    u->has_last = false;
}

/* All that it asked of the loop is over; its user is told. */
static inline void tell(struct cv_unary *u, struct covey_reply *reply)
{
    covey_client *client = u->client;
    cv_client_loop_forget_timers(client->shared, TIMERS(client));
    cv_loop_close_work(client->loop);
    if (reply->code == COVEY_STATUS_OK)
        cv_retry_budget_success(&client->budget);
    tell_interceptors(u, reply->code, true);
    u->outcome->done(u, reply);
}

/* The next call but one is made in this memory, and what begins it is not in the cache. */
static void fetch_for_next(const struct cv_unary *u)
{
    cv_prefetch(&u->wish, sizeof *u - offsetof(struct cv_unary, wish) + 128);
}

/* Gives the reply, one of its own, to the user; it is freed after this. */
static void finish(struct cv_unary *u, struct covey_reply *reply)
{
    struct cv_attempt *a;
    fetch_for_next(u);
    LIST_FOREACH (a, &u->open, entry)
        cv_client_request_end(&a->request);
    end_hedging(u);
    tell(u, reply);
    while ((a = LIST_FIRST(&u->open)) != NULL)
        free_attempt(a);
    drop_last(u);
    cv_unary_drop(u);
}

/* An answer without its message is none. */
static void check_answer(struct covey_reply *reply, covey_runtime *runtime)
{
    const struct cv_rpc_status status = {
        .code = COVEY_STATUS_INTERNAL,
        .message = cv_slice_text("the answer has no message"),
    };
    if (reply->code == COVEY_STATUS_OK && reply->data == NULL)
        cv_reply_set_status(reply, runtime, &status);
}

/* ---- more than one attempt ---- */

static bool may_repeat(const struct cv_unary *u)
{
    return u->attempts < u->client->retry.attempts &&
           u->wish.deadline > cv_loop_now(u->client->loop);
}

static bool pays_for_repeating(struct cv_unary *u)
{
    if (cv_retry_budget_take(&u->client->budget))
        return true;
    cv_count_up(&u->client->counters.throttled);
    return false;
}

static void set_timer(struct cv_unary *u, covey_time after)
{
    covey_time now = cv_loop_now(u->client->loop);
    cv_client_loop_set(u->client->shared, &u->timer,
                       after < COVEY_NEVER - now ? now + after : COVEY_NEVER);
}

void cv_unary_on_hedge(struct cv_client_timer *timer)
{
    struct cv_unary *u =
        (struct cv_unary *)(void *)((unsigned char *)timer - offsetof(struct cv_unary, timer));
    if (!u->client->is_ready) {
        set_timer(u, u->hedge_after); /* another would wait for the same connection */
        return;
    }
    if (!may_repeat(u) || !pays_for_repeating(u))
        return;
    cv_count_up(&u->client->counters.hedged);
    open_attempt(u, 0);
}

/* What to do about an attempt that ended with `code`. */
enum verdict {
    IS_THE_END,
    REPEAT_NOW,
    REPEAT_LATER,
    OTHERS_GO_ON,
};

static enum verdict judge(struct cv_unary *u, const struct cv_attempt *a,
                          enum covey_status_code code, bool not_started)
{
    bool is_alone = LIST_FIRST(&u->open) == a && LIST_NEXT(a, entry) == NULL;
    if (code != COVEY_STATUS_UNAVAILABLE || u->is_decided)
        return IS_THE_END;
    if (not_started && u->attempts - u->failures < REFUSALS_MAX &&
        u->wish.deadline > cv_loop_now(u->client->loop))
        return REPEAT_NOW;
    if (!is_alone)
        return OTHERS_GO_ON;
    return u->is_idempotent && may_repeat(u) && pays_for_repeating(u) ? REPEAT_LATER : IS_THE_END;
}

/* When the pause is longer than there is time the last word stands. */
static void repeat_later(struct cv_unary *u)
{
    u->failures++;
    covey_time pause = cv_backoff_pause(&u->client->retry_backoff, u->failures, &u->client->random);
    if (pause >= u->wish.deadline - cv_loop_now(u->client->loop)) {
        finish(u, &u->last);
        return;
    }
    cv_count_up(&u->client->counters.repeated);
    open_attempt(u, pause);
}

/* `not_started`: it was on its way, and surely did not arrive. */
static void attempt_over(struct cv_attempt *a, const struct cv_rpc_status *status, bool not_started)
{
    struct cv_unary *u = a->unary;
    enum verdict verdict = judge(u, a, status->code, not_started);
    u->is_unbegun = not_started || !a->request.is_begun;
    cv_reply_set_status(&a->answer, u->client->runtime, status);
    if (status->code == COVEY_STATUS_OK)
        check_answer(&a->answer, u->client->runtime);
    if (verdict == IS_THE_END) {
        finish(u, &a->answer);
        return;
    }
    drop_last(u);
    cv_reply_move(&u->last, &a->answer);
    u->has_last = true;
    close_attempt(a);
    if (verdict == REPEAT_LATER)
        repeat_later(u);
    else if (verdict == REPEAT_NOW)
        open_attempt(u, 0);
}

/* ---- one attempt ---- */

/* When the connection's memory is full it is tried again at EVENT_WRITABLE. */
static void send_request(struct cv_client_request *r)
{
    const struct cv_attempt *a = (const struct cv_attempt *)(void *)r;
    struct cv_rpc_input send = {
        .type = CV_RPC_SEND,
        .send = {.message = a->unary->request, .end = true},
    };
    int error = cv_client_request_step(r, &send);
    /* STATE: the call is over, its status comes. */
    if (error != 0 && error != COVEY_ERR_BUSY && error != COVEY_ERR_STATE)
        cv_client_request_doom(r, error);
}

static int take_large(struct cv_attempt *a, struct cv_slice message)
{
    covey_runtime *runtime = a->unary->client->runtime;
    void *memory = cv_rpc_call_take_message(a->request.rpc, message);
    if (memory == NULL)
        return cv_reply_set_data(&a->answer, runtime, message);
    int error = cv_reply_take_data(&a->answer, runtime, message, memory);
    if (error != 0)
        cv_release(&runtime->pool.buffers, memory);
    return error;
}

/* `is_last`: the call ends with this, and a user to whom it is only shown needs no copy that lasts. */
static inline int set_answer(struct cv_attempt *a, struct cv_slice message, bool is_last)
{
    const struct cv_unary *u = a->unary;
    if (message.size > CV_CLIENT_SHOWN_MAX)
        return take_large(a, message);
    if (u->outcome->moves || !is_last)
        return cv_reply_set_data(&a->answer, u->client->runtime, message);
    cv_reply_lend_data(&a->answer, u->client->shared->shown, message);
    return 0;
}

static int take_message(struct cv_attempt *a, struct cv_slice message, bool is_last)
{
    struct cv_unary *u = a->unary;
    struct cv_rpc_input read = {.type = CV_RPC_READ, .read = {.size = message.size}};
    if (a->answer.data != NULL)
        return COVEY_ERR_PROTOCOL;
    int error = set_answer(a, message, is_last);
    /* A small one may count until the call is released, which is soon. */
    if (message.size > CV_CLIENT_SHOWN_MAX)
        cv_client_request_step(&a->request, &read);
    if (error == 0 && !u->is_decided) {
        u->is_decided = true;
        end_hedging(u);
        close_others(u, a);
    }
    return error;
}

/* What nearly every call ends with: the answer and OK, in one, for the first and only attempt. */
static bool is_plain_end(const struct cv_attempt *a, const struct cv_rpc_output *event)
{
    const struct cv_unary *u = a->unary;
    const struct cv_rpc_status *status = &event->end.status;
    return event->end.has_message && status->code == COVEY_STATUS_OK && status->message.size == 0 &&
           status->details.size == 0 && event->end.message.size <= CV_CLIENT_SHOWN_MAX &&
           u->attempts == 1 && u->hedge_after == 0 && a->answer.data == NULL;
}

/* As take_message() and attempt_over() would have it, without what only others need. */
static int end_plain(struct cv_attempt *a, struct cv_slice message)
{
    struct cv_unary *u = a->unary;
    assert(a == &u->first && !u->has_last && !u->is_decided);
    int error = set_answer(a, message, true);
    if (error != 0)
        return error;
    u->is_unbegun = false;
    fetch_for_next(u);
    cv_client_request_end(&a->request);
    tell(u, &a->answer);
    cv_reply_drop(&a->answer);
    cv_unary_drop(u);
    return 0;
}

/* It ended with event->end. */
static int on_status(struct cv_attempt *a, const struct cv_rpc_output *event)
{
    if (is_plain_end(a, event))
        return end_plain(a, event->end.message);
    int error = event->end.has_message ? take_message(a, event->end.message, true) : 0;
    if (error == 0)
        attempt_over(a, &event->end.status, event->end.not_started);
    return error;
}

static void on_event(struct cv_client_request *r, const struct cv_rpc_output *event)
{
    struct cv_attempt *a = (struct cv_attempt *)(void *)r;
    int error = 0;
    switch (event->type) {
    case CV_RPC_EVENT_METADATA:
        error = cv_reply_set_metadata(&a->answer, r->client->runtime, event->metadata.entries,
                                      event->metadata.count);
        break;
    case CV_RPC_EVENT_MESSAGE:
        error = take_message(a, event->message, false);
        break;
    case CV_RPC_EVENT_WRITABLE:
        send_request(r);
        break;
    case CV_RPC_EVENT_STATUS:
        error = on_status(a, event);
        break;
    default:
        break;
    }
    if (error != 0)
        cv_client_request_doom(r, error);
}

static void on_failed(struct cv_client_request *r, const struct cv_rpc_status *status)
{
    attempt_over((struct cv_attempt *)(void *)r, status, false);
}

static const struct cv_client_request_kind kind = {.event = on_event, .failed = on_failed};

static struct cv_attempt *attempt_new(struct cv_unary *u)
{
    struct cv_attempt *a =
        u->attempts == 0 ? &u->first : cv_pool_take(&u->client->runtime->pool, sizeof *a);
    if (a == NULL)
        return NULL;
    a->unary = u;
    a->request.client = u->client;
    a->request.kind = &kind;
    a->request.wish = &u->wish;
    cv_reply_init(&a->answer);
    return a;
}

/* Another one. Without memory for it the last word of the one before stands. */
static void open_attempt(struct cv_unary *u, covey_time pause)
{
    struct cv_attempt *a = attempt_new(u);
    if (a == NULL) {
        if (LIST_EMPTY(&u->open))
            finish(u, &u->last);
        return;
    }
    u->attempts++;
    LIST_INSERT_HEAD(&u->open, a, entry);
    if (u->hedge_after > 0 && u->attempts < u->client->retry.attempts)
        set_timer(u, pause + u->hedge_after);
    cv_client_request_begin(&a->request, pause);
}

/* ---- the beginning ---- */

static void begin(struct cv_unary *u)
{
    cv_loop_open_work(u->client->loop);
    open_attempt(u, 0);
}

/* It has not begun, and nothing of it counts yet, but its user knows it as made. */
static void end_unbegun(struct cv_unary *u, enum covey_status_code code, const char *text)
{
    struct covey_reply reply;
    cv_reply_set_constant(&reply, code, text);
    tell_interceptors(u, code, false);
    u->outcome->done(u, &reply);
    cv_unary_drop(u);
}

static void run_start(struct cv_mail *mail, bool cancelled)
{
    struct cv_unary *u =
        (struct cv_unary *)(void *)((unsigned char *)mail - offsetof(struct cv_unary, mail));
    if (cancelled)
        end_unbegun(u, COVEY_STATUS_CANCELLED, "the runtime ends");
    else if (cv_client_loop_want_timers(u->client->shared, TIMERS(u->client)) != 0)
        end_unbegun(u, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(COVEY_ERR_NO_MEMORY));
    else
        begin(u);
}

/* On the loop's thread it begins at once: a mail would cost a turn of the loop. */
static int begin_here(struct cv_unary *u)
{
    covey_client *client = u->client;
    int error = atomic_load(&client->is_closing)
                    ? COVEY_ERR_CLOSED
                    : cv_client_loop_want_timers(client->shared, TIMERS(client));
    if (error != 0) {
        cv_unary_drop(u);
        return error;
    }
    begin(u);
    return 0;
}

int cv_unary_post(struct cv_unary *u)
{
    if (cv_loop_in_turn(u->client->loop))
        return begin_here(u);
    u->mail = (struct cv_mail){.run = run_start};
    int error = cv_client_post(u->client, &u->mail);
    if (error != 0)
        cv_unary_drop(u);
    return error;
}
