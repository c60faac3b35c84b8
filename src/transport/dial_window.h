#ifndef CV_TRANSPORT_DIAL_WINDOW_H
#define CV_TRANSPORT_DIAL_WINDOW_H

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * How many dials may be under way at once. A handshake costs a core milliseconds on either side. When more
 * are begun than are finished each waits for all the others, until none is finished in time and all that
 * work was in vain. So, as TCP does with packets (Jacobson 1988), but by time as nothing is lost until it
 * is too late: each dial that was done quickly makes room for one more, each that was slow or got no answer
 * halves the room. Where nothing is in the way the window is wide open after a few round trips.
 */
#define CV_DIAL_WINDOW_MIN   2
#define CV_DIAL_WINDOW_FIRST 4
#define CV_DIAL_QUICK        (250 * COVEY_MILLISECOND)
#define CV_DIAL_SLOW         (1 * COVEY_SECOND)

struct cv_dial_window {
    size_t size; /* dials that may be under way */
    size_t max;
};

/* `max` is CV_DIAL_WINDOW_MIN at least. */
void cv_dial_window_init(struct cv_dial_window *w, size_t max);
/* One that may be among the dials under way was connected, or failed, after so long a time. */
void cv_dial_window_connected(struct cv_dial_window *w, covey_time took);
void cv_dial_window_failed(struct cv_dial_window *w, covey_time took);

#endif
