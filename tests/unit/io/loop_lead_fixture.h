#ifndef TEST_UNIT_IO_LOOP_LEAD_FIXTURE_H
#define TEST_UNIT_IO_LOOP_LEAD_FIXTURE_H

#include "unit/io/loop_fixture.h"

#include <pthread.h>

/* A request is open work from its start, which is posted, to its answer: at once, or when another
 * mail says so. */
struct request {
    struct cv_mail mail;
    struct cv_loop_waiter waiter;
    struct cv_loop *loop;
    bool answer_at_once;
    bool is_cancelled;
    bool ran_here; /* on the thread that waits */
    pthread_t caller;
};

static inline void answer(struct request *r)
{
    r->ran_here = pthread_equal(r->caller, pthread_self()) != 0;
    cv_loop_close_work(r->loop);
    cv_loop_wait_end(&r->waiter);
}

static inline void run_request(struct cv_mail *mail, bool cancelled)
{
    struct request *r = (struct request *)(void *)mail;
    r->is_cancelled = cancelled;
    cv_loop_open_work(r->loop);
    if (r->answer_at_once || cancelled)
        answer(r);
}

static inline void begin(struct request *r, struct cv_loop *loop)
{
    *r = (struct request){.mail = {.run = run_request}, .loop = loop, .caller = pthread_self()};
    cv_loop_wait_begin(&r->waiter, loop);
}

/* A loop whose thread comes back only when it is called: what is forgotten stays undone. */
static inline void init_patient(struct loop_fixture *f)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.park_time = 3600 * COVEY_SECOND;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

#endif
