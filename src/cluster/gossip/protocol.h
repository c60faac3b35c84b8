#ifndef CV_CLUSTER_GOSSIP_PROTOCOL_H
#define CV_CLUSTER_GOSSIP_PROTOCOL_H

#include "base/bucket.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/rand.h"
#include "cluster/body_table.h"
#include "cluster/failure_detection/local_health.h"
#include "cluster/gossip/ack.h"
#include "cluster/gossip/message.h"
#include "cluster/gossip/ping.h"
#include "cluster/gossip/queue.h"
#include "cluster/gossip/relay_share.h"
#include "cluster/gossip/watch.h"
#include "cluster/links.h"
#include "cluster/node_registry.h"
#include "cluster/outbox.h"

#include <covey/export.h>

/*
 * SWIM with Lifeguard's suspicion: who is alive, and how all get to know it.
 *
 * Each protocol period one member is pinged. Without an ack in time K others are asked to ping it;
 * without theirs it is suspected, and failed when the suspicion is neither refuted by it nor
 * overtaken. News rides on every message and on gossip of its own.
 *
 * Where this differs from the papers:
 *  - A suspect that was heard on its own connection since is pinged again, never failed: only what
 *    nobody hears from is dead (DESIGN D8).
 *  - After a pause of this process every suspect gets a new full time (D11): our own deafness is no
 *    silence of theirs.
 *  - Each message to a node that we do not hold for alive says so first: it can refute at once.
 *  - Hearsay that a node failed counts as a suspicion until we have suspected it for a while
 *    ourselves: after a partition the other side's old news about our side fails nobody.
 *
 *     protocol.c         the object, sending, spreading
 *     protocol_probe.c   probes                    protocol_relay.c  pings for others
 *     protocol_merge.c   what updates change       protocol_self.c   our own record
 *     protocol_state.c   what a change of state brings with it: timers, events
 *     protocol_links.c   connections               protocol_watch.c  heartbeats
 *     protocol_warm.c    whom to stay connected with
 */

/* What a datagram message is filled up to: a QUIC packet of the smallest allowed size (1200 bytes)
 * has room for it as one DATAGRAM frame with every header at its largest. */
#define CV_DATAGRAM_MESSAGE_SIZE 1100

/* Up to so many members everybody is connected with everybody: the connection pool's size. Where
 * there were more it takes a good few less until it is so again: one that comes and goes would have
 * all of them dialled each time. */
#define CV_FULL_MESH_MAX  50
#define CV_FULL_MESH_BACK 40
/* Dials to members that are no neighbours, while everybody is connected: so many at once, and as many in
 * each protocol period. */
#define CV_MESH_DIALS 4

/* Other accusers that shorten a suspicion (K), and how many members there must be besides the
 * accuser and the suspect so that they can be had. */
#define CV_CONFIRMATIONS 3

struct cv_gossip_config {
    covey_time protocol_period;    /* T, 1 s: one probe in each */
    covey_time ack_timeout;        /* A, 0.5 s */
    covey_time indirect_timeout;   /* 0.5 s */
    covey_time gossip_interval;    /* 200 ms */
    covey_time suspicion_min;      /* Smin, 3 s */
    uint32_t suspicion_max_factor; /* Smax = 6 * Smin */
    uint32_t indirect_ping_count;  /* K, 3 */
    uint32_t gossip_fanout;        /* 3 */
    uint32_t retransmit_factor;    /* an update is sent factor * ceil(log2(N+1)) times, 3 */
    uint32_t local_health_max;     /* how bad we may hold ourselves for, 8; 0: always well */
    uint32_t watch_count;          /* w: each node is watched by so many, 5; 0: nobody is */
    covey_time heartbeat_interval; /* to each of them, 1 s */
    double phi_threshold;          /* of suspicion, 8; half of it brings a probe */
    struct cv_phi_config phi;      /* sigma at least 100 ms, acceptable pause 0 */
};

struct cv_gossip_counters {
    uint64_t messages_received;
    uint64_t messages_malformed;
    uint64_t messages_shed;
    uint64_t updates_applied;
    uint64_t updates_refused;
    uint64_t probes_sent;
    uint64_t probes_failed;
    uint64_t indirect_pings_sent;
    uint64_t nacks_received;
    uint64_t heartbeats_sent;
    uint64_t heartbeats_received;
    uint64_t watchers_refused;
    uint64_t silences; /* watched members that phi called silent */
    uint64_t suspicions;
    uint64_t refutations;
    uint64_t pushes_delayed; /* pushes that waited for bytes */
    uint64_t relays_shed;    /* pings for others not sent: too many owed, or a dial too many */
};

