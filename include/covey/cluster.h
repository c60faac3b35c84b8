#ifndef COVEY_CLUSTER_H
#define COVEY_CLUSTER_H

#include <covey/events.h>
#include <covey/health.h>
#include <covey/node.h>
#include <covey/partition.h>

COVEY_BEGIN

/*
 * Membership: who is there, who is not, and what each says of itself. Got from
 * covey_server_cluster(). Every function may be called from any thread; queries read a snapshot and
 * never wait for the network.
 *
 * The snapshot follows what this node learns, at once after a quiet time and else every 10 ms. In this
 * order: first the snapshot and the partition's status, then the events that are about it and what
 * covey_cluster_wait_joined() waits for. So who hears of something finds it when he looks, and who changes
 * something sees it when his call returns.
 */
typedef struct covey_cluster covey_cluster;

/* Sets of times for kinds of network: lan is the default; local for one machine or tests; wan. */
enum covey_profile { COVEY_PROFILE_LAN = 0, COVEY_PROFILE_LOCAL = 1, COVEY_PROFILE_WAN = 2 };

/* The periods of the gossip protocol (SWIM section 3). 0 means: as the profile says. */
struct covey_gossip_config {
    covey_time protocol_period;
    covey_time ack_timeout;
    covey_time indirect_timeout;
    covey_time gossip_interval;
};

struct covey_cluster_config {
    size_t size;
    enum covey_profile profile;
    struct covey_gossip_config gossip;
    const covey_node_id *node_id; /* NULL, or the certificate's own id: a check, not a choice */
    const struct covey_tag *tags; /* first tags */
    size_t tag_count;
    unsigned join_attempts; /* 10; 0: goes on for ever */
    struct covey_partition_config partition;
    covey_time join_timeout;  /* 120 s, of joining in all unless it goes on for ever */
    covey_time leave_timeout; /* 5 s */
};
#define covey_cluster_config_init(config)                                                          \
    covey_cluster_config_init_sized((config), sizeof *(config))
COVEY_API void covey_cluster_config_init_sized(struct covey_cluster_config *config, size_t size);

/*
 * Waits until this node is a member; 0 as timeout does not wait and is allowed on every thread.
 * 0, or
 *
 *   COVEY_ERR_TIMEOUT       not yet
 *   COVEY_ERR_CLOSED        left
 *   COVEY_ERR_WRONG_THREAD  waiting on a loop's
 *
 * or joining was given up for this reason:
 *
 *   COVEY_ERR_NO_SEEDS_REACHABLE, COVEY_ERR_JOIN_TIMEOUT, COVEY_ERR_RESOLVE, COVEY_ERR_REFUSED,
 *   COVEY_ERR_CERTIFICATE, COVEY_ERR_CERTIFICATE_EXPIRED, COVEY_ERR_WRONG_CLUSTER,
 *   COVEY_ERR_WRONG_ROLE
 */
COVEY_API COVEY_MUST_USE int covey_cluster_wait_joined(covey_cluster *cluster, covey_time timeout);
/* Tries again after joining was given up. 0, COVEY_ERR_STATE. */
COVEY_API COVEY_MUST_USE int covey_cluster_rejoin(covey_cluster *cluster);

COVEY_API covey_node_id covey_cluster_self(const covey_cluster *cluster);

/* Members of one moment, sorted by id; free with covey_node_list_free(). */
typedef struct covey_node_list covey_node_list;

COVEY_API size_t covey_node_list_count(const covey_node_list *list);
/* NULL when index is not below the count. Valid as long as the list. */
COVEY_API const struct covey_node *covey_node_list_at(const covey_node_list *list, size_t index);
COVEY_API void covey_node_list_free(covey_node_list *list);

/* All that are known, this node and failed and left ones included. 0, COVEY_ERR_NO_MEMORY. */
COVEY_API COVEY_MUST_USE int covey_cluster_members(covey_cluster *cluster, covey_node_list **out);

/* The alive members that have this tag with this value; value NULL: with any value. An empty list
 * is no error. Costs what it finds, however many members there are. 0, COVEY_ERR_INVALID_ARGUMENT
 * without a key, COVEY_ERR_NO_MEMORY. */
COVEY_API COVEY_MUST_USE int covey_cluster_nodes_with_tag(covey_cluster *cluster, const char *key,
                                                          const char *value, covey_node_list **out);
/* The alive members that have all of these tags: without tags, all alive members. The same errors. */
COVEY_API COVEY_MUST_USE int covey_cluster_nodes_with_all_tags(covey_cluster *cluster,
                                                               const struct covey_tag *tags,
                                                               size_t tag_count,
                                                               covey_node_list **out);

