#ifndef CV_CLUSTER_GOSSIP_PING_H
#define CV_CLUSTER_GOSSIP_PING_H

#include "base/rand.h"
#include "cluster/alarm.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * Whom to probe, and the probes under way.
 *
 * The order is SWIM's (section 4.3): every member once in each round, the round shuffled anew, a
 * new member put in at a random place of what is left; so each is probed at least once in 2N - 1
 * periods.
 */
struct cv_probe_order {
    const struct cv_alloc *alloc;
    covey_node_id *ids;
    size_t count;
    size_t capacity;
    size_t next;
};

void cv_probe_order_init(struct cv_probe_order *o, const struct cv_alloc *alloc);
void cv_probe_order_fini(struct cv_probe_order *o);
/* Makes sure that `more` further inserts cannot fail. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_probe_order_reserve(struct cv_probe_order *o, size_t more);
void cv_probe_order_insert(struct cv_probe_order *o, const covey_node_id *id, struct cv_rand *rand);
void cv_probe_order_clear(struct cv_probe_order *o);
bool cv_probe_order_has(const struct cv_probe_order *o, const covey_node_id *id);
void cv_probe_order_remove(struct cv_probe_order *o, const covey_node_id *id);
/* Makes a member the next one, for a hint that something is wrong with it. */
void cv_probe_order_hasten(struct cv_probe_order *o, const covey_node_id *id);
/* The next one to probe; false when there is none. */
bool cv_probe_order_next(struct cv_probe_order *o, struct cv_rand *rand, covey_node_id *out);

/*
 * One probe:
 *
 *     IDLE -> DIALLING -> DIRECT -> INDIRECT -> IDLE        an answer ends it at any point
 *        \________________/  ^          ^
 *         already connected  |    no ack in time, or the dial failed
 *                      connected
 */
#define CV_PROBES_MAX 16 /* at once: the slow ones, and one for each that is watched */
#define CV_RELAYS_MAX 8  /* indirect pings for one probe */

enum cv_probe_phase { CV_PROBE_IDLE, CV_PROBE_DIALLING, CV_PROBE_DIRECT, CV_PROBE_INDIRECT };

struct cv_probe {
    struct cv_alarm alarm; /* the end of the phase */
    enum cv_probe_phase phase;
    covey_node_id target;
    uint32_t sequence;
    bool is_urgent; /* of a watch: the target is silent */
    uint32_t relay_count;
    uint32_t nacks; /* a bit for each relay that said it got no answer */
    covey_node_id relays[CV_RELAYS_MAX];
};

/* True when an ack of this sequence number from this peer answers the probe: from the target, or
 * from a node that was asked to ping it. */
bool cv_probe_is_answered(const struct cv_probe *p, uint32_t sequence, const covey_node_id *from);
/* True when it comes from a node that was asked. */
bool cv_probe_is_relay(const struct cv_probe *p, uint32_t sequence, const covey_node_id *from);
/* Notes that a node that was asked got no answer; false when it comes from none or again. */
bool cv_probe_nack(struct cv_probe *p, uint32_t sequence, const covey_node_id *from);
/* How many nodes that were asked did not even say that they got no answer. */
uint32_t cv_probe_missing_nacks(const struct cv_probe *p);

#endif
