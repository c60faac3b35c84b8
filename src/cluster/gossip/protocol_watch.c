#include "cluster/gossip/protocol_internal.h"

/* Heartbeats and their absence: gossip/watch.h draws them, DESIGN D8 says why. */

static void say(struct cv_gossip_protocol *p, const covey_node_id *to,
                const struct cv_message_head *head)
{
    cv_gossip_protocol_compose(p, to, head);
    cv_gossip_protocol_post(p, to, false);
}

static void ask(struct cv_gossip_protocol *p, struct cv_watch *watch)
{
    watch->renew_at = p->now + CV_WATCH_RENEWAL;
    if (watch->asks < UINT8_MAX)
        watch->asks++;
    say(p, &watch->subject, &(struct cv_message_head){.type = CV_MESSAGE_WATCH});
}

/* How long to wait for what asking brings: some asks may be lost, but who says nothing to many has no place for us. */
#define PATIENT_ASKS 3

static covey_time patience(const struct cv_watch *watch, covey_time time)
{
    for (unsigned i = PATIENT_ASKS; i < watch->asks && time < CV_WATCH_RENEWAL; i++)
        time = 2 * time < CV_WATCH_RENEWAL ? 2 * time : CV_WATCH_RENEWAL;
    return time;
}

static void wake(struct cv_gossip_protocol *p, struct cv_watch *watch, covey_time time)
{
    cv_heap_set(&p->heap, &watch->alarm.timer, time < p->now ? p->now : time);
}

/* When there is something to do about one that is heard: it is silent for too long, or is to be
 * asked again. */
static void wait_for(struct cv_gossip_protocol *p, struct cv_watch *watch)
{
    covey_time probe_at = cv_phi_accrual_reaches(&watch->phi, p->probe_z);
    wake(p, watch, probe_at < watch->renew_at ? probe_at : watch->renew_at);
}

static void end(struct cv_gossip_protocol *p, struct cv_watch *watch)
{
    cv_heap_clear(&p->heap, &watch->alarm.timer);
    cv_watch_end(watch);
    p->warm_changed = true;
}

static void begin(struct cv_gossip_protocol *p, const covey_node_id *id)
{
    wake(p, cv_watches_begin(&p->watches, id, &p->config.phi), p->now);
    p->warm_changed = true;
}

void cv_watching_update(struct cv_gossip_protocol *p)
{
    cv_watch_rings_choose(&p->rings, &p->registry);
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        struct cv_watch *watch = &p->watches.subjects[i];
        if (!watch->is_used || cv_watch_rings_misses(&p->rings, &watch->subject))
            continue;
        say(p, &watch->subject, &(struct cv_message_head){.type = CV_MESSAGE_UNWATCH});
        end(p, watch);
    }
    for (size_t i = 0; i < p->rings.chosen_count; i++) {
        struct cv_watch *watch = cv_watches_subject(&p->watches, &p->rings.chosen[i]);
        if (watch == NULL)
            begin(p, &p->rings.chosen[i]);
        else if (!cv_timer_is_set(&watch->alarm.timer))
            wake(p, watch, p->now); /* it went and came back before we looked */
    }
}

/* Nothing that still comes begins it again: who leaves watches nobody and is not watched. */
void cv_watching_stop(struct cv_gossip_protocol *p)
{
    cv_heap_clear(&p->heap, &p->heartbeat.timer);
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        if (p->watches.subjects[i].is_used)
            end(p, &p->watches.subjects[i]);
    }
    p->watches.watcher_count = 0;
}

/* --- the watcher --- */

static void accuse(struct cv_gossip_protocol *p, struct cv_member *m)
{
    bool was_alive = m->state == COVEY_NODE_ALIVE;
    p->counters.silences++;
    cv_member_unanswered(p, m);
    if (was_alive)
        cv_gossip_protocol_emit(p, COVEY_EVENT_HEALTH_CHECK_FAILED, m);
}

