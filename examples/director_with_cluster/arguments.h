#ifndef EXAMPLE_ARGUMENTS_H
#define EXAMPLE_ARGUMENTS_H

#include <covey/cluster.h>
#include <stdbool.h>

/* The arguments of the three programs. Each uses those that it needs. */
#define JOIN_MAX 8

struct arguments {
    const char *tls;            /* --tls DIR */
    const char *listen;         /* --listen HOST:PORT */
    const char *director;       /* --director HOST:PORT */
    const char *join[JOIN_MAX]; /* --join HOST:PORT */
    size_t join_count;
    enum covey_profile profile; /* --profile local|lan|wan */
    unsigned first;             /* --first N */
    unsigned count;             /* --count N */
};

/*
 * Reads argv; the options in `allowed` ("tls listen join profile") are known. False after saying
 * what is wrong.
 */
bool arguments_read(struct arguments *arguments, const char *allowed, int argc, char **argv);

#endif
