#ifndef CV_API_POOL_H
#define CV_API_POOL_H

#include "base/alloc.h"
#include "base/recycler.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Memory for what each call needs for a short while: calls, messages, replies. Small pieces are kept
 * for the next ones, so that calls in a steady state allocate nothing; larger ones are `buffers`, which
 * base/recycler keeps too: pages fresh from the kernel cost more than the bytes in them. A piece takes less than twice its size, or the smallest block's: messages that wait are
 * bounded by what they say they cost. Any thread.
 */
#define CV_POOL_CLASSES        4 /* blocks of 128, 256, 512 and 1024 bytes */
#define CV_POOL_BLOCK_SIZE_MIN ((size_t)128)
#define CV_POOL_BLOCK_SIZE     (CV_POOL_BLOCK_SIZE_MIN << (CV_POOL_CLASSES - 1))
/* Of each class, about as many as calls are under way at once on a busy runtime; 4 MiB at most. */
#define CV_POOL_BLOCKS_MAX 2048

/* Messages of some MiB that follow each other find their memory here. */
#define CV_POOL_LARGE_KEPT_MAX ((size_t)16 << 20)

struct cv_pool_block;

struct cv_pool_class {
    struct cv_pool_block *free;
    size_t count;
};

struct cv_pool {
    const struct cv_alloc *alloc;
    atomic_flag is_taken; /* by a thread that is at what follows: others go to the allocator */
    struct cv_pool_class classes[CV_POOL_CLASSES];

    struct cv_alloc buffers; /* for what is large and changes hands; any thread */
    pthread_mutex_t large_lock;
    struct cv_recycler large;
};

/* It must not move after this. */
void cv_pool_init(struct cv_pool *pool, const struct cv_alloc *alloc);
/* Every piece must have been given back. */
void cv_pool_fini(struct cv_pool *pool);

/* NULL without memory. */
void *cv_pool_take(struct cv_pool *pool, size_t size);
/* `size` as taken. NULL is allowed. */
void cv_pool_give(struct cv_pool *pool, void *memory, size_t size);

/*
 * What a loop keeps of its pool for itself, so that calls which begin and end on it need no locked
 * instruction. In the owner's memory; the loop's thread only. A piece may go back to the share or
 * to its pool, wherever it was taken.
 */
struct cv_pool_share {
    struct cv_pool *pool;
    struct cv_pool_class classes[CV_POOL_CLASSES]; /* each of at most CV_POOL_BLOCKS_MAX */
};

void cv_pool_share_init(struct cv_pool_share *share, struct cv_pool *pool);
/* Every piece must have been given back; the pool is still there. */
void cv_pool_share_fini(struct cv_pool_share *share);

/* As cv_pool_take() and cv_pool_give(). */
void *cv_pool_share_take(struct cv_pool_share *share, size_t size);
void cv_pool_share_give(struct cv_pool_share *share, void *memory, size_t size);

#endif
