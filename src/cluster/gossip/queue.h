#ifndef CV_CLUSTER_GOSSIP_QUEUE_H
#define CV_CLUSTER_GOSSIP_QUEUE_H

#include "base/map.h"
#include "cluster/gossip/message.h"

#include <covey/export.h>
#include <sys/queue.h>

/*
 * What is still to be told: at most one update for each node, the newest. A message takes the most
 * urgent first, within one priority those sent least, then the newest (SWIM section 4.1); but 2 of
 * its 20 places belong to the two that wait longest without having been sent once, so that nothing
 * starves. An update is dropped after it was sent often enough to have reached everybody.
 */
enum cv_priority {
    CV_PRIORITY_CRITICAL, /* suspect, failed, left, and what takes that back */
    CV_PRIORITY_HIGH,     /* tags */
    CV_PRIORITY_MEDIUM,   /* joined */
    CV_PRIORITY_LOW       /* what others know, most likely */
};
#define CV_PRIORITY_COUNT 4

#define CV_GOSSIP_RESERVED_SLOTS 2
/* 8 * ceil(log2(2^16)) sends: more than any configuration asks for. */
#define CV_GOSSIP_SENDS_MAX 128

/* For the queue itself, and for those who look whether it keeps its order. */
struct cv_queued_update {
    struct cv_record record;
    enum cv_priority priority;
    uint32_t sends;
    uint64_t sequence; /* of the push: a larger one is newer */
    TAILQ_ENTRY(cv_queued_update) entry;
};
TAILQ_HEAD(cv_queued_updates, cv_queued_update);

struct cv_gossip_queue {
    const struct cv_alloc *alloc;
    struct cv_map subjects; /* of queued updates, by node */
    size_t count_max;
    uint64_t sequence; /* of the next push */
    uint64_t shed;     /* updates dropped at the bound */
    struct cv_queued_updates free;
    size_t free_count;
    struct cv_queued_updates queued[CV_PRIORITY_COUNT][CV_GOSSIP_SENDS_MAX];
    /* A bit for each of these lists that is not empty. */
    uint64_t is_queued[CV_PRIORITY_COUNT][CV_GOSSIP_SENDS_MAX / 64];
};

void cv_gossip_queue_init(struct cv_gossip_queue *q, const struct cv_alloc *alloc,
                          const uint64_t secret[2], size_t count_max);
void cv_gossip_queue_fini(struct cv_gossip_queue *q);

/* Makes sure that `more` further pushes need no memory. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_gossip_queue_reserve(struct cv_gossip_queue *q, size_t more);
/* Queues an update in the place of an older one about the same node; keeps a reference to the body.
 * Needs a reserve. At the bound the least urgent, most sent, oldest one goes. */
void cv_gossip_queue_push(struct cv_gossip_queue *q, enum cv_priority priority,
                          const struct cv_record *record);
/* For pushes that come soon about nodes with these hashes, cv_map_hash() of their ids: has what they
 * touch fetched, and waits for the first step of that. */
void cv_gossip_queue_prefetch(const struct cv_gossip_queue *q, const uint64_t *hashes,
                              size_t count);
/* Forgets what is queued about a node. */
void cv_gossip_queue_remove(struct cv_gossip_queue *q, const covey_node_id *id);
size_t cv_gossip_queue_count(const struct cv_gossip_queue *q);

/* Adds what fits to a message; each update is sent at most `sends_max` times in all. */
void cv_gossip_queue_fill(struct cv_gossip_queue *q, struct cv_message_writer *mw,
                          uint32_t sends_max);

/* factor * ceil(log2(members + 1)), at least 1, at most CV_GOSSIP_SENDS_MAX. */
uint32_t cv_gossip_sends_max(uint32_t factor, size_t members);

#endif
