#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include "base/alloc.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* Memory that is counted and can run out. */

/* What is fuzzed comes and goes by the thousand: memory that is used again soon is fast. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8";
}

struct memory {
    struct cv_alloc alloc;
    size_t out;     /* not released */
    size_t calls;   /* since the limit was set */
    size_t fail_at; /* the call of this number fails, from 1; 0: none */
    bool and_later; /* and all after it */
};

static inline bool memory_ends(struct memory *m)
{
    m->calls++;
    return m->fail_at != 0 && (m->calls == m->fail_at || (m->and_later && m->calls > m->fail_at));
}

static inline void *memory_allocate(void *user, size_t size)
{
    struct memory *m = user;
    void *block = memory_ends(m) ? NULL : malloc(size);
    m->out += block != NULL;
    return block;
}

static inline void *memory_reallocate(void *user, void *block, size_t size)
{
    struct memory *m = user;
    void *moved = memory_ends(m) ? NULL : realloc(block, size);
    m->out += block == NULL && moved != NULL;
    return moved;
}

static inline void memory_release(void *user, void *block)
{
    struct memory *m = user;
    assert(block == NULL || m->out > 0);
    m->out -= block != NULL;
    free(block);
}

static inline void memory_init(struct memory *m)
{
    *m = (struct memory){.alloc = {.allocate = memory_allocate,
                                   .reallocate = memory_reallocate,
                                   .release = memory_release,
                                   .user = m}};
}

static inline void memory_limit(struct memory *m, size_t fail_at, bool and_later)
{
    m->calls = 0;
    m->fail_at = fail_at;
    m->and_later = and_later;
}

#endif
