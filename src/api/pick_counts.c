#include "api/pick_counts.h"

#include <assert.h>
#include <covey/error.h>

#define GROUP 16
#define AWAY  (UINT32_C(1) << 31)

static uint32_t groups_of(uint32_t slots)
{
    return (slots + GROUP - 1) / GROUP;
}

int cv_pick_counts_init(struct cv_pick_counts *c, const struct cv_alloc *alloc, uint32_t slots_max,
                        bool knows_least)
{
    const uint32_t groups = groups_of(slots_max);
    *c =
        (struct cv_pick_counts){.alloc = alloc, .slots_max = slots_max, .knows_least = knows_least};
    c->counts = cv_allocate(alloc, (size_t)groups * GROUP * sizeof *c->counts);
    if (knows_least)
        c->least = cv_allocate(alloc, groups * sizeof *c->least);
    if (c->counts == NULL || (knows_least && c->least == NULL)) {
        cv_pick_counts_fini(c);
        return COVEY_ERR_NO_MEMORY;
    }
    atomic_init(&c->last, UINT32_MAX);
    for (uint32_t slot = 0; slot < groups * GROUP; slot++)
        atomic_init(&c->counts[slot], AWAY);
    for (uint32_t group = 0; knows_least && group < groups; group++)
        atomic_init(&c->least[group], AWAY);
    return 0;
}

void cv_pick_counts_fini(struct cv_pick_counts *c)
{
    cv_release(c->alloc, c->counts);
    cv_release(c->alloc, c->least);
    *c = (struct cv_pick_counts){.alloc = c->alloc};
}

/* ---- the smallest ---- */

static uint32_t count_at(const struct cv_pick_counts *c, uint32_t slot)
{
    return atomic_load_explicit(&c->counts[slot], memory_order_relaxed);
}

static uint32_t least_in(const struct cv_pick_counts *c, uint32_t group)
{
    return (uint32_t)atomic_load_explicit(&c->least[group], memory_order_relaxed);
}

static bool renew_once(struct cv_pick_counts *c, uint32_t group)
{
    uint_fast64_t old = atomic_load(&c->least[group]);
    uint32_t least = UINT32_MAX;
    for (uint32_t slot = group * GROUP; slot < (group + 1) * GROUP; slot++) {
        const uint32_t count = atomic_load_explicit(&c->counts[slot], memory_order_acquire);
        least = count < least ? count : least;
    }
    const uint64_t new = ((old >> 32) + 1) << 32 | least;
    return atomic_compare_exchange_strong(&c->least[group], &old, new);
}

static void renew(struct cv_pick_counts *c, uint32_t slot)
{
    if (c->knows_least && !renew_once(c, slot / GROUP))
        (void)renew_once(c, slot / GROUP);
}

static uint32_t least_of_all(const struct cv_pick_counts *c, uint32_t groups)
{
    uint32_t least = AWAY;
    for (uint32_t group = 0; group < groups; group++) {
        const uint32_t here = least_in(c, group);
        least = here < least ? here : least;
    }
    return least;
}

bool cv_pick_counts_find_least(struct cv_pick_counts *c, uint32_t *slot)
{
    const uint32_t used = atomic_load_explicit(&c->used, memory_order_relaxed);
    const uint32_t groups = groups_of(used);
    const uint32_t least = least_of_all(c, groups);
    const uint32_t last = atomic_load_explicit(&c->last, memory_order_relaxed);
    const uint32_t first = last + 1 < used ? last + 1 : 0;
    assert(c->knows_least);
    if (least >= AWAY)
        return false;
    /* Once round, the first group in two parts. */
    for (uint32_t i = 0; i <= groups; i++) {
        const uint32_t group = (first / GROUP + i) % groups;
        if (least_in(c, group) > least)
            continue;
        for (uint32_t at = i == 0 ? first % GROUP : 0; at < GROUP; at++) {
            *slot = group * GROUP + at;
            if (count_at(c, *slot) > least)
                continue;
            atomic_store_explicit(&c->last, *slot, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

/* ---- counting ---- */

void cv_pick_counts_set_away(struct cv_pick_counts *c, uint32_t slot, bool is_away)
{
    assert(slot < c->slots_max);
    if (slot >= atomic_load_explicit(&c->used, memory_order_relaxed))
        atomic_store_explicit(&c->used, slot + 1, memory_order_relaxed);
    if ((count_at(c, slot) >= AWAY) == is_away)
        return;
    if (is_away)
        atomic_fetch_or(&c->counts[slot], AWAY);
    else
        atomic_fetch_and(&c->counts[slot], ~AWAY);
    renew(c, slot);
}

void cv_pick_counts_add(struct cv_pick_counts *c, uint32_t slot)
{
    atomic_fetch_add(&c->counts[slot], 1);
    renew(c, slot);
}

void cv_pick_counts_give(struct cv_pick_counts *c, uint32_t slot)
{
    uint_least32_t count = count_at(c, slot);
    do {
        if ((count & ~AWAY) == 0)
            return;
    } while (!atomic_compare_exchange_weak(&c->counts[slot], &count, count - 1));
    renew(c, slot);
}

uint32_t cv_pick_counts_at(const struct cv_pick_counts *c, uint32_t slot)
{
    return count_at(c, slot) & ~AWAY;
}

bool cv_pick_counts_is_free(const struct cv_pick_counts *c, uint32_t slot)
{
    return atomic_load(&c->counts[slot]) == AWAY;
}

uint64_t cv_pick_counts_sum(const struct cv_pick_counts *c)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < c->slots_max; slot++)
        sum += cv_pick_counts_at(c, slot);
    return sum;
}
