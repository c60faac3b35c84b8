/*
 * The gossip queue beside a naive one, a plain list that is searched for everything. After each step
 * both hold the same, each message has the same updates in the same order, and besides:
 *
 *   G1  a message is within its limits and can be read
 *   G2  an update is sent at most as often as the largest limit that was given while it was queued
 *   G3  one update for each subject, a bounded number of them, and no memory beyond that
 *   G4  apart from the two reserved places, nothing goes while something more urgent that would fit
 *       stays; and everything that waits is sent within half as many messages as wait before it
 *   G5  within a priority: the fewest sends first, then the newest
 *
 * The input is u8 the bound | steps: u8 what | u8 which | u8 how.
 */
#include "core_parts.h"

#include "cluster/gossip/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SUBJECTS    48
#define MISFITS_MAX 16 /* the queue's own: it gives up after so many that are too large */
/* In a message of this size there is room for the two reserved ones, whatever they are. */
#define ROOMY_SIZE 1700

struct entry {
    uint8_t about;
    enum cv_priority priority;
    uint32_t sends;
    uint32_t limit; /* the largest since it was pushed */
    uint64_t sequence;
    uint64_t incarnation;
    size_t size;     /* of its field in a message */
    size_t patience; /* roomy messages until it must have been sent */
    bool is_taken;
};

struct model {
    struct memory memory;
    struct cv_gossip_queue queue;
    struct cv_cluster_node *bodies[4]; /* from none to the largest */
    size_t count_max;
    size_t count;
    struct entry entries[SUBJECTS];
    uint64_t sequence;
    uint64_t shed;
    size_t waiting; /* the places of the last message that were for those that waited longest */
};

/* ---- the naive queue ---- */

static struct entry *entry_of(struct model *m, uint8_t about)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->entries[i].about == about)
            return &m->entries[i];
    }
    return NULL;
}

static void forget(struct model *m, struct entry *e)
{
    m->count--;
    *e = m->entries[m->count];
}

/* Does `a` go before `b`? */
static bool is_before(const struct entry *a, const struct entry *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    if (a->sends != b->sends)
        return a->sends < b->sends;
    return a->sequence > b->sequence;
}

/* False when all that is queued is more urgent. */
static bool make_room(struct model *m, enum cv_priority priority)
{
    struct entry *last = &m->entries[0];
    if (m->count < m->count_max)
        return true;
    for (size_t i = 1; i < m->count; i++) {
        if (is_before(last, &m->entries[i]))
            last = &m->entries[i];
    }
    m->shed++;
    if (last->priority < priority)
        return false;
    forget(m, last);
    return true;
}

static size_t count_unsent(const struct model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++)
        count += m->entries[i].sends == 0;
    return count;
}

static void push_model(struct model *m, enum cv_priority priority, uint8_t about, uint64_t number,
                       size_t size)
{
    struct entry *e = entry_of(m, about);
    if (e != NULL)
        forget(m, e);
    else if (!make_room(m, priority))
        return;
    m->entries[m->count] = (struct entry){.about = about,
                                          .priority = priority,
                                          .sequence = m->sequence++,
                                          .incarnation = number,
                                          .size = size,
                                          .patience = count_unsent(m) / 2 + 1};
    m->count++;
}

static struct entry *oldest_unsent(struct model *m)
{
    struct entry *oldest = NULL;
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = &m->entries[i];
        if (e->sends == 0 && !e->is_taken && (oldest == NULL || e->sequence < oldest->sequence))
            oldest = e;
    }
    return oldest;
}

/* The first after `last`, which may be NULL. */
static struct entry *next_urgent(struct model *m, const struct entry *last)
{
    struct entry *next = NULL;
    for (size_t i = 0; i < m->count; i++) {
        struct entry *e = &m->entries[i];
        if (!e->is_taken && (last == NULL || is_before(last, e)) &&
            (next == NULL || is_before(e, next)))
            next = e;
    }
    return next;
}

/* Whom a message with this much room takes, in order; how many. */
static size_t fill_model(struct model *m, size_t room, struct entry **taken)
{
    size_t count = 0, misfits = 0;
    const struct entry *last = NULL;
    struct entry *e;
    while (count < CV_GOSSIP_RESERVED_SLOTS && (e = oldest_unsent(m)) != NULL && e->size <= room) {
        e->is_taken = true;
        taken[count++] = e;
        room -= e->size;
    }
    m->waiting = count;
    while ((e = next_urgent(m, last)) != NULL && misfits < MISFITS_MAX) {
        if (count == CV_MAX_UPDATES_PER_MESSAGE)
            break;
        if (e->size <= room) {
            e->is_taken = true;
            taken[count++] = e;
            room -= e->size;
        } else {
            misfits++;
        }
        last = e;
    }
    return count;
}

/* ---- what must hold ---- */

static void check_message(const struct model *m, struct cv_slice bytes, struct entry **taken,
                          size_t count)
{
    static struct cv_message read;
    int error = cv_message_read(bytes, &read);
    assert(error == COVEY_OK && bytes.size <= CV_MAX_MESSAGE_SIZE);
    assert(read.update_count == count && count <= CV_MAX_UPDATES_PER_MESSAGE);
    for (size_t i = 0; i < count; i++) {
        assert(node_number(&read.updates[i].id) == taken[i]->about);
        assert(read.updates[i].status.incarnation == taken[i]->incarnation);
    }
    for (size_t i = m->waiting; i < count; i++) {
        for (size_t j = 0; j < m->count; j++) {
            const struct entry *left = &m->entries[j];
            assert(left->is_taken || !is_before(left, taken[i]) || left->size > taken[i]->size);
        }
        assert(i == m->waiting || is_before(taken[i - 1], taken[i]));
    }
    (void)error;
}

