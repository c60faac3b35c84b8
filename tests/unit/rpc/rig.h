/*
 * A client's and a server's end joined by a fake transport: streams with flow control and a bounded
 * send buffer, whose bytes arrive in pieces of random size and whose events come in random order.
 * It checks what a transport and a user rely on; what the two users do is the test's.
 */
#ifndef RPC_RIG_H
#define RPC_RIG_H

#include "base/rand.h"
#include "rpc/rpc.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <covey/error.h>

enum { CLIENT, SERVER };

#define RIG_STREAMS_MAX 64
#define RIG_WINDOW      ((size_t)256 << 10)
#define RIG_ROOM        ((size_t)1 << 20) /* a stream's send buffer */

/* One direction of a stream. */
struct rig_pipe {
    uint8_t *bytes;
    size_t written;
    size_t capacity;
    size_t arrived;        /* at the reader */
    size_t consumed;       /* given back by him */
    bool fin, reset, done; /* `done`: the reader has seen the end */
    bool stop, stop_told, blocked;
    uint64_t reset_code, stop_code;
};

struct rig;

struct rig_stream {
    struct rig *rig;
    struct rig_pipe pipes[2]; /* by who writes */
    struct cv_rpc_call *calls[2];
    bool open, told, closed;
};

/* What one side's user knows of one call. */
struct rig_user {
    struct cv_rpc_call *call;
    size_t messages, bytes;
    uint64_t sum; /* of all bytes of all messages, each with its place */
    int statuses, ends, cancels, writables;
    bool began, finished, released;
    enum covey_status_code code;
};

struct rig {
    struct test_alloc memory;
    struct cv_rand rand;
    struct cv_rpc_conn *ends[2];
    covey_time now;
    size_t piece_max;
    size_t stream_count;
    struct rig_stream streams[RIG_STREAMS_MAX];
    struct rig_user users[2][RIG_STREAMS_MAX];
    /* Called for each event; the invariants are checked before. */
    void (*on_event)(struct rig *r, int side, struct rig_user *u, const struct cv_rpc_output *out);
};

static inline void rig_init_limits(struct rig *r, uint64_t seed, const struct cv_rpc_limits *limits)
{
    memset(r, 0, sizeof *r);
    test_alloc_init(&r->memory);
    cv_rand_seed(&r->rand, seed);
    r->now = 1000 * COVEY_SECOND;
    r->piece_max = 1 + (size_t)cv_rand_below(&r->rand, seed % 3 == 0 ? 3 : 20000);
    for (int side = 0; side < 2; side++)
        assert_int_equal(cv_rpc_conn_new(&r->memory.alloc, limits, &r->ends[side]), 0);
}

static inline void rig_init(struct rig *r, uint64_t seed)
{
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    rig_init_limits(r, seed, &limits);
}

static inline void rig_fini(struct rig *r)
{
    for (size_t i = 0; i < r->stream_count; i++) {
        free(r->streams[i].pipes[CLIENT].bytes);
        free(r->streams[i].pipes[SERVER].bytes);
    }
    cv_rpc_conn_free(r->ends[CLIENT]);
    cv_rpc_conn_free(r->ends[SERVER]);
    test_alloc_assert_empty(&r->memory);
}

static inline int rig_step(struct rig *r, int side, struct cv_rpc_input in)
{
    in.now = r->now;
    return cv_rpc_conn_step(r->ends[side], &in);
}

/* ---- What users do ---- */

static inline struct rig_user *rig_start(struct rig *r, covey_time timeout)
{
    assert_true(r->stream_count < RIG_STREAMS_MAX);
    struct rig_stream *s = &r->streams[r->stream_count];
    struct rig_user *u = &r->users[CLIENT][r->stream_count++];
    struct cv_rpc_start start = {
        .method = cv_slice_text("m"),
        .deadline = timeout == COVEY_NEVER ? COVEY_NEVER : r->now + timeout,
        .stream = s,
        .user = u,
    };
    s->rig = r;
    s->open = true;
    int error = cv_rpc_conn_start(r->ends[CLIENT], &start, r->now, &s->calls[CLIENT]);
    assert_int_equal(error, 0);
    u->call = s->calls[CLIENT];
    u->began = true;
    return u;
}

