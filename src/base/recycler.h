#ifndef CV_BASE_RECYCLER_H
#define CV_BASE_RECYCLER_H

#include "base/alloc.h"

/*
 * An allocator in front of another that keeps released blocks for the next ones of their size.
 * Large blocks are dear to a system's allocator: it takes their pages from the kernel and gives them
 * back, and each page that comes anew is a fault. Messages of one size that follow each other find
 * their memory here instead.
 *
 *     size    1 KiB    1.25 KiB    1.5 KiB   ...   8 MiB      four steps for each doubling
 *               |          |          |              |
 *             block      block        -            block      kept, the last one first
 *               |
 *             block
 *
 * Smaller and larger ones pass through. What is kept is bounded; when a block would exceed it, older
 * ones of other sizes go back first. One thread at a time, unlike other allocators.
 */
#define CV_RECYCLER_CLASSES 52

struct cv_recycler_block;

struct cv_recycler {
    struct cv_alloc alloc; /* hand out &r->alloc; the recycler must not move after init */
    const struct cv_alloc *back;
    size_t kept; /* bytes */
    size_t kept_max;
    size_t hand; /* the size from which a block goes back next */
    struct cv_recycler_block *free[CV_RECYCLER_CLASSES];
};

/* Allocates nothing. With `kept_max` 0 everything passes through. */
void cv_recycler_init(struct cv_recycler *r, const struct cv_alloc *back, size_t kept_max);
/* Gives what is kept back. Blocks that are still out must not be released after it. */
void cv_recycler_fini(struct cv_recycler *r);

#endif
