#include "cluster/gossip/ack.h"

#include "cluster/node.h"

#include <stddef.h>

static bool is_owed(const struct cv_owed_ack *a)
{
    return cv_timer_is_set(&a->alarm.timer);
}

void cv_owed_acks_init(struct cv_owed_acks *o)
{
    *o = (struct cv_owed_acks){.taken = 0};
    for (size_t i = 0; i < CV_OWED_ACKS_MAX; i++)
        o->acks[i].alarm.kind = CV_ALARM_RELAY;
}

/* The next one from `first` on that is owed; CV_OWED_ACKS_MAX when there is none. Mostly there is none
 * at all, and nothing is looked at. */
static size_t next_owed(struct cv_owed_acks *o, size_t first)
{
    for (size_t i = first; i < CV_OWED_ACKS_MAX && o->taken >> i != 0; i++) {
        if ((o->taken >> i & 1) == 0)
            continue;
        if (is_owed(&o->acks[i]))
            return i;
        o->taken &= ~(UINT64_C(1) << i);
    }
    return CV_OWED_ACKS_MAX;
}

static size_t count_owed_to(struct cv_owed_acks *o, const covey_node_id *origin)
{
    size_t count = 0;
    for (size_t i = next_owed(o, 0); i < CV_OWED_ACKS_MAX; i = next_owed(o, i + 1))
        count += cv_node_id_equal(&o->acks[i].origin, origin);
    return count;
}

struct cv_owed_ack *cv_owed_acks_free(struct cv_owed_acks *o, const covey_node_id *origin)
{
    size_t i = 0;
    while (i < CV_OWED_ACKS_MAX && next_owed(o, i) == i)
        i++;
    if (i == CV_OWED_ACKS_MAX || count_owed_to(o, origin) >= CV_OWED_ACKS_SHARE)
        return NULL;
    o->taken |= UINT64_C(1) << i;
    return &o->acks[i];
}

struct cv_owed_ack *cv_owed_acks_match(struct cv_owed_acks *o, uint32_t sequence,
                                       const covey_node_id *from)
{
    for (size_t i = next_owed(o, 0); i < CV_OWED_ACKS_MAX; i = next_owed(o, i + 1)) {
        struct cv_owed_ack *a = &o->acks[i];
        if (a->is_pinged && a->sequence == sequence && cv_node_id_equal(&a->target, from))
            return a;
    }
    return NULL;
}

struct cv_owed_ack *cv_owed_acks_waiting(struct cv_owed_acks *o, const struct cv_owed_ack *after,
                                         const covey_node_id *target)
{
    size_t first = after == NULL ? 0 : (size_t)(after - o->acks) + 1;
    for (size_t i = next_owed(o, first); i < CV_OWED_ACKS_MAX; i = next_owed(o, i + 1)) {
        struct cv_owed_ack *a = &o->acks[i];
        if (!a->is_pinged && cv_node_id_equal(&a->target, target))
            return a;
    }
    return NULL;
}
