#include "api/call.h"

#include "io/clock.h"

#include <covey/server.h>

#include <assert.h>
#include <string.h>

/* What a user may have waiting in one call, beyond what the RPC layer and the stream hold. */
#define QUEUED_MAX  ((size_t)256 * 1024)
#define MESSAGE_MAX ((size_t)4 * 1024 * 1024)
/* An empty message waits too: each counts with this much beside its bytes. */
#define MESSAGE_COST 64

struct cv_call_message {
    struct cv_mail mail;
    STAILQ_ENTRY(cv_call_message) entry;
    covey_call *call;
    size_t size;
    uint8_t bytes[];
};

static const struct cv_alloc *alloc_of(const covey_call *call)
{
    return &call->runtime->alloc;
}

static void wake(covey_call *call)
{
    if (atomic_load(&call->waiters) == 0)
        return;
    pthread_mutex_lock(&call->runtime->lock);
    pthread_cond_broadcast(&call->runtime->changed);
    pthread_mutex_unlock(&call->runtime->lock);
}

/* ---- on the loop's thread ---- */

covey_call *cv_call_new(covey_runtime *runtime, struct cv_link *link, struct cv_rpc_call *rpc,
                        const struct cv_rpc_method *method, struct cv_call_list *list)
{
    covey_call *call = cv_allocate_zeroed(&runtime->alloc, 1, sizeof *call);
    if (call == NULL)
        return NULL;
    const struct cv_identity *peer = cv_link_peer(link);
    call->runtime = runtime;
    call->peer_id = peer->id;
    call->peer_role = (enum covey_role)peer->role;
    memcpy(call->peer_name, peer->name, sizeof call->peer_name);
    call->deadline = cv_rpc_call_deadline(rpc);
    call->link = link;
    call->rpc = rpc;
    call->method = method;
    call->list = list;
    STAILQ_INIT(&call->pending);
    TAILQ_INSERT_TAIL(list, call, entry);
    cv_runtime_retain(runtime);
    return call;
}

static int rpc_step(covey_call *call, struct cv_rpc_input *input)
{
    input->now = cv_loop_now(call->runtime->loop);
    input->call = call->rpc;
    return cv_link_step(call->link, input);
}

static void drop_first_pending(covey_call *call)
{
    struct cv_call_message *m = STAILQ_FIRST(&call->pending);
    STAILQ_REMOVE_HEAD(&call->pending, entry);
    atomic_fetch_sub(&call->queued, m->size + MESSAGE_COST);
    cv_release(alloc_of(call), m);
}

static void call_free(covey_call *call)
{
    covey_runtime *runtime = call->runtime;
    assert(STAILQ_EMPTY(&call->pending));
    cv_release(&runtime->alloc, call->text);
    cv_release(&runtime->alloc, call);
    cv_runtime_release(runtime);
}

static void detach(covey_call *call)
{
    while (!STAILQ_EMPTY(&call->pending))
        drop_first_pending(call);
    TAILQ_REMOVE(call->list, call, entry);
    call->link = NULL;
    call->rpc = NULL;
    call->list = NULL;
    atomic_store(&call->is_cancelled, true);
    wake(call);
}

/* The user and the RPC layer are both done with it. */
static void call_end(covey_call *call)
{
    if (call->rpc != NULL) {
        struct cv_rpc_input release = {.type = CV_RPC_RELEASE};
        cv_rpc_call_set_user(call->rpc, NULL);
        rpc_step(call, &release);
        detach(call);
    }
    call_free(call);
}

static void finish_now(covey_call *call)
{
    call->is_finished = true;
    if (call->rpc != NULL) {
        const char *text = call->text == NULL ? "" : call->text;
        struct cv_rpc_input finish = {
            .type = CV_RPC_FINISH,
            .finish = {.code = call->code, .message = cv_slice_text(text)},
        };
        struct cv_rpc_input cancel = {.type = CV_RPC_CANCEL};
        if (rpc_step(call, &finish) == COVEY_ERR_NO_MEMORY)
            rpc_step(call, &cancel);
    }
    if (!call->in_handler)
        call_end(call);
}

/* Tells who waits for room, and once that the call is cancelled; nobody who has finished it. May
 * free the call. */
