#include "base/recycler.h"

#include "base/prefetch.h"

#include <stdint.h>
#include <string.h>

#define STEPS    4
#define SIZE_MIN ((size_t)1024)
#define SIZE_TOP (SIZE_MIN << CV_RECYCLER_CLASSES / STEPS)
#define NO_CLASS CV_RECYCLER_CLASSES

struct cv_recycler_block {
    size_t size; /* of the memory behind it */
    size_t class;
    struct cv_recycler_block *next; /* while it is kept */
    size_t unused;                  /* keeps what follows aligned as malloc does */
};
_Static_assert(sizeof(struct cv_recycler_block) % 16 == 0, "memory is aligned as by malloc");

/* The class whose blocks hold `size` bytes, and how much they hold. */
static size_t class_of(size_t size, size_t *rounded)
{
    size_t doubling = 0;
    size_t base = SIZE_MIN;
    *rounded = size;
    if (size <= SIZE_MIN || size > SIZE_TOP)
        return NO_CLASS;
    for (; size > 2 * base; base *= 2)
        doubling++;
    size_t step = (size - 1 - base) / (base / STEPS);
    *rounded = base + (step + 1) * (base / STEPS);
    return doubling * STEPS + step;
}

static struct cv_recycler_block *pop(struct cv_recycler *r, size_t class)
{
    struct cv_recycler_block *block = r->free[class];
    if (block == NULL)
        return NULL;
    r->free[class] = block->next;
    r->kept -= block->size;
    cv_prefetch(block->next, sizeof *block); /* whoever takes one often takes more */
    return block;
}

static void *allocate(void *user, size_t size)
{
    struct cv_recycler *r = user;
    size_t rounded;
    size_t class = class_of(size, &rounded);
    struct cv_recycler_block *block = class == NO_CLASS ? NULL : pop(r, class);
    if (block == NULL) {
        if (rounded > SIZE_MAX - sizeof *block)
            return NULL;
        block = r->back->allocate(r->back->user, sizeof *block + rounded);
        if (block == NULL)
            return NULL;
        block->size = rounded;
        block->class = class;
    }
    return block + 1;
}

static void give_back(const struct cv_recycler *r, struct cv_recycler_block *block)
{
    r->back->release(r->back->user, block);
}

/* One block less is kept. The sizes take turns, so that none can fill the room for ever. */
static void evict(struct cv_recycler *r)
{
    struct cv_recycler_block *block;
    do {
        r->hand = (r->hand + 1) % CV_RECYCLER_CLASSES;
        block = pop(r, r->hand);
    } while (block == NULL);
    give_back(r, block);
}

static void release(void *user, void *memory)
{
    struct cv_recycler *r = user;
    if (memory == NULL)
        return;
    struct cv_recycler_block *block = (struct cv_recycler_block *)memory - 1;
    if (block->class == NO_CLASS || block->size > r->kept_max) {
        give_back(r, block);
        return;
    }
    while (block->size > r->kept_max - r->kept)
        evict(r);
    block->next = r->free[block->class];
    r->free[block->class] = block;
    r->kept += block->size;
}

static void *reallocate(void *user, void *memory, size_t size)
{
    struct cv_recycler *r = user;
    if (memory == NULL)
        return allocate(r, size);
    const struct cv_recycler_block *block = (struct cv_recycler_block *)memory - 1;
    void *moved = allocate(r, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, memory, size < block->size ? size : block->size);
    release(r, memory);
    return moved;
}

void cv_recycler_init(struct cv_recycler *r, const struct cv_alloc *back, size_t kept_max)
{
    *r = (struct cv_recycler){
        .alloc = {.allocate = allocate, .reallocate = reallocate, .release = release, .user = r},
        .back = back,
        .kept_max = kept_max,
    };
}

void cv_recycler_fini(struct cv_recycler *r)
{
    while (r->kept > 0)
        evict(r);
}
