#include "cluster/membership_internal.h"

#include "cluster/incarnation.h"

#include <covey/error.h>

/*
 * Leaving: we tell every connected member and wait until enough of them have heard it; the others
 * hear it from them. While we wait we answer, but probe and accuse nobody.
 */

static void say_goodbye(struct cv_membership *m, const covey_node_id *to)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_message_head head = {.type = CV_MESSAGE_LEAVE, .incarnation = g->self->incarnation};
    const struct cv_peer *peer = cv_links_peer(&g->links, to);
    cv_gossip_protocol_compose(g, to, &head);
    if (peer != NULL && peer->member == NULL)
        cv_gossip_protocol_add(g, g->self); /* whom it may not know, see below */
    cv_gossip_protocol_post(g, to, true);
}

/* Tells those who are connected and not gone themselves; how many. One that we do not know may know
 * us: a seed that has our JOIN and has not answered yet. */
static size_t tell_connected(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    size_t told = 0;
    for (size_t i = 0; i < cv_links_count(&g->links); i++) {
        const covey_node_id *id = &cv_links_at(&g->links, i)->id;
        const struct cv_member *member = cv_node_registry_get(&g->registry, id);
        if (member != NULL && !cv_member_is_live(member))
            continue;
        say_goodbye(m, id);
        told++;
    }
    return told;
}

/* Dials members that are not connected, until so many are told or sought. */
static void seek_members(struct cv_membership *m, size_t told)
{
    struct cv_gossip_protocol *g = &m->gossip;
    for (size_t i = 0; i < cv_node_registry_count(&g->registry) && told < m->leave.ack_wanted;
         i++) {
        struct cv_member *member = cv_node_registry_at(&g->registry, i);
        if (member == g->self || member->link == CV_LINK_UP || !cv_member_is_live(member))
            continue;
        told += member->link == CV_LINK_DIALLING || cv_gossip_protocol_dial(g, member);
    }
}

/* What was under way ends, and who is connected is told; how many. */
static size_t enter_leaving(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_node_status status = {.incarnation = g->self->incarnation, .state = COVEY_NODE_LEFT};
    cv_join_stop(m);
    cv_heap_clear(&g->heap, &m->reconnect.timer);
    cv_heap_clear(&g->heap, &m->partition.alarm.timer);
    cv_sync_stop(m);
    cv_gossip_protocol_stop(g);
    g->is_leaving = true;
    cv_node_registry_set_status(&g->registry, g->self, &status, g->now);
    cv_membership_enter(m, CV_MEMBERSHIP_LEAVING, COVEY_OK);
    /* With our name: a goodbye may overtake the JOIN that it ends. */
    const struct cv_record own = cv_member_record(g->self);
    cv_gossip_protocol_broadcast(g, CV_PRIORITY_CRITICAL, &own);
    return tell_connected(m);
}

/* Until so many, but no more than needed, have heard it or time is up. */
static void wait_for_acks(struct cv_membership *m, size_t count, covey_time timeout)
{
    struct cv_gossip_protocol *g = &m->gossip;
    m->leave.ack_wanted = count < CV_LEAVE_ACKS_MAX ? count : CV_LEAVE_ACKS_MAX;
    if (count == 0)
        cv_leave_finish(m);
    else
        cv_heap_set(&g->heap, &m->leave.alarm.timer, g->now + timeout);
}

void cv_leave_start(struct cv_membership *m)
{
    const size_t others = cv_node_registry_live_count(&m->gossip.registry) - 1;
    const size_t told = enter_leaving(m);
    wait_for_acks(m, others > told ? others : told, m->leave.timeout);
    if (m->state == CV_MEMBERSHIP_LEAVING)
        seek_members(m, told);
}

void cv_leave_shut_down(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    if (m->state != CV_MEMBERSHIP_LEAVING)
        wait_for_acks(m, enter_leaving(m), CV_SHUTDOWN_TIMEOUT);
    else
        cv_heap_set_latest(&g->heap, &m->leave.alarm.timer, g->now + CV_SHUTDOWN_TIMEOUT);
}

void cv_leave_finish(struct cv_membership *m)
{
    cv_heap_clear(&m->gossip.heap, &m->leave.alarm.timer);
    cv_gossip_protocol_stop(&m->gossip);
    m->gossip.has_news = false;
    cv_checks_stop(m);
    cv_membership_enter(m, CV_MEMBERSHIP_LEFT, COVEY_OK);
}

void cv_leave_connected(struct cv_membership *m, const covey_node_id *peer)
{
    say_goodbye(m, peer);
}

void cv_leave_acked(struct cv_membership *m, const covey_node_id *from)
{
    struct cv_leave *leave = &m->leave;
    if (m->state != CV_MEMBERSHIP_LEAVING)
        return;
    for (size_t i = 0; i < leave->ack_count; i++) {
        if (cv_node_id_equal(&leave->acks[i], from))
            return;
    }
    leave->acks[leave->ack_count] = *from;
    leave->ack_count++;
    if (leave->ack_count == leave->ack_wanted)
        cv_leave_finish(m);
}

void cv_leave_heard(struct cv_membership *m, const covey_node_id *from, uint64_t incarnation)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_member *member = cv_node_registry_get(&g->registry, from);
    struct cv_node_status status = {.incarnation = incarnation, .state = COVEY_NODE_LEFT};
    const struct cv_node_status known =
        member != NULL ? cv_member_status(member) : (struct cv_node_status){.incarnation = 0};
    if (member != NULL && cv_node_status_is_after(&status, &known) &&
        cv_incarnation_is_owners(member->incarnation, incarnation, g->wall_ms)) {
        cv_gossip_protocol_set_status(g, member, &status);
        struct cv_record record = cv_member_record(member);
        record.body = NULL;
        cv_gossip_protocol_broadcast(g, CV_PRIORITY_CRITICAL, &record);
        g->counters.updates_applied++;
    }
    if (member != NULL && member->state == COVEY_NODE_LEFT)
        cv_gossip_protocol_left(g, member);
    cv_gossip_protocol_compose(g, from, &(struct cv_message_head){.type = CV_MESSAGE_LEAVE_ACK});
    cv_gossip_protocol_post(g, from, true);
}