static inline int rig_send(struct rig *r, int side, struct rig_user *u, const void *bytes,
                           size_t size, bool end)
{
    return rig_step(
        r, side,
        (struct cv_rpc_input){.type = CV_RPC_SEND,
                              .call = u->call,
                              .send = {.message = cv_slice_of(bytes, size), .end = end}});
}

static inline int rig_do(struct rig *r, int side, struct rig_user *u, enum cv_rpc_input_type type)
{
    if (type == CV_RPC_RELEASE)
        u->released = true;
    return rig_step(r, side, (struct cv_rpc_input){.type = type, .call = u->call});
}

static inline int rig_finish(struct rig *r, struct rig_user *u, enum covey_status_code code)
{
    u->finished = true;
    int error = rig_step(
        r, SERVER,
        (struct cv_rpc_input){.type = CV_RPC_FINISH, .call = u->call, .finish = {.code = code}});
    if (error == 0)
        error = rig_do(r, SERVER, u, CV_RPC_RELEASE);
    return error;
}

/* ---- The transport ---- */

static inline bool rig_write(int side, struct rig_stream *s, const struct cv_rpc_output *out)
{
    struct rig_pipe *p = &s->pipes[side];
    struct cv_slice bytes = out->write.bytes;
    assert_false(p->fin || p->reset || p->blocked || s->closed);
    /* The transport's trap: a first write of nothing but an end. */
    assert_true(p->written > 0 || bytes.size > 0);
    assert_true(bytes.size > 0 || out->write.fin);
    if (p->written - p->arrived + bytes.size > RIG_ROOM) {
        p->blocked = true;
        return false;
    }
    if (p->written + bytes.size > p->capacity) {
        p->capacity = 2 * (p->written + bytes.size);
        p->bytes = realloc(p->bytes, p->capacity);
        assert_non_null(p->bytes);
    }
    if (bytes.size > 0)
        memcpy(p->bytes + p->written, bytes.data, bytes.size);
    p->written += bytes.size;
    p->fin = out->write.fin;
    return true;
}

static inline void rig_transport_output(struct rig *r, int side, const struct cv_rpc_output *out)
{
    struct rig_stream *s = out->stream;
    assert_true(s != NULL && !s->closed && s->calls[side] == out->call);
    struct rig_pipe *sent = &s->pipes[side], *received = &s->pipes[1 - side];
    switch (out->type) {
    case CV_RPC_STREAM_WRITE:
        cv_rpc_conn_written(r->ends[side], out->call, rig_write(side, s, out));
        return;
    case CV_RPC_STREAM_CONSUME:
        assert_true(out->consume.size > 0 || out->consume.connection > 0);
        received->consumed += out->consume.size;
        assert_true(received->consumed <= received->arrived);
        return;
    case CV_RPC_STREAM_DO_RESET:
        assert_false(sent->fin || sent->reset);
        sent->reset = true;
        sent->reset_code = out->reset.code;
        return;
    default:
        assert_int_equal(out->type, CV_RPC_STREAM_DO_STOP);
        assert_false(received->stop || received->done);
        received->stop = true;
        received->stop_code = out->stop.code;
    }
}

static inline void rig_open(struct rig *r, struct rig_stream *s)
{
    s->told = true;
    int error = rig_step(
        r, SERVER,
        (struct cv_rpc_input){.type = CV_RPC_STREAM_ACCEPTED, .accepted = {s, &s->calls[SERVER]}});
    assert_int_equal(error, 0);
    struct rig_user *u = &r->users[SERVER][s - r->streams];
    u->call = s->calls[SERVER];
    cv_rpc_call_set_user(u->call, u);
}

