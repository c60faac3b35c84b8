/* The readers' side of a balancer's table: who is chosen, and counting it. */
#include "api/balancer_table.h"

#include "base/mix.h"

#include <string.h>

/* A version of the table that somebody reads. */
struct reading {
    struct cv_balancer_table *table;
    const struct cv_balancer_list *list;
    uint64_t shown; /* its version, and whose turn it is */
    uint32_t count;
    bool avoids;
    uint64_t avoid[CV_BALANCER_ID_WORDS];
};

static uint32_t version_of(const struct reading *r)
{
    return (uint32_t)(r->shown >> 32);
}

/* Nobody has written to what was read. */
static bool is_whole(const struct reading *r)
{
    return (uint32_t)(atomic_load(&r->table->writing) - version_of(r)) <= 1;
}

static void begin(struct reading *r)
{
    r->shown = atomic_load_explicit(&r->table->shown, memory_order_acquire);
    r->list = &r->table->lists[version_of(r) % 2];
    r->count = atomic_load_explicit(&r->list->count, memory_order_acquire);
}

/* Acquire: who reads a word of a later version sees `writing` of that one. */
static uint64_t read_word(const atomic_uint_fast64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static bool is_avoided(const struct reading *r, uint32_t position)
{
    const struct cv_balancer_entry *e = &r->list->entries[position];
    return r->avoids && r->count > 1 && read_word(&e->id[0]) == r->avoid[0] &&
           read_word(&e->id[1]) == r->avoid[1];
}

static uint32_t slot_at(const struct reading *r, uint32_t position)
{
    return atomic_load_explicit(&r->list->slots[position], memory_order_acquire);
}

/* Picks open, of one that may have gone meanwhile. */
static uint32_t open_at(const struct reading *r, uint32_t position)
{
    return cv_pick_counts_at(&r->table->open, slot_at(r, position));
}

static void copy_address(const struct cv_balancer_entry *e, char *to)
{
    for (size_t i = 0; i < CV_BALANCER_ADDRESS_WORDS; i++) {
        const uint64_t word = read_word(&e->address[i]);
        memcpy(to + i * sizeof word, &word, sizeof word);
        if (memchr(&word, 0, sizeof word) != NULL)
            return;
    }
    to[COVEY_ADDRESS_TEXT_SIZE - 1] = '\0';
}

/* False: the list was overwritten. The count comes before the look at `writing`: either that shows that the
 * slot may have a new owner, or the writer sees the count. */
static bool take(const struct reading *r, uint32_t position, struct covey_pick *pick)
{
    const struct cv_balancer_entry *e = &r->list->entries[position];
    const uint32_t slot = slot_at(r, position);
    for (size_t i = 0; i < COVEY_NODE_ID_SIZE; i++)
        pick->id.bytes[i] = (uint8_t)(read_word(&e->id[i / 8]) >> (56 - 8 * (i % 8)));
    copy_address(e, pick->address);
    pick->handle = slot;
    cv_pick_counts_add(&r->table->open, slot);
    if (is_whole(r))
        return true;
    cv_pick_counts_give(&r->table->open, slot);
    return false;
}

/* ---- the policies: each gives a position ---- */

static uint32_t after(const struct reading *r, uint32_t position)
{
    return position + 1 >= r->count ? 0 : position + 1;
}

/* The turn is the next one's. False when it moved meanwhile. */
static bool pass_turn(struct reading *r, uint32_t position)
{
    const uint64_t next = (uint64_t)version_of(r) << 32 | after(r, position);
    uint64_t expected = r->shown;
    return atomic_compare_exchange_weak(&r->table->shown, &expected, next);
}

/* In the list, even when it is read while it is overwritten. */
static uint32_t turn_of(const struct reading *r)
{
    const uint32_t turn = (uint32_t)r->shown;
    return turn < r->count ? turn : 0;
}

static bool in_turn(struct reading *r, uint32_t *position)
{
    *position = turn_of(r);
    if (is_avoided(r, *position))
        *position = after(r, *position);
    return pass_turn(r, *position);
}

static uint64_t roll(struct cv_balancer_table *t)
{
    return cv_mix64(
        atomic_fetch_add_explicit(&t->ticket, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed));
}

/* Uniform in [0, bound), from the upper or the lower half of a number. */
static uint32_t below(uint64_t random, uint32_t bound)
{
    return (uint32_t)((random & UINT32_MAX) * bound >> 32);
}

/* Any other position than this one, with the same probability; there are two or more. */
static uint32_t another(const struct reading *r, uint32_t position, uint64_t random)
{
    return (position + 1 + below(random, r->count - 1)) % r->count;
}

static uint32_t at_random(const struct reading *r)
{
    const uint64_t random = roll(r->table);
    const uint32_t position = below(random, r->count);
    return is_avoided(r, position) ? another(r, position, random >> 32) : position;
}

static uint32_t of_two(const struct reading *r)
{
    const uint64_t random = roll(r->table);
    const uint32_t one = below(random, r->count);
    if (r->count == 1)
        return one;
    const uint32_t other = another(r, one, random >> 32);
    if (is_avoided(r, one) || is_avoided(r, other))
        return is_avoided(r, one) ? other : one;
    return open_at(r, other) < open_at(r, one) ? other : one;
}

/* One after the other: for who avoids somebody, or while the lists change. */
static uint32_t search_least(struct reading *r)
{
    uint32_t best = turn_of(r);
    uint32_t least = UINT32_MAX;
    uint32_t position = best;
    for (uint32_t i = 0; i < r->count && least > 0; i++, position = after(r, position)) {
        const uint32_t open = open_at(r, position);
        if (open < least && !is_avoided(r, position)) {
            least = open;
            best = position;
        }
    }
    (void)pass_turn(r, best); /* should another have it meanwhile, so be it */
    return best;
}

static uint32_t with_least(struct reading *r)
{
    struct cv_pick_counts *open = &r->table->open;
    uint32_t slot;
    if (r->avoids || !open->knows_least || !cv_pick_counts_find_least(open, &slot))
        return search_least(r);
    const uint32_t position = atomic_load_explicit(&r->list->positions[slot], memory_order_acquire);
    return position < r->count && slot_at(r, position) == slot ? position : search_least(r);
}

static bool choose(struct reading *r, enum covey_balance_policy policy, uint32_t *position)
{
    switch (policy) {
    case COVEY_BALANCE_RANDOM:
        *position = at_random(r);
        return true;
    case COVEY_BALANCE_LEAST_CALLS:
        *position = with_least(r);
        return true;
    case COVEY_BALANCE_TWO_CHOICES:
        *position = of_two(r);
        return true;
    default:
        return in_turn(r, position);
    }
}

static void reading_init(struct reading *r, struct cv_balancer_table *t, const covey_node_id *avoid)
{
    r->table = t;
    r->avoids = avoid != NULL;
    if (avoid != NULL)
        cv_balancer_id_words(avoid, r->avoid);
}

int cv_balancer_table_pick(struct cv_balancer_table *t, enum covey_balance_policy policy,
                           const covey_node_id *avoid, struct covey_pick *pick)
{
    struct reading r;
    uint32_t position;
    reading_init(&r, t, avoid);
    for (;;) {
        begin(&r);
        if (r.count == 0 && is_whole(&r))
            return COVEY_ERR_NOT_FOUND;
        if (r.count > 0 && choose(&r, policy, &position) && take(&r, position, pick))
            return 0;
    }
}

/* ---- by key ---- */

/* The slot of the one that is avoided, UINT32_MAX when it is not listed: entries are in the order
 * of ids. */
static uint32_t avoided_slot(const struct reading *r)
{
    uint32_t low = 0;
    uint32_t high = r->avoids ? r->count : 0;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct cv_balancer_entry *e = &r->list->entries[middle];
        const uint64_t first = read_word(&e->id[0]);
        const uint64_t second = read_word(&e->id[1]);
        if (first == r->avoid[0] && second == r->avoid[1])
            return slot_at(r, middle);
        if (first < r->avoid[0] || (first == r->avoid[0] && second < r->avoid[1]))
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

/* False: the list or its ring was overwritten. */
static bool with_key(const struct reading *r, uint64_t hash, uint32_t *position)
{
    const uint32_t ring = (uint32_t)atomic_load_explicit(&r->list->ring, memory_order_acquire);
    uint32_t slot;
    if (!cv_balancer_ring_find(&r->table->rings[ring], hash, avoided_slot(r), &slot))
        return false;
    *position = (uint32_t)atomic_load_explicit(&r->list->positions[slot], memory_order_acquire);
    return *position < r->count && slot_at(r, *position) == slot;
}

int cv_balancer_table_pick_for(struct cv_balancer_table *t, uint64_t hash,
                               const covey_node_id *avoid, struct covey_pick *pick)
{
    struct reading r;
    uint32_t position;
    reading_init(&r, t, avoid);
    for (;;) {
        begin(&r);
        if (r.count == 0 && is_whole(&r))
            return COVEY_ERR_NOT_FOUND;
        if (r.count > 0 && with_key(&r, hash, &position) && take(&r, position, pick))
            return 0;
    }
}

size_t cv_balancer_table_pick_all(struct cv_balancer_table *t, struct covey_pick *picks, size_t max)
{
    struct reading r;
    reading_init(&r, t, NULL);
    for (;;) {
        uint32_t taken = 0;
        begin(&r);
        const uint32_t count = r.count < max ? r.count : (uint32_t)max;
        while (taken < count && take(&r, taken, &picks[taken]))
            taken++;
        if (taken == count && is_whole(&r))
            return count;
        while (taken > 0)
            cv_pick_counts_give(&t->open, (uint32_t)picks[--taken].handle);
    }
}

/* ---- counts ---- */

void cv_balancer_table_done(struct cv_balancer_table *t, uint64_t handle)
{
    if (handle < t->slots_max)
        cv_pick_counts_give(&t->open, (uint32_t)handle);
}

uint32_t cv_balancer_table_count(const struct cv_balancer_table *t)
{
    const struct cv_balancer_list *l = &t->lists[(atomic_load(&t->shown) >> 32) % 2];
    return atomic_load(&l->count);
}

uint64_t cv_balancer_table_open(const struct cv_balancer_table *t)
{
    return cv_pick_counts_sum(&t->open);
}
