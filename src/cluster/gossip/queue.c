#include "cluster/gossip/queue.h"

#include <assert.h>
#include <covey/error.h>

/* How many updates that are too large for the room left are passed over before giving up: a walk
 * through a long queue for the last few bytes is not worth its time. */
#define MISFITS_MAX 16

/* The updates that go into one message, out of their lists. */
struct selection {
    size_t count;
    struct cv_queued_update *updates[CV_MAX_UPDATES_PER_MESSAGE];
};

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof(id->bytes));
}

void cv_gossip_queue_init(struct cv_gossip_queue *q, const struct cv_alloc *alloc,
                          const uint64_t secret[2], size_t count_max)
{
    *q = (struct cv_gossip_queue){.alloc = alloc, .count_max = count_max};
    /* The bound is kept here: at it the table needs room for more puts than there are places. */
    cv_map_init(&q->subjects, alloc, secret, SIZE_MAX);
    TAILQ_INIT(&q->free);
    for (size_t p = 0; p < CV_PRIORITY_COUNT; p++) {
        for (size_t s = 0; s < CV_GOSSIP_SENDS_MAX; s++)
            TAILQ_INIT(&q->queued[p][s]);
    }
}

static struct cv_queued_updates *list_of(struct cv_gossip_queue *q,
                                         const struct cv_queued_update *u)
{
    return &q->queued[u->priority][u->sends];
}

static void mark(struct cv_gossip_queue *q, const struct cv_queued_update *u)
{
    uint64_t *bits = &q->is_queued[u->priority][u->sends / 64];
    uint64_t bit = UINT64_C(1) << (u->sends % 64);
    *bits = TAILQ_EMPTY(list_of(q, u)) ? *bits & ~bit : *bits | bit;
}

/* Out of its list. */
static void take_out(struct cv_gossip_queue *q, struct cv_queued_update *u)
{
    TAILQ_REMOVE(list_of(q, u), u, entry);
    mark(q, u);
}

static void free_list(struct cv_gossip_queue *q, struct cv_queued_updates *list)
{
    struct cv_queued_update *u;
    while ((u = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, u, entry);
        cv_cluster_node_release(u->record.body);
        cv_release(q->alloc, u);
    }
}

void cv_gossip_queue_fini(struct cv_gossip_queue *q)
{
    free_list(q, &q->free);
    for (size_t p = 0; p < CV_PRIORITY_COUNT; p++) {
        for (size_t s = 0; s < CV_GOSSIP_SENDS_MAX; s++)
            free_list(q, &q->queued[p][s]);
    }
    cv_map_fini(&q->subjects);
}

int cv_gossip_queue_reserve(struct cv_gossip_queue *q, size_t more)
{
    size_t room = q->count_max - q->subjects.count;
    size_t updates = more < room ? more : room;
    /* At the bound each push takes one out first, but that leaves a used slot in the table. */
    int error = cv_map_reserve(&q->subjects, more);
    if (error != COVEY_OK)
        return error;
    while (q->free_count < updates) {
        struct cv_queued_update *u = cv_allocate_zeroed(q->alloc, 1, sizeof(*u));
        if (u == NULL)
            return COVEY_ERR_NO_MEMORY;
        TAILQ_INSERT_TAIL(&q->free, u, entry);
        q->free_count++;
    }
    return COVEY_OK;
}

/* Out of the map and to the free ones; `u` is in no list. */
static void drop(struct cv_gossip_queue *q, struct cv_queued_update *u)
{
    void *removed = cv_map_remove(&q->subjects, key_of(&u->record.id));
    assert(removed == u);
    (void)removed;
    cv_cluster_node_release(u->record.body);
    u->record.body = NULL;
    TAILQ_INSERT_TAIL(&q->free, u, entry);
    q->free_count++;
}

/* The one to go at the bound. */
static struct cv_queued_update *victim(struct cv_gossip_queue *q)
{
    for (size_t p = CV_PRIORITY_COUNT; p-- > 0;) {
        for (size_t s = CV_GOSSIP_SENDS_MAX; s-- > 0;) {
            if (!TAILQ_EMPTY(&q->queued[p][s]))
                return TAILQ_LAST(&q->queued[p][s], cv_queued_updates);
        }
    }
    return NULL;
}

/* A place for one more; false when all that is queued is more urgent. */
static bool make_room(struct cv_gossip_queue *q, enum cv_priority priority)
{
    if (q->subjects.count < q->count_max)
        return true;
    struct cv_queued_update *u = victim(q);
    q->shed++;
    if (u == NULL || u->priority < priority)
        return false;
    take_out(q, u);
    drop(q, u);
    return true;
}

static struct cv_queued_update *take_free(struct cv_gossip_queue *q, const struct cv_record *record)
{
    struct cv_queued_update *u = TAILQ_FIRST(&q->free);
    assert(u != NULL);
    TAILQ_REMOVE(&q->free, u, entry);
    q->free_count--;
    u->record = (struct cv_record){.id = record->id};
    int error = cv_map_put(&q->subjects, key_of(&u->record.id), u);
    assert(error == COVEY_OK);
    (void)error;
    return u;
}

void cv_gossip_queue_push(struct cv_gossip_queue *q, enum cv_priority priority,
                          const struct cv_record *record)
{
    struct cv_queued_update *u = cv_map_get(&q->subjects, key_of(&record->id));
    if (u != NULL)
        take_out(q, u);
    else if (make_room(q, priority))
        u = take_free(q, record);
    else
        return;
    struct cv_cluster_node *before = u->record.body;
    u->record = *record;
    if (record->body != NULL)
        cv_cluster_node_retain(record->body);
    cv_cluster_node_release(before);
    u->priority = priority;
    u->sends = 0;
    u->sequence = q->sequence++;
    TAILQ_INSERT_HEAD(list_of(q, u), u, entry);
    mark(q, u);
}

