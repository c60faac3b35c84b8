#include "cluster/membership_internal.h"

#include <covey/error.h>

static int read_message(struct cv_membership *m, const covey_node_id *from, struct cv_slice bytes)
{
    int error = cv_message_read(bytes, &m->message);
    if (error == COVEY_OK && m->message.head.type == CV_MESSAGE_JOIN &&
        !cv_node_id_equal(&m->message.updates[0].id, from))
        error = COVEY_ERR_MALFORMED;
    return error;
}

/* One that joins with us while we do so ourselves will not hear of all members. */
static void note_part(struct cv_membership *m, const covey_node_id *from)
{
    struct cv_peer *peer = cv_links_peer(&m->gossip.links, from);
    if (peer != NULL && m->message.head.type == CV_MESSAGE_JOIN &&
        (m->state == CV_MEMBERSHIP_JOINING || m->state == CV_MEMBERSHIP_JOIN_FAILED))
        peer->knows_a_part = true;
}

static void dispatch(struct cv_membership *m, const covey_node_id *from, struct cv_transfer *answer)
{
    const struct cv_message_head *head = &m->message.head;
    switch (head->type) {
    case CV_MESSAGE_PING:
    case CV_MESSAGE_ACK:
    case CV_MESSAGE_NACK:
    case CV_MESSAGE_PING_REQ:
    case CV_MESSAGE_GOSSIP:
    case CV_MESSAGE_WATCH:
    case CV_MESSAGE_UNWATCH:
    case CV_MESSAGE_HEARTBEAT:
        cv_gossip_protocol_message(&m->gossip, from, &m->message);
        break;
    case CV_MESSAGE_JOIN:
    case CV_MESSAGE_SYNC_BUCKETS:
    case CV_MESSAGE_SYNC_RECORDS:
    case CV_MESSAGE_SYNC_ANSWER:
        if (answer == NULL)
            break;
        cv_gossip_protocol_charge(&m->gossip, from, CV_GLITCH_LIST);
        note_part(m, from);
        cv_transfer_begin(m, answer);
        break;
    case CV_MESSAGE_SYNC:
        cv_sync_root(m, from, head->digest);
        break;
    case CV_MESSAGE_JOIN_ACK:
        cv_join_chunk(m, from, head);
        break;
    case CV_MESSAGE_LEAVE:
        cv_leave_heard(m, from, head->incarnation);
        break;
    case CV_MESSAGE_LEAVE_ACK:
        cv_leave_acked(m, from);
        break;
    }
}

static int prepare(struct cv_membership *m, const covey_node_id *from, struct cv_update_plan *plan,
                   struct cv_transfer **answer)
{
    const struct cv_message_head *head = &m->message.head;
    int error = COVEY_OK;
    if (head->type == CV_MESSAGE_JOIN)
        error = cv_transfer_new(m, from, CV_MESSAGE_JOIN_ACK, NULL, answer);
    else if (head->type == CV_MESSAGE_JOIN_ACK)
        error = cv_join_reserve(m, from, head);
    else
        error = cv_sync_answer(m, from, answer);
    if (error == COVEY_OK)
        error = cv_gossip_protocol_prepare(&m->gossip, from, &m->message, plan);
    if (error != COVEY_OK)
        cv_release(m->alloc, *answer);
    return error;
}

/* Just after a pause of ours it may be our own fault that a peer said so much at once. */
static bool is_catching_up(const struct cv_gossip_protocol *g)
{
    return g->paused_at > 0 && g->now - g->paused_at < g->config.protocol_period;
}

/* More than a peer may say at once is not read. */
static bool is_too_much(struct cv_gossip_protocol *g, struct cv_peer *peer,
                        enum cv_message_type type)
{
    struct cv_bucket *bucket = cv_message_is_list(type) ? &peer->chunks : &peer->messages;
    if (cv_bucket_take(bucket, 1, g->now))
        return false;
    g->counters.messages_shed++;
    if (!is_catching_up(g))
        cv_gossip_protocol_charge(g, &peer->id, CV_GLITCH_REFUSED);
    return true;
}

/* False when the peer was closed since. */
static bool is_still_there(const struct cv_links *l, const covey_node_id *peer, uint64_t removals)
{
    return l->removals == removals || cv_links_peer(l, peer) != NULL;
}

static int take(struct cv_membership *m, struct cv_peer *peer, const covey_node_id *from,
                struct cv_slice bytes)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_update_plan plan;
    struct cv_transfer *answer = NULL;
    uint64_t removals = g->links.removals;
    int error = read_message(m, from, bytes);
    if (error != COVEY_OK) {
        g->counters.messages_received++;
        g->counters.messages_malformed++;
        cv_gossip_protocol_charge(g, from, CV_GLITCH_MALFORMED);
        return error;
    }
    if (is_too_much(g, peer, m->message.head.type))
        return COVEY_OK;
    error = prepare(m, from, &plan, &answer);
    if (error != COVEY_OK)
        return error;
    g->counters.messages_received++;
    peer->last_heard = g->now;
    cv_gossip_protocol_apply(g, from, &m->message, &plan);
    /* Closed for what it said of others: what else it wants is no longer of interest. */
    if (!is_still_there(&g->links, from, removals)) {
        cv_release(m->alloc, answer);
        return COVEY_OK;
    }
    if (peer->member != NULL && peer->member->trouble != NULL)
        peer->member->trouble->heard = g->now;
    dispatch(m, from, answer);
    return COVEY_OK;
}

int cv_membership_message(struct cv_membership *m, const covey_node_id *from, struct cv_slice bytes)
{
    const struct cv_links *links = &m->gossip.links;
    struct cv_peer *peer = cv_links_peer(links, from);
    uint64_t removals = links->removals;
    /* NULL: the last messages of a connection that we closed. */
    int error = peer == NULL ? COVEY_OK : take(m, peer, from, bytes);
    /* It may have been closed for what it said: then another seed is asked. */
    if (peer == NULL || !is_still_there(links, from, removals))
        cv_join_disconnected(m, from);
    return error;
}