static void check_counts(const struct model *m)
{
    assert(cv_gossip_queue_count(&m->queue) == m->count && m->count <= m->count_max);
    assert(m->queue.shed == m->shed);
    assert(m->memory.out <= m->count_max + 1);
}

/* After a message: who was sent has one send more, and goes at the limit. */
static void settle(struct model *m, uint32_t sends_max, bool is_roomy)
{
    for (size_t i = m->count; i-- > 0;) {
        struct entry *e = &m->entries[i];
        if (e->limit < sends_max)
            e->limit = sends_max;
        e->sends += e->is_taken;
        assert(e->sends <= e->limit);
        if (is_roomy && e->sends == 0) {
            e->patience--;
            assert(e->patience > 0);
        }
        bool is_over = e->is_taken && (e->sends >= sends_max || e->sends >= CV_GOSSIP_SENDS_MAX);
        e->is_taken = false;
        if (is_over)
            forget(m, e);
    }
}

/* ---- the steps ---- */

static void push(struct model *m, uint8_t which, uint8_t how, bool runs_out)
{
    uint8_t about = which % SUBJECTS;
    enum cv_priority priority = (enum cv_priority)(how % CV_PRIORITY_COUNT);
    struct cv_record record = {.id = node_id(about), .body = m->bodies[how / 4 % 4]};
    record.status.incarnation = m->sequence + 1000;
    record.status.state = (enum covey_node_state)(how / 16 % 4);
    memory_limit(&m->memory, runs_out, true);
    int error = cv_gossip_queue_reserve(&m->queue, 1);
    assert(error == COVEY_OK || runs_out);
    /* From here on nothing may need memory. */
    memory_limit(&m->memory, 1, true);
    if (error != COVEY_OK)
        return;
    size_t update = cv_update_size(&record);
    size_t header = cv_varint_size(update) + 1;
    push_model(m, priority, about, record.status.incarnation, update + header);
    cv_gossip_queue_push(&m->queue, priority, &record);
    assert(m->memory.calls == 0);
}

static void fill(struct model *m, uint8_t which, uint8_t how)
{
    static const size_t sizes[] = {CV_MAX_MESSAGE_SIZE, 1100, 1, 200, ROOMY_SIZE, 64, 2500, 900};
    static uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct entry *taken[CV_MAX_UPDATES_PER_MESSAGE];
    struct cv_message_writer mw;
    size_t size = sizes[which % 8];
    uint32_t sends_max = how < 250 ? 1 + how % 16u : CV_GOSSIP_SENDS_MAX + how;
    cv_message_begin(&mw, memory, size, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    cv_gossip_queue_fill(&m->queue, &mw, sends_max);
    assert(m->memory.calls == 0);
    size_t count = fill_model(m, size - 1, taken);
    check_message(m, cv_message_bytes(&mw), taken, count);
    settle(m, sends_max, size >= ROOMY_SIZE);
}

static void remove_one(struct model *m, uint8_t which)
{
    const covey_node_id id = node_id(which % SUBJECTS);
    struct entry *e = entry_of(m, which % SUBJECTS);
    if (e != NULL)
        forget(m, e);
    cv_gossip_queue_remove(&m->queue, &id);
}

static void take_step(struct model *m, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r), which = cv_read_u8(r), how = cv_read_u8(r);
    if (what % 8 < 4)
        push(m, which, how, what % 64 == 3);
    else if (what % 8 < 7)
        fill(m, which, how);
    else
        remove_one(m, which);
    check_counts(m);
}

static struct cv_cluster_node *body_with(size_t tag_count)
{
    static const char value[] =
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "789";
    const struct covey_tag tags[] = {{"a", value}, {"b", value}, {"c", value},
                                     {"d", value}, {"e", value}, {"f", value}};
    struct cv_cluster_node *body;
    if (cv_cluster_node_new(cv_alloc_default(),
                            &(struct cv_cluster_node_config){.address = node_address(1),
                                                             .name = cv_slice_text("name"),
                                                             .tags = tags,
                                                             .tag_count = tag_count},
                            &body) != COVEY_OK)
        abort();
    return body;
}

static void init(struct model *m, uint8_t bound)
{
    static const uint64_t secret[2] = {1, 2};
    /* Records with a body have its id; the queue does not look. */
    *m = (struct model){.count_max = 1 + bound % SUBJECTS};
    memory_init(&m->memory);
    m->bodies[1] = body_with(0);
    m->bodies[2] = body_with(3);
    m->bodies[3] = body_with(6);
    cv_gossip_queue_init(&m->queue, &m->memory.alloc, secret, m->count_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model m;
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(data, size));
    init(&m, cv_read_u8(&r));
    while (cv_reader_left(&r) >= 3)
        take_step(&m, &r);
    cv_gossip_queue_fini(&m.queue);
    assert(m.memory.out == 0);
    for (size_t i = 1; i < 4; i++) {
        assert(!cv_cluster_node_is_shared(m.bodies[i]));
        cv_cluster_node_release(m.bodies[i]);
    }
    return 0;
}
