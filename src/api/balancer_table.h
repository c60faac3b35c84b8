#ifndef CV_API_BALANCER_TABLE_H
#define CV_API_BALANCER_TABLE_H

#include "api/balancer_ring.h"
#include "api/pick_counts.h"

#include <covey/balancer.h>

#include <stdatomic.h>

/*
 * The nodes that a balancer chooses among: one writer replaces them, any thread reads and counts. All
 * memory is there from the beginning, so that a reader needs neither a lock nor a reference.
 *
 * There are two lists, each in the order of ids. The writer fills the one that is not shown and then
 * shows it:
 *
 *     version     5           6           7                  list of version v: lists[v % 2]
 *     writing   5 |    6      |    7      |
 *               --+-----------+-----------+-->
 *                 fills [0]   fills [1]: who still reads version 5 there notices
 *
 * A reader of version v reads words and looks at `writing` afterwards: up to v + 1 nobody has touched
 * its list. Else it begins anew, which takes two publications within one pick.
 *
 * Beside them are two rings, which say who has a key. A list names its ring, and the next one names
 * the same while nobody comes or goes; else the writer fills the other ring, which only lists
 * before that named.
 *
 * A node has a slot as long as it is listed or has picks open. There its picks are counted, wherever in
 * which list it is. A slot whose node is gone and has none open gets a new owner, but not before
 * `writing` is two past the last version that had it: a reader of that one takes its count back.
 */
#define CV_BALANCER_ID_WORDS      2
#define CV_BALANCER_ADDRESS_WORDS (COVEY_ADDRESS_TEXT_SIZE / sizeof(uint64_t))

struct cv_balancer_entry {
    atomic_uint_fast64_t id[CV_BALANCER_ID_WORDS]; /* big-endian, so that numbers compare as ids */
    atomic_uint_fast64_t address[CV_BALANCER_ADDRESS_WORDS];
};

struct cv_balancer_list {
    atomic_uint_least32_t count;
    atomic_uint_least32_t *slots;     /* by position */
    atomic_uint_least32_t *positions; /* by slot, of those that are in this list */
    struct cv_balancer_entry *entries;
    atomic_uint_least32_t ring; /* 0 or 1 */
};

struct cv_balancer_table {
    const struct cv_alloc *alloc;
    uint32_t nodes_max;
    uint32_t slots_max;
    struct cv_pick_counts open; /* by slot */
    struct cv_balancer_list lists[2];
    struct cv_balancer_ring rings[2];
    atomic_uint_least32_t writing;
    atomic_uint_fast64_t shown;  /* version << 32 | position whose turn it is */
    atomic_uint_fast64_t ticket; /* of random choices */

    uint32_t *free; /* the writer's from here on: slots without a node */
    uint32_t free_count;
    uint32_t *gone; /* slots of nodes that are not listed; their counts may be above 0 */
    uint32_t gone_count;
    covey_node_id *owners; /* by slot */
    bool has_last;
    uint64_t last[CV_BALANCER_ID_WORDS]; /* the last whose turn it was, while there is none */
};

/* 0 or COVEY_ERR_NO_MEMORY. `alloc` outlives it; `seed` is for random choices. With
 * `knows_least` each pick costs a little more, and LEAST_CALLS far less. */
COVEY_MUST_USE int cv_balancer_table_init(struct cv_balancer_table *t, const struct cv_alloc *alloc,
                                          uint32_t nodes_max, bool knows_least, uint64_t seed);
/* Twice is once. */
void cv_balancer_table_fini(struct cv_balancer_table *t);

/* The writer: shows what next() gives until it gives NULL, by id without repetitions. Returns how many
 * of them there was no room for. */
size_t cv_balancer_table_show(struct cv_balancer_table *t,
                              const struct covey_node *(*next)(void *user), void *user);

/* Any thread from here on. 0 or COVEY_ERR_NOT_FOUND. */
COVEY_MUST_USE int cv_balancer_table_pick(struct cv_balancer_table *t,
                                          enum covey_balance_policy policy,
                                          const covey_node_id *avoid, struct covey_pick *pick);
/* By a hash of the key, all of whose bits count. */
COVEY_MUST_USE int cv_balancer_table_pick_for(struct cv_balancer_table *t, uint64_t hash,
                                              const covey_node_id *avoid, struct covey_pick *pick);
/* All that are listed at one moment, by id: up to `max`, which is how many fit. Returns how many. */
size_t cv_balancer_table_pick_all(struct cv_balancer_table *t, struct covey_pick *picks,
                                  size_t max);
void cv_balancer_table_done(struct cv_balancer_table *t, uint64_t handle);
uint32_t cv_balancer_table_count(const struct cv_balancer_table *t);
uint64_t cv_balancer_table_open(const struct cv_balancer_table *t);

/* An id as two numbers. */
static inline void cv_balancer_id_words(const covey_node_id *id, uint64_t words[2])
{
    for (size_t w = 0; w < CV_BALANCER_ID_WORDS; w++) {
        words[w] = 0;
        for (size_t i = 0; i < 8; i++)
            words[w] = words[w] << 8 | id->bytes[8 * w + i];
    }
}

#endif
