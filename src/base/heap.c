#include "base/heap.h"

#include <assert.h>
#include <covey/error.h>

#define CAPACITY_MIN 16

void cv_heap_init(struct cv_heap *h, const struct cv_alloc *alloc)
{
    *h = (struct cv_heap){.alloc = alloc};
}

void cv_heap_fini(struct cv_heap *h)
{
    cv_release(h->alloc, h->entries);
    *h = (struct cv_heap){0};
}

int cv_heap_reserve(struct cv_heap *h, size_t count)
{
    if (count <= h->capacity)
        return 0;
    /* Callers ask for one more each time: doubling keeps that cheap. */
    size_t capacity = h->capacity == 0 ? CAPACITY_MIN : h->capacity * 2;
    if (capacity < count)
        capacity = count;
    struct cv_heap_entry *entries =
        cv_reallocate(h->alloc, h->entries, capacity, sizeof(*h->entries));
    if (entries == NULL)
        return COVEY_ERR_NO_MEMORY;
    h->entries = entries;
    h->capacity = capacity;
    return 0;
}

static bool is_before(const struct cv_heap_entry *a, const struct cv_heap_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->sequence < b->sequence;
}

/* The heap at a 1-based place: the children of i are 2i and 2i + 1. */
static struct cv_heap_entry *at(const struct cv_heap *h, size_t index)
{
    return &h->entries[index - 1];
}

static void place(struct cv_heap *h, const struct cv_heap_entry *e, size_t index)
{
    *at(h, index) = *e;
    e->timer->index = index;
}

static void move_up(struct cv_heap *h, const struct cv_heap_entry *e, size_t index)
{
    while (index > 1 && is_before(e, at(h, index / 2))) {
        place(h, at(h, index / 2), index);
        index /= 2;
    }
    place(h, e, index);
}

/* The hole goes to the bottom first, then `e` up from there: what takes a cleared timer's place is
 * the last one, nearly always among the latest. Not above where it began: its parent is earlier. */
static void move_down(struct cv_heap *h, const struct cv_heap_entry *e, size_t index)
{
    while (2 * index < h->count) {
        size_t child = 2 * index;
        child += is_before(at(h, child + 1), at(h, child));
        place(h, at(h, child), index);
        index = child;
    }
    if (2 * index == h->count) {
        place(h, at(h, h->count), index);
        index = h->count;
    }
    move_up(h, e, index);
}

/* Puts `e`, which stands nowhere else, at or around `index`, wherever it belongs. */
static void settle(struct cv_heap *h, const struct cv_heap_entry *e, size_t index)
{
    if (index > 1 && is_before(e, at(h, index / 2)))
        move_up(h, e, index);
    else
        move_down(h, e, index);
}

void cv_heap_clear(struct cv_heap *h, struct cv_timer *t)
{
    size_t index = t->index;
    if (index == 0)
        return;
    assert(index <= h->count && at(h, index)->timer == t);
    const struct cv_heap_entry last = *at(h, h->count);
    h->count--;
    if (last.timer != t)
        settle(h, &last, index);
    t->index = 0;
}

void cv_heap_note(struct cv_heap *h, struct cv_timer *t, covey_time deadline)
{
    t->deadline = deadline;
    t->sequence = h->sequence++;
}

void cv_heap_put(struct cv_heap *h, struct cv_timer *t)
{
    assert(t->index == 0 && h->count < h->capacity);
    h->count++;
    settle(h, &(struct cv_heap_entry){t->deadline, t->sequence, t}, h->count);
}

void cv_heap_set(struct cv_heap *h, struct cv_timer *t, covey_time deadline)
{
    if (deadline == COVEY_NEVER) {
        cv_heap_clear(h, t);
        return;
    }
    cv_heap_note(h, t, deadline);
    if (t->index == 0) {
        cv_heap_put(h, t);
        return;
    }
    assert(t->index <= h->count && at(h, t->index)->timer == t);
    settle(h, &(struct cv_heap_entry){t->deadline, t->sequence, t}, t->index);
}

covey_time cv_heap_deadline(const struct cv_heap *h)
{
    return h->count == 0 ? COVEY_NEVER : at(h, 1)->deadline;
}

struct cv_timer *cv_heap_expire(struct cv_heap *h, covey_time now)
{
    if (h->count == 0 || at(h, 1)->deadline > now)
        return NULL;
    struct cv_timer *t = at(h, 1)->timer;
    cv_heap_clear(h, t);
    return t;
}
