#ifndef CV_BASE_RING_H
#define CV_BASE_RING_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A first-in first-out queue of elements of one size, with a bound. It grows by doubling up to the
 * bound and keeps its memory. Not thread-safe.
 */
struct cv_ring {
    const struct cv_alloc *alloc;
    unsigned char *elements;
    size_t element_size;
    size_t capacity;
    size_t first;
    size_t count;
    size_t count_max;
};

void cv_ring_init(struct cv_ring *r, const struct cv_alloc *alloc, size_t element_size,
                  size_t count_max);
void cv_ring_fini(struct cv_ring *r);

/* A new last element, zeroed, to be filled in; NULL when the bound is reached or memory is out.
 * Valid until the next push. */
void *cv_ring_push(struct cv_ring *r);
/* Makes sure that `more` further pushes cannot fail. 0, COVEY_ERR_LIMIT or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_ring_reserve(struct cv_ring *r, size_t more);
/* The oldest element, or the index-th oldest; NULL when there is none. Valid until the next push.
 */
void *cv_ring_front(const struct cv_ring *r);
void *cv_ring_at(const struct cv_ring *r, size_t index);
/* Drops the oldest element. The ring must not be empty. */
void cv_ring_pop(struct cv_ring *r);

#endif
