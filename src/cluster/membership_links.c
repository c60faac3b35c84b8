#include "cluster/membership_internal.h"

#include <covey/error.h>

/* Connections that come and go, and those that are sought again. */

/* The first words on a connection. A member gets our record first-hand; with one that we do not
 * hold for a member, though we know or sought it, both tell each other all they know: we may come
 * from two parts of what is one cluster again. */
static void greet(struct cv_membership *m, const covey_node_id *peer, bool we_dialled)
{
    struct cv_gossip_protocol *g = &m->gossip;
    const struct cv_member *member = cv_node_registry_get(&g->registry, peer);
    if (member == NULL ? we_dialled : !cv_member_is_live(member)) {
        cv_gossip_protocol_ask(g, peer);
        return;
    }
    if (member == NULL)
        return;
    cv_gossip_protocol_compose(g, peer, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    cv_gossip_protocol_add(g, g->self);
    cv_gossip_protocol_post(g, peer, true);
}

static struct cv_seed *seed_of(struct cv_membership *m, const struct cv_dial *dial)
{
    return dial->is_seed ? &m->seeds[dial->seed] : NULL;
}

/* A connection that we do not want: with ourselves, or with one that misbehaved. */
static void turn_away(struct cv_membership *m, const covey_node_id *peer,
                      const struct cv_dial *dial, struct cv_seed *seed)
{
    bool is_self = cv_node_id_equal(peer, cv_member_id(m->gossip.self));
    cv_gossip_protocol_close(&m->gossip, peer);
    if (seed != NULL && is_self)
        cv_seed_connected(m, seed, peer);
    else if (seed != NULL)
        cv_seed_dial_failed(m, seed, dial->number, COVEY_ERR_PROTOCOL);
    else if (!is_self)
        cv_gossip_protocol_dial_failed(&m->gossip, peer);
}

int cv_membership_connected(struct cv_membership *m, const struct cv_input *input)
{
    struct cv_gossip_protocol *g = &m->gossip;
    const covey_node_id peer = input->connected.peer;
    bool unwanted = cv_node_id_equal(&peer, cv_member_id(g->self)) ||
                    cv_links_is_banished(&g->links, &peer, g->now);
    if (!unwanted) {
        int error = cv_links_add_peer(&g->links, &peer, input->connected.name,
                                      &input->connected.remote, g->now);
        if (error != COVEY_OK)
            return error;
    }
    struct cv_dial dial = {.number = 0};
    bool we_dialled = cv_links_take_dial(&g->links, input->connected.dial, &dial);
    struct cv_seed *seed = seed_of(m, &dial);
    if (unwanted) {
        turn_away(m, &peer, &dial, seed);
        return COVEY_OK;
    }
    cv_links_peer(&g->links, &peer)->we_dialled = we_dialled;
    cv_gossip_protocol_connected(g, &peer);
    cv_sync_connected(m, &peer);
    if (m->state == CV_MEMBERSHIP_LEAVING) {
        cv_leave_connected(m, &peer);
        return COVEY_OK;
    }
    if (seed == NULL || m->state != CV_MEMBERSHIP_JOINING)
        greet(m, &peer, we_dialled);
    if (seed != NULL)
        cv_seed_connected(m, seed, &peer);
    return COVEY_OK;
}

void cv_membership_disconnected(struct cv_membership *m, const covey_node_id *peer)
{
    if (cv_links_peer(&m->gossip.links, peer) == NULL)
        return;
    const covey_node_id id = *peer;
    cv_links_remove_peer(&m->gossip.links, &id);
    cv_transfers_drop(m, &id);
    cv_gossip_protocol_disconnected(&m->gossip, &id);
    cv_join_disconnected(m, &id);
}

void cv_membership_dial_failed(struct cv_membership *m, uint32_t number, int error)
{
    struct cv_dial dial;
    if (!cv_links_take_dial(&m->gossip.links, number, &dial))
        return;
    struct cv_seed *seed = seed_of(m, &dial);
    if (seed != NULL)
        cv_seed_dial_failed(m, seed, number, error);
    else if (cv_links_peer(&m->gossip.links, &dial.id) == NULL)
        cv_gossip_protocol_dial_failed(&m->gossip, &dial.id);
}

/* One of the failed members, chosen at random. */
static struct cv_member *some_failed(struct cv_gossip_protocol *g)
{
    size_t count = cv_node_registry_count_state(&g->registry, COVEY_NODE_FAILED);
    size_t left = (size_t)cv_rand_below(&g->rand, count);
    for (size_t i = 0; count > 0 && i < cv_node_registry_count(&g->registry); i++) {
        struct cv_member *member = cv_node_registry_at(&g->registry, i);
        if (member->state != COVEY_NODE_FAILED)
            continue;
        if (left == 0)
            return member;
        left--;
    }
    return NULL;
}

static bool is_member(const struct cv_gossip_protocol *g, const struct cv_seed *seed)
{
    const struct cv_member *member =
        seed->has_id ? cv_node_registry_get(&g->registry, &seed->id) : NULL;
    return member != NULL && member->state == COVEY_NODE_ALIVE;
}

/* Asks one that is connected but no member; when it has not answered the last time its connection
 * is dead. */
static void ask_again(struct cv_membership *m, const covey_node_id *id)
{
    struct cv_gossip_protocol *g = &m->gossip;
    const struct cv_peer *peer = cv_links_peer(&g->links, id);
    if (peer != NULL && g->now - peer->last_heard > m->reconnect_interval)
        cv_gossip_protocol_close(g, id);
    else
        cv_gossip_protocol_ask(g, id);
}

void cv_membership_reconnect(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_member *failed = some_failed(g);
    cv_heap_set(&g->heap, &m->reconnect.timer,
                g->now + cv_membership_jitter(m, m->reconnect_interval));
    if (failed != NULL && failed->link == CV_LINK_NONE)
        cv_gossip_protocol_dial(g, failed);
    else if (failed != NULL && failed->link == CV_LINK_UP)
        ask_again(m, cv_member_id(failed));
    for (size_t i = 0; i < m->seed_count; i++) {
        struct cv_seed *seed = &m->seeds[i];
        if (seed->state == CV_SEED_SELF || is_member(g, seed))
            continue;
        cv_seed_try(m, seed);
        if (seed->state == CV_SEED_REACHED)
            ask_again(m, &seed->id);
    }
}
