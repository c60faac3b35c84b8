#include "api/balancer_ring.h"

#include "base/mix.h"

#include <assert.h>
#include <covey/error.h>
#include <string.h>

/* Up to so many points of the same first bits are looked at one by one. */
#define FEW 8

/* The smallest power of two that is not below `size`, as its exponent; 1 or more, so that a shift
 * by 64 less that is one. */
static unsigned bits_of(uint32_t size)
{
    unsigned bits = 1;
    while (bits < 31 && UINT32_C(1) << bits < size)
        bits++;
    return bits;
}

int cv_balancer_ring_init(struct cv_balancer_ring *r, const struct cv_alloc *alloc,
                          uint32_t nodes_max)
{
    *r = (struct cv_balancer_ring){.alloc = alloc, .size_max = nodes_max * CV_RING_POINTS};
    r->points = cv_allocate_zeroed(alloc, r->size_max, sizeof *r->points);
    r->slots = cv_allocate_zeroed(alloc, r->size_max, sizeof *r->slots);
    r->index = cv_allocate_zeroed(alloc, (UINT32_C(1) << bits_of(r->size_max)), sizeof *r->index);
    atomic_init(&r->shift, 63);
    if (r->points != NULL && r->slots != NULL && r->index != NULL)
        return 0;
    cv_balancer_ring_fini(r);
    return COVEY_ERR_NO_MEMORY;
}

void cv_balancer_ring_fini(struct cv_balancer_ring *r)
{
    cv_release(r->alloc, r->points);
    cv_release(r->alloc, r->slots);
    cv_release(r->alloc, r->index);
    *r = (struct cv_balancer_ring){.alloc = r->alloc};
}

/* ---- words. Release and acquire: who reads one sees what was written before it. ---- */

static uint64_t point_at(const struct cv_balancer_ring *r, uint32_t at)
{
    return atomic_load_explicit(&r->points[at], memory_order_acquire);
}

static uint32_t slot_at(const struct cv_balancer_ring *r, uint32_t at)
{
    return (uint32_t)atomic_load_explicit(&r->slots[at], memory_order_acquire);
}

static void put(struct cv_balancer_ring *r, uint32_t at, uint64_t point, uint32_t slot)
{
    atomic_store_explicit(&r->points[at], point, memory_order_release);
    atomic_store_explicit(&r->slots[at], slot, memory_order_release);
}

/* ---- the writer: sorting what is fresh, in the last places of the memory ---- */

/* Between equal points of one node there is nothing to decide. */
static bool is_before(const struct cv_balancer_ring *a, uint32_t at,
                      const struct cv_balancer_ring *b, uint32_t other, const covey_node_id *owners)
{
    const uint64_t point = point_at(a, at);
    const uint64_t than = point_at(b, other);
    if (point != than)
        return point < than;
    return memcmp(&owners[slot_at(a, at)], &owners[slot_at(b, other)], sizeof *owners) < 0;
}

static void swap(struct cv_balancer_ring *r, uint32_t a, uint32_t b)
{
    const uint64_t point = point_at(r, a);
    const uint32_t slot = slot_at(r, a);
    put(r, a, point_at(r, b), slot_at(r, b));
    put(r, b, point, slot);
}

/* The one at `top` of a heap of `count` that begins at `base` sinks to its place; the last stands
 * at the top. */
static void sink(struct cv_balancer_ring *r, uint32_t base, uint32_t top, uint32_t count,
                 const covey_node_id *owners)
{
    for (uint32_t child; (child = 2 * top + 1) < count; top = child) {
        if (child + 1 < count && is_before(r, base + child, r, base + child + 1, owners))
            child++;
        if (!is_before(r, base + top, r, base + child, owners))
            return;
        swap(r, base + top, base + child);
    }
}

/* A heap sort: no id that anybody makes has it take longer. */
static void sort_fresh(struct cv_balancer_ring *r, const covey_node_id *owners)
{
    const uint32_t base = r->size_max - r->fresh;
    for (uint32_t top = r->fresh / 2; top-- > 0;)
        sink(r, base, top, r->fresh, owners);
    for (uint32_t count = r->fresh; count > 1;) {
        swap(r, base, base + --count);
        sink(r, base, 0, count, owners);
    }
}

/* ---- the writer: merging ---- */

void cv_balancer_ring_begin(struct cv_balancer_ring *r)
{
    r->fresh = 0;
}

static uint64_t word_of(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++)
        word = word << 8 | bytes[i];
    return word;
}

void cv_balancer_ring_enter(struct cv_balancer_ring *r, const covey_node_id *id, uint32_t slot)
{
    const uint64_t own = cv_mix64(word_of(id->bytes) ^ cv_mix64(word_of(id->bytes + 8)));
    assert(r->fresh + CV_RING_POINTS <= r->size_max);
    for (uint64_t i = 0; i < CV_RING_POINTS; i++)
        put(r, r->size_max - ++r->fresh, cv_mix64(own + i * UINT64_C(0x9e3779b97f4a7c15)), slot);
}

