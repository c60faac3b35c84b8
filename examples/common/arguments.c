#include "arguments.h"

#include "say.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static bool read_number(const char *text, unsigned *out)
{
    char *end;

    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number > 1000000000)
        return false;
    *out = (unsigned)number;
    return true;
}

static bool read_profile(const char *text, enum covey_profile *out)
{
    static const char *const names[] = {
        [COVEY_PROFILE_LAN] = "lan", [COVEY_PROFILE_LOCAL] = "local", [COVEY_PROFILE_WAN] = "wan"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum covey_profile)i;
            return true;
        }
    }
    return false;
}

static bool take(const struct argument *argument, const char *value)
{
    if (argument->flag != NULL)
        return *argument->flag = true;
    if (argument->number != NULL)
        return read_number(value, argument->number);
    if (argument->profile != NULL)
        return read_profile(value, argument->profile);
    if (argument->text != NULL) {
        *argument->text = value;
        return true;
    }
    if (argument->list->count == TEXT_LIST_MAX)
        return false;
    argument->list->texts[argument->list->count++] = value;
    return true;
}

/* The first required one that was not given; NULL when none is missing. */
static const char *missing(const struct argument *known, size_t count, const bool *given)
{
    for (size_t i = 0; i < count; i++) {
        if (known[i].is_required && !given[i])
            return known[i].name;
    }
    return NULL;
}

bool arguments_read(const struct argument *known, size_t count, int argc, char **argv)
{
    struct option options[ARGUMENTS_MAX + 1] = {{0}};
    bool given[ARGUMENTS_MAX] = {false};
    int index;
    int key;

    assert(count <= ARGUMENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        options[i].name = known[i].name;
        options[i].has_arg = known[i].flag != NULL ? no_argument : required_argument;
    }
    opterr = 0;
    while ((key = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (key == '?' || !take(&known[index], optarg)) {
            complain("%s cannot be used here", argv[optind - 1]);
            return false;
        }
        given[index] = true;
    }
    const char *name = missing(known, count, given);
    if (name != NULL)
        complain("--%s is missing", name);
    else if (optind < argc)
        complain("%s is one argument too many", argv[optind]);
    return name == NULL && optind == argc;
}
