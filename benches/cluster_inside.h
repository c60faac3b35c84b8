#ifndef BENCHES_CLUSTER_INSIDE_H
#define BENCHES_CLUSTER_INSIDE_H

#include <covey/server.h>
#include <stdint.h>

/* What no user can see. */

/* Connections of membership: how many a server ever dialled and took, and has now; those that are being
 * made included. */
struct inside_connections {
    uint64_t dialled;
    uint64_t accepted;
    uint64_t failed; /* handshakes */
    uint64_t open;
};
/* Adds those of a server. */
void inside_count_connections(covey_server *server, struct inside_connections *sum);

/* The next two are measured apart from any network, in this thread. */

/* A connection that is there, among `connections`: leased and given back, so many times. */
double inside_pool_hit_ns(unsigned connections, unsigned hits);
/* Updates that one core which knows `members` decodes, merges and queues in a second. */
double inside_gossip_rate(unsigned members, uint64_t updates);

#endif