/*
 * Changes this node's own tags; the others hear of it within moments. 0, or
 *   COVEY_ERR_TOO_LARGE         a limit of covey/node.h
 *   COVEY_ERR_INVALID_ARGUMENT  not UTF-8, an empty key
 *   COVEY_ERR_NOT_FOUND         (remove) there is no such tag
 *   COVEY_ERR_PARTITIONED       read-only, see covey/partition.h
 *   COVEY_ERR_STATE             leaving or left
 */
COVEY_API COVEY_MUST_USE int covey_cluster_update_tag(covey_cluster *cluster, const char *key,
                                                      const char *value);
COVEY_API COVEY_MUST_USE int covey_cluster_remove_tag(covey_cluster *cluster, const char *key);

/* Whether this node sees enough of the cluster: fills *status, whose `size` is set. As new as the
 * snapshot that queries read. 0, COVEY_ERR_INVALID_ARGUMENT (size). */
COVEY_API COVEY_MUST_USE int covey_cluster_partition(covey_cluster *cluster,
                                                     struct covey_partition_status *status);
/* Sets by hand how many members there should be, this node included; 0 goes back to what was learnt.
 * Allowed while partitioned: so an operator declares the rest of the cluster lost. 0,
 * COVEY_ERR_STATE (leaving or left). */
COVEY_API COVEY_MUST_USE int covey_cluster_expect_size(covey_cluster *cluster, uint32_t size);

/*
 * Registers a check of this node's health, which runs at once and then at its interval, and tells of it
 * with HEALTH_CHECK_FAILED each time that it becomes worse. While it is COVEY_CHECK_UNHEALTHY the server's
 * covey.health says so to whoever asks. Members are not told: what else follows from it, a tag say, is the
 * program's. 0, or
 *   COVEY_ERR_INVALID_ARGUMENT  a name, a time, no function
 *   COVEY_ERR_EXISTS            a check of that name is there
 *   COVEY_ERR_LIMIT             COVEY_CHECKS_MAX are there
 *   COVEY_ERR_STATE             leaving or left
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_cluster_add_check(covey_cluster *cluster,
                                                     const struct covey_health_check *check);
/* Forgets a check and waits for a run that is under way, however long it takes; not inside the check
 * itself. Leaving ends all checks, and covey_server_disable_cluster() and _free() wait for those that
 * run. 0, COVEY_ERR_NOT_FOUND, COVEY_ERR_WRONG_THREAD (in a handler or callback on a loop's thread),
 * COVEY_ERR_INVALID_ARGUMENT (NULL); COVEY_ERR_BUSY, COVEY_ERR_NO_MEMORY: it is still there. */
COVEY_API COVEY_MUST_USE int covey_cluster_remove_check(covey_cluster *cluster, const char *name);
/*
 * How well this node is: fills *status, whose `size` is set, and up to `count` checks in the order in
 * which they were added; checks[0].size is the size of each. status->check_count says how many there
 * are. After leaving there are none. 0, COVEY_ERR_INVALID_ARGUMENT (a size), COVEY_ERR_BUSY, COVEY_ERR_CLOSED.
 */
COVEY_API COVEY_MUST_USE int covey_cluster_health(covey_cluster *cluster,
                                                  struct covey_health_status *status,
                                                  struct covey_check_health *checks, size_t count);

/*
 * What membership did since it was enabled, and what there is now. X(number, name, text); the numbers
 * are the wire's and never change.
 */
