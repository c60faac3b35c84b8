#include "quic/endpoint_internal.h"

#include "base/prefetch.h"

#include <assert.h>
#include <covey/error.h>
#include <stddef.h>

/* Streams of the peer that are over are given back in batches: a frame for each would double the
 * packets of a busy connection. */
#define STREAMS_BATCH 64

static void fire(const struct cv_quic_stream *s,
                 void (*event)(void *user, struct cv_quic_stream *s))
{
    event(s->conn->endpoint->config.events_user, (struct cv_quic_stream *)(uintptr_t)s);
}

static const struct cv_quic_events *events_of(const struct cv_quic_stream *s)
{
    return &s->conn->endpoint->config.events;
}

struct cv_quic_stream *cv_stream_new(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    if (cv_stream_table_reserve(&c->table) != COVEY_OK)
        return NULL;
    struct cv_quic_stream *s = TAILQ_FIRST(&e->pool);
    if (s != NULL) {
        TAILQ_REMOVE(&e->pool, s, link);
        e->pooled--;
        cv_prefetch(TAILQ_FIRST(&e->pool), sizeof *s);
    } else {
        s = cv_allocate(e->alloc, sizeof(*s));
        if (s == NULL)
            return NULL;
    }
    /* Everything up to the send buffer, whose bytes need no clearing. */
    memset(s, 0, offsetof(struct cv_quic_stream, out));
    cv_send_buffer_init(&s->out, e->config.buffers);
    s->conn = c;
    s->entry.id = -1;
    return s;
}

void cv_stream_attach(struct cv_quic_stream *s, int64_t id)
{
    s->entry.id = id;
    cv_stream_table_put(&s->conn->table, &s->entry);
    TAILQ_INSERT_TAIL(&s->conn->streams, s, link);
}

static void enter_sending(struct cv_quic_stream *s)
{
    if (s->is_sending || s->is_blocked)
        return;
    s->is_sending = true;
    TAILQ_INSERT_TAIL(&s->conn->sending, s, sending_link);
}

void cv_stream_leave_sending(struct cv_quic_stream *s)
{
    if (!s->is_sending)
        return;
    s->is_sending = false;
    s->turn_size = 0;
    TAILQ_REMOVE(&s->conn->sending, s, sending_link);
}

static void enter_pending(struct cv_quic_stream *s)
{
    cv_conn_mark_dirty(s->conn);
    if (s->is_pending)
        return;
    s->is_pending = true;
    TAILQ_INSERT_TAIL(&s->conn->pending, s, pending_link);
}

static void leave_pending(struct cv_quic_stream *s)
{
    if (!s->is_pending)
        return;
    s->is_pending = false;
    TAILQ_REMOVE(&s->conn->pending, s, pending_link);
}

static void leave_stopped(struct cv_quic_stream *s)
{
    if (!s->is_peer_stopped)
        return;
    s->is_peer_stopped = false;
    TAILQ_REMOVE(&s->conn->stopped, s, stopped_link);
}

/* Bytes that nobody will read any more go back to the connection's window, or it would starve. */
static void give_back(struct cv_quic_stream *s)
{
    uint64_t left = s->received - s->credited;
    s->consumed = s->credited = s->received;
    if (left > 0 && s->conn->native != NULL)
        ngtcp2_conn_extend_max_offset(s->conn->native, left);
}

static void leave_waiting(struct cv_quic_stream *s)
{
    if (!s->is_waiting)
        return;
    s->is_waiting = false;
    TAILQ_REMOVE(&s->conn->waiting, s, waiting_link);
}

static void enter_waiting(struct cv_quic_stream *s)
{
    if (s->is_waiting)
        return;
    s->is_waiting = true;
    TAILQ_INSERT_TAIL(&s->conn->waiting, s, waiting_link);
}

/* So much is buffered no more. At half there is room for those that wait, and not for each packet. */
static void note_sent(struct cv_quic_conn *c, size_t size)
{
    struct cv_quic_stream *s;
    c->buffered -= size;
    if (c->buffered > c->endpoint->config.limits.send_total_max / 2)
        return;
    while ((s = TAILQ_FIRST(&c->waiting)) != NULL) {
        leave_waiting(s);
        if (c->state == CV_CONN_READY && !s->is_reset)
            fire(s, events_of(s)->stream_writable);
    }
}

