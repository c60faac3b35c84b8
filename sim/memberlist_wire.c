#include "memberlist_internal.h"

#include <math.h>

/*
 * Packets, and how large they would be. memberlist encodes each message as one byte of type and a
 * msgpack map from the names of the fields to their values; of a name of n bytes (n < 32) the key
 * costs n + 1. So a ping is
 *
 *     type  map   SeqNo        Node          SourceAddr  SourcePort  SourceNode
 *     1   + 1   + 6 + number + 5 + name    + 11 + 5    + 11 + 3    + 11 + name
 *
 * Several messages in a packet cost 2 bytes and 2 more each. A packet of gossip alone, or of a ping
 * with an accusation, has a checksum of 5 bytes before it.
 *
 * Compression (LZW, on by default) is a fit to LZW over such packets with random node numbers,
 * computed apart: 6.7 * size^0.603 from 50 bytes to 36 KB, 0.115 * size beyond, where the code
 * table starts over; 12 % right for packets, 20 % for push-pulls. Meta data counts as random: it
 * does not shrink. A packet is compressed only if that makes it smaller; a stream always, and a
 * single message there grows by 8 bytes.
 */

#define IPV4_UDP 28u
#define CHECKSUM 5u
#define SEGMENT  1448u
#define IPV4_TCP 52u
/* SYN, ACK, FIN and ACK of the one who dials; SYN, ACK and FIN of the one who answers. */
#define TCP_DIALS   (60u + 3u * IPV4_TCP)
#define TCP_ANSWERS (60u + 2u * IPV4_TCP)
#define ADDRESS     5u
#define PORT        3u
#define VERSIONS    7u

static size_t number_size(uint32_t number)
{
    return number < 0x80 ? 1 : number < 0x100 ? 2 : number < 0x10000 ? 3 : 5;
}

static size_t text_size(uint32_t size)
{
    return size < 32 ? 1 + size : 3 + size;
}

/* A key of the map. */
static size_t key(const char *name)
{
    size_t size = 1;
    while (*name++ != '\0')
        size++;
    return size;
}

static size_t source_size(const struct sim_memberlist_config *c)
{
    return key("SourceAddr") + ADDRESS + key("SourcePort") + PORT + key("SourceNode") +
           text_size(c->name_size);
}

static size_t accusation_size(const struct sim_memberlist_config *c, uint32_t incarnation)
{
    return key("Incarnation") + number_size(incarnation) + key("Node") + key("From") +
           2 * text_size(c->name_size);
}

static size_t node_size(const struct sim_memberlist_config *c, uint32_t incarnation)
{
    return key("Incarnation") + number_size(incarnation) + text_size(c->name_size) + key("Addr") +
           ADDRESS + key("Port") + PORT + key("Meta") + text_size(c->meta_size) + key("Vsn") +
           VERSIONS;
}

size_t sim_memberlist_item_size(const struct sim_memberlist_config *c,
                                const struct sim_memberlist_item *item)
{
    const size_t begin = 2; /* its type and the map's */
    const size_t seq = key("SeqNo") + number_size(item->seq);
    switch ((enum sim_memberlist_kind)item->kind) {
    case SIM_MEMBERLIST_PING:
        return begin + seq + key("Node") + text_size(c->name_size) + source_size(c);
    case SIM_MEMBERLIST_INDIRECT_PING:
        return begin + seq + key("Target") + ADDRESS + key("Port") + PORT + key("Node") +
               text_size(c->name_size) + key("Nack") + 1 + source_size(c);
    case SIM_MEMBERLIST_ACK:
        return begin + seq + key("Payload") + 1;
    case SIM_MEMBERLIST_NACK:
        return begin + seq;
    case SIM_MEMBERLIST_SUSPECT_MESSAGE:
    case SIM_MEMBERLIST_DEAD_MESSAGE:
        return begin + accusation_size(c, item->incarnation);
    case SIM_MEMBERLIST_ALIVE_MESSAGE:
        return begin + key("Node") + node_size(c, item->incarnation);
    case SIM_MEMBERLIST_PUSH:
    case SIM_MEMBERLIST_PULL:
        return begin + key("Nodes") + number_size(item->seq) + key("UserStateLen") + 1 +
               key("Join") + 1;
    case SIM_MEMBERLIST_RECORD:
        break;
    }
    return 1 + key("Name") + key("State") + 1 + node_size(c, item->incarnation);
}

static size_t compressed_size(size_t plain, size_t random)
{
    double text = (double)(plain - random);
    double shrunk = fmax(6.7 * pow(text, 0.603), 0.115 * text);
    return (size_t)shrunk + random;
}

static size_t meta_of(const struct sim_memberlist *m, const struct sim_memberlist_item *item)
{
    bool has_meta =
        item->kind == SIM_MEMBERLIST_ALIVE_MESSAGE || item->kind == SIM_MEMBERLIST_RECORD;
    return has_meta ? m->config->meta_size : 0;
}