static void tell_ready(covey_call *call)
{
    if (call->ready == NULL || atomic_load(&call->is_given_back) || call->told_cancelled)
        return;
    call->told_cancelled = atomic_load(&call->is_cancelled);
    call->ready(call, call->ready_user);
}

void cv_call_abandon(covey_call *call)
{
    bool has_user = call->has_request;
    cv_rpc_call_set_user(call->rpc, NULL);
    detach(call);
    if (call->finish_wanted)
        finish_now(call);
    else if (has_user)
        tell_ready(call);
    else
        call_free(call);
}

/* A message that was taken cannot be sent: the call must not end as if it had been. */
static void abort_call(covey_call *call)
{
    struct cv_rpc_input cancel = {.type = CV_RPC_CANCEL};
    rpc_step(call, &cancel);
    atomic_store(&call->is_cancelled, true);
}

/* Hands the first waiting message on. False when it has to wait. */
static bool send_first_pending(covey_call *call)
{
    const struct cv_call_message *m = STAILQ_FIRST(&call->pending);
    struct cv_rpc_input send = {
        .type = CV_RPC_SEND,
        .send = {.message = cv_slice_of(m->bytes, m->size)},
    };
    int error = call->rpc == NULL || atomic_load(&call->is_cancelled) ? COVEY_ERR_STATE
                                                                      : rpc_step(call, &send);
    if (error == COVEY_ERR_BUSY)
        return false;
    if (error != 0 && error != COVEY_ERR_STATE)
        abort_call(call);
    drop_first_pending(call);
    return true;
}

/* Hands on what waits, as far as the RPC layer takes it; drops it when nobody wants it any more.
 * May free the call. */
static void drain(covey_call *call)
{
    while (!STAILQ_EMPTY(&call->pending))
        if (!send_first_pending(call))
            return;
    wake(call);
    if (call->finish_wanted && !call->is_finished)
        finish_now(call);
    else if (atomic_exchange(&call->wants_ready, false))
        tell_ready(call);
}

static void run_message(struct cv_mail *mail, bool cancelled)
{
    (void)cancelled;
    struct cv_call_message *m = (struct cv_call_message *)(void *)mail;
    STAILQ_INSERT_TAIL(&m->call->pending, m, entry);
    drain(m->call);
}

static void run_finish(struct cv_mail *mail, bool cancelled)
{
    (void)cancelled;
    covey_call *call =
        (covey_call *)(void *)((unsigned char *)mail - offsetof(struct covey_call, finish_mail));
    call->finish_wanted = true;
    drain(call);
}

static void take_request(covey_call *call, struct cv_slice request)
{
    struct cv_rpc_input read = {.type = CV_RPC_READ, .read = {.size = request.size}};
    if (!call->has_request && !call->is_finished) {
        const struct covey_method *method = call->method->user;
        call->has_request = true;
        call->in_handler = true;
        method->handler(call, request.data, request.size, method->user);
        call->in_handler = false;
    }
    rpc_step(call, &read);
    if (call->is_finished)
        call_end(call);
}

static void end_without_request(covey_call *call)
{
    struct cv_rpc_input finish = {
        .type = CV_RPC_FINISH,
        .finish = {.code = COVEY_STATUS_INVALID_ARGUMENT,
                   .message = cv_slice_text("the request has no message")},
    };
    rpc_step(call, &finish);
    call_end(call);
}

void cv_call_event(covey_call *call, const struct cv_rpc_output *event)
{
    switch (event->type) {
    case CV_RPC_EVENT_MESSAGE:
        take_request(call, event->message);
        break;
    case CV_RPC_EVENT_END:
        if (!call->has_request)
            end_without_request(call);
        break;
    case CV_RPC_EVENT_WRITABLE:
        drain(call);
        break;
    case CV_RPC_EVENT_CANCELLED:
        atomic_store(&call->is_cancelled, true);
        wake(call);
        if (!call->has_request) /* no user has heard of it */
            call_end(call);
        else {
            atomic_store(&call->wants_ready, true);
            drain(call);
        }
        break;
    default:
        break;
    }
}

/* ---- for the user, on any thread ---- */

