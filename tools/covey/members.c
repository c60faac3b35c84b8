#include "commands.h"
#include "member_list.h"
#include "options.h"
#include "remote.h"
#include "report.h"

#include <covey/admin.h>
#include <stdlib.h>
#include <string.h>

static int show_members(const char *command, covey_client *client, bool as_json)
{
    covey_node_list *list = NULL;
    struct covey_reply reply = {0};

    const int error = covey_admin_members(client, REMOTE_TIMEOUT, &list, &reply);
    int status = remote_outcome(command, error, &reply);
    if (status != EXIT_SUCCESS)
        return status;
    if (!as_json)
        print_member_table(list);
    else if (!print_member_json(list))
        status = report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    covey_node_list_free(list);
    return status;
}

int command_members(int argc, char **argv)
{
    const char *tls = NULL;
    const char *address = NULL;
    const char *format = NULL;
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&tls),
        REMOTE_OPTION_ADDR(&address),
        {.name = "format",
         .argument = "FORMAT",
         .text = &format,
         .help = "table (default) or json"},
    };
    const struct option_table table = {
        .command = "members",
        .summary = "Shows the members as the one at --addr sees them.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    struct remote remote;

    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    const bool as_json = format != NULL && strcmp(format, "json") == 0;
    if (format != NULL && !as_json && strcmp(format, "table") != 0)
        return report_wrong_use(table.command, "--format is table or json, not '%s'", format);
    if (!remote_open(&remote, table.command, tls, address))
        return EXIT_FAILURE;
    const int status = show_members(table.command, remote.client, as_json);
    remote_close(&remote);
    return status;
}
