#include "token_streams.h"

#include "say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a client may take to make room for a token. */
#define READ_TIMEOUT (10 * COVEY_SECOND)

struct stream {
    struct token_streams *owner;
    covey_call *call;
    unsigned next;
    unsigned end;
};

void token_streams_init(struct token_streams *streams, const char *worker_name)
{
    *streams = (struct token_streams){.worker_name = worker_name};
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

static int send_token(const struct stream *stream, unsigned number)
{
    char text[128];
    int error;

    const int size = snprintf(text, sizeof text, "%u %s", number, stream->owner->worker_name);
    while ((error = covey_call_send(stream->call, text, (size_t)size)) == COVEY_ERR_BUSY) {
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

/* Sends until the end, an error, or COVEY_ERR_CLOSED when this worker stops. */
static int send_tokens(struct stream *stream)
{
    static const struct timespec interval = {.tv_nsec = TOKEN_INTERVAL};

    for (; stream->next < stream->end; stream->next++) {
        if (is_stopping(stream->owner))
            return COVEY_ERR_CLOSED;
        const int error = send_token(stream, stream->next);
        if (error != 0)
            return error;
        nanosleep(&interval, NULL);
    }
    return 0;
}

static void *run(void *user)
{
    struct stream *stream = user;
    struct token_streams *owner = stream->owner;

    say("streams tokens %u to %u to %s", stream->next, stream->end - 1,
        covey_call_peer_name(stream->call));
    const int error = send_tokens(stream);
    if (error == 0)
        say("sent all up to token %u", stream->end - 1);
    else
        say("stopped before token %u: %s", stream->next, covey_strerror(error));
    covey_call_finish(stream->call, status_of(error), error != 0 ? covey_strerror(error) : NULL);
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

/* "FIRST COUNT", both 1 or more. */
static bool read_request(const void *request, size_t size, unsigned *first, unsigned *count)
{
    char text[32] = "";
    char rest;

    if (size >= sizeof text || memchr(request, '-', size) != NULL)
        return false;
    memcpy(text, request, size);
    if (sscanf(text, "%9u %9u%c", first, count, &rest) != 2)
        return false;
    return *first > 0 && *count > 0 && *first + *count <= TOKEN_NUMBER_MAX;
}

void token_streams_serve(covey_call *call, const void *request, size_t size, void *user)
{
    struct token_streams *streams = user;
    unsigned first;
    unsigned count;

    if (!read_request(request, size, &first, &count)) {
        covey_call_finish(call, COVEY_STATUS_INVALID_ARGUMENT, "the request is FIRST COUNT");
        return;
    }
    if (!begin_stream(streams)) {
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "this worker takes no more streams");
        return;
    }
    struct stream *stream = malloc(sizeof *stream);
    if (stream != NULL)
        *stream =
            (struct stream){.owner = streams, .call = call, .next = first, .end = first + count};
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