void cv_stream_release(struct cv_quic_stream *s)
{
    struct cv_quic_conn *c = s->conn;
    struct cv_quic_endpoint *e = c->endpoint;
    if (s->entry.id >= 0) {
        cv_stream_leave_sending(s);
        leave_pending(s);
        leave_stopped(s);
        cv_stream_table_remove(&c->table, &s->entry);
        TAILQ_REMOVE(&c->streams, s, link);
    }
    leave_waiting(s);
    note_sent(c, cv_send_buffer_size(&s->out));
    cv_send_buffer_fini(&s->out);
    if (e->pooled >= CV_STREAMS_POOLED_MAX) {
        cv_release(e->alloc, s);
        return;
    }
    TAILQ_INSERT_HEAD(&e->pool, s, link);
    e->pooled++;
}

static void return_to_peer(struct cv_quic_conn *c)
{
    uint64_t max = c->endpoint->config.limits.streams_max;
    if (c->streams_lent > 0) {
        c->streams_lent--;
        return;
    }
    c->streams_returned++;
    /* Nor may those that wait to be given back be missed by a peer that has most of its streams open. */
    bool has_others = c->streams_accepted + c->streams_returned + STREAMS_BATCH < max;
    if (c->streams_returned < STREAMS_BATCH && c->streams_returned < max / 4 && has_others)
        return;
    ngtcp2_conn_extend_max_streams_bidi(c->native, (size_t)c->streams_returned);
    c->streams_returned = 0;
}

void cv_stream_closed(struct cv_quic_stream *s)
{
    fire(s, events_of(s)->stream_closed);
    give_back(s);
    if (s->is_accepted) {
        s->conn->streams_accepted--;
        return_to_peer(s->conn);
    }
    cv_stream_release(s);
}

/* Streams are acknowledged, answered and closed nearly in the order in which they began: the turn of the one after
 * the next comes soon, and the next is in the cache already. What its user keeps is looked at when it is
 * answered; acknowledged are hundreds at a time, so fetching that as well would be too early. */
#define STREAM_NEAR_SIZE 208
#define USER_NEAR_SIZE   320

static const struct cv_quic_stream *fetch_next(const struct cv_quic_stream *s)
{
    const struct cv_quic_stream *next = TAILQ_NEXT(s, link);
    if (next != NULL)
        cv_prefetch(TAILQ_NEXT(next, link), STREAM_NEAR_SIZE);
    return next;
}

void cv_stream_received(struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    const struct cv_quic_stream *next = fetch_next(s);
    if (next != NULL)
        cv_prefetch(next->user, USER_NEAR_SIZE);
    s->received += bytes.size;
    s->fin_received = s->fin_received || fin;
    if (s->is_stopped || s->conn->state != CV_CONN_READY) {
        give_back(s);
        return;
    }
    events_of(s)->stream_data(s->conn->endpoint->config.events_user, s, bytes, fin);
}

void cv_stream_peer_reset(struct cv_quic_stream *s, uint64_t code)
{
    if (s->fin_received)
        return;
    s->fin_received = true;
    if (!s->is_stopped && s->conn->state == CV_CONN_READY)
        events_of(s)->stream_reset(s->conn->endpoint->config.events_user, s, code);
}

void cv_stream_acked(struct cv_quic_stream *s, uint64_t offset)
{
    (void)fetch_next(s);
    size_t before = cv_send_buffer_size(&s->out);
    cv_send_buffer_acked(&s->out, offset);
    note_sent(s->conn, before - cv_send_buffer_size(&s->out));
    if (cv_send_buffer_size(&s->out) < before && !s->fin_queued && !s->is_reset &&
        s->conn->state == CV_CONN_READY)
        fire(s, events_of(s)->stream_writable);
}

void cv_stream_unblocked(struct cv_quic_stream *s)
{
    s->is_blocked = false;
    if (!s->is_reset && (cv_send_buffer_unsent(&s->out) > 0 || (s->fin_queued && !s->fin_sent)))
        enter_sending(s);
    cv_conn_mark_dirty(s->conn);
}