/* Silent for longer than a living node would be: a probe first, then, when that is not answered and
 * phi is above the threshold, a suspicion. When to look again. */
static covey_time judge(struct cv_gossip_protocol *p, struct cv_watch *watch, struct cv_member *m)
{
    covey_time suspect_at = cv_phi_accrual_reaches(&watch->phi, p->suspect_z);
    covey_time period = cv_local_health_scale(&p->health, p->config.protocol_period);
    if (watch->is_unanswered && p->now < suspect_at)
        return suspect_at;
    if (watch->is_unanswered) {
        watch->is_unanswered = false;
        watch->is_probed = false;
        accuse(p, m);
    } else if (!watch->is_probed) {
        watch->is_probed = true;
        ask(p, watch);
        cv_probing_urgent(p, m);
    } else {
        watch->is_probed = cv_probing_is_urgent(p, &watch->subject);
        if (!watch->is_probed)
            return p->now + patience(watch, period);
    }
    return p->now + period;
}

void cv_watching_alarm(struct cv_gossip_protocol *p, struct cv_watch *watch)
{
    struct cv_member *m = cv_node_registry_get(&p->registry, &watch->subject);
    covey_time next = p->now + p->config.heartbeat_interval;
    /* One that is gone will not be watched after this step; who leaves watches nobody. */
    if (m == NULL || !cv_member_is_live(m) || p->is_leaving)
        return;
    if (m->link == CV_LINK_NONE)
        cv_gossip_protocol_dial(p, m);
    if (m->link == CV_LINK_UP && (!watch->is_heard || p->now >= watch->renew_at))
        ask(p, watch);
    if (m->link == CV_LINK_UP && !watch->is_heard)
        next = p->now + patience(watch, p->config.heartbeat_interval);
    if (m->link == CV_LINK_UP && watch->is_heard) {
        covey_time probe_at = cv_phi_accrual_reaches(&watch->phi, p->probe_z);
        next = p->now < probe_at ? probe_at : judge(p, watch, m);
        if (next > watch->renew_at)
            next = watch->renew_at;
    }
    wake(p, watch, next);
}

void cv_watching_heard(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t number)
{
    struct cv_watch *watch = cv_watches_subject(&p->watches, from);
    p->counters.heartbeats_received++;
    if (watch == NULL) {
        say(p, from, &(struct cv_message_head){.type = CV_MESSAGE_UNWATCH});
        return;
    }
    uint32_t steps = number - watch->number;
    /* Late ones tell nothing. */
    if (watch->is_heard && (steps == 0 || steps > UINT32_MAX / 2))
        return;
    /* What waited while we paused comes in a bunch, and the first one after it too early. */
    if (watch->spans_pause)
        cv_phi_accrual_skip(&watch->phi, p->now);
    else
        cv_phi_accrual_heartbeat(&watch->phi, p->now, watch->is_heard ? steps : 1);
    if (p->now - p->paused_at >= p->config.heartbeat_interval / 4)
        watch->spans_pause = false;
    watch->number = number;
    watch->asks = 0;
    watch->is_heard = true;
    watch->is_probed = false;
    watch->is_unanswered = false;
    wait_for(p, watch);
}

void cv_watching_probed(struct cv_gossip_protocol *p, const covey_node_id *target, bool is_answered)
{
    struct cv_watch *watch = cv_watches_subject(&p->watches, target);
    if (watch == NULL || !watch->is_heard || !watch->is_probed)
        return;
    watch->is_unanswered = !is_answered;
    if (!is_answered)
        wake(p, watch, p->now);
}

/* What was heard on the last connection may be of the node's last life, which counted on its own. */
static void forget_heard(struct cv_watch *watch)
{
    watch->asks = 0;
    watch->is_heard = false;
    watch->is_probed = false;
    watch->is_unanswered = false;
    cv_phi_accrual_clear(&watch->phi);
}

void cv_watching_connected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_watch *watch = cv_watches_subject(&p->watches, peer);
    if (watch == NULL)
        return;
    forget_heard(watch);
    ask(p, watch);
    wake(p, watch, p->now + p->config.heartbeat_interval);
}

