#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>

/*
 * Joining: each attempt tries every seed; the first that is connected gets our record in a JOIN and
 * answers with all members in chunks. When all chunks came we have joined. Between attempts the
 * wait doubles, each wait with its own jitter.
 *
 *     attempt --(a seed is connected)--> asking --(all chunks)--> JOINED
 *       |  ^                               |
 *       |  +--(wait)----------------+      | (disconnected, or no answer)
 *       v                           |      v
 *     no seed connected ------------+<-- no other seed --(attempts_max)--> JOIN_FAILED
 *
 * One that is asked while it joins itself answers with what it knows, so nodes that start together
 * with each other for seeds wait for nobody; when it has joined it compares with whom it told only a
 * part.
 */

/* How long a connected seed may take to answer before it is closed and another one is asked. */
#define PATIENCE_PERIODS 5

void cv_join_init(struct cv_membership *m, const struct cv_join_config *config)
{
    m->join.config = *config;
    m->join.alarm.kind = CV_ALARM_JOIN;
    m->join.end.kind = CV_ALARM_JOIN_END;
}

void cv_join_fini(struct cv_membership *m)
{
    cv_release(m->alloc, m->join.chunks);
}

static void stop_asking(struct cv_membership *m)
{
    m->join.is_asking = false;
    m->join.chunk_count = 0;
    cv_release(m->alloc, m->join.chunks);
    m->join.chunks = NULL;
}

void cv_join_stop(struct cv_membership *m)
{
    stop_asking(m);
    m->gossip.is_joining = false;
    cv_heap_clear(&m->gossip.heap, &m->join.alarm.timer);
    cv_heap_clear(&m->gossip.heap, &m->join.end.timer);
}

static void succeed(struct cv_membership *m)
{
    cv_join_stop(m);
    cv_membership_enter(m, CV_MEMBERSHIP_JOINED, COVEY_OK);
    cv_gossip_protocol_announce(&m->gossip);
    cv_heap_set(&m->gossip.heap, &m->reconnect.timer,
                m->gossip.now + cv_membership_jitter(m, m->reconnect_interval));
    cv_sync_start(m);
    cv_sync_joined(m);
}

void cv_join_skip(struct cv_membership *m)
{
    succeed(m);
}

/* What tells a user more than that nobody was reached. */
static bool is_telling(int error)
{
    return error == COVEY_ERR_RESOLVE || error == COVEY_ERR_NO_PROTOCOL ||
           error == COVEY_ERR_REFUSED || error == COVEY_ERR_CERTIFICATE ||
           error == COVEY_ERR_CERTIFICATE_EXPIRED || error == COVEY_ERR_WRONG_CLUSTER ||
           error == COVEY_ERR_WRONG_ROLE;
}

/* When every seed's error tells something, the first one's. */
static int failure(const struct cv_membership *m)
{
    int reason = COVEY_OK;
    if (m->join.was_reached)
        return COVEY_ERR_JOIN_TIMEOUT;
    for (size_t i = 0; i < m->seed_count; i++) {
        const struct cv_seed *seed = &m->seeds[i];
        if (seed->state == CV_SEED_SELF)
            continue;
        if (!is_telling(seed->error))
            return COVEY_ERR_NO_SEEDS_REACHABLE;
        if (reason == COVEY_OK)
            reason = seed->error;
    }
    return reason == COVEY_OK ? COVEY_ERR_NO_SEEDS_REACHABLE : reason;
}

void cv_join_end(struct cv_membership *m)
{
    cv_join_stop(m);
    cv_membership_enter(m, CV_MEMBERSHIP_JOIN_FAILED, failure(m));
}

static void ask(struct cv_membership *m, struct cv_seed *seed)
{
    struct cv_gossip_protocol *g = &m->gossip;
    seed->was_asked = true;
    m->join.is_asking = true;
    m->join.asked = seed->id;
    cv_heap_set(&g->heap, &m->join.alarm.timer,
                g->now + PATIENCE_PERIODS * g->config.protocol_period);
    cv_gossip_protocol_ask(g, &seed->id);
}

static covey_time backoff(struct cv_membership *m)
{
    const struct cv_join_config *config = &m->join.config;
    covey_time wait = config->backoff_min;
    for (uint32_t i = 1; i < m->join.attempt && wait < config->backoff_max; i++)
        wait *= 2;
    if (wait > config->backoff_max)
        wait = config->backoff_max;
    return cv_membership_jitter(m, wait);
}

