#include "api/pool.h"

#include <stdbool.h>

struct cv_pool_block {
    struct cv_pool_block *next;
};

/* ---- large ones ---- */

static void *allocate(void *user, size_t size)
{
    struct cv_pool *pool = user;
    pthread_mutex_lock(&pool->large_lock);
    void *memory = cv_allocate(&pool->large.alloc, size);
    pthread_mutex_unlock(&pool->large_lock);
    return memory;
}

static void *reallocate(void *user, void *memory, size_t size)
{
    struct cv_pool *pool = user;
    pthread_mutex_lock(&pool->large_lock);
    void *moved = cv_reallocate(&pool->large.alloc, memory, 1, size);
    pthread_mutex_unlock(&pool->large_lock);
    return moved;
}

static void release(void *user, void *memory)
{
    struct cv_pool *pool = user;
    if (memory == NULL)
        return;
    pthread_mutex_lock(&pool->large_lock);
    cv_release(&pool->large.alloc, memory);
    pthread_mutex_unlock(&pool->large_lock);
}

/* ---- small ones ---- */

static void free_kept(struct cv_pool_class classes[CV_POOL_CLASSES], const struct cv_alloc *alloc)
{
    for (unsigned i = 0; i < CV_POOL_CLASSES; i++) {
        struct cv_pool_class *class = &classes[i];
        while (class->free != NULL) {
            struct cv_pool_block *block = class->free;
            class->free = block->next;
            cv_release(alloc, block);
        }
    }
}

static struct cv_pool_block *pop(struct cv_pool_class *class)
{
    struct cv_pool_block *block = class->free;
    if (block != NULL) {
        class->free = block->next;
        class->count--;
    }
    return block;
}

/* False: there are enough. */
static bool push(struct cv_pool_class *class, struct cv_pool_block *block)
{
    if (class->count >= CV_POOL_BLOCKS_MAX)
        return false;
    block->next = class->free;
    class->free = block;
    class->count++;
    return true;
}

void cv_pool_init(struct cv_pool *pool, const struct cv_alloc *alloc)
{
    *pool = (struct cv_pool){
        .alloc = alloc,
        .is_taken = ATOMIC_FLAG_INIT,
        .buffers = {.allocate = allocate,
                    .reallocate = reallocate,
                    .release = release,
                    .user = pool},
    };
    cv_recycler_init(&pool->large, alloc, CV_POOL_LARGE_KEPT_MAX);
    pthread_mutex_init(&pool->large_lock, NULL);
}

void cv_pool_fini(struct cv_pool *pool)
{
    free_kept(pool->classes, pool->alloc);
    cv_recycler_fini(&pool->large);
    pthread_mutex_destroy(&pool->large_lock);
}

static size_t block_size(unsigned class)
{
    return CV_POOL_BLOCK_SIZE_MIN << class;
}

_Static_assert(CV_POOL_CLASSES == 4, "class_of() counts them");

/* Of the smallest block that holds `size`, at most CV_POOL_BLOCK_SIZE. */
static unsigned class_of(size_t size)
{
    unsigned class = size > block_size(0);
    class += size > block_size(1);
    class += size > block_size(2);
    return class;
}

/* Nobody waits for the few instructions of another thread. */
static bool enter(struct cv_pool *pool)
{
    return !atomic_flag_test_and_set_explicit(&pool->is_taken, memory_order_acquire);
}

static void leave(struct cv_pool *pool)
{
    atomic_flag_clear_explicit(&pool->is_taken, memory_order_release);
}

static void *take_kept(struct cv_pool *pool, struct cv_pool_class *class)
{
    if (!enter(pool))
        return NULL;
    struct cv_pool_block *block = pop(class);
    leave(pool);
    return block;
}

void *cv_pool_take(struct cv_pool *pool, size_t size)
{
    if (size > CV_POOL_BLOCK_SIZE)
        return cv_allocate(&pool->buffers, size);
    unsigned class = class_of(size);
    void *memory = take_kept(pool, &pool->classes[class]);
    return memory != NULL ? memory : cv_allocate(pool->alloc, block_size(class));
}

static bool keep(struct cv_pool *pool, struct cv_pool_class *class, struct cv_pool_block *block)
{
    if (!enter(pool))
        return false;
    bool has_room = push(class, block);
    leave(pool);
    return has_room;
}

void cv_pool_give(struct cv_pool *pool, void *memory, size_t size)
{
    if (memory == NULL)
        return;
    if (size > CV_POOL_BLOCK_SIZE)
        cv_release(&pool->buffers, memory);
    else if (!keep(pool, &pool->classes[class_of(size)], memory))
        cv_release(pool->alloc, memory);
}

/* ---- a loop's share ---- */

void cv_pool_share_init(struct cv_pool_share *share, struct cv_pool *pool)
{
    *share = (struct cv_pool_share){.pool = pool};
}

void cv_pool_share_fini(struct cv_pool_share *share)
{
    free_kept(share->classes, share->pool->alloc);
}

void *cv_pool_share_take(struct cv_pool_share *share, size_t size)
{
    struct cv_pool_block *block =
        size > CV_POOL_BLOCK_SIZE ? NULL : pop(&share->classes[class_of(size)]);
    return block != NULL ? block : cv_pool_take(share->pool, size);
}

void cv_pool_share_give(struct cv_pool_share *share, void *memory, size_t size)
{
    if (memory == NULL)
        return;
    if (size > CV_POOL_BLOCK_SIZE || !push(&share->classes[class_of(size)], memory))
        cv_pool_give(share->pool, memory, size);
}
