#include "cluster/gossip/protocol_internal.h"

/* Pings for others: gossip/ack.h draws one. */

static void answer(struct cv_gossip_protocol *p, struct cv_owed_ack *owed,
                   enum cv_message_type type)
{
    cv_heap_clear(&p->heap, &owed->alarm.timer);
    cv_gossip_protocol_compose(
        p, &owed->origin,
        &(struct cv_message_head){.type = type, .sequence = owed->origin_sequence});
    cv_gossip_protocol_post(p, &owed->origin, false);
}

static void ping(struct cv_gossip_protocol *p, struct cv_owed_ack *owed)
{
    owed->is_pinged = true;
    owed->sequence = ++p->sequence;
    cv_gossip_ping(p, &owed->target, owed->sequence, false);
}

/* Where the target is: as we know it, or as we are told. A target that is not connected costs a
 * handshake, and those who ask are many when many are slow, for want of time perhaps: then handshakes
 * made in their name would keep everybody slow. So these are few, each asker has his share of them, and a
 * nack says that we live. Those who are made up take nobody's place who is not. */
static bool dial(struct cv_gossip_protocol *p, const covey_node_id *asker,
                 const struct cv_message_head *head)
{
    struct cv_member *m = cv_node_registry_get(&p->registry, &head->target);
    if (cv_links_is_dialling(&p->links, &head->target))
        return true;
    if (!cv_relay_share_take(m != NULL ? &p->relays : &p->strangers, asker, p->now)) {
        p->counters.relays_shed++;
        return false;
    }
    if (m != NULL)
        return cv_gossip_protocol_dial(p, m);
    struct cv_output output = {.type = CV_OUTPUT_DIAL};
    output.dial.dial = cv_links_dial_node(&p->links, &head->target);
    output.dial.address = head->address;
    output.dial.has_expected = true;
    output.dial.expected = head->target;
    output.dial.is_hearsay = true;
    if (output.dial.dial == 0)
        return false;
    cv_outbox_put(&p->outbox, &output);
    return true;
}

void cv_relay_request(struct cv_gossip_protocol *p, const covey_node_id *from,
                      const struct cv_message_head *head)
{
    if (cv_node_id_equal(&head->target, cv_member_id(p->self)))
        return;
    struct cv_owed_ack *owed = cv_owed_acks_free(&p->owed, from);
    if (owed == NULL) {
        p->counters.relays_shed++;
        return;
    }
    owed->origin = *from;
    owed->origin_sequence = head->sequence;
    owed->target = head->target;
    owed->is_pinged = false;
    /* The nack must be there before the origin gives up. */
    cv_heap_set(&p->heap, &owed->alarm.timer, p->now + p->config.indirect_timeout / 5 * 4);
    if (cv_links_peer(&p->links, &head->target) != NULL)
        ping(p, owed);
    else if (!dial(p, from, head))
        answer(p, owed, CV_MESSAGE_NACK);
}

void cv_relay_alarm(struct cv_gossip_protocol *p, struct cv_owed_ack *owed)
{
    answer(p, owed, CV_MESSAGE_NACK);
}

void cv_relay_connected(struct cv_gossip_protocol *p, const covey_node_id *peer)
{
    struct cv_owed_ack *owed = NULL;
    while ((owed = cv_owed_acks_waiting(&p->owed, owed, peer)) != NULL)
        ping(p, owed);
}

void cv_relay_ack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence)
{
    struct cv_owed_ack *owed = cv_owed_acks_match(&p->owed, sequence, from);
    if (owed != NULL)
        answer(p, owed, CV_MESSAGE_ACK);
}
