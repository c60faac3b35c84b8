#include "retrier.h"

#include "clock.h"

#include <stdlib.h>

struct task {
    retrier_attempt attempt;
    void *user;
    unsigned tries;
    covey_time due;
};

struct retrier {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    /* A ring in the order of time: each is due half a second after it was put in. */
    struct task tasks[RETRIER_QUEUE_SIZE];
    size_t first;
    size_t count;
};

/* With the mutex. False: it is full. */
static bool push(struct retrier *retrier, struct task task)
{
    if (retrier->count == RETRIER_QUEUE_SIZE)
        return false;
    task.due = clock_now() + RETRIER_INTERVAL;
    retrier->tasks[(retrier->first + retrier->count++) % RETRIER_QUEUE_SIZE] = task;
    return true;
}

/* With the mutex. False: nothing is due. */
static bool pop_due(struct retrier *retrier, struct task *out)
{
    if (retrier->count == 0)
        return false;
    *out = retrier->tasks[retrier->first];
    if (out->due > clock_now() && !retrier->stopping)
        return false;
    retrier->first = (retrier->first + 1) % RETRIER_QUEUE_SIZE;
    retrier->count--;
    return true;
}

/* Without the mutex: an attempt may take its time. */
static void make_attempt(struct retrier *retrier, struct task task, bool stopping)
{
    const bool is_last = stopping || ++task.tries == RETRIER_TRIES;

    if (task.attempt(task.user, is_last) || is_last)
        return;
    pthread_mutex_lock(&retrier->mutex);
    const bool waits = push(retrier, task);
    pthread_mutex_unlock(&retrier->mutex);
    if (!waits)
        task.attempt(task.user, true);
}

static void *run(void *user)
{
    struct retrier *retrier = user;
    struct task task;

    pthread_mutex_lock(&retrier->mutex);
    while (!retrier->stopping || retrier->count > 0) {
        if (!pop_due(retrier, &task)) {
            const covey_time due =
                retrier->count == 0 ? COVEY_NEVER : retrier->tasks[retrier->first].due;
            clock_wait(&retrier->changed, &retrier->mutex, due);
            continue;
        }
        const bool stopping = retrier->stopping;
        pthread_mutex_unlock(&retrier->mutex);
        make_attempt(retrier, task, stopping);
        pthread_mutex_lock(&retrier->mutex);
    }
    pthread_mutex_unlock(&retrier->mutex);
    return NULL;
}

static void destroy(struct retrier *retrier)
{
    pthread_cond_destroy(&retrier->changed);
    pthread_mutex_destroy(&retrier->mutex);
    free(retrier);
}

struct retrier *retrier_new(void)
{
    struct retrier *retrier = calloc(1, sizeof *retrier);

    if (retrier == NULL)
        return NULL;
    pthread_mutex_init(&retrier->mutex, NULL);
    clock_condition_init(&retrier->changed);
    if (pthread_create(&retrier->thread, NULL, run, retrier) == 0)
        return retrier;
    destroy(retrier);
    return NULL;
}

bool retrier_add(struct retrier *retrier, retrier_attempt attempt, void *user)
{
    pthread_mutex_lock(&retrier->mutex);
    const struct task task = {.attempt = attempt, .user = user, .tries = 1};
    const bool waits = !retrier->stopping && push(retrier, task);
    if (waits)
        pthread_cond_signal(&retrier->changed);
    pthread_mutex_unlock(&retrier->mutex);
    return waits;
}

void retrier_stop(struct retrier *retrier)
{
    pthread_mutex_lock(&retrier->mutex);
    retrier->stopping = true;
    pthread_cond_signal(&retrier->changed);
    pthread_mutex_unlock(&retrier->mutex);
    pthread_join(retrier->thread, NULL);
}

void retrier_free(struct retrier *retrier)
{
    destroy(retrier);
}
