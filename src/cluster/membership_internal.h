#ifndef CV_CLUSTER_MEMBERSHIP_INTERNAL_H
#define CV_CLUSTER_MEMBERSHIP_INTERNAL_H

#include "base/ring.h"
#include "cluster/membership.h"

/* The membership object, and what its files call in each other. */

#define CV_SEEDS_MAX          64
#define CV_SEED_ADDRESSES_MAX 8
#define CV_TRANSFERS_MAX      8    /* member lists under way at once */
#define CV_NEWCOMERS_MAX      1024 /* who wait for theirs; who comes later asks again */
#define CV_LEAVE_ACKS_MAX     3
/* Leaves 50 ms of the quarter of a second in which all must be over. */
#define CV_SHUTDOWN_TIMEOUT (200 * COVEY_MILLISECOND)

enum cv_seed_state {
    CV_SEED_IDLE,
    CV_SEED_RESOLVING,
    CV_SEED_DIALLING,
    CV_SEED_REACHED,
    CV_SEED_FAILED, /* with an error */
    CV_SEED_SELF    /* that is us */
};

struct cv_seed {
    char *name;
    enum cv_seed_state state;
    int error;
    uint32_t resolve;
    uint32_t dial;
    bool has_id;    /* it was reached once */
    bool was_asked; /* in this attempt to join */
    covey_node_id id;
    size_t address_count;
    size_t address_next;
    struct cv_address addresses[CV_SEED_ADDRESSES_MAX];
};

struct cv_join {
    struct cv_join_config config;
    uint32_t attempt;
    bool was_reached;     /* a seed was, in any attempt */
    bool is_asking;       /* a seed has our JOIN */
    covey_node_id asked;  /* that seed */
    uint32_t chunk_count; /* of its answer; 0: none came yet */
    uint32_t chunk_left;
    uint8_t *chunks; /* a bit for each that came */
    struct cv_alarm alarm;
    struct cv_alarm end;
};

struct cv_leave {
    covey_time timeout;
    size_t ack_wanted;
    size_t ack_count;
    covey_node_id acks[CV_LEAVE_ACKS_MAX]; /* who acknowledged */
    struct cv_alarm alarm;
};

/* Records on their way to one peer, as they were when it asked: all of them for one that joins,
 * those of some buckets in anti-entropy. */
struct cv_transfer {
    covey_node_id to;
    enum cv_message_type type;
    struct cv_bucket_set buckets; /* unless type is JOIN_ACK */
    uint16_t chunk_count;
    uint16_t chunk_next;
    size_t count;
    size_t next;
    struct cv_record records[];
};

struct cv_sync {
    covey_time interval;
    covey_time wait;      /* until the next comparison, but for jitter; up to the interval */
    covey_time cold_next; /* when the next one is with anybody, not with one that is connected */
    bool has_partner;
    covey_node_id partner; /* is compared with as soon as it is connected */
    uint64_t sent;
    uint64_t differing;
    struct cv_alarm alarm;
};

struct cv_partition {
    struct cv_partition_detector detector;
    uint64_t version; /* of the registry, when it was looked at last */
    struct cv_alarm alarm;
};

struct cv_checks {
    struct cv_health_checker *checker; /* NULL as long as none was added */
    struct cv_alarm alarm;
};

struct cv_membership {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    struct cv_gossip_protocol gossip;
    enum cv_membership_state state;
    size_t seed_count;
    struct cv_seed *seeds;
    uint32_t last_resolve;
    struct cv_join join;
    struct cv_leave leave;
    covey_time reconnect_interval;
    struct cv_alarm reconnect;
    struct cv_sync sync;
    struct cv_partition partition;
    struct cv_checks checks;
    size_t transfer_count;
    struct cv_transfer *transfers[CV_TRANSFERS_MAX];
    struct cv_ring newcomers; /* ids of those whose JOIN waits until a list is done */
    uint64_t chunks_sent;
    uint64_t answers_shed;
    uint64_t lists_shed;
    struct cv_message message; /* being read */
};

/* membership.c */
/* 75 % to 125 % of a time: what many begin together they do not go on with together. */
covey_time cv_membership_jitter(struct cv_membership *m, covey_time time);
void cv_membership_enter(struct cv_membership *m, enum cv_membership_state state, int error);

/* membership_seeds.c */
COVEY_MUST_USE int cv_seeds_init(struct cv_membership *m, const char *const *names, size_t count);
void cv_seeds_fini(struct cv_membership *m);
/* Resolves and dials it, unless that is under way or it is connected. */
void cv_seed_try(struct cv_membership *m, struct cv_seed *seed);
void cv_seeds_resolved(struct cv_membership *m, const struct cv_input *input);
void cv_seed_connected(struct cv_membership *m, struct cv_seed *seed, const covey_node_id *peer);
void cv_seed_dial_failed(struct cv_membership *m, struct cv_seed *seed, uint32_t dial, int error);

