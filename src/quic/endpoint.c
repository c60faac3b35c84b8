#include "quic/endpoint_internal.h"
#include "transport/route.h"

#include <assert.h>
#include <covey/error.h>
#include <stddef.h>

/* Stateless resets: enough for the connections of a server that came back, too few to flood. */
#define RESETS_BURST    64
#define RESETS_INTERVAL (10 * COVEY_MILLISECOND)

/* Entries of the id and token tables in all: 16 for each of 65,536 connections. */
#define IDS_MAX ((size_t)1 << 20)

#define HEADER_FORM_LONG 0x80

void cv_quic_limits_init(struct cv_quic_limits *limits)
{
    *limits = (struct cv_quic_limits){.connections_max = 4096,
                                      .handshakes_retry = 256,
                                      .handshakes_max = 1024,
                                      .streams_max = 1024,
                                      .datagrams_max = 256,
                                      .stream_window = 256 * 1024,
                                      .connection_window = 1024 * 1024,
                                      .send_buffer_max = 1024 * 1024,
                                      .send_total_max = 8 * 1024 * 1024,
                                      .handshake_timeout = 5 * COVEY_SECOND,
                                      .idle_timeout = 120 * COVEY_SECOND,
                                      .initial_rtt = 100 * COVEY_MILLISECOND,
                                      .age_max = 3600 * COVEY_SECOND,
                                      .connection_ids_max = 24};
}

static void *memory_malloc(size_t size, void *user)
{
    return cv_allocate(user, size);
}

static void memory_free(void *memory, void *user)
{
    cv_release(user, memory);
}

static void *memory_calloc(size_t count, size_t size, void *user)
{
    return cv_allocate_zeroed(user, count, size);
}

static void *memory_realloc(void *memory, size_t size, void *user)
{
    return cv_reallocate(user, memory, 1, size);
}

void cv_endpoint_random(struct cv_quic_endpoint *e, void *memory, size_t size)
{
    e->config.random(e->config.random_user, memory, size);
}

void cv_endpoint_make_id(struct cv_quic_endpoint *e, ngtcp2_cid *id)
{
    id->datalen = CV_QUIC_CID_SIZE;
    cv_endpoint_random(e, id->data, id->datalen);
    id->data[0] = e->config.loop;
}

bool cv_endpoint_serves_cluster(const struct cv_quic_endpoint *e)
{
    return e->config.loop == 0 || e->config.loop_count <= 1;
}

int cv_quic_endpoint_new(const struct cv_quic_config *config, struct cv_quic_endpoint **out)
{
    uint64_t secret[4];
    assert(config->loop_count <= 1 || config->loop < config->loop_count);
    struct cv_quic_endpoint *e = cv_allocate_zeroed(config->alloc, 1, sizeof(*e));
    if (e == NULL)
        return COVEY_ERR_NO_MEMORY;
    e->config = *config;
    e->alloc = config->alloc;
    if (config->buffers == NULL)
        e->config.buffers = config->alloc;
    e->memory = (ngtcp2_mem){.user_data = (void *)(uintptr_t)config->alloc,
                             .malloc = memory_malloc,
                             .free = memory_free,
                             .calloc = memory_calloc,
                             .realloc = memory_realloc};
    cv_endpoint_random(e, secret, sizeof(secret));
    cv_map_init(&e->ids, e->alloc, secret, IDS_MAX);
    cv_map_init(&e->tokens, e->alloc, secret + 2, IDS_MAX);
    cv_heap_init(&e->timers, e->alloc);
    cv_ring_init(&e->replies, e->alloc, sizeof(struct cv_reply), CV_REPLIES_MAX);
    cv_bucket_init(&e->resets, RESETS_BURST, RESETS_INTERVAL, 0);
    TAILQ_INIT(&e->conns);
    TAILQ_INIT(&e->dirty);
    TAILQ_INIT(&e->pool);
    *out = e;
    return COVEY_OK;
}

static void drop_conn(struct cv_quic_conn *c)
{
    if (c->state != CV_CONN_LINGERING) {
        c->state = CV_CONN_ENDED;
        c->why = (struct cv_quic_close){.error = COVEY_ERR_CLOSED};
        cv_conn_notify_closed(c);
    }
    cv_conn_free(c);
}

void cv_quic_endpoint_free(struct cv_quic_endpoint *e)
{
    struct cv_quic_conn *c;
    struct cv_quic_stream *s;
    if (e == NULL)
        return;
    e->is_freeing = true;
    while ((c = TAILQ_FIRST(&e->conns)) != NULL)
        drop_conn(c);
    while ((s = TAILQ_FIRST(&e->pool)) != NULL) {
        TAILQ_REMOVE(&e->pool, s, link);
        cv_release(e->alloc, s);
    }
    cv_ring_fini(&e->replies);
    cv_heap_fini(&e->timers);
    cv_map_fini(&e->tokens);
    cv_map_fini(&e->ids);
    cv_release(e->alloc, e);
}

