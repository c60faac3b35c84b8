#include "commands.h"
#include "report.h"

#include <covey/version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *words[2]; /* the second is NULL for a command of one word */
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {{"ca", "init"}, "makes a certificate authority for a cluster", command_ca_init},
    {{"ca", "issue"},
     "makes a key and a certificate for a node, client or admin",
     command_ca_issue},
    {{"agent", NULL}, "runs a cluster member", command_agent},
    {{"members", NULL}, "shows the members as one of them sees them", command_members},
    {{"status", NULL}, "shows how a member is: partition, health, counters", command_status},
    {{"tag", "set"}, "sets tags of a member", command_tag_set},
    {{"tag", "remove"}, "removes tags of a member", command_tag_remove},
    {{"leave", NULL}, "makes a member leave the cluster", command_leave},
    {{"call", NULL}, "calls a method", command_call},
    {{"sim", NULL}, "runs a cluster with faults in virtual time", command_sim},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    printf("usage: covey COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char name[32];
        const char *second = commands[i].words[1];
        snprintf(name, sizeof name, "%s%s%s", commands[i].words[0], second ? " " : "",
                 second ? second : "");
        printf("  %-12s %s\n", name, commands[i].summary);
    }
    printf("\n`covey COMMAND --help` explains a command; `covey --version` shows the version.\n");
}

static int word_count(const struct command *command)
{
    return command->words[1] == NULL ? 1 : 2;
}

static const struct command *find_command(int argc, char **argv)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const int words = word_count(&commands[i]);
        if (argc <= words || strcmp(argv[1], commands[i].words[0]) != 0)
            continue;
        if (words == 1 || strcmp(argv[2], commands[i].words[1]) == 0)
            return &commands[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    /* Whoever reads our output may go: a failed write says so, a signal would kill. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return report_wrong_use("", "no command is given; `covey --help` lists them");
    if (strcmp(argv[1], "--version") == 0) {
        printf("covey %s\n", covey_version());
        return flush_output("");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return flush_output("");
    }
    const struct command *command = find_command(argc, argv);
    if (command == NULL)
        return report_wrong_use("", "there is no command '%s%s%s'; `covey --help` lists them",
                                argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    const int words = word_count(command);
    const int status = command->run(argc - words, argv + words);
    return status == EXIT_SUCCESS ? flush_output(command->words[0]) : status;
}
