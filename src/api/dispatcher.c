#include "api/dispatcher.h"

#include <limits.h>
#include <stddef.h>

static void run_job(struct cv_job *job, bool cancelled)
{
    struct cv_dispatch *d =
        (struct cv_dispatch *)(void *)((unsigned char *)job - offsetof(struct cv_dispatch, job));
    (void)cancelled; /* whoever waits for it is told all the same */
    d->run(d);
}

static void run_mail(struct cv_mail *mail, bool cancelled)
{
    struct cv_dispatch *d =
        (struct cv_dispatch *)(void *)((unsigned char *)mail - offsetof(struct cv_dispatch, mail));
    (void)cancelled;
    d->run(d);
}

/* NULL before it was needed. */
static struct cv_workers *thread_of(covey_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    struct cv_workers *thread = runtime->dispatcher;
    pthread_mutex_unlock(&runtime->lock);
    return thread;
}

static int provide(covey_runtime *runtime, struct cv_workers **out)
{
    const struct cv_workers_config config = {
        .alloc = &runtime->alloc, .threads_max = 1, .queue_max = UINT_MAX};
    int error = 0;
    pthread_mutex_lock(&runtime->lock);
    if (runtime->dispatcher == NULL)
        error = cv_workers_new(&config, &runtime->dispatcher);
    *out = runtime->dispatcher;
    pthread_mutex_unlock(&runtime->lock);
    return error;
}

int cv_dispatch(covey_runtime *runtime, struct cv_dispatch *dispatch)
{
    struct cv_workers *thread;
    if (runtime->mode != COVEY_RUN_THREADS) {
        dispatch->mail = (struct cv_mail){.run = run_mail};
        cv_loop_post_sure(runtime->loop, &dispatch->mail);
        return 0;
    }
    int error = provide(runtime, &thread);
    dispatch->job = (struct cv_job){.run = run_job};
    return error != 0 ? error : cv_workers_submit(thread, &dispatch->job);
}

bool cv_dispatcher_is_current(covey_runtime *runtime)
{
    const struct cv_workers *thread = thread_of(runtime);
    return thread != NULL && cv_workers_is_current(thread);
}

/* ---- settling ---- */

struct settling {
    struct cv_job job;
    sem_t done;
};

static void run_settling(struct cv_job *job, bool cancelled)
{
    struct settling *s = (struct settling *)(void *)job;
    (void)cancelled;
    sem_post(&s->done);
}

void cv_dispatcher_settle(covey_runtime *runtime)
{
    struct cv_workers *thread = thread_of(runtime);
    struct settling s = {.job = {.run = run_settling}};
    if (thread == NULL)
        return;
    sem_init(&s.done, 0, 0);
    if (cv_workers_submit(thread, &s.job) == 0)
        while (sem_wait(&s.done) != 0) /* EINTR */
            ;
    sem_destroy(&s.done);
}
