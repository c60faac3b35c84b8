#include "api/call.h"

#include <assert.h>
#include <string.h>

static covey_call *call_of(struct cv_exchange *x)
{
    return (covey_call *)(void *)x;
}

static const struct cv_alloc *alloc_of(const covey_call *call)
{
    return &call->x.runtime->alloc;
}

/* ---- the end ---- */

/* Out of its server's list; once. */
static void leave_owner(covey_call *call, enum covey_status_code code)
{
    if (call->owner == NULL)
        return;
    TAILQ_REMOVE(call->list, call, entry);
    call->owner->ended(call->owner->user, call, code);
    call->owner = NULL;
    call->list = NULL;
}

static void on_free(struct cv_exchange *x)
{
    covey_call *call = call_of(x);
    covey_runtime *runtime = x->runtime;
    assert(call->owner == NULL);
    cv_exchange_fini(x);
    if (call->metadata.set != NULL)
        cv_metadata_clear(runtime, &call->metadata);
    if (call->text != NULL)
        cv_release(&runtime->alloc, call->text);
    if (call->details != NULL)
        cv_release(&runtime->alloc, call->details);
    struct cv_caller *caller = call->caller;
    if (!call->is_kept) { /* so this is the loop's thread */
        cv_pool_share_give(call->share, call, call->size);
        return;
    }
    cv_pool_give(&runtime->pool, call, call->size);
    cv_caller_release(caller);
    cv_runtime_release(runtime);
}

/* It outlives this turn, and perhaps its link and its server. One that is finished in its handler does
 * not, and nearly all are. */
static void keep(covey_call *call)
{
    if (call->is_kept)
        return;
    call->is_kept = true;
    cv_caller_retain(call->caller);
    cv_runtime_retain(call->x.runtime);
}

static void say_status(covey_call *call)
{
    const char *text = call->text == NULL ? "" : call->text;
    struct cv_rpc_input finish = {
        .type = CV_RPC_FINISH,
        .finish = {.code = call->code,
                   .message = cv_slice_text(text),
                   .details = cv_slice_of(call->details, call->details_size)},
    };
    int error = cv_exchange_step(&call->x, &finish);
    if (error == COVEY_ERR_TOO_LARGE) {
        finish.finish.details = (struct cv_slice){NULL, 0};
        cv_exchange_step(&call->x, &finish);
    }
}

/* The user's last word, after all that he sent. */
static void on_end(struct cv_exchange *x)
{
    covey_call *call = call_of(x);
    bool cancelled = atomic_load(&x->is_over);
    if (x->rpc == NULL)
        return; /* detached, and let go by the loop already */
    if (!call->is_said)
        say_status(call);
    leave_owner(call, cancelled ? COVEY_STATUS_CANCELLED : call->code);
    atomic_store_explicit(&x->is_over, true, memory_order_release);
    if (call->in_handler)
        call->release_due = true;
    else
        cv_exchange_release(x);
}

static void on_fail(struct cv_exchange *x, int error)
{
    (void)error;
    cv_call_abort(call_of(x));
}

static void on_cancel(struct cv_exchange *x)
{
    (void)x; /* a server's user has no such wish */
}

static void on_ready(struct cv_exchange *x)
{
    covey_call *call = call_of(x);
    pthread_mutex_lock(&x->lock);
    covey_call_ready ready = call->ready;
    void *user = call->ready_user;
    pthread_mutex_unlock(&x->lock);
    if (ready != NULL && call->has_user && !atomic_load(&call->is_given_back))
        ready(call, user);
}

static const struct cv_exchange_kind kind = {
    .end = on_end, .cancel = on_cancel, .fail = on_fail, .ready = on_ready, .free = on_free};

/* Ends it in place of a user, who has not heard of it. */
static void end_unheard(covey_call *call)
{
    atomic_store(&call->is_given_back, true);
    cv_exchange_end(&call->x);
    cv_exchange_leave(&call->x);
}

enum covey_status_code cv_call_code(enum covey_status_code code)
{
    return (unsigned)code <= COVEY_STATUS_UNAUTHENTICATED ? code : COVEY_STATUS_UNKNOWN;
}

