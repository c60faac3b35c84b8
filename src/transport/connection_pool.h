#ifndef CV_TRANSPORT_CONNECTION_POOL_H
#define CV_TRANSPORT_CONNECTION_POOL_H

#include "base/alloc.h"
#include "base/map.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * Which connection speaks for a peer: one for each node id, whoever dialled it. Pure policy: a
 * connection is an opaque pointer, time is an argument. One thread at a time.
 *
 * Two nodes may dial each other at the same moment; then each side sees two connections and both
 * must keep the same one: that dialled by the node with the lower id. A connection that comes when
 * the other was up for longer than CV_POOL_CROSSING is no such crossing: its dialler has lost the old
 * one (it restarted, or its path broke), so the newer one stays.
 */
#define CV_POOL_CROSSING (1 * COVEY_SECOND)

struct cv_connection_pool {
    const struct cv_alloc *alloc;
    covey_node_id self;
    struct cv_map entries; /* by node id */
};

enum cv_pool_verdict {
    CV_POOL_ADDED,    /* the first one of this peer */
    CV_POOL_REPLACED, /* the new one speaks for the peer now, *loser is the old one */
    CV_POOL_KEPT      /* the old one stays, the new one is not wanted */
};

void cv_connection_pool_init(struct cv_connection_pool *pool, const struct cv_alloc *alloc,
                             const covey_node_id *self, const uint64_t secret[2],
                             size_t connections_max);
/* Forgets all connections; they are their owner's. */
void cv_connection_pool_fini(struct cv_connection_pool *pool);

/*
 * Offers a connection that became usable. 0 with *verdict and *loser (NULL but for REPLACED), or
 * COVEY_ERR_LIMIT or COVEY_ERR_NO_MEMORY: the connection is not in the pool.
 */
COVEY_MUST_USE int cv_connection_pool_add(struct cv_connection_pool *pool,
                                          const covey_node_id *peer, void *connection,
                                          bool accepted, covey_time now,
                                          enum cv_pool_verdict *verdict, void **loser);
/* The connection that speaks for the peer; NULL when there is none. */
void *cv_connection_pool_get(const struct cv_connection_pool *pool, const covey_node_id *peer);
/* Removes the connection if it is the one that speaks for the peer; false when it is not. */
bool cv_connection_pool_remove(struct cv_connection_pool *pool, const covey_node_id *peer,
                               const void *connection);
size_t cv_connection_pool_count(const struct cv_connection_pool *pool);

#endif
