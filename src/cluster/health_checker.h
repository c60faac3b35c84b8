#ifndef CV_CLUSTER_HEALTH_CHECKER_H
#define CV_CLUSTER_HEALTH_CHECKER_H

#include "base/slice.h"

#include <covey/export.h>
#include <covey/health.h>

/*
 * The user's own health checks: when each is to be run, and what became of it. It runs none itself.
 * It says which one is due; whoever owns it runs that where it holds nobody up, on a thread that
 * nothing else waits for, and tells what it answered.
 *
 *             due()                    result()
 *     idle ----------> running ------------------------> idle
 *                         |                               ^
 *                         | expire(), at its timeout      | result(), late: what it says is dropped
 *                         +---------> hanging ------------+
 *
 * A check is never run twice at once. One that hangs is Unhealthy, holds up no other, and is not
 * started again before it has answered: a second run would most likely hang too, and with it
 * another thread. Runs are due at multiples of the interval after the first, which is due at once;
 * those that would begin while one is under way are left out.
 *
 * Only expire() notices that time is up. An owner that was stopped for a while tells first what was
 * answered meanwhile and then lets the rest expire, so that its own pause is nobody's failure.
 *
 * A plain struct of bounded size, which allocates nothing. Not thread-safe.
 */
enum cv_check_phase { CV_CHECK_IDLE, CV_CHECK_RUNNING, CV_CHECK_HANGING };

struct cv_health_check {
    struct covey_check_health health; /* `hangs` follows the phase */
    covey_time interval;
    covey_time timeout;
    void *user;
    enum cv_check_phase phase;
    uint64_t run;       /* the last one's number */
    covey_time started; /* the last one */
    covey_time due;     /* idle: when the next one is; else when this one was */
};

struct cv_health_checker {
    struct cv_health_check checks[COVEY_CHECKS_MAX]; /* in the order in which they were added */
    uint32_t count;
    uint64_t runs; /* numbers given to runs; the first is 1 */
};

struct cv_health_check_config {
    struct cv_slice name; /* copied; 1 to COVEY_CHECK_NAME_MAX bytes of UTF-8 */
    covey_time interval;  /* from one beginning to the next; not 0, not COVEY_NEVER */
    covey_time timeout;   /* the same; may be longer than the interval */
    void *user;           /* handed back with each run */
};

struct cv_check_run {
    uint64_t number; /* for result(); no other run of this checker has it */
    void *user;
};

void cv_health_checker_init(struct cv_health_checker *hc);
/*
 * Adds a check, due at once. 0, or
 *
 *   COVEY_ERR_INVALID_ARGUMENT  a name or a time that is not allowed
 *   COVEY_ERR_EXISTS            another has this name
 *   COVEY_ERR_LIMIT             COVEY_CHECKS_MAX are there
 */
COVEY_MUST_USE int cv_health_checker_add(struct cv_health_checker *hc,
                                         const struct cv_health_check_config *config,
                                         covey_time now);
/* Forgets a check; what a run of it still answers is dropped. 0 or COVEY_ERR_NOT_FOUND. */
COVEY_MUST_USE int cv_health_checker_remove(struct cv_health_checker *hc, struct cv_slice name);

/* The check to be run now, the one that is due for longest first; from here on it is running. False
 * when none is due. */
bool cv_health_checker_due(struct cv_health_checker *hc, covey_time now, struct cv_check_run *out);
/*
 * What a run answered; of one that is unknown, or hung, or whose check was removed, nothing counts
 * but that it ended. A status that is no answer counts as Unhealthy. Of the message as much is kept
 * as fits and is UTF-8.
 *
 * True when the check is worse than Healthy and worse than before: *worse says all of it. This is
 * told once for each step down, by whichever of result() and expire() makes it.
 */
bool cv_health_checker_result(struct cv_health_checker *hc, covey_time now, uint64_t run,
                              enum covey_check_status status, struct cv_slice message,
                              struct covey_check_health *worse);
/* Marks checks as hanging whose time is up. True, as above, for each that became worse by that; to
 * be called until it is false. */
bool cv_health_checker_expire(struct cv_health_checker *hc, covey_time now,
                              struct covey_check_health *worse);
/* When due() or expire() has something to do; COVEY_NEVER when only an answer can change anything. */
covey_time cv_health_checker_deadline(const struct cv_health_checker *hc);

struct covey_health_status cv_health_checker_status(const struct cv_health_checker *hc);
/* The index-th check, in the order in which they were added; index < check_count. */
struct covey_check_health cv_health_checker_at(const struct cv_health_checker *hc, uint32_t index);

#endif
