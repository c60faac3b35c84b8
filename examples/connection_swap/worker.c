/*
 * A worker: a member with the tags role=worker and available=true that streams numbered tokens, and
 * that fails on purpose when it is told to: see availability.h.
 *
 *     worker --tls DIR --listen HOST:PORT --join HOST:PORT [--profile local|lan|wan]
 *            [--interval MS] [--fail-every TOKENS] [--down-for MS] [--tag-delay MS] [--v1-compat]
 *            [--skip-at N] [--repeat-at N]
 *
 * With --tag-delay the cluster hears of each change of `available` so much later. --v1-compat answers
 * the heartbeats of v1 clients. --skip-at and --repeat-at are for tests of who counts tokens: the N-th token
 * that it sends is left out, or sent twice.
 */
#include "availability.h"
#include "member.h"
#include "say.h"
#include "token_streams.h"

#include <stdlib.h>

struct options {
    const char *tls;
    const char *listen;
    struct text_list join;
    enum covey_profile profile;
    unsigned interval_ms;
    unsigned fail_every;
    unsigned down_for_ms;
    unsigned tag_delay_ms;
    unsigned skip_at;
    unsigned repeat_at;
    bool v1_compat;
};

static bool read_options(struct options *options, int argc, char **argv)
{
    const struct argument known[] = {
        {.name = "tls", .text = &options->tls, .is_required = true},
        {.name = "listen", .text = &options->listen, .is_required = true},
        {.name = "join", .list = &options->join, .is_required = true},
        {.name = "profile", .profile = &options->profile},
        {.name = "interval", .number = &options->interval_ms},
        {.name = "fail-every", .number = &options->fail_every},
        {.name = "down-for", .number = &options->down_for_ms},
        {.name = "tag-delay", .number = &options->tag_delay_ms},
        {.name = "skip-at", .number = &options->skip_at},
        {.name = "repeat-at", .number = &options->repeat_at},
        {.name = "v1-compat", .flag = &options->v1_compat},
    };

    *options = (struct options){.interval_ms = 5, .down_for_ms = 2000};
    return arguments_read(known, sizeof known / sizeof known[0], argc, argv);
}

/* On the availability's thread. Before the cluster is there nobody needs to be told. */
static void tell_cluster(bool is_available, void *user)
{
    const struct member *member = user;
    const char *value = is_available ? "true" : "false";

    const int error = covey_server_update_tag(member->server, "available", value);
    say("tells the cluster available=%s%s%s", value, error != 0 ? ": " : "",
        error != 0 ? covey_strerror(error) : "");
}

/* What v1 clients ask every five seconds; the answer says that the worker is there. */
static void answer_heartbeat(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size < 64 ? size : 64);
}

static bool run(struct member *member, const struct options *options, struct token_streams *streams)
{
    static const struct covey_tag tags[] = {{"role", "worker"}, {"available", "true"}};
    const struct covey_method methods[] = {
        {.name = "tokens", .handler = token_streams_serve, .user = streams, .read_only = true},
        {.name = "heartbeat", .handler = answer_heartbeat, .read_only = true},
    };

    if (!member_serve(member, options->listen, methods, options->v1_compat ? 2 : 1) ||
        !member_join(member, &options->join, options->profile, tags, 2))
        return false;
    member_run(member);
    return true;
}

int main(int argc, char **argv)
{
    struct token_streams streams;
    struct options options;
    struct member member;

    say_begin("worker");
    if (!read_options(&options, argc, argv) || !member_identify(&member, options.tls))
        return EXIT_FAILURE;
    const struct availability_config config = {.fail_every = options.fail_every,
                                               .down_for = options.down_for_ms * COVEY_MILLISECOND,
                                               .tell_delay =
                                                   options.tag_delay_ms * COVEY_MILLISECOND,
                                               .tell = tell_cluster,
                                               .user = &member};
    struct availability *availability = availability_new(&config);
    if (availability == NULL)
        return complain("%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    token_streams_init(&streams, covey_identity_name(member.identity),
                       options.interval_ms * COVEY_MILLISECOND, availability);
    streams.skip_at = options.skip_at;
    streams.repeat_at = options.repeat_at;
    const bool ran = run(&member, &options, &streams);
    availability_stop(availability);
    token_streams_stop(&streams);
    member_close(&member);
    token_streams_fini(&streams);
    availability_free(availability);
    return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}
