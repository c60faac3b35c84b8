#ifndef CV_API_COUNT_H
#define CV_API_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * A counter that one thread at a time changes, a loop's, and any thread reads. Unlike an atomic
 * addition it locks nothing: several of those in each call are felt.
 */
typedef atomic_uint_fast64_t cv_count;

static inline uint64_t cv_count_read(const cv_count *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static inline void cv_count_up(cv_count *count)
{
    atomic_store_explicit(count, cv_count_read(count) + 1, memory_order_relaxed);
}

static inline void cv_count_down(cv_count *count)
{
    atomic_store_explicit(count, cv_count_read(count) - 1, memory_order_relaxed);
}

#endif