/* Some bytes or the end of what `side` wrote reach the other side. True when something did. */
static inline bool rig_deliver(struct rig *r, int side, struct rig_stream *s)
{
    struct rig_pipe *p = &s->pipes[side];
    struct cv_rpc_call *call = s->calls[1 - side];
    if (p->done)
        return false;
    if (p->reset) { /* overtakes what has not arrived */
        p->done = true;
        if (!p->stop)
            rig_step(r, 1 - side,
                     (struct cv_rpc_input){
                         .type = CV_RPC_STREAM_RESET, .call = call, .reset = {p->reset_code}});
        return true;
    }
    size_t size = p->written - p->arrived;
    size_t window = p->consumed + RIG_WINDOW - p->arrived;
    size_t piece = 1 + (size_t)cv_rand_below(&r->rand, r->piece_max);
    size = size < window ? size : window;
    size = size < piece ? size : piece;
    bool fin = p->fin && p->arrived + size == p->written;
    if (size == 0 && !fin)
        return false;
    struct cv_slice bytes = cv_slice_of(size == 0 ? NULL : p->bytes + p->arrived, size);
    p->arrived += size;
    p->done = fin;
    if (p->stop) { /* nobody reads it */
        p->consumed += size;
        return true;
    }
    rig_step(r, 1 - side,
             (struct cv_rpc_input){.type = CV_RPC_STREAM_DATA, .call = call, .data = {bytes, fin}});
    return true;
}

/* STOP_SENDING reaches the writer, whose transport resets the stream. */
static inline bool rig_stop(struct rig *r, int side, struct rig_stream *s)
{
    struct rig_pipe *p = &s->pipes[side];
    if (!p->stop || p->stop_told || p->done)
        return false;
    p->stop_told = true;
    if (!p->fin && !p->reset) {
        p->reset = true;
        p->reset_code = p->stop_code;
    }
    rig_step(r, side,
             (struct cv_rpc_input){
                 .type = CV_RPC_STREAM_STOPPED, .call = s->calls[side], .stopped = {p->stop_code}});
    return true;
}

static inline bool rig_unblock(struct rig *r, int side, struct rig_stream *s)
{
    struct rig_pipe *p = &s->pipes[side];
    if (!p->blocked || p->written - p->arrived > RIG_ROOM / 2)
        return false;
    p->blocked = false;
    rig_step(r, side,
             (struct cv_rpc_input){.type = CV_RPC_STREAM_WRITABLE, .call = s->calls[side]});
    return true;
}

static inline bool rig_close(struct rig *r, struct rig_stream *s)
{
    if (!s->pipes[CLIENT].done || !s->pipes[SERVER].done)
        return false;
    s->closed = true;
    for (int side = 0; side < 2; side++)
        rig_step(r, side,
                 (struct cv_rpc_input){.type = CV_RPC_STREAM_CLOSED, .call = s->calls[side]});
    return true;
}

/* One thing that happens to a stream; false when nothing can. */
static inline bool rig_happen(struct rig *r, struct rig_stream *s)
{
    if (!s->open || s->closed)
        return false;
    if (!s->told) {
        if (s->pipes[CLIENT].written == 0 && !s->pipes[CLIENT].reset)
            return false;
        rig_open(r, s);
        return true;
    }
    int side = (int)cv_rand_below(&r->rand, 2);
    for (int i = 0; i < 2; i++, side = 1 - side) {
        if (rig_stop(r, side, s) || rig_unblock(r, side, s) || rig_deliver(r, side, s))
            return true;
    }
    return rig_close(r, s);
}

/* ---- Events ---- */

static inline void rig_message(struct rig_user *u, struct cv_slice message)
{
    for (size_t i = 0; i < message.size; i++)
        u->sum = u->sum * 31 + message.data[i];
    u->sum = u->sum * 31 + message.size;
    u->messages++;
    u->bytes += message.size;
}

