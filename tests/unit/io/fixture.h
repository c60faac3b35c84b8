#ifndef TEST_UNIT_IO_FIXTURE_H
#define TEST_UNIT_IO_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What the tests of this layer share: waiting for something with a deadline, and counting what a
 * process holds. */

#define WAIT_SECONDS 30

/* False when nobody posted in time. */
static inline bool wait_for(sem_t *semaphore)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    int result;
    do {
        result = sem_timedwait(semaphore, &until);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

static inline bool wait_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    return poll(&wanted, 1, WAIT_SECONDS * 1000) == 1;
}

static inline size_t count_fds(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

static inline bool is_thread_named(const char *id, const char *name)
{
    char path[300];
    char line[32] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", id);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false; /* "." or a thread that has just ended */
    char *read = fgets(line, sizeof line, f);
    (void)fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return read != NULL && strcmp(line, name) == 0;
}

/* By name, because sanitizers have threads too. */
static inline size_t count_threads(const char *name)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        count += is_thread_named(e->d_name, name);
    closedir(d);
    return count;
}

/* A thread that was joined or that ends by itself stays visible for a moment. */
static inline bool wait_no_thread(const char *name)
{
    struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (count_threads(name) == 0)
            return true;
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < WAIT_SECONDS);
    return false;
}

#endif
