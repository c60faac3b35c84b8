#ifndef CV_API_PICK_COUNTS_H
#define CV_API_PICK_COUNTS_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Picks that are not given back, by slot: any thread counts, without a lock. A slot is away at first and
 * while its node is not listed; then it is not the one with the fewest.
 *
 * For who asks for the fewest, the smallest count of each 16 slots stands beside them, and whoever
 * changes a count renews it:
 *
 *     counts   3 1 2 ... 4 | 0 5 1 ... 2 | ...
 *     least        1       |      0      | ...       with a number that grows by one each time
 *
 * He tries twice: when somebody else renewed it both times, the second one has seen his change (Jayanti
 * 2002, "f-arrays"). So the search reads some dozen words among hundreds of nodes.
 */
struct cv_pick_counts {
    const struct cv_alloc *alloc;
    uint32_t slots_max;
    bool knows_least;
    atomic_uint_least32_t *counts; /* by slot; the top bit: away */
    atomic_uint_fast64_t *least;   /* by 16 slots: number << 32 | smallest count; if knows_least */
    atomic_uint_least32_t used;    /* all slots from here on have always been away */
    atomic_uint_least32_t last;    /* that was found to have the fewest */
};

/* 0 or COVEY_ERR_NO_MEMORY. `alloc` outlives it. */
COVEY_MUST_USE int cv_pick_counts_init(struct cv_pick_counts *c, const struct cv_alloc *alloc,
                                       uint32_t slots_max, bool knows_least);
/* Twice is once. */
void cv_pick_counts_fini(struct cv_pick_counts *c);

/* One writer: `is_away` of a slot. */
void cv_pick_counts_set_away(struct cv_pick_counts *c, uint32_t slot, bool is_away);

/* Any thread. Adding orders what comes before and after it as seq_cst does. */
void cv_pick_counts_add(struct cv_pick_counts *c, uint32_t slot);
/* One less; nothing when it is 0. */
void cv_pick_counts_give(struct cv_pick_counts *c, uint32_t slot);
uint32_t cv_pick_counts_at(const struct cv_pick_counts *c, uint32_t slot);
/* Away, and none is open. */
bool cv_pick_counts_is_free(const struct cv_pick_counts *c, uint32_t slot);
uint64_t cv_pick_counts_sum(const struct cv_pick_counts *c);
/* A slot with the fewest, one after the other. False: all are away, or they change just now. */
bool cv_pick_counts_find_least(struct cv_pick_counts *c, uint32_t *slot);

#endif