void cv_call_refuse(covey_call *call, enum covey_status_code code, const char *text)
{
    assert(!call->has_user);
    call->code = cv_call_code(code);
    call->text = cv_copy_text(alloc_of(call), text, strlen(text));
    end_unheard(call);
}

void cv_call_abort(covey_call *call)
{
    struct cv_rpc_input cancel = {.type = CV_RPC_CANCEL};
    if (call->x.rpc != NULL)
        cv_exchange_step(&call->x, &cancel);
    cv_exchange_over(&call->x);
}

void cv_call_abandon(covey_call *call)
{
    struct cv_exchange *x = &call->x;
    cv_rpc_call_set_user(x->rpc, NULL);
    leave_owner(call, COVEY_STATUS_CANCELLED);
    x->link = NULL;
    x->rpc = NULL;
    if (call->has_user)
        cv_exchange_over(x);
    else
        cv_exchange_leave(x);
    cv_exchange_detach(x);
}

/* ---- the beginning ---- */

covey_call *cv_call_new(const struct cv_call_begin *begin)
{
    struct cv_slice name = begin->method->name;
    size_t size = sizeof(covey_call) + name.size + 1;
    covey_call *call = cv_pool_share_take(begin->share, size);
    if (call == NULL)
        return NULL;
    /* All but the exchange, which has its own. */
    memset((uint8_t *)call + sizeof call->x, 0, sizeof *call - sizeof call->x);
    size_t pairs = begin->event->begin.metadata_count;
    if (pairs > 0 && cv_metadata_copy(begin->runtime, begin->event->begin.metadata, pairs,
                                      &call->metadata) != 0) {
        cv_pool_share_give(begin->share, call, size);
        return NULL;
    }
    cv_exchange_init(&call->x, &kind, begin->runtime, begin->loop, begin->message_size_max);
    call->caller = begin->caller;
    call->begun = cv_loop_now(begin->loop);
    call->deadline = begin->event->begin.deadline;
    call->method = begin->method->user;
    call->is_stream = call->method->stream_handler != NULL;
    call->owner = begin->owner;
    call->list = begin->list;
    call->share = begin->share;
    call->size = size;
    memcpy(call->name, name.data, name.size);
    call->name[name.size] = 0;
    call->x.link = begin->link;
    call->x.rpc = begin->event->call;
    TAILQ_INSERT_TAIL(begin->list, call, entry);
    return call;
}

/* The handler may have finished the call: it goes when nobody needs its request any more. */
static void after_handler(covey_call *call)
{
    call->in_handler = false;
    if (call->release_due)
        cv_exchange_release(&call->x);
    else
        keep(call);
}

/* What runs on a worker. The server waits for it before it goes; the call may go before. */
struct work {
    struct cv_job job; /* first: the job names the work */
    covey_call *call;
    covey_runtime *runtime;
    const struct cv_call_owner *owner;
    covey_handler handler;
    covey_call_handler stream_handler;
    void *user;
    size_t size; /* of the request */
    uint8_t request[];
};

static void work_free(struct work *work)
{
    covey_runtime *runtime = work->runtime;
    const struct cv_call_owner *owner = work->owner;
    cv_pool_give(&runtime->pool, work, sizeof *work + work->size);
    cv_runtime_release(runtime); /* the server has one of its own, and waits for what follows */
    owner->work(owner->user, -1);
}

static void run_work(struct cv_job *job, bool cancelled)
{
    struct work *work = (struct work *)(void *)job;
    if (cancelled || covey_call_is_cancelled(work->call)) /* nobody waits for it any more */
        covey_call_finish(work->call, COVEY_STATUS_CANCELLED, NULL);
    else if (work->stream_handler != NULL)
        work->stream_handler(work->call, work->user);
    else
        work->handler(work->call, work->request, work->size, work->user);
    work_free(work);
}

