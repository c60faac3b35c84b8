#ifndef BENCHES_DISCOVERY_CLUSTER_H
#define BENCHES_DISCOVERY_CLUSTER_H

#include "api/cluster.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * A covey_cluster without a network: members in a registry, and a thread in the core's place that
 * changes their tags and publishes what queries read, the way the core's loop does it. It sees the
 * library from inside; queries on it are the public ones.
 */
#define DISCOVERY_NODES_MAX 16384
#define DISCOVERY_TAGS_MAX  COVEY_TAGS_MAX

struct discovery_shape {
    unsigned nodes;
    unsigned tags;    /* of each node; the first is role=worker or role=other */
    unsigned matches; /* nodes with role=worker, spread over all */
    unsigned changes; /* nodes that get new tags before each publication */
};

struct discovery_cluster {
    struct discovery_shape shape;
    covey_runtime *runtime;
    covey_cluster *cluster;
    struct cv_node_registry registry;
    uint32_t changed; /* nodes so far */

    pthread_t writer;
    atomic_bool stopping;
    uint64_t interval_ns; /* between publications; 0: at once */
    uint64_t publications;
    uint64_t publishing_ns; /* the writer's CPU time for them, the changes apart */
};

/* Published once. What fails ends the program. */
void discovery_cluster_start(struct discovery_cluster *d, const struct discovery_shape *shape);
void discovery_cluster_stop(struct discovery_cluster *d);

/* From here on a thread on core 0 changes and publishes, and counts from 0. */
void discovery_cluster_write(struct discovery_cluster *d, uint64_t interval_ns);
/* Ends that thread. */
void discovery_cluster_rest(struct discovery_cluster *d);

#endif
