#include "assigner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct question {
    assigner_done done;
    void *user;
    unsigned tries;
    covey_time due;
};

struct assigner {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    covey_cluster *cluster;
    bool has_thread;
    bool stopping;
    struct question questions[ASSIGNER_QUEUE_SIZE];
    size_t count;

    /* The thread's own. */
    bool has_last;
    covey_node_id last;
};

static covey_time now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (covey_time)time.tv_sec * COVEY_SECOND + (covey_time)time.tv_nsec;
}

/* The worker after the last one, in the order of ids; after the greatest comes the least. */
static const struct covey_node *next_worker(const struct assigner *assigner,
                                            const covey_node_list *workers)
{
    for (size_t i = 0; assigner->has_last && i < covey_node_list_count(workers); i++) {
        const struct covey_node *node = covey_node_list_at(workers, i);
        if (covey_node_id_compare(&node->id, &assigner->last) > 0)
            return node;
    }
    return covey_node_list_at(workers, 0);
}

static bool pick(struct assigner *assigner, struct assignment *out)
{
    static const struct covey_tag wanted[] = {{"role", "worker"}, {"available", "true"}};
    covey_node_list *workers;

    if (covey_cluster_nodes_with_all_tags(assigner->cluster, wanted, 2, &workers) != 0)
        return false;
    const struct covey_node *node = next_worker(assigner, workers);
    if (node != NULL) {
        out->id = node->id;
        snprintf(out->address, sizeof out->address, "%s", node->address);
        assigner->last = node->id;
        assigner->has_last = true;
    }
    covey_node_list_free(workers);
    return node != NULL;
}

/* Takes one question that is due, or that is to be answered because the end is near. */
static bool take_due(struct assigner *assigner, struct question *out)
{
    for (size_t i = 0; i < assigner->count; i++) {
        if (assigner->questions[i].due > now() && !assigner->stopping)
            continue;
        *out = assigner->questions[i];
        assigner->questions[i] = assigner->questions[--assigner->count];
        return true;
    }
    return false;
}

static covey_time earliest_due(const struct assigner *assigner)
{
    covey_time earliest = COVEY_NEVER;

    for (size_t i = 0; i < assigner->count; i++) {
        if (assigner->questions[i].due < earliest)
            earliest = assigner->questions[i].due;
    }
    return earliest;
}

/* Without the mutex: the answer may take its time. */
static void answer(struct assigner *assigner, struct question *question, bool stopping)
{
    struct assignment worker;

    if (!stopping && pick(assigner, &worker)) {
        question->done(&worker, question->user);
        return;
    }
    if (stopping || ++question->tries == ASSIGNER_TRIES) {
        question->done(NULL, question->user);
        return;
    }
    question->due = now() + ASSIGNER_TRY_AGAIN;
    pthread_mutex_lock(&assigner->mutex);
    const bool has_room = assigner->count < ASSIGNER_QUEUE_SIZE;
    if (has_room)
        assigner->questions[assigner->count++] = *question;
    pthread_mutex_unlock(&assigner->mutex);
    if (!has_room)
        question->done(NULL, question->user);
}

static void wait_for_change(struct assigner *assigner)
{
    const covey_time due = earliest_due(assigner);
    const struct timespec until = {.tv_sec = (time_t)(due / COVEY_SECOND),
                                   .tv_nsec = (long)(due % COVEY_SECOND)};

    if (due == COVEY_NEVER)
        pthread_cond_wait(&assigner->changed, &assigner->mutex);
    else
        pthread_cond_timedwait(&assigner->changed, &assigner->mutex, &until);
}

static void *run(void *user)
{
    struct assigner *assigner = user;
    struct question question;

    pthread_mutex_lock(&assigner->mutex);
    while (!assigner->stopping || assigner->count > 0) {
        if (!take_due(assigner, &question)) {
            wait_for_change(assigner);
            continue;
        }
        const bool stopping = assigner->stopping;
        pthread_mutex_unlock(&assigner->mutex);
        answer(assigner, &question, stopping);
        pthread_mutex_lock(&assigner->mutex);
    }
    pthread_mutex_unlock(&assigner->mutex);
    return NULL;
}

struct assigner *assigner_new(void)
{
    struct assigner *assigner = calloc(1, sizeof *assigner);
    pthread_condattr_t monotonic;

    if (assigner == NULL)
        return NULL;
    pthread_mutex_init(&assigner->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&assigner->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return assigner;
}

bool assigner_start(struct assigner *assigner, covey_cluster *cluster)
{
    assigner->cluster = cluster;
    assigner->has_thread = pthread_create(&assigner->thread, NULL, run, assigner) == 0;
    return assigner->has_thread;
}

bool assigner_ask(struct assigner *assigner, assigner_done done, void *user)
{
    pthread_mutex_lock(&assigner->mutex);
    const bool may_ask = assigner->count < ASSIGNER_QUEUE_SIZE && !assigner->stopping;
    if (may_ask) {
        assigner->questions[assigner->count++] =
            (struct question){.done = done, .user = user, .due = now()};
        pthread_cond_signal(&assigner->changed);
    }
    pthread_mutex_unlock(&assigner->mutex);
    return may_ask;
}

void assigner_stop(struct assigner *assigner)
{
    pthread_mutex_lock(&assigner->mutex);
    assigner->stopping = true;
    pthread_cond_signal(&assigner->changed);
    pthread_mutex_unlock(&assigner->mutex);
    if (assigner->has_thread)
        pthread_join(assigner->thread, NULL);
    else
        run(assigner);
}

void assigner_free(struct assigner *assigner)
{
    pthread_cond_destroy(&assigner->changed);
    pthread_mutex_destroy(&assigner->mutex);
    free(assigner);
}
