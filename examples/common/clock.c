#include "clock.h"

#include <time.h>

static struct timespec timespec_of(covey_time time)
{
    return (struct timespec){.tv_sec = (time_t)(time / COVEY_SECOND),
                             .tv_nsec = (long)(time % COVEY_SECOND)};
}

covey_time clock_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (covey_time)time.tv_sec * COVEY_SECOND + (covey_time)time.tv_nsec;
}

void clock_sleep(covey_time length)
{
    const struct timespec time = timespec_of(length);

    nanosleep(&time, NULL);
}

void clock_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, covey_time due)
{
    const struct timespec until = timespec_of(due);

    if (due == COVEY_NEVER)
        return pthread_cond_wait(condition, mutex) == 0;
    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}
