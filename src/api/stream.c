/* Streaming calls of a client. */
#include "api/draft.h"
#include "api/exchange.h"
#include "api/reply.h"

#include <assert.h>
#include <string.h>

struct covey_stream {
    struct cv_exchange x; /* first: the exchange names the stream */
    struct cv_client_request request;
    struct cv_client_wish wish; /* its header is in `bytes` */
    covey_time begun;
    uint64_t messages_received;         /* the loop's */
    atomic_uint_fast64_t messages_sent; /* any thread */
    struct cv_stream_answer answer;

    void (*freed)(void *user); /* NULL, or told when it is */
    void *freed_user;

    covey_stream_ready ready; /* under the exchange's lock, as all up to the size */
    void *ready_user;
    struct covey_reply outcome; /* with metadata when they come, complete when the call is over */
    size_t size;                /* of this memory */
    _Alignas(max_align_t) uint8_t bytes[];
};

static covey_stream *stream_of_request(struct cv_client_request *r)
{
    return (covey_stream *)(void *)((unsigned char *)r - offsetof(struct covey_stream, request));
}

static covey_stream *stream_of(struct cv_exchange *x)
{
    return (covey_stream *)(void *)x;
}

/* ---- the loop's thread: the end ---- */

static void tell_interceptors(covey_stream *stream, enum covey_status_code code)
{
    const struct cv_draft_end end = {
        .begun = stream->begun,
        .method = stream->wish.header.method,
        .code = code,
        .messages_sent = atomic_load(&stream->messages_sent),
        .messages_received = stream->messages_received,
    };
    cv_draft_tell_end(stream->request.client, &end);
}

/* The last thing that happens to it there. */
static void over(covey_stream *stream, const struct cv_rpc_status *status)
{
    struct cv_exchange *x = &stream->x;
    covey_client *client = stream->request.client;
    pthread_mutex_lock(&x->lock);
    cv_reply_set_status(&stream->outcome, x->runtime, status);
    pthread_mutex_unlock(&x->lock);
    x->link = NULL;
    x->rpc = NULL;
    cv_client_request_end(&stream->request);
    cv_client_loop_forget_timers(client->shared, 1);
    cv_loop_close_work(client->loop);
    if (status->code == COVEY_STATUS_OK)
        cv_retry_budget_success(&client->budget);
    tell_interceptors(stream, status->code);
    cv_exchange_over(x);
    cv_exchange_detach(x);
}

static void over_with(covey_stream *stream, enum covey_status_code code, const char *text)
{
    const struct cv_rpc_status status = {.code = code, .message = cv_slice_text(text)};
    over(stream, &status);
}

/* ---- the loop's thread: what happens ---- */

static void on_started(struct cv_client_request *r)
{
    cv_exchange_start(&stream_of_request(r)->x, r->link, r->rpc);
}

static int take_metadata(covey_stream *stream, const struct cv_rpc_output *event)
{
    struct cv_exchange *x = &stream->x;
    pthread_mutex_lock(&x->lock);
    int error = cv_reply_set_metadata(&stream->outcome, x->runtime, event->metadata.entries,
                                      event->metadata.count);
    pthread_mutex_unlock(&x->lock);
    return error;
}

static int take_message(covey_stream *stream, struct cv_slice message)
{
    stream->messages_received++;
    return cv_exchange_message(&stream->x, message);
}

/* The last message may have come with it, and its user may be told of that one and do something. */
static void take_status(covey_stream *stream, const struct cv_rpc_output *event)
{
    struct cv_client_request *r = &stream->request;
    int error = event->end.has_message ? take_message(stream, event->end.message) : 0;
    if (error != 0)
        cv_client_request_doom(r, error);
    else if (!cv_client_request_is_doomed(r))
        over(stream, &event->end.status);
}

static void on_event(struct cv_client_request *r, const struct cv_rpc_output *event)
{
    covey_stream *stream = stream_of_request(r);
    int error = 0;
    switch (event->type) {
    case CV_RPC_EVENT_METADATA:
        error = take_metadata(stream, event);
        break;
    case CV_RPC_EVENT_MESSAGE:
        error = take_message(stream, event->message);
        break;
    case CV_RPC_EVENT_WRITABLE:
        cv_exchange_writable(&stream->x);
        break;
    case CV_RPC_EVENT_STATUS:
        take_status(stream, event);
        return;
    default:
        break;
    }
    if (error != 0)
        cv_client_request_doom(r, error);
}

static void on_failed(struct cv_client_request *r, const struct cv_rpc_status *status)
{
    over(stream_of_request(r), status);
}

