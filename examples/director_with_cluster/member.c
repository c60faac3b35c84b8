#include "member.h"

#include "say.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

/* How often a signal is looked for while nothing happens. */
#define SIGNAL_LOOK (100 * COVEY_MILLISECOND)

static sigset_t end_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static bool start_server(struct member *member, const struct arguments *arguments,
                         const struct covey_method *method)
{
    struct covey_server_config config;
    char id[COVEY_NODE_ID_TEXT_SIZE];

    covey_server_config_init(&config);
    config.runtime = member->runtime;
    config.identity = member->identity;
    config.listen = arguments->listen;
    int error = covey_server_new(&config, &member->server);
    if (error == 0)
        error = covey_server_add_method(member->server, method);
    if (error == 0)
        error = covey_server_start(member->server);
    if (error != 0) {
        complain("cannot serve at %s: %s", arguments->listen, covey_strerror(error));
        return false;
    }
    const covey_node_id own_id = covey_identity_id(member->identity);
    say("listening on %s, id %s", covey_server_address(member->server),
        covey_node_id_text(&own_id, id));
    return true;
}

static bool start_cluster(struct member *member, const struct arguments *arguments,
                          const struct covey_tag *tags, size_t tag_count)
{
    struct covey_cluster_config config;

    covey_cluster_config_init(&config);
    config.profile = arguments->profile;
    config.tags = tags;
    config.tag_count = tag_count;
    int error = covey_server_enable_cluster(member->server, &config, arguments->join,
                                            arguments->join_count);
    if (error == 0)
        error = covey_server_cluster_events(member->server, &member->events);
    if (error != 0) {
        complain("cannot join: %s", covey_strerror(error));
        return false;
    }
    member->cluster = covey_server_cluster(member->server);
    return true;
}

bool member_identify(struct member *member, const struct arguments *arguments)
{
    const sigset_t signals = end_signals();
    char reason[COVEY_REASON_SIZE] = "";

    *member = (struct member){0};
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const int error = covey_identity_load(arguments->tls, &member->identity, reason);
    if (error != 0) {
        complain("%s: %s", covey_strerror(error), reason);
        return false;
    }
    say_as(covey_identity_name(member->identity));
    return true;
}

bool member_open(struct member *member, const struct arguments *arguments,
                 const struct covey_method *method, const struct covey_tag *tags, size_t tag_count)
{
    const int error = covey_runtime_new(NULL, &member->runtime);
    if (error != 0) {
        complain("cannot start: %s", covey_strerror(error));
        return false;
    }
    return start_server(member, arguments, method) &&
           start_cluster(member, arguments, tags, tag_count);
}

static void say_event(const struct covey_event *event)
{
    char tags[256] = "";
    size_t length = 0;

    if (event->node == NULL) {
        say("%s", covey_event_name(event->type));
        return;
    }
    for (size_t i = 0; i < event->node->tag_count && length < sizeof tags; i++)
        length += (size_t)snprintf(tags + length, sizeof tags - length, " %s=%s",
                                   event->node->tags[i].key, event->node->tags[i].value);
    say("%s %s at %s%s", covey_event_name(event->type), event->node->name, event->node->address,
        tags);
}

static bool got_end_signal(void)
{
    const sigset_t signals = end_signals();
    const struct timespec at_once = {0};

    return sigtimedwait(&signals, NULL, &at_once) > 0;
}

void member_run(struct member *member)
{
    struct covey_event event = {.size = sizeof event};

    while (!got_end_signal()) {
        const int error = covey_event_receive(member->events, SIGNAL_LOOK, &event);
        if (error == COVEY_ERR_CLOSED)
            return;
        if (error == 0)
            say_event(&event);
    }
    say("leaves");
    covey_cluster_leave(member->cluster);
}

void member_close(struct member *member)
{
    covey_event_receiver_free(member->events);
    covey_server_free(member->server);
    covey_runtime_free(member->runtime);
    covey_identity_free(member->identity);
}