struct cv_gossip_protocol {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    struct cv_gossip_config config;
    covey_time tombstone_ttl;
    struct cv_body_table *bodies; /* shared ones; may be NULL */
    covey_time now;               /* of the step */
    uint64_t wall_ms;             /* of the step */
    struct cv_rand rand;
    struct cv_heap heap;
    struct cv_node_registry registry;
    struct cv_gossip_queue queue;
    struct cv_links links;
    struct cv_outbox outbox;
    struct cv_member *self;
    bool is_learning;   /* our old incarnation may still turn up: any that is told is gone past */
    bool is_leaving;    /* we said Left and stay with it */
    bool conflict_told; /* NODE_CONFLICT was said of our own key */
    struct cv_probe_order order;
    uint32_t probing; /* a bit for each probe that is not idle */
    uint32_t sequence;
    struct cv_local_health health;
    double probe_z; /* phi of half the threshold and of all of it, as cv_phi_accrual_reaches()
                       wants them */
    double suspect_z;
    bool is_joining;     /* the list of members is still to come: nobody is chosen before */
    bool was_settled;    /* our first pass over the members is done */
    bool rings_changed;  /* whom to watch is to be chosen anew */
    bool mesh_changed;   /* there may be somebody to be connected with */
    bool warm_changed;   /* so is whom to probe */
    bool is_mesh;        /* everybody is probed */
    uint32_t heartbeats; /* sent so far: the number of the next one */
    struct cv_alarm heartbeat;
    struct cv_alarm tick;
    struct cv_alarm gossip;
    struct cv_alarm settle;
    struct cv_alarm mesh;
    struct cv_bucket settles;        /* choices that may be made */
    struct cv_bucket mesh_dials;     /* dials that may be made to have all members connected */
    size_t mesh_next;                /* index of the member that the pass over all is at, */
    size_t mesh_left;                /* and how many visits it still makes; protocol_warm.c */
    struct cv_relay_share relays;    /* dials that may be made to ping members for others */
    struct cv_relay_share strangers; /* and those whom we are only told of */
    bool has_news;                   /* queued and not yet pushed */
    const covey_node_id *teller;     /* while updates are applied: who sent them */
    bool has_news_from;              /* all of the news came from one peer, who need not be told */
    covey_node_id news_from;
    covey_time push_next;     /* earliest time of the next push */
    size_t push_size;         /* what one may take, by the last one */
    bool is_push_delayed;     /* by want of bytes, and counted */
    struct cv_bucket news;    /* bytes that news may take, pushed or riding on something else */
    covey_time overdue;       /* the missed deadline that showed the last pause */
    covey_time paused_at;     /* when that pause was over; 0: there was none */
    bool has_no_quorum;       /* who joins now does not count for the size of the cluster yet */
    uint32_t deferred_joins;  /* members that do not count yet */
    uint32_t expected_joins;  /* members that now count for the size of the cluster, */
    uint32_t expected_leaves; /* and that no longer do, since somebody looked */
    struct cv_gossip_counters counters;
    struct cv_message_writer writer;
    struct cv_watches watches;
    struct cv_watch_rings rings;
    struct cv_probe probes[CV_PROBES_MAX];
    struct cv_owed_acks owed;
    uint8_t scratch[CV_MAX_MESSAGE_SIZE];
};

struct cv_gossip_protocol_config {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    struct cv_gossip_config gossip;
    uint32_t members_max;
    covey_time tombstone_ttl;
    uint64_t seed;
    uint64_t hash_secret[2];
    covey_time now;
    uint64_t wall_ms;
    struct cv_cluster_node *self;              /* the protocol takes a reference of its own */
    struct cv_body_table *bodies;              /* may be NULL */
    const struct cv_registry_watcher *watcher; /* may be NULL */
};

/* 0 or COVEY_ERR_NO_MEMORY; needs fini in both cases. */
COVEY_MUST_USE int cv_gossip_protocol_init(struct cv_gossip_protocol *p,
                                           const struct cv_gossip_protocol_config *config);
/* Takes in members known from before. 0, or COVEY_ERR_NO_MEMORY or COVEY_ERR_INVALID_ARGUMENT with
 * some of them taken in. */
COVEY_MUST_USE int cv_gossip_protocol_recall(struct cv_gossip_protocol *p,
                                             const struct cv_record *known, size_t count);
/* The same for what is prepared as a roster, of which we are one, and which has our secret. */
COVEY_MUST_USE int cv_gossip_protocol_adopt(struct cv_gossip_protocol *p,
                                            const struct cv_roster *roster);
void cv_gossip_protocol_fini(struct cv_gossip_protocol *p);
/* No probes and no gossip any more. What others ask is still answered. */
void cv_gossip_protocol_stop(struct cv_gossip_protocol *p);

/* --- a step: begin, then reserve or prepare, then change, then finish --- */

/* Takes the time, and notices when it has jumped: our own pause. */
int cv_gossip_protocol_begin(struct cv_gossip_protocol *p, covey_time now, uint64_t wall_ms);
/* Room for what any step without updates brings about. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_LIMIT. */
COVEY_MUST_USE int cv_gossip_protocol_reserve(struct cv_gossip_protocol *p);
/* Pushes what is new to a few members. */
void cv_gossip_protocol_finish(struct cv_gossip_protocol *p);

