#include "agent_options.h"

#include "remote.h"
#include "report.h"

#include <string.h>

static bool read_profile(struct agent_options *options, const char *command, const char *text)
{
    static const struct {
        const char *name;
        enum covey_profile profile;
    } profiles[] = {
        {"local", COVEY_PROFILE_LOCAL},
        {"lan", COVEY_PROFILE_LAN},
        {"wan", COVEY_PROFILE_WAN},
    };

    options->profile = COVEY_PROFILE_LAN;
    if (text == NULL)
        return true;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(text, profiles[i].name) == 0) {
            options->profile = profiles[i].profile;
            return true;
        }
    }
    report_wrong_use(command, "--profile is local, lan or wan, not '%s'", text);
    return false;
}

static bool read_tags(struct agent_options *options, const char *command,
                      const struct option_list *texts)
{
    if (texts->count > COVEY_TAGS_MAX) {
        report_wrong_use(command, "a node has at most %d tags", COVEY_TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < texts->count; i++) {
        struct tag_argument *argument = &options->tag_arguments[i];
        if (!parse_tag(command, texts->items[i], argument))
            return false;
        options->tags[i] = (struct covey_tag){.key = argument->key, .value = argument->value};
    }
    options->tag_count = texts->count;
    return true;
}

enum options_result agent_options_read(struct agent_options *options, const char *command, int argc,
                                       char **argv)
{
    const char *profile = NULL;
    struct option_list tags = {.count = 0};
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&options->tls),
        {.name = "listen",
         .argument = "HOST:PORT",
         .required = true,
         .text = &options->listen,
         .help = "the UDP address to serve on; port 0 picks one"},
        {.name = "advertise",
         .argument = "HOST:PORT",
         .text = &options->advertise,
         .help = "what the others are told, if not the listen address"},
        {.name = "join",
         .argument = "HOST:PORT",
         .list = &options->seeds,
         .help = "a member to join through; none starts a cluster"},
        {.name = "tag", .argument = "K=V", .list = &tags, .help = "a first tag"},
        {.name = "profile",
         .argument = "NAME",
         .text = &profile,
         .help = "times for local, lan (default) or wan"},
        {.name = "deny",
         .argument = "FILE",
         .text = &options->deny,
         .help = "ids of nodes to refuse, one a line; read again at SIGHUP"},
        {.name = "echo",
         .flag = &options->echo,
         .help = "serves a method that answers its request"},
    };
    const struct option_table table = {
        .command = command,
        .summary = "Runs a cluster member until SIGTERM or SIGINT; it leaves then. Prints one JSON "
                   "object\na line: its address first, then events. Logs go to stderr.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };

    *options = (struct agent_options){0};
    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return result;
    if (!read_profile(options, command, profile) || !read_tags(options, command, &tags))
        return OPTIONS_WRONG;
    return OPTIONS_GO_ON;
}
