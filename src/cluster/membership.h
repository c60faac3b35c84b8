#ifndef CV_CLUSTER_MEMBERSHIP_H
#define CV_CLUSTER_MEMBERSHIP_H

#include "base/address.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/slice.h"
#include "cluster/events.h"
#include "cluster/gossip/protocol.h"
#include "cluster/health_checker.h"
#include "cluster/node_registry.h"
#include "cluster/output.h"
#include "cluster/partition_detector.h"

#include <covey/export.h>
#include <covey/node.h>
#include <covey/types.h>

/*
 * The membership core: SWIM (Das, Gupta, Motivala 2002) as one deterministic machine. It owns no
 * socket, clock or thread. Whatever happens is an input; whatever is to be done is an output; and
 * it says when it next wants to be told the time.
 *
 *      message, connected, disconnected, dial_failed,           send, dial, close,
 *      resolved, command, time                                   resolve, event, state
 *            |                                                        ^
 *            v                                                        |
 *        step(input) ------------------> membership ------------> poll(output)
 *                                             |
 *                                             v
 *                                         deadline()
 *
 * A driver calls step() for each thing that happened, then poll() until it returns false, and
 * step() with CV_INPUT_TIME when the deadline has come. The same inputs and the same seed give the
 * same outputs, everywhere.
 *
 * Peers are connections. A connection to a member is one for both directions, and its certificate
 * says who it is: a message has no sender field. The driver keeps at most one for each node id and
 * tells of it by CONNECTED and DISCONNECTED; the core asks for one with DIAL. It sends only to
 * nodes that are connected. A message travels either as a DATAGRAM frame (may be lost) or, when it
 * says `reliable` or does not fit, on a stream of its own; the core does not see the difference on
 * receiving, but for its length limit, CV_MAX_MESSAGE_SIZE for both.
 */

struct cv_membership;

struct cv_join_config {
    uint32_t attempts_max;  /* 10; 0: goes on for ever */
    covey_time backoff_min; /* 100 ms, doubling */
    covey_time backoff_max; /* 10 s */
    covey_time timeout;     /* of joining in all, unless it goes on for ever: 120 s */
};

struct cv_membership_config {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    covey_node_id id;
    const char *name;             /* 1..63 bytes, copied */
    struct cv_address address;    /* what we tell others; usable, never a wildcard */
    const struct covey_tag *tags; /* first tags, copied */
    size_t tag_count;
    const char *const *seeds; /* "HOST:PORT", copied; none: a cluster of one */
    size_t seed_count;
    struct cv_gossip_config gossip;
    struct cv_join_config join;
    covey_time sync_interval;             /* anti-entropy with a random member, 30 s; 0: none */
    struct cv_partition_config partition; /* 50 %, 30 s, no tie-break; settle: a protocol period */
    uint32_t expected_size;               /* of the cluster, by hand; 0: learnt */
    covey_time reconnect_interval;        /* H: a failed member or lost seed is tried again, 10 s */
    covey_time leave_timeout;             /* 5 s */
    uint32_t members_max;                 /* 16,384, at most CV_MEMBERS_MAX */
    covey_time tombstone_ttl; /* 24 h: how long failed and left members are remembered */
    uint64_t seed;            /* of the random generator: schedules replay by it */
    uint64_t hash_secret[2];  /* of the maps */
    uint64_t wall_ms;         /* wall clock at start: the first incarnation (DESIGN D6) */
    /* Members known from before, alive and with their bodies. With any of them the node is joined at
     * once and finds out by itself who is still there; seeds are tried beside them. Copied; this
     * node itself is left out. */
    const struct cv_record *known;
    size_t known_count;
    /* The same, prepared, in their place; NULL: none. This node is one of them, and `hash_secret` is
     * the roster's. Borrowed for the call. */
    const struct cv_roster *roster;
    struct cv_body_table *bodies; /* shared with other cores of this process; NULL: none. Borrowed
                                     for life */
    const struct cv_registry_watcher *watcher; /* NULL: none. Borrowed for life */
};

/* The lan profile; `local` and `wan` change the times only. */
enum cv_profile { CV_PROFILE_LAN, CV_PROFILE_LOCAL, CV_PROFILE_WAN };
void cv_membership_config_init(struct cv_membership_config *config, enum cv_profile profile);

enum cv_command_type {
    CV_COMMAND_TAG_SET,
    CV_COMMAND_TAG_REMOVE,
    CV_COMMAND_LEAVE,     /* says goodbye, waits for min(3, N-1) members to have heard it, at most
                         leave_timeout */
    CV_COMMAND_JOIN,      /* again, after JOIN_FAILED */
    CV_COMMAND_EXPECT,    /* so many members: `size`, 0 for what is learnt */
    CV_COMMAND_CHECK_ADD, /* a health check of the user's: `check`; first run at once */
    CV_COMMAND_CHECK_REMOVE, /* of that name: `key` */
    CV_COMMAND_SHUTDOWN /* leaves as by LEAVE, but tells only who is connected and waits 200 ms at
                                most; also while it leaves already */
};

enum cv_input_type {
    CV_INPUT_TIME,
    CV_INPUT_MESSAGE,
    CV_INPUT_CONNECTED,
    CV_INPUT_DISCONNECTED,
    CV_INPUT_DIAL_FAILED,
    CV_INPUT_RESOLVED,
    CV_INPUT_COMMAND,
    CV_INPUT_CHECK_RESULT
};

