/*
 * A client as v1 had it: one director, no deadline for a token, and a heartbeat to the worker every
 * five seconds instead. A worker that does not answer a heartbeat counts as gone.
 *
 *     v1_client --tls DIR --director HOST:PORT [--count N] [--heartbeat-every MS] [--attempts N]
 */
#include "arguments.h"
#include "clock.h"
#include "reception.h"
#include "say.h"

#include <covey/stream.h>
#include <stdlib.h>
#include <string.h>

struct client {
    covey_identity *identity;
    covey_runtime *runtime;
    struct reception reception;
    covey_time heartbeat_every;
};

/* Heartbeats beside a stream, on a thread of their own. */
struct heartbeat {
    const struct client *client;
    covey_client *worker;
    covey_stream *stream;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
};

static int connect_to(const struct client *client, const char *address, covey_client **out)
{
    struct covey_client_config config;

    covey_client_config_init(&config);
    config.runtime = client->runtime;
    config.identity = client->identity;
    config.address = address;
    return covey_client_new(&config, out);
}

/* A call with two seconds of time. The reply is to be cleared. */
static bool call(covey_client *connection, const char *method, const char *text,
                 struct covey_reply *reply)
{
    struct covey_call_options options;

    covey_call_options_init(&options);
    options.timeout = 2 * COVEY_SECOND;
    const int error = covey_client_call(connection, method, text, strlen(text), &options, reply);
    if (error == 0 && reply->code == COVEY_STATUS_OK)
        return true;
    say("%s: %s %s", method, error != 0 ? covey_strerror(error) : covey_status_name(reply->code),
        error != 0 ? "" : reply->message);
    return false;
}

static void *beat(void *user)
{
    struct heartbeat *heartbeat = user;
    struct covey_reply reply;
    bool is_alive = true;

    pthread_mutex_lock(&heartbeat->mutex);
    while (!heartbeat->stopping && is_alive) {
        const covey_time due = clock_now() + heartbeat->client->heartbeat_every;
        while (!heartbeat->stopping && clock_wait(&heartbeat->changed, &heartbeat->mutex, due)) {
        }
        if (heartbeat->stopping)
            break;
        pthread_mutex_unlock(&heartbeat->mutex);
        is_alive =
            call(heartbeat->worker, "heartbeat", heartbeat->client->reception.connection, &reply);
        covey_reply_clear(&reply);
        say("heartbeat: the worker %s", is_alive ? "is there" : "is gone");
        pthread_mutex_lock(&heartbeat->mutex);
    }
    pthread_mutex_unlock(&heartbeat->mutex);
    if (!is_alive)
        covey_stream_cancel(heartbeat->stream);
    return NULL;
}

static void receive_tokens(struct client *client, covey_client *worker, covey_stream *stream)
{
    struct heartbeat heartbeat = {.client = client, .worker = worker, .stream = stream};
    const void *message;
    pthread_t thread;
    size_t size;

    pthread_mutex_init(&heartbeat.mutex, NULL);
    clock_condition_init(&heartbeat.changed);
    const bool beats = pthread_create(&thread, NULL, beat, &heartbeat) == 0;
    while (beats && !reception_is_complete(&client->reception) &&
           covey_stream_receive(stream, COVEY_NEVER, &message, &size) == 0 &&
           reception_take(&client->reception, message, size)) {
    }
    pthread_mutex_lock(&heartbeat.mutex);
    heartbeat.stopping = true;
    pthread_cond_signal(&heartbeat.changed);
    pthread_mutex_unlock(&heartbeat.mutex);
    if (beats)
        pthread_join(thread, NULL);
    pthread_cond_destroy(&heartbeat.changed);
    pthread_mutex_destroy(&heartbeat.mutex);
}

static void stream_from(struct client *client, const char *address)
{
    const struct token_request wish = reception_begin_stream(&client->reception);
    covey_client *worker;
    covey_stream *stream = NULL;
    char request[TOKEN_TEXT_SIZE];

    int error = connect_to(client, address, &worker);
    if (error == 0) {
        error = covey_client_stream(worker, "tokens", request, token_request_write(&wish, request),
                                    NULL, &stream);
        if (error == 0)
            receive_tokens(client, worker, stream);
        covey_stream_free(stream);
        covey_client_free(worker);
    }
    if (error != 0)
        say("cannot stream from %s: %s", address, covey_strerror(error));
    reception_end_stream(&client->reception);
}

/* v1 knows a worker by its address alone. */
static bool ask_director(struct client *client, const char *director, struct assignment *worker)
{
    struct covey_reply reply = {.code = COVEY_STATUS_UNKNOWN};
    covey_client *connection;

    if (connect_to(client, director, &connection) != 0)
        return false;
    const bool is_named = call(connection, "get_worker", client->reception.connection, &reply) &&
                          assignment_read(worker, reply.data, reply.size);
    covey_reply_clear(&reply);
    covey_client_free(connection);
    return is_named;
}

static void fetch_all(struct client *client, const char *director, unsigned attempts)
{
    struct assignment worker;

    while (!reception_is_complete(&client->reception) && attempts-- > 0) {
        if (ask_director(client, director, &worker))
            stream_from(client, worker.address);
        if (!reception_is_complete(&client->reception))
            clock_sleep(COVEY_SECOND);
    }
}

int main(int argc, char **argv)
{
    const char *tls = NULL;
    const char *director = NULL;
    unsigned count = 200;
    unsigned heartbeat_ms = 5000;
    unsigned attempts = 30;
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "director", .text = &director, .is_required = true},
        {.name = "count", .number = &count},
        {.name = "heartbeat-every", .number = &heartbeat_ms},
        {.name = "attempts", .number = &attempts},
    };
    char reason[COVEY_REASON_SIZE] = "";
    struct client client = {0};
    bool is_whole = false;

    say_begin("v1_client");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return EXIT_FAILURE;
    if (covey_identity_load(tls, &client.identity, reason) != 0)
        return complain("%s", reason);
    client.heartbeat_every = heartbeat_ms * COVEY_MILLISECOND;
    const int error = covey_runtime_new(NULL, &client.runtime);
    if (error != 0) {
        complain("%s", covey_strerror(error));
    } else if (reception_init(&client.reception, NULL, 1, count, NULL)) {
        fetch_all(&client, director, attempts);
        is_whole = reception_show(&client.reception);
    }
    covey_runtime_free(client.runtime);
    covey_identity_free(client.identity);
    return is_whole ? EXIT_SUCCESS : EXIT_FAILURE;
}
