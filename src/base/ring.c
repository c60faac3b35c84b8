#include "base/ring.h"

#include <assert.h>
#include <covey/error.h>
#include <stdint.h>
#include <string.h>

#define CAPACITY_MIN 8

void cv_ring_init(struct cv_ring *r, const struct cv_alloc *alloc, size_t element_size,
                  size_t count_max)
{
    assert(element_size > 0);
    *r = (struct cv_ring){.alloc = alloc, .element_size = element_size, .count_max = count_max};
}

void cv_ring_fini(struct cv_ring *r)
{
    cv_release(r->alloc, r->elements);
    *r = (struct cv_ring){0};
}

/* At least `count`, twice the old one where the bound allows. */
static size_t next_capacity(const struct cv_ring *r, size_t count)
{
    size_t capacity = r->capacity > SIZE_MAX / 2 ? SIZE_MAX : r->capacity * 2;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < count)
        capacity = count;
    return capacity < r->count_max ? capacity : r->count_max;
}

/* The elements in order: from the first to the end of the memory, then from its begin. */
static void copy_elements(const struct cv_ring *r, unsigned char *to)
{
    if (r->count == 0)
        return;
    size_t to_end = r->capacity - r->first;
    size_t head = r->count < to_end ? r->count : to_end;
    memcpy(to, &r->elements[r->first * r->element_size], head * r->element_size);
    memcpy(&to[head * r->element_size], r->elements, (r->count - head) * r->element_size);
}

int cv_ring_reserve(struct cv_ring *r, size_t more)
{
    assert(r->count <= r->capacity && r->capacity <= r->count_max);
    if (more > r->count_max - r->count)
        return COVEY_ERR_LIMIT;
    if (more <= r->capacity - r->count)
        return 0;
    size_t capacity = next_capacity(r, r->count + more);
    unsigned char *elements = cv_reallocate(r->alloc, NULL, capacity, r->element_size);
    if (elements == NULL)
        return COVEY_ERR_NO_MEMORY;
    copy_elements(r, elements);
    cv_release(r->alloc, r->elements);
    r->elements = elements;
    r->capacity = capacity;
    r->first = 0;
    return 0;
}

void *cv_ring_at(const struct cv_ring *r, size_t index)
{
    if (index >= r->count)
        return NULL;
    size_t to_end = r->capacity - r->first;
    size_t place = index < to_end ? r->first + index : index - to_end;
    return &r->elements[place * r->element_size];
}

void *cv_ring_front(const struct cv_ring *r)
{
    return cv_ring_at(r, 0);
}

void *cv_ring_push(struct cv_ring *r)
{
    if (cv_ring_reserve(r, 1) != 0)
        return NULL;
    r->count++;
    return memset(cv_ring_at(r, r->count - 1), 0, r->element_size);
}

void cv_ring_pop(struct cv_ring *r)
{
    assert(r->count > 0);
    r->count--;
    r->first = r->first + 1 == r->capacity ? 0 : r->first + 1;
    if (r->count == 0)
        r->first = 0; /* the same few elements again, which are in the cache */
}
