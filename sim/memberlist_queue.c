#include "memberlist_internal.h"

#include <math.h>
#include <string.h>

/* A smaller message than this there is not: where less is free nothing more is looked for. */
#define BROADCAST_SIZE_MIN 30u
/* What a message costs in a packet of several beside its bytes. */
#define PART_OVERHEAD 2u

uint32_t sim_memberlist_retransmit_limit(const struct sim_memberlist_config *config, uint32_t n)
{
    return config->retransmit_mult * (uint32_t)ceil(log10((double)n + 1));
}

/* Sent least first, then the largest, then the newest. */
static bool comes_before(const struct broadcast *a, const struct broadcast *b)
{
    if (a->transmits != b->transmits)
        return a->transmits < b->transmits;
    if (a->size != b->size)
        return a->size > b->size;
    return a->number > b->number;
}

static void insert(struct sim_memberlist *m, const struct broadcast *b)
{
    size_t low = 0;
    size_t high = m->queue_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(&m->queue[middle], b))
            low = middle + 1;
        else
            high = middle;
    }
    m->queue = memberlist_grow(m->queue, m->queue_count, &m->queue_capacity, sizeof(*m->queue));
    memmove(&m->queue[low + 1], &m->queue[low], (m->queue_count - low) * sizeof(*b));
    m->queue[low] = *b;
    m->queue_count++;
    m->views[b->item.subject] |= VIEW_QUEUED;
}

static void drop(struct sim_memberlist *m, uint16_t subject)
{
    size_t place = 0;
    if ((m->views[subject] & VIEW_QUEUED) == 0)
        return;
    while (m->queue[place].item.subject != subject)
        place++;
    assert(place < m->queue_count);
    m->queue_count--;
    memmove(&m->queue[place], &m->queue[place + 1], (m->queue_count - place) * sizeof(*m->queue));
}

void memberlist_queue_push(struct sim_memberlist *m, const struct sim_memberlist_item *item)
{
    drop(m, item->subject);
    m->last_broadcast++;
    const struct broadcast b = {
        .item = *item,
        .size = (uint16_t)sim_memberlist_item_size(m->config, item),
        .number = m->last_broadcast,
    };
    insert(m, &b);
}

void memberlist_queue_take(struct sim_memberlist *m, size_t free)
{
    struct broadcast taken[PACKET_ITEMS_MAX];
    size_t taken_count = 0;
    size_t kept = 0;
    size_t place = 0;
    uint32_t limit = sim_memberlist_retransmit_limit(m->config, m->list_count);
    for (; place < m->queue_count && taken_count < PACKET_ITEMS_MAX - 1; place++) {
        const struct broadcast *b = &m->queue[place];
        if (free < BROADCAST_SIZE_MIN + PART_OVERHEAD)
            break;
        if (b->size + PART_OVERHEAD > free) {
            m->queue[kept++] = *b;
            continue;
        }
        free -= b->size + PART_OVERHEAD;
        taken[taken_count++] = *b;
    }
    memmove(&m->queue[kept], &m->queue[place], (m->queue_count - place) * sizeof(*m->queue));
    m->queue_count -= taken_count;
    for (size_t i = 0; i < taken_count; i++) {
        struct broadcast *b = &taken[i];
        memberlist_put_item(m, &b->item);
        b->transmits++;
        if (b->transmits < limit)
            insert(m, b);
        else
            m->views[b->item.subject] &= (uint16_t)~VIEW_QUEUED;
    }
}
