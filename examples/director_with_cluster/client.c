/*
 * The client: asks the director for a worker, and has that one count the letters of a text.
 *
 *     client --tls DIR --director HOST:PORT --text TEXT
 */
#include "arguments.h"
#include "assignment.h"
#include "say.h"

#include <covey/client.h>
#include <stdlib.h>
#include <string.h>

struct client {
    covey_identity *identity;
    covey_runtime *runtime;
};

/* A call of one method at one address, of any member or of the one that is expected; the reply is to
 * be cleared. False after saying what is wrong. */
static bool call(const struct client *client, const char *address, const covey_node_id *expected,
                 const char *method, const char *request, struct covey_reply *reply)
{
    struct covey_client_config config;
    covey_client *connection;

    *reply = (struct covey_reply){.code = COVEY_STATUS_UNKNOWN};
    covey_client_config_init(&config);
    config.runtime = client->runtime;
    config.identity = client->identity;
    config.address = address;
    config.expected = expected;
    int error = covey_client_new(&config, &connection);
    if (error == 0) {
        error = covey_client_call(connection, method, request, strlen(request), NULL, reply);
        covey_client_free(connection);
    }
    if (error != 0)
        complain("%s: %s", address, covey_strerror(error));
    else if (reply->code != COVEY_STATUS_OK)
        complain("%s answers %s: %s", address, covey_status_name(reply->code), reply->message);
    return error == 0 && reply->code == COVEY_STATUS_OK;
}

static bool get_worker(const struct client *client, const char *director, struct assignment *worker)
{
    struct covey_reply reply;

    bool is_named = call(client, director, NULL, "get_worker", "", &reply);
    if (is_named && !assignment_read(worker, reply.data, reply.size)) {
        complain("the director's answer cannot be read");
        is_named = false;
    }
    covey_reply_clear(&reply);
    return is_named;
}

static bool count_letters(const struct client *client, const struct assignment *worker,
                          const char *text)
{
    struct covey_reply reply;

    const bool is_done = call(client, worker->address, &worker->id, "count_letters", text, &reply);
    if (is_done)
        say("%.*s", (int)reply.size, (const char *)reply.data);
    covey_reply_clear(&reply);
    return is_done;
}

int main(int argc, char **argv)
{
    const char *tls = NULL;
    const char *director = NULL;
    const char *text = NULL;
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "director", .text = &director, .is_required = true},
        {.name = "text", .text = &text, .is_required = true},
    };
    char reason[COVEY_REASON_SIZE] = "";
    struct client client = {0};
    struct assignment worker;
    bool is_done = false;

    say_begin("client");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return EXIT_FAILURE;
    if (covey_identity_load(tls, &client.identity, reason) != 0)
        return complain("%s", reason);
    const int error = covey_runtime_new(NULL, &client.runtime);
    if (error != 0)
        complain("%s", covey_strerror(error));
    else
        is_done = get_worker(&client, director, &worker) && count_letters(&client, &worker, text);
    covey_runtime_free(client.runtime);
    covey_identity_free(client.identity);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
