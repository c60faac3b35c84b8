#ifndef TEST_UNIT_IO_LOOP_FIXTURE_H
#define TEST_UNIT_IO_LOOP_FIXTURE_H

#include "io/loop.h"
#include "support/test_alloc.h"
#include "unit/io/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A loop with memory that is counted. A test must not use the memory while the loop does. */
struct loop_fixture {
    struct test_alloc memory;
    struct cv_loop *loop;
};

static inline struct cv_loop_config loop_config(const struct cv_alloc *alloc)
{
    return (struct cv_loop_config){.alloc = alloc, .thread_name = "loop", .mails_max = 65536};
}

static inline void init(struct loop_fixture *f, uint32_t mails_max)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.mails_max = mails_max;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static inline void fini(struct loop_fixture *f)
{
    cv_loop_free(f->loop);
    test_alloc_assert_empty(&f->memory);
}

static inline void call(struct loop_fixture *f, void (*function)(void *user), void *user)
{
    assert_int_equal(cv_loop_call(f->loop, function, user), 0);
}

/* The deadline of a task that has none. */
static inline covey_time never(void *user)
{
    (void)user;
    return COVEY_NEVER;
}

#endif
