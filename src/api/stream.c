/* Server-streaming calls: handed to functions, or kept until a thread reads them. */
#include "api/client.h"
#include "api/reply.h"

#include <assert.h>
#include <string.h>

/* ---- handed to functions ---- */

struct handed {
    struct cv_client_call call;
    struct covey_stream_handler handler;
};

static int hand_message(struct cv_client_call *call, struct cv_slice message)
{
    const struct handed *handed = (struct handed *)(void *)call;
    handed->handler.message(message.data, message.size, handed->handler.user);
    return 0;
}

static void hand_end(struct cv_client_call *call, struct covey_reply *reply)
{
    const struct handed *handed = (struct handed *)(void *)call;
    handed->handler.end(reply, handed->handler.user);
}

static const struct cv_client_call_kind handed_kind = {
    .size = sizeof(struct handed), .message = hand_message, .end = hand_end};

int covey_client_stream_async(covey_client *client, const char *method, const void *request,
                              size_t size, const struct covey_call_options *options,
                              const struct covey_stream_handler *handler)
{
    struct cv_client_call_config config = {client, method, request, size, options};
    struct cv_client_call *call;
    if (handler == NULL || handler->message == NULL || handler->end == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_client_call_new(&config, &handed_kind, &call);
    if (error != 0)
        return error;
    ((struct handed *)(void *)call)->handler = *handler;
    return cv_client_call_post(call);
}

/* ---- kept for a reader ---- */

/* The RPC layer lets a server send 256 KiB more than we have read: it is told in steps well below,
 * so that not each message costs a mail. */
#define TOLD_STEP ((size_t)64 * 1024)
/* What a message counts for in this, at least. */
#define MESSAGE_COST 64

struct message {
    STAILQ_ENTRY(message) entry;
    size_t size;
    uint8_t bytes[];
};

STAILQ_HEAD(message_list, message);

struct reading {
    struct cv_client_call call;
    covey_stream *stream;
};

/*
 * Between a reader's thread and the loop's. Three may name it: the reader until he frees it, the
 * call until it is over, and the mail while it is on its way.
 */
struct covey_stream {
    covey_runtime *runtime;
    struct message *current; /* the reader's: what he got last */
    struct reading *reading; /* the loop's; NULL once the call is over */
    struct cv_mail mail;     /* what the reader has to tell the loop */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned references;
    struct message_list waiting;
    size_t read_count; /* messages that the loop was not told of, and their bytes */
    size_t read_size;
    bool cancel_wanted;
    bool mail_is_out;
    bool is_over;
    bool is_freed;
    struct covey_reply outcome;
};

static void drop_messages(covey_stream *stream)
{
    struct message *m;
    while ((m = STAILQ_FIRST(&stream->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&stream->waiting, entry);
        cv_release(&stream->runtime->alloc, m);
    }
}

/* Called with the lock held, which it gives back. */
static void release_and_unlock(covey_stream *stream)
{
    assert(stream->references > 0);
    bool is_last = --stream->references == 0;
    pthread_mutex_unlock(&stream->lock);
    if (!is_last)
        return;
    drop_messages(stream);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    cv_release(&stream->runtime->alloc, stream);
}

static int keep_message(struct cv_client_call *call, struct cv_slice bytes)
{
    covey_stream *stream = ((struct reading *)(void *)call)->stream;
    struct message *m = cv_allocate(&stream->runtime->alloc, sizeof *m + bytes.size);
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    m->size = bytes.size;
    if (bytes.size > 0)
        memcpy(m->bytes, bytes.data, bytes.size);
    pthread_mutex_lock(&stream->lock);
    STAILQ_INSERT_TAIL(&stream->waiting, m, entry);
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    return COVEY_ERR_BUSY;
}

static void keep_end(struct cv_client_call *call, struct covey_reply *reply)
{
    covey_stream *stream = ((struct reading *)(void *)call)->stream;
    stream->reading = NULL;
    pthread_mutex_lock(&stream->lock);
    stream->is_over = true;
    if (!stream->is_freed)
        cv_reply_move(&stream->outcome, reply);
    pthread_cond_signal(&stream->changed);
    release_and_unlock(stream);
}

static const struct cv_client_call_kind reading_kind = {
    .size = sizeof(struct reading), .message = keep_message, .end = keep_end};

static void run_mail(struct cv_mail *mail, bool cancelled)
{
    covey_stream *stream =
        (covey_stream *)(void *)((unsigned char *)mail - offsetof(struct covey_stream, mail));
    pthread_mutex_lock(&stream->lock);
    size_t count = stream->read_count;
    size_t size = stream->read_size;
    bool cancel = stream->cancel_wanted || cancelled;
    stream->read_count = 0;
    stream->read_size = 0;
    stream->mail_is_out = false;
    pthread_mutex_unlock(&stream->lock);
    if (stream->reading != NULL && cancel)
        cv_client_call_end(&stream->reading->call, COVEY_STATUS_CANCELLED, "cancelled");
    else if (stream->reading != NULL)
        cv_client_call_read(&stream->reading->call, count, size);
    pthread_mutex_lock(&stream->lock);
    release_and_unlock(stream);
}

/* With the lock held. */
static void tell_loop(covey_stream *stream)
{
    if (stream->is_over || stream->mail_is_out)
        return;
    stream->mail_is_out = true;
    stream->references++;
    cv_loop_post_sure(stream->runtime->loop, &stream->mail);
}

static void cancel(covey_stream *stream)
{
    stream->cancel_wanted = true;
    tell_loop(stream);
}

static int stream_new(covey_runtime *runtime, covey_stream **out)
{
    covey_stream *stream = cv_allocate(&runtime->alloc, sizeof *stream);
    if (stream == NULL)
        return COVEY_ERR_NO_MEMORY;
    *stream = (struct covey_stream){.runtime = runtime, .mail = {.run = run_mail}, .references = 2};
    int error = cv_condition_init(&stream->changed);
    if (error != 0) {
        cv_release(&runtime->alloc, stream);
        return error;
    }
    pthread_mutex_init(&stream->lock, NULL);
    STAILQ_INIT(&stream->waiting);
    cv_reply_set_constant(&stream->outcome, COVEY_STATUS_UNKNOWN, "");
    *out = stream;
    return 0;
}

/* One that no call knows. */
static void stream_drop(covey_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->references = 1;
    release_and_unlock(stream);
}

int covey_client_stream(covey_client *client, const char *method, const void *request, size_t size,
                        const struct covey_call_options *options, covey_stream **out)
{
    struct cv_client_call_config config = {client, method, request, size, options};
    struct cv_client_call *call;
    covey_stream *stream;
    int error = cv_client_call_new(&config, &reading_kind, &call);
    if (error != 0)
        return error;
    covey_runtime *runtime = client->runtime;
    error = stream_new(runtime, &stream);
    if (error != 0) {
        cv_client_call_drop(call);
        return error;
    }
    stream->reading = (struct reading *)(void *)call;
    stream->reading->stream = stream;
    error = cv_client_call_post(call);
    if (error != 0) {
        stream_drop(stream);
        return error;
    }
    cv_runtime_retain(runtime);
    *out = stream;
    return 0;
}

/* With the lock held: the first message that waits becomes the current one. */
static void take_first(covey_stream *stream)
{
    struct message *m = STAILQ_FIRST(&stream->waiting);
    STAILQ_REMOVE_HEAD(&stream->waiting, entry);
    stream->current = m;
    stream->read_count++;
    stream->read_size += m->size;
    if (stream->read_size + stream->read_count * MESSAGE_COST >= TOLD_STEP)
        tell_loop(stream);
}

static int wait_for_message(covey_stream *stream, covey_time deadline)
{
    bool in_time = true;
    int error = 0;
    pthread_mutex_lock(&stream->lock);
    while (in_time && STAILQ_EMPTY(&stream->waiting) && !stream->is_over)
        in_time = cv_condition_wait(&stream->changed, &stream->lock, deadline);
    if (!STAILQ_EMPTY(&stream->waiting))
        take_first(stream);
    else
        error = stream->is_over ? COVEY_ERR_CLOSED : COVEY_ERR_TIMEOUT;
    pthread_mutex_unlock(&stream->lock);
    return error;
}

static void drop_current(covey_stream *stream)
{
    cv_release(&stream->runtime->alloc, stream->current);
    stream->current = NULL;
}

int covey_stream_receive(covey_stream *stream, covey_time timeout, const void **message,
                         size_t *size)
{
    if (cv_loop_is_current(stream->runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    drop_current(stream);
    int error = wait_for_message(stream, cv_deadline_after(timeout));
    if (error != 0)
        return error;
    *message = stream->current->bytes;
    *size = stream->current->size;
    return 0;
}

enum covey_status_code covey_stream_status(const covey_stream *stream, const char **message)
{
    covey_stream *own =
        (covey_stream *)(uintptr_t)stream; /* the lock changes, the stream does not */
    pthread_mutex_lock(&own->lock);
    enum covey_status_code code = own->outcome.code;
    const char *text = own->outcome.message;
    pthread_mutex_unlock(&own->lock);
    if (message != NULL)
        *message = text;
    return code;
}

void covey_stream_cancel(covey_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    cancel(stream);
    pthread_mutex_unlock(&stream->lock);
}

void covey_stream_free(covey_stream *stream)
{
    if (stream == NULL)
        return;
    covey_runtime *runtime = stream->runtime;
    struct covey_reply outcome;
    drop_current(stream);
    pthread_mutex_lock(&stream->lock);
    stream->is_freed = true;
    cancel(stream);
    cv_reply_move(&outcome, &stream->outcome);
    release_and_unlock(stream);
    covey_reply_clear(&outcome);
    cv_runtime_release(runtime);
}
