#define _GNU_SOURCE
#include "io/workers.h"

#include "support/test_alloc.h"
#include "unit/io/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <covey/error.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

/* A job that says when it began and then waits until the test lets it go. */
struct held {
    struct cv_job job;
    struct cv_workers *pool;
    sem_t began;
    sem_t leave;
    sem_t ended;
    atomic_int runs;
    atomic_int cancels;
    char thread_name[32];
    bool is_worker;
    sigset_t blocked;
};

static void run_held(struct cv_job *job, bool cancelled)
{
    struct held *h = (struct held *)(void *)job;
    if (cancelled) {
        atomic_fetch_add(&h->cancels, 1);
        return;
    }
    atomic_fetch_add(&h->runs, 1);
    (void)pthread_getname_np(pthread_self(), h->thread_name, sizeof h->thread_name);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &h->blocked);
    h->is_worker = cv_workers_is_current(h->pool);
    sem_post(&h->began);
    (void)wait_for(&h->leave);
    sem_post(&h->ended);
}

static void held_init(struct held *h, struct cv_workers *pool)
{
    *h = (struct held){.job = {.run = run_held}, .pool = pool};
    sem_init(&h->began, 0, 0);
    sem_init(&h->leave, 0, 0);
    sem_init(&h->ended, 0, 0);
}

struct fixture {
    struct test_alloc memory;
    struct cv_workers *pool;
};

static void init(struct fixture *f, unsigned threads_max, unsigned queue_max)
{
    test_alloc_init(&f->memory);
    const struct cv_workers_config config = {
        .alloc = &f->memory.alloc, .threads_max = threads_max, .queue_max = queue_max};
    assert_true(wait_no_thread("covey-worker"));
    assert_int_equal(cv_workers_new(&config, &f->pool), 0);
}

static void fini(struct fixture *f)
{
    cv_workers_free(f->pool);
    test_alloc_assert_empty(&f->memory);
    assert_true(wait_no_thread("covey-worker"));
}

static void submit(struct fixture *f, struct held *h)
{
    held_init(h, f->pool);
    assert_int_equal(cv_workers_submit(f->pool, &h->job), 0);
}

static void threads_start_when_they_are_needed(void **state)
{
    (void)state;
    struct fixture f;
    struct held h[4];
    init(&f, 2, 16);
    assert_int_equal(count_threads("covey-worker"), 0);
    submit(&f, &h[0]);
    assert_true(wait_for(&h[0].began));
    assert_int_equal(count_threads("covey-worker"), 1);
    submit(&f, &h[1]);
    assert_true(wait_for(&h[1].began));
    submit(&f, &h[2]);
    assert_int_equal(count_threads("covey-worker"), 2);
    assert_int_equal(atomic_load(&h[2].runs), 0);
    sem_post(&h[0].leave);
    assert_true(wait_for(&h[2].began));
    sem_post(&h[1].leave);
    sem_post(&h[2].leave);
    assert_true(wait_for(&h[2].ended));
    fini(&f);
}

static void a_worker_has_a_name_and_takes_no_signals(void **state)
{
    (void)state;
    struct fixture f;
    struct held h;
    init(&f, 1, 1);
    submit(&f, &h);
    assert_true(wait_for(&h.began));
    assert_string_equal(h.thread_name, "covey-worker");
    assert_true(sigismember(&h.blocked, SIGTERM));
    assert_true(h.is_worker);
    assert_false(cv_workers_is_current(f.pool));
    sem_post(&h.leave);
    fini(&f);
}

static void a_full_queue_refuses_and_counts(void **state)
{
    (void)state;
    struct fixture f;
    struct held running;
    struct held waiting[2];
    struct held refused;
    init(&f, 1, 2);
    submit(&f, &running);
    assert_true(wait_for(&running.began));
    submit(&f, &waiting[0]);
    submit(&f, &waiting[1]);
    held_init(&refused, f.pool);
    assert_int_equal(cv_workers_submit(f.pool, &refused.job), COVEY_ERR_BUSY);
    assert_int_equal(cv_workers_refused(f.pool), 1);
    sem_post(&running.leave);
    assert_true(wait_for(&waiting[0].began));
    assert_int_equal(cv_workers_submit(f.pool, &refused.job), 0);
    sem_post(&waiting[0].leave);
    sem_post(&waiting[1].leave);
    sem_post(&refused.leave);
    assert_true(wait_for(&refused.ended));
    assert_int_equal(cv_workers_refused(f.pool), 1);
    fini(&f);
}

