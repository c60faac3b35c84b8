/* Streams as pipes of bytes in memory, with the windows of QUIC and pieces of random size. */
#include "base/rand.h"
#include "conformance/counting_alloc.h"
#include "conformance/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <cmocka.h>
#include <covey/error.h>

#define STREAM_WINDOW     ((size_t)256 << 10)
#define CONNECTION_WINDOW ((size_t)1 << 20)
#define SEND_BUFFER       ((size_t)1 << 20)
#define CUT_CODE          99

/* One direction of a stream. Offsets count from its begin; `bytes` begins at offset `base`. */
struct pipe {
    uint8_t *bytes;
    size_t capacity;
    size_t base;
    size_t written, arrived, consumed;
    bool fin, reset, done; /* `done`: the reader has seen the end */
    bool cut;              /* the writer does not know that it was reset */
    bool stop, stop_told, blocked;
    uint64_t reset_code, stop_code;
};

struct stream {
    TAILQ_ENTRY(stream) all, active;
    struct pipe pipes[2]; /* by who writes */
    struct cv_rpc_call *calls[2];
    int opener;
    bool told, is_active;
};
TAILQ_HEAD(streams, stream);

struct transport {
    struct transport_config config;
    struct counting_alloc memory[2];
    struct cv_rpc_conn *ends[2];
    struct cv_rand rand;
    covey_time now;
    size_t piece_max;
    struct streams all, active; /* active: something may happen to these */
    size_t opened[2];           /* open streams by who opened them */
    size_t ahead[2];            /* bytes under way to a reader who has not given them back */
    bool close_due, closed;
};

struct transport *transport_new(const struct transport_config *config)
{
    struct transport *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->config = *config;
    t->now = 1000 * COVEY_SECOND;
    cv_rand_seed(&t->rand, config->seed);
    t->piece_max = config->seed % 3 == 0 ? 7 : 30000;
    TAILQ_INIT(&t->all);
    TAILQ_INIT(&t->active);
    for (int side = 0; side < 2; side++) {
        counting_alloc_init(&t->memory[side]);
        assert_int_equal(
            cv_rpc_conn_new(&t->memory[side].alloc, &config->limits[side], &t->ends[side]), 0);
    }
    return t;
}

static void stream_free(struct transport *t, struct stream *s)
{
    if (s->is_active)
        TAILQ_REMOVE(&t->active, s, active);
    TAILQ_REMOVE(&t->all, s, all);
    t->opened[s->opener]--;
    free(s->pipes[CLIENT].bytes);
    free(s->pipes[SERVER].bytes);
    free(s);
}

static void free_streams(struct transport *t)
{
    struct stream *next;
    for (struct stream *s = TAILQ_FIRST(&t->all); s != NULL; s = next) {
        next = TAILQ_NEXT(s, all);
        stream_free(t, s);
    }
}

void transport_free(struct transport *t)
{
    free_streams(t);
    for (int side = 0; side < 2; side++) {
        cv_rpc_conn_free(t->ends[side]);
        assert_int_equal(t->memory[side].used, 0);
    }
    free(t);
}

covey_time transport_now(const struct transport *t)
{
    return t->now;
}

int transport_start(struct transport *t, int side, const struct cv_rpc_start *start,
                    struct cv_rpc_call **out)
{
    return cv_rpc_conn_start(t->ends[side], start, t->now, out);
}

int transport_step(struct transport *t, int side, const struct cv_rpc_input *input)
{
    struct cv_rpc_input in = *input;
    in.now = t->now;
    return cv_rpc_conn_step(t->ends[side], &in);
}

static void activate(struct transport *t, struct stream *s)
{
    if (s->is_active)
        return;
    s->is_active = true;
    TAILQ_INSERT_TAIL(&t->active, s, active);
}

/* ---- from RPC to the streams ---- */

static void append(struct pipe *p, struct cv_slice bytes)
{
    size_t waiting = p->written - p->arrived;
    if (waiting > 0)
        memmove(p->bytes, p->bytes + (p->arrived - p->base), waiting);
    p->base = p->arrived;
    if (waiting + bytes.size > p->capacity) {
        p->capacity = 2 * (waiting + bytes.size);
        p->bytes = realloc(p->bytes, p->capacity);
        assert_non_null(p->bytes);
    }
    if (bytes.size > 0)
        memcpy(p->bytes + waiting, bytes.data, bytes.size);
    p->written += bytes.size;
}

static bool pipe_write(struct pipe *p, const struct cv_rpc_output *out)
{
    struct cv_slice bytes = out->write.bytes;
    if (p->cut)
        return true;
    assert_false(p->fin || p->reset || p->blocked);
    assert_true(bytes.size > 0 || (p->written > 0 && out->write.fin));
    if (p->written - p->arrived + bytes.size > SEND_BUFFER) {
        p->blocked = true;
        return false;
    }
    append(p, bytes);
    p->fin = out->write.fin;
    return true;
}

