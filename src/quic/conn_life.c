#include "quic/endpoint_internal.h"

#include <covey/error.h>

/*
 * The lifetime of connections: lifetime.h says when, here it is done. A connection's timer counts by
 * the monotonic clock. Its certificates end by the wall clock, so a timer that fires asks again, and
 * each flush looks whether the wall clock went another way than the monotonic one; only when it did
 * are all connections looked at.
 */

/* Steps of the wall clock, or drift that has added up, of more than this count as a jump. */
#define CLOCK_JUMP_MS 1000

static uint64_t wall_ms_of(const struct cv_quic_endpoint *e)
{
    return cv_tls_wall_ms(e->config.tls);
}

void cv_conn_begin_life(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    struct cv_lifetime_config config = {
        .age_max = e->config.limits.age_max,
        .valid_until_ms = cv_tls_session_valid_until_ms(c->tls),
        .is_accepted = c->is_accepted,
    };
    cv_endpoint_random(e, &config.random, sizeof config.random);
    cv_lifetime_init(&c->life, &config, e->now, wall_ms_of(e));
    c->life_at = cv_lifetime_deadline(&c->life, e->now, wall_ms_of(e));
}

static void retire(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    e->stats.connections_retired++;
    e->config.events.conn_retiring(e->config.events_user, c);
}

static void end(struct cv_quic_conn *c, int error, uint64_t code)
{
    struct cv_quic_close why = {.error = error, .application = true, .code = code};
    cv_conn_end(c, CV_FAREWELL_APPLICATION, code, &why);
}

/* A member that has begun to answer is worth waiting for: it has cost both sides something, and where there
 * is so much to do that it takes long, beginning again takes longer. Who calls has somebody else to ask. Who
 * accepted waits as long, unless there are so many that they may be no peers at all. */
static bool is_worth_waiting(const struct cv_quic_conn *c)
{
    const struct cv_quic_endpoint *e = c->endpoint;
    if (c->was_awaited)
        return false;
    return c->is_accepted ? e->stats.handshakes_open < e->config.limits.handshakes_max / 2
                          : c->alpn == CV_ALPN_ID_CLUSTER && c->was_heard;
}

/* The library's own timeout ends with its handshake, and a client is ready only when the server has
 * confirmed it: one that died in between would be waited for until the idle timeout. */
static void give_up(struct cv_quic_conn *c)
{
    const struct cv_quic_close why = {.error = COVEY_ERR_TIMEOUT};
    cv_conn_end(c, CV_FAREWELL_NONE, 0, &why);
}

void cv_conn_check_life(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    if (c->state == CV_CONN_OPENING && is_worth_waiting(c)) {
        c->was_awaited = true;
        c->life_at += (CV_HEARD_PATIENCE - 1) * e->config.limits.handshake_timeout;
    } else if (c->state == CV_CONN_OPENING) {
        give_up(c);
    }
    if (c->state != CV_CONN_READY)
        return;
    switch (cv_lifetime_judge(&c->life, e->now, wall_ms_of(e))) {
    case CV_LIFETIME_EXPIRED:
        e->stats.connections_expired++;
        end(c, COVEY_ERR_CERTIFICATE_EXPIRED, CV_QUIC_CODE_EXPIRED);
        return;
    case CV_LIFETIME_AGED:
        e->stats.connections_aged++;
        end(c, COVEY_OK, CV_QUIC_CODE_AGED);
        return;
    case CV_LIFETIME_RETIRES:
        retire(c);
        break;
    case CV_LIFETIME_GOES_ON:
        break;
    }
    c->life_at = cv_lifetime_deadline(&c->life, e->now, wall_ms_of(e));
}

static bool is_denied(const struct cv_quic_conn *c)
{
    const struct cv_identity *peer = cv_tls_session_peer(c->tls);
    return peer != NULL && cv_tls_denies(c->endpoint->config.tls, &peer->id);
}

void cv_quic_endpoint_close_denied(struct cv_quic_endpoint *e)
{
    struct cv_quic_conn *c;
    uint64_t before = e->stats.connections_denied;
    TAILQ_FOREACH (c, &e->conns, link) {
        if ((c->state != CV_CONN_OPENING && c->state != CV_CONN_READY) || !is_denied(c))
            continue;
        e->stats.connections_denied++;
        end(c, COVEY_ERR_DENIED, CV_QUIC_CODE_DENIED);
    }
    if (e->stats.connections_denied > before)
        cv_log_line(e->config.log, CV_LOG_INFO, "closed connections of nodes that are denied: %llu",
                    (unsigned long long)(e->stats.connections_denied - before));
}

void cv_endpoint_watch_clock(struct cv_quic_endpoint *e)
{
    struct cv_quic_conn *c;
    uint64_t offset = wall_ms_of(e) - e->now / COVEY_MILLISECOND;
    uint64_t moved = offset - e->clock_offset; /* modulo 2^64, either way */
    if (moved <= CLOCK_JUMP_MS || moved >= UINT64_MAX - CLOCK_JUMP_MS)
        return;
    e->clock_offset = offset;
    TAILQ_FOREACH (c, &e->conns, link) {
        if (c->state != CV_CONN_READY)
            continue;
        cv_conn_check_life(c);
        cv_conn_mark_dirty(c); /* its timer is set anew */
    }
}
