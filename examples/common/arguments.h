#ifndef EXAMPLE_ARGUMENTS_H
#define EXAMPLE_ARGUMENTS_H

#include <covey/cluster.h>
#include <stdbool.h>

#define TEXT_LIST_MAX 8

/* The values of an option that may be given several times; borrowed from argv. */
struct text_list {
    const char *texts[TEXT_LIST_MAX];
    size_t count;
};

/* One option, "--NAME VALUE" or, for a flag, "--NAME", and where its value goes: exactly one of the
 * pointers is set. */
struct argument {
    const char *name;
    bool is_required;
    const char **text;
    struct text_list *list;
    unsigned *number; /* up to 1,000,000,000 */
    bool *flag;
    enum covey_profile *profile; /* local, lan or wan */
};

#define ARGUMENTS_MAX 24

/* Reads argv; what is not given keeps its value. False after saying what is wrong. */
bool arguments_read(const struct argument *known, size_t count, int argc, char **argv);

#endif
