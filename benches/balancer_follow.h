#ifndef BENCHES_BALANCER_FOLLOW_H
#define BENCHES_BALANCER_FOLLOW_H

#include <stdint.h>

/*
 * What a balancer costs the loop of membership: showing its table a snapshot's nodes, in CPU time of this
 * thread. Each is the mean of some rounds.
 */
struct balancer_follow {
    double first_us; /* all come at once */
    double same_us;  /* nobody comes or goes */
    double one_us;   /* one goes, or comes back */
    double half_us;  /* every second one goes, or comes back */
    double seconds;
    uint64_t errors; /* a key whose member is not the one that a table made anew names */
};

/* What fails ends the program. */
struct balancer_follow balancer_follow_measure(unsigned nodes);

#endif
