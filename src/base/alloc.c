#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *default_allocate(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *default_reallocate(void *user, void *memory, size_t size)
{
    (void)user;
    return realloc(memory, size);
}

static void default_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

const struct cv_alloc *cv_alloc_default(void)
{
    static const struct cv_alloc alloc = {
        .allocate = default_allocate,
        .reallocate = default_reallocate,
        .release = default_release,
    };
    return &alloc;
}

/* Allocators may answer NULL to a size of 0, which would look like a lack of memory. */
static size_t size_at_least_1(size_t size)
{
    return size == 0 ? 1 : size;
}

static bool product_overflows(size_t count, size_t size)
{
    return size != 0 && count > SIZE_MAX / size;
}

void *cv_allocate(const struct cv_alloc *alloc, size_t size)
{
    return alloc->allocate(alloc->user, size_at_least_1(size));
}

void *cv_allocate_zeroed(const struct cv_alloc *alloc, size_t count, size_t size)
{
    if (product_overflows(count, size))
        return NULL;
    void *memory = cv_allocate(alloc, count * size);
    if (memory != NULL)
        memset(memory, 0, count * size);
    return memory;
}

void *cv_reallocate(const struct cv_alloc *alloc, void *memory, size_t count, size_t size)
{
    if (product_overflows(count, size))
        return NULL;
    return alloc->reallocate(alloc->user, memory, size_at_least_1(count * size));
}

void cv_release(const struct cv_alloc *alloc, void *memory)
{
    alloc->release(alloc->user, memory);
}

char *cv_copy_text(const struct cv_alloc *alloc, const char *text, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = cv_allocate(alloc, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}
