#ifndef SIM_LIAR_H
#define SIM_LIAR_H

#include <covey/node.h>
#include <covey/types.h>
#include <stddef.h>
#include <stdint.h>

struct sim;

/*
 * A member that lies: beside its core, which behaves, it sends what it makes up on the connections
 * that it has. While anybody lies, M2 and T1 hold for what honest nodes say only, and nothing is
 * promised about time (M9 to M14).
 */
enum sim_lie {
    SIM_LIE_SUSPECT,   /* about another: incarnation known, known + 1, 2^32, 2^63, 2^64 - 1 */
    SIM_LIE_FAILED,    /* likewise */
    SIM_LIE_LEFT,      /* likewise */
    SIM_LIE_ADDRESS,   /* another is alive, a little later and somewhere else */
    SIM_LIE_STRANGER,  /* nodes that do not exist */
    SIM_LIE_MALFORMED, /* bytes that are no message */
    SIM_LIE_REPLAY,    /* what it was told ten minutes ago, or as long ago as it can */
    SIM_LIE_COUNT
};

const char *sim_lie_name(enum sim_lie lie);

/* The node tells such lies, a bit of `lies` for each kind, each `interval`, until it crashes or
 * stops. */
void sim_lie(struct sim *s, size_t node, unsigned lies, covey_time interval);
/* One lie of a liar's, to all that it is connected with: the other one is in such a state. */
void sim_forge(struct sim *s, size_t liar, size_t victim, enum covey_node_state state,
               uint64_t incarnation);
void sim_stop_lying(struct sim *s, size_t node);
/* How many lies of the kind were told. */
uint64_t sim_lie_count(const struct sim *s, enum sim_lie lie);

#endif