static int send_now(covey_call *call, struct cv_slice message)
{
    struct cv_rpc_input send = {.type = CV_RPC_SEND, .send = {.message = message}};
    if (call->rpc == NULL)
        return COVEY_ERR_CANCELLED;
    int error = rpc_step(call, &send);
    return error == COVEY_ERR_STATE ? COVEY_ERR_CANCELLED : error;
}

/* Past the mailbox's bound: QUEUED_MAX and MESSAGE_COST bound what a call can have there. */
static int send_later(covey_call *call, struct cv_slice message)
{
    struct cv_call_message *m = cv_allocate(alloc_of(call), sizeof *m + message.size);
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    m->mail = (struct cv_mail){.run = run_message};
    m->call = call;
    m->size = message.size;
    if (message.size > 0)
        memcpy(m->bytes, message.data, message.size);
    atomic_fetch_add(&call->queued, message.size + MESSAGE_COST);
    cv_loop_post_sure(call->runtime->loop, &m->mail);
    return 0;
}

int covey_call_send(covey_call *call, const void *message, size_t size)
{
    struct cv_slice bytes = cv_slice_of(message, size);
    if (atomic_load(&call->is_cancelled))
        return COVEY_ERR_CANCELLED;
    if (size > MESSAGE_MAX)
        return COVEY_ERR_TOO_LARGE;
    size_t queued = atomic_load(&call->queued);
    if (queued > QUEUED_MAX) {
        atomic_store(&call->wants_ready, true);
        /* What was taken since would not tell of it. */
        queued = atomic_load(&call->queued);
        if (queued > QUEUED_MAX)
            return COVEY_ERR_BUSY;
    }
    if (queued == 0 && cv_loop_in_turn(call->runtime->loop)) {
        int error = send_now(call, bytes);
        if (error != COVEY_ERR_BUSY)
            return error;
    }
    return send_later(call, bytes);
}

int covey_call_wait_writable(covey_call *call, covey_time timeout)
{
    covey_runtime *runtime = call->runtime;
    if (cv_loop_is_current(runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    covey_time deadline = cv_deadline_after(timeout);
    bool in_time = true;
    pthread_mutex_lock(&runtime->lock);
    atomic_fetch_add(&call->waiters, 1);
    while (in_time && !atomic_load(&call->is_cancelled) && atomic_load(&call->queued) > QUEUED_MAX)
        in_time = cv_condition_wait(&runtime->changed, &runtime->lock, deadline);
    atomic_fetch_sub(&call->waiters, 1);
    pthread_mutex_unlock(&runtime->lock);
    if (atomic_load(&call->is_cancelled))
        return COVEY_ERR_CANCELLED;
    return atomic_load(&call->queued) > QUEUED_MAX ? COVEY_ERR_TIMEOUT : 0;
}

void covey_call_on_ready(covey_call *call, covey_call_ready ready, void *user)
{
    call->ready = ready;
    call->ready_user = user;
}

void covey_call_finish(covey_call *call, enum covey_status_code code, const char *text)
{
    if (atomic_exchange(&call->is_given_back, true))
        return;
    call->code = code;
    /* Without memory the code has to do. */
    call->text = text == NULL ? NULL : cv_copy_text(alloc_of(call), text, strlen(text));
    if (atomic_load(&call->queued) == 0 && cv_loop_in_turn(call->runtime->loop)) {
        finish_now(call);
        return;
    }
    call->finish_mail = (struct cv_mail){.run = run_finish};
    cv_loop_post_sure(call->runtime->loop, &call->finish_mail);
}

void covey_call_reply(covey_call *call, const void *message, size_t size)
{
    int error = covey_call_send(call, message, size);
    if (error == 0 || error == COVEY_ERR_CANCELLED)
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
    else
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(error));
}

bool covey_call_is_cancelled(const covey_call *call)
{
    return atomic_load(&call->is_cancelled);
}

covey_time covey_call_time_left(const covey_call *call)
{
    if (call->deadline == COVEY_NEVER)
        return COVEY_NEVER;
    covey_time now = cv_clock_now();
    return call->deadline > now ? call->deadline - now : 0;
}

covey_node_id covey_call_peer_id(const covey_call *call)
{
    return call->peer_id;
}

const char *covey_call_peer_name(const covey_call *call)
{
    return call->peer_name;
}

enum covey_role covey_call_peer_role(const covey_call *call)
{
    return call->peer_role;
}
