#ifndef TEST_UNIT_API_SCARCE_H
#define TEST_UNIT_API_SCARCE_H

#include "unit/api/fixture.h"

/* A runtime whose n-th allocation fails. */

/* Fails one allocation, or all from one on. */
struct scarce {
    atomic_size_t blocks;
    atomic_size_t calls;
    atomic_size_t fail_at; /* counted from 1; 0: none */
    atomic_size_t fail_count;
};

static inline bool must_fail(struct scarce *s)
{
    size_t number = atomic_fetch_add(&s->calls, 1) + 1;
    size_t at = atomic_load(&s->fail_at);
    return at > 0 && number >= at && number < at + atomic_load(&s->fail_count);
}

static inline void *scarce_allocate(void *user, size_t size)
{
    struct scarce *s = user;
    void *memory = must_fail(s) ? NULL : malloc(size);
    if (memory != NULL)
        atomic_fetch_add(&s->blocks, 1);
    return memory;
}

static inline void *scarce_reallocate(void *user, void *memory, size_t size)
{
    struct scarce *s = user;
    void *moved = must_fail(s) ? NULL : realloc(memory, size);
    if (memory == NULL && moved != NULL)
        atomic_fetch_add(&s->blocks, 1);
    return moved;
}

static inline void scarce_release(void *user, void *memory)
{
    struct scarce *s = user;
    if (memory != NULL)
        atomic_fetch_sub(&s->blocks, 1);
    free(memory);
}

static inline covey_runtime *scarce_runtime(struct scarce *s)
{
    struct covey_runtime_config config;
    covey_runtime *runtime;
    covey_runtime_config_init(&config);
    config.allocate = scarce_allocate;
    config.reallocate = scarce_reallocate;
    config.release = scarce_release;
    config.memory_user = s;
    config.loops = 1;
    assert_int_equal(covey_runtime_new(&config, &runtime), 0);
    return runtime;
}

#endif