void cv_gossip_queue_prefetch(const struct cv_gossip_queue *q, const uint64_t *hashes, size_t count)
{
    if (q->subjects.count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        cv_map_prefetch(&q->subjects, hashes[i]);
    for (size_t i = 0; i < count; i++)
        cv_map_prefetch_value(&q->subjects, hashes[i], sizeof(struct cv_queued_update));
}

void cv_gossip_queue_remove(struct cv_gossip_queue *q, const covey_node_id *id)
{
    struct cv_queued_update *u = cv_map_get(&q->subjects, key_of(id));
    if (u == NULL)
        return;
    take_out(q, u);
    drop(q, u);
}

size_t cv_gossip_queue_count(const struct cv_gossip_queue *q)
{
    return q->subjects.count;
}

/* Moves an update from its list into the message and the selection; false when it does not fit. */
static bool take(struct cv_gossip_queue *q, struct cv_queued_update *u,
                 struct cv_message_writer *mw, struct selection *selection)
{
    if (!cv_message_add(mw, &u->record))
        return false;
    take_out(q, u);
    selection->updates[selection->count] = u;
    selection->count++;
    return true;
}

/* The oldest update that was never sent. */
static struct cv_queued_update *longest_waiting(struct cv_gossip_queue *q)
{
    struct cv_queued_update *oldest = NULL;
    for (size_t p = 0; p < CV_PRIORITY_COUNT; p++) {
        struct cv_queued_update *u = TAILQ_LAST(&q->queued[p][0], cv_queued_updates);
        if (u != NULL && (oldest == NULL || u->sequence < oldest->sequence))
            oldest = u;
    }
    return oldest;
}

static void take_waiting(struct cv_gossip_queue *q, struct cv_message_writer *mw,
                         struct selection *selection)
{
    for (size_t i = 0; i < CV_GOSSIP_RESERVED_SLOTS; i++) {
        struct cv_queued_update *u = longest_waiting(q);
        if (u == NULL || !take(q, u, mw, selection))
            return;
    }
}

/* Takes from one list until the message is full; false when there is no sense in going on. */
static bool take_list(struct cv_gossip_queue *q, struct cv_queued_updates *list,
                      struct cv_message_writer *mw, struct selection *selection, size_t *misfits)
{
    struct cv_queued_update *u = TAILQ_FIRST(list);
    while (u != NULL) {
        struct cv_queued_update *next = TAILQ_NEXT(u, entry);
        if (cv_message_room(mw) == 0 || *misfits == MISFITS_MAX)
            return false;
        if (!take(q, u, mw, selection))
            (*misfits)++;
        u = next;
    }
    return true;
}

static void take_urgent(struct cv_gossip_queue *q, struct cv_message_writer *mw,
                        struct selection *selection)
{
    size_t misfits = 0;
    for (size_t p = 0; p < CV_PRIORITY_COUNT; p++) {
        for (size_t word = 0; word < CV_GOSSIP_SENDS_MAX / 64; word++) {
            uint64_t bits = q->is_queued[p][word];
            for (size_t s = word * 64; bits != 0; s++, bits >>= 1) {
                if ((bits & 1) != 0 && !take_list(q, &q->queued[p][s], mw, selection, &misfits))
                    return;
            }
        }
    }
}

/* Into a list, which is sorted from new to old. It is looked for from both ends at once: what was just
 * sent is mostly newer than most, but what waited longest is older than nearly all. */
static void insert_sorted(struct cv_queued_updates *list, struct cv_queued_update *u)
{
    struct cv_queued_update *older = TAILQ_FIRST(list);
    struct cv_queued_update *newer = TAILQ_LAST(list, cv_queued_updates);
    while (older != NULL && older->sequence > u->sequence && newer->sequence < u->sequence) {
        older = TAILQ_NEXT(older, entry);
        newer = TAILQ_PREV(newer, cv_queued_updates, entry);
    }
    if (older == NULL)
        TAILQ_INSERT_TAIL(list, u, entry);
    else if (older->sequence < u->sequence)
        TAILQ_INSERT_BEFORE(older, u, entry);
    else
        TAILQ_INSERT_AFTER(list, newer, u, entry);
}

/* Back into a list. */
static void put_back(struct cv_gossip_queue *q, struct cv_queued_update *u, uint32_t sends_max)
{
    u->sends++;
    if (u->sends >= sends_max || u->sends >= CV_GOSSIP_SENDS_MAX) {
        drop(q, u);
        return;
    }
    insert_sorted(list_of(q, u), u);
    mark(q, u);
}

void cv_gossip_queue_fill(struct cv_gossip_queue *q, struct cv_message_writer *mw,
                          uint32_t sends_max)
{
    if (q->subjects.count == 0)
        return;
    struct selection selection = {.count = 0};
    take_waiting(q, mw, &selection);
    take_urgent(q, mw, &selection);
    for (size_t i = 0; i < selection.count; i++)
        put_back(q, selection.updates[i], sends_max);
}

uint32_t cv_gossip_sends_max(uint32_t factor, size_t members)
{
    uint32_t log = 0;
    while (log < 32 && ((uint64_t)1 << log) < (uint64_t)members + 1)
        log++;
    uint64_t sends = (uint64_t)factor * log;
    if (sends == 0)
        return 1;
    return sends < CV_GOSSIP_SENDS_MAX ? (uint32_t)sends : CV_GOSSIP_SENDS_MAX;
}
