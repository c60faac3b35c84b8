#ifndef COVEY_TOOL_OPTIONS_H
#define COVEY_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The options of one command as a table: what may be given, and where it goes. Used by every
 * command, so that all of them say the same about what is missing, unknown or given twice.
 */

#define OPTION_LIST_MAX 64

struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

/* Exactly one of flag, text and list is set. What they point at starts empty. */
struct option_spec {
    const char *name;     /* without the two dashes */
    const char *argument; /* its name in the help, "HOST:PORT"; NULL for a flag */
    const char *help;
    bool required;
    bool *flag;
    const char **text;        /* at most once */
    struct option_list *list; /* up to OPTION_LIST_MAX times */
};

struct option_table {
    const char *command;  /* "ca init": begins every message */
    const char *operands; /* in the help, "K=V..."; NULL when there are none */
    const char *summary;  /* one sentence of help */
    const struct option_spec *specs;
    size_t spec_count;
};

enum options_result {
    OPTIONS_GO_ON,
    OPTIONS_HELP_SHOWN, /* --help: printed to stdout */
    OPTIONS_WRONG       /* reported in one line */
};

/*
 * Reads argv, which begins with the command's last word, and fills what the table points at with
 * pointers into argv. Operands are moved to the end: *operands and *operand_count get them, or are
 * NULL when the command takes none, and then one is an error.
 */
enum options_result options_parse(const struct option_table *table, int argc, char **argv,
                                  char ***operands, size_t *operand_count);

/* The exit status for a result that is not OPTIONS_GO_ON. */
int options_exit_status(enum options_result result);

#endif