static const struct cv_client_request_kind request_kind = {
    .started = on_started, .event = on_event, .failed = on_failed};

static void on_end(struct cv_exchange *x)
{
    struct cv_rpc_input end = {.type = CV_RPC_END};
    if (x->rpc != NULL)
        cv_exchange_step(x, &end);
}

static void on_cancel(struct cv_exchange *x)
{
    covey_stream *stream = stream_of(x);
    if (!atomic_load(&x->is_over))
        over_with(stream, COVEY_STATUS_CANCELLED, "cancelled");
}

static void on_fail(struct cv_exchange *x, int error)
{
    if (x->rpc != NULL)
        cv_client_request_doom(&stream_of(x)->request, error);
}

static void on_ready(struct cv_exchange *x)
{
    covey_stream *stream = stream_of(x);
    pthread_mutex_lock(&x->lock);
    covey_stream_ready ready = stream->ready;
    void *user = stream->ready_user;
    pthread_mutex_unlock(&x->lock);
    if (ready != NULL)
        ready(stream, user);
}

static void on_free(struct cv_exchange *x)
{
    covey_stream *stream = stream_of(x);
    covey_runtime *runtime = x->runtime;
    if (stream->freed != NULL)
        stream->freed(stream->freed_user);
    cv_exchange_fini(x);
    covey_reply_clear(&stream->outcome);
    covey_reply_clear(&stream->answer.reply);
    cv_pool_give(&runtime->pool, stream, stream->size);
    cv_runtime_release(runtime);
}

/* ---- the beginning ---- */

static void on_begin(struct cv_exchange *x)
{
    covey_stream *stream = stream_of(x);
    if (cv_client_loop_want_timers(stream->request.client->shared, 1) == 0) {
        cv_loop_open_work(x->loop);
        cv_client_request_begin(&stream->request, 0);
        return;
    }
    pthread_mutex_lock(&stream->x.lock);
    cv_reply_set_constant(&stream->outcome, COVEY_STATUS_RESOURCE_EXHAUSTED,
                          covey_strerror(COVEY_ERR_NO_MEMORY));
    pthread_mutex_unlock(&stream->x.lock);
    tell_interceptors(stream, COVEY_STATUS_RESOURCE_EXHAUSTED);
    cv_exchange_over(&stream->x);
    cv_exchange_detach(&stream->x);
}

static const struct cv_exchange_kind exchange_kind = {.begin = on_begin,
                                                      .end = on_end,
                                                      .cancel = on_cancel,
                                                      .fail = on_fail,
                                                      .ready = on_ready,
                                                      .free = on_free};

static void init(covey_stream *stream, const struct covey_call_draft *draft, size_t size)
{
    covey_client *client = draft->client;
    memset(stream, 0, sizeof *stream);
    cv_exchange_init(&stream->x, &exchange_kind, client->runtime, client->loop,
                     client->message_send_max);
    cv_draft_copy(draft, stream->bytes, &stream->wish.header);
    stream->wish.deadline = draft->deadline;
    stream->wish.wait_for_ready = draft->options.wait_for_ready;
    cv_reply_set_constant(&stream->outcome, COVEY_STATUS_UNKNOWN, "");
    cv_reply_init(&stream->answer.reply);
    stream->size = size;
    stream->begun = draft->begun;
    stream->request = (struct cv_client_request){
        .client = client,
        .kind = &request_kind,
        .wish = &stream->wish,
    };
}

