#include "cluster/gossip/ack.h"

#include <stddef.h>

static bool is_owed(const struct cv_owed_ack *a)
{
    return cv_timer_is_set(&a->alarm.timer);
}

void cv_owed_acks_init(struct cv_owed_acks *o)
{
    *o = (struct cv_owed_acks){.acks = {{.is_pinged = false}}};
    for (size_t i = 0; i < CV_OWED_ACKS_MAX; i++)
        o->acks[i].alarm.kind = CV_ALARM_RELAY;
}

struct cv_owed_ack *cv_owed_acks_free(struct cv_owed_acks *o)
{
    for (size_t i = 0; i < CV_OWED_ACKS_MAX; i++) {
        if (!is_owed(&o->acks[i]))
            return &o->acks[i];
    }
    return NULL;
}

struct cv_owed_ack *cv_owed_acks_match(struct cv_owed_acks *o, uint32_t sequence,
                                       const covey_node_id *from)
{
    for (size_t i = 0; i < CV_OWED_ACKS_MAX; i++) {
        struct cv_owed_ack *a = &o->acks[i];
        if (is_owed(a) && a->is_pinged && a->sequence == sequence &&
            covey_node_id_compare(&a->target, from) == 0)
            return a;
    }
    return NULL;
}

struct cv_owed_ack *cv_owed_acks_waiting(struct cv_owed_acks *o, const struct cv_owed_ack *after,
                                         const covey_node_id *target)
{
    size_t first = after == NULL ? 0 : (size_t)(after - o->acks) + 1;
    for (size_t i = first; i < CV_OWED_ACKS_MAX; i++) {
        struct cv_owed_ack *a = &o->acks[i];
        if (is_owed(a) && !a->is_pinged && covey_node_id_compare(&a->target, target) == 0)
            return a;
    }
    return NULL;
}
