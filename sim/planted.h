#ifndef SIM_PLANTED_INTERNAL_H
#define SIM_PLANTED_INTERNAL_H

#include "oracle.h"
#include "sim/planted.h"

/* The hooks by which a planted bug gets in; none of them is set in an honest run. */

struct sim_node;

struct sim_planted {
    const char *text;
    enum sim_invariant invariant;
    enum sim_planted_run run;
    /* Alters a record, as the checks see it. */
    void (*seen)(const struct sim_node *o, struct sim_seen *seen);
    /* Alters what an observer believes at a deadline. */
    void (*view)(const struct sim_node *o, struct sim_view *view);
    /* True: the node does not get this input. */
    bool (*is_deaf)(const struct sim_node *n, const struct cv_input *input);
    void (*event)(struct cv_event *event);
    /* Does something to the core before it takes the input. */
    void (*meddle)(struct sim_node *n, const struct cv_input *input);
    /* Alters what waits to be told, as the checks see it. */
    void (*waiting)(struct cv_queued_update *update);
    /* Instead of the merge of two statements. */
    struct cv_record (*merge)(const struct cv_record *a, const struct cv_record *b);
    /* Alters what a node says of its side. */
    void (*partition)(const struct sim_node *n, struct cv_partition_status *status);
    int message_flip;      /* the bits to flip in a message's first byte */
    uint32_t repeats;      /* how often more a message is sent */
    uint32_t inflation;    /* how many bytes a byte counts for, less one */
    size_t counted;        /* more members than there are */
    size_t queued;         /* more updates */
    size_t shown;          /* more nodes in a snapshot */
    size_t answers;        /* more to a query by tag */
    uint64_t overstated;   /* more events that a subscriber lost */
    uint32_t attempts;     /* more to join */
    size_t steps;          /* more taken */
    covey_time impatience; /* so much sooner a paused node accuses, as if */
    bool is_stubborn;      /* no answer to what is said of oneself */
    bool leaves_twice;
    bool is_event_uncounted; /* some of them */
    bool claims_quorum;      /* both sides of a cut */
    bool is_phi_lost;        /* not a number */
    uint32_t ailment;        /* added to local health */
};

extern const struct sim_planted sim_planted_none;

#endif
