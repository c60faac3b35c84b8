#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>

/*
 * Records for one that joins, or that knows other things than we do: the gone ones too, so that a
 * newcomer does not believe old news of them and can try the failed ones again. They are written
 * chunk by chunk as they are polled, so a long list takes one message's memory at a time.
 *
 * When hundreds join at once, more ask before we are polled than may have a list under way. A newcomer that
 * was not answered would think us dead after a while, and connect anew: so they wait in a row. Members that
 * compare do not: there will be another comparison.
 */

void cv_transfers_init(struct cv_membership *m)
{
    cv_ring_init(&m->newcomers, m->alloc, sizeof(covey_node_id), CV_NEWCOMERS_MAX);
}

/* A chunk has room for so many records at least, beside its head. */
#define CHUNK_HEAD_MAX    64
#define RECORDS_PER_CHUNK ((CV_MAX_MESSAGE_SIZE - CHUNK_HEAD_MAX) / (CV_UPDATE_SIZE_MAX + 4))
static_assert((2 * CV_MEMBERS_MAX + CV_MAX_UPDATES_PER_MESSAGE) / RECORDS_PER_CHUNK + 1 <
                  UINT16_MAX,
              "the members and the tombstones fit one list");

static bool is_wanted(const struct cv_transfer *t, const covey_node_id *id)
{
    return t->type == CV_MESSAGE_JOIN_ACK || cv_bucket_set_has(&t->buckets, id);
}

static size_t count_wanted(const struct cv_node_registry *r, const struct cv_transfer *t)
{
    size_t count = 0;
    for (size_t i = 0; i < cv_node_registry_count(r); i++)
        count += is_wanted(t, cv_member_id(cv_node_registry_at(r, i)));
    return count;
}

int cv_transfer_new(struct cv_membership *m, const covey_node_id *to, enum cv_message_type type,
                    const struct cv_bucket_set *buckets, struct cv_transfer **out)
{
    struct cv_transfer head = {.to = *to, .type = type};
    if (buckets != NULL)
        head.buckets = *buckets;
    /* The message that asks may bring some. */
    size_t room = count_wanted(&m->gossip.registry, &head) + CV_MAX_UPDATES_PER_MESSAGE;
    *out = cv_allocate(m->alloc, sizeof(head) + room * sizeof((*out)->records[0]));
    if (*out == NULL)
        return COVEY_ERR_NO_MEMORY;
    **out = head;
    return COVEY_OK;
}

static void free_transfer(struct cv_membership *m, struct cv_transfer *transfer)
{
    for (size_t i = 0; i < transfer->count; i++)
        cv_cluster_node_release(transfer->records[i].body);
    cv_release(m->alloc, transfer);
}

/* Writes records from `next` on until the chunk is full; returns the first that is not in it. */
static size_t write_chunk(struct cv_gossip_protocol *g, const struct cv_transfer *transfer,
                          size_t next)
{
    struct cv_message_head head = {.type = transfer->type,
                                   .chunk = transfer->chunk_next,
                                   .chunk_count = transfer->chunk_count};
    if (transfer->type != CV_MESSAGE_JOIN_ACK)
        head.digest = cv_slice_of(transfer->buckets.bits, sizeof(transfer->buckets.bits));
    cv_message_begin(&g->writer, g->scratch, CV_MAX_MESSAGE_SIZE, &head);
    while (next < transfer->count && cv_message_add(&g->writer, &transfer->records[next]))
        next++;
    return next;
}

static void drop_at(struct cv_membership *m, size_t index)
{
    free_transfer(m, m->transfers[index]);
    m->transfer_count--;
    for (size_t i = index; i < m->transfer_count; i++)
        m->transfers[i] = m->transfers[i + 1];
}

static bool is_under_way(const struct cv_membership *m, const covey_node_id *to)
{
    for (size_t i = 0; i < m->transfer_count; i++) {
        if (cv_node_id_equal(&m->transfers[i]->to, to))
            return true;
    }
    return false;
}

/* The whole list takes the place of what is under way to the same one. */
static bool has_place(const struct cv_membership *m, const struct cv_transfer *transfer)
{
    if (is_under_way(m, &transfer->to))
        return transfer->type == CV_MESSAGE_JOIN_ACK;
    return m->transfer_count < CV_TRANSFERS_MAX;
}

/* It may have been closed for what it said in the message that asks, or since. */
static bool is_taken(const struct cv_membership *m, const covey_node_id *to)
{
    return cv_links_peer(&m->gossip.links, to) != NULL &&
           cv_node_registry_get(&m->gossip.registry, to) != NULL;
}