void memberlist_put_item(struct sim_memberlist *m, const struct sim_memberlist_item *item)
{
    m->items = memberlist_grow(m->items, m->item_count, &m->item_capacity, sizeof(*m->items));
    m->items[m->item_count] = *item;
    m->item_count++;
}

/* The bytes of all items from `first`, and how many of them do not shrink. */
static size_t plain_size(const struct sim_memberlist *m, size_t first, size_t *random)
{
    size_t size = 0;
    *random = 0;
    for (size_t i = first; i < m->item_count; i++) {
        size += sim_memberlist_item_size(m->config, &m->items[i]);
        *random += meta_of(m, &m->items[i]);
    }
    return size;
}

static size_t packet_size(const struct sim_memberlist *m, size_t first, size_t checksum)
{
    size_t random;
    size_t count = m->item_count - first;
    size_t size = plain_size(m, first, &random) + (count > 1 ? 2 + 2 * count : 0);
    size_t shrunk = compressed_size(size, random);
    return IPV4_UDP + checksum + (m->config->has_compression && shrunk < size ? shrunk : size);
}

/* The other side's acknowledgement of each segment counts here too. */
static size_t stream_size(const struct sim_memberlist *m, size_t first, bool dials)
{
    size_t random;
    size_t size = plain_size(m, first, &random);
    size_t shrunk = compressed_size(size, random);
    if (m->config->has_compression)
        size = shrunk < size + 8 ? shrunk : size + 8;
    size_t segments = (size + SEGMENT - 1) / SEGMENT;
    return size + 2 * segments * IPV4_TCP + (dials ? TCP_DIALS : TCP_ANSWERS);
}

/* Makes the items from `first` a packet. */
static void put_packet(struct sim_memberlist *m, const struct packet *p)
{
    m->packets =
        memberlist_grow(m->packets, m->packet_count, &m->packet_capacity, sizeof(*m->packets));
    m->packets[m->packet_count] = *p;
    m->packets[m->packet_count].count = m->item_count - p->first;
    m->packet_count++;
}

void memberlist_send(struct sim_memberlist *m, uint16_t peer,
                     const struct sim_memberlist_item *item)
{
    size_t first = m->item_count;
    memberlist_put_item(m, item);
    memberlist_queue_take(m,
                          m->config->packet_size - sim_memberlist_item_size(m->config, item) - 2);
    const struct packet p = {.peer = peer, .first = first, .wire_size = packet_size(m, first, 0)};
    put_packet(m, &p);
}

void memberlist_send_pair(struct sim_memberlist *m, uint16_t peer,
                          const struct sim_memberlist_item *first,
                          const struct sim_memberlist_item *second)
{
    size_t begin = m->item_count;
    memberlist_put_item(m, first);
    memberlist_put_item(m, second);
    const struct packet p = {
        .peer = peer, .first = begin, .wire_size = packet_size(m, begin, CHECKSUM)};
    put_packet(m, &p);
}

bool memberlist_send_gossip(struct sim_memberlist *m, uint16_t peer)
{
    size_t first = m->item_count;
    memberlist_queue_take(m, m->config->packet_size - 2);
    if (m->item_count == first)
        return false;
    const struct packet p = {
        .peer = peer, .first = first, .wire_size = packet_size(m, first, CHECKSUM)};
    put_packet(m, &p);
    return true;
}

static void put_stream(struct sim_memberlist *m, uint16_t peer, size_t first, bool dials)
{
    const struct packet p = {
        .peer = peer, .is_stream = true, .first = first, .wire_size = stream_size(m, first, dials)};
    put_packet(m, &p);
}

void memberlist_send_stream(struct sim_memberlist *m, uint16_t peer, bool dials,
                            const struct sim_memberlist_item *item)
{
    size_t first = m->item_count;
    memberlist_put_item(m, item);
    put_stream(m, peer, first, dials);
}

void memberlist_send_records(struct sim_memberlist *m, uint16_t peer, enum sim_memberlist_kind kind)
{
    size_t first = m->item_count;
    const struct sim_memberlist_item head = {.kind = (uint8_t)kind, .seq = m->list_count};
    memberlist_put_item(m, &head);
    for (uint32_t i = 0; i < m->list_count; i++) {
        const struct sim_memberlist_item record = {
            .kind = SIM_MEMBERLIST_RECORD,
            .subject = m->list[i],
            .incarnation = sim_memberlist_incarnation(m, m->list[i]),
            .state = (uint8_t)sim_memberlist_state(m, m->list[i]),
        };
        memberlist_put_item(m, &record);
    }
    put_stream(m, peer, first, kind == SIM_MEMBERLIST_PUSH);
}
