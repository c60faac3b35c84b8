#include "cluster/watch_rings.h"

#include "base/mix.h"
#include "base/reader.h"

#include <assert.h>

/* One that may be chosen, and how far before us it is. */
struct candidate {
    const covey_node_id *id;
    uint64_t distance;
};

/* The nearest ones on one ring, nearest first: one more than can be taken by earlier rings. */
struct nearest {
    size_t count;
    struct candidate items[CV_RINGS_MAX];
};

/* An id as one number; its place on each ring is made of this. */
static uint64_t spread(const covey_node_id *id)
{
    struct cv_reader reader;
    cv_reader_init(&reader, cv_slice_of(id->bytes, sizeof(id->bytes)));
    uint64_t high = cv_read_u64(&reader);
    return cv_mix64(high ^ cv_mix64(cv_read_u64(&reader)));
}

void cv_watch_rings_init(struct cv_watch_rings *r, const covey_node_id *self, size_t ring_count)
{
    assert(ring_count <= CV_RINGS_MAX);
    *r = (struct cv_watch_rings){.self = *self, .own = spread(self), .ring_count = ring_count};
}

/* What makes each ring another one. */
static uint64_t salt_of(size_t ring)
{
    return cv_mix64(ring + 1);
}

static uint64_t place_of(uint64_t spread_id, size_t ring)
{
    return cv_mix64(salt_of(ring) ^ spread_id);
}

static uint64_t distance_of(const struct cv_watch_rings *r, uint64_t spread_id, size_t ring)
{
    return place_of(r->own, ring) - place_of(spread_id, ring);
}

bool cv_watch_rings_wants(const struct cv_watch_rings *r, const covey_node_id *came)
{
    if (r->chosen_count < r->ring_count)
        return true;
    uint64_t spread_id = spread(came);
    for (size_t ring = 0; ring < r->ring_count; ring++) {
        if (distance_of(r, spread_id, ring) < r->distances[ring])
            return true;
    }
    return false;
}

bool cv_watch_rings_misses(const struct cv_watch_rings *r, const covey_node_id *gone)
{
    for (size_t i = 0; i < r->chosen_count; i++) {
        if (cv_node_id_equal(&r->chosen[i], gone))
            return true;
    }
    return false;
}

size_t cv_watch_rings_unlikely(const struct cv_watch_rings *r, const covey_node_id *const *ids,
                               size_t count)
{
    bool is_nearest[CV_RING_SUITORS_MAX] = {false};
    uint64_t best[CV_RING_SUITORS_MAX];
    assert(count >= 1 && count <= CV_RING_SUITORS_MAX);
    for (size_t i = 0; i < count; i++)
        best[i] = UINT64_MAX;
    for (size_t ring = 0; ring < r->ring_count; ring++) {
        uint64_t least = UINT64_MAX;
        size_t nearest = 0;
        for (size_t i = 0; i < count; i++) {
            const uint64_t after = place_of(spread(ids[i]), ring) - place_of(r->own, ring);
            best[i] = after < best[i] ? after : best[i];
            nearest = after < least ? i : nearest;
            least = after < least ? after : least;
        }
        is_nearest[nearest] = true;
    }
    size_t unlikely = count - 1;
    for (size_t i = count; i-- > 0;) {
        if (!is_nearest[i] && (is_nearest[unlikely] || best[i] > best[unlikely]))
            unlikely = i;
    }
    return unlikely;
}

static void offer(struct nearest *n, size_t max, const struct candidate *candidate)
{
    if (n->count == max && candidate->distance >= n->items[max - 1].distance)
        return;
    size_t place = n->count < max ? n->count++ : max - 1;
    while (place > 0 && n->items[place - 1].distance > candidate->distance) {
        n->items[place] = n->items[place - 1];
        place--;
    }
    n->items[place] = *candidate;
}

/* Takes the nearest that no earlier ring took. */
static void take(struct cv_watch_rings *r, const struct nearest *n)
{
    for (size_t i = 0; i < n->count; i++) {
        if (cv_watch_rings_misses(r, n->items[i].id))
            continue;
        r->chosen[r->chosen_count] = *n->items[i].id;
        r->distances[r->chosen_count] = n->items[i].distance;
        r->chosen_count++;
        return;
    }
}

void cv_watch_rings_choose(struct cv_watch_rings *r, const struct cv_node_registry *registry)
{
    struct nearest nearest[CV_RINGS_MAX] = {{.count = 0}};
    uint64_t places[CV_RINGS_MAX];
    uint64_t salts[CV_RINGS_MAX];
    for (size_t ring = 0; ring < r->ring_count; ring++) {
        places[ring] = place_of(r->own, ring);
        salts[ring] = salt_of(ring);
    }
    for (size_t i = 0; i < cv_node_registry_count(registry); i++) {
        const struct cv_member *m = cv_node_registry_at(registry, i);
        if (!cv_member_is_live(m) || cv_node_id_equal(cv_member_id(m), &r->self))
            continue;
        uint64_t spread_id = spread(cv_member_id(m));
        for (size_t ring = 0; ring < r->ring_count; ring++) {
            const struct candidate candidate = {cv_member_id(m),
                                                places[ring] - cv_mix64(salts[ring] ^ spread_id)};
            offer(&nearest[ring], r->ring_count, &candidate);
        }
    }
    r->chosen_count = 0;
    for (size_t ring = 0; ring < r->ring_count; ring++)
        take(r, &nearest[ring]);
}
