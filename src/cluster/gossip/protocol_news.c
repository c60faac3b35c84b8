/*
 * What is said, to whom and when: messages and what rides on them, rounds of gossip, pushes of news.
 */
#include "cluster/gossip/protocol_internal.h"

/* News is pushed at once, but not more often than this part of the gossip interval. */
#define PUSHES_PER_INTERVAL 10

/*
 * However much happens at once, news takes no more than so many bytes: `fanout` of the largest
 * messages in each gossip interval, after a burst that is enough for a full message to every
 * neighbour (G7). What is newest goes first, so what has to wait is mostly said already.
 */
void cv_news_init(struct cv_gossip_protocol *p)
{
    const uint32_t bytes = p->config.gossip_fanout * CV_MAX_MESSAGE_SIZE;
    const uint32_t round =
        p->config.watch_count * (1 + CV_WATCHERS_PER_RING) * CV_DATAGRAM_MESSAGE_SIZE;
    const covey_time interval = p->config.gossip_interval / bytes;
    cv_bucket_init(&p->news, round > bytes ? round : bytes, interval > 0 ? interval : 1, p->now);
}

/* What never travels as a datagram may be large. */
static bool is_for_stream(enum cv_message_type type)
{
    return type == CV_MESSAGE_JOIN || type == CV_MESSAGE_JOIN_ACK || type == CV_MESSAGE_LEAVE ||
           type == CV_MESSAGE_SYNC || type == CV_MESSAGE_SYNC_BUCKETS ||
           type == CV_MESSAGE_SYNC_RECORDS || type == CV_MESSAGE_SYNC_ANSWER;
}

void cv_gossip_protocol_compose(struct cv_gossip_protocol *p, const covey_node_id *to,
                                const struct cv_message_head *head)
{
    size_t size = is_for_stream(head->type) ? CV_MAX_MESSAGE_SIZE : CV_DATAGRAM_MESSAGE_SIZE;
    cv_message_begin(&p->writer, p->scratch, size, head);
    if (head->type == CV_MESSAGE_JOIN)
        cv_gossip_protocol_add(p, p->self);
    /* To one that is not connected nothing is sent. */
    const struct cv_peer *peer = cv_links_peer(&p->links, to);
    const struct cv_member *m = peer == NULL ? NULL : peer->member;
    if (m == NULL || m->state == COVEY_NODE_ALIVE)
        return;
    struct cv_record record = cv_member_record(m);
    record.body = NULL;
    cv_message_add(&p->writer, &record);
}

void cv_gossip_protocol_add(struct cv_gossip_protocol *p, const struct cv_member *m)
{
    const struct cv_record record = cv_member_record(m);
    cv_message_add(&p->writer, &record);
}

/* When there are bytes for so much news; more than a burst counts as one. */
static covey_time affords(struct cv_gossip_protocol *p, size_t size)
{
    return cv_bucket_ready(&p->news, size < p->news.burst ? (uint32_t)size : p->news.burst, p->now);
}

static void add_news(struct cv_gossip_protocol *p)
{
    const size_t live = cv_node_registry_live_count(&p->registry);
    const size_t before = cv_message_bytes(&p->writer).size;
    if (affords(p, CV_DATAGRAM_MESSAGE_SIZE) > p->now)
        return;
    cv_gossip_queue_fill(&p->queue, &p->writer,
                         cv_gossip_sends_max(p->config.retransmit_factor, live));
    /* What goes on a stream is larger than a datagram. */
    const size_t size = cv_message_bytes(&p->writer).size - before;
    cv_bucket_take(&p->news, size < p->news.level ? (uint32_t)size : p->news.level, p->now);
}

void cv_gossip_protocol_post(struct cv_gossip_protocol *p, const covey_node_id *to, bool reliable)
{
    if (cv_links_peer(&p->links, to) == NULL)
        return;
    /* While a push waits for bytes nothing takes them from it: who asks us often must not keep us from
     * telling the others. */
    if (!p->is_push_delayed || p->is_leaving)
        add_news(p);
    cv_outbox_send(&p->outbox, to, reliable, cv_message_bytes(&p->writer));
}

void cv_gossip_ping(struct cv_gossip_protocol *p, const covey_node_id *to, uint32_t sequence,
                    bool reliable)
{
    cv_gossip_protocol_compose(
        p, to,
        &(struct cv_message_head){.type = CV_MESSAGE_PING, .sequence = sequence, .target = *to});
    cv_gossip_protocol_post(p, to, reliable);
}

void cv_gossip_protocol_ask(struct cv_gossip_protocol *p, const covey_node_id *to)
{
    cv_gossip_protocol_compose(p, to, &(struct cv_message_head){.type = CV_MESSAGE_JOIN});
    cv_gossip_protocol_post(p, to, true);
}

