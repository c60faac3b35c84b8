/* For LD_PRELOAD: the wall clock goes COVEY_TEST_CLOCK_SHIFT seconds before or behind. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out)
{
    const char *shift = getenv("COVEY_TEST_CLOCK_SHIFT");
    long result = syscall(SYS_clock_gettime, clock, out);
    bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && is_wall && shift != NULL)
        out->tv_sec += strtol(shift, NULL, 10);
    return (int)result;
}
