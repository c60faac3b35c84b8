#include "commands.h"
#include "options.h"
#include "remote.h"

#include <covey/admin.h>
#include <stdlib.h>

int command_leave(int argc, char **argv)
{
    const char *tls = NULL;
    const char *address = NULL;
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&tls),
        REMOTE_OPTION_ADDR(&address),
    };
    const struct option_table table = {
        .command = "leave",
        .summary = "Makes the member at --addr leave the cluster; its agent ends.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    struct remote remote;
    struct covey_reply reply = {0};

    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (!remote_open(&remote, table.command, tls, address))
        return EXIT_FAILURE;
    const int error = covey_admin_leave(remote.client, REMOTE_TIMEOUT, &reply);
    const int status = remote_outcome(table.command, error, &reply);
    remote_close(&remote);
    return status;
}
