#include "memberlist_internal.h"

/*
 * aliveNode, suspectNode, deadNode and mergeState of memberlist: what changes a view, and what is
 * then told to others.
 *
 *               suspect i >= own           timeout, dead i >= own
 *     ALIVE  ----------------->  SUSPECT  ------------------------>  DEAD, LEFT
 *       ^  ^       alive i > own   |                                    |
 *       |  +-----------------------+                                    |
 *       +---------------------------------------------------------------+  alive i > own
 *
 * Nobody is dead by a push-pull: what was dead there is suspect here.
 */

static void broadcast(struct sim_memberlist *m, enum sim_memberlist_kind kind, uint16_t subject,
                      uint32_t incarnation, uint16_t from)
{
    const struct sim_memberlist_item item = {
        .kind = (uint8_t)kind,
        .subject = subject,
        .incarnation = (uint16_t)incarnation,
        .from = from,
    };
    memberlist_queue_push(m, &item);
}

static void set(struct sim_memberlist *m, uint16_t subject, enum view_state state,
                uint32_t incarnation)
{
    memberlist_set_view(m, subject, state, incarnation);
    memberlist_put_change(m, subject);
}

static void announce(struct sim_memberlist *m, uint32_t incarnation)
{
    set(m, m->self, VIEW_ALIVE, incarnation);
    broadcast(m, SIM_MEMBERLIST_ALIVE_MESSAGE, m->self, incarnation, m->self);
}

static void refute(struct sim_memberlist *m, uint32_t accused)
{
    uint32_t own = memberlist_incarnation(m, m->self);
    memberlist_adjust_score(m, 1);
    announce(m, (accused > own ? accused : own) + 1);
}

void memberlist_update(struct sim_memberlist *m)
{
    if (memberlist_view(m, m->self) == VIEW_UNKNOWN)
        memberlist_list_add(m, m->self);
    announce(m, memberlist_incarnation(m, m->self) + 1u);
}

void memberlist_leave(struct sim_memberlist *m)
{
    if (m->is_leaving)
        return;
    m->is_leaving = true;
    memberlist_dead(m, m->self, memberlist_incarnation(m, m->self), m->self);
}

void memberlist_alive(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation)
{
    enum view_state before = memberlist_view(m, subject);
    uint32_t known = memberlist_incarnation(m, subject);
    if (subject == m->self) {
        if (!m->is_leaving && incarnation > known)
            refute(m, incarnation);
        return;
    }
    if (before == VIEW_UNKNOWN)
        memberlist_list_add(m, subject);
    else if (incarnation <= known)
        return;
    if (before == VIEW_SUSPECT)
        memberlist_suspicion_end(m, subject);
    broadcast(m, SIM_MEMBERLIST_ALIVE_MESSAGE, subject, incarnation, subject);
    set(m, subject, VIEW_ALIVE, incarnation);
}

void memberlist_suspect(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation,
                        uint16_t from)
{
    enum view_state before = memberlist_view(m, subject);
    if (before == VIEW_UNKNOWN || incarnation < memberlist_incarnation(m, subject))
        return;
    if (before == VIEW_SUSPECT) {
        if (memberlist_suspicion_confirm(m, subject, from))
            broadcast(m, SIM_MEMBERLIST_SUSPECT_MESSAGE, subject, incarnation, from);
        return;
    }
    if (before != VIEW_ALIVE)
        return;
    if (subject == m->self) {
        refute(m, incarnation);
        return;
    }
    broadcast(m, SIM_MEMBERLIST_SUSPECT_MESSAGE, subject, incarnation, from);
    set(m, subject, VIEW_SUSPECT, incarnation);
    memberlist_suspicion_begin(m, subject, from);
}

void memberlist_dead(struct sim_memberlist *m, uint16_t subject, uint32_t incarnation,
                     uint16_t from)
{
    enum view_state before = memberlist_view(m, subject);
    if (before == VIEW_UNKNOWN || incarnation < memberlist_incarnation(m, subject))
        return;
    if (before == VIEW_SUSPECT)
        memberlist_suspicion_end(m, subject);
    if (memberlist_is_gone(before))
        return;
    if (subject == m->self && !m->is_leaving) {
        refute(m, incarnation);
        return;
    }
    broadcast(m, SIM_MEMBERLIST_DEAD_MESSAGE, subject, incarnation, from);
    set(m, subject, subject == from ? VIEW_LEFT : VIEW_DEAD, incarnation);
    memberlist_died(m, subject);
}

void memberlist_merge(struct sim_memberlist *m, const struct sim_memberlist_item *record)
{
    switch ((enum sim_memberlist_state)record->state) {
    case SIM_MEMBERLIST_UNKNOWN:
        break;
    case SIM_MEMBERLIST_ALIVE:
        memberlist_alive(m, record->subject, record->incarnation);
        break;
    case SIM_MEMBERLIST_LEFT:
        memberlist_dead(m, record->subject, record->incarnation, record->subject);
        break;
    case SIM_MEMBERLIST_DEAD:
    case SIM_MEMBERLIST_SUSPECT:
        memberlist_suspect(m, record->subject, record->incarnation, m->self);
        break;
    }
}
