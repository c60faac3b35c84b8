#ifndef EXAMPLE_V1_REGISTRY_H
#define EXAMPLE_V1_REGISTRY_H

#include "assignment.h"

#include <pthread.h>

/*
 * The workers that register themselves as v1 had it: each calls register_worker again every five
 * seconds, and one that has not for ten counts as gone. A worker is its certificate: it registers
 * nobody but itself.
 *
 * The request is "HOST:PORT available=true" or "HOST:PORT available=false".
 */
#define V1_WORKERS_MAX 64
#define V1_LIFETIME    (10 * COVEY_SECOND)

struct v1_registration {
    char address[ASSIGNMENT_ADDRESS_SIZE];
    bool is_available;
};

/* False when it is not of that form. */
bool v1_registration_read(struct v1_registration *registration, const void *text, size_t size);
/* Writes the text into V1_REGISTRATION_SIZE bytes and returns its length. */
#define V1_REGISTRATION_SIZE (ASSIGNMENT_ADDRESS_SIZE + 24)
size_t v1_registration_write(const struct v1_registration *registration, char *text);

struct v1_worker {
    covey_node_id id;
    struct v1_registration registration;
    covey_time registered_at;
};

struct v1_registry {
    pthread_mutex_t mutex;
    struct v1_worker workers[V1_WORKERS_MAX]; /* in the order of their ids */
    size_t count;
    bool has_last;
    covey_node_id last;
};

void v1_registry_init(struct v1_registry *registry);
void v1_registry_fini(struct v1_registry *registry);

enum v1_outcome { V1_NEW, V1_AGAIN, V1_FULL };

/* Any thread, as all that follow. */
enum v1_outcome v1_registry_register(struct v1_registry *registry, const covey_node_id *id,
                                     const struct v1_registration *registration, covey_time now);
/* Forgets it, as when it has become a member of the cluster. */
void v1_registry_remove(struct v1_registry *registry, const covey_node_id *id);

/* The next one in turn that is available and that `request` does not avoid; false when there is none. */
bool v1_registry_next(struct v1_registry *registry, const struct assignment_request *request,
                      covey_time now, struct assignment *out);
/* How many are available. */
size_t v1_registry_count(struct v1_registry *registry, covey_time now);

#endif
