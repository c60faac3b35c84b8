#ifndef COVEY_PARTITION_H
#define COVEY_PARTITION_H

#include <stdbool.h>

#include <covey/types.h>

COVEY_BEGIN

/*
 * Is this node on a side of the cluster that may decide? It compares the members that it sees alive
 * with those that are expected: all that ever joined and did not leave. One that fails stays
 * expected, so of the two sides of a cut at most one has a quorum of more than half.
 *
 *                quorum
 *     unknown ----------> healthy <-------------------+
 *        |                   | no quorum              | quorum for a protocol period
 *        +----> suspect <----+             suspect or partitioned
 *                  |
 *                  +----> partitioned   no quorum for the whole grace time
 */
enum covey_partition_state {
    COVEY_PARTITION_UNKNOWN = 0, /* not joined, or left */
    COVEY_PARTITION_HEALTHY = 1,
    COVEY_PARTITION_SUSPECT = 2, /* no quorum, but not for long, or it came back a moment ago */
    COVEY_PARTITION_PARTITIONED = 3
};

/* "unknown", "healthy", "suspect", "partitioned"; "?" for anything else. */
COVEY_API const char *covey_partition_state_name(enum covey_partition_state state);

struct covey_partition_status {
    size_t size; /* of this struct as the caller knows it: sizeof(struct covey_partition_status) */
    enum covey_partition_state state;
    /* Suspect: how long until Partitioned if the quorum stays away; all of the grace time while it
     * is back. Else 0. */
    covey_time grace_remaining;
    uint32_t alive;    /* members that count, this node included */
    uint32_t expected; /* that there should be */
    uint32_t quorum;   /* so many must be alive; of an even split with tie_break one less will do */
    bool minority;     /* fewer than half are alive, or just half and the tie-break is not ours */
    bool read_only; /* only methods marked read_only are served now, and tags cannot be changed */
};

/* What is left out (zero) has its default. */
struct covey_partition_config {
    uint32_t quorum_percent; /* 50: more than this share must be alive; 1 to 99. Below 50 both sides
                                of a cut may have a quorum. */
    covey_time grace;        /* 30 s: how long the quorum may be missing */
    uint32_t
        expected_size; /* of the whole cluster, set by hand; 0: learnt from who joins and leaves */
    bool tie_break; /* of an even split at 50 % the side with the lowest id of all has the quorum */
    /* While partitioned, methods that are not marked read_only answer UNAVAILABLE with the detail
     * "partitioned", and functions that change this node's tags return COVEY_ERR_PARTITIONED. Calls
     * that have begun go on, and leaving is always possible. */
    bool read_only_on_partition;
};

COVEY_END

#endif
