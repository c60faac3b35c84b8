#ifndef BENCHES_CLUSTER_NET_H
#define BENCHES_CLUSTER_NET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The loopback of this run alone, so that the kernel's counters tell what the cluster sends: a network
 * namespace of its own. False where the system does not allow that: then the machine's loopback stays,
 * and others' traffic is counted too. Before any thread.
 */
bool net_isolate(void);

/* What was sent since boot: bytes with UDP's and IP's headers (28 a packet), none of Ethernet's. Packets
 * that a sender joins for one system call count as one, which idle nodes hardly do. */
struct net_count {
    uint64_t packets;
    uint64_t bytes;
};
struct net_count net_count(void);

#endif