/* All of our side arrived: nothing is left to be stopped or reset. */
static bool is_delivered(const struct cv_quic_stream *s)
{
    return s->fin_sent && cv_send_buffer_size(&s->out) == 0;
}

void cv_stream_peer_stopped(struct cv_quic_stream *s, uint64_t code)
{
    if (s->is_peer_stopped || s->is_reset || is_delivered(s))
        return;
    s->peer_stop_code = code;
    s->is_peer_stopped = true;
    TAILQ_INSERT_TAIL(&s->conn->stopped, s, stopped_link);
}

static void queue_reset(struct cv_quic_stream *s, uint64_t code)
{
    s->is_reset = true;
    s->wants_reset = true;
    s->reset_code = code;
    cv_stream_leave_sending(s);
    enter_pending(s);
}

static void queue_stop(struct cv_quic_stream *s, uint64_t code)
{
    s->is_stopped = true;
    s->wants_stop = true;
    s->stop_code = code;
    give_back(s);
    enter_pending(s);
}

void cv_streams_tell_stopped(struct cv_quic_conn *c)
{
    struct cv_quic_stream *s;
    while ((s = TAILQ_FIRST(&c->stopped)) != NULL) {
        leave_stopped(s);
        if (s->is_reset || is_delivered(s))
            continue;
        /* The library did the same already, unless it found the packet to be a repetition. */
        queue_reset(s, s->peer_stop_code);
        if (c->state == CV_CONN_READY)
            events_of(s)->stream_stopped(c->endpoint->config.events_user, s, s->peer_stop_code);
    }
}

/*
 * Not from inside a callback: with data of the stream still to be handed out the library would
 * count a part of the connection's window twice or not at all. The library sends the last frame
 * first, so the reset is queued before the stop: a peer that learns of the stream by these two must
 * see the stop first, for a reset of a stream that it does not know ends it without a word in
 * return.
 */
int cv_streams_settle(struct cv_quic_conn *c)
{
    struct cv_quic_stream *s;
    while ((s = TAILQ_FIRST(&c->pending)) != NULL) {
        int rv = 0;
        leave_pending(s);
        if (s->wants_reset)
            rv = cv_ngtcp2_shutdown_write(c->native, s->entry.id, s->reset_code);
        if (rv == 0 && s->wants_stop)
            rv = cv_ngtcp2_shutdown_read(c->native, s->entry.id, s->stop_code);
        s->wants_reset = s->wants_stop = false;
        if (rv != 0)
            return rv;
    }
    return 0;
}

void *cv_quic_stream_user(const struct cv_quic_stream *s)
{
    return s->user;
}

void cv_quic_stream_set_user(struct cv_quic_stream *s, void *user)
{
    s->user = user;
}

struct cv_quic_conn *cv_quic_stream_conn(const struct cv_quic_stream *s)
{
    return s->conn;
}

int64_t cv_quic_stream_id(const struct cv_quic_stream *s)
{
    return s->entry.id;
}

bool cv_quic_stream_is_accepted(const struct cv_quic_stream *s)
{
    return s->is_accepted;
}

/* What a stream may always have buffered: one write of the RPC layer's. Without it one whose peer does
 * not read could keep all others from being heard. */
#define FIRST_WRITE_MAX ((uint64_t)64 << 10)

static uint64_t total_room(const struct cv_quic_conn *c)
{
    uint64_t max = c->endpoint->config.limits.send_total_max;
    return c->buffered < max ? max - c->buffered : 0;
}

size_t cv_quic_stream_room(const struct cv_quic_stream *s)
{
    uint64_t limit = s->conn->endpoint->config.limits.send_buffer_max;
    size_t used = cv_send_buffer_size(&s->out);
    if (s->fin_queued || s->is_reset || s->conn->state != CV_CONN_READY || used >= limit)
        return 0;
    uint64_t room = limit - used;
    uint64_t total = total_room(s->conn);
    if (used == 0 && total < FIRST_WRITE_MAX)
        total = FIRST_WRITE_MAX;
    return (size_t)(room < total ? room : total);
}