static void attempt_failed(struct cv_membership *m)
{
    const struct cv_join_config *config = &m->join.config;
    if (config->attempts_max != 0 && m->join.attempt >= config->attempts_max) {
        cv_join_end(m);
        return;
    }
    covey_time wait = backoff(m);
    m->gossip.is_joining = false; /* there is no list to wait for, and others may join through us */
    cv_log_line(m->log, CV_LOG_INFO, "joining: attempt %u was in vain, %s; the next one in %u ms",
                (unsigned)m->join.attempt, covey_strerror(failure(m)),
                (unsigned)(wait / COVEY_MILLISECOND));
    cv_heap_set(&m->gossip.heap, &m->join.alarm.timer, m->gossip.now + wait);
}

void cv_join_advance(struct cv_membership *m)
{
    size_t self_count = 0;
    bool is_waiting = cv_timer_is_set(&m->join.alarm.timer);
    if (m->state != CV_MEMBERSHIP_JOINING || m->join.is_asking || is_waiting)
        return;
    for (size_t i = 0; i < m->seed_count; i++) {
        struct cv_seed *seed = &m->seeds[i];
        if (seed->state == CV_SEED_REACHED && !seed->was_asked) {
            ask(m, seed);
            return;
        }
    }
    for (size_t i = 0; i < m->seed_count; i++) {
        enum cv_seed_state state = m->seeds[i].state;
        if (state == CV_SEED_RESOLVING || state == CV_SEED_DIALLING)
            return;
        self_count += state == CV_SEED_SELF;
    }
    if (self_count == m->seed_count)
        succeed(m);
    else
        attempt_failed(m);
}

static void begin_attempt(struct cv_membership *m)
{
    m->join.attempt++;
    m->gossip.is_joining = cv_node_registry_live_count(&m->gossip.registry) == 1;
    for (size_t i = 0; i < m->seed_count; i++) {
        struct cv_seed *seed = &m->seeds[i];
        seed->was_asked = false;
        if (seed->state != CV_SEED_SELF)
            cv_seed_try(m, seed);
    }
    cv_join_advance(m);
}

void cv_join_start(struct cv_membership *m)
{
    m->state = CV_MEMBERSHIP_JOINING;
    m->join.attempt = 0;
    m->join.was_reached = false;
    if (m->seed_count > 0 && m->join.config.attempts_max != 0)
        cv_heap_set(&m->gossip.heap, &m->join.end.timer, m->gossip.now + m->join.config.timeout);
    begin_attempt(m);
}

void cv_join_alarm(struct cv_membership *m)
{
    if (!m->join.is_asking) {
        begin_attempt(m);
        return;
    }
    const covey_node_id silent = m->join.asked;
    if (cv_links_peer(&m->gossip.links, &silent) != NULL)
        cv_gossip_protocol_close(&m->gossip, &silent);
    cv_join_disconnected(m, &silent);
}

void cv_join_disconnected(struct cv_membership *m, const covey_node_id *peer)
{
    for (size_t i = 0; i < m->seed_count; i++) {
        struct cv_seed *seed = &m->seeds[i];
        if (seed->state != CV_SEED_REACHED || !cv_node_id_equal(&seed->id, peer))
            continue;
        seed->state = CV_SEED_FAILED;
        seed->error = COVEY_ERR_CONNECTION_LOST;
    }
    if (!m->join.is_asking || !cv_node_id_equal(&m->join.asked, peer))
        return;
    stop_asking(m);
    cv_heap_clear(&m->gossip.heap, &m->join.alarm.timer);
    cv_join_advance(m);
}

static bool is_from_asked(const struct cv_membership *m, const covey_node_id *from)
{
    return m->join.is_asking && cv_node_id_equal(&m->join.asked, from);
}

int cv_join_reserve(struct cv_membership *m, const covey_node_id *from,
                    const struct cv_message_head *head)
{
    if (!is_from_asked(m, from) || m->join.chunk_count != 0)
        return COVEY_OK;
    /* From a chunk that was lost for want of other memory. */
    cv_release(m->alloc, m->join.chunks);
    m->join.chunks = cv_allocate_zeroed(m->alloc, head->chunk_count / 8u + 1u, 1);
    return m->join.chunks == NULL ? COVEY_ERR_NO_MEMORY : COVEY_OK;
}

void cv_join_chunk(struct cv_membership *m, const covey_node_id *from,
                   const struct cv_message_head *head)
{
    if (!is_from_asked(m, from))
        return;
    if (m->join.chunk_count == 0) {
        m->join.chunk_count = head->chunk_count;
        m->join.chunk_left = head->chunk_count;
    }
    if (head->chunk_count != m->join.chunk_count)
        return;
    uint8_t *byte = &m->join.chunks[head->chunk / 8];
    uint8_t bit = (uint8_t)(1u << (head->chunk % 8));
    if (*byte & bit)
        return;
    *byte |= bit;
    m->join.chunk_left--;
    if (m->join.chunk_left > 0)
        return;
    m->gossip.is_learning = false;
    succeed(m);
}
