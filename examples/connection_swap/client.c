/*
 * The client: asks a director for a worker and streams tokens from it. When the worker fails, goes or
 * falls silent, it asks again and continues at the first token that it has not got, on another
 * connection and under the same name.
 *
 *     client --tls DIR --director HOST:PORT... [--first N] [--count N] [--connection NAME]
 *            [--token-timeout MS] [--patience S] [--record FILE] [--lateness]
 *
 * It does not trust silence: without a token for --token-timeout (1 s) a worker counts as gone, whatever
 * anybody says. Without one for --patience (60 s) from any worker it gives up. --lateness says with each
 * failover how late the machine was meanwhile.
 */
#include "clock.h"
#include "directors.h"
#include "reception.h"
#include "say.h"

#include <covey/stream.h>
#include <stdlib.h>
#include <string.h>

/* After a director that had no worker, and a worker that brought nothing. */
#define PAUSE (100 * COVEY_MILLISECOND)

struct options {
    const char *tls;
    struct text_list directors;
    const char *connection;
    const char *record;
    unsigned first;
    unsigned count;
    unsigned token_timeout_ms;
    unsigned patience_s;
    bool lateness;
};

struct client {
    const struct options *options;
    covey_identity *identity;
    covey_runtime *runtime;
    struct reception reception;
    struct lateness lateness;
    struct assignment_request wish;
};

static bool read_options(struct options *options, int argc, char **argv)
{
    const struct argument known[] = {
        {.name = "tls", .text = &options->tls, .is_required = true},
        {.name = "director", .list = &options->directors, .is_required = true},
        {.name = "connection", .text = &options->connection},
        {.name = "record", .text = &options->record},
        {.name = "first", .number = &options->first},
        {.name = "count", .number = &options->count},
        {.name = "token-timeout", .number = &options->token_timeout_ms},
        {.name = "patience", .number = &options->patience_s},
        {.name = "lateness", .flag = &options->lateness},
    };

    *options =
        (struct options){.first = 1, .count = 200, .token_timeout_ms = 1000, .patience_s = 60};
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return false;
    if (options->first > 0 && options->count > 0 &&
        options->first + options->count <= TOKEN_NUMBER_MAX)
        return true;
    complain("--first and --count are at least 1, and there are tokens up to %u", TOKEN_NUMBER_MAX);
    return false;
}

/* Receives until the stream is over, silent, or not to be believed. */
static void receive_tokens(struct client *client, covey_stream *stream)
{
    const covey_time timeout = client->options->token_timeout_ms * COVEY_MILLISECOND;
    struct reception *reception = &client->reception;
    const void *message;
    const char *text;
    size_t size;
    int error;

    while ((error = covey_stream_receive(stream, timeout, &message, &size)) == 0) {
        if (!reception_take(reception, message, size))
            return;
        if (reception_is_complete(reception))
            return;
    }
    const unsigned next = token_count_next(&reception->tokens);
    if (error == COVEY_ERR_CLOSED) {
        const enum covey_status_code code = covey_stream_status(stream, &text);
        say("the stream ended before token %u: %s %s", next, covey_status_name(code), text);
    } else {
        say("no token %u within %u ms: the worker counts as gone", next,
            client->options->token_timeout_ms);
    }
}

/* Whether the worker brought any. */
static bool stream_from(struct client *client, const struct assignment *worker)
{
    const struct token_request wish = reception_begin_stream(&client->reception);
    struct covey_client_config config;
    struct covey_call_options options;
    covey_client *connection;
    covey_stream *stream = NULL;
    char request[TOKEN_TEXT_SIZE];

    covey_client_config_init(&config);
    config.runtime = client->runtime;
    config.identity = client->identity;
    config.address = worker->address;
    config.expected = &worker->id; /* whoever else answers there is refused */
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    int error = covey_client_new(&config, &connection);
    if (error == 0) {
        error = covey_client_stream(connection, "tokens", request,
                                    token_request_write(&wish, request), &options, &stream);
        if (error == 0)
            receive_tokens(client, stream);
        covey_stream_free(stream);
        covey_client_free(connection);
    }
    if (error != 0)
        say("cannot stream from %s: %s", worker->address, covey_strerror(error));
    return reception_end_stream(&client->reception);
}

/* Until every token is there, or none has come for the time of patience. */
static void fetch_all(struct client *client)
{
    const covey_time patience = client->options->patience_s * COVEY_SECOND;
    struct directors directors;
    struct assignment worker;
    covey_time last_progress = clock_now();

    directors_init(&directors, client->runtime, client->identity, &client->options->directors);
    while (!reception_is_complete(&client->reception) && clock_now() - last_progress < patience) {
        if (directors_ask(&directors, &client->wish, &worker)) {
            say("the director names the worker at %s", worker.address);
            if (stream_from(client, &worker)) {
                client->wish.avoid_count = 0; /* all others had their time to recover */
                last_progress = clock_now();
                assignment_request_avoid(&client->wish, &worker.id);
                continue;
            }
            assignment_request_avoid(&client->wish, &worker.id);
        }
        clock_sleep(PAUSE);
    }
    directors_fini(&directors);
}

static bool open_client(struct client *client, const struct options *options)
{
    char reason[COVEY_REASON_SIZE] = "";
    FILE *record = NULL;

    *client = (struct client){.options = options};
    if (covey_identity_load(options->tls, &client->identity, reason) != 0) {
        complain("%s", reason);
        return false;
    }
    const int error = covey_runtime_new(NULL, &client->runtime);
    if (error != 0) {
        complain("%s", covey_strerror(error));
        return false;
    }
    if (options->record != NULL && (record = fopen(options->record, "w")) == NULL) {
        complain("%s cannot be written", options->record);
        return false;
    }
    if (!reception_init(&client->reception, options->connection, options->first, options->count,
                        record)) {
        complain("there is no good name for the connection");
        return false;
    }
    if (options->lateness && lateness_start(&client->lateness))
        client->reception.lateness = &client->lateness;
    memcpy(client->wish.connection, client->reception.connection, sizeof client->wish.connection);
    return true;
}

static bool close_client(struct client *client)
{
    const bool is_written = reception_fini(&client->reception);

    if (!is_written)
        complain("%s cannot be written", client->options->record);
    if (client->reception.lateness != NULL)
        lateness_stop(&client->lateness);
    covey_runtime_free(client->runtime);
    covey_identity_free(client->identity);
    return is_written;
}

int main(int argc, char **argv)
{
    struct options options;
    struct client client;
    bool is_whole = false;

    say_begin("client");
    if (!read_options(&options, argc, argv))
        return EXIT_FAILURE;
    if (open_client(&client, &options)) {
        say("its connection is %s", client.reception.connection);
        fetch_all(&client);
        is_whole = reception_show(&client.reception);
    }
    return close_client(&client) && is_whole ? EXIT_SUCCESS : EXIT_FAILURE;
}
