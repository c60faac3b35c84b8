#ifndef CONFORMANCE_COUNTING_ALLOC_H
#define CONFORMANCE_COUNTING_ALLOC_H

#include "base/alloc.h"

#include <stdlib.h>

/* An allocator that knows how many bytes are out and how many at most were. Single-threaded. */
struct counting_alloc {
    struct cv_alloc alloc; /* hand out &c.alloc */
    size_t used;
    size_t peak;
};

/* Before each block: its size, as wide as the strictest alignment. */
union counting_head {
    size_t size;
    max_align_t align;
};

static inline void *counting_set(struct counting_alloc *c, union counting_head *head, size_t size)
{
    if (head == NULL)
        return NULL;
    head->size = size;
    c->used += size;
    if (c->used > c->peak)
        c->peak = c->used;
    return head + 1;
}

static inline void *counting_allocate(void *user, size_t size)
{
    return counting_set(user, malloc(sizeof(union counting_head) + size), size);
}

static inline void *counting_reallocate(void *user, void *memory, size_t size)
{
    struct counting_alloc *c = user;
    union counting_head *head = memory == NULL ? NULL : (union counting_head *)memory - 1;
    size_t before = head == NULL ? 0 : head->size;
    head = realloc(head, sizeof *head + size);
    if (head == NULL)
        return NULL;
    c->used -= before;
    return counting_set(c, head, size);
}

static inline void counting_release(void *user, void *memory)
{
    struct counting_alloc *c = user;
    if (memory == NULL)
        return;
    union counting_head *head = (union counting_head *)memory - 1;
    c->used -= head->size;
    free(head);
}

static inline void counting_alloc_init(struct counting_alloc *c)
{
    *c = (struct counting_alloc){.alloc = {.allocate = counting_allocate,
                                           .reallocate = counting_reallocate,
                                           .release = counting_release,
                                           .user = c}};
}

#endif
