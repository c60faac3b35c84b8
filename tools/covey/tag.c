#include "commands.h"
#include "options.h"
#include "remote.h"
#include "report.h"
#include "values.h"

#include <covey/admin.h>
#include <stdlib.h>

/* What both commands read from their arguments. */
struct tag_arguments {
    const char *tls;
    const char *address;
    char **operands;
    size_t operand_count;
};

/* Returns OPTIONS_GO_ON when there is at least one operand. */
static enum options_result read_arguments(const char *command, const char *operands,
                                          const char *summary, int argc, char **argv,
                                          struct tag_arguments *out)
{
    *out = (struct tag_arguments){0};
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&out->tls),
        REMOTE_OPTION_ADDR(&out->address),
    };
    const struct option_table table = {
        .command = command,
        .operands = operands,
        .summary = summary,
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };

    const enum options_result result =
        options_parse(&table, argc, argv, &out->operands, &out->operand_count);
    if (result == OPTIONS_GO_ON && out->operand_count == 0) {
        report_wrong_use(command, "no tag is given: write %s", operands);
        return OPTIONS_WRONG;
    }
    return result;
}

static int set_tags(const char *command, covey_client *client, const struct tag_argument *tags,
                    size_t count)
{
    int status = EXIT_SUCCESS;

    for (size_t i = 0; i < count && status == EXIT_SUCCESS; i++) {
        struct covey_reply reply = {0};
        const int error =
            covey_admin_tag_set(client, REMOTE_TIMEOUT, tags[i].key, tags[i].value, &reply);
        status = remote_outcome(command, error, &reply);
    }
    return status;
}

int command_tag_set(int argc, char **argv)
{
    static const char command[] = "tag set";
    struct tag_arguments arguments;
    struct tag_argument tags[COVEY_TAGS_MAX];
    struct remote remote;

    const enum options_result result = read_arguments(
        command, "K=V...", "Sets tags of the member at --addr.", argc, argv, &arguments);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (arguments.operand_count > COVEY_TAGS_MAX)
        return report_wrong_use(command, "a node has at most %d tags", COVEY_TAGS_MAX);
    /* All are read before the first is set: a mistake in the last changes nothing. */
    for (size_t i = 0; i < arguments.operand_count; i++) {
        if (!parse_tag(command, arguments.operands[i], &tags[i]))
            return EXIT_WRONG_USE;
    }
    if (!remote_open(&remote, command, arguments.tls, arguments.address))
        return EXIT_FAILURE;
    const int status = set_tags(command, remote.client, tags, arguments.operand_count);
    remote_close(&remote);
    return status;
}

int command_tag_remove(int argc, char **argv)
{
    static const char command[] = "tag remove";
    struct tag_arguments arguments;
    struct remote remote;
    int status = EXIT_SUCCESS;

    const enum options_result result = read_arguments(
        command, "K...", "Removes tags of the member at --addr.", argc, argv, &arguments);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (!remote_open(&remote, command, arguments.tls, arguments.address))
        return EXIT_FAILURE;
    for (size_t i = 0; i < arguments.operand_count && status == EXIT_SUCCESS; i++) {
        struct covey_reply reply = {0};
        const int error =
            covey_admin_tag_remove(remote.client, REMOTE_TIMEOUT, arguments.operands[i], &reply);
        status = remote_outcome(command, error, &reply);
    }
    remote_close(&remote);
    return status;
}