static void pipe_reset(struct pipe *p, uint64_t code)
{
    if (p->cut)
        return;
    assert_false(p->reset || p->done);
    p->reset = true;
    p->reset_code = code;
}

/* The connection's window opens: who waited for it may go on. */
static void give_back(struct transport *t, int writer, struct pipe *p, size_t size)
{
    struct stream *s;
    bool was_full = t->ahead[writer] == CONNECTION_WINDOW;
    p->consumed += size;
    assert_true(p->consumed <= p->arrived && t->ahead[writer] >= size);
    t->ahead[writer] -= size;
    if (was_full)
        TAILQ_FOREACH (s, &t->all, all)
            activate(t, s);
}

static void stream_output(struct transport *t, int side, const struct cv_rpc_output *out)
{
    struct stream *s = out->stream;
    assert_non_null(s);
    assert_ptr_equal(s->calls[side], out->call);
    struct pipe *sent = &s->pipes[side], *received = &s->pipes[1 - side];
    activate(t, s);
    switch (out->type) {
    case CV_RPC_STREAM_WRITE:
        cv_rpc_conn_written(t->ends[side], out->call, pipe_write(sent, out));
        return;
    case CV_RPC_STREAM_CONSUME:
        assert_true(out->consume.size > 0);
        give_back(t, 1 - side, received, out->consume.size);
        return;
    case CV_RPC_STREAM_DO_RESET:
        pipe_reset(sent, out->reset.code);
        return;
    default:
        assert_int_equal(out->type, CV_RPC_STREAM_DO_STOP);
        assert_false(received->stop || received->done);
        received->stop = true;
        received->stop_code = out->stop.code;
        give_back(t, 1 - side, received, received->arrived - received->consumed);
    }
}

static void bind_waiting(struct transport *t, int side)
{
    struct cv_rpc_call *call;
    while (!t->closed && t->opened[side] < t->config.streams_max &&
           (call = cv_rpc_conn_unbound(t->ends[side])) != NULL) {
        struct stream *s = calloc(1, sizeof *s);
        assert_non_null(s);
        s->opener = side;
        s->calls[side] = call;
        t->opened[side]++;
        TAILQ_INSERT_TAIL(&t->all, s, all);
        cv_rpc_call_bind(call, s, t->now);
    }
}

static void poll_end(struct transport *t, int side)
{
    struct cv_rpc_output out;
    bind_waiting(t, side);
    while (cv_rpc_conn_poll(t->ends[side], &out)) {
        if (out.type == CV_RPC_DO_CLOSE)
            t->close_due = true;
        else if (out.type < CV_RPC_EVENT_CALL)
            stream_output(t, side, &out);
        else
            t->config.event(t->config.user, side, &out);
    }
}

static void poll_ends(struct transport *t)
{
    poll_end(t, CLIENT);
    poll_end(t, SERVER);
    if (t->close_due && !t->closed) {
        transport_cut(t);
        poll_ends(t);
    }
}

/* ---- from the streams to RPC ---- */

static int input(struct transport *t, int side, struct stream *s, struct cv_rpc_input in)
{
    in.now = t->now;
    if (in.type != CV_RPC_STREAM_ACCEPTED)
        in.call = s->calls[side];
    return cv_rpc_conn_step(t->ends[side], &in);
}

static bool open_stream(struct transport *t, struct stream *s)
{
    int side = 1 - s->opener;
    const struct pipe *p = &s->pipes[s->opener];
    if (s->told || (p->written == 0 && !p->reset))
        return false;
    s->told = true;
    assert_int_equal(input(t, side, s,
                           (struct cv_rpc_input){.type = CV_RPC_STREAM_ACCEPTED,
                                                 .accepted = {s, &s->calls[side]}}),
                     0);
    return true;
}

/* STOP_SENDING reaches the writer, whose transport resets the stream. */
static bool tell_stop(struct transport *t, int writer, struct stream *s)
{
    struct pipe *p = &s->pipes[writer];
    if (!p->stop || p->stop_told || p->done)
        return false;
    p->stop_told = true;
    if (p->reset)
        return true;
    p->reset = true;
    p->reset_code = p->stop_code;
    input(t, writer, s,
          (struct cv_rpc_input){.type = CV_RPC_STREAM_STOPPED, .stopped = {p->stop_code}});
    return true;
}

static bool tell_writable(struct transport *t, int writer, struct stream *s)
{
    struct pipe *p = &s->pipes[writer];
    if (!p->blocked || p->reset || p->written - p->arrived > SEND_BUFFER / 2)
        return false;
    p->blocked = false;
    input(t, writer, s, (struct cv_rpc_input){.type = CV_RPC_STREAM_WRITABLE});
    return true;
}

/* A reset overtakes what has not arrived. */
static bool deliver_reset(struct transport *t, int writer, struct stream *s)
{
    struct pipe *p = &s->pipes[writer];
    p->done = true;
    if (!p->stop)
        input(t, 1 - writer, s,
              (struct cv_rpc_input){.type = CV_RPC_STREAM_RESET, .reset = {p->reset_code}});
    return true;
}

