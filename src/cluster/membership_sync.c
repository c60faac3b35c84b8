#include "cluster/membership_internal.h"

#include <covey/error.h>

/*
 * Anti-entropy (Demers et al. 1987): now and then two members compare what they know, so that what
 * gossip missed is known to all in the end. Once in each interval the partner is chosen among all
 * members: in a large cluster it is mostly one that nobody is connected with, and so each of these
 * is probed too. After a comparison that found a difference there is likely to be more: the next one
 * comes soon, with somebody who is connected, and then after twice the time, up to the interval. A
 * newcomer begins like that.
 *
 *     A  --SYNC: root---------------->  B      equal: the end
 *     A  <-SYNC_BUCKETS: 256 hashes---  B      equal: the end
 *     A  --SYNC_RECORDS: of those ---->  B
 *     A  <-SYNC_ANSWER: of those -----  B
 *
 * Nobody remembers where it is in this: each message says all that its answer needs.
 */

/* A partner is picked at random; most of what is known is alive. */
#define TRIES 16
/* "Soon" and a newcomer's first comparison, as parts of the interval. */
#define SOON_PART  20
#define FIRST_PART 10
/* A step has room for so many closes. Others can make us dial by asking for pings: the rest waits for
 * the next time. */
#define COLD_CLOSES_MAX 32

void cv_sync_init(struct cv_membership *m, covey_time interval)
{
    m->sync.interval = interval;
    m->sync.alarm.kind = CV_ALARM_SYNC;
}

static void compare_soon(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    m->sync.wait = m->sync.interval / SOON_PART;
    if (cv_timer_is_set(&m->sync.alarm.timer))
        cv_heap_set_latest(&g->heap, &m->sync.alarm.timer,
                           g->now + cv_membership_jitter(m, m->sync.wait));
}

void cv_sync_start(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    if (m->sync.interval == 0)
        return;
    m->sync.wait = m->sync.interval / SOON_PART;
    m->sync.cold_next = g->now + cv_rand_below(&g->rand, m->sync.interval);
    cv_heap_set(&g->heap, &m->sync.alarm.timer,
                g->now + cv_rand_below(&g->rand, m->sync.interval / FIRST_PART + 1));
}

void cv_sync_stop(struct cv_membership *m)
{
    m->sync.has_partner = false;
    cv_heap_clear(&m->gossip.heap, &m->sync.alarm.timer);
}

static struct cv_member *some_member(struct cv_gossip_protocol *g)
{
    for (size_t i = 0; i < TRIES; i++) {
        size_t place = (size_t)cv_rand_below(&g->rand, cv_node_registry_count(&g->registry));
        struct cv_member *member = cv_node_registry_at(&g->registry, place);
        if (member != g->self && cv_member_is_live(member))
            return member;
    }
    return NULL;
}

/* NULL when none was found. */
static struct cv_member *choose_partner(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_member *partner = NULL;
    if (g->now < m->sync.cold_next && cv_gossip_protocol_select_random(g, NULL, &partner, 1) == 1)
        return partner;
    m->sync.cold_next = g->now + cv_membership_jitter(m, m->sync.interval);
    return some_member(g);
}

/* The next one comes after twice the time, unless this one finds a difference. */
static covey_time wait_longer(struct cv_membership *m)
{
    const covey_time wait = m->sync.wait;
    m->sync.wait = wait < m->sync.interval / 2 ? 2 * wait : m->sync.interval;
    return cv_membership_jitter(m, wait);
}

static void compare(struct cv_membership *m, const covey_node_id *with)
{
    struct cv_gossip_protocol *g = &m->gossip;
    uint8_t root[CV_DIGEST_ROOT_SIZE];
    cv_digest_root(&g->registry.digest, root);
    cv_gossip_protocol_compose(
        g, with,
        &(struct cv_message_head){.type = CV_MESSAGE_SYNC,
                                  .digest = cv_slice_of(root, sizeof(root))});
    cv_gossip_protocol_post(g, with, true);
    m->sync.has_partner = false;
    m->sync.sent++;
}

void cv_sync_joined(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    for (size_t i = 0; i < cv_links_count(&g->links); i++) {
        struct cv_peer *peer = cv_links_at(&g->links, i);
        if (!peer->knows_a_part)
            continue;
        peer->knows_a_part = false;
        compare(m, &peer->id);
    }
}

/* Connections that we made for a while and that nobody uses. */
static void close_cold(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    size_t closed = 0;
    for (size_t i = cv_links_count(&g->links); i-- > 0 && closed < COLD_CLOSES_MAX;) {
        const struct cv_peer *peer = cv_links_at(&g->links, i);
        if (!peer->we_dialled || g->now - peer->last_heard < m->sync.interval / 2 ||
            cv_gossip_protocol_is_warm(g, &peer->id))
            continue;
        cv_gossip_protocol_close(g, &peer->id);
        closed++;
    }
}

void cv_sync_alarm(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    cv_heap_set(&g->heap, &m->sync.alarm.timer, g->now + wait_longer(m));
    close_cold(m);
    struct cv_member *partner = choose_partner(m);
    if (partner == NULL)
        return;
    m->sync.has_partner = true;
    m->sync.partner = *cv_member_id(partner);
    if (partner->link == CV_LINK_UP)
        compare(m, cv_member_id(partner));
    else
        cv_gossip_protocol_probe(g, partner);
}

void cv_sync_connected(struct cv_membership *m, const covey_node_id *peer)
{
    if (m->sync.has_partner && cv_node_id_equal(&m->sync.partner, peer))
        compare(m, peer);
}

void cv_sync_root(struct cv_membership *m, const covey_node_id *from, struct cv_slice root)
{
    struct cv_gossip_protocol *g = &m->gossip;
    uint8_t own[CV_DIGEST_ROOT_SIZE];
    uint8_t buckets[CV_DIGEST_BUCKETS_SIZE];
    cv_digest_root(&g->registry.digest, own);
    if (cv_slice_equal(root, cv_slice_of(own, sizeof(own))) ||
        !cv_transfer_affords(m, from, sizeof(buckets)))
        return;
    m->sync.differing++;
    compare_soon(m);
    cv_digest_write(&g->registry.digest, buckets);
    cv_gossip_protocol_compose(
        g, from,
        &(struct cv_message_head){.type = CV_MESSAGE_SYNC_BUCKETS,
                                  .digest = cv_slice_of(buckets, sizeof(buckets))});
    cv_gossip_protocol_post(g, from, true);
}

int cv_sync_answer(struct cv_membership *m, const covey_node_id *from, struct cv_transfer **out)
{
    const struct cv_message_head *head = &m->message.head;
    struct cv_bucket_set buckets;
    if (head->type == CV_MESSAGE_SYNC_BUCKETS) {
        compare_soon(m);
        buckets = cv_digest_compare(&m->gossip.registry.digest, head->digest);
        return cv_bucket_set_is_empty(&buckets)
                   ? COVEY_OK
                   : cv_transfer_new(m, from, CV_MESSAGE_SYNC_RECORDS, &buckets, out);
    }
    if (head->type != CV_MESSAGE_SYNC_RECORDS || head->chunk + 1u < head->chunk_count)
        return COVEY_OK;
    memcpy(buckets.bits, head->digest.data, sizeof(buckets.bits));
    return cv_transfer_new(m, from, CV_MESSAGE_SYNC_ANSWER, &buckets, out);
}