/* All pointers are borrowed for the call. */
struct cv_input {
    enum cv_input_type type;
    covey_time now;   /* monotonic, never less than before */
    uint64_t wall_ms; /* wall clock; may jump */
    union {
        struct {
            covey_node_id from; /* the connection's certificate */
            struct cv_slice bytes;
        } message;
        struct {
            covey_node_id peer;
            const char *name;         /* from its certificate */
            struct cv_address remote; /* where its packets come from */
            uint32_t dial;            /* the dial that this answers; 0: the peer dialled us. A
                                         connected peer is told of again when another connection
                                         took the place of its last one. */
        } connected;
        struct {
            covey_node_id peer;
        } disconnected;
        struct {
            uint32_t dial;
            int error; /* COVEY_ERR_UNREACHABLE, TIMEOUT, REFUSED, CERTIFICATE..., see quic/conn.h
                        */
        } dial_failed;
        struct {
            uint32_t resolve;
            int error; /* 0 or COVEY_ERR_RESOLVE */
            const struct cv_address *addresses;
            size_t count;
        } resolved;
        struct {
            uint64_t run;
            enum covey_check_status status;
            struct cv_slice message;
        } check_result;
        struct {
            enum cv_command_type type;
            const char *key;
            const char *value;
            uint32_t size;
            const struct cv_health_check_config *check;
        } command;
    };
};

/*
 * Copies the configuration; `now` is the start of its time. 0, COVEY_ERR_NO_MEMORY,
 * COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_ADDRESS (a seed), COVEY_ERR_TOO_LARGE (the tags).
 */
COVEY_MUST_USE int cv_membership_new(const struct cv_membership_config *config, covey_time now,
                                     struct cv_membership **out);
void cv_membership_free(struct cv_membership *m);

/*
 * Takes one input. For a command returns 0 or why it is refused, nothing changed:
 *   COVEY_ERR_TOO_LARGE         too many or too long tags
 *   COVEY_ERR_INVALID_ARGUMENT  a key or value that is not UTF-8, an empty key
 *   COVEY_ERR_NOT_FOUND         no such tag or check to remove
 *   COVEY_ERR_EXISTS            a check of that name is there
 *   COVEY_ERR_LIMIT             COVEY_CHECKS_MAX are there
 *   COVEY_ERR_PARTITIONED       tags, while read-only
 *   COVEY_ERR_STATE             leaving or left; joining again when it did not fail
 *   COVEY_ERR_NO_MEMORY
 * For a message COVEY_ERR_MALFORMED when it cannot be decoded: nothing of it was applied. Otherwise
 * 0, or COVEY_ERR_NO_MEMORY: the input is lost, as a packet might be, and the state is as before. A
 * driver whose CONNECTED is lost closes that connection, and says DIAL_FAILED when it answered a
 * dial; other inputs that answer an output it gives again.
 */
int cv_membership_step(struct cv_membership *m, const struct cv_input *input);
bool cv_membership_poll(struct cv_membership *m, struct cv_output *output);
covey_time cv_membership_deadline(const struct cv_membership *m);

enum cv_membership_state cv_membership_state(const struct cv_membership *m);
/* Whether it wants to stay connected with this node for good: what it closes by itself is not among them, nor is
 * one of whom it knows nothing. */
bool cv_membership_keeps(struct cv_membership *m, const covey_node_id *id);
/* Whether a connection with it would be of use: one to keep, or one that a ping waits for. */
bool cv_membership_wants(struct cv_membership *m, const covey_node_id *id);
/* What is known of every member, ourselves included; changes only inside step(). */
const struct cv_node_registry *cv_membership_registry(const struct cv_membership *m);

/* Are we on a side of the cluster that may decide? */
struct cv_partition_status cv_membership_partition(const struct cv_membership *m);
/* How well this node is by its user's checks; NULL as long as none was ever added. */
const struct cv_health_checker *cv_membership_health(const struct cv_membership *m);
/* A hash of all live records: equal for those who know the same. */
void cv_membership_digest(const struct cv_membership *m, uint8_t root[CV_DIGEST_ROOT_SIZE]);

struct cv_membership_stats {
    uint64_t messages_received;
    uint64_t messages_sent;
    uint64_t messages_malformed;
    uint64_t messages_shed; /* more than one peer may say: not read */
    uint64_t updates_applied;
    uint64_t updates_refused; /* well-formed, not admissible */
    uint64_t probes_sent;
    uint64_t probes_failed; /* no ack, neither direct nor indirect */
    uint64_t indirect_pings_sent;
    uint64_t nacks_received;
    uint64_t heartbeats_sent;
    uint64_t heartbeats_received;
    uint64_t watchers_refused; /* more wanted our heartbeats than may */
    uint64_t silences;         /* members suspected by phi */
    uint64_t syncs_sent;       /* comparisons begun */
    uint64_t syncs_differing;  /* comparisons by others that found a difference */
    uint64_t answers_shed;     /* lists and digests that a peer asked for too often to get them */
    uint64_t lists_shed;       /* that were asked for when too many others were under way */
    uint64_t suspicions;
    uint64_t refutations;
    uint64_t pushes_delayed;  /* pushes of news that waited until there were bytes for them */
    uint64_t relays_shed;     /* pings for others not sent: too many at once, or dials for them */
    uint64_t outputs_shed;    /* dropped at the output queue's bound */
    uint64_t members_refused; /* for members_max */
    uint64_t gossip_shed;     /* updates dropped at the gossip queue's bound */
    uint32_t local_health;    /* 0, well, to 8 */
};
void cv_membership_stats(const struct cv_membership *m, struct cv_membership_stats *out);

#endif