void cv_watching_unlinked(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_watch *watch = cv_watches_subject(&p->watches, peer);
    cv_watching_unasked(p, peer);
    if (watch == NULL)
        return;
    forget_heard(watch);
    wake(p, watch, p->now + p->config.heartbeat_interval);
}

void cv_watching_disconnected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_member *m = cv_node_registry_get(&p->registry, peer);
    cv_watching_unlinked(p, peer);
    /* A connection seldom ends for nothing. */
    if (cv_watches_subject(&p->watches, peer) != NULL && m != NULL && cv_member_is_live(m) &&
        !p->is_leaving)
        cv_gossip_protocol_probe(p, m);
}

void cv_watching_restart(struct cv_gossip_protocol *p)
{
    p->paused_at = p->now;
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        struct cv_watch *watch = &p->watches.subjects[i];
        if (!watch->is_used || !watch->is_heard)
            continue;
        cv_phi_accrual_skip(&watch->phi, p->now);
        watch->spans_pause = true;
        watch->is_probed = false;
        watch->is_unanswered = false;
        wait_for(p, watch);
    }
}

/* --- the subject --- */

/* All places are taken: the one that is least likely to be a neighbour on the rings has none, so that
 * those who should watch us can, whoever came before them. */
static bool displace(struct cv_gossip_protocol *p, const covey_node_id *from, bool *is_new)
{
    const covey_node_id *ids[CV_RING_SUITORS_MAX];
    const size_t count = p->watches.watcher_count;
    for (size_t i = 0; i < count; i++)
        ids[i] = &p->watches.watchers[i].id;
    ids[count] = from;
    const size_t unlikely = cv_watch_rings_unlikely(&p->rings, ids, count + 1);
    p->counters.watchers_refused++;
    if (unlikely == count)
        return false;
    const covey_node_id out = *ids[unlikely];
    cv_watching_unasked(p, &out);
    return cv_watches_subscribe(&p->watches, from, p->now + CV_WATCH_LIFETIME, is_new);
}

void cv_watching_asked(struct cv_gossip_protocol *p, const covey_node_id *from)
{
    const struct cv_member *m = cv_node_registry_get(&p->registry, from);
    bool is_new;
    if (m == NULL || !cv_member_is_live(m) || p->is_leaving)
        return;
    if (!cv_watches_subscribe(&p->watches, from, p->now + CV_WATCH_LIFETIME, &is_new) &&
        !displace(p, from, &is_new))
        return;
    p->warm_changed |= is_new;
    if (!cv_timer_is_set(&p->heartbeat.timer))
        cv_heap_set(&p->heap, &p->heartbeat.timer,
                    p->now + cv_rand_below(&p->rand, p->config.heartbeat_interval));
}

void cv_watching_unasked(struct cv_gossip_protocol *p, const covey_node_id *from)
{
    if (cv_watches_unsubscribe(&p->watches, from))
        p->warm_changed = true;
}

static void drop_late_watchers(struct cv_gossip_protocol *p)
{
    for (size_t i = p->watches.watcher_count; i-- > 0;) {
        const struct cv_watcher watcher = p->watches.watchers[i];
        if (watcher.until <= p->now)
            cv_watching_unasked(p, &watcher.id);
    }
}

void cv_watching_beat(struct cv_gossip_protocol *p)
{
    drop_late_watchers(p);
    if (p->watches.watcher_count == 0)
        return;
    p->heartbeats++;
    for (size_t i = 0; i < p->watches.watcher_count; i++) {
        say(p, &p->watches.watchers[i].id,
            &(struct cv_message_head){.type = CV_MESSAGE_HEARTBEAT, .sequence = p->heartbeats});
        p->counters.heartbeats_sent++;
    }
    cv_heap_set(&p->heap, &p->heartbeat.timer, p->now + p->config.heartbeat_interval);
}
