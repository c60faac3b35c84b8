#ifndef EXAMPLE_CLOCK_H
#define EXAMPLE_CLOCK_H

#include <covey/types.h>
#include <pthread.h>
#include <stdbool.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
covey_time clock_now(void);
void clock_sleep(covey_time length);

/* A condition whose waits end by this clock. */
void clock_condition_init(pthread_cond_t *condition);
/* Waits for the condition, but not longer than until `due`; COVEY_NEVER: for ever. False: `due`
 * has come. */
bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, covey_time due);

#endif
