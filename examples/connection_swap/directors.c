#include "directors.h"

#include "say.h"

/* A director tries for one second to find a worker. One that was killed is known by this alone: a connection counts
 * as lost after 15 s of silence. */
#define ANSWER_TIMEOUT (1500 * COVEY_MILLISECOND)

void directors_init(struct directors *directors, covey_runtime *runtime,
                    const covey_identity *identity, const struct text_list *addresses)
{
    *directors =
        (struct directors){.runtime = runtime, .identity = identity, .addresses = addresses};
}

void directors_fini(struct directors *directors)
{
    covey_client_free(directors->client);
    directors->client = NULL;
}

static const char *current_address(const struct directors *directors)
{
    return directors->addresses->texts[directors->current];
}

static int connect_to_current(struct directors *directors)
{
    struct covey_client_config config;

    if (directors->client != NULL)
        return 0;
    covey_client_config_init(&config);
    config.runtime = directors->runtime;
    config.identity = directors->identity;
    config.address = current_address(directors);
    return covey_client_new(&config, &directors->client);
}

/* With a new connection, too: the old one may be to a director that is no more. */
static void go_to_next(struct directors *directors)
{
    directors_fini(directors);
    directors->current = (directors->current + 1) % directors->addresses->count;
}

static int call(struct directors *directors, const struct assignment_request *request,
                struct covey_reply *reply)
{
    struct covey_call_options options;
    char text[ASSIGNMENT_REQUEST_SIZE];

    const int error = connect_to_current(directors);
    if (error != 0)
        return error;
    covey_call_options_init(&options);
    options.timeout = ANSWER_TIMEOUT;
    options.wait_for_ready = true; /* it may be starting */
    return covey_client_call(directors->client, "get_worker", text,
                             assignment_request_write(request, text), &options, reply);
}

bool directors_ask(struct directors *directors, const struct assignment_request *request,
                   struct assignment *worker)
{
    const char *address = current_address(directors);
    struct covey_reply reply = {.code = COVEY_STATUS_UNKNOWN};
    bool is_named = false;

    const int error = call(directors, request, &reply);
    if (error != 0)
        say("cannot ask the director at %s: %s", address, covey_strerror(error));
    else if (reply.code != COVEY_STATUS_OK)
        say("the director at %s answers %s: %s", address, covey_status_name(reply.code),
            reply.message);
    else if (!assignment_read(worker, reply.data, reply.size))
        say("what the director at %s answers cannot be read", address);
    else
        is_named = true;
    covey_reply_clear(&reply);
    if (!is_named)
        go_to_next(directors);
    return is_named;
}