static void *free_pool(void *user)
{
    struct fixture *f = user;
    cv_workers_free(f->pool);
    return NULL;
}

/* The end waits for what runs; what waits is cancelled before that. */
static void the_end_cancels_what_waits(void **state)
{
    (void)state;
    struct fixture f;
    struct held running;
    struct held waiting[2];
    struct held late;
    pthread_t thread;
    init(&f, 1, 8);
    submit(&f, &running);
    assert_true(wait_for(&running.began));
    submit(&f, &waiting[0]);
    submit(&f, &waiting[1]);
    held_init(&late, f.pool);
    assert_int_equal(pthread_create(&thread, NULL, free_pool, &f), 0);
    while (atomic_load(&waiting[1].cancels) == 0)
        sched_yield();
    assert_int_equal(cv_workers_submit(f.pool, &late.job), COVEY_ERR_CLOSED);
    sem_post(&running.leave);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sem_trywait(&running.ended), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&waiting[i].cancels), 1);
        assert_int_equal(atomic_load(&waiting[i].runs), 0);
    }
    test_alloc_assert_empty(&f.memory);
}

static void without_memory_there_is_no_pool(void **state)
{
    (void)state;
    struct fixture f;
    struct held h;
    struct cv_workers *pool = NULL;
    test_alloc_init(&f.memory);
    f.memory.fail_at = 1;
    const struct cv_workers_config config = {
        .alloc = &f.memory.alloc, .threads_max = 1, .queue_max = 1};
    assert_int_equal(cv_workers_new(&config, &pool), COVEY_ERR_NO_MEMORY);
    assert_null(pool);
    cv_workers_free(NULL);
    init(&f, 1, 1);
    held_init(&h, f.pool);
    fini(&f);
    assert_int_equal(atomic_load(&h.runs), 0);
}

/* ---- many ---- */

#define SUBMITTERS 4
#define JOBS       1000

struct counting {
    struct cv_workers *pool;
    atomic_uint runs;
    atomic_uint cancels;
};

struct count_job {
    struct cv_job job;
    struct counting *counting;
};

static void count(struct cv_job *job, bool cancelled)
{
    struct count_job *c = (struct count_job *)(void *)job;
    atomic_fetch_add(cancelled ? &c->counting->cancels : &c->counting->runs, 1);
    free(c);
}

static void *submit_many(void *user)
{
    struct counting *counting = user;
    for (int i = 0; i < JOBS; i++) {
        struct count_job *c = malloc(sizeof *c);
        *c = (struct count_job){.job = {.run = count}, .counting = counting};
        while (cv_workers_submit(counting->pool, &c->job) == COVEY_ERR_BUSY)
            sched_yield();
    }
    return NULL;
}

static void every_job_has_one_end(void **state)
{
    (void)state;
    struct fixture f;
    struct counting counting = {0};
    pthread_t threads[SUBMITTERS];
    init(&f, 3, 50);
    counting.pool = f.pool;
    for (int i = 0; i < SUBMITTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &counting), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    fini(&f);
    assert_int_equal(atomic_load(&counting.runs) + atomic_load(&counting.cancels),
                     SUBMITTERS * JOBS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_start_when_they_are_needed),
        cmocka_unit_test(a_worker_has_a_name_and_takes_no_signals),
        cmocka_unit_test(a_full_queue_refuses_and_counts),
        cmocka_unit_test(the_end_cancels_what_waits),
        cmocka_unit_test(without_memory_there_is_no_pool),
        cmocka_unit_test(every_job_has_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
