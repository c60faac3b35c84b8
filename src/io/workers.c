#include "io/workers.h"

#include "io/thread.h"

#include <assert.h>
#include <covey/error.h>
#include <stdatomic.h>

struct cv_workers {
    const struct cv_alloc *alloc;
    unsigned threads_max;
    unsigned queue_max;
    atomic_uint_fast64_t refused;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct cv_job *first;
    struct cv_job **end; /* where the next one is linked */
    unsigned waiting;
    unsigned idle; /* threads that wait for a job */
    unsigned thread_count;
    bool is_closed;
    pthread_t threads[];
};

/* The pool that this thread belongs to. */
static _Thread_local const struct cv_workers *current;

int cv_workers_new(const struct cv_workers_config *config, struct cv_workers **out)
{
    assert(config->threads_max > 0 && config->queue_max > 0);
    size_t size = sizeof(struct cv_workers) + config->threads_max * sizeof(pthread_t);
    struct cv_workers *workers = cv_allocate_zeroed(config->alloc, 1, size);
    if (workers == NULL)
        return COVEY_ERR_NO_MEMORY;
    workers->alloc = config->alloc;
    workers->threads_max = config->threads_max;
    workers->queue_max = config->queue_max;
    workers->end = &workers->first;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    *out = workers;
    return 0;
}

/* ---- a worker ---- */

/* NULL when the pool is closed. With the lock held. */
static struct cv_job *take_job(struct cv_workers *workers)
{
    workers->idle++;
    while (workers->first == NULL && !workers->is_closed)
        pthread_cond_wait(&workers->changed, &workers->lock);
    workers->idle--;
    struct cv_job *job = workers->first;
    if (job == NULL)
        return NULL;
    workers->first = job->next;
    if (workers->first == NULL)
        workers->end = &workers->first;
    workers->waiting--;
    return job;
}

static void *work(void *user)
{
    struct cv_workers *workers = user;
    struct cv_job *job;
    current = workers;
    pthread_mutex_lock(&workers->lock);
    while ((job = take_job(workers)) != NULL) {
        pthread_mutex_unlock(&workers->lock);
        job->run(job, false);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* ---- submitting ---- */

/* For one job more. A thread that cannot be started is no matter while there are others. */
static int provide_thread(struct cv_workers *workers)
{
    if (workers->idle > workers->waiting || workers->thread_count == workers->threads_max)
        return 0;
    int error =
        cv_thread_start("covey-worker", work, workers, &workers->threads[workers->thread_count]);
    if (error == 0)
        workers->thread_count++;
    return workers->thread_count > 0 ? 0 : error;
}

static int put(struct cv_workers *workers, struct cv_job *job)
{
    if (workers->is_closed)
        return COVEY_ERR_CLOSED;
    if (workers->waiting == workers->queue_max)
        return COVEY_ERR_BUSY;
    int error = provide_thread(workers);
    if (error != 0)
        return error;
    job->next = NULL;
    *workers->end = job;
    workers->end = &job->next;
    workers->waiting++;
    pthread_cond_signal(&workers->changed);
    return 0;
}

int cv_workers_submit(struct cv_workers *workers, struct cv_job *job)
{
    pthread_mutex_lock(&workers->lock);
    int error = put(workers, job);
    pthread_mutex_unlock(&workers->lock);
    if (error == COVEY_ERR_BUSY)
        atomic_fetch_add_explicit(&workers->refused, 1, memory_order_relaxed);
    return error;
}

/* ---- the end ---- */

static struct cv_job *close_queue(struct cv_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    struct cv_job *first = workers->first;
    workers->first = NULL;
    workers->end = &workers->first;
    workers->waiting = 0;
    workers->is_closed = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    return first;
}

void cv_workers_free(struct cv_workers *workers)
{
    if (workers == NULL)
        return;
    assert(!cv_workers_is_current(workers));
    struct cv_job *job = close_queue(workers);
    while (job != NULL) {
        struct cv_job *next = job->next;
        job->run(job, true);
        job = next;
    }
    for (unsigned i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->lock);
    cv_release(workers->alloc, workers);
}

bool cv_workers_is_current(const struct cv_workers *workers)
{
    return current == workers;
}

uint64_t cv_workers_refused(const struct cv_workers *workers)
{
    return atomic_load_explicit(&workers->refused, memory_order_relaxed);
}
