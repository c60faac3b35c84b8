/*
 * A worker as v1 had it: in no cluster, it registers itself with the director again and again, and
 * says whether it is available.
 *
 *     v1_worker --tls DIR --listen HOST:PORT --management HOST:PORT [--register-every MS]
 *               [--interval MS] [--fail-every TOKENS] [--down-for MS]
 *
 * What belongs to v1 is here; the streams are those of the v2 worker.
 */
#include "availability.h"
#include "member.h"
#include "say.h"
#include "token_streams.h"
#include "v1_registry.h"

#include <covey/client.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    const char *tls;
    const char *listen;
    const char *management;
    unsigned register_every_ms;
    unsigned interval_ms;
    unsigned fail_every;
    unsigned down_for_ms;
};

static bool read_options(struct options *options, int argc, char **argv)
{
    const struct argument known[] = {
        {.name = "tls", .text = &options->tls, .is_required = true},
        {.name = "listen", .text = &options->listen, .is_required = true},
        {.name = "management", .text = &options->management, .is_required = true},
        {.name = "register-every", .number = &options->register_every_ms},
        {.name = "interval", .number = &options->interval_ms},
        {.name = "fail-every", .number = &options->fail_every},
        {.name = "down-for", .number = &options->down_for_ms},
    };

    *options = (struct options){.register_every_ms = 5000, .interval_ms = 5, .down_for_ms = 2000};
    return arguments_read(known, sizeof known / sizeof known[0], argc, argv);
}

/* v1 has nobody to tell: the next registration says it. */
static void tell_nobody(bool is_available, void *user)
{
    (void)is_available;
    (void)user;
}

static void answer_heartbeat(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size < 64 ? size : 64);
}

static void register_once(covey_client *director, struct v1_registration *registration)
{
    struct covey_call_options options;
    struct covey_reply reply;
    char text[V1_REGISTRATION_SIZE];

    covey_call_options_init(&options);
    options.timeout = 2 * COVEY_SECOND;
    const int error =
        covey_client_call(director, "register_worker", text,
                          v1_registration_write(registration, text), &options, &reply);
    if (error != 0)
        say("cannot register: %s", covey_strerror(error));
    else if (reply.code != COVEY_STATUS_OK)
        say("cannot register: %s %s", covey_status_name(reply.code), reply.message);
    else
        say("%.*s, available=%s", (int)reply.size, (const char *)reply.data,
            registration->is_available ? "true" : "false");
    covey_reply_clear(&reply);
}

static void register_until_the_end(const struct member *member, const struct options *options,
                                   struct availability *availability, covey_client *director)
{
    struct v1_registration registration;

    snprintf(registration.address, sizeof registration.address, "%s",
             covey_server_address(member->server));
    do {
        registration.is_available = availability_is_up(availability);
        register_once(director, &registration);
    } while (!member_is_to_end(options->register_every_ms * COVEY_MILLISECOND));
}

static bool run(struct member *member, const struct options *options, struct token_streams *streams)
{
    const struct covey_method methods[] = {
        {.name = "tokens", .handler = token_streams_serve, .user = streams},
        {.name = "heartbeat", .handler = answer_heartbeat},
    };
    struct covey_client_config config;
    covey_client *director;

    if (!member_serve(member, options->listen, methods, 2))
        return false;
    covey_client_config_init(&config);
    config.runtime = member->runtime;
    config.identity = member->identity;
    config.address = options->management;
    const int error = covey_client_new(&config, &director);
    if (error != 0) {
        complain("%s: %s", options->management, covey_strerror(error));
        return false;
    }
    register_until_the_end(member, options, streams->availability, director);
    covey_client_free(director);
    return true;
}

int main(int argc, char **argv)
{
    struct token_streams streams;
    struct options options;
    struct member member;

    say_begin("v1_worker");
    if (!read_options(&options, argc, argv) || !member_identify(&member, options.tls))
        return EXIT_FAILURE;
    const struct availability_config config = {.fail_every = options.fail_every,
                                               .down_for = options.down_for_ms * COVEY_MILLISECOND,
                                               .tell = tell_nobody};
    struct availability *availability = availability_new(&config);
    if (availability == NULL)
        return complain("%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    token_streams_init(&streams, covey_identity_name(member.identity),
                       options.interval_ms * COVEY_MILLISECOND, availability);
    const bool ran = run(&member, &options, &streams);
    availability_stop(availability);
    token_streams_stop(&streams);
    member_close(&member);
    token_streams_fini(&streams);
    availability_free(availability);
    return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}
