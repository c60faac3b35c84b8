#ifndef SIM_MEMBERLIST_INTERNAL_H
#define SIM_MEMBERLIST_INTERNAL_H

#include "sim/memberlist.h"

#include "base/rand.h"

#include <assert.h>

/*
 * What a node thinks of another, in 16 bits:
 *
 *     15                    4   3      2     0
 *     +----------------------+------+--------+
 *     |     incarnation      |queued| state  |
 *     +----------------------+------+--------+
 *
 * `queued` says that a broadcast about it waits. The dead and those who left grow old: then no
 * gossip goes to them, and the next round of probes forgets them.
 */
enum view_state {
    VIEW_UNKNOWN,
    VIEW_ALIVE,
    VIEW_SUSPECT,
    VIEW_DEAD,
    VIEW_LEFT,
    VIEW_DEAD_OLD,
    VIEW_LEFT_OLD
};

#define VIEW_QUEUED      8u
#define INCARNATION_MAX  4095u
#define PACKET_ITEMS_MAX 255u

struct probe {
    bool is_running;
    bool has_asked; /* the indirect pings are out */
    bool is_stuck;  /* in sending */
    bool has_stream_ack;
    uint16_t target;
    uint16_t incarnation;
    uint32_t seq;
    uint32_t nacks_expected;
    uint32_t nacks;
    covey_time ask_at;
    covey_time end_at;
};

/* A ping on behalf of another node. */
struct relay {
    uint32_t seq;
    uint32_t their_seq;
    uint16_t requester;
    covey_time end_at;
};

struct suspicion {
    uint16_t subject;
    uint8_t wanted; /* confirmations */
    uint8_t count;  /* accusers, the first among them */
    uint16_t accusers[SIM_MEMBERLIST_ACCUSERS_MAX + 1];
    covey_time start;
    covey_time min;
    covey_time end_at;
};

struct death {
    uint16_t subject;
    uint16_t incarnation;
    covey_time since;
};

struct broadcast {
    struct sim_memberlist_item item;
    uint16_t transmits;
    uint16_t size;
    uint64_t number; /* grows with each */
};

struct packet {
    uint16_t peer;
    bool is_stream;
    bool is_change;
    size_t wire_size;
    size_t first; /* in the items, or the change itself there */
    size_t count;
};

struct sim_memberlist {
    const struct sim_memberlist_config *config;
    struct cv_rand rand;
    covey_time now;
    uint16_t self;
    bool is_leaving;
    bool is_blocked;
    bool is_gossip_stuck; /* likewise */
    uint32_t score;
    uint32_t last_seq;
    uint16_t *views; /* of each node of the run */
    uint16_t *list;  /* the known ones, in the order of probing */
    uint32_t list_count;
    uint32_t list_capacity;
    uint32_t list_index; /* the next to be probed */
    struct probe probe;
    bool is_tick_waiting;
    covey_time probe_tick;
    covey_time gossip_tick;
    bool is_push_pull_begun; /* the random pause of the start is over */
    covey_time push_pull_at;
    struct relay *relays; /* oldest first */
    size_t relay_count, relay_capacity;
    struct suspicion *suspicions; /* by subject */
    size_t suspicion_count, suspicion_capacity;
    covey_time suspicion_end; /* no suspicion ends before */
    struct death *deaths;     /* oldest first, those before death_first are done with */
    size_t death_first, death_count, death_capacity;
    struct broadcast *queue; /* in the order of sending */
    size_t queue_count, queue_capacity;
    uint64_t last_broadcast;
    struct packet *packets;
    size_t packet_first, packet_count, packet_capacity;
    struct sim_memberlist_item *items;
    size_t item_count, item_capacity;
};

static inline enum view_state memberlist_view(const struct sim_memberlist *m, uint16_t subject)
{
    assert(subject < m->config->node_count);
    return (enum view_state)(m->views[subject] & 7u);
}