/* membership_join.c */
void cv_join_init(struct cv_membership *m, const struct cv_join_config *config);
void cv_join_fini(struct cv_membership *m);
/* Joined already, by what is known from before. */
void cv_join_skip(struct cv_membership *m);
void cv_join_start(struct cv_membership *m);
/* A seed's state changed. */
void cv_join_advance(struct cv_membership *m);
void cv_join_alarm(struct cv_membership *m);
void cv_join_end(struct cv_membership *m);
void cv_join_disconnected(struct cv_membership *m, const covey_node_id *peer);
/* Room for noting down that this chunk came. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_join_reserve(struct cv_membership *m, const covey_node_id *from,
                                   const struct cv_message_head *head);
void cv_join_chunk(struct cv_membership *m, const covey_node_id *from,
                   const struct cv_message_head *head);
void cv_join_stop(struct cv_membership *m);

/* membership_transfer.c */
void cv_transfers_init(struct cv_membership *m);
/* Room for a transfer, to be begun or dropped in the same step. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_transfer_new(struct cv_membership *m, const covey_node_id *to,
                                   enum cv_message_type type, const struct cv_bucket_set *buckets,
                                   struct cv_transfer **out);
/* Takes the transfer. One to the same peer that is under way goes on, and this one is dropped,
 * unless this one is the answer to a JOIN. */
void cv_transfer_begin(struct cv_membership *m, struct cv_transfer *transfer);
/* False, and counted, when this peer had us send too much for an answer of so many bytes. */
bool cv_transfer_affords(struct cv_membership *m, const covey_node_id *to, size_t size);
/* The next chunk of all transfers as an output; false when there is none. */
bool cv_transfers_poll(struct cv_membership *m, struct cv_output *output);
void cv_transfers_drop(struct cv_membership *m, const covey_node_id *to);
void cv_transfers_fini(struct cv_membership *m);

/* membership_sync.c */
void cv_sync_init(struct cv_membership *m, covey_time interval);
void cv_sync_start(struct cv_membership *m);
void cv_sync_stop(struct cv_membership *m);
void cv_sync_alarm(struct cv_membership *m);
/* We know all members now: compares with those who asked us for them before. */
void cv_sync_joined(struct cv_membership *m);
void cv_sync_connected(struct cv_membership *m, const covey_node_id *peer);
/* Somebody's root: tells it our buckets when ours is another. */
void cv_sync_root(struct cv_membership *m, const covey_node_id *from, struct cv_slice root);
/* What to send to `from` in answer to the message being read, *out NULL when nothing. 0 or
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_sync_answer(struct cv_membership *m, const covey_node_id *from,
                                  struct cv_transfer **out);

/* membership_partition.c */
void cv_partition_init(struct cv_membership *m, const struct cv_membership_config *config);
/* At the end of a step, and at the start: the members may have changed. */
void cv_partition_update(struct cv_membership *m);
void cv_partition_alarm(struct cv_membership *m);
void cv_partition_expect(struct cv_membership *m, uint32_t size);

/* membership_checks.c */
void cv_checks_init(struct cv_membership *m);
void cv_checks_fini(struct cv_membership *m);
COVEY_MUST_USE int cv_checks_add(struct cv_membership *m,
                                 const struct cv_health_check_config *config);
COVEY_MUST_USE int cv_checks_remove(struct cv_membership *m, const char *name);
void cv_checks_result(struct cv_membership *m, const struct cv_input *input);
void cv_checks_alarm(struct cv_membership *m);
void cv_checks_stop(struct cv_membership *m);

/* membership_links.c */
int cv_membership_connected(struct cv_membership *m, const struct cv_input *input);
void cv_membership_disconnected(struct cv_membership *m, const covey_node_id *peer);
void cv_membership_dial_failed(struct cv_membership *m, uint32_t number, int error);
/* Failed members and lost seeds are tried again. */
void cv_membership_reconnect(struct cv_membership *m);

/* membership_message.c */
int cv_membership_message(struct cv_membership *m, const covey_node_id *from,
                          struct cv_slice bytes);

/* membership_leave.c */
void cv_leave_start(struct cv_membership *m);
/* The short way; also in the middle of the long one. */
void cv_leave_shut_down(struct cv_membership *m);
void cv_leave_finish(struct cv_membership *m);
void cv_leave_connected(struct cv_membership *m, const covey_node_id *peer);
void cv_leave_acked(struct cv_membership *m, const covey_node_id *from);
/* A member says goodbye. */
void cv_leave_heard(struct cv_membership *m, const covey_node_id *from, uint64_t incarnation);

/* membership_command.c */
int cv_membership_command(struct cv_membership *m, const struct cv_input *input);

#endif
