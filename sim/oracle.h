#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/sim.h"

/*
 * What is true, and what the nodes were last seen to believe. The truth about a subject is the list
 * of all that it ever said of itself, numbered; what an observer holds is kept as such numbers:
 *
 *      issues of a node    0: inc 17…00   1: inc 17…42   2: inc 17…43 (left)
 *      bodies of a node    0: (17…00, 0)  1: (17…00, 1)
 *      a view              issue 1, suspect, body 1                       8 bytes for each pair
 */
struct sim_issue {
    uint64_t incarnation;
    uint32_t life;  /* of the node that issued it */
    bool is_forged; /* it did not, a liar made it up */
    bool is_left;   /* it left with it */
};

struct sim_issues {
    struct sim_issue *items;
    uint32_t count;
    uint32_t capacity;
};

struct sim_bodies {
    struct cv_cluster_node **items; /* held */
    uint32_t count;
    uint32_t capacity;
};

#define SIM_NONE UINT32_MAX
/* More than these are a liar's flood: they do not fit a view. */
#define SIM_ISSUES_MAX ((1u << 24) - 1)

/* What is checked of one in so many steps only, above SIM_SMALL nodes. */
#define SIM_SAMPLE 64

/* An update that a node sends about another, and how often it did in this life (G2). */
struct sim_sent {
    uint64_t mark;
    uint32_t count;
    uint32_t life;
};

/* What the checker saw last of a pair. */
struct sim_view {
    unsigned issue : 24;
    unsigned state : 2; /* enum covey_node_state */
    unsigned is_known : 1;
    unsigned is_joined : 1; /* by the events */
    unsigned is_failed : 1;
    unsigned is_expected : 1;
    unsigned body : 24;
};

/* What the core says of a member, as the checks see it. */
struct sim_seen {
    uint32_t subject; /* SIM_NONE: no node of ours */
    struct cv_node_status status;
    const struct cv_cluster_node *body;
    struct cv_address address;
    bool is_expected; /* counts in the size of the cluster */
    uint64_t body_incarnation;
    uint32_t version;
};

/* The number of what a node said of itself; SIM_NONE. Looks at the latest first. */
uint32_t sim_issue_find(const struct sim_issues *is, uint64_t incarnation);
/* By content, too: a node that lost its memory may use a number of its last life again. */
uint32_t sim_body_find(const struct sim_bodies *bs, const struct sim_seen *seen);

#endif
