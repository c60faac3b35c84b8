/*
 * The client: asks the director for a worker and streams tokens from it. When the worker goes, it
 * asks again and continues at the first token that it has not got.
 *
 *     client --tls DIR --director HOST:PORT [--first N] [--count N]
 */
#include "arguments.h"
#include "assignment.h"
#include "say.h"
#include "token_count.h"

#include <covey/client.h>
#include <covey/identity.h>
#include <covey/runtime.h>
#include <covey/stream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Without a token for so long a worker counts as gone. */
#define TOKEN_TIMEOUT (2 * COVEY_SECOND)
/* So many times in a row without one new token, and the client gives up. */
#define ATTEMPTS_MAX   20
#define PROGRESS_EVERY 20

struct session {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_client *director;
    struct token_count tokens;
    unsigned failovers;
    bool was_cut; /* a stream that had brought tokens ended before its last */
};

static bool open_session(struct session *session, const struct arguments *arguments)
{
    struct covey_client_config config;
    char reason[COVEY_REASON_SIZE] = "";

    int error = covey_identity_load(arguments->tls, &session->identity, reason);
    if (error != 0) {
        complain("%s: %s", covey_strerror(error), reason);
        return false;
    }
    error = covey_runtime_new(NULL, &session->runtime);
    if (error == 0) {
        covey_client_config_init(&config);
        config.runtime = session->runtime;
        config.identity = session->identity;
        config.address = arguments->director;
        error = covey_client_new(&config, &session->director);
    }
    if (error == 0 && !token_count_init(&session->tokens, arguments->first, arguments->count))
        error = COVEY_ERR_NO_MEMORY;
    if (error != 0)
        complain("%s: %s", arguments->director, covey_strerror(error));
    return error == 0;
}

static void close_session(struct session *session)
{
    token_count_fini(&session->tokens);
    covey_client_free(session->director);
    covey_runtime_free(session->runtime);
    covey_identity_free(session->identity);
}

static bool ask_director(struct session *session, struct assignment *worker)
{
    struct covey_reply reply;
    bool is_named = false;

    const int error = covey_client_call(session->director, "get_worker", NULL, 0, NULL, &reply);
    if (error != 0) {
        say("cannot ask the director: %s", covey_strerror(error));
        return false;
    }
    if (reply.code != COVEY_STATUS_OK)
        say("the director answers %s: %s", covey_status_name(reply.code), reply.message);
    else if (!assignment_read(worker, reply.data, reply.size))
        say("the director's answer cannot be read");
    else
        is_named = true;
    covey_reply_clear(&reply);
    return is_named;
}

/* One message, "NUMBER NAME". */
static void take_token(struct session *session, const void *message, size_t size,
                       bool *is_first_of_stream)
{
    char text[128] = "";
    char name[COVEY_NODE_NAME_MAX + 1];
    unsigned number;

    memcpy(text, message, size < sizeof text ? size : sizeof text - 1);
    if (sscanf(text, "%9u %63s", &number, name) != 2 ||
        !token_count_note(&session->tokens, number)) {
        say("got something that is no token of ours: %s", text);
        return;
    }
    if (*is_first_of_stream) {
        say("%s serves from token %u", name, number);
        if (session->was_cut) {
            session->failovers++;
            session->was_cut = false;
        }
    }
    *is_first_of_stream = false;
    if (session->tokens.received % PROGRESS_EVERY == 0)
        say("token %u from %s", number, name);
}

/* Receives until the stream is over or silent. */
static void receive_tokens(struct session *session, covey_stream *stream)
{
    bool is_first = true;
    const void *message;
    const char *text;
    size_t size;
    int error;

    while ((error = covey_stream_receive(stream, TOKEN_TIMEOUT, &message, &size)) == 0)
        take_token(session, message, size, &is_first);
    const unsigned next = token_count_next(&session->tokens);
    if (next == session->tokens.first + session->tokens.count)
        return;
    if (!is_first)
        session->was_cut = true;
    if (error != COVEY_ERR_CLOSED) {
        say("no token %u within %u s: the worker is gone", next,
            (unsigned)(TOKEN_TIMEOUT / COVEY_SECOND));
        return;
    }
    const enum covey_status_code code = covey_stream_status(stream, &text);
    say("the stream ended before token %u: %s %s", next, covey_status_name(code), text);
}

static void stream_from(struct session *session, const struct assignment *worker)
{
    const unsigned next = token_count_next(&session->tokens);
    struct covey_client_config config;
    struct covey_call_options options;
    covey_client *client;
    covey_stream *stream = NULL;
    char request[32];

    const int size = snprintf(request, sizeof request, "%u %u", next,
                              session->tokens.first + session->tokens.count - next);
    covey_client_config_init(&config);
    config.runtime = session->runtime;
    config.identity = session->identity;
    config.address = worker->address;
    config.expected = &worker->id;
    covey_call_options_init(&options);
    options.timeout = COVEY_NEVER;
    int error = covey_client_new(&config, &client);
    if (error == 0) {
        error = covey_client_stream(client, "tokens", request, (size_t)size, &options, &stream);
        if (error == 0)
            receive_tokens(session, stream);
        covey_stream_free(stream);
        covey_client_free(client);
    }
    if (error != 0)
        say("cannot stream from %s: %s", worker->address, covey_strerror(error));
}

static void pause_between_attempts(void)
{
    static const struct timespec half_a_second = {.tv_nsec = 500000000};

    nanosleep(&half_a_second, NULL);
}

/* Until every token is there, or nothing has come for ATTEMPTS_MAX times. */
static void fetch_all(struct session *session)
{
    struct assignment worker;
    unsigned in_vain = 0;

    while (session->tokens.received < session->tokens.count && in_vain < ATTEMPTS_MAX) {
        const unsigned before = session->tokens.received;
        if (ask_director(session, &worker)) {
            say("the director names the worker at %s", worker.address);
            stream_from(session, &worker);
        }
        if (session->tokens.received > before) {
            in_vain = 0;
        } else {
            in_vain++;
            pause_between_attempts();
        }
    }
}

static int show_result(const struct session *session)
{
    const struct token_count *tokens = &session->tokens;
    const unsigned lost = tokens->count - tokens->received;

    printf("%u tokens, %u failover%s, %u lost, %u repeated\n", tokens->received, session->failovers,
           session->failovers == 1 ? "" : "s", lost, tokens->repeated);
    return lost == 0 && tokens->repeated == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct session session = {0};
    int status = EXIT_FAILURE;

    say_begin("client");
    if (!arguments_read(&arguments, "tls director first count", argc, argv))
        return EXIT_FAILURE;
    if (open_session(&session, &arguments)) {
        fetch_all(&session);
        status = show_result(&session);
    }
    close_session(&session);
    return status;
}
