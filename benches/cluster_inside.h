#ifndef BENCHES_CLUSTER_INSIDE_H
#define BENCHES_CLUSTER_INSIDE_H

#include <stdint.h>

/* What no user can call: measured apart from any network, in this thread. */

/* One lookup of a connection that is there, among `connections`. */
double inside_pool_hit_ns(unsigned connections);
/* Updates that one core which knows `members` decodes, merges and queues in a second. */
double inside_gossip_rate(unsigned members, uint64_t updates);

#endif
