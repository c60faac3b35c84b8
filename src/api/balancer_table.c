/* The writer's side of a balancer's table. balancer_choose.c has the readers'. */
#include "api/balancer_table.h"

#include <assert.h>
#include <string.h>

/* ---- life ---- */

static int list_init(struct cv_balancer_list *l, const struct cv_alloc *alloc, uint32_t nodes_max,
                     uint32_t slots_max)
{
    l->positions = cv_allocate_zeroed(alloc, slots_max, sizeof *l->positions);
    l->slots = cv_allocate_zeroed(alloc, nodes_max, sizeof *l->slots);
    l->entries = cv_allocate_zeroed(alloc, nodes_max, sizeof *l->entries);
    return l->positions == NULL || l->slots == NULL || l->entries == NULL ? COVEY_ERR_NO_MEMORY : 0;
}

static int allocate(struct cv_balancer_table *t)
{
    t->free = cv_allocate_zeroed(t->alloc, t->slots_max, sizeof *t->free);
    t->gone = cv_allocate_zeroed(t->alloc, t->slots_max, sizeof *t->gone);
    t->owners = cv_allocate_zeroed(t->alloc, t->slots_max, sizeof *t->owners);
    if (t->free == NULL || t->gone == NULL || t->owners == NULL)
        return COVEY_ERR_NO_MEMORY;
    int error = 0;
    for (size_t i = 0; i < 2 && error == 0; i++)
        error = list_init(&t->lists[i], t->alloc, t->nodes_max, t->slots_max);
    for (size_t i = 0; i < 2 && error == 0; i++)
        error = cv_balancer_ring_init(&t->rings[i], t->alloc, t->nodes_max);
    return error;
}

int cv_balancer_table_init(struct cv_balancer_table *t, const struct cv_alloc *alloc,
                           uint32_t nodes_max, bool knows_least, uint64_t seed)
{
    *t = (struct cv_balancer_table){
        .alloc = alloc, .nodes_max = nodes_max, .slots_max = 2 * nodes_max};
    int error = cv_pick_counts_init(&t->open, alloc, t->slots_max, knows_least);
    if (error == 0)
        error = allocate(t);
    if (error != 0) {
        cv_balancer_table_fini(t);
        return error;
    }
    atomic_init(&t->ticket, seed);
    for (uint32_t slot = t->slots_max; slot > 0; slot--)
        t->free[t->free_count++] = slot - 1;
    return 0;
}

void cv_balancer_table_fini(struct cv_balancer_table *t)
{
    t->open.alloc = t->rings[0].alloc = t->rings[1].alloc = t->alloc;
    for (size_t i = 0; i < 2; i++) {
        cv_release(t->alloc, t->lists[i].positions);
        cv_release(t->alloc, t->lists[i].slots);
        cv_release(t->alloc, t->lists[i].entries);
        cv_balancer_ring_fini(&t->rings[i]);
    }
    cv_pick_counts_fini(&t->open);
    cv_release(t->alloc, t->free);
    cv_release(t->alloc, t->gone);
    cv_release(t->alloc, t->owners);
    *t = (struct cv_balancer_table){.alloc = t->alloc};
}

/* ---- words ---- */

/* Release: who reads such a word sees `writing` as it was before it. */
static void write_entry(struct cv_balancer_entry *e, const struct covey_node *node)
{
    uint64_t id[CV_BALANCER_ID_WORDS];
    uint64_t address[CV_BALANCER_ADDRESS_WORDS] = {0};
    const size_t size = strlen(node->address);
    assert(size < sizeof address);
    cv_balancer_id_words(&node->id, id);
    memcpy(address, node->address, size);
    for (size_t i = 0; i < CV_BALANCER_ID_WORDS; i++)
        atomic_store_explicit(&e->id[i], id[i], memory_order_release);
    for (size_t i = 0; i < CV_BALANCER_ADDRESS_WORDS; i++)
        atomic_store_explicit(&e->address[i], address[i], memory_order_release);
}

static void read_id(const struct cv_balancer_list *l, uint32_t position, uint64_t id[2])
{
    for (size_t i = 0; i < CV_BALANCER_ID_WORDS; i++)
        id[i] = atomic_load_explicit(&l->entries[position].id[i], memory_order_relaxed);
}

static int compare(const uint64_t a[2], const uint64_t b[2])
{
    if (a[0] != b[0])
        return a[0] < b[0] ? -1 : 1;
    return a[1] == b[1] ? 0 : a[1] < b[1] ? -1 : 1;
}

/* ---- slots ---- */

/* Those that are gone without a pick open. They are in neither list that may still be read. */
static void sweep_gone(struct cv_balancer_table *t)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->gone_count; i++) {
        const uint32_t slot = t->gone[i];
        if (cv_pick_counts_is_free(&t->open, slot))
            t->free[t->free_count++] = slot;
        else
            t->gone[kept++] = slot;
    }
    t->gone_count = kept;
}

static void leave(struct cv_balancer_table *t, uint32_t slot)
{
    cv_pick_counts_set_away(&t->open, slot, true);
    t->gone[t->gone_count++] = slot;
}

/* It is one of the first `*before`, which stay the first. */
static void take_gone(struct cv_balancer_table *t, uint32_t at, uint32_t *before)
{
    t->gone[at] = t->gone[--*before];
    t->gone[*before] = t->gone[--t->gone_count];
}

/* The slot of one that is not in the list before: that which it had, or a new one. `*before` of the gone
 * were so before this show; the others were in that list. */