static bool is_chosen(struct cv_member *const *chosen, size_t count, const struct cv_member *m)
{
    for (size_t i = 0; i < count; i++) {
        if (chosen[i] == m)
            return true;
    }
    return false;
}

/* A few throws among the connected, then all of them in order: random enough for gossip, and never
 * long when most are members. */
size_t cv_gossip_protocol_select_random(struct cv_gossip_protocol *p, const covey_node_id *except,
                                        struct cv_member **out, size_t count)
{
    size_t connected = cv_links_count(&p->links);
    size_t chosen = 0;
    size_t tries = 4 * count;
    for (size_t i = 0; connected > 0 && i < tries + connected && chosen < count; i++) {
        size_t place = i < tries ? (size_t)cv_rand_below(&p->rand, connected) : i - tries;
        const struct cv_peer *peer = cv_links_at(&p->links, place);
        struct cv_member *m = peer->member;
        if (m == NULL || !cv_member_is_live(m) || is_chosen(out, chosen, m) ||
            (except != NULL && cv_node_id_equal(&peer->id, except)))
            continue;
        out[chosen] = m;
        chosen++;
    }
    return chosen;
}

/* False when there were bytes for the first of them only. */
static bool tell(struct cv_gossip_protocol *p, struct cv_member *const *to, size_t count)
{
    for (size_t i = 0; i < count && cv_gossip_queue_count(&p->queue) > 0; i++) {
        if (affords(p, CV_DATAGRAM_MESSAGE_SIZE) > p->now)
            return false;
        cv_gossip_protocol_compose(p, cv_member_id(to[i]),
                                   &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
        cv_gossip_protocol_post(p, cv_member_id(to[i]), false);
    }
    return true;
}

/* What is left to tell is told at `next`, if only to one that is connected and may become a member
 * until then; with nobody there it waits for the next connection. */
static void tell_again(struct cv_gossip_protocol *p, covey_time next)
{
    bool again = cv_links_count(&p->links) > 0 && cv_gossip_queue_count(&p->queue) > 0;
    cv_heap_set(&p->heap, &p->gossip.timer, again ? next : COVEY_NEVER);
}

/* Sends one round of gossip. */
void cv_gossip_spread(struct cv_gossip_protocol *p)
{
    struct cv_member *chosen[CV_RELAYS_MAX];
    if (p->has_news)
        return; /* pushed at the end of this step, or when there are bytes for it */
    size_t count = cv_gossip_protocol_select_random(p, NULL, chosen, p->config.gossip_fanout);
    if (affords(p, count * CV_DATAGRAM_MESSAGE_SIZE) <= p->now)
        tell(p, chosen, count);
    tell_again(p, p->now + p->config.gossip_interval);
}

/* The earliest time of the next push: there are bytes for a full message to each neighbour. */
static covey_time push_at(struct cv_gossip_protocol *p)
{
    const covey_time ready = affords(p, p->push_size);
    return ready > p->push_next ? ready : p->push_next;
}

/* News goes to all neighbours on the watch rings, and where there are too few of these to some
 * others too. False when there were not bytes for all. */
static bool push(struct cv_gossip_protocol *p)
{
    struct cv_member *peers[CV_WARM_MAX + CV_RELAYS_MAX];
    size_t count = cv_warm_peers(p, p->has_news_from ? &p->news_from : NULL, peers);
    if (count < p->config.gossip_fanout)
        count = cv_gossip_protocol_select_random(p, NULL, peers, p->config.gossip_fanout);
    p->push_size = count * CV_DATAGRAM_MESSAGE_SIZE;
    p->push_next = p->now + p->config.gossip_interval / PUSHES_PER_INTERVAL;
    p->is_push_delayed = false;
    bool told = tell(p, peers, count);
    tell_again(p, p->now + p->config.gossip_interval);
    return told;
}

void cv_gossip_protocol_finish(struct cv_gossip_protocol *p)
{
    cv_warm_settle(p);
    cv_warm_update(p);
    if (!p->has_news)
        return;
    if (p->now >= push_at(p) && push(p)) {
        p->has_news = false;
        p->has_news_from = false;
        return;
    }
    const covey_time at = push_at(p);
    cv_heap_set_latest(&p->heap, &p->gossip.timer, at);
    if (p->now >= p->push_next && !p->is_push_delayed) {
        p->is_push_delayed = true;
        p->counters.pushes_delayed++;
    }
}

void cv_gossip_protocol_broadcast(struct cv_gossip_protocol *p, enum cv_priority priority,
                                  const struct cv_record *record)
{
    bool is_teller =
        p->teller != NULL &&
        (!p->has_news || (p->has_news_from && cv_node_id_equal(&p->news_from, p->teller)));
    cv_gossip_queue_push(&p->queue, priority, record);
    p->has_news = true;
    p->has_news_from = is_teller;
    if (is_teller)
        p->news_from = *p->teller;
}
