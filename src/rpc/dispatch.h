#ifndef CV_RPC_DISPATCH_H
#define CV_RPC_DISPATCH_H

#include "base/map.h"

#include <covey/export.h>
#include <stdbool.h>

/*
 * Which methods are served, by name. Methods are added before the first call comes and looked up
 * for each call; lookups never allocate and may come from several threads once adding is over.
 */
struct cv_rpc_method {
    struct cv_slice name; /* 1..255 bytes of a-z A-Z 0-9 . _ - / */
    void *user;           /* what handles it; its owner's */
    unsigned roles;       /* bit (1 << role) set: that role may call it */
    bool read_only;       /* changes nothing: served while partitioned too */
    bool blocking;        /* runs on a worker thread */
};

struct cv_rpc_dispatch {
    const struct cv_alloc *alloc;
    struct cv_map methods;
};

/* An empty table of at most `count_max` methods; allocates nothing. `secret` keys the hash. */
void cv_rpc_dispatch_init(struct cv_rpc_dispatch *d, const struct cv_alloc *alloc,
                          const uint64_t secret[2], size_t count_max);
void cv_rpc_dispatch_fini(struct cv_rpc_dispatch *d);

/* Adds a method; its name is copied. 0, COVEY_ERR_INVALID_ARGUMENT (name), COVEY_ERR_EXISTS,
 * COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY; the table is unchanged on error. */
COVEY_MUST_USE int cv_rpc_dispatch_add(struct cv_rpc_dispatch *d,
                                       const struct cv_rpc_method *method);
/* Valid as long as the table; NULL when there is none. */
const struct cv_rpc_method *cv_rpc_dispatch_find(const struct cv_rpc_dispatch *d,
                                                 struct cv_slice name);
size_t cv_rpc_dispatch_count(const struct cv_rpc_dispatch *d);

#endif