void cv_quic_endpoint_stop_accepting(struct cv_quic_endpoint *e)
{
    struct cv_quic_conn *c;
    e->config.accept = false;
    TAILQ_FOREACH (c, &e->conns, link)
        if (c->is_accepted && c->state == CV_CONN_OPENING)
            cv_quic_conn_close(c, 0);
}

static void advance(struct cv_quic_endpoint *e, covey_time now)
{
    if (now > e->now)
        e->now = now;
}

/* A stateless reset looks like a packet for an unknown id; the token at its end tells whose it is.
 */
static struct cv_quic_conn *find_by_token(const struct cv_quic_endpoint *e, struct cv_slice bytes)
{
    if (bytes.size < 1 + NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN)
        return NULL;
    return cv_map_get(&e->tokens,
                      cv_slice_of(bytes.data + bytes.size - NGTCP2_STATELESS_RESET_TOKENLEN,
                                  NGTCP2_STATELESS_RESET_TOKENLEN));
}

static void receive_known(struct cv_quic_conn *c, const struct cv_datagram *d)
{
    if (c->state == CV_CONN_LINGERING) {
        cv_conn_linger_receive(c, d);
        return;
    }
    if (c->state == CV_CONN_ENDED)
        return;
    int rv = cv_conn_read(c, d);
    if (rv != 0)
        cv_conn_fail(c, rv);
}

static bool has_long_header(const struct cv_datagram *d)
{
    return (d->bytes.data[0] & HEADER_FORM_LONG) != 0;
}

/* Packets of one connection follow each other: the table is asked once for each such run. */
static struct cv_quic_conn *find_by_id(struct cv_quic_endpoint *e, struct cv_slice id)
{
    if (e->recent != NULL && cv_slice_equal(id, cv_slice_of(e->recent_id, sizeof(e->recent_id))))
        return e->recent;
    struct cv_quic_conn *c = cv_map_get(&e->ids, id);
    if (c != NULL && id.size == sizeof(e->recent_id)) {
        memcpy(e->recent_id, id.data, sizeof(e->recent_id));
        e->recent = c;
    }
    return c;
}

static struct cv_quic_conn *find_conn(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                                      const ngtcp2_version_cid *ids)
{
    struct cv_quic_conn *c = find_by_id(e, cv_slice_of(ids->dcid, ids->dcidlen));
    return c != NULL || has_long_header(d) ? c : find_by_token(e, d->bytes);
}

/*
 * The loop that a datagram of no connection of ours is for. A peer that makes a stateless reset
 * knows no id of ours, so the byte that names a loop is noise. Covey's are smaller than anything
 * that we would answer with one, and go to loop 0, the only one with connections to somebody who
 * sends them.
 */
static unsigned loop_of_unknown(const struct cv_quic_endpoint *e, const struct cv_datagram *d)
{
    unsigned loop = cv_route_loop(d->bytes, e->config.loop_count);
    bool may_be_reset = !has_long_header(d) && d->bytes.size < CV_RESET_TRIGGER_SIZE;
    return loop == e->config.loop && may_be_reset ? 0 : loop;
}

/* True when it is another loop's business. */
static bool hand_over(struct cv_quic_endpoint *e, const struct cv_datagram *d)
{
    if (e->config.loop_count <= 1 || e->config.hand_over == NULL || d->handed_over)
        return false;
    unsigned loop = loop_of_unknown(e, d);
    if (loop == e->config.loop)
        return false;
    e->stats.packets_handed_over++;
    e->config.hand_over(e->config.hand_over_user, loop, d);
    return true;
}

static void receive_unknown(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                            const ngtcp2_version_cid *ids)
{
    if (hand_over(e, d))
        return;
    if (!has_long_header(d)) {
        cv_endpoint_reset_stranger(e, d);
    } else if (ids->version == NGTCP2_PROTO_VER_V1) {
        cv_endpoint_accept(e, d);
    } else {
        cv_endpoint_negotiate_version(e, d, ids);
    }
}

void cv_quic_endpoint_receive(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                              covey_time now)
{
    ngtcp2_version_cid ids;
    advance(e, now);
    e->stats.packets_received++;
    e->stats.packets_taken_over += d->handed_over;
    if (d->bytes.size == 0) {
        e->stats.packets_dropped++;
        return;
    }
    int rv = ngtcp2_pkt_decode_version_cid(&ids, d->bytes.data, d->bytes.size, CV_QUIC_CID_SIZE);
    if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
        cv_endpoint_negotiate_version(e, d, &ids);
        return;
    }
    if (rv != 0) {
        e->stats.packets_dropped++;
        return;
    }
    struct cv_quic_conn *c = find_conn(e, d, &ids);
    if (c != NULL)
        receive_known(c, d);
    else
        receive_unknown(e, d, &ids);
}