static bool waits(const struct cv_membership *m, const covey_node_id *id)
{
    for (size_t i = 0; i < m->newcomers.count; i++) {
        if (cv_node_id_equal(cv_ring_at(&m->newcomers, i), id))
            return true;
    }
    return false;
}

static void put_off(struct cv_membership *m, const struct cv_transfer *transfer)
{
    const bool is_newcomer = transfer->type == CV_MESSAGE_JOIN_ACK;
    if (is_under_way(m, &transfer->to) || (is_newcomer && waits(m, &transfer->to)))
        return;
    covey_node_id *place = is_newcomer ? cv_ring_push(&m->newcomers) : NULL;
    if (place == NULL)
        m->lists_shed++;
    else
        *place = transfer->to;
}

bool cv_transfer_affords(struct cv_membership *m, const covey_node_id *to, size_t size)
{
    struct cv_peer *peer = cv_links_peer(&m->gossip.links, to);
    const uint32_t cost = size < CV_ANSWER_BURST ? (uint32_t)size : CV_ANSWER_BURST;
    if (peer != NULL && cv_bucket_take(&peer->answers, cost, m->gossip.now))
        return true;
    m->answers_shed++;
    return false;
}

/* That one failed, told by others, is a rumour and no accusation of ours: until we accuse it or believe
 * them, a list says of it what we held before. */
static struct cv_record record_of(const struct cv_member *member)
{
    struct cv_record record = cv_member_record(member);
    if (member->state == COVEY_NODE_SUSPECT && member->trouble->suspicion.is_hearsay)
        record.status =
            (struct cv_node_status){.incarnation = member->incarnation, .state = COVEY_NODE_ALIVE};
    return record;
}

void cv_transfer_begin(struct cv_membership *m, struct cv_transfer *transfer)
{
    struct cv_gossip_protocol *g = &m->gossip;
    if (!is_taken(m, &transfer->to) || !has_place(m, transfer)) {
        if (is_taken(m, &transfer->to))
            put_off(m, transfer);
        free_transfer(m, transfer);
        return;
    }
    for (size_t i = 0; i < cv_node_registry_count(&g->registry); i++) {
        struct cv_member *member = cv_node_registry_at(&g->registry, i);
        if (!is_wanted(transfer, cv_member_id(member)))
            continue;
        transfer->records[transfer->count] = record_of(member);
        cv_cluster_node_retain(member->body);
        transfer->count++;
    }
    size_t next = 0;
    do {
        next = write_chunk(g, transfer, next);
        assert(transfer->chunk_count < UINT16_MAX);
        transfer->chunk_count++;
    } while (next < transfer->count);
    if (!cv_transfer_affords(m, &transfer->to,
                             transfer->chunk_count * (size_t)CV_MAX_MESSAGE_SIZE)) {
        free_transfer(m, transfer);
        return;
    }
    cv_transfers_drop(m, &transfer->to);
    m->transfers[m->transfer_count] = transfer;
    m->transfer_count++;
}

void cv_transfers_drop(struct cv_membership *m, const covey_node_id *to)
{
    for (size_t i = m->transfer_count; i-- > 0;) {
        if (cv_node_id_equal(&m->transfers[i]->to, to))
            drop_at(m, i);
    }
}

/* Those who waited, as long as there is a place. */
static void begin_waiting(struct cv_membership *m)
{
    while (m->newcomers.count > 0 && m->transfer_count < CV_TRANSFERS_MAX) {
        const covey_node_id *next = cv_ring_front(&m->newcomers);
        const covey_node_id to = *next;
        struct cv_transfer *transfer;
        cv_ring_pop(&m->newcomers);
        if (!is_taken(m, &to))
            continue;
        if (cv_transfer_new(m, &to, CV_MESSAGE_JOIN_ACK, NULL, &transfer) == COVEY_OK)
            cv_transfer_begin(m, transfer);
        else
            m->lists_shed++;
    }
}

bool cv_transfers_poll(struct cv_membership *m, struct cv_output *output)
{
    begin_waiting(m);
    if (m->transfer_count == 0)
        return false;
    struct cv_transfer *transfer = m->transfers[0];
    transfer->next = write_chunk(&m->gossip, transfer, transfer->next);
    transfer->chunk_next++;
    *output = (struct cv_output){.type = CV_OUTPUT_SEND};
    output->send.to = transfer->to;
    output->send.reliable = true;
    output->send.bytes = cv_message_bytes(&m->gossip.writer);
    m->chunks_sent++;
    if (transfer->chunk_next == transfer->chunk_count)
        drop_at(m, 0);
    return true;
}

void cv_transfers_fini(struct cv_membership *m)
{
    while (m->transfer_count > 0)
        drop_at(m, m->transfer_count - 1);
    cv_ring_fini(&m->newcomers);
}
