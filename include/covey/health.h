#ifndef COVEY_HEALTH_H
#define COVEY_HEALTH_H

#include <stdbool.h>

#include <covey/error.h>
#include <covey/types.h>

COVEY_BEGIN

/*
 * How well this node is, by checks that the program registers: each is run at its interval and
 * answers with one of these. The greater, the worse.
 */
enum covey_check_status {
    COVEY_CHECK_UNKNOWN = 0, /* has not answered yet; never an answer */
    COVEY_CHECK_HEALTHY = 1,
    COVEY_CHECK_DEGRADED = 2, /* serves, but not as well as it should */
    COVEY_CHECK_UNHEALTHY = 3 /* does not; also of a check that did not answer in time */
};

/* "unknown", "healthy", "degraded", "unhealthy"; "?" for anything else. */
COVEY_API const char *covey_check_status_name(enum covey_check_status status);

#define COVEY_CHECKS_MAX        32
#define COVEY_CHECK_NAME_MAX    63  /* bytes */
#define COVEY_CHECK_MESSAGE_MAX 127 /* bytes */

/*
 * Says how well something is. Runs on a thread of its own, whatever runs the runtime, so it may block;
 * one check never runs twice at once. `message` has room for `size` bytes, COVEY_CHECK_MESSAGE_MAX + 1,
 * and is "": what it says goes there.
 */
typedef enum covey_check_status (*covey_check_function)(char *message, size_t size, void *user);

/* A check to be registered: covey_cluster_add_check(). */
struct covey_health_check {
    size_t size;
    const char *name; /* 1 to COVEY_CHECK_NAME_MAX bytes of UTF-8; copied */
    covey_check_function run;
    void *user;
    covey_time interval; /* 10 s, from one beginning to the next */
    covey_time
        timeout; /* 5 s: a run that takes longer is Unhealthy, and the next one waits for it */
};
#define covey_health_check_init(check) covey_health_check_init_sized((check), sizeof *(check))
COVEY_API void covey_health_check_init_sized(struct covey_health_check *check, size_t size);

/* One check, as its last finished run left it. Texts are NUL-terminated UTF-8. */
struct covey_check_health {
    size_t size; /* of this struct as the caller knows it: sizeof(struct covey_check_health) */
    char name[COVEY_CHECK_NAME_MAX + 1];
    enum covey_check_status status;
    covey_time since;              /* monotonic: when it got this status */
    covey_time last_duration;      /* of the last run, to its answer or until it was given up */
    uint32_t consecutive_failures; /* runs in a row that did not end healthy */
    bool hangs;                    /* a run did not answer in time and still has not */
    char message[COVEY_CHECK_MESSAGE_MAX + 1]; /* what the run said; "" for nothing */
};

/* All checks together. */
struct covey_health_status {
    size_t size; /* of this struct as the caller knows it: sizeof(struct covey_health_status) */
    /* The worst of all checks. One that has not answered yet does not count: without any answer it
     * is COVEY_CHECK_HEALTHY. */
    enum covey_check_status overall;
    uint32_t check_count;
};

COVEY_END

#endif
