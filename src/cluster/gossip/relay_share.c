#include "cluster/gossip/relay_share.h"

#include "base/node_id.h"

#include <assert.h>
#include <stddef.h>

void cv_relay_share_init(struct cv_relay_share *s, covey_time protocol_period, covey_time now)
{
    const covey_time interval = CV_RELAY_PERIODS * protocol_period;
    *s = (struct cv_relay_share){0};
    cv_bucket_init(&s->all, CV_RELAY_DIALS, interval, now);
    for (size_t i = 0; i < CV_RELAY_NOTES; i++)
        cv_bucket_init(&s->notes[i].left, CV_RELAY_SHARE, CV_RELAY_ASKERS * interval, now);
}

static bool is_whole(struct cv_relay_note *note, covey_time now)
{
    return cv_bucket_ready(&note->left, CV_RELAY_SHARE, now) <= now;
}

/* His own, or one that says nothing of anybody any more. */
static struct cv_relay_note *note_for(struct cv_relay_share *s, const covey_node_id *asker,
                                      covey_time now)
{
    struct cv_relay_note *free = NULL;
    for (size_t i = 0; i < CV_RELAY_NOTES; i++) {
        if (is_whole(&s->notes[i], now))
            free = &s->notes[i];
        else if (cv_node_id_equal(&s->notes[i].asker, asker))
            return &s->notes[i];
    }
    return free;
}

bool cv_relay_share_take(struct cv_relay_share *s, const covey_node_id *asker, covey_time now)
{
    if (cv_bucket_ready(&s->all, 1, now) > now)
        return false;
    struct cv_relay_note *note = note_for(s, asker, now);
    assert(note != NULL);
    if (!cv_bucket_take(&note->left, 1, now))
        return false;
    note->asker = *asker;
    return cv_bucket_take(&s->all, 1, now);
}
