#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "cluster/membership.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A cluster of membership cores over a simulated network, in virtual time. One seed decides all
 * that is random, so a run can be had again: sim_hash() tells whether it was the same.
 *
 * The network carries messages, not packets: a datagram message is lost or late as the link is; a
 * reliable one is sent again until it arrives or its connection breaks. A dial takes two round
 * trips. A crashed node says nothing: its peers find out by themselves.
 *
 * After every step of a node the invariants of invariants.c are checked; the first that does not
 * hold stops the run.
 */

struct sim;

struct sim_config {
    uint64_t seed;
    size_t node_count;
    enum cv_profile profile;
    covey_time delay_min; /* one way */
    covey_time delay_max;
    uint32_t loss_permille; /* of messages, and of the flights of a handshake */
    covey_time dial_timeout;
    covey_time idle_timeout; /* until the peers of a crashed node lose the connection; 0: never */
    size_t steps_max;        /* a run that needs more is stuck */
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

/* What a node starts with; each is used until it is set again. */
void sim_set_seeds(struct sim *s, size_t node, const size_t *seeds, size_t count);
void sim_set_clock(struct sim *s, size_t node, int64_t offset_ms); /* of its wall clock */
/* Starts a node that is down. The second time it has the same key. */
void sim_start(struct sim *s, size_t node);
/* The same with another address. */
void sim_start_elsewhere(struct sim *s, size_t node);
void sim_crash(struct sim *s, size_t node);
/* A stopped process: what comes waits until it goes on. */
void sim_pause(struct sim *s, size_t node);
void sim_resume(struct sim *s, size_t node);
int sim_command(struct sim *s, size_t node, enum cv_command_type type, const char *key,
                const char *value);

/* --- network --- */
void sim_cut(struct sim *s, size_t from, size_t to); /* one way */
void sim_cut_pair(struct sim *s, size_t a, size_t b);
void sim_set_side(struct sim *s, size_t node, unsigned side); /* nodes of two sides are apart */
void sim_heal(struct sim *s);                                 /* everything */
void sim_set_loss(struct sim *s, uint32_t permille);
/* A node that other nodes refuse, and that refuses them, with this error. */
void sim_set_refusal(struct sim *s, size_t node, int error);

/* --- what there is to see --- */
const struct cv_membership *sim_membership(const struct sim *s, size_t node);
/* What one node knows of another; NULL when nothing. */
const struct cv_member *sim_view(const struct sim *s, size_t observer, size_t subject);
bool sim_sees(const struct sim *s, size_t observer, size_t subject, enum covey_node_state state);
/* True when every running node holds every running node for alive. */
bool sim_all_alive(const struct sim *s);
/* How often `observer` told this event about `subject`. */
size_t sim_event_count(const struct sim *s, size_t observer, size_t subject,
                       enum covey_event_type type);
/* How often any node told this event. */
size_t sim_event_total(const struct sim *s, enum covey_event_type type);
/* How often a node began to suspect another. */
size_t sim_suspicion_total(const struct sim *s);
/* The error of the node's last JOIN_FAILED. */
int sim_join_error(const struct sim *s, size_t node);
size_t sim_join_attempts(const struct sim *s, size_t node); /* dials and resolves of seeds begun */

/* FNV-1a over every input of every node. */
uint64_t sim_hash(const struct sim *s);
/* What happened, for reading: changes of state, events, faults. Valid until the next run. */
const char *sim_trace(const struct sim *s);
/* What broke first, NULL when nothing did. */
const char *sim_violation(const struct sim *s);

#endif