/* All memory that applying a message's updates can need. */
struct cv_update_plan {
    struct cv_member *members[CV_MAX_UPDATES_PER_MESSAGE]; /* as they were before; NULL: none */
    struct cv_cluster_node *bodies[CV_MAX_UPDATES_PER_MESSAGE]; /* those that are news */
    struct cv_cluster_node *self; /* our own record at the incarnation that it must now have */
};
/* 0, or COVEY_ERR_NO_MEMORY or COVEY_ERR_LIMIT with nothing changed. */
COVEY_MUST_USE int cv_gossip_protocol_prepare(struct cv_gossip_protocol *p,
                                              const covey_node_id *from,
                                              const struct cv_message *message,
                                              struct cv_update_plan *plan);
/* Merges the updates and uses the plan up. */
void cv_gossip_protocol_apply(struct cv_gossip_protocol *p, const covey_node_id *from,
                              const struct cv_message *message, struct cv_update_plan *plan);

/* --- what happened --- */

/* PING, ACK, NACK and PING_REQ, after their updates were applied; others are not its own. */
void cv_gossip_protocol_message(struct cv_gossip_protocol *p, const covey_node_id *from,
                                const struct cv_message *message);
/* The peer is among the links. */
void cv_gossip_protocol_connected(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* It is no longer among them. */
void cv_gossip_protocol_disconnected(struct cv_gossip_protocol *p, const covey_node_id *peer);
void cv_gossip_protocol_dial_failed(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* False for an alarm that is not the protocol's. */
bool cv_gossip_protocol_alarm(struct cv_gossip_protocol *p, struct cv_alarm *alarm);

/* --- what to do --- */

/* Queues news for everybody. Needs a reserve. */
void cv_gossip_protocol_broadcast(struct cv_gossip_protocol *p, enum cv_priority priority,
                                  const struct cv_record *record);
/* Queues our own record. Needs a reserve. */
void cv_gossip_protocol_announce(struct cv_gossip_protocol *p);
/* Up to `count` different connected live members other than `except` (which may be NULL), chosen at
 * random; returns how many. */
size_t cv_gossip_protocol_select_random(struct cv_gossip_protocol *p, const covey_node_id *except,
                                        struct cv_member **out, size_t count);
/* Probes a member out of turn, unless that is under way, or too many are, or we leave. Needs a
 * reserve. */
void cv_gossip_protocol_probe(struct cv_gossip_protocol *p, struct cv_member *m);
/* True while a probe of it is under way, or a ping for somebody waits for its connection. */
bool cv_gossip_protocol_waits_for(struct cv_gossip_protocol *p, const covey_node_id *id);
/* True when a connection with this node is to stay: one of the full mesh, or of the watch rings. */
bool cv_gossip_protocol_is_warm(struct cv_gossip_protocol *p, const covey_node_id *id);
/* Dials a known node that is not connected; false when there is no place for it, or it is kept out.
 * Needs a reserve. */
bool cv_gossip_protocol_dial(struct cv_gossip_protocol *p, struct cv_member *m);
/* Forgets the connection and has it closed. Needs a reserve. */
void cv_gossip_protocol_close(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* It said goodbye itself. Needs a reserve. */
void cv_gossip_protocol_left(struct cv_gossip_protocol *p, struct cv_member *m);
/* Changes a member's status with all that follows from it. Needs a reserve. */
void cv_gossip_protocol_set_status(struct cv_gossip_protocol *p, struct cv_member *m,
                                   const struct cv_node_status *status);
/* A new body of our own, with these tags, that the caller may make ours. */
COVEY_MUST_USE int cv_gossip_protocol_new_self(const struct cv_gossip_protocol *p,
                                               uint64_t incarnation, uint32_t version,
                                               const struct covey_tag *tags, size_t tag_count,
                                               struct cv_cluster_node **out);
void cv_gossip_protocol_emit(struct cv_gossip_protocol *p, enum covey_event_type type,
                             struct cv_member *m);
/* Takes points from a peer that sent nonsense; closes it when it has none left. Needs a reserve. */
void cv_gossip_protocol_charge(struct cv_gossip_protocol *p, const covey_node_id *from,
                               uint32_t cost);

/* Gives the peer our record and asks for all that it knows: the handshake that begins a life in the
 * cluster, and mends one. */
void cv_gossip_protocol_ask(struct cv_gossip_protocol *p, const covey_node_id *to);
/* Begins a message to `to`, in p->writer. What we hold it for comes first when that is not alive.
 */
void cv_gossip_protocol_compose(struct cv_gossip_protocol *p, const covey_node_id *to,
                                const struct cv_message_head *head);
/* Adds what we know of a member to the message, when it fits. */
void cv_gossip_protocol_add(struct cv_gossip_protocol *p, const struct cv_member *m);
/* Fills the message with news and sends it, if the peer is connected. */
void cv_gossip_protocol_post(struct cv_gossip_protocol *p, const covey_node_id *to, bool reliable);

#endif