static bool enter(struct cv_balancer_table *t, const covey_node_id *id, uint32_t *before,
                  uint32_t *slot)
{
    for (uint32_t i = 0; i < *before; i++) {
        *slot = t->gone[i];
        if (memcmp(&t->owners[*slot], id, sizeof *id) == 0) {
            take_gone(t, i, before);
            return true;
        }
    }
    if (t->free_count == 0)
        return false;
    *slot = t->free[--t->free_count];
    t->owners[*slot] = *id;
    return true;
}

/* ---- showing ---- */

/* A walk through both lists, the one that is shown and the one to come. */
struct filling {
    struct cv_balancer_table *table;
    const struct cv_balancer_list *old;
    struct cv_balancer_list *new;
    struct cv_balancer_ring *ring; /* to be filled when somebody comes or goes */
    uint32_t old_count;
    uint32_t old_next;
    uint32_t gone_before; /* this show, and not back yet */
    uint32_t count;
    bool is_new; /* somebody came or went */
};

/* Those before `id` are not listed any more; all without one. True when it was listed itself. */
static bool pass(struct filling *f, const uint64_t *id, uint32_t *slot)
{
    uint64_t at[CV_BALANCER_ID_WORDS];
    for (; f->old_next < f->old_count; f->old_next++) {
        read_id(f->old, f->old_next, at);
        const int order = id == NULL ? -1 : compare(at, id);
        if (order > 0)
            return false;
        *slot = atomic_load_explicit(&f->old->slots[f->old_next], memory_order_relaxed);
        if (order == 0) {
            f->old_next++;
            return true;
        }
        leave(f->table, *slot);
        f->is_new = true;
    }
    return false;
}

/* False when there is no room for it. */
static bool add(struct filling *f, const struct covey_node *node)
{
    struct cv_balancer_table *t = f->table;
    uint64_t id[CV_BALANCER_ID_WORDS];
    uint32_t slot;
    cv_balancer_id_words(&node->id, id);
    if (f->count == t->nodes_max)
        return false;
    if (!pass(f, id, &slot)) {
        if (!enter(t, &node->id, &f->gone_before, &slot))
            return false;
        cv_balancer_ring_enter(f->ring, &node->id, slot);
        f->is_new = true;
    }
    write_entry(&f->new->entries[f->count], node);
    atomic_store_explicit(&f->new->slots[f->count], slot, memory_order_release);
    atomic_store_explicit(&f->new->positions[slot], f->count, memory_order_release);
    f->count++;
    return true;
}

/* The first position after `id`, 0 after the last. */
static uint32_t position_after(const struct filling *f, const uint64_t id[2])
{
    uint64_t at[CV_BALANCER_ID_WORDS];
    uint32_t low = 0;
    uint32_t high = f->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        read_id(f->new, middle, at);
        if (compare(at, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == f->count ? 0 : low;
}

/* Whose turn it is in the new list, when it is `turn`'s in the old one. */
static uint32_t next_turn(const struct filling *f, uint32_t turn)
{
    struct cv_balancer_table *t = f->table;
    if (f->old_count > 0) {
        read_id(f->old, turn == 0 ? f->old_count - 1 : turn - 1, t->last);
        t->has_last = true;
    }
    return t->has_last ? position_after(f, t->last) : 0;
}

static bool is_listed(const void *user, uint32_t slot)
{
    const struct filling *f = user;
    const uint32_t position =
        (uint32_t)atomic_load_explicit(&f->new->positions[slot], memory_order_relaxed);
    return position < f->count &&
           atomic_load_explicit(&f->new->slots[position], memory_order_relaxed) == slot;
}

/* The ring of the new list: as before, or the other one. */
static void close_ring(const struct filling *f)
{
    struct cv_balancer_table *t = f->table;
    uint32_t ring = (uint32_t)atomic_load_explicit(&f->old->ring, memory_order_relaxed);
    if (f->is_new) {
        cv_balancer_ring_merge(f->ring, &t->rings[ring], f->count, t->owners, is_listed, f);
        ring = 1 - ring;
    }
    atomic_store_explicit(&f->new->ring, ring, memory_order_release);
}

static void show(const struct filling *f, uint32_t version)
{
    struct cv_balancer_table *t = f->table;
    uint64_t shown = atomic_load(&t->shown);
    uint64_t next;
    atomic_store_explicit(&f->new->count, f->count, memory_order_release);
    do
        next = (uint64_t)version << 32 | next_turn(f, (uint32_t)shown);
    while (!atomic_compare_exchange_weak(&t->shown, &shown, next));
    for (uint32_t i = 0; i < f->count; i++) {
        const uint32_t slot = atomic_load_explicit(&f->new->slots[i], memory_order_relaxed);
        cv_pick_counts_set_away(&t->open, slot, false);
    }
}

size_t cv_balancer_table_show(struct cv_balancer_table *t,
                              const struct covey_node *(*next)(void *user), void *user)
{
    const struct covey_node *node;
    const uint32_t version = atomic_load_explicit(&t->writing, memory_order_relaxed) + 1;
    struct filling f = {.table = t, .old = &t->lists[(version - 1) % 2]};
    uint32_t slot;
    size_t left_out = 0;
    f.new = &t->lists[version % 2];
    f.ring = &t->rings[1 - atomic_load_explicit(&f.old->ring, memory_order_relaxed)];
    f.old_count = atomic_load_explicit(&f.old->count, memory_order_relaxed);
    atomic_store(&t->writing, version);
    sweep_gone(t);
    cv_balancer_ring_begin(f.ring);
    f.gone_before = t->gone_count;
    while ((node = next(user)) != NULL)
        left_out += !add(&f, node);
    (void)pass(&f, NULL, &slot);
    close_ring(&f);
    show(&f, version);
    return left_out;
}
