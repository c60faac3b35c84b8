#ifndef CV_IO_THREAD_H
#define CV_IO_THREAD_H

#include <covey/export.h>
#include <pthread.h>

/*
 * Starts a thread of the library's own. Signals belong to the program: the thread blocks all of
 * them but those that a fault of the thread itself raises. `name` is cut at 15 characters and not
 * kept. 0 or COVEY_ERR_SYSTEM.
 */
COVEY_MUST_USE int cv_thread_start(const char *name, void *(*run)(void *argument), void *argument,
                                   pthread_t *out);
/* How many cores this process may run on; at least 1. */
unsigned cv_core_count(void);

#endif
