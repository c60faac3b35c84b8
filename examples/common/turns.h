#ifndef EXAMPLE_TURNS_H
#define EXAMPLE_TURNS_H

#include "assignment.h"

#include <covey/balancer.h>
#include <stdatomic.h>

/*
 * Whose turn it is: the alive members that say role=worker and available=true, one after the other in
 * the order of their ids, so that a worker that comes or goes does not change whose turn it is.
 */
struct turns {
    covey_balancer *_Atomic balancer; /* NULL before turns_open() */
};

void turns_init(struct turns *turns);
/* When nobody asks any more; before the runtime is freed. */
void turns_fini(struct turns *turns);

/* From now on there are turns: the members of this cluster's. Once. False after saying what is
 * wrong. */
bool turns_open(struct turns *turns, covey_cluster *cluster);

/* The next one that `request` does not avoid; false when there is none. Any thread. */
bool turns_next(struct turns *turns, const struct assignment_request *request,
                struct assignment *out);

/* How many there are now. */
size_t turns_count(struct turns *turns);

#endif
