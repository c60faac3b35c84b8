#ifndef SIM_HEALTH_H
#define SIM_HEALTH_H

#include <covey/health.h>
#include <covey/types.h>
#include <stddef.h>
#include <stdint.h>

struct sim;

/*
 * Health checks of a node's user. What a run answers, and when, is drawn anew for each: a status up
 * to `worst`, after up to `answers_within`, and one run in `hangs_in` (0: none) answers HANG_TIME
 * later than it may.
 */
struct sim_health_check {
    covey_time interval;
    covey_time timeout;
    covey_time answers_within;
    enum covey_check_status worst;
    uint32_t hangs_in;
};

#define SIM_HEALTH_CHECKS_MAX 4
#define SIM_HANG_TIME         (20 * COVEY_SECOND)

/* Gives one more to a node that runs, until it crashes. At most SIM_HEALTH_CHECKS_MAX. */
void sim_give_check(struct sim *s, size_t node, const struct sim_health_check *check);

#endif
