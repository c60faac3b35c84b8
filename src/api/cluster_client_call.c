/* A unary call of a cluster client on its way from one member to the next. */
#include "api/cluster_client.h"

#include "api/unary.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A call that no member begins is passed on at most so often. */
#define MOVES_MAX 5
/* Balancers leave out who is denied before the pool refuses him, so that one more pick is enough,
 * unless others are denied meanwhile. */
#define DENIALS_MAX 5

/* ---- any thread: making one ---- */

static size_t size_of(const struct covey_call_draft *draft, const struct covey_target *target,
                      struct cv_slice request)
{
    size_t size = draft->metadata_count * sizeof(struct covey_metadata);
    for (size_t i = 0; i < draft->metadata_count; i++)
        size += draft->metadata[i].key.size + 1 + draft->metadata[i].value.size;
    return size + draft->name.size + 1 + target->key_size + request.size;
}

static uint8_t *copy(uint8_t **at, const void *bytes, size_t size)
{
    uint8_t *to = *at;
    if (size > 0)
        memcpy(to, bytes, size);
    *at += size;
    return to;
}

static const char *copy_text(uint8_t **at, struct cv_slice text)
{
    const char *to = (const char *)copy(at, text.data, text.size);
    *(*at)++ = 0;
    return to;
}

static void copy_draft(struct cv_routed *r, const struct covey_call_draft *draft, uint8_t **at)
{
    struct covey_metadata *set = (struct covey_metadata *)(void *)r->bytes;
    *at += draft->metadata_count * sizeof *set;
    for (size_t i = 0; i < draft->metadata_count; i++) {
        const struct cv_slice value = draft->metadata[i].value;
        set[i].key = copy_text(at, draft->metadata[i].key);
        set[i].value = copy(at, value.data, value.size);
        set[i].size = value.size;
    }
    covey_call_options_init(&r->options);
    r->options.metadata = draft->metadata_count == 0 ? NULL : set;
    r->options.metadata_count = draft->metadata_count;
    r->options.wait_for_ready = draft->options.wait_for_ready;
    r->is_idempotent = draft->options.idempotent;
    r->deadline = draft->deadline;
    r->method = copy_text(at, draft->name);
}

static void on_pause_over(struct cv_client_timer *timer);
static void run_start(struct cv_mail *mail, bool cancelled);

static void init(struct cv_routed *r, const struct covey_call_draft *draft,
                 const struct covey_target *target, struct cv_slice request)
{
    uint8_t *at = r->bytes;
    r->timer.expired = on_pause_over;
    r->mail.run = run_start;
    r->target = *target;
    cv_reply_init(&r->last);
    copy_draft(r, draft, &at);
    if (target->key != NULL)
        r->target.key = copy(&at, target->key, target->key_size);
    r->request = cv_slice_of(copy(&at, request.data, request.size), request.size);
}

/* One more is open, unless there are too many. */
static bool count_open(covey_cluster_client *client)
{
    if (atomic_fetch_add(&client->calls_open, 1) < client->calls_max)
        return true;
    atomic_fetch_sub(&client->calls_open, 1);
    return false;
}

void cv_routed_uncount(struct cv_routed *r)
{
    if (r->is_counted)
        atomic_fetch_sub(&r->client->calls_open, 1);
    r->is_counted = false;
}

