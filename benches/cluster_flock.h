#ifndef BENCHES_CLUSTER_FLOCK_H
#define BENCHES_CLUSTER_FLOCK_H

#include "credentials.h"
#include "process.h"

#include <covey/covey.h>
#include <pthread.h>

/*
 * Many nodes of one cluster in this process, on a few runtimes, and a thread that reads the events of
 * all. What is waited for is counted from those, but for the beginning.
 */
#define FLOCK_NODES_MAX    1000
#define FLOCK_RUNTIMES_MAX 16

struct flock_node {
    covey_identity *identity;
    covey_server *server;
    covey_cluster *cluster;
    covey_event_receiver *events;
    covey_node_id id;
    bool is_whole; /* it knew all others, when that was waited for */
    bool has_seen; /* what is watched for */
};

/* Events of one type about one node. */
struct flock_watch {
    enum covey_event_type type;
    covey_node_id about;
    unsigned seen; /* by so many nodes */
    uint64_t first_ns;
    uint64_t last_ns;
    uint64_t suspected_ns; /* the first HEALTH_CHECK_FAILED about it, or 0 */
};

struct flock {
    struct flock_node *nodes;
    unsigned count;
    unsigned whole_count; /* of the cluster: nodes of other processes too */
    covey_runtime *runtimes[FLOCK_RUNTIMES_MAX];
    unsigned runtime_count;
    enum covey_profile profile;
    pthread_t reader;
    int reader_fd;  /* an epoll */
    int reader_end; /* an eventfd */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock: */
    uint64_t failures; /* NODE_FAILED of any */
    uint64_t dropped;  /* events */
    struct flock_watch watch;
};

struct flock_config {
    unsigned nodes;       /* here */
    unsigned whole_count; /* in all processes */
    unsigned runtimes;
    enum covey_profile profile;
    const struct covey_pem *ca;
    const struct covey_pem *own; /* certificates and keys, one each */
};

/* Runtimes and servers, which listen; no cluster yet. What fails ends the program. */
void flock_open(struct flock *f, const struct flock_config *config);
/* Switches membership on everywhere: through `seed`, or, without one, through the first node. */
void flock_join(struct flock *f, const char *seed);
void flock_close(struct flock *f);

/* Waits until each node once held all others for alive; the time when the last one did, 10 ms or less
 * too late. */
uint64_t flock_wait_whole(struct flock *f, covey_time timeout);

/* Begins to watch for events of `type` about `id`, before what causes them. */
void flock_watch(struct flock *f, enum covey_event_type type, const covey_node_id *id);
/* Waits until `wanted` nodes had one; false when they have not in time. */
bool flock_wait_seen(struct flock *f, unsigned wanted, covey_time timeout, struct flock_watch *out);
/* The nodes, as the first `count` see it, in whose eyes `id` is suspect or worse. */
unsigned flock_count_doubting(const struct flock *f, const covey_node_id *id);
uint64_t flock_failures(struct flock *f);

#endif
