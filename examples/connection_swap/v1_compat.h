#ifndef EXAMPLE_V1_COMPAT_H
#define EXAMPLE_V1_COMPAT_H

#include "turns.h"
#include "v1_registry.h"

#include <covey/call.h>
#include <stdatomic.h>

/*
 * The director's workers while some are still v1's: those that registered themselves, and those that
 * the cluster knows. One that is both, because it is a member by now, is only what its tags say.
 */
struct v1_compat {
    struct turns *turns;
    covey_cluster *_Atomic cluster; /* NULL until it is joined */
    struct v1_registry registry;
    atomic_uint asked;
};

/* `turns` is borrowed. */
void v1_compat_init(struct v1_compat *compat, struct turns *turns);
void v1_compat_fini(struct v1_compat *compat);

/* The handler of register_worker; `user` is the v1_compat. Members' certificates only. */
void v1_compat_register(covey_call *call, const void *request, size_t size, void *user);

/* The next worker of either kind, each kind as often as it has workers. An assigner_source. */
bool v1_compat_next(const struct assignment_request *request, struct assignment *out, void *user);

#endif
