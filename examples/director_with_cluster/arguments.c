#include "arguments.h"

#include "say.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum option_key { TLS = 1, LISTEN, DIRECTOR, JOIN, PROFILE, FIRST, COUNT };

static const struct option options[] = {
    {"tls", required_argument, NULL, TLS},           {"listen", required_argument, NULL, LISTEN},
    {"director", required_argument, NULL, DIRECTOR}, {"join", required_argument, NULL, JOIN},
    {"profile", required_argument, NULL, PROFILE},   {"first", required_argument, NULL, FIRST},
    {"count", required_argument, NULL, COUNT},       {NULL, 0, NULL, 0},
};

static bool read_number(const char *text, unsigned *out)
{
    char *end;

    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    *out = (unsigned)number;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && number <= 1000000000;
}

static bool read_profile(const char *text, enum covey_profile *out)
{
    if (strcmp(text, "local") == 0)
        *out = COVEY_PROFILE_LOCAL;
    else if (strcmp(text, "lan") == 0)
        *out = COVEY_PROFILE_LAN;
    else if (strcmp(text, "wan") == 0)
        *out = COVEY_PROFILE_WAN;
    else
        return false;
    return true;
}

static bool take(struct arguments *arguments, int key, const char *value)
{
    switch (key) {
    case TLS:
        arguments->tls = value;
        return true;
    case LISTEN:
        arguments->listen = value;
        return true;
    case DIRECTOR:
        arguments->director = value;
        return true;
    case JOIN:
        if (arguments->join_count == JOIN_MAX)
            return false;
        arguments->join[arguments->join_count++] = value;
        return true;
    case PROFILE:
        return read_profile(value, &arguments->profile);
    case FIRST:
        return read_number(value, &arguments->first);
    case COUNT:
        return read_number(value, &arguments->count);
    default:
        return false;
    }
}

/* Whether the words of `allowed` hold this name. */
static bool is_allowed(const char *allowed, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = allowed; (at = strstr(at, name)) != NULL; at += length) {
        if ((at == allowed || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static bool has_all(const struct arguments *arguments, const char *allowed)
{
    return arguments->tls != NULL &&
           (arguments->listen != NULL || !is_allowed(allowed, "listen")) &&
           (arguments->director != NULL || !is_allowed(allowed, "director"));
}

bool arguments_read(struct arguments *arguments, const char *allowed, int argc, char **argv)
{
    int index;
    int key;

    *arguments = (struct arguments){.first = 1, .count = 200};
    opterr = 0;
    while ((key = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (key == '?' || !is_allowed(allowed, options[index].name) ||
            !take(arguments, key, optarg)) {
            complain("%s cannot be used here (options: %s)", argv[optind - 1], allowed);
            return false;
        }
    }
    if (optind < argc || !has_all(arguments, allowed)) {
        complain("an option is missing or there is one too many (options: %s)", allowed);
        return false;
    }
    return true;
}
