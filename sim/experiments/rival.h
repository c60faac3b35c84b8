#ifndef SIM_EXPERIMENTS_RIVAL_H
#define SIM_EXPERIMENTS_RIVAL_H

#include "sim/link.h"
#include "sim/memberlist.h"

#include <stdbool.h>

/*
 * A cluster of the model of memberlist over the same kind of network as the real core has: one-way
 * delays drawn from the same range, datagrams lost with the same chances, nodes paused and crashed.
 * A stream of TCP takes a round trip to open; what is lost of it is sent again after 1, 2 and 4 s,
 * and it is given up after 10 s.
 *
 * Of a link its delays and its loss are used. Aborts when memory runs out.
 */
struct rival;

/* `config` is borrowed until the end. With full views all know each other from the start. Nodes
 * start at random moments of the first second, which is over when this returns. */
struct rival *rival_new(const struct sim_memberlist_config *config, uint64_t seed,
                        const struct sim_link *link, bool has_full_views);
void rival_free(struct rival *r);

covey_time rival_now(const struct rival *r);
void rival_run_until(struct rival *r, covey_time time);
void rival_run_for(struct rival *r, covey_time length);

void rival_join(struct rival *r, uint16_t node, uint16_t seed);
void rival_update(struct rival *r, uint16_t node);
void rival_crash(struct rival *r, uint16_t node);
/* What comes waits until it goes on. */
void rival_pause(struct rival *r, uint16_t node);
void rival_resume(struct rival *r, uint16_t node);
/* Its timers go on; what it sends and what comes waits, and then goes through at once. */
void rival_hold(struct rival *r, uint16_t node);
void rival_release(struct rival *r, uint16_t node);
/* Of all packets, in a thousand; 1000 is a cut. Of those that the node sends, or gets. */
void rival_set_loss(struct rival *r, uint32_t permille);
void rival_set_loss_from(struct rival *r, uint16_t node, uint32_t permille);
void rival_set_loss_to(struct rival *r, uint16_t node, uint32_t permille);
/* Packets from and to the node are under way for up to so much longer, at random. */
void rival_set_delay(struct rival *r, uint16_t node, covey_time max);

/* Told of each change of what a node thinks of another, before the view is changed back by a later
 * one; must not change the cluster. */
typedef void (*rival_change_fn)(void *user, uint16_t observer, uint16_t subject,
                                enum sim_memberlist_state state, uint16_t incarnation);
void rival_on_change(struct rival *r, rival_change_fn change, void *user);

const struct sim_memberlist *rival_node(const struct rival *r, uint16_t node); /* NULL: crashed */
/* Sent by all so far: packets of gossip and probes, streams as one each; bytes with all headers. */
uint64_t rival_messages(const struct rival *r);
uint64_t rival_bytes(const struct rival *r);

#endif