static size_t next_piece(struct transport *t, int writer, const struct pipe *p)
{
    size_t size = p->written - p->arrived;
    size_t window = STREAM_WINDOW - (p->arrived - p->consumed);
    size_t room = CONNECTION_WINDOW - t->ahead[writer];
    size_t piece = 1 + (size_t)cv_rand_below(&t->rand, t->piece_max);
    size = size < window ? size : window;
    size = size < room ? size : room;
    return size < piece ? size : piece;
}

static bool deliver(struct transport *t, int writer, struct stream *s)
{
    struct pipe *p = &s->pipes[writer];
    if (p->done)
        return false;
    if (p->reset)
        return deliver_reset(t, writer, s);
    size_t size = next_piece(t, writer, p);
    bool fin = p->fin && p->arrived + size == p->written;
    if (size == 0 && !fin)
        return false;
    struct cv_slice bytes = {0};
    if (size > 0)
        bytes = cv_slice_of(p->bytes + (p->arrived - p->base), size);
    p->done = fin;
    p->arrived += size;
    t->ahead[writer] += size;
    if (p->stop) /* nobody reads it */
        give_back(t, writer, p, size);
    else
        input(t, 1 - writer, s,
              (struct cv_rpc_input){.type = CV_RPC_STREAM_DATA, .data = {bytes, fin}});
    return true;
}

static bool close_stream(struct transport *t, struct stream *s)
{
    if (!s->pipes[CLIENT].done || !s->pipes[SERVER].done)
        return false;
    for (int side = 0; side < 2; side++) {
        struct pipe *p = &s->pipes[1 - side];
        give_back(t, 1 - side, p, p->arrived - p->consumed);
        input(t, side, s, (struct cv_rpc_input){.type = CV_RPC_STREAM_CLOSED});
    }
    stream_free(t, s);
    return true;
}

/* One thing that happens to a stream; false when nothing can. */
static bool happen(struct transport *t, struct stream *s)
{
    if (!s->told)
        return open_stream(t, s);
    int side = (int)cv_rand_below(&t->rand, 2);
    for (int i = 0; i < 2; i++, side = 1 - side)
        if (tell_stop(t, side, s) || tell_writable(t, side, s) || deliver(t, side, s))
            return true;
    return close_stream(t, s);
}

static bool one_stream(struct transport *t)
{
    struct stream *s = TAILQ_FIRST(&t->active);
    if (s == NULL)
        return false;
    TAILQ_REMOVE(&t->active, s, active);
    s->is_active = false;
    bool closes = s->pipes[CLIENT].done && s->pipes[SERVER].done;
    if (happen(t, s) && !closes)
        activate(t, s);
    return true;
}

static covey_time deadline(const struct transport *t)
{
    covey_time a = cv_rpc_conn_deadline(t->ends[CLIENT]);
    covey_time b = cv_rpc_conn_deadline(t->ends[SERVER]);
    return a < b ? a : b;
}

bool transport_turn(struct transport *t, covey_time limit)
{
    if (TAILQ_EMPTY(&t->active) || cv_rand_below(&t->rand, 3) > 0)
        poll_ends(t);
    if (one_stream(t))
        return true;
    covey_time next = deadline(t);
    if (next > limit) {
        t->now = limit;
        return false;
    }
    if (next > t->now)
        t->now = next;
    for (int side = 0; side < 2; side++)
        transport_step(t, side, &(struct cv_rpc_input){.type = CV_RPC_TIME});
    poll_ends(t);
    return true;
}

/* ---- the rest of the port ---- */

void transport_drain(struct transport *t, int side)
{
    cv_rpc_conn_drain(t->ends[side]);
}

bool transport_peer_drains(const struct transport *t, int side)
{
    return cv_rpc_conn_peer_drains(t->ends[side]);
}

void transport_cut_stream(struct transport *t, int side, struct cv_rpc_call *call)
{
    struct stream *s = cv_rpc_call_stream(call);
    assert_non_null(s);
    struct pipe *p = &s->pipes[side];
    if (p->done || p->reset)
        return;
    pipe_reset(p, CUT_CODE);
    p->cut = true;
    activate(t, s);
}

void transport_cut(struct transport *t)
{
    t->closed = true;
    for (int side = 0; side < 2; side++)
        cv_rpc_conn_lost(t->ends[side], "the connection was closed");
    free_streams(t);
}

bool transport_is_closed(const struct transport *t)
{
    return t->closed;
}

size_t transport_count(const struct transport *t, int side)
{
    return t->closed ? 0 : cv_rpc_conn_count(t->ends[side]);
}

size_t transport_memory(const struct transport *t, int side)
{
    return t->memory[side].used;
}

size_t transport_memory_peak(const struct transport *t, int side)
{
    return t->memory[side].peak;
}