static int make(const struct covey_call_draft *draft, covey_stream **out)
{
    covey_runtime *runtime = draft->client->runtime;
    size_t size = sizeof(covey_stream) + cv_draft_size(draft);
    if (draft->options.idempotent || draft->options.hedge_after > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    covey_stream *stream = cv_pool_take(&runtime->pool, size);
    if (stream == NULL)
        return COVEY_ERR_NO_MEMORY;
    init(stream, draft, size);
    cv_runtime_retain(runtime);
    *out = stream;
    return 0;
}

/* Frees one that is not on its way. */
static void drop(covey_stream *stream)
{
    cv_exchange_leave(&stream->x);
    cv_exchange_detach(&stream->x);
}

static int stream_new(covey_client *client, const char *method,
                      const struct covey_call_options *options, covey_stream **out)
{
    struct covey_call_draft draft;
    int error = cv_draft_init(&draft, client, method, options);
    if (error != 0)
        return error;
    error = make(&draft, out);
    cv_draft_fini(&draft);
    return error;
}

/* Before the client is closed, or not at all. */
static int send_off(covey_stream *stream)
{
    covey_client *client = stream->request.client;
    pthread_mutex_lock(&client->lock);
    bool is_closing = atomic_load(&client->is_closing);
    if (!is_closing && !cv_loop_in_turn(client->loop))
        cv_exchange_begin(&stream->x);
    pthread_mutex_unlock(&client->lock);
    if (is_closing) {
        drop(stream);
        return COVEY_ERR_CLOSED;
    }
    if (cv_loop_in_turn(client->loop))
        cv_exchange_begin(&stream->x);
    return 0;
}

int covey_client_open(covey_client *client, const char *method,
                      const struct covey_call_options *options, covey_stream **out)
{
    covey_stream *stream;
    int error = stream_new(client, method, options, &stream);
    if (error == 0)
        error = send_off(stream);
    if (error == 0)
        *out = stream;
    return error;
}

/* With its one request queued, before anybody else knows it. */
static int with_request(covey_stream *stream, const void *request, size_t size)
{
    if (request == NULL && size > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = covey_stream_send(stream, request, size);
    if (error == 0)
        covey_stream_end(stream);
    return error;
}

int covey_client_stream(covey_client *client, const char *method, const void *request, size_t size,
                        const struct covey_call_options *options, covey_stream **out)
{
    covey_stream *stream;
    int error = stream_new(client, method, options, &stream);
    if (error != 0)
        return error;
    error = with_request(stream, request, size);
    if (error != 0) {
        drop(stream);
        return error;
    }
    error = send_off(stream);
    if (error == 0)
        *out = stream;
    return error;
}

/* ---- the user, any thread ---- */

void cv_stream_on_freed(covey_stream *stream, void (*freed)(void *user), void *user)
{
    stream->freed = freed;
    stream->freed_user = user;
}

covey_runtime *cv_stream_runtime(const covey_stream *stream)
{
    return stream->x.runtime;
}

struct cv_stream_answer *cv_stream_answer(covey_stream *stream)
{
    return &stream->answer;
}

int covey_stream_send(covey_stream *stream, const void *message, size_t size)
{
    int error = cv_exchange_send(&stream->x, cv_slice_of(message, size));
    if (error == 0)
        atomic_fetch_add(&stream->messages_sent, 1);
    return error;
}

int covey_stream_wait_writable(covey_stream *stream, covey_time timeout)
{
    return cv_exchange_wait_room(&stream->x, timeout);
}

void covey_stream_end(covey_stream *stream)
{
    cv_exchange_end(&stream->x);
}

int covey_stream_receive(covey_stream *stream, covey_time timeout, const void **message,
                         size_t *size)
{
    struct cv_slice bytes;
    int error = cv_exchange_receive(&stream->x, timeout, &bytes);
    if (error != 0)
        return error;
    *message = bytes.data;
    *size = bytes.size;
    return 0;
}

void covey_stream_on_ready(covey_stream *stream, covey_stream_ready ready, void *user)
{
    struct cv_exchange *x = &stream->x;
    pthread_mutex_lock(&x->lock);
    stream->ready = ready;
    stream->ready_user = user;
    /* What came before is told too. */
    x->wants_message = x->wants_room = true;
    cv_exchange_post_and_unlock(x);
}

enum covey_status_code covey_stream_status(const covey_stream *stream, const char **message)
{
    covey_stream *own =
        (covey_stream *)(uintptr_t)stream; /* the lock changes, the stream does not */
    pthread_mutex_lock(&own->x.lock);
    enum covey_status_code code = own->outcome.code;
    const char *text = own->outcome.message;
    pthread_mutex_unlock(&own->x.lock);
    if (message != NULL)
        *message = text;
    return code;
}

const void *covey_stream_details(const covey_stream *stream, size_t *size)
{
    covey_stream *own = (covey_stream *)(uintptr_t)stream;
    pthread_mutex_lock(&own->x.lock);
    const void *details = covey_reply_details(&own->outcome, size);
    pthread_mutex_unlock(&own->x.lock);
    return details;
}

const struct covey_metadata *covey_stream_metadata(const covey_stream *stream, size_t *count)
{
    covey_stream *own = (covey_stream *)(uintptr_t)stream;
    pthread_mutex_lock(&own->x.lock);
    const struct covey_metadata *set = covey_reply_metadata(&own->outcome, count);
    pthread_mutex_unlock(&own->x.lock);
    return set;
}

void covey_stream_cancel(covey_stream *stream)
{
    cv_exchange_cancel(&stream->x);
}

void covey_stream_free(covey_stream *stream)
{
    if (stream == NULL)
        return;
    cv_exchange_cancel(&stream->x);
    cv_exchange_leave(&stream->x);
}