static inline uint16_t memberlist_incarnation(const struct sim_memberlist *m, uint16_t subject)
{
    return (uint16_t)(m->views[subject] >> 4);
}

static inline bool memberlist_is_gone(enum view_state state)
{
    return state >= VIEW_DEAD;
}

/* memberlist.c */

/* Room for one more behind `count` items of `size` bytes; aborts when there is none. */
void *memberlist_grow(void *items, size_t count, size_t *capacity, size_t size);
/* Without telling anybody. */
void memberlist_set_view(struct sim_memberlist *m, uint16_t subject, enum view_state state,
                         uint32_t incarnation);
void memberlist_put_change(struct sim_memberlist *m, uint16_t subject);
void memberlist_adjust_score(struct sim_memberlist *m, int delta);

/* memberlist_list.c: who is known, and choosing among them */
void memberlist_list_add(struct sim_memberlist *m, uint16_t subject);
void memberlist_list_shuffle(struct sim_memberlist *m);
void memberlist_died(struct sim_memberlist *m, uint16_t subject);
/* The dead of long ago become old. */
void memberlist_age(struct sim_memberlist *m);
/* Forgets the old and shuffles: a round of probes has ended. */
void memberlist_begin_round(struct sim_memberlist *m);
/* Up to `count` different nodes, not this one and not `except`, alive or, with `gossip`, all that
 * gossip goes to. Returns how many. */
uint32_t memberlist_choose(struct sim_memberlist *m, uint32_t count, uint16_t except, bool gossip,
                           uint16_t *chosen);

/* memberlist_rules.c: what messages about nodes do */
void memberlist_alive(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation);
void memberlist_suspect(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation,
                        uint16_t from);
void memberlist_dead(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation,
                     uint16_t from);
void memberlist_update(struct sim_memberlist *m);
void memberlist_leave(struct sim_memberlist *m);
void memberlist_merge(struct sim_memberlist *m, const struct sim_memberlist_item *record);

/* memberlist_suspicion.c */
void memberlist_suspicion_begin(struct sim_memberlist *m, uint16_t subject, uint16_t from);
/* True when it is news that `from` accuses it too. */
bool memberlist_suspicion_confirm(struct sim_memberlist *m, uint16_t subject, uint16_t from);
void memberlist_suspicion_end(struct sim_memberlist *m, uint16_t subject);
void memberlist_suspicion_expire(struct sim_memberlist *m);

/* memberlist_probe.c */
void memberlist_probe_advance(struct sim_memberlist *m);
covey_time memberlist_probe_deadline(const struct sim_memberlist *m);
void memberlist_probe_message(struct sim_memberlist *m, const struct sim_memberlist_item *item,
                              uint16_t peer, bool is_stream);

/* memberlist_queue.c */
void memberlist_queue_push(struct sim_memberlist *m, const struct sim_memberlist_item *item);
/* Appends what fits into `free` bytes to the items of the packet being built. */
void memberlist_queue_take(struct sim_memberlist *m, size_t free);

/* memberlist_wire.c: building packets */
void memberlist_send(struct sim_memberlist *m, uint16_t peer,
                     const struct sim_memberlist_item *item); /* with broadcasts */
void memberlist_send_pair(struct sim_memberlist *m, uint16_t peer,
                          const struct sim_memberlist_item *first,
                          const struct sim_memberlist_item *second);
/* Broadcasts alone; false when there are none. */
bool memberlist_send_gossip(struct sim_memberlist *m, uint16_t peer);
/* One item on a stream that this node dials, or that it answers on. */
void memberlist_send_stream(struct sim_memberlist *m, uint16_t peer, bool dials,
                            const struct sim_memberlist_item *item);
/* A PUSH or PULL with all that is known. */
void memberlist_send_records(struct sim_memberlist *m, uint16_t peer,
                             enum sim_memberlist_kind kind);
void memberlist_put_item(struct sim_memberlist *m, const struct sim_memberlist_item *item);

#endif
