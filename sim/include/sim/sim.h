#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "cluster/membership.h"
#include "sim/fault.h"
#include "sim/health.h"
#include "sim/invariant.h"
#include "sim/liar.h"
#include "sim/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A cluster of membership cores over a simulated network, in virtual time. One seed decides all
 * that is random, so a run can be had again: sim_hash() tells whether it was the same.
 *
 * The network is a graph of links that delay, lose, double and reorder packets. A datagram message
 * is one packet; a reliable one is sent again until it arrives or its connection breaks. A dial
 * takes two round trips and keeps both sides busy for the time of a handshake. A connection breaks
 * when a side has heard nothing for the idle timeout, so a crashed node says nothing: its peers find
 * out by themselves. Bytes are counted as a real network has them (cost.h).
 *
 * After every step of a node what it changed is checked (invariant.h); the first invariant that
 * does not hold stops the run.
 */

struct sim;

struct sim_config {
    uint64_t seed;
    size_t node_count;
    enum cv_profile profile;
    covey_time delay_min; /* one way */
    covey_time delay_max;
    uint32_t loss_permille; /* of packets, those of a handshake too */
    covey_time dial_timeout;
    covey_time idle_timeout; /* a connection without a packet for so long is lost; 0: never */
    covey_time handshake_cpu;
    bool has_full_views; /* nodes know each other from the start, as after a full join */
    bool is_always_well; /* nodes have no doubts about their own health: to see what these change */
    bool is_unwatched;   /* nodes get no heartbeats: probes alone find the dead */
    bool is_hasty;       /* suspicions have their least length, confirmed or not */
    bool is_load_free;   /* G7 is measured and may break: for storms that it is not made for */
    size_t steps_max;    /* a run that needs more is stuck */
    size_t events_max;   /* so much may be under way at once */
};

/* A quiet local network. */
struct sim_config sim_config_default(uint64_t seed, size_t node_count);

/* Never NULL; the nodes are down. */
struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim *s);

/* --- time --- */
covey_time sim_now(const struct sim *s);
/* Runs all that happens up to `time` or for `length`; false when an invariant broke. */
bool sim_run_until(struct sim *s, covey_time time);
bool sim_run_for(struct sim *s, covey_time length);
/* Runs until `is_done` or for `length`; true when it is done and nothing broke. */
bool sim_run_while_not(struct sim *s, bool (*is_done)(struct sim *s, void *user), void *user,
                       covey_time length);

/* --- nodes, numbered from 0, named "n0" and so on --- */

/* What a node starts with; each is used until it is set again. At most 16 seeds. */
void sim_set_seeds(struct sim *s, size_t node, const size_t *seeds, size_t count);
/* Of its wall clock, from now on. */
void sim_set_clock(struct sim *s, size_t node, int64_t offset_ms);
/* Starts a node that is down. The second time it has the same key. */
void sim_start(struct sim *s, size_t node);
/* The same with another address. */
void sim_start_elsewhere(struct sim *s, size_t node);
void sim_crash(struct sim *s, size_t node);
/* A stopped process: what comes waits until it goes on. */
void sim_pause(struct sim *s, size_t node);
void sim_resume(struct sim *s, size_t node);
/* A process that runs, while what it sends and what comes to it waits; all of that goes through at
 * once when it is released. */
void sim_hold(struct sim *s, size_t node);
void sim_release(struct sim *s, size_t node);
/* All nodes that run stop for so long and go on together, like machines that are suspended. Days cost
 * no more than seconds. False when an invariant broke. */
bool sim_sleep(struct sim *s, covey_time length);
int sim_command(struct sim *s, size_t node, enum cv_command_type type, const char *key,
                const char *value);

