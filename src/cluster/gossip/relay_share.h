#ifndef CV_CLUSTER_GOSSIP_RELAY_SHARE_H
#define CV_CLUSTER_GOSSIP_RELAY_SHARE_H

#include "base/bucket.h"

#include <covey/types.h>

/*
 * The dials that may be made to ping members for others, shared fairly between those who ask: so many
 * at once and then one in so many periods for all of them, half of that at once and then a quarter as
 * often for one alone. So one that asks without end leaves three of four dials to the others, and two of
 * those that wait for a burst; it takes four such to leave none.
 *
 *     all    | | |.|.|                     CV_RELAY_DIALS, then one in CV_RELAY_PERIODS
 *     asker  | |.|      asker  |.|.|       CV_RELAY_SHARE, then one in CV_RELAY_ASKERS * CV_RELAY_PERIODS
 *
 * A dead member has some dozen accusers who ask three others each, so each of those has one or two to
 * make, for different askers mostly.
 */
#define CV_RELAY_DIALS   4
#define CV_RELAY_PERIODS 8
#define CV_RELAY_SHARE   2
#define CV_RELAY_ASKERS  4

/* An asker is forgotten when his share is whole again, which takes CV_RELAY_SHARE times as long as
 * his dial; in that time no more dials than these are made, whoever asks. */
#define CV_RELAY_NOTES (CV_RELAY_DIALS + CV_RELAY_SHARE * CV_RELAY_ASKERS + 1)

struct cv_relay_note {
    covey_node_id asker;
    struct cv_bucket left;
};

struct cv_relay_share {
    struct cv_bucket all;
    struct cv_relay_note notes[CV_RELAY_NOTES];
};

void cv_relay_share_init(struct cv_relay_share *s, covey_time protocol_period, covey_time now);
/* Whether a dial may be made now because `asker` wants it; if so, it is counted. */
bool cv_relay_share_take(struct cv_relay_share *s, const covey_node_id *asker, covey_time now);

#endif
