#ifndef CV_CLUSTER_PARTITION_DETECTOR_H
#define CV_CLUSTER_PARTITION_DETECTOR_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * Is this node on a side of the cluster that may decide? It compares the members that it sees
 * alive, itself among them, with those that are expected: all that ever joined and did not leave. A
 * failure takes nobody out of the expected, so the sides of a cut share one idea of the whole, and
 * with a quorum of half or more at most one of them has it.
 *
 *              has quorum
 *     Unknown -----------> Healthy <-----------------------+
 *        |                    |                            | quorum for `settle`
 *        | no quorum          | no quorum                  |
 *        +------> Suspect <---+          Suspect or Partitioned
 *                    |
 *                    +----> Partitioned    no quorum for `grace` without a break
 *
 * Quorum is 100 * alive > quorum_percent * expected, in integers: an exact share is too little. The
 * one exception is the tie-break: of an even split at 50 % the side with the lowest id of all
 * expected members has the quorum.
 *
 * What it cannot see: a side without quorum that takes in new members grows, 2 of 5 to 4 of 7,
 * while the other still has 3 of 5. To keep one majority at most, the owner lets nobody join while
 * it has none, or the size is set by hand.
 *
 * Pure; knows no clock. The owner tells what changed, and ticks when the deadline has come; `now`
 * never runs backwards. What is told wins over a deadline that was missed: after a pause of our
 * own, hearing of a quorum in time ends the lack. A call makes one change of state at most and says
 * so, so that each can become one event.
 */
enum cv_partition_state {
    CV_PARTITION_UNKNOWN, /* not joined: nothing was told yet */
    CV_PARTITION_HEALTHY,
    CV_PARTITION_SUSPECT, /* no quorum, but not for long, or it came back a moment ago */
    CV_PARTITION_PARTITIONED
};

struct cv_partition_config {
    /* 1 to 99. Below 50 both sides of a cut may have quorum. */
    uint32_t quorum_percent;
    covey_time grace;  /* not 0: how long quorum may be missing */
    covey_time settle; /* how long it must be back to count; a protocol period */
    bool tie_break;
    bool read_only_on_partition; /* nothing but a part of the status */
};

struct cv_partition_detector {
    struct cv_partition_config config;
    enum cv_partition_state state;
    bool has_quorum;      /* at the last update */
    bool holds_lowest_id; /* likewise */
    uint32_t alive;       /* likewise; 0 before the first */
    uint32_t learnt;      /* the expected size as joins and leaves have it, at least 1 */
    uint32_t set_by_hand; /* goes before `learnt` unless it is 0 */
    covey_time since;     /* has_quorum is what it is since then */
};

struct cv_partition_status {
    enum cv_partition_state state;
    /* Suspect: how long until Partitioned if quorum stays away; all of `grace` while it is back,
     * and 0 from the deadline until the tick. Else 0. */
    covey_time grace_remaining;
    covey_time grace_ends; /* when that is 0; COVEY_NEVER while it does not run down */
    /* Fewer than half of the expected are alive, or just half and the tie-break is not ours. False
     * while Unknown. */
    bool minority;
    uint32_t alive;
    uint32_t expected;
    uint32_t quorum; /* the least number of alive members that is one, tie-break apart */
    bool read_only;  /* Partitioned, and that is to mean read-only */
};

/* Unknown; this node alone is expected. */
void cv_partition_detector_init(struct cv_partition_detector *d,
                                const struct cv_partition_config *config);

/* The expected size: a member joined that never did before, or one that joined has left. The status
 * shows it at once; the state is judged by it from the next update on. */
void cv_partition_detector_joined(struct cv_partition_detector *d);
void cv_partition_detector_left(struct cv_partition_detector *d);
/* Sets the expected size by hand: joins and leaves move it no more. 0 goes back to what was learnt,
 * meanwhile too. Judged from the next update on. */
void cv_partition_detector_set_expected(struct cv_partition_detector *d, uint32_t expected);

/*
 * So many members are alive, this node included, at least 1; and is the one with the lowest id of
 * all expected (failed ones too) among them? To be called for the first time when the node has
 * joined, and then after each change of this or of the expected size. True when the state changed.
 */
bool cv_partition_detector_update(struct cv_partition_detector *d, covey_time now, uint32_t alive,
                                  bool holds_lowest_id);
/* Time has passed. True when the state changed. */
bool cv_partition_detector_tick(struct cv_partition_detector *d, covey_time now);
/* When a tick will change the state, if nothing else is told; COVEY_NEVER when none will. */
covey_time cv_partition_detector_deadline(const struct cv_partition_detector *d);

struct cv_partition_status cv_partition_detector_status(const struct cv_partition_detector *d,
                                                        covey_time now);

#endif
