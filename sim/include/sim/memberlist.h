#ifndef SIM_MEMBERLIST_H
#define SIM_MEMBERLIST_H

#include <covey/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rules of hashicorp/memberlist as a machine with the same door as our membership core: an
 * input steps it, outputs are polled, a deadline says when it wants to be stepped next. It is there
 * to be compared with: the same faults, the same network, the same observer.
 *
 * Modelled, with the numbers of its LAN profile:
 *  - probes in a shuffled round over the list of nodes, new ones inserted at a random place; an ack
 *    within 500 ms, else three indirect pings with nacks and a ping over a stream, until the probe
 *    interval ends; a probe of a node that is not alive carries the suspicion to it
 *  - ticks of Go: one that comes while a probe runs waits, further ones are lost; all ticks keep
 *    the phase of the start
 *  - Lifeguard: the score of 0 to 7 stretches the interval of a probe, not its timeout; the
 *    suspicion shrinks from its maximum to its minimum with confirmations of others
 *  - suspect, alive and dead messages with their rules about incarnations, refutation, the goodbye
 *  - the queue of broadcasts: one a subject, those sent least first, large ones first among equals,
 *    what fits into 1400 bytes, each up to mult * ceil(log10(n + 1)) times; they ride on pings,
 *    indirect pings, acks and nacks, and go to three random nodes every 200 ms
 *  - push-pull with a random alive node, its interval scaled with the nodes; what is dead or
 *    suspect there becomes suspect here
 *  - the dead hear gossip for 30 s, then leave the list when a round of probes ends
 *
 * Not modelled: names (a node is its number), changed addresses, protocol versions, delegates, user
 * messages, labels, encryption; the queues between its goroutines, their order (last in, first out,
 * alive messages before others) and their overflow; the limit of 128 push-pulls at once; the time
 * that a push-pull and the dial of a stream take, which is the network's to add; errors of sending;
 * a node that starts again with other meta data and the same incarnation; a second broadcast about
 * oneself beside a refutation, which memberlist has because it names that one by the address.
 *
 * Meta data is as large as the config says, and its version is the incarnation. Incarnations reach
 * 4095: a run that needs more is outside of this model and asserts.
 *
 * Wire sizes are computed, not measured by encoding: the encoding is a map of field names, so a
 * message's size follows from the numbers in it (memberlist_wire.c). Compression is a fit, see
 * there.
 *
 * Memory: 4 bytes for each node that is known, 400 MB for 10,000 nodes that all know each other.
 * A node aborts when memory runs out: it is a tool for tests. Not thread-safe.
 */

#define SIM_MEMBERLIST_NODES_MAX 65535u
/* More independent accusers than this are never asked for. */
#define SIM_MEMBERLIST_ACCUSERS_MAX 8u

struct sim_memberlist_config {
    uint32_t node_count; /* of the whole run; nodes are numbered from 0 */
    uint32_t name_size;  /* of each name, for wire sizes */
    uint32_t meta_size;
    covey_time probe_interval;
    covey_time probe_timeout;
    uint32_t indirect_checks;
    bool has_stream_pings;
    uint32_t suspicion_mult;
    uint32_t suspicion_max_mult;
    uint32_t awareness_max;
    uint32_t gossip_nodes;
    covey_time gossip_interval;
    covey_time gossip_to_the_dead;
    uint32_t retransmit_mult;
    covey_time push_pull_interval;
    uint32_t packet_size;
    bool has_compression;
};

/* DefaultLANConfig(): names of 10 bytes, no meta data. */
struct sim_memberlist_config sim_memberlist_config_lan(uint32_t node_count);

enum sim_memberlist_state {
    SIM_MEMBERLIST_UNKNOWN,
    SIM_MEMBERLIST_ALIVE,
    SIM_MEMBERLIST_SUSPECT,
    SIM_MEMBERLIST_DEAD,
    SIM_MEMBERLIST_LEFT
};

enum sim_memberlist_kind {
    SIM_MEMBERLIST_PING,
    SIM_MEMBERLIST_INDIRECT_PING,
    SIM_MEMBERLIST_ACK,
    SIM_MEMBERLIST_NACK,
    SIM_MEMBERLIST_SUSPECT_MESSAGE,
    SIM_MEMBERLIST_ALIVE_MESSAGE,
    SIM_MEMBERLIST_DEAD_MESSAGE,
    SIM_MEMBERLIST_PUSH, /* RECORD items follow; to be answered by a PULL with those of the other */
    SIM_MEMBERLIST_PULL,
    SIM_MEMBERLIST_RECORD
};