/* --- network --- */
void sim_cut(struct sim *s, size_t from, size_t to); /* one way */
void sim_cut_pair(struct sim *s, size_t a, size_t b);
void sim_set_side(struct sim *s, size_t node, unsigned side); /* nodes of two sides are apart */
void sim_heal(struct sim *s);                                 /* cuts, sides and single links */
void sim_set_loss(struct sim *s, uint32_t permille);          /* of packets, on all links */
void sim_set_message_loss(struct sim *s, uint32_t permille);
/* What all links are like but those that are set apart. */
struct sim_link sim_links(const struct sim *s);
void sim_set_links(struct sim *s, const struct sim_link *link);
void sim_set_link(struct sim *s, size_t from, size_t to, const struct sim_link *link);
/* A node that other nodes refuse, and that refuses them, with this error. */
void sim_set_refusal(struct sim *s, size_t node, int error);

/* --- what there is to see --- */
size_t sim_node_count(const struct sim *s);
const struct cv_membership *sim_membership(const struct sim *s, size_t node); /* NULL: down */
/* What one node knows of another; NULL when nothing. */
const struct cv_member *sim_view(const struct sim *s, size_t observer, size_t subject);
bool sim_sees(const struct sim *s, size_t observer, size_t subject, enum covey_node_state state);
/* True when every running node holds every running node for alive. Cheap when called again. */
bool sim_all_alive(struct sim *s);
/* How often `observer` told this event about `subject`; up to SIM_SMALL nodes. */
size_t sim_event_count(const struct sim *s, size_t observer, size_t subject,
                       enum covey_event_type type);
/* How often any node told this event. */
size_t sim_event_total(const struct sim *s, enum covey_event_type type);
/* How often a node began to suspect another. */
size_t sim_suspicion_total(const struct sim *s);
/* The error of the node's last JOIN_FAILED. */
int sim_join_error(const struct sim *s, size_t node);
size_t sim_join_attempts(const struct sim *s, size_t node); /* dials and resolves of seeds begun */

/* What became of the last crash of a node. COVEY_NEVER: it did not come to that. */
struct sim_death {
    covey_time at;
    covey_time first_suspect;
    covey_time first_failed;
    covey_time all_failed; /* at every node that runs */
};
struct sim_death sim_death(const struct sim *s, size_t node);

/* How the last tags that a node gave itself spread. COVEY_NEVER as above. */
struct sim_spread {
    covey_time at;
    covey_time all; /* every node that runs shows them */
};
struct sim_spread sim_tag_spread(const struct sim *s, size_t node);

struct sim_totals {
    uint64_t steps;
    uint64_t events; /* that happened: steps, and packets that were lost or tried again */
    uint64_t messages_sent;
    uint64_t bytes_sent; /* with all headers, acknowledgements and handshakes */
    uint64_t handshakes;
    uint64_t suspicions;
    uint64_t failures;
    uint64_t false_failed;     /* transitions to failed about a node that runs and can be reached */
    uint64_t period_bytes_max; /* the most that a node sent in a period, as G7 counts */
    covey_time healed_at;      /* of the last sim_heal() or sim_resume(); COVEY_NEVER: none */
    covey_time whole_at;       /* all saw all again after it; COVEY_NEVER: not yet */
    uint64_t checks;           /* of invariants */
    uint64_t violations;       /* 0 or 1: the first stops the run */
    uint64_t hash;
};
struct sim_totals sim_totals(const struct sim *s);
/* Bytes sent by one node, with all headers. */
uint64_t sim_bytes_sent(const struct sim *s, size_t node);
uint64_t sim_messages_sent(const struct sim *s, size_t node);

/* `change` is told of each transition of what a node thinks of another; NULL is a node that it does
 * not know. It must not change the simulation. One at a time; NULL ends it. */
typedef void (*sim_change_fn)(void *user, size_t observer, size_t subject,
                              const enum covey_node_state *before,
                              const enum covey_node_state *after);
void sim_on_change(struct sim *s, sim_change_fn change, void *user);

/* FNV-1a over every input of every node. */
uint64_t sim_hash(const struct sim *s);
/* What happened, for reading: changes of state, events, faults; up to SIM_SMALL nodes. Valid until
 * the next run. */
const char *sim_trace(const struct sim *s);
/* What broke first, NULL when nothing did. */
const char *sim_violation(const struct sim *s);

#endif
