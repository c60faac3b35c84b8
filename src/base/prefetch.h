#ifndef CV_BASE_PREFETCH_H
#define CV_BASE_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

/* What lies far apart and is needed soon: with hundreds of calls under way their memory is in no near
 * cache, and each line that is waited for costs as much as a hundred instructions. A hint: any address
 * will do, and nothing is read. */
static inline void cv_prefetch(const void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch((const void *)((uintptr_t)memory + at));
}

/* The same for memory that will be written, next. Without it the processor finds out that it is far away
 * when the writes are under way already, and whatever has to wait for them waits. */
static inline void cv_prefetch_to_write(void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch((void *)((uintptr_t)memory + at), 1);
}

#endif