static int make(covey_cluster_client *client, const struct covey_call_draft *draft,
                const struct covey_target *target, struct cv_slice request, struct cv_routed **out)
{
    const size_t size = sizeof(struct cv_routed) + size_of(draft, target, request);
    if (draft->options.hedge_after > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (!count_open(client))
        return COVEY_ERR_BUSY;
    struct cv_routed *r = cv_pool_take(&client->runtime->pool, size);
    if (r == NULL) {
        atomic_fetch_sub(&client->calls_open, 1);
        return COVEY_ERR_NO_MEMORY;
    }
    *r = (struct cv_routed){.client = client, .is_counted = true, .size = size};
    init(r, draft, target, request);
    cv_balancer_retain(r->target.balancer);
    *out = r;
    return 0;
}

int cv_routed_new(covey_cluster_client *client, const struct covey_target *callers,
                  const char *method, struct cv_slice request,
                  const struct covey_call_options *options, struct cv_routed **out)
{
    struct covey_call_draft draft;
    struct covey_target target;
    if (client == NULL || (request.data == NULL && request.size > 0))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_target_take(&target, callers);
    if (error != 0)
        return error;
    if (request.size > client->draft->message_send_max)
        return COVEY_ERR_TOO_LARGE;
    error = cv_draft_init(&draft, client->draft, method, options);
    if (error != 0)
        return error;
    error = make(client, &draft, &target, request, out);
    cv_draft_fini(&draft);
    return error;
}

static void give_pick_back(struct cv_routed *r)
{
    if (r->has_pick)
        covey_balancer_done(r->target.balancer, &r->pick);
    r->has_pick = false;
}

void cv_routed_drop(struct cv_routed *r)
{
    covey_cluster_client *client = r->client;
    give_pick_back(r);
    cv_balancer_release(r->target.balancer);
    cv_reply_drop(&r->last);
    cv_routed_uncount(r);
    cv_pool_give(&client->runtime->pool, r, r->size);
}

int cv_routed_post(struct cv_routed *r)
{
    const int error = cv_cluster_client_post(r->client, &r->mail);
    if (error != 0)
        cv_routed_drop(r);
    return error;
}

/* ---- the loop's thread: the end ---- */

/* `reply` is one of its own. It is freed after this. */
static void finish(struct cv_routed *r, struct covey_reply *reply)
{
    covey_cluster_client *client = r->client;
    assert(r->peer == NULL);
    cv_client_loop_set(client->shared, &r->timer, COVEY_NEVER);
    cv_client_loop_forget_timers(client->shared, 1);
    cv_loop_close_work(client->shared->loop);
    LIST_REMOVE(r, entry);
    if (reply->code == COVEY_STATUS_OK)
        cv_retry_budget_success(&client->budget);
    cv_routed_uncount(r); /* there is room for what done() may begin */
    r->done(r, reply);
    cv_routed_drop(r);
}

static void finish_with(struct cv_routed *r, enum covey_status_code code, const char *text)
{
    const struct cv_rpc_status status = {.code = code, .message = cv_slice_text(text)};
    struct covey_reply reply;
    cv_reply_init(&reply);
    cv_reply_set_status(&reply, r->client->runtime, &status);
    finish(r, &reply);
    cv_reply_drop(&reply);
}

/* What the last attempt said, if there was one, says more than that there can be no other. */
static void give_up(struct cv_routed *r, enum covey_status_code code, const char *text)
{
    if (r->has_node && r->last.code != COVEY_STATUS_OK)
        finish(r, &r->last);
    else
        finish_with(r, code, text);
}

/* ---- the loop's thread: attempts ---- */

static covey_time now_of(const struct cv_routed *r)
{
    return cv_loop_now(r->client->shared->loop);
}

/* False when there is not so much time. */
static bool pause_for(struct cv_routed *r, covey_time pause)
{
    const covey_time now = now_of(r);
    if (r->deadline <= now || pause >= r->deadline - now)
        return false;
    cv_client_loop_set(r->client->shared, &r->timer, now + pause);
    return true;
}

static void let_go(struct cv_routed *r)
{
    give_pick_back(r);
    cv_callee_put(r->client->pool, r->peer);
    r->peer = NULL;
}

static void look_again(struct cv_routed *r)
{
    char text[80];
    if (r->tries < r->target.tries && pause_for(r, r->target.interval))
        return;
    cv_count_up(&r->client->without_target);
    snprintf(text, sizeof text, "no member matches, looked for %u time%s", r->tries,
             r->tries == 1 ? "" : "s");
    give_up(r, COVEY_STATUS_UNAVAILABLE, text);
}

static void on_unary_done(struct cv_unary *unary, struct covey_reply *reply);
static const struct cv_unary_outcome outcome = {.done = on_unary_done, .moves = true};

/* The peer is held, and let go of when it comes to nothing. */
static int call_peer(struct cv_routed *r)
{
    struct cv_unary *unary;
    const covey_time now = now_of(r);
    r->options.timeout = r->deadline == COVEY_NEVER ? COVEY_NEVER : r->deadline - now;
    int error = cv_unary_new(r->peer->client, r->method, r->request, &r->options, &outcome, &unary);
    if (error == 0) {
        unary->user = r;
        unary->wish.deadline = r->deadline; /* the same for all attempts, to the nanosecond */
        error = cv_unary_post(unary);
    }
    if (error != 0)
        let_go(r);
    return error;
}

static enum covey_status_code code_of(int error)
{
    return error == COVEY_ERR_CLOSED ? COVEY_STATUS_CANCELLED : COVEY_STATUS_RESOURCE_EXHAUSTED;
}

/* The one that was picked has been denied since; another is picked unless that is no use. */
static void on_denied(struct cv_routed *r)
{
    const bool may_pick_another =
        !r->is_fixed && cv_cluster_client_shares(r->client, r->target.balancer);
    if (!may_pick_another || r->denials++ == DENIALS_MAX) {
        give_up(r, COVEY_STATUS_UNAVAILABLE, "the member is denied");
        return;
    }
    r->denied = r->pick.id;
    give_pick_back(r);
    if (!pause_for(r, 0))
        give_up(r, COVEY_STATUS_DEADLINE_EXCEEDED, "the deadline passed");
}

static const covey_node_id *to_avoid(const struct cv_routed *r)
{
    if (r->denials > 0)
        return &r->denied;
    return r->has_node ? &r->node : NULL;
}

static void attempt(struct cv_routed *r)
{
    if (r->deadline <= now_of(r)) {
        give_up(r, COVEY_STATUS_DEADLINE_EXCEEDED, "the deadline passed");
        return;
    }
    r->tries++;
    if (!r->is_fixed && cv_target_pick(&r->target, to_avoid(r), &r->pick) != 0) {
        look_again(r);
        return;
    }
    r->tries = 0;
    r->has_pick = true;
    int error = cv_callee_get(r->client->pool, &r->pick, r->is_fixed, &r->peer);
    if (error == COVEY_ERR_DENIED) {
        on_denied(r);
        return;
    }
    if (error != 0) {
        give_up(r, code_of(error), covey_strerror(error));
        return;
    }
    r->denials = 0;
    r->node = r->pick.id;
    r->has_node = true;
    error = call_peer(r);
    if (error != 0)
        give_up(r, code_of(error), covey_strerror(error));
}

static void on_pause_over(struct cv_client_timer *timer)
{
    attempt((struct cv_routed *)(void *)timer);
}

/* True: another attempt is under way, or will be. */
static bool try_another(struct cv_routed *r, bool is_unbegun)
{
    covey_cluster_client *client = r->client;
    if (r->is_fixed || r->deadline <= now_of(r))
        return false;
    if (is_unbegun) {
        if (r->moves++ == MOVES_MAX)
            return false;
        cv_count_up(&client->moved);
        attempt(r);
        return true;
    }
    r->attempts++;
    if (!r->is_idempotent || r->attempts >= client->retry.attempts)
        return false;
    if (!cv_retry_budget_take(&client->budget)) {
        cv_count_up(&client->throttled);
        return false;
    }
    if (!pause_for(r, cv_backoff_pause(&client->backoff, r->attempts, &client->random)))
        return false;
    cv_count_up(&client->repeated);
    return true;
}

static void on_unary_done(struct cv_unary *unary, struct covey_reply *reply)
{
    struct cv_routed *r = unary->user;
    const bool is_unbegun = unary->is_unbegun;
    let_go(r);
    cv_reply_drop(&r->last);
    cv_reply_move(&r->last, reply);
    if (r->last.code != COVEY_STATUS_UNAVAILABLE || !try_another(r, is_unbegun))
        finish(r, &r->last);
}

/* ---- the loop's thread: the beginning, and the end of all ---- */

/* It has not begun, but its user knows it as made. */
static void end_unbegun(struct cv_routed *r, enum covey_status_code code, const char *text)
{
    struct covey_reply reply;
    cv_reply_set_constant(&reply, code, text);
    cv_routed_uncount(r);
    r->done(r, &reply);
    cv_routed_drop(r);
}

static void run_start(struct cv_mail *mail, bool cancelled)
{
    struct cv_routed *r =
        (struct cv_routed *)(void *)((unsigned char *)mail - offsetof(struct cv_routed, mail));
    covey_cluster_client *client = r->client;
    if (cancelled) {
        end_unbegun(r, COVEY_STATUS_CANCELLED, "the runtime ends");
    } else if (cv_client_loop_want_timers(client->shared, 1) != 0) {
        end_unbegun(r, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(COVEY_ERR_NO_MEMORY));
    } else {
        cv_loop_open_work(client->shared->loop);
        cv_count_up(&client->started);
        LIST_INSERT_HEAD(&client->calls, r, entry);
        attempt(r);
    }
}

static struct cv_routed *first_paused(const covey_cluster_client *client)
{
    struct cv_routed *r;
    LIST_FOREACH (r, &client->calls, entry) {
        if (r->peer == NULL)
            return r;
    }
    return NULL;
}

void cv_routed_end_paused(covey_cluster_client *client)
{
    struct cv_routed *r;
    while ((r = first_paused(client)) != NULL)
        finish_with(r, COVEY_STATUS_CANCELLED, "the client was freed");
}

/* ---- for users ---- */

static void call_back(struct cv_routed *r, struct covey_reply *reply)
{
    r->handler(&r->node, reply, r->user);
}

int covey_cluster_client_call_async(covey_cluster_client *client, const struct covey_target *target,
                                    const char *method, const void *request, size_t size,
                                    const struct covey_call_options *options,
                                    covey_node_reply_handler done, void *user)
{
    struct cv_routed *r;
    if (done == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    const int error =
        cv_routed_new(client, target, method, cv_slice_of(request, size), options, &r);
    if (error != 0)
        return error;
    r->done = call_back;
    r->handler = done;
    r->user = user;
    return cv_routed_post(r);
}

struct waiter {
    struct cv_loop_waiter wait;
    struct covey_reply *reply;
    covey_node_id node;
};

static void wake(struct cv_routed *r, struct covey_reply *reply)
{
    struct waiter *waiter = r->user;
    waiter->node = r->node;
    cv_reply_move(waiter->reply, reply);
    cv_loop_wait_end(&waiter->wait);
}

int covey_cluster_client_call(covey_cluster_client *client, const struct covey_target *target,
                              const char *method, const void *request, size_t size,
                              const struct covey_call_options *options, struct covey_reply *reply,
                              covey_node_id *node)
{
    struct waiter waiter = {.reply = reply};
    struct cv_routed *r;
    if (client == NULL || reply == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    cv_reply_init(reply);
    if (cv_runtime_is_loop_thread(client->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error = cv_routed_new(client, target, method, cv_slice_of(request, size), options, &r);
    if (error != 0)
        return error;
    r->done = wake;
    r->user = &waiter;
    cv_loop_wait_begin(&waiter.wait, client->shared->loop);
    error = cv_routed_post(r);
    if (error == 0)
        cv_loop_wait(&waiter.wait);
    else
        cv_loop_wait_cancel(&waiter.wait);
    if (error == 0 && node != NULL)
        *node = waiter.node;
    return error;
}
