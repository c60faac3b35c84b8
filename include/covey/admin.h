#ifndef COVEY_ADMIN_H
#define COVEY_ADMIN_H

#include <covey/client.h>
#include <covey/server.h>

COVEY_BEGIN

/*
 * Questions and orders to a running member through a client connected to it, as the command line
 * sends them. They wait; each returns 0 or COVEY_ERR_..., or fills *reply with the status when the
 * member said no: then the return value is COVEY_ERR_REFUSED. `reply` may be NULL; clear it
 * otherwise. Orders take an admin's certificate or that member's own.
 */

/* The members as that member sees them. */
COVEY_API COVEY_MUST_USE int covey_admin_members(covey_client *client, covey_time timeout,
                                                 covey_node_list **out, struct covey_reply *reply);
/* What covey_cluster_partition(), _health() and _stats() say there. */
COVEY_API COVEY_MUST_USE int covey_admin_partition(covey_client *client, covey_time timeout,
                                                   struct covey_partition_status *status,
                                                   struct covey_reply *reply);
COVEY_API COVEY_MUST_USE int covey_admin_health(covey_client *client, covey_time timeout,
                                                struct covey_health_status *status,
                                                struct covey_check_health *checks, size_t count,
                                                struct covey_reply *reply);
COVEY_API COVEY_MUST_USE int covey_admin_stats(covey_client *client, covey_time timeout,
                                               struct covey_cluster_stats *stats,
                                               struct covey_reply *reply);
/* What covey_server_stats() says there. That needs a worker and every loop: UNAVAILABLE while the
 * watchdog knows of a loop that is held up, RESOURCE_EXHAUSTED when no worker is free or while
 * another asks the same (ask again), UNIMPLEMENTED by older versions. */
COVEY_API COVEY_MUST_USE int covey_admin_server_stats(covey_client *client, covey_time timeout,
                                                      struct covey_server_stats *stats,
                                                      struct covey_reply *reply);
COVEY_API COVEY_MUST_USE int covey_admin_tag_set(covey_client *client, covey_time timeout,
                                                 const char *key, const char *value,
                                                 struct covey_reply *reply);
COVEY_API COVEY_MUST_USE int covey_admin_tag_remove(covey_client *client, covey_time timeout,
                                                    const char *key, struct covey_reply *reply);
/* Answers when it has begun to leave. */
COVEY_API COVEY_MUST_USE int covey_admin_leave(covey_client *client, covey_time timeout,
                                               struct covey_reply *reply);

COVEY_END

#endif
