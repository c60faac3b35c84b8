#include "sim_internal.h"

#include "cluster/gossip/queue.h"

#include <covey/error.h>

/* What a node sends: G1, G2, G7. Encodings are checked of every message up to SIM_SMALL nodes, of
 * one in SIM_SAMPLE above that. */

static struct cv_record record_of(const struct cv_update *u)
{
    return (struct cv_record){.id = u->id, .status = u->status};
}

static bool is_canonical(struct sim *s, struct cv_slice bytes)
{
    struct cv_message *m = &s->message;
    uint8_t copy[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    if (cv_message_read(bytes, m) != COVEY_OK)
        return false;
    cv_message_begin(&mw, copy, sizeof(copy), &m->head);
    for (size_t i = 0; i < m->update_count; i++) {
        struct cv_record record = record_of(&m->updates[i]);
        if (m->updates[i].has_body &&
            cv_update_body(cv_alloc_default(), &m->updates[i], &record.body) != COVEY_OK)
            return false;
        bool added = cv_message_add(&mw, &record);
        cv_cluster_node_release(record.body);
        if (!added)
            return false;
    }
    return cv_slice_equal(cv_message_bytes(&mw), bytes);
}

static bool is_encoded_well(struct sim *s, struct cv_slice bytes)
{
    uint8_t copy[CV_MAX_MESSAGE_SIZE];
    if (s->planted->message_flip == 0)
        return is_canonical(s, bytes);
    memcpy(copy, bytes.data, bytes.size);
    copy[0] = (uint8_t)(copy[0] ^ s->planted->message_flip);
    return is_canonical(s, cv_slice_of(copy, bytes.size));
}

/* --- G2 --- */

/* An update in few bits, so that the same one is known again. */
static uint64_t mark_of(const struct cv_update *u)
{
    uint64_t mark = u->status.incarnation * 31 + (uint64_t)u->status.state;
    for (size_t i = 0; i < sizeof(u->status.accuser.bytes); i++)
        mark = mark * 31 + u->status.accuser.bytes[i];
    return u->has_body ? mark * 31 + u->version + 1 : mark;
}

/* Types that carry what is queued, and nothing else about third nodes. */
static bool is_gossip(enum cv_message_type type)
{
    return type == CV_MESSAGE_PING || type == CV_MESSAGE_ACK || type == CV_MESSAGE_NACK ||
           type == CV_MESSAGE_PING_REQ || type == CV_MESSAGE_GOSSIP;
}

static void count_send(struct sim *s, const struct sim_node *from, const struct sim_node *to,
                       const struct cv_update *u)
{
    const struct sim_node *n = sim_node_of(s, &u->id);
    if (n == NULL || n == from || n == to)
        return;
    struct sim_sent *sent = &s->oracle.sent[(size_t)from->index * s->config.node_count + n->index];
    uint64_t mark = mark_of(u);
    if (sent->mark != mark || sent->life != from->life)
        *sent = (struct sim_sent){.mark = mark, .life = from->life};
    sent->count++;
    /* A suspicion may begin again, when the node was heard meanwhile, and be confirmed again. */
    uint32_t rounds = u->status.state == COVEY_NODE_ALIVE ? 1 : 4;
    uint32_t most =
        rounds * cv_gossip_sends_max(s->core.gossip.retransmit_factor, s->config.node_count);
    sim_require(s, SIM_G2, sent->count <= most, "%s told of %s %" PRIu32 " times", from->name,
                n->name, sent->count);
}

static void count_sends(struct sim *s, const struct sim_node *from, const struct cv_output *output)
{
    const struct sim_node *to = sim_node_of(s, &output->send.to);
    if (cv_message_read(output->send.bytes, &s->message) != COVEY_OK ||
        !is_gossip(s->message.head.type))
        return;
    for (uint32_t repeat = 0; repeat <= s->planted->repeats; repeat++) {
        for (size_t i = 0; i < s->message.update_count; i++)
            count_send(s, from, to, &s->message.updates[i]);
    }
}

/* --- G7 --- */

static void count_bytes(struct sim *s, struct sim_node *from, struct cv_slice bytes)
{
    const struct cv_gossip_config *g = &s->core.gossip;
    /* Lists of records are asked for. */
    if (bytes.data[0] == CV_MESSAGE_JOIN_ACK || bytes.data[0] == CV_MESSAGE_SYNC_RECORDS ||
        bytes.data[0] == CV_MESSAGE_SYNC_ANSWER)
        return;
    if (s->clock.now - from->period_start >= g->protocol_period) {
        from->period_start = s->clock.now;
        from->period_bytes = 0;
    }
    from->period_bytes += bytes.size * (1 + (uint64_t)s->planted->inflation);
    uint64_t rounds = g->protocol_period / g->gossip_interval;
    uint64_t most = CV_MAX_MESSAGE_SIZE *
                    (2 + 4 * (uint64_t)g->indirect_ping_count + g->gossip_fanout * rounds);
    if (from->period_bytes > s->oracle.period_bytes_max)
        s->oracle.period_bytes_max = from->period_bytes;
    bool is_within = from->period_bytes <= most || s->config.is_load_free;
    sim_require(s, SIM_G7, is_within, "%s sent %" PRIu64 " bytes in a period", from->name,
                from->period_bytes);
}

void sim_check_message(struct sim *s, struct sim_node *from, const struct cv_output *output)
{
    struct cv_slice bytes = output->send.bytes;
    size_t size_max =
        output->send.reliable ? CV_MAX_MESSAGE_SIZE : (size_t)CV_DATAGRAM_MESSAGE_SIZE;
    bool is_sample = sim_is_small(s) || s->steps % SIM_SAMPLE == 0;
    sim_require(s, SIM_G1, bytes.size > 0 && bytes.size <= size_max,
                "%s sent a message of %zu bytes", from->name, bytes.size);
    if (is_sample)
        sim_require(s, SIM_G1, is_encoded_well(s, bytes), "%s sent a message with another encoding",
                    from->name);
    if (s->oracle.sent != NULL)
        count_sends(s, from, output);
    count_bytes(s, from, bytes);
}