#define COVEY_CLUSTER_COUNTERS(X)                                                                  \
    X(1, members_alive, "alive members now, this node included")                                   \
    X(2, members_suspect, "suspects now")                                                          \
    X(3, members_failed, "failed members now")                                                     \
    X(4, members_left, "members that left and are remembered")                                     \
    X(5, connections, "members connected now")                                                     \
    X(6, connections_refused, "connections refused: too many, not wanted, or to itself")           \
    X(7, messages_sent, "gossip messages sent")                                                    \
    X(8, messages_received, "gossip messages received")                                            \
    X(9, messages_malformed, "dropped: not decodable")                                             \
    X(10, messages_oversized, "dropped: longer than a message may be")                             \
    X(11, messages_shed, "dropped: more than one peer may say")                                    \
    X(12, sends_shed, "not sent: no connection or stream could take them")                         \
    X(13, outputs_shed, "not sent: the queue to the network was full")                             \
    X(14, gossip_shed, "news dropped: the gossip queue was full")                                  \
    X(15, updates_applied, "news taken in")                                                        \
    X(16, updates_refused, "news not admissible")                                                  \
    X(17, members_refused, "newcomers refused: too many members")                                  \
    X(18, probes_sent, "probes begun")                                                             \
    X(19, probes_failed, "probes without an answer, direct or not")                                \
    X(20, indirect_pings_sent, "pings through others")                                             \
    X(21, nacks_received, "others that had no answer either")                                      \
    X(22, heartbeats_sent, "heartbeats sent")                                                      \
    X(23, heartbeats_received, "heartbeats received")                                              \
    X(24, watchers_refused, "members that may not watch this node too")                            \
    X(25, silences, "members suspected because their heartbeats stay away")                        \
    X(26, suspicions, "suspicions begun")                                                          \
    X(27, refutations, "suspicions of this node taken back by it")                                 \
    X(28, syncs_sent, "comparisons with a member begun")                                           \
    X(29, syncs_differing, "comparisons by others that found a difference")                        \
    X(30, local_health, "0 when this node answers in time, up to 8 when it is slow")               \
    X(31, events_emitted, "events")                                                                \
    X(32, event_receivers, "event receivers now")                                                  \
    X(33, checks_refused, "runs of health checks for which there was no thread")                   \
    X(34, dials, "connections dialled")                                                            \
    X(35, dials_failed, "dials that failed")                                                       \
    X(36, dials_saved, "dials spared because the other side dialled, too")                         \
    X(37, pool_hits, "connections wanted, and there was one")                                      \
    X(38, pool_misses, "connections wanted, and there was none")                                   \
    X(39, pool_idle, "connections closed for not being used")                                      \
    X(40, pool_evicted, "connections closed for others: too many at once")                         \
    X(41, pool_exhausted, "connections wanted in vain: too many were in use")                      \
    X(42, connections_dead, "connections closed for not answering a health check")                 \
    X(43, answers_shed, "member lists and digests not sent: a member asks too often")              \
    X(44, pushes_delayed, "news that waited for its turn: there is more than may be sent")         \
    X(45, lists_shed, "member lists not sent to newcomers: too many asked at once")                \
    X(46, dials_delayed, "dials that waited until others were done")                               \
    X(47, dials_forgone, "dials that waited until nobody wanted them")                             \
    X(48, relays_shed, "pings for others not sent: too many at once, or too many dials for them")

struct covey_cluster_stats {
    size_t size; /* of this struct as the caller knows it */
#define X(number, name, text) uint64_t name;
    COVEY_CLUSTER_COUNTERS(X)
#undef X
};
/* Fills *stats, whose `size` is set; waits for a turn of the loop of membership, no longer. All 0 after
 * leaving. 0, COVEY_ERR_INVALID_ARGUMENT (size), COVEY_ERR_BUSY, COVEY_ERR_CLOSED. */
COVEY_API COVEY_MUST_USE int covey_cluster_stats(covey_cluster *cluster,
                                                 struct covey_cluster_stats *stats);

/* A receiver of what happens from now on. 0, COVEY_ERR_LIMIT (64), COVEY_ERR_CLOSED,
 * COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_API COVEY_MUST_USE int covey_cluster_events(covey_cluster *cluster,
                                                  covey_event_receiver **out);

/*
 * Leaves, in six steps:
 *
 *   1. says goodbye: until up to three members have heard it, or for the leave timeout. The others
 *      show this node as left, not as failed. It answers meanwhile, but accuses nobody
 *   2. ends gossip
 *   3. ends health checks
 *   4. closes the connections to members; calls are not touched
 *   5. forgets the members: queries find none
 *   6. lets event receivers reach their end, after what waits for them
 *
 * Returns after the last. From any number of threads at once and any number of times; also in a handler
 * of events or in a check. 0 (also when left before), or
 *   COVEY_ERR_WRONG_THREAD  a loop's
 *   COVEY_ERR_BUSY, COVEY_ERR_NO_MEMORY, COVEY_ERR_CLOSED (its runtime ends): nothing was begun
 */
COVEY_API int covey_cluster_leave(covey_cluster *cluster);
/* The same without waiting; usable on every thread. Without memory nothing is begun; it may be called again. */
COVEY_API void covey_cluster_leave_async(covey_cluster *cluster);
/*
 * Leaves within 250 ms: tells the members that are connected, waits for up to three of them to have heard
 * it, and goes through the other steps. Should no word reach anybody they show this node as failed in time.
 * Cuts short a covey_cluster_leave() that is under way. On a loop's thread it only begins, as
 * covey_cluster_leave_async() does. 0, also when left before; COVEY_ERR_TIMEOUT: the loop is busy, and goes
 * on with it, or has no memory; call it again then.
 */
COVEY_API int covey_cluster_shutdown_immediate(covey_cluster *cluster);

COVEY_END

#endif
