#ifndef CV_API_DISPATCHER_H
#define CV_API_DISPATCHER_H

#include "api/runtime.h"

/*
 * Where a user's handlers of events run: never on the loop of membership. With COVEY_RUN_THREADS a thread
 * of the runtime's runs them one after the other, started when it is needed first; in the other modes they
 * run in turns, on the user's thread. A dispatch is part of its owner and under way once at a time, so
 * their number is bounded by their owners'.
 */
struct cv_dispatch {
    struct cv_job job;
    struct cv_mail mail;
    /* Once for each time that it was dispatched; always before the runtime is gone. */
    void (*run)(struct cv_dispatch *dispatch);
};

/* Any thread; never runs it here. The owner keeps a user of the runtime until it ran. 0,
 * COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM: there is no thread; not after it was 0 once. */
COVEY_MUST_USE int cv_dispatch(covey_runtime *runtime, struct cv_dispatch *dispatch);

/* Whether this thread is the dispatcher's. */
bool cv_dispatcher_is_current(covey_runtime *runtime);
/* Any other thread: when it returns, what was dispatched to a thread before has run. */
void cv_dispatcher_settle(covey_runtime *runtime);

#endif