_Static_assert(CV_QUIC_STREAM_LENT_MAX == CV_SEND_INLINE_SIZE, "what is lent is the buffer's own");

/* So much was put into the send buffer, the last of it with `fin`. */
static void note_added(struct cv_quic_stream *s, size_t size, bool fin)
{
    s->conn->buffered += size;
    s->fin_queued = fin;
    if (size > 0 || fin)
        enter_sending(s);
    cv_conn_mark_dirty(s->conn);
}

bool cv_quic_stream_lend(struct cv_quic_stream *s, struct cv_writer *w)
{
    size_t room = cv_quic_stream_room(s);
    uint8_t *memory = room == 0 ? NULL : cv_send_buffer_lend(&s->out);
    if (memory == NULL)
        return false;
    cv_writer_init(w, memory, room < CV_QUIC_STREAM_LENT_MAX ? room : CV_QUIC_STREAM_LENT_MAX);
    return true;
}

void cv_quic_stream_take(struct cv_quic_stream *s, const struct cv_writer *w, bool fin)
{
    size_t size = cv_writer_bytes(w).size;
    if (size == 0)
        return;
    cv_send_buffer_take(&s->out, size);
    note_added(s, size, fin);
}

int cv_quic_stream_write(struct cv_quic_stream *s, struct cv_slice bytes, bool fin)
{
    if (s->fin_queued || s->is_reset || s->conn->state != CV_CONN_READY)
        return COVEY_ERR_STATE;
    if (bytes.size == 0 && s->out.end == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (bytes.size > s->conn->endpoint->config.limits.send_buffer_max)
        return COVEY_ERR_TOO_LARGE;
    if (bytes.size > cv_quic_stream_room(s)) {
        enter_waiting(s);
        return COVEY_ERR_BUSY;
    }
    int error = cv_send_buffer_append(&s->out, bytes);
    if (error != COVEY_OK)
        return error;
    note_added(s, bytes.size, fin);
    return COVEY_OK;
}

int cv_quic_stream_write_both(struct cv_quic_stream *s, struct cv_slice head, struct cv_slice body)
{
    assert(head.size > 0 && body.size > 0);
    if (s->fin_queued || s->is_reset || s->conn->state != CV_CONN_READY)
        return COVEY_ERR_STATE;
    size_t room = cv_quic_stream_room(s);
    if (head.size > room || body.size > room - head.size) {
        enter_waiting(s);
        return COVEY_ERR_BUSY;
    }
    int error = cv_send_buffer_append(&s->out, head);
    if (error != COVEY_OK)
        return error;
    note_added(s, head.size, false);
    error = cv_send_buffer_append(&s->out, body);
    if (error == COVEY_OK)
        note_added(s, body.size, false);
    return error;
}

static size_t at_most(size_t size, uint64_t left)
{
    return size < left ? size : (size_t)left;
}

void cv_quic_stream_consume(struct cv_quic_stream *s, size_t size, size_t connection)
{
    struct cv_quic_conn *c = s->conn;
    size = at_most(size, s->received - s->consumed);
    connection = at_most(connection, s->received - s->credited);
    if (c->native == NULL || (size == 0 && connection == 0))
        return;
    s->consumed += size;
    s->credited += connection;
    if (connection > 0)
        ngtcp2_conn_extend_max_offset(c->native, connection);
    if (size > 0 && !s->fin_received)
        (void)ngtcp2_conn_extend_max_stream_offset(c->native, s->entry.id, size);
    cv_conn_mark_dirty(c);
}

void cv_quic_stream_reset(struct cv_quic_stream *s, uint64_t code)
{
    if (s->is_reset || is_delivered(s) || s->conn->state != CV_CONN_READY)
        return;
    queue_reset(s, code);
    /* A peer that has acknowledged nothing may not know the stream, and will then never end its own
     * side of it. */
    if (!s->is_accepted && s->out.begin == 0)
        cv_quic_stream_stop(s, code);
}

void cv_quic_stream_stop(struct cv_quic_stream *s, uint64_t code)
{
    if (s->is_stopped || s->fin_received || s->conn->state != CV_CONN_READY)
        return;
    queue_stop(s, code);
}
