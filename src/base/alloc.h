#ifndef CV_BASE_ALLOC_H
#define CV_BASE_ALLOC_H

#include <stddef.h>

/*
 * Where memory comes from: an argument everywhere, never a global. A user's allocator and a test's
 * failing one come in through the same door. All functions are called from any thread.
 */
struct cv_alloc {
    void *(*allocate)(void *user, size_t size);                 /* like malloc */
    void *(*reallocate)(void *user, void *memory, size_t size); /* like realloc */
    void (*release)(void *user, void *memory);                  /* like free; NULL is allowed */
    void *user;
};

/* malloc, realloc and free. */
const struct cv_alloc *cv_alloc_default(void);

/* NULL when there is no memory, and when count * size overflows. A size of 0 gives a real pointer.
 */
void *cv_allocate(const struct cv_alloc *alloc, size_t size);
void *cv_allocate_zeroed(const struct cv_alloc *alloc, size_t count, size_t size);
/* The old memory stays valid when NULL is returned. */
void *cv_reallocate(const struct cv_alloc *alloc, void *memory, size_t count, size_t size);
void cv_release(const struct cv_alloc *alloc, void *memory);

/* A NUL-terminated copy of `size` bytes; NULL when there is no memory. */
char *cv_copy_text(const struct cv_alloc *alloc, const char *text, size_t size);

#endif