static struct work *work_new(covey_call *call, struct cv_slice request)
{
    const struct covey_method *method = call->method;
    struct work *work = cv_pool_take(&call->x.runtime->pool, sizeof *work + request.size);
    if (work == NULL)
        return NULL;
    *work = (struct work){
        .job = {.run = run_work},
        .call = call,
        .runtime = call->x.runtime,
        .owner = call->owner,
        .handler = method->handler,
        .stream_handler = method->stream_handler,
        .user = method->user,
        .size = request.size,
    };
    if (request.size > 0)
        memcpy(work->request, request.data, request.size);
    cv_runtime_retain(work->runtime);
    work->owner->work(work->owner->user, 1);
    return work;
}

static int submit(covey_call *call, struct cv_slice request)
{
    struct cv_workers *workers;
    int error = cv_runtime_workers(call->x.runtime, &workers);
    struct work *work = error == 0 ? work_new(call, request) : NULL;
    if (work == NULL)
        return COVEY_ERR_NO_MEMORY;
    error = cv_workers_submit(workers, &work->job);
    if (error != 0)
        work_free(work);
    return error;
}

static void run_on_worker(covey_call *call, struct cv_slice request)
{
    keep(call); /* it may be over there before we look again */
    call->has_user = true;
    if (submit(call, request) == 0)
        return;
    call->has_user = false;
    call->owner->exhausted(call->owner->user);
    cv_call_refuse(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "the server has no worker for the call");
}

static void run_handler(covey_call *call, struct cv_slice request)
{
    const struct covey_method *method = call->method;
    if (method->blocking) {
        run_on_worker(call, request);
        return;
    }
    call->has_user = true;
    if (call->is_stream)
        method->stream_handler(call, method->user);
    else
        method->handler(call, request.data, request.size, method->user);
}

/* ---- what happens to it ---- */

static void give_back(covey_call *call, size_t size)
{
    struct cv_rpc_input read = {.type = CV_RPC_READ, .read = {.size = size}};
    cv_exchange_step(&call->x, &read);
}

static void take_request(covey_call *call, struct cv_slice request)
{
    if (!call->has_user && call->owner != NULL) {
        call->in_handler = true;
        run_handler(call, request);
    }
    if (!call->release_due) /* which gives it back too */
        give_back(call, request.size);
    after_handler(call);
}

/* A stream handler finds what is there already. False: there is no memory for it. */
static bool keep_request(covey_call *call, const struct cv_slice *request)
{
    if (request == NULL)
        return true;
    cv_count_up(&call->messages_received);
    if (cv_exchange_message(&call->x, *request) != 0)
        return false;
    cv_exchange_peer_ended(&call->x);
    return true;
}

static void admit_stream(covey_call *call, const struct cv_slice *request)
{
    if (!keep_request(call, request)) {
        cv_call_refuse(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    call->in_handler = true;
    run_handler(call, (struct cv_slice){NULL, 0});
    after_handler(call);
}

void cv_call_admit(covey_call *call, const struct cv_slice *request)
{
    if (call->is_stream) {
        admit_stream(call, request);
    } else if (request != NULL) {
        cv_count_up(&call->messages_received);
        take_request(call, *request);
    }
}

static void take_message(covey_call *call, struct cv_slice message)
{
    cv_count_up(&call->messages_received);
    if (!call->is_stream)
        take_request(call, message);
    else if (cv_exchange_message(&call->x, message) != 0)
        cv_call_abort(call);
}

static void take_end(covey_call *call)
{
    if (call->is_stream)
        cv_exchange_peer_ended(&call->x);
    else if (!call->has_user)
        cv_call_refuse(call, COVEY_STATUS_INVALID_ARGUMENT, "the request has no message");
}

static void take_cancel(covey_call *call)
{
    if (call->has_user) {
        cv_exchange_over(&call->x);
        return;
    }
    atomic_store(&call->x.is_over, true);
    end_unheard(call);
}

void cv_call_event(covey_call *call, const struct cv_rpc_output *event)
{
    switch (event->type) {
    case CV_RPC_EVENT_MESSAGE:
        take_message(call, event->message);
        break;
    case CV_RPC_EVENT_END:
        take_end(call);
        break;
    case CV_RPC_EVENT_WRITABLE:
        cv_exchange_writable(&call->x);
        break;
    case CV_RPC_EVENT_CANCELLED:
        take_cancel(call);
        break;
    default:
        break;
    }
}
