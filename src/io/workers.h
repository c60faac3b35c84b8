#ifndef CV_IO_WORKERS_H
#define CV_IO_WORKERS_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A pool of threads for what may block: a queue of jobs with a bound, and threads that are started
 * one by one as long as jobs find no idle one, up to a maximum, and then stay. Jobs begin in the
 * order in which they were submitted. A job is part of its owner's request and is not copied.
 *
 *     submitted ---> waiting ---> run(job, false) on a worker
 *                       '-------> run(job, true) in cv_workers_free()
 */
struct cv_job {
    struct cv_job *next;
    /* Runs once; it may free the job, and may block unless `cancelled`: then nothing is to be done
     * but to release and to tell the waiting. */
    void (*run)(struct cv_job *job, bool cancelled);
};

struct cv_workers;

struct cv_workers_config {
    const struct cv_alloc *alloc;
    unsigned threads_max; /* at least 1 */
    unsigned queue_max;   /* jobs that wait; at least 1 */
};

/* Starts no thread yet. 0, COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_workers_new(const struct cv_workers_config *config, struct cv_workers **out);
/*
 * Any thread, never blocks. 0, or the job was not taken:
 *   COVEY_ERR_BUSY    the queue is full; counted
 *   COVEY_ERR_CLOSED  the pool is being freed
 *   COVEY_ERR_SYSTEM  no thread could be started, and there is none
 */
COVEY_MUST_USE int cv_workers_submit(struct cv_workers *workers, struct cv_job *job);
/* Any thread but a worker: refuses new jobs, cancels the waiting ones here, waits for those that run
 * and ends the threads. NULL is allowed. */
void cv_workers_free(struct cv_workers *workers);

/* Whether this thread is one of the pool's. */
bool cv_workers_is_current(const struct cv_workers *workers);
/* Any thread. */
uint64_t cv_workers_refused(const struct cv_workers *workers);

#endif
