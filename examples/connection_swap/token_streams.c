#include "token_streams.h"

#include "clock.h"
#include "say.h"
#include "token.h"

#include <stdio.h>
#include <stdlib.h>

/* How long a client may take to make room for a token. */
#define READ_TIMEOUT (10 * COVEY_SECOND)

struct stream {
    struct token_streams *owner;
    covey_call *call;
    struct token_request request;
    unsigned next;
};

static unsigned end_of(const struct stream *stream)
{
    return stream->request.first + stream->request.count;
}

void token_streams_init(struct token_streams *streams, const char *worker_name, covey_time interval,
                        struct availability *availability)
{
    *streams = (struct token_streams){
        .worker_name = worker_name, .interval = interval, .availability = availability};
    pthread_mutex_init(&streams->mutex, NULL);
    pthread_cond_init(&streams->changed, NULL);
}

static bool is_stopping(struct token_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    const bool stopping = streams->stopping;
    pthread_mutex_unlock(&streams->mutex);
    return stopping;
}

static bool begin_stream(struct token_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    const bool may_begin = !streams->stopping && streams->active < TOKEN_STREAMS_MAX;
    if (may_begin)
        streams->active++;
    pthread_mutex_unlock(&streams->mutex);
    return may_begin;
}

static void end_stream(struct token_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    streams->active--;
    pthread_cond_signal(&streams->changed);
    pthread_mutex_unlock(&streams->mutex);
}

static int send_token(const struct stream *stream)
{
    struct token token = {.number = stream->next};
    char text[TOKEN_TEXT_SIZE];
    int error;

    snprintf(token.connection, sizeof token.connection, "%s", stream->request.connection);
    snprintf(token.worker, sizeof token.worker, "%s", stream->owner->worker_name);
    const size_t size = token_write(&token, text);
    while ((error = covey_call_send(stream->call, text, size)) == COVEY_ERR_BUSY) {
        error = covey_call_wait_writable(stream->call, READ_TIMEOUT);
        if (error != 0)
            return error;
    }
    return error;
}

static enum covey_status_code status_of(int error)
{
    switch (error) {
    case 0:
        return COVEY_STATUS_OK;
    case COVEY_ERR_CANCELLED:
        return COVEY_STATUS_CANCELLED;
    case COVEY_ERR_TIMEOUT:
        return COVEY_STATUS_DEADLINE_EXCEEDED;
    case COVEY_ERR_CLOSED:
        return COVEY_STATUS_UNAVAILABLE;
    default:
        return COVEY_STATUS_INTERNAL;
    }
}

/* How often the next token is sent. */
static unsigned count_token(struct token_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    const unsigned number = ++streams->sent;
    pthread_mutex_unlock(&streams->mutex);
    return number == streams->skip_at ? 0 : number == streams->repeat_at ? 2 : 1;
}

/* Sends until the end, an error, or COVEY_ERR_CLOSED when this worker stops or fails. */
static int send_tokens(struct stream *stream)
{
    struct token_streams *owner = stream->owner;

    for (; stream->next < end_of(stream); stream->next++) {
        if (is_stopping(owner) || !availability_is_up(owner->availability))
            return COVEY_ERR_CLOSED;
        int error = 0;
        for (unsigned times = count_token(owner); times > 0 && error == 0; times--)
            error = send_token(stream);
        if (error != 0)
            return error;
        availability_count_token(owner->availability);
        clock_sleep(owner->interval);
    }
    return 0;
}

static void *run(void *user)
{
    struct stream *stream = user;
    struct token_streams *owner = stream->owner;

    say("streams tokens %u to %u for %s", stream->next, end_of(stream) - 1,
        stream->request.connection);
    const int error = send_tokens(stream);
    const char *text = error == COVEY_ERR_CLOSED ? "this worker is not available any more"
                       : error != 0              ? covey_strerror(error)
                                                 : NULL;
    if (error == 0)
        say("sent all up to token %u", end_of(stream) - 1);
    else
        say("stopped before token %u: %s", stream->next, text);
    covey_call_finish(stream->call, status_of(error), text);
    free(stream);
    end_stream(owner);
    return NULL;
}

static bool start_thread(struct stream *stream)
{
    pthread_attr_t detached;
    pthread_t thread;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    const int error = pthread_create(&thread, &detached, run, stream);
    pthread_attr_destroy(&detached);
    return error == 0;
}

void token_streams_serve(covey_call *call, const void *request, size_t size, void *user)
{
    struct token_streams *streams = user;
    struct token_request wish;

    if (!token_request_read(&wish, request, size)) {
        covey_call_finish(call, COVEY_STATUS_INVALID_ARGUMENT,
                          "the request is FIRST COUNT CONNECTION");
        return;
    }
    if (!availability_is_up(streams->availability) || !begin_stream(streams)) {
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "this worker takes no streams now");
        return;
    }
    struct stream *stream = malloc(sizeof *stream);
    if (stream != NULL)
        *stream =
            (struct stream){.owner = streams, .call = call, .request = wish, .next = wish.first};
    if (stream == NULL || !start_thread(stream)) {
        free(stream);
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory or threads");
        end_stream(streams);
    }
}

void token_streams_stop(struct token_streams *streams)
{
    pthread_mutex_lock(&streams->mutex);
    streams->stopping = true;
    while (streams->active > 0)
        pthread_cond_wait(&streams->changed, &streams->mutex);
    pthread_mutex_unlock(&streams->mutex);
}

void token_streams_fini(struct token_streams *streams)
{
    pthread_cond_destroy(&streams->changed);
    pthread_mutex_destroy(&streams->mutex);
}
