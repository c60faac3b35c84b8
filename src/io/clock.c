#include "io/clock.h"

#include <time.h>

covey_time cv_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (covey_time)now.tv_sec * COVEY_SECOND + (covey_time)now.tv_nsec;
}

uint64_t cv_clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / COVEY_MILLISECOND;
}