/* What stays of the old ring, and what is fresh, each in order, into one. */
struct merging {
    struct cv_balancer_ring *ring;
    uint32_t size;
    unsigned shift;
    uint32_t indexed; /* first bits that have their place */
};

/* `indexed` grows to the first bits of the next point. */
static void index_up_to(struct merging *m, uint32_t end)
{
    while (m->indexed < end)
        atomic_store_explicit(&m->ring->index[m->indexed++], m->size, memory_order_release);
}

static void append(struct merging *m, const struct cv_balancer_ring *from, uint32_t at)
{
    const uint64_t point = point_at(from, at);
    index_up_to(m, (uint32_t)(point >> m->shift) + 1);
    put(m->ring, m->size++, point, slot_at(from, at));
}

static uint32_t next_staying(const struct cv_balancer_ring *old, uint32_t at,
                             bool (*stays)(const void *user, uint32_t slot), const void *user)
{
    const uint32_t size = (uint32_t)atomic_load(&old->size);
    while (at < size && !stays(user, slot_at(old, at)))
        at++;
    return at;
}

void cv_balancer_ring_merge(struct cv_balancer_ring *r, const struct cv_balancer_ring *old,
                            uint32_t nodes, const covey_node_id *owners,
                            bool (*stays)(const void *user, uint32_t slot), const void *user)
{
    const unsigned bits = bits_of(nodes * CV_RING_POINTS);
    struct merging m = {.ring = r, .shift = 64 - bits};
    const uint32_t old_size = (uint32_t)atomic_load(&old->size);
    uint32_t fresh = r->size_max - r->fresh;
    assert(nodes * CV_RING_POINTS <= r->size_max);
    sort_fresh(r, owners);
    uint32_t at = next_staying(old, 0, stays, user);
    /* The fresh stand at the end: what is written never comes to one that was not read. */
    while (at < old_size || fresh < r->size_max) {
        if (fresh == r->size_max || (at < old_size && is_before(old, at, r, fresh, owners))) {
            append(&m, old, at);
            at = next_staying(old, at + 1, stays, user);
        } else {
            append(&m, r, fresh++);
        }
    }
    assert(m.size == nodes * CV_RING_POINTS);
    index_up_to(&m, UINT32_C(1) << bits);
    atomic_store_explicit(&r->shift, m.shift, memory_order_release);
    atomic_store_explicit(&r->size, m.size, memory_order_release);
    r->fresh = 0;
}

/* ---- readers: whatever they read stays within the memory ---- */

/* The ring as it was at the beginning of a search. */
struct view {
    const struct cv_balancer_ring *ring;
    uint32_t size; /* 1 or more */
    unsigned shift;
    uint32_t avoid;
};

static uint32_t index_at(const struct view *v, uint64_t first_bits)
{
    const uint32_t at =
        (uint32_t)atomic_load_explicit(&v->ring->index[first_bits], memory_order_acquire);
    return at < v->size ? at : v->size;
}

/* The first point from `at` on that is not before `point`, in halves. */
static uint32_t search(const struct view *v, uint32_t low, uint64_t point)
{
    uint32_t high = v->size;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (point_at(v->ring, middle) < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The point that comes next, round the end. */
static uint32_t successor(const struct view *v, uint64_t point)
{
    uint32_t at = index_at(v, point >> v->shift);
    const uint32_t far = at + FEW;
    while (at < v->size && point_at(v->ring, at) < point) {
        if (++at == far) {
            at = search(v, at, point);
            break;
        }
    }
    return at < v->size ? at : 0;
}

/* The first that is not to be avoided, from here on. He has no more points than CV_RING_POINTS. */
static uint32_t pass_avoided(const struct view *v, uint32_t at)
{
    for (uint32_t i = 0; i < CV_RING_POINTS && slot_at(v->ring, at) == v->avoid; i++)
        at = at + 1 < v->size ? at + 1 : 0;
    return at;
}

bool cv_balancer_ring_find(const struct cv_balancer_ring *r, uint64_t hash, uint32_t avoid,
                           uint32_t *slot)
{
    struct view v = {.ring = r, .avoid = avoid};
    const uint64_t step = cv_mix64(hash) | 1;
    uint64_t nearest = UINT64_MAX;
    uint64_t probe = hash;
    uint32_t best = 0;
    v.size = (uint32_t)atomic_load_explicit(&r->size, memory_order_acquire);
    v.shift = (unsigned)atomic_load_explicit(&r->shift, memory_order_acquire);
    if (v.size == 0 || v.size > r->size_max)
        return false;
    for (unsigned i = 0; i < CV_RING_PROBES; i++, probe += step) {
        uint32_t at = successor(&v, probe);
        if (avoid != UINT32_MAX)
            at = pass_avoided(&v, at);
        const uint64_t way = point_at(r, at) - probe;
        if (way < nearest || i == 0) {
            nearest = way;
            best = at;
        }
    }
    *slot = slot_at(r, best);
    return true;
}
