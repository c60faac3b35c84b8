#include "api/pool.h"

#include <stdbool.h>

struct cv_pool_block {
    struct cv_pool_block *next;
};

void cv_pool_init(struct cv_pool *pool, const struct cv_alloc *alloc)
{
    *pool = (struct cv_pool){.alloc = alloc};
    pthread_mutex_init(&pool->lock, NULL);
}

void cv_pool_fini(struct cv_pool *pool)
{
    while (pool->free != NULL) {
        struct cv_pool_block *block = pool->free;
        pool->free = block->next;
        cv_release(pool->alloc, block);
    }
    pthread_mutex_destroy(&pool->lock);
}

static void *take_kept(struct cv_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct cv_pool_block *block = pool->free;
    if (block != NULL) {
        pool->free = block->next;
        pool->count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return block;
}

void *cv_pool_take(struct cv_pool *pool, size_t size)
{
    if (size > CV_POOL_BLOCK_SIZE)
        return cv_allocate(pool->alloc, size);
    void *memory = take_kept(pool);
    return memory != NULL ? memory : cv_allocate(pool->alloc, CV_POOL_BLOCK_SIZE);
}

static bool keep(struct cv_pool *pool, struct cv_pool_block *block)
{
    pthread_mutex_lock(&pool->lock);
    bool has_room = pool->count < CV_POOL_BLOCKS_MAX;
    if (has_room) {
        block->next = pool->free;
        pool->free = block;
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    return has_room;
}

void cv_pool_give(struct cv_pool *pool, void *memory, size_t size)
{
    if (memory == NULL || (size <= CV_POOL_BLOCK_SIZE && keep(pool, memory)))
        return;
    cv_release(pool->alloc, memory);
}
