#include "cluster/gossip/protocol_internal.h"

#include <assert.h>

/* Who is connected, and who is not worth it. */

/* After so many periods without a word a connection with a living node counts as dead: the node was
 * started again and does not know it. QUIC's idle timeout is much longer. */
#define SILENT_PERIODS 10

enum cv_member_link cv_link_of(const struct cv_gossip_protocol *p, const covey_node_id *id)
{
    if (cv_links_peer(&p->links, id) != NULL)
        return CV_LINK_UP;
    return cv_links_is_dialling(&p->links, id) ? CV_LINK_DIALLING : CV_LINK_NONE;
}

void cv_link_member(struct cv_gossip_protocol *p, const covey_node_id *id, struct cv_member *m)
{
    struct cv_peer *peer = cv_links_peer(&p->links, id);
    if (peer != NULL)
        peer->member = m;
}

void cv_link_doubt(struct cv_gossip_protocol *p, struct cv_member *m)
{
    const struct cv_peer *peer = cv_links_peer(&p->links, cv_member_id(m));
    if (peer != NULL && p->now - peer->last_heard > SILENT_PERIODS * p->config.protocol_period)
        cv_gossip_protocol_close(p, cv_member_id(m));
}

void cv_gossip_protocol_connected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_member *m = cv_node_registry_get(&p->registry, peer);
    cv_link_member(p, peer, m);
    if (m != NULL) {
        m->link = CV_LINK_UP;
        if (m->trouble != NULL)
            m->trouble->heard = p->now;
    }
    cv_probing_connected(p, peer);
    cv_relay_connected(p, peer);
    cv_watching_connected(p, peer);
    if (cv_gossip_queue_count(&p->queue) > 0)
        p->has_news = true;
}

static void link_lost(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_member *m = cv_node_registry_get(&p->registry, peer);
    if (m != NULL)
        m->link = cv_link_of(p, peer);
    cv_probing_link_lost(p, peer);
}

void cv_gossip_protocol_disconnected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    link_lost(p, peer);
    cv_probe_order_hasten(&p->order, peer);
    cv_watching_disconnected(p, peer);
}

void cv_gossip_protocol_dial_failed(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    link_lost(p, peer);
}

bool cv_gossip_protocol_dial(struct cv_gossip_protocol *p, struct cv_member *m)
{
    assert(m->link == CV_LINK_NONE && m != p->self);
    if (cv_links_is_banished(&p->links, cv_member_id(m), p->now))
        return false;
    uint32_t number = cv_links_dial_node(&p->links, cv_member_id(m));
    if (number == 0)
        return false;
    m->link = CV_LINK_DIALLING;
    struct cv_output output = {.type = CV_OUTPUT_DIAL};
    output.dial.dial = number;
    output.dial.address = m->body->address;
    output.dial.has_expected = true;
    output.dial.expected = m->body->id;
    cv_outbox_put(&p->outbox, &output);
    return true;
}

void cv_gossip_protocol_close(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_output output = {.type = CV_OUTPUT_CLOSE};
    output.close.peer = *peer;
    cv_links_remove_peer(&p->links, &output.close.peer);
    struct cv_member *m = cv_node_registry_get(&p->registry, &output.close.peer);
    if (m != NULL)
        m->link = cv_link_of(p, &output.close.peer);
    cv_watching_unlinked(p, &output.close.peer);
    cv_outbox_put(&p->outbox, &output);
}

void cv_gossip_protocol_charge(struct cv_gossip_protocol *p, const covey_node_id *from,
                               uint32_t cost)
{
    struct cv_peer *peer = cv_links_peer(&p->links, from);
    if (peer == NULL || cv_bucket_take(&peer->glitches, cost, p->now))
        return;
    const covey_node_id id = peer->id; /* `from` may be the peer's own */
    char text[COVEY_NODE_ID_TEXT_SIZE];
    cv_log_line(p->log, CV_LOG_WARNING, "peer %s sent too much nonsense: closed",
                covey_node_id_text(&id, text));
    cv_links_banish(&p->links, &id, p->now);
    cv_gossip_protocol_close(p, &id);
    cv_gossip_protocol_emit(p, COVEY_EVENT_PEER_MISBEHAVED,
                            cv_node_registry_get(&p->registry, &id));
}