/* Each rule that the order of a call's events must keep. */
static inline void rig_check(int side, struct rig_user *u, const struct cv_rpc_output *out)
{
    assert_ptr_equal(out->call, u->call);
    assert_false(u->released);
    assert_int_equal(u->statuses, 0);
    assert_int_equal(u->cancels, 0);
    assert_false(u->finished);
    switch (out->type) {
    case CV_RPC_EVENT_CALL:
        assert_true(side == SERVER && !u->began);
        return;
    case CV_RPC_EVENT_MESSAGE:
        assert_true(u->began && u->ends == 0);
        return;
    case CV_RPC_EVENT_END:
        assert_true(side == SERVER && u->began && u->ends == 0);
        return;
    case CV_RPC_EVENT_STATUS:
        assert_int_equal(side, CLIENT);
        return;
    case CV_RPC_EVENT_CANCELLED:
        assert_true(side == SERVER && u->began);
        return;
    default:
        assert_int_equal(out->type, CV_RPC_EVENT_WRITABLE);
    }
}

static inline void rig_count(struct rig_user *u, const struct cv_rpc_output *out)
{
    u->began = true;
    u->ends += out->type == CV_RPC_EVENT_END;
    u->cancels += out->type == CV_RPC_EVENT_CANCELLED;
    u->writables += out->type == CV_RPC_EVENT_WRITABLE;
    if (out->type == CV_RPC_EVENT_MESSAGE)
        rig_message(u, out->message);
    if (out->type == CV_RPC_EVENT_STATUS) {
        u->statuses++;
        u->code = out->end.status.code;
    }
}

static inline void rig_poll(struct rig *r, int side)
{
    struct cv_rpc_output out;
    while (cv_rpc_conn_poll(r->ends[side], &out)) {
        assert_int_not_equal(out.type, CV_RPC_DO_CLOSE);
        if (out.type < CV_RPC_EVENT_CALL) {
            rig_transport_output(r, side, &out);
            continue;
        }
        struct rig_user *u = cv_rpc_call_user(out.call);
        assert_non_null(u);
        rig_check(side, u, &out);
        rig_count(u, &out);
        r->on_event(r, side, u, &out);
    }
}

/* Gives a message back that the user holds. */
static inline void rig_read(struct rig *r, int side, struct rig_user *u, size_t size)
{
    int error = rig_step(
        r, side, (struct cv_rpc_input){.type = CV_RPC_READ, .call = u->call, .read = {size}});
    assert_int_equal(error, 0);
}

/* One random thing, with or without a look at the outputs after it. False when all is quiet. */
static inline bool rig_turn(struct rig *r)
{
    bool happened = false;
    size_t first = r->stream_count == 0 ? 0 : (size_t)cv_rand_below(&r->rand, r->stream_count);
    for (size_t i = 0; i < r->stream_count && !happened; i++)
        happened = rig_happen(r, &r->streams[(first + i) % r->stream_count]);
    if (!happened || cv_rand_below(&r->rand, 3) > 0) {
        rig_poll(r, CLIENT);
        rig_poll(r, SERVER);
    }
    return happened;
}

/* Until nothing happens any more. */
static inline void rig_run(struct rig *r)
{
    rig_poll(r, CLIENT);
    rig_poll(r, SERVER);
    for (int quiet = 0; quiet < 2;)
        quiet = rig_turn(r) ? 0 : quiet + 1;
}

/* All calls are over, released and forgotten. */
static inline void rig_assert_done(struct rig *r)
{
    assert_int_equal(cv_rpc_conn_count(r->ends[CLIENT]), 0);
    assert_int_equal(cv_rpc_conn_count(r->ends[SERVER]), 0);
    for (size_t i = 0; i < r->stream_count; i++)
        assert_int_equal(r->users[CLIENT][i].statuses, 1);
}

#endif
