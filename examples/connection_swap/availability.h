#ifndef EXAMPLE_AVAILABILITY_H
#define EXAMPLE_AVAILABILITY_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * Whether a worker is fit for work, and its failures on purpose:
 *
 *     up --(`fail_every` tokens)--> down --(`down_for`)--> up
 *
 * Others are told of each change: that it is unavailable before its streams end, that it is available
 * once it is. `tell_delay` holds up both, as a slow network would, so that for a while they believe
 * what is not so any more.
 */
struct availability;

struct availability_config {
    unsigned fail_every;   /* tokens sent while up, of all streams; 0: never */
    covey_time down_for;   /* from failing to recovering */
    covey_time tell_delay; /* 0: at once */
    /* Tells the others; runs on a thread of its own, one at a time, and may take its time. */
    void (*tell)(bool is_available, void *user);
    void *user;
};

/* Up. NULL when memory or threads are out. */
struct availability *availability_new(const struct availability_config *config);

/* Any thread. */
bool availability_is_up(struct availability *availability);
/* One token was sent. Any thread. */
void availability_count_token(struct availability *availability);

/* Ends the thread: nobody is told any more. */
void availability_stop(struct availability *availability);
/* After the stop, when nobody uses it any more. */
void availability_free(struct availability *availability);

#endif
