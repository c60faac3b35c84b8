#include "commands.h"
#include "options.h"
#include "remote.h"
#include "report.h"
#include "status_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Older versions do not tell, nor does one of whose loops one does not go on: the rest is of use without it. */
static void fetch_server(covey_client *client, struct member_status *status)
{
    struct covey_reply reply = {0};

    const int error = covey_admin_server_stats(client, REMOTE_TIMEOUT, &status->server, &reply);
    status->has_server = error == 0;
    if (error == COVEY_ERR_REFUSED)
        snprintf(status->why_no_server, sizeof status->why_no_server, "%s: %s",
                 covey_status_name(reply.code), reply.message);
    else if (error != 0)
        snprintf(status->why_no_server, sizeof status->why_no_server, "%s", covey_strerror(error));
    covey_reply_clear(&reply);
}

/* Asks one thing after the other. */
static int fetch(const char *command, covey_client *client, struct member_status *status)
{
    struct covey_reply reply = {0};

    *status = (struct member_status){
        .partition = {.size = sizeof status->partition},
        .health = {.size = sizeof status->health},
        .checks = {{.size = sizeof status->checks[0]}},
        .stats = {.size = sizeof status->stats},
        .server = {.size = sizeof status->server},
    };
    int error = covey_admin_partition(client, REMOTE_TIMEOUT, &status->partition, &reply);
    int outcome = remote_outcome(command, error, &reply);
    if (outcome != EXIT_SUCCESS)
        return outcome;
    error = covey_admin_health(client, REMOTE_TIMEOUT, &status->health, status->checks,
                               COVEY_CHECKS_MAX, &reply);
    outcome = remote_outcome(command, error, &reply);
    if (outcome != EXIT_SUCCESS)
        return outcome;
    error = covey_admin_stats(client, REMOTE_TIMEOUT, &status->stats, &reply);
    outcome = remote_outcome(command, error, &reply);
    if (outcome == EXIT_SUCCESS)
        fetch_server(client, status);
    return outcome;
}

static int show_status(const char *command, covey_client *client, bool as_json)
{
    struct member_status status;

    int outcome = fetch(command, client, &status);
    if (outcome != EXIT_SUCCESS)
        return outcome;
    if (!as_json)
        print_status_text(&status);
    else if (!print_status_json(&status))
        outcome = report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    return outcome;
}

int command_status(int argc, char **argv)
{
    const char *tls = NULL;
    const char *address = NULL;
    const char *format = NULL;
    bool as_json = false;
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&tls),
        REMOTE_OPTION_ADDR(&address),
        {.name = "format", .argument = "FORMAT", .text = &format, .help = "text (default) or json"},
        {.name = "json", .flag = &as_json, .help = "the same as --format json"},
    };
    const struct option_table table = {
        .command = "status",
        .summary =
            "Shows how the member at --addr is: the partition's state, its health, its counters.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    struct remote remote;

    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "text") != 0)
        return report_wrong_use(table.command, "--format is text or json, not '%s'", format);
    as_json = as_json || (format != NULL && strcmp(format, "json") == 0);
    if (!remote_open(&remote, table.command, tls, address))
        return EXIT_FAILURE;
    const int status = show_status(table.command, remote.client, as_json);
    remote_close(&remote);
    return status;
}
