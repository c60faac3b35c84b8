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

bool member_identify(struct member *member, const char *tls)
{
    const sigset_t signals = end_signals();
    char reason[COVEY_REASON_SIZE] = "";

    *member = (struct member){0};
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int error = covey_identity_load(tls, &member->identity, reason);
    if (error != 0) {
        complain("%s: %s", covey_strerror(error), reason);
        return false;
    }
    say_as(covey_identity_name(member->identity));
    error = covey_runtime_new(NULL, &member->runtime);
    if (error == 0)
        return true;
    complain("cannot start: %s", covey_strerror(error));
    covey_identity_free(member->identity);
    return false;
}

int member_new_server(const struct member *member, const char *listen,
                      const struct covey_method *methods, size_t count, covey_server **out)
{
    struct covey_server_config config;

    covey_server_config_init(&config);
    config.runtime = member->runtime;
    config.identity = member->identity;
    config.listen = listen;
    int error = covey_server_new(&config, out);
    for (size_t i = 0; i < count && error == 0; i++)
        error = covey_server_add_method(*out, &methods[i]);
    return error;
}

bool member_serve(struct member *member, const char *listen, const struct covey_method *methods,
                  size_t count)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];

    int error = member_new_server(member, listen, methods, count, &member->server);
    if (error == 0)
        error = covey_server_start(member->server);
    if (error != 0) {
        complain("cannot serve at %s: %s", listen, covey_strerror(error));
        return false;
    }
    const covey_node_id own_id = covey_identity_id(member->identity);
    say("listening on %s, id %s", covey_server_address(member->server),
        covey_node_id_text(&own_id, id));
    return true;
}

bool member_join(struct member *member, const struct text_list *seeds, enum covey_profile profile,
                 const struct covey_tag *tags, size_t tag_count)
{
    struct covey_cluster_config config;

    covey_cluster_config_init(&config);
    config.profile = profile;
    config.tags = tags;
    config.tag_count = tag_count;
    int error = covey_server_enable_cluster(member->server, &config, seeds->texts, seeds->count);
    if (error == 0)
        error = covey_server_cluster_events(member->server, &member->events);
    if (error != 0)
        complain("cannot join: %s", covey_strerror(error));
    return error == 0;
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

bool member_is_to_end(covey_time timeout)
{
    const sigset_t signals = end_signals();
    const struct timespec time = {.tv_sec = (time_t)(timeout / COVEY_SECOND),
                                  .tv_nsec = (long)(timeout % COVEY_SECOND)};

    return sigtimedwait(&signals, NULL, &time) > 0;
}

void member_run(struct member *member)
{
    struct covey_event event = {.size = sizeof event};

    while (!member_is_to_end(0)) {
        const int error = covey_event_receive(member->events, SIGNAL_LOOK, &event);
        if (error == COVEY_ERR_CLOSED)
            return;
        if (error == 0)
            say_event(&event);
    }
    say("leaves");
    covey_cluster_leave(covey_server_cluster(member->server));
}

void member_stop(struct member *member)
{
    covey_event_receiver_free(member->events);
    covey_server_free(member->server);
    member->events = NULL;
    member->server = NULL;
}

void member_close(struct member *member)
{
    member_stop(member);
    covey_runtime_free(member->runtime);
    covey_identity_free(member->identity);
}