int cv_quic_endpoint_dial(struct cv_quic_endpoint *e, const struct cv_quic_dial *dial,
                          covey_time now, struct cv_quic_conn **out)
{
    advance(e, now);
    if (e->is_freeing)
        return COVEY_ERR_CLOSED;
    int error = cv_conn_new_client(e, dial, out);
    if (error != COVEY_OK)
        return error;
    e->stats.connections_dialled++;
    e->stats.connections_open++;
    cv_conn_mark_dirty(*out);
    return COVEY_OK;
}

covey_time cv_quic_endpoint_deadline(const struct cv_quic_endpoint *e)
{
    return cv_heap_deadline(&e->timers);
}

static struct cv_quic_conn *conn_of_timer(struct cv_timer *timer)
{
    return (struct cv_quic_conn *)(void *)((char *)timer - offsetof(struct cv_quic_conn, timer));
}

void cv_quic_endpoint_expire(struct cv_quic_endpoint *e, covey_time now)
{
    struct cv_timer *timer;
    advance(e, now);
    while ((timer = cv_heap_expire(&e->timers, e->now)) != NULL) {
        struct cv_quic_conn *c = conn_of_timer(timer);
        if (c->state == CV_CONN_LINGERING) {
            e->lingering--;
            cv_conn_free(c);
        } else if (c->state != CV_CONN_ENDED) {
            cv_conn_expire(c);
        }
    }
}

void cv_quic_endpoint_unreachable(struct cv_quic_endpoint *e, const struct cv_address *remote,
                                  covey_time now)
{
    const struct cv_quic_close why = {.error = COVEY_ERR_UNREACHABLE};
    struct cv_quic_conn *c;
    advance(e, now);
    TAILQ_FOREACH (c, &e->conns, link)
        if (c->state == CV_CONN_OPENING && !c->is_accepted && !c->was_heard &&
            cv_address_equal(&c->remote, remote))
            cv_conn_end(c, CV_FAREWELL_NONE, 0, &why);
}

bool cv_quic_endpoint_is_accepting(const struct cv_quic_endpoint *e,
                                   const struct cv_address *remote)
{
    const struct cv_quic_conn *c;
    TAILQ_FOREACH (c, &e->conns, link)
        if (c->is_accepted && c->state == CV_CONN_OPENING && cv_address_equal(&c->remote, remote))
            return true;
    return false;
}

static void flush_conn(struct cv_quic_conn *c, const struct cv_datagram_sink *sink)
{
    if (c->state == CV_CONN_LINGERING) {
        cv_conn_linger_answer(c, sink);
        return;
    }
    if (c->state != CV_CONN_ENDED)
        cv_conn_write(c, sink);
    if (c->state == CV_CONN_ENDED)
        cv_conn_finish(c, sink);
}

static void flush_replies(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink)
{
    const struct cv_reply *reply;
    while ((reply = cv_ring_front(&e->replies)) != NULL) {
        memcpy(sink->reserve(sink->user, reply->size), reply->bytes, reply->size);
        sink->commit(sink->user, &reply->local, &reply->remote, 0, reply->size);
        e->stats.packets_sent++;
        cv_ring_pop(&e->replies);
    }
}

static void flush(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink, covey_time now,
                  bool lazily)
{
    struct cv_quic_conn *c;
    advance(e, now);
    cv_endpoint_watch_clock(e);
    while ((c = TAILQ_FIRST(&e->dirty)) != NULL) {
        TAILQ_REMOVE(&e->dirty, c, dirty_link);
        c->is_dirty = false;
        if (!lazily || !cv_conn_postpone(c))
            flush_conn(c, sink);
    }
    flush_replies(e, sink);
}

void cv_quic_endpoint_flush(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                            covey_time now)
{
    flush(e, sink, now, false);
}

void cv_quic_endpoint_flush_lazily(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                                   covey_time now)
{
    flush(e, sink, now, true);
}

/* More of them would make the walk felt. */
#define SMALL_LOOKED_AT 4

void cv_quic_endpoint_flush_small(struct cv_quic_endpoint *e, const struct cv_datagram_sink *sink,
                                  covey_time now)
{
    struct cv_quic_conn *c = TAILQ_LAST(&e->dirty, cv_conn_list);
    advance(e, now);
    for (unsigned i = 0; c != NULL && i < SMALL_LOOKED_AT; i++) {
        struct cv_quic_conn *before = TAILQ_PREV(c, cv_conn_list, dirty_link);
        if (cv_conn_has_small_data(c)) {
            TAILQ_REMOVE(&e->dirty, c, dirty_link);
            c->is_dirty = false;
            flush_conn(c, sink);
        }
        c = before;
    }
}

bool cv_quic_endpoint_is_dirty(const struct cv_quic_endpoint *e)
{
    return !TAILQ_EMPTY(&e->dirty) || e->replies.count > 0;
}

void cv_quic_endpoint_stats(const struct cv_quic_endpoint *e, struct cv_quic_stats *out)
{
    *out = e->stats;
}
