#include "cluster/gossip/watch.h"

#include <assert.h>

void cv_watches_init(struct cv_watches *w, size_t ring_count)
{
    *w = (struct cv_watches){.watcher_max = ring_count * CV_WATCHERS_PER_RING};
    for (size_t i = 0; i < CV_RINGS_MAX; i++)
        w->subjects[i].alarm.kind = CV_ALARM_WATCH;
}

struct cv_watch *cv_watches_subject(struct cv_watches *w, const covey_node_id *id)
{
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        if (cv_node_id_equal(&w->subject_ids[i], id) && w->subjects[i].is_used)
            return &w->subjects[i];
    }
    return NULL;
}

struct cv_watch *cv_watches_begin(struct cv_watches *w, const covey_node_id *id,
                                  const struct cv_phi_config *phi)
{
    struct cv_watch *watch = w->subjects;
    while (watch->is_used)
        watch++;
    assert(watch < w->subjects + CV_RINGS_MAX && !cv_timer_is_set(&watch->alarm.timer));
    *watch = (struct cv_watch){.alarm = watch->alarm, .is_used = true, .subject = *id};
    cv_phi_accrual_init(&watch->phi, phi);
    w->subject_ids[watch - w->subjects] = *id;
    return watch;
}

void cv_watch_end(struct cv_watch *watch)
{
    assert(watch->is_used && !cv_timer_is_set(&watch->alarm.timer));
    watch->is_used = false;
}

static size_t find(const struct cv_watches *w, const covey_node_id *id)
{
    size_t i = 0;
    while (i < w->watcher_count && !cv_node_id_equal(&w->watchers[i].id, id))
        i++;
    return i;
}

bool cv_watches_subscribe(struct cv_watches *w, const covey_node_id *id, covey_time until,
                          bool *is_new)
{
    size_t place = find(w, id);
    *is_new = place == w->watcher_count;
    if (place == w->watcher_max)
        return false;
    if (*is_new)
        w->watcher_count++;
    w->watchers[place] = (struct cv_watcher){.id = *id, .until = until};
    return true;
}

bool cv_watches_unsubscribe(struct cv_watches *w, const covey_node_id *id)
{
    size_t place = find(w, id);
    if (place == w->watcher_count)
        return false;
    w->watcher_count--;
    w->watchers[place] = w->watchers[w->watcher_count];
    return true;
}

bool cv_watches_is_watcher(const struct cv_watches *w, const covey_node_id *id)
{
    return find(w, id) < w->watcher_count;
}

bool cv_watches_is_warm(struct cv_watches *w, const covey_node_id *id)
{
    return cv_watches_subject(w, id) != NULL || cv_watches_is_watcher(w, id);
}
