#ifndef CALLS_WAYS_H
#define CALLS_WAYS_H

#include <covey/covey.h>

#include <stdbool.h>

/* A way to call; prints what came and returns whether it was what should come. */
struct way {
    const char *name;
    bool (*run)(covey_client *client);
    const char *help;
};
extern const struct way ways[];
extern const size_t way_count;

#endif
