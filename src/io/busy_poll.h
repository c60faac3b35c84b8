#ifndef CV_IO_BUSY_POLL_H
#define CV_IO_BUSY_POLL_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * Whether a thread with nothing to do polls on or sleeps. A sleeping thread costs tens of
 * microseconds to wake, a polling one a core; so it polls for a `window` after it last had something
 * to do, and the window follows what polling brings:
 *
 *   something came within `max`   the window doubles, from max / 16 up to max
 *   it took longer                the window halves, and below max / 16 it is 0
 *
 * Whoever gets work every few microseconds never sleeps; after five longer pauses in a row nobody
 * polls any more; and because the pause counts and not what the polling met, a thread that sleeps
 * begins to poll again when work comes often. Pure: time is an argument.
 */
struct cv_busy_poll {
    covey_time max; /* 0: never polls */
    covey_time window;
    covey_time idle_since;
};

void cv_busy_poll_init(struct cv_busy_poll *p, covey_time max);
/* There is nothing to do, from now on. */
void cv_busy_poll_idle(struct cv_busy_poll *p, covey_time now);
/* Something came. */
void cv_busy_poll_work(struct cv_busy_poll *p, covey_time now);
/* Nothing came yet: poll on? */
bool cv_busy_poll_wants(const struct cv_busy_poll *p, covey_time now);

#endif
