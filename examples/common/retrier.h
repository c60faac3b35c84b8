#ifndef EXAMPLE_RETRIER_H
#define EXAMPLE_RETRIER_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * Tries again what could not be done at once: twice more, half a second apart, on a thread of its
 * own, so that who asks never waits. With the first try that makes three.
 */
struct retrier;

/* One more try. True: it is done. After `is_last` there is no other, whatever it returns. Runs on the
 * retrier's thread. */
typedef bool (*retrier_attempt)(void *user, bool is_last);

#define RETRIER_TRIES      3
#define RETRIER_INTERVAL   (500 * COVEY_MILLISECOND)
#define RETRIER_QUEUE_SIZE 1024

/* NULL when memory or threads are out. */
struct retrier *retrier_new(void);

/* False when RETRIER_QUEUE_SIZE wait already, or after the stop: `attempt` is not called then. Any
 * thread. */
bool retrier_add(struct retrier *retrier, retrier_attempt attempt, void *user);

/* Gives all that wait their last try now, and takes no more. */
void retrier_stop(struct retrier *retrier);

/* After the stop, when nobody can add any more. */
void retrier_free(struct retrier *retrier);

#endif