/* One message; a packet holds one or more, in order. May be copied as bytes. */
struct sim_memberlist_item {
    uint32_t seq;     /* of pings and what answers them; of PUSH and PULL: how many records */
    uint16_t subject; /* whom it is about; of a ping: whom it is for */
    uint16_t from;    /* of SUSPECT and DEAD: who says so */
    uint16_t incarnation;
    uint8_t kind;
    uint8_t state; /* of RECORD */
};

enum sim_memberlist_input_type {
    SIM_MEMBERLIST_INPUT_TIME,
    SIM_MEMBERLIST_INPUT_MESSAGE, /* `peer` sent `items`, as its output had them */
    SIM_MEMBERLIST_INPUT_JOIN,    /* push-pull with `peer` now */
    SIM_MEMBERLIST_INPUT_UPDATE,  /* it has new meta data */
    SIM_MEMBERLIST_INPUT_LEAVE    /* it says goodbye and refutes nothing from now on */
};

struct sim_memberlist_input {
    covey_time now; /* never before that of the input before */
    enum sim_memberlist_input_type type;
    uint16_t peer;
    bool is_stream;
    const struct sim_memberlist_item *items; /* borrowed for the call */
    size_t count;
};

enum sim_memberlist_output_type { SIM_MEMBERLIST_OUTPUT_SEND, SIM_MEMBERLIST_OUTPUT_CHANGE };

struct sim_memberlist_output {
    enum sim_memberlist_output_type type;
    /* SEND: a datagram, or a stream of TCP, which the network has to deliver or give up */
    uint16_t peer;
    bool is_stream;
    size_t wire_size;                        /* with all headers of IPv4, UDP and TCP */
    const struct sim_memberlist_item *items; /* valid until the next step */
    size_t count;
    /* CHANGE: what it thinks of `subject` from now on */
    uint16_t subject;
    enum sim_memberlist_state state;
    uint16_t incarnation;
};

struct sim_memberlist;

/*
 * Node `self`, started at `now`, knowing itself. `config` is borrowed until it is freed and may be
 * shared by all nodes. `seed` decides its choices.
 */
struct sim_memberlist *sim_memberlist_new(const struct sim_memberlist_config *config, uint16_t self,
                                          covey_time now, uint64_t seed);
void sim_memberlist_free(struct sim_memberlist *m);

/* Before the first step: as if it had long known nodes 0 to count - 1, alive with incarnation 1,
 * and had told everybody of itself. */
void sim_memberlist_assume(struct sim_memberlist *m, uint32_t count);

/* All outputs of the step before must have been polled. */
void sim_memberlist_step(struct sim_memberlist *m, const struct sim_memberlist_input *input);
/* Takes the next output, in order; false when there is none. */
bool sim_memberlist_poll(struct sim_memberlist *m, struct sim_memberlist_output *output);
/* When it wants to be stepped without a message. */
covey_time sim_memberlist_deadline(const struct sim_memberlist *m);

/*
 * Its sends and receives block, or go on: messages are the network's to hold back, but a goroutine that
 * sends stays where it is. So the probe that begins, or asks others, waits with all that follows, while
 * its time runs out; gossip and push-pulls wait; suspicions end in time. To be stepped with TIME at
 * once when it goes on.
 */
void sim_memberlist_block(struct sim_memberlist *m, bool is_blocked);

enum sim_memberlist_state sim_memberlist_state(const struct sim_memberlist *m, uint16_t subject);
uint16_t sim_memberlist_incarnation(const struct sim_memberlist *m, uint16_t subject);
/* How many it counts, itself and the dead in its list among them. */
uint32_t sim_memberlist_count(const struct sim_memberlist *m);
/* Lifeguard's score of its own health: 0 is well. */
uint32_t sim_memberlist_score(const struct sim_memberlist *m);
/* How many broadcasts wait. */
size_t sim_memberlist_queued(const struct sim_memberlist *m);

/* --- the formulas --- */

/* The least time between suspect and dead among n nodes. */
covey_time sim_memberlist_suspicion_min(const struct sim_memberlist_config *config, uint32_t n);
/* The time between suspect and dead after this many of `wanted` confirmations. */
covey_time sim_memberlist_suspicion_length(uint32_t confirmations, uint32_t wanted, covey_time min,
                                           covey_time max);
uint32_t sim_memberlist_retransmit_limit(const struct sim_memberlist_config *config, uint32_t n);
covey_time sim_memberlist_push_pull_time(const struct sim_memberlist_config *config, uint32_t n);
/* A message as it is encoded, without any header. */
size_t sim_memberlist_item_size(const struct sim_memberlist_config *config,
                                const struct sim_memberlist_item *item);

#endif
